"""A database in the audformat layout: db.yaml and its tables, filewise or segmented.

Votes are the columns of one scheme of emotion labels, one column a rater: the scheme that has at
least two words for emotions, or the scheme, column or table that `--corpus audformat:NAME` names.
A column is a rater's where it names a rater of the type human or other. Where it names none, or
one of the type vote or ground truth, or called gold, it is what the database settled on: the
consensus, and no vote - unless nobody else rated, and then the utterance has one vote of kind
"gold", which nobody cast alone. Machines' columns are left out.

An utterance is a row: its id is the file, with "#t=START,END" in seconds behind it where it is a
part of one. Columns of arousal, valence and dominance are ratings; speaker, gender, language, text
and session come from the tables that have them, for the segment or for its file; the official part
is that of the table with the labels.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from amber_cache.corpora.audformat_files import (
    Column,
    Database,
    Scheme,
    Segment,
    Table,
    read_database,
)
from amber_cache.corpora.audformat_meta import Facts, last_part
from amber_cache.corpora.base import told
from amber_cache.errors import CorpusError
from amber_cache.records import LABELS, Corpus, Rating, Utterance, Vote

#: Words for emotions in databases, beside the common vocabulary's own.
WORDS = {
    "anger": "angry",
    "contemptuous": "contempt",
    "disgusted": "disgust",
    "excitement": "excited",
    "fearful": "fear",
    "frustration": "frustrated",
    "happiness": "happy",
    "joy": "happy",
    "neutrality": "neutral",
    "sadness": "sad",
    "surprised": "surprise",
}
NO_AGREEMENT = ("no agreement", "no_agreement", "no-agreement")
DIMENSIONS = {
    "activation": "arousal",
    "arousal": "arousal",
    "valence": "valence",
    "dominance": "dominance",
}

#: Lines of what was read past, by kind.
Noted: TypeAlias = dict[str, list[str]]

_ANY = Scheme(None, is_numeric=False)
_GOLD = re.compile(r"(^|[\W_])gold($|[\W_])")
_SETTLED_TYPES = ("vote", "ground truth")


@dataclass(frozen=True, slots=True)
class _Found:
    """A column that counts, and whose it is: a rater's name, or None for a settled one."""

    table: Table
    column: Column
    rater: str | None

    @property
    def place(self) -> str:
        return f"{self.table.name}/{self.column.name}"


def read_audformat(
    root: Path | None, *, votes_file: Path | None = None, labels: str = ""
) -> Corpus:
    """Read the database at `root`.

    Args:
        root: Its folder, or the path of its header.
        votes_file: Refused: the votes are the database's own.
        labels: The scheme, column or table whose labels are the votes; "" where only one can be.

    Raises:
        CorpusError: It is no such database, has no emotion labels or several schemes of them, or
            an utterance stands in two official parts or has two settled labels.
    """
    if root is None:
        raise CorpusError("--corpus audformat needs --root with the database's folder")
    if votes_file is not None:
        raise CorpusError(
            "--votes-file: an audformat database brings its own votes; choose among its labels "
            "with --corpus audformat:NAME"
        )
    database = read_database(root)
    noted: dict[str, list[str]] = defaultdict(list)
    found = list(_owned(database, _label_columns(database, labels), noted))
    votes, settled = _votes(database, found, noted), _settled(database, found, noted)
    ratings = _ratings(database, noted)
    facts = Facts(database, labelled=[one.table for one in found])
    segments = dict.fromkeys(segment for one in found for segment in one.table.rows)
    utterances = tuple(
        _utterance(
            segment,
            votes=votes.get(segment, ()),
            consensus=settled.get(segment, ""),
            ratings=ratings.get(segment, ()),
            facts=facts.of(segment),
        )
        for segment in segments
    )
    if not votes:
        utterances = tuple(map(_with_gold, utterances))
        noted["gold"].append(
            f"{root}: no rater's own votes are there, only what the database settled on: one vote "
            'of kind "gold" an utterance, and no disagreement to learn from'
        )
    return Corpus(
        name="audformat",
        root=database.folder,
        utterances=tuple(sorted(utterances, key=lambda one: one.id)),
        modalities=("audio", "text") if any(one.text for one in utterances) else ("audio",),
        warnings=tuple(told(noted)),
    )


def emotion(value: str, scheme: Scheme) -> str:
    """The label that a value of a scheme stands for.

    >>> emotion("Happiness", Scheme({"Happiness": None}, is_numeric=False))
    'happy'
    >>> emotion("2", Scheme({"2": "anger"}, is_numeric=False))
    'angry'
    """
    said = (scheme.labels or {}).get(value)
    name = said if isinstance(said, str) and re.fullmatch(r"-?\d+", value) else value
    plain = name.strip().lower()
    return WORDS.get(plain, plain)


def _label_columns(database: Database, labels: str) -> list[tuple[Table, Column]]:
    """The columns of the labels asked for, or of the only scheme of emotions."""
    every = [
        (table, column)
        for table in database.tables
        for column in table.columns
        if column.scheme in database.schemes and database.schemes[column.scheme].labels is not None
    ]
    if labels:
        chosen = [
            (table, column)
            for table, column in every
            if labels in (column.scheme, column.name, table.name)
        ]
    else:
        chosen = [one for one in every if _is_of_emotions(database.schemes[one[1].scheme])]
    schemes = list(dict.fromkeys(column.scheme for _, column in chosen))
    if len(schemes) != 1:
        what = f"labels {labels!r}" if labels else "scheme of emotions"
        state = "several can be meant by the" if schemes else "has no"
        there = _listed(chosen or every)
        raise CorpusError(
            f"{database.folder}: {state} {what}; name a scheme, a column or a table with "
            f"--corpus audformat:NAME; there are {there or 'no columns of labels'}"
        )
    return chosen


def _is_of_emotions(scheme: Scheme) -> bool:
    words = {emotion(value, scheme) for value in scheme.labels or ()}
    return len(words.intersection(LABELS) - {"other"}) > 1


def _listed(columns: Sequence[tuple[Table, Column]]) -> str:
    """Schemes with their columns, as "emotion (train/r1, train/r2)"."""
    places: dict[str, list[str]] = defaultdict(list)
    for table, column in columns:
        places[column.scheme].append(f"{table.name}/{column.name}")
    return "; ".join(f"{scheme} ({', '.join(names)})" for scheme, names in places.items())


def _owned(
    database: Database, columns: Sequence[tuple[Table, Column]], noted: Noted
) -> Iterator[_Found]:
    """The columns with whose they are; machines' are left out.

    Raises:
        CorpusError: A rater is one that the header does not have.
    """
    for table, column in columns:
        if column.rater and column.rater not in database.raters:
            raise CorpusError(
                f"{database.folder}: {table.name}/{column.name} names the rater {column.rater!r}, "
                "whom the header does not have"
            )
        kind = database.raters.get(column.rater, "")
        settled = not kind or kind in _SETTLED_TYPES or _GOLD.search(column.rater.lower())
        if kind in ("human", "other") or settled:
            yield _Found(table, column, None if settled else column.rater)
        else:
            noted["machines"].append(
                f"{table.name}/{column.name}: the rater {column.rater!r} is a {kind}; left out"
            )


def _cast(database: Database, one: _Found, noted: Noted) -> Iterator[tuple[Segment, str]]:
    """A column's labels; a value that its scheme does not have is left out and told."""
    scheme = database.schemes[one.column.scheme]
    for segment, row in one.table.rows.items():
        value = row[one.column.name]
        if value in (scheme.labels or {}):
            yield segment, emotion(value, scheme)
        elif value:
            noted["unknown labels"].append(
                f"{one.place}, {row.where}: {value[:40]!r} is no label of the scheme "
                f"{one.column.scheme!r}; left out"
            )


def _votes(
    database: Database, found: Sequence[_Found], noted: Noted
) -> dict[Segment, tuple[Vote, ...]]:
    """Each rater's votes; one that stands in two tables is one."""
    cast: dict[Segment, dict[tuple[str, str], str]] = defaultdict(dict)
    for one in found:
        if one.rater is None:
            continue
        for segment, label in _cast(database, one, noted):
            place = cast[segment].setdefault((one.rater, label), one.place)
            if place != one.place:
                noted["votes that stand twice"].append(
                    f"{segment.id}: {one.rater!r} says {label!r} in {place} and in {one.place}; "
                    "counted once"
                )
    return {
        segment: tuple(Vote(rater, label) for rater, label in votes)
        for segment, votes in cast.items()
    }


def _settled(database: Database, found: Sequence[_Found], noted: Noted) -> dict[Segment, str]:
    """What the database settled on.

    Raises:
        CorpusError: Two columns settled on different labels for an utterance.
    """
    labels: dict[Segment, tuple[str, str]] = {}
    for one in found:
        for segment, label in _cast(database, one, noted) if one.rater is None else ():
            label = "" if label in NO_AGREEMENT else label
            known, place = labels.setdefault(segment, (label, one.place))
            if known != label:
                raise CorpusError(
                    f"{database.folder}: {segment.id!r} is {known or 'undecided'!r} in {place} "
                    f"and {label or 'undecided'!r} in {one.place}, and neither column names a "
                    "rater; name one column or table with --corpus audformat:NAME"
                )
    return {segment: label for segment, (label, _) in labels.items()}


def _ratings(database: Database, noted: Noted) -> dict[Segment, tuple[Rating, ...]]:
    columns = [
        (table, column)
        for table in database.tables
        for column in table.columns
        if _dimension(column) and database.schemes.get(column.scheme, _ANY).is_numeric
    ]
    rated: dict[Segment, dict[Rating, None]] = defaultdict(dict)
    for one in _owned(database, columns, noted):
        for segment, row in one.table.rows.items():
            value = _number(row[one.column.name])
            if value is not None:
                kind = "gold" if one.rater is None else "external"
                rated[segment][Rating(one.rater or "", _dimension(one.column), value, kind)] = None
    return {segment: tuple(ratings) for segment, ratings in rated.items()}


def _dimension(column: Column) -> str:
    names = (last_part(column.name), last_part(column.scheme))
    return next((DIMENSIONS[name] for name in names if name in DIMENSIONS), "")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _utterance(
    segment: Segment,
    *,
    votes: Sequence[Vote],
    consensus: str,
    ratings: Sequence[Rating],
    facts: Mapping[str, str],
) -> Utterance:
    start_s, end_s = segment.times_s
    return Utterance(
        id=segment.id,
        audio=Path(segment.file),
        start_s=start_s,
        end_s=end_s,
        place_s=start_s,
        consensus=consensus,
        votes=tuple(votes),
        ratings=tuple(ratings),
        **facts,
    )


def _with_gold(utterance: Utterance) -> Utterance:
    """The utterance with the one label that is known of it as a vote that nobody cast alone."""
    label = utterance.consensus
    return replace(utterance, votes=(Vote("", label, "gold"),) if label else ())
