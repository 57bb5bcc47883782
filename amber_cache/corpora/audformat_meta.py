"""What an audformat database says of its utterances beside their labels: speaker, text, split, ...

A table of segments speaks for the very segment, a table of files for all of a file's segments; the
first that knows is believed. Values that stand for more (a speaker's gender and language, a
sentence's words) are looked up in the labels of their scheme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from amber_cache.corpora.audformat_files import Column, Database, Scheme, Segment, Table
from amber_cache.errors import CorpusError

#: The last part of a column's or a scheme's name -> what it tells.
FIELDS = {
    "speaker": "speaker",
    "gender": "gender",
    "sex": "gender",
    "language": "language",
    "text": "text",
    "transcript": "text",
    "transcription": "text",
    "session": "session",
    "dialog": "dialogue",
    "dialogue": "dialogue",
}


class Facts:
    """By utterance, what the tables tell of it.

    Args:
        database: All of it.
        labelled: The tables whose labels count: theirs is the official part where they have one.
    """

    def __init__(self, database: Database, labelled: Sequence[Table]) -> None:
        self._database = database
        self._segments: dict[str, dict[Segment, str]] = {}
        self._files: dict[str, dict[str, str]] = {}
        self._speaker_schemes: list[Scheme] = []
        self._splits = _splits(database, labelled)
        for table in database.tables:
            for column in table.columns:
                if told := field_of(column):
                    self._add(table, column, told)

    def of(self, segment: Segment) -> dict[str, str]:
        """Its text columns by name, as an `Utterance` takes them; "" where nothing is said."""
        fields = dict.fromkeys(FIELDS.values(), "")
        for name in fields:
            on_file = self._files.get(name, {}).get(segment.file, "")
            fields[name] = self._segments.get(name, {}).get(segment, "") or on_file
        for name, value in self._of_speaker(fields["speaker"]).items():
            fields[name] = fields[name] or value
        fields["language"] = fields["language"] or self._database.language
        return {**fields, "split": self._splits.get(segment, "")}

    def _add(self, table: Table, column: Column, told: str) -> None:
        scheme = self._database.schemes.get(column.scheme, Scheme(None, is_numeric=False))
        if told == "speaker":
            self._speaker_schemes.append(scheme)
        for segment, row in table.rows.items():
            value = row[column.name]
            said = (scheme.labels or {}).get(value)
            value = said if told == "text" and isinstance(said, str) else value
            if value and table.is_segmented:
                self._segments.setdefault(told, {}).setdefault(segment, value)
            elif value:
                self._files.setdefault(told, {}).setdefault(segment.file, value)

    def _of_speaker(self, speaker: str) -> dict[str, str]:
        for scheme in self._speaker_schemes:
            described = (scheme.labels or {}).get(speaker)
            if isinstance(described, Mapping):
                pairs = {FIELDS.get(str(key)): value for key, value in described.items()}
                return {key: str(pairs.get(key) or "") for key in ("gender", "language")}
        return {}


def field_of(column: Column) -> str | None:
    """Which field of an utterance a column tells; None for another column.

    >>> field_of(Column("speaker.gender")), field_of(Column("c", scheme="transcription"))
    ('gender', 'text')
    """
    names = (column.name, column.scheme)
    return next((FIELDS[one] for name in names if (one := last_part(name)) in FIELDS), None)


def last_part(name: str) -> str:
    """What stands behind the last dot, in lower case.

    >>> last_part("emotion.Arousal")
    'arousal'
    """
    return name.rpartition(".")[2].lower()


def _splits(database: Database, labelled: Sequence[Table]) -> dict[Segment, str]:
    """The official part of the utterances in labelled tables.

    Raises:
        CorpusError: One stands in two.
    """
    found: dict[Segment, tuple[str, str]] = {}
    for table in labelled:
        for segment in table.rows if table.split else ():
            split, name = found.setdefault(segment, (table.split, table.name))
            if split != table.split:
                raise CorpusError(
                    f"{database.folder}: {segment.id!r} is in the official part {split} (table "
                    f"{name}) and in {table.split} (table {table.name}); choose among the labels "
                    "with --corpus audformat:NAME"
                )
    on_files = {
        segment.file: table.split
        for table in database.tables
        if table.split and not table.is_segmented
        for segment in table.rows
    }
    for table in labelled:
        for segment in table.rows:
            if segment not in found and segment.file in on_files:
                found[segment] = (on_files[segment.file], "")
    return {segment: split for segment, (split, _) in found.items()}
