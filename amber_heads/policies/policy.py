"""Which votes count, what they count for, and which utterances have a soft label: pure.

A vote that names no label ("") is none. Where secondary choices count, a label that one rater gave
to one utterance as primary and as secondary choice counts once; raters without a name can't be told
apart, and all of their votes count. Labels that a class merges stay votes of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from amber_cache.errors import ConfigError
from amber_cache.store import VoteTable
from amber_heads.policies.codes import integer_codes


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPolicy:
    """Which votes make a soft label, and which utterances have one.

    Attributes:
        classes: The labels that each class merges; the first gives the class its name.
        keep: all-in, any-vote, majority-mass or consensus.
        raters: external (every kind but "self"), all, or one kind.
        choices: primary, or all to count secondary choices too.
    """

    classes: tuple[tuple[str, ...], ...]
    keep: str = "all-in"
    raters: str = "external"
    choices: str = "primary"

    @property
    def names(self) -> tuple[str, ...]:
        """The classes' names."""
        return tuple(labels[0] for labels in self.classes)


def parse_classes(text: str) -> tuple[tuple[str, ...], ...]:
    """Read `--classes`.

    Raises:
        ConfigError: Fewer than two classes, an empty one, or a label in two of them.

    Examples:
        >>> parse_classes("neutral, happy+excited")
        (('neutral',), ('happy', 'excited'))
    """
    classes = tuple(
        tuple(label.strip().lower() for label in part.split("+")) for part in text.split(",")
    )
    labels = [label for labels in classes for label in labels]
    if len(classes) < 2 or not all(labels):
        raise ConfigError(f"--classes {text!r}: needs at least two classes, none of them empty")
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise ConfigError(f"--classes {text!r}: {', '.join(twice)} stands in it twice")
    return classes


def counted_votes(votes: VoteTable, *, raters: str, choices: str) -> Bool[np.ndarray, " vote"]:
    """Which votes count.

    Raises:
        ConfigError: No vote is of the kind asked for, or secondary choices are to count and there
            are none that add anything.
    """
    is_label = np.array([bool(label) for label in votes.labels], dtype=bool)
    counted = _of_raters(votes, raters) & is_label[np.asarray(votes.label)]
    primary = np.asarray(counted & votes.primary, dtype=bool)
    if choices == "primary":
        return primary
    every = np.asarray(counted & ~repeated_choices(votes), dtype=bool)
    if np.array_equal(every, primary):
        raise ConfigError(
            f"--choices all has no effect: no secondary choice of a counted rater (--raters "
            f"{raters}) adds a vote; leave it out"
        )
    return every


def repeated_choices(votes: VoteTable) -> Bool[np.ndarray, " vote"]:
    """Secondary choices of a label that the same rater gave to the same utterance before.

    A primary choice is before any secondary one, wherever it stands.
    """
    primary = np.asarray(votes.primary, dtype=bool)
    repeated = np.zeros(len(primary), dtype=bool)
    rows = np.flatnonzero(np.asarray(votes.rater, dtype=object) != "")
    if primary.all() or not len(rows):
        return repeated
    who = zip(votes.rater[rows], votes.kind[rows], strict=True)
    rater, num_raters = integer_codes(f"{kind}\0{name}" for name, kind in who)
    ballot = np.asarray(votes.utterance)[rows].astype(np.int64) * num_raters + rater
    code = ballot * len(votes.labels) + np.asarray(votes.label)[rows]
    order = np.lexsort((~primary[rows], code))
    again = np.flatnonzero(code[order][1:] == code[order][:-1]) + 1
    repeated[rows[order[again]]] = True
    return np.asarray(repeated & ~primary, dtype=bool)


def vote_counts(
    votes: VoteTable,
    counted: Bool[np.ndarray, " vote"],
    policy: LabelPolicy,
    *,
    num_utterances: int,
) -> tuple[Float[np.ndarray, "utterance class"], Float[np.ndarray, " utterance"]]:
    """Votes of each utterance in each class, and those that lie in none."""
    class_of = {label: c for c, labels in enumerate(policy.classes) for label in labels}
    outside = len(policy.classes)
    column = np.array([class_of.get(label, outside) for label in votes.labels] or [outside])
    counts = np.zeros((num_utterances, outside + 1))
    rows = np.asarray(votes.utterance)[counted]
    np.add.at(counts, (rows, column[np.asarray(votes.label)[counted]]), 1.0)
    return counts[:, :outside], counts[:, outside]


def kept(
    counts: Float[np.ndarray, "utterance class"],
    outside: Float[np.ndarray, " utterance"],
    *,
    keep: str,
    consensus_in: Bool[np.ndarray, " utterance"],
) -> Bool[np.ndarray, " utterance"]:
    """Which utterances a `--keep` policy lets in; none without a vote in the classes."""
    inside = counts.sum(axis=1)
    rule = {
        "all-in": outside == 0,
        "any-vote": np.ones(len(inside), dtype=bool),
        "majority-mass": inside > outside,
        "consensus": consensus_in,
    }[keep]
    return np.asarray((inside > 0) & rule, dtype=bool)


def _of_raters(votes: VoteTable, raters: str) -> Bool[np.ndarray, " vote"]:
    kinds = np.asarray(votes.kind, dtype=object)
    if raters == "all":
        return np.ones(len(kinds), dtype=bool)
    if raters == "external":
        return np.asarray(kinds != "self", dtype=bool)
    counted = np.asarray(kinds == raters, dtype=bool)
    if not counted.any():
        there = ", ".join(sorted(set(kinds))) or "none"
        raise ConfigError(f"--raters {raters}: no such kind of rater; the cache has {there}")
    return counted
