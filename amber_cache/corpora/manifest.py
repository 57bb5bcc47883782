"""Your own corpus: a manifest of utterances and a file of votes beside it, in CSV, JSON or Parquet.

Columns of the manifest: id (needed), audio and text (at least one, where there is something to
encode), start and end (seconds into the audio file), speaker, gender, session, dialogue, split,
style, consensus, language. Columns of the votes: id, rater, label (needed), kind ("external"),
primary (true). Paths are relative to the manifest; labels are lower-cased and stripped.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from amber_cache.corpora.base import attach_votes, check_ids
from amber_cache.corpora.rows import Row, listed, read_table
from amber_cache.errors import CorpusError
from amber_cache.records import TEXT_COLUMNS, Corpus, Seconds, Utterance, Vote

_MANIFEST_COLUMNS = ("id", "audio", "start", "end", *TEXT_COLUMNS)
_VOTE_COLUMNS = ("id", "rater", "label", "kind", "primary")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def read_manifest(
    root: Path | None,
    *,
    votes_file: Path | None = None,
    needs_input: bool = True,
    with_votes: bool = True,
) -> Corpus:
    """Read the manifest at `root`, and its votes.

    Args:
        root: The manifest's file, .csv, .jsonl or .parquet.
        votes_file: The votes' file; None: votes.csv, .jsonl or .parquet beside the manifest.
        needs_input: Whether there must be a column audio or text, for an encoder to read.
        with_votes: Whether votes are looked for at all.

    Raises:
        CorpusError: A file is missing or unreadable, a needed column is missing, an id is empty
            or stands twice, a time is no number, a vote has no label or is for an unknown id.
    """
    if root is None:
        raise CorpusError(
            "--corpus manifest needs --root with the manifest's file (.csv, .jsonl or .parquet)"
        )
    columns, rows, warnings = read_table(root, _MANIFEST_COLUMNS)
    if not rows:
        raise CorpusError(f"{root}: has no utterances; it needs one a row, below the columns")
    if "id" not in columns or (needs_input and not {"audio", "text"} & set(columns)):
        wanted = "a column id" + " and at least one of audio and text" * needs_input
        raise CorpusError(f"{root}: needs {wanted}{_parted(rows[0])}")
    lines = [row.line for row in rows]
    check_ids([row["id"] for row in rows], place=root, lines=lines, unit=rows[0].unit)
    utterances = [_utterance(row, place=root) for row in rows]
    known = {one.id for one in utterances}
    votes, more = _read_votes(root, votes_file, known=known) if with_votes else ({}, [])
    return Corpus(
        name="manifest",
        root=root.parent,
        utterances=attach_votes(utterances, votes),
        modalities=tuple(name for name in ("audio", "text") if name in columns),
        warnings=(*warnings, *more),
    )


def _utterance(row: Row, *, place: Path) -> Utterance:
    start_s = _seconds(row["start"], f"{place}, {row.where}: start")
    texts: dict[str, Any] = {name: row[name] for name in TEXT_COLUMNS}
    return Utterance(
        id=row["id"],
        audio=Path(row["audio"]) if row["audio"] else None,
        start_s=start_s,
        end_s=_seconds(row["end"], f"{place}, {row.where}: end"),
        place_s=start_s,
        **{**texts, "consensus": texts["consensus"].lower()},
    )


def _read_votes(
    manifest: Path, votes_file: Path | None, *, known: set[str]
) -> tuple[dict[str, list[Vote]], list[str]]:
    path = votes_file or _votes_beside(manifest)
    if path is None:
        return {}, [
            f"{manifest.parent}: no votes.csv, .jsonl or .parquet; nothing can be trained on it"
        ]
    columns, rows, warnings = read_table(path, _VOTE_COLUMNS)
    missing = [name for name in ("id", "rater", "label") if name not in columns]
    if missing and rows:
        raise CorpusError(f"{path}: needs the columns id, rater and label{_parted(rows[0])}")
    votes: dict[str, list[Vote]] = defaultdict(list)
    for row in rows:
        if row["id"] not in known:
            raise CorpusError(
                f"{path}, {row.where}: a vote for {row['id']!r}, which {manifest} does not "
                "have; take the vote out or add the utterance"
            )
        votes[row["id"]].append(_vote(row, place=path))
    return votes, [*warnings, *_repeated(path, votes)]


def _vote(row: Row, *, place: Path) -> Vote:
    label, primary = row["label"].lower(), row["primary"].lower() or "true"
    if not label:
        raise CorpusError(
            f"{place}, {row.where}: the vote for {row['id']!r} has no label; name one or take "
            "the vote out"
        )
    if primary not in _TRUTH:
        raise CorpusError(f"{place}, {row.where}: primary is {primary!r}; it must be true or false")
    kind = row["kind"].lower() or "external"
    return Vote(rater=row["rater"], label=label, kind=kind, primary=_TRUTH[primary])


def _votes_beside(manifest: Path) -> Path | None:
    suffixes = [".csv", ".jsonl", ".parquet"]
    if manifest.suffix.lower() == ".parquet":
        suffixes.reverse()
    places = (manifest.with_name(f"votes{suffix}") for suffix in suffixes)
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


def _parted(row: Row) -> str:
    return f"{', parted by commas' * (row.unit == 'line')}; it has {listed(row.cells)}"


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
