"""What an overview counts besides votes: utterances and hours, groups, what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Shaped

from amber_cache.store import (
    EmbeddingCount,
    RatingTable,
    Transcripts,
    UtteranceTable,
    VoteTable,
)
from amber_heads.overviews.vote_statistics import numbered

#: Columns whose values group utterances, and columns whose values are few.
GROUPS = ("speaker", "session", "dialogue")
PARTS = ("gender", "style", "split", "language")

#: How many ids are told of those that lack something.
NUM_TOLD = 5


@runtime_checkable
class Tables(Protocol):
    """What an overview is made of; `amber_cache.look.look` gives it."""

    place: Path
    is_cache: bool
    corpus: str
    protocol: str
    utterances: UtteranceTable
    votes: VoteTable
    ratings: RatingTable | None
    entries: tuple[EmbeddingCount, ...]
    transcripts: tuple[Transcripts, ...]
    audio: Shaped[np.ndarray, " utterance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some of the utterances; `hours` are those of known length, None where none is known."""

    column: str
    value: str
    utterances: int
    hours: float | None
    without_duration: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A column that groups utterances: how many groups, of which sizes, and who is in none."""

    column: str
    different: int
    least: int
    median: float
    most: int
    without: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """How many utterances lack something, and the first of them."""

    what: str
    utterances: int
    first: tuple[str, ...]


def part_of(table: UtteranceTable, column: str, value: str, who: Bool[np.ndarray, " u"]) -> Part:
    """Count the utterances that a value of a column has."""
    lengths_s = table.duration_s[who].astype(np.float64)
    known = ~np.isnan(lengths_s)
    return Part(
        column=column,
        value=value,
        utterances=int(who.sum()),
        hours=float(lengths_s[known].sum() / 3600) if known.any() else None,
        without_duration=int((~known).sum()),
    )


def parts_of(table: UtteranceTable) -> Iterator[Part]:
    """The values of each column, "" last; none of a column that is unknown everywhere."""
    for column in PARTS:
        codes, names = numbered(getattr(table, column))
        ordered = sorted(enumerate(names), key=lambda one: (not one[1], one[1]))
        for code, name in ordered if names != [""] else ():
            yield part_of(table, column, name, codes == code)


def group_of(column: str, values: Shaped[np.ndarray, " utterance"]) -> Group:
    """Count a column's groups and their sizes; all 0 where it is unknown everywhere."""
    known = values[np.asarray(values != "", dtype=bool)]
    codes, names = numbered(known)
    sizes = np.bincount(codes, minlength=1)
    return Group(
        column=column,
        different=len(names),
        least=int(sizes.min()),
        median=float(np.median(sizes)),
        most=int(sizes.max()),
        without=len(values) - len(known),
    )


def missing_of(tables: Tables, counted: Bool[np.ndarray, " vote"]) -> Iterator[Missing]:
    """What utterances lack: audio by its reason, a length, words, votes, a speaker, a consensus."""
    table, number = tables.utterances, len(tables.utterances)
    blank = np.array([not text.strip() for text in table.text], dtype=bool)
    voted, counts = (
        np.bincount(rows, minlength=number)
        for rows in (tables.votes.utterance, tables.votes.utterance[counted])
    )
    states = sorted(set(tables.audio) - {""}) or ["audio file"]
    lacks = {
        **{state: tables.audio == state for state in states},
        "length": np.isnan(table.duration_s),
        "transcript": blank,
        "votes": voted == 0,
        "counted votes": counts == 0,
        **{name: getattr(table, name) == "" for name in ("speaker", "consensus")},
    }
    for what, mask in lacks.items():
        rows = np.flatnonzero(np.asarray(mask, dtype=bool))
        first = tuple(str(one) for one in table.id[rows[:NUM_TOLD]])
        yield Missing(what=what, utterances=len(rows), first=first)
