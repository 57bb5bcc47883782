"""What the votes of a corpus look like under a label policy: counts, soft labels, who is left out.

The policy itself is data.py's; here it is only counted what it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from amber_cache.store import VoteTable
from amber_heads.data import LabelPolicy, kept, vote_counts
from amber_heads.formulas.agreement import entropy_per_utterance

#: Every policy of `--keep`, the strictest first.
KEEPS = ("all-in", "majority-mass", "any-vote", "consensus")

#: Width of a bin of entropies, in bits; the wide one where there are more than 8 classes.
_BIN_BITS, _WIDE_BIN_BITS = 0.25, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCount:
    """The votes of one kind of rater, whether they are counted or not.

    Attributes:
        raters: Raters with a name.
        unnamed: Votes without a rater's name.
        several: A rater's votes on an utterance beyond the first: her further labels.
        utterances: Utterances with such a vote.
    """

    kind: str
    votes: int
    secondary: int
    raters: int
    unnamed: int
    several: int
    utterances: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCount:
    """One class over the utterances that the policy keeps.

    Attributes:
        votes: Counted votes in it.
        mass: Sum of its soft labels.
        arg_max: Utterances of which it is the first among the most voted.
        tied: Of these, utterances where another class has as many votes.
        consensus: Utterances whose consensus label, the corpus's own, lies in it.
    """

    name: str
    labels: tuple[str, ...]
    votes: int
    mass: float
    arg_max: int
    tied: int
    consensus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepCount:
    """What a `--keep` policy keeps, and what it leaves out, each under its first reason.

    Attributes:
        entropy_mean: Of the kept soft labels, in bits; None where none is kept.
    """

    keep: str
    kept: int
    entropy_mean: float | None
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntropyCount:
    """Entropies of the kept soft labels, in bits.

    Attributes:
        zero: Utterances with all votes in one class.
        edges: Of the bins, ascending from 0; a bin holds its upper edge and not its lower.
        counts: One fewer than the edges.
    """

    mean: float
    zero: int
    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Votes by utterance and class under a policy, and whom it keeps."""

    policy: LabelPolicy
    counts: Float[np.ndarray, "utterance class"]
    outside: Float[np.ndarray, " utterance"]
    consensus: Shaped[np.ndarray, " utterance"]
    consensus_in: Bool[np.ndarray, " utterance"]
    kept: Bool[np.ndarray, " utterance"]


def numbered(values: Shaped[np.ndarray, " item"]) -> tuple[Int[np.ndarray, " item"], list[str]]:
    """Each text's number in order of appearance, and the texts.

    >>> numbered(np.array(["b", "a", "b"], dtype=object))
    (array([0, 1, 0]), ['b', 'a'])
    """
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(value, len(numbers)) for value in values.tolist()]
    return np.array(codes, dtype=np.int64), list(numbers)


def rater_numbers(names: Shaped[np.ndarray, " vote"]) -> Int[np.ndarray, " vote"]:
    """A number for each rater; every vote without a rater's name has a number of its own.

    >>> rater_numbers(np.array(["r1", "", "r1", ""], dtype=object))
    array([0, 3, 0, 5])
    """
    codes, different = numbered(names)
    if "" not in different:
        return codes
    own = len(different) + np.arange(len(codes))
    return np.where(codes == different.index(""), own, codes)


def label_votes(
    votes: VoteTable,
    counted: Bool[np.ndarray, " vote"],
    policy: LabelPolicy,
    consensus: Shaped[np.ndarray, " utterance"],
) -> Labelled:
    """Count the votes by class, and see whom the policy keeps."""
    counts, outside = vote_counts(votes, counted, policy, num_utterances=len(consensus))
    in_classes = {label for labels in policy.classes for label in labels}
    consensus_in = np.array([label in in_classes for label in consensus], dtype=bool)
    who = kept(counts, outside, keep=policy.keep, consensus_in=consensus_in)
    return Labelled(policy, counts, outside, consensus, consensus_in, who)


def count_kinds(votes: VoteTable, raters: Int[np.ndarray, " vote"]) -> tuple[KindCount, ...]:
    """The votes by kind of rater.

    Args:
        raters: `rater_numbers` of the votes.
    """
    codes, names = numbered(votes.kind)
    nameless = np.asarray(votes.rater == "", dtype=bool)
    return tuple(
        _count_kind(votes, name, codes == code, raters, nameless)
        for name, code in sorted((name, code) for code, name in enumerate(names))
    )


def _count_kind(
    votes: VoteTable,
    kind: str,
    of_kind: Bool[np.ndarray, " vote"],
    raters: Int[np.ndarray, " vote"],
    nameless: Bool[np.ndarray, " vote"],
) -> KindCount:
    utterance, rater = votes.utterance[of_kind].astype(np.int64), raters[of_kind]
    answers = len(np.unique(utterance * (int(raters.max()) + 1) + rater))
    return KindCount(
        kind=kind,
        votes=int(of_kind.sum()),
        secondary=int((of_kind & ~votes.primary).sum()),
        raters=int(np.count_nonzero(np.bincount(raters[of_kind & ~nameless]))),
        unnamed=int((of_kind & nameless).sum()),
        several=int(of_kind.sum()) - answers,
        utterances=int(np.count_nonzero(np.bincount(utterance))),
    )


def count_per_utterance(
    votes: VoteTable, counted: Bool[np.ndarray, " vote"], *, num_utterances: int
) -> dict[int, int]:
    """How many utterances have how many counted votes, ascending; zero too where there are such."""
    each = np.bincount(votes.utterance[counted], minlength=num_utterances)
    numbers, times = np.unique(each, return_counts=True)
    return dict(zip(numbers.tolist(), times.tolist(), strict=True))


def count_classes(labelled: Labelled) -> tuple[ClassCount, ...]:
    """Every class over the utterances that are kept."""
    counts = labelled.counts[labelled.kept]
    consensus = labelled.consensus[labelled.kept]
    mass = _soft(counts).sum(axis=0)
    first = counts.argmax(axis=1)
    tied = (counts == counts.max(axis=1, keepdims=True, initial=0)).sum(axis=1) > 1
    return tuple(
        ClassCount(
            name=labels[0],
            labels=labels,
            votes=int(counts[:, c].sum()),
            mass=float(mass[c]),
            arg_max=int((first == c).sum()),
            tied=int(((first == c) & tied).sum()),
            consensus=sum(label in labels for label in consensus.tolist()),
        )
        for c, labels in enumerate(labelled.policy.classes)
    )


def count_keeps(labelled: Labelled) -> tuple[KeepCount, ...]:
    """What each policy of `--keep` would do with the same votes and classes."""
    return tuple(_count_keep(labelled, keep) for keep in KEEPS)


def _count_keep(labelled: Labelled, keep: str) -> KeepCount:
    counts, outside = labelled.counts, labelled.outside
    inside = counts.sum(axis=1)
    who = kept(counts, outside, keep=keep, consensus_in=labelled.consensus_in)
    reasons = {
        "no counted vote": inside + outside == 0,
        "no vote in the classes": inside == 0,
        "a vote outside": outside > 0,
        "half or more outside": inside <= outside,
        "no consensus": labelled.consensus == "",
        "consensus outside": ~labelled.consensus_in,
    }
    left, left_out = ~who, {}
    for reason in _REASONS[keep]:
        mask = np.asarray(reasons[reason], dtype=bool)
        left_out[reason] = int((left & mask).sum())
        left = left & ~mask
    entropies = entropy_per_utterance(_soft(counts[who]))
    mean = float(entropies.mean()) if len(entropies) else None
    return KeepCount(keep=keep, kept=int(who.sum()), entropy_mean=mean, left_out=left_out)


_NO_VOTES = ("no counted vote", "no vote in the classes")
_REASONS: dict[str, Sequence[str]] = {
    "all-in": (*_NO_VOTES, "a vote outside"),
    "majority-mass": (*_NO_VOTES, "half or more outside"),
    "any-vote": _NO_VOTES,
    "consensus": (*_NO_VOTES, "no consensus", "consensus outside"),
}


def count_entropies(labelled: Labelled) -> EntropyCount | None:
    """The entropies of the soft labels that are kept; None where none is."""
    entropies = entropy_per_utterance(_soft(labelled.counts[labelled.kept]))
    if not len(entropies):
        return None
    num_classes = len(labelled.policy.classes)
    width = _BIN_BITS if num_classes <= 8 else _WIDE_BIN_BITS
    num_bins = int(np.ceil(np.log2(num_classes) / width - 1e-9))
    # An even split over 2 classes may come out as 1 + 2e-16 bits, which is still 1.
    bins = np.ceil(entropies / width - 1e-9).astype(int)
    counts = np.bincount(bins, minlength=num_bins + 1)
    return EntropyCount(
        mean=float(entropies.mean()),
        zero=int(counts[0]),
        edges=tuple(width * number for number in range(num_bins + 1)),
        counts=tuple(counts[1:].tolist()),
    )


def _soft(counts: Float[np.ndarray, "utterance class"]) -> Float[np.ndarray, "utterance class"]:
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))
