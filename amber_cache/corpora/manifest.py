"""Your own corpus: a manifest of utterances, CSV or JSON lines, and a file of votes beside it.

Columns of the manifest: id (needed), audio and text (at least one), start and end (seconds into
the audio file), speaker, gender, session, dialogue, split, style, consensus, language. Columns of
the votes: id, rater, label (needed), kind ("external"), primary (true). Paths are relative to the
manifest; labels are lower-cased and stripped.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amber_cache.corpora.base import attach_votes, check_ids
from amber_cache.errors import CorpusError
from amber_cache.records import TEXT_COLUMNS, Corpus, Seconds, Utterance, Vote

_MANIFEST_COLUMNS = ("id", "audio", "start", "end", *TEXT_COLUMNS)
_VOTE_COLUMNS = ("id", "rater", "label", "kind", "primary")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: the line it stands in, and its cells by column; "" where it has none."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def read_manifest(root: Path | None, *, votes_file: Path | None = None) -> Corpus:
    """Read the manifest at `root`, and its votes.

    Args:
        root: The manifest's file, .csv or .jsonl.
        votes_file: The votes' file; None: votes.csv or votes.jsonl beside the manifest.

    Raises:
        CorpusError: A file is missing or unreadable, a needed column is missing, an id is empty
            or stands twice, a time is no number, a vote has no label or is for an unknown id.
    """
    if root is None:
        raise CorpusError(
            "--corpus manifest needs --root with the manifest's file (.csv or .jsonl)"
        )
    columns, rows, warnings = _read_table(root, _MANIFEST_COLUMNS)
    if not rows:
        raise CorpusError(f"{root}: has no utterances; it needs one a row, below the columns")
    if "id" not in columns or not {"audio", "text"} & set(columns):
        raise CorpusError(
            f"{root}: needs a column id and at least one of audio and text, parted by commas; "
            f"it has {_listed(rows[0].cells)}"
        )
    check_ids([row["id"] for row in rows], place=root, lines=[row.line for row in rows])
    utterances = [_utterance(row, place=root) for row in rows]
    votes, more = _read_votes(root, votes_file, known={one.id for one in utterances})
    return Corpus(
        name="manifest",
        root=root.parent,
        utterances=attach_votes(utterances, votes),
        modalities=tuple(name for name in ("audio", "text") if name in columns),
        warnings=(*warnings, *more),
    )


def _utterance(row: Row, *, place: Path) -> Utterance:
    start_s = _seconds(row["start"], f"{place}, line {row.line}: start")
    texts: dict[str, Any] = {name: row[name] for name in TEXT_COLUMNS}
    return Utterance(
        id=row["id"],
        audio=Path(row["audio"]) if row["audio"] else None,
        start_s=start_s,
        end_s=_seconds(row["end"], f"{place}, line {row.line}: end"),
        place_s=start_s,
        **{**texts, "consensus": texts["consensus"].lower()},
    )


def _read_votes(
    manifest: Path, votes_file: Path | None, *, known: set[str]
) -> tuple[dict[str, list[Vote]], list[str]]:
    path = votes_file or _votes_beside(manifest)
    if path is None:
        return {}, [f"{manifest.parent}: no votes.csv or votes.jsonl; nothing can be trained on it"]
    columns, rows, warnings = _read_table(path, _VOTE_COLUMNS)
    missing = [name for name in ("id", "rater", "label") if name not in columns]
    if missing and rows:
        raise CorpusError(
            f"{path}: needs the columns id, rater and label, parted by commas; it has "
            f"{_listed(rows[0].cells)}"
        )
    votes: dict[str, list[Vote]] = defaultdict(list)
    for row in rows:
        if row["id"] not in known:
            raise CorpusError(
                f"{path}, line {row.line}: a vote for {row['id']!r}, which {manifest} does not "
                "have; take the vote out or add the utterance"
            )
        votes[row["id"]].append(_vote(row, place=path))
    return votes, [*warnings, *_repeated(path, votes)]


def _vote(row: Row, *, place: Path) -> Vote:
    label, primary = row["label"].lower(), row["primary"].lower() or "true"
    if not label:
        raise CorpusError(
            f"{place}, line {row.line}: the vote for {row['id']!r} has no label; name one or take "
            "the vote out"
        )
    if primary not in _TRUTH:
        raise CorpusError(
            f"{place}, line {row.line}: primary is {primary!r}; it must be true or false"
        )
    kind = row["kind"].lower() or "external"
    return Vote(rater=row["rater"], label=label, kind=kind, primary=_TRUTH[primary])


def _votes_beside(manifest: Path) -> Path | None:
    places = (manifest.with_name("votes.csv"), manifest.with_name("votes.jsonl"))
    return next((place for place in places if place.is_file()), None)


def _repeated(path: Path, votes: dict[str, list[Vote]]) -> list[str]:
    named = Counter((name, vote) for name, cast in votes.items() for vote in cast if vote.rater)
    repeated = [(name, vote) for (name, vote), count in named.items() if count > 1]
    if not repeated:
        return []
    name, vote = repeated[0]
    return [
        f"{path}: {len(repeated)} votes stand more than once and are counted as often, "
        f"first {name!r}, rater {vote.rater!r}, {vote.label!r}"
    ]


def _read_table(path: Path, known: Sequence[str]) -> tuple[list[str], list[Row], list[str]]:
    """The table's known columns, its rows, and a warning that names the unknown columns."""
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise CorpusError(f"{path}: must be a .csv or .jsonl file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            read = _csv_rows if path.suffix.lower() == ".csv" else _json_rows
            rows = list(read(path, file))
    except OSError as error:
        raise CorpusError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}: is no text in UTF-8 ({error.reason}); save it as such"
        ) from None
    for row in rows:
        _refuse_odd_text(path, row)
    columns = list(dict.fromkeys(name for row in rows for name in row.cells))
    unknown = [name for name in columns if name not in known]
    warnings = [f"{path}: unknown columns are left out: {_listed(unknown)}"] if unknown else []
    return [name for name in columns if name in known], rows, warnings


def _csv_rows(path: Path, file: Iterator[str]) -> Iterator[Row]:
    reader = _checked_lines(path, csv.reader(file, strict=True))
    _, names = next(reader, (1, []))
    header = [name.strip().lower() for name in names]
    _refuse_twice(path, 1, header)
    for line, cells in reader:
        if not any(cells):
            continue
        if len(cells) != len(header):
            raise CorpusError(
                f"{path}, line {line}: {len(cells)} cells, but {len(header)} columns; "
                "a text with a comma must stand in quotes"
            )
        yield Row(line, dict(zip(header, (cell.strip() for cell in cells), strict=True)))


def _checked_lines(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """The reader's rows, each with the line that it ends in."""
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise CorpusError(
            f"{path}, line {reader.line_num}: is no CSV: {error}; a text with quotes must stand "
            "in quotes, each of its own quotes doubled"
        ) from None


def _json_rows(path: Path, file: Iterator[str]) -> Iterator[Row]:
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            pairs = json.loads(text, object_pairs_hook=tuple)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{path}, line {line}: not JSON: {error}") from None
        if not isinstance(pairs, tuple):
            raise CorpusError(f"{path}, line {line}: not a JSON object")
        names = [name.strip().lower() for name, _ in pairs]
        _refuse_twice(path, line, names)
        cells = (_cell(path, line, name, value) for name, value in pairs)
        yield Row(line, dict(zip(names, cells, strict=True)))


def _cell(path: Path, line: int, column: str, value: object) -> str:
    if isinstance(value, tuple | list):
        raise CorpusError(f"{path}, line {line}: {column} is no plain value")
    return "" if value is None else str(value).strip()


def _refuse_twice(path: Path, line: int, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise CorpusError(f"{path}, line {line}: the column {twice[0]!r} stands twice")


def _refuse_odd_text(path: Path, row: Row) -> None:
    """Refuse what no cache can hold: zero bytes, and halves of UTF-16 pairs (JSON lets both by)."""
    for column, text in row.cells.items():
        if "\0" in text or not text.isascii() and text.encode(errors="ignore").decode() != text:
            raise CorpusError(
                f"{path}, line {row.line}: {column} is {text[:40]!a}, which has a zero byte or "
                "half a character"
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name or "one without a name" for name in names)


def _seconds(text: str, what: str) -> Seconds | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CorpusError(f"{what} is {text!r}; it must be a number of seconds")
    return value
