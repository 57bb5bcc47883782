"""What is in a corpus or a cache, at a glance: the tables in, a plain result out.

`make_overview` counts utterances, votes and what is missing, and asks vote_statistics.py and
vote_agreement.py for the rest. The result holds plain numbers and text, ready for JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Shaped

from amber_cache.errors import ConfigError
from amber_cache.store import EmbeddingCount, RatingTable, UtteranceTable, VoteTable
from amber_heads import vote_statistics as statistics
from amber_heads.data import counted_votes, label_policy
from amber_heads.reliability import LEVEL, NUM_RESAMPLES
from amber_heads.settings import OverviewConfig, complete_policy
from amber_heads.vote_agreement import (
    Agreement,
    Pair,
    RatingAgreement,
    agreements,
    rating_agreements,
)
from amber_heads.vote_statistics import numbered

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


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Everything that `amber corpus` tells.

    Attributes:
        place: What was looked at.
        policy: protocol, classes, keep, raters, choices.
        whole: All utterances.
        entries: A cache's embeddings: done, failed and pending rows.
        votes_per_utterance: Number of counted votes -> utterances.
        counted: Votes that the policy counts.
        kept: Utterances that it keeps.
        classes, keeps, entropy: () and None where no classes can be made of the votes.
        interval: How the coefficients' intervals were made.
        pairs: Of the counted votes, all that occur.
        notes: What could not be computed, and why.
    """

    place: str
    is_cache: bool
    corpus: str
    policy: dict[str, Any]
    whole: Part
    parts: tuple[Part, ...]
    groups: tuple[Group, ...]
    entries: tuple[EmbeddingCount, ...]
    missing: tuple[Missing, ...]
    kinds: tuple[statistics.KindCount, ...]
    votes_per_utterance: dict[int, int]
    counted: int
    kept: int
    classes: tuple[statistics.ClassCount, ...]
    keeps: tuple[statistics.KeepCount, ...]
    entropy: statistics.EntropyCount | None
    interval: dict[str, Any]
    agreements: tuple[Agreement, ...]
    ratings: tuple[RatingAgreement, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, text, lists and dictionaries."""
        return asdict(self)


def make_overview(tables: Tables, config: OverviewConfig) -> Overview:
    """Count everything there is to count, under a label policy.

    Raises:
        ConfigError: The label settings ask for what is not there.
    """
    config = complete_policy(config, tables.protocol)
    votes, table = tables.votes, tables.utterances
    counted = counted_votes(votes, raters=str(config.raters), choices=str(config.choices))
    labelled, notes = _labelled(tables, counted, config)
    raters = statistics.rater_numbers(votes.rater)
    found, pairs = agreements(votes, counted, labelled, raters=raters, choices=str(config.choices))
    every = np.ones(len(table), dtype=bool)
    return Overview(
        place=str(tables.place),
        is_cache=tables.is_cache,
        corpus=tables.corpus,
        policy=_policy(config, labelled),
        whole=_part(table, "all", "", every),
        parts=tuple(_parts(table)),
        groups=tuple(_group(name, getattr(table, name)) for name in GROUPS),
        entries=tables.entries,
        missing=tuple(_missing(tables, counted)),
        kinds=statistics.count_kinds(votes, raters),
        votes_per_utterance=statistics.count_per_utterance(
            votes, counted, num_utterances=len(table)
        ),
        counted=int(counted.sum()),
        kept=0 if labelled is None else int(labelled.kept.sum()),
        classes=() if labelled is None else statistics.count_classes(labelled),
        keeps=() if labelled is None else statistics.count_keeps(labelled),
        entropy=None if labelled is None else statistics.count_entropies(labelled),
        interval={"level": LEVEL, "resamples": NUM_RESAMPLES, "seed": 0, "over": "utterances"},
        agreements=found,
        ratings=rating_agreements(tables.ratings),
        pairs=pairs,
        notes=notes,
    )


def _labelled(
    tables: Tables, counted: Bool[np.ndarray, " vote"], config: OverviewConfig
) -> tuple[statistics.Labelled | None, tuple[str, ...]]:
    """The votes under the policy; None, with the reason, where they give no two classes."""
    votes = tables.votes
    named = sorted({votes.labels[label] for label in np.unique(votes.label[counted])})
    if not config.classes and len(named) < 2:
        what = f"name {named[0]} alone" if named else "are none"
        return None, (f"No classes: the counted votes {what}, and two labels are the least.",)
    policy = label_policy(
        votes,
        counted,
        classes=str(config.classes),
        keep=str(config.keep),
        raters=str(config.raters),
        choices=str(config.choices),
    )
    found = statistics.label_votes(votes, counted, policy, tables.utterances.consensus)
    empty = [policy.names[c] for c in np.flatnonzero(found.counts.sum(axis=0) == 0)]
    if empty:
        return found, (
            f"No counted vote names {', '.join(empty)}: amber fit refuses such a class.",
        )
    return found, ()


def _policy(config: OverviewConfig, labelled: statistics.Labelled | None) -> dict[str, Any]:
    classes = () if labelled is None else labelled.policy.classes
    return {
        "protocol": config.protocol,
        "classes": ["+".join(labels) for labels in classes],
        "keep": config.keep,
        "raters": config.raters,
        "choices": config.choices,
    }


def _part(table: UtteranceTable, column: str, value: str, who: Bool[np.ndarray, " u"]) -> Part:
    lengths_s = table.duration_s[who].astype(np.float64)
    known = ~np.isnan(lengths_s)
    return Part(
        column=column,
        value=value,
        utterances=int(who.sum()),
        hours=float(lengths_s[known].sum() / 3600) if known.any() else None,
        without_duration=int((~known).sum()),
    )


def _parts(table: UtteranceTable) -> Iterator[Part]:
    """The values of each column, "" last; none of a column that is unknown everywhere."""
    for column in PARTS:
        codes, names = numbered(getattr(table, column))
        ordered = sorted(enumerate(names), key=lambda one: (not one[1], one[1]))
        for code, name in ordered if names != [""] else ():
            yield _part(table, column, name, codes == code)


def _group(column: str, values: Shaped[np.ndarray, " utterance"]) -> Group:
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


def _missing(tables: Tables, counted: Bool[np.ndarray, " vote"]) -> Iterator[Missing]:
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


def require_classes(overview: Overview) -> None:
    """Refuse to draw what is not there.

    Raises:
        ConfigError: No utterance has a soft label under the policy.
    """
    if overview.entropy is None:
        reason = overview.notes[0] if overview.notes else "no utterance is kept."
        raise ConfigError(f"--figures: there is nothing to draw: {reason} Leave it out")
