"""From a cache to aligned arrays: which utterances count, with which soft label.

The class set, merging, the raters who count and the `--keep` policy are applied here to the
stored votes (Eq. 1: `y_c = n_c / N`); every utterance left out is counted under its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from amber_cache.errors import ConfigError
from amber_cache.records import LABELS
from amber_cache.store import DONE, Cache, Embedding, VoteTable, data_hash, text_array

#: The utterance columns that splits, tables and plots use.
COLUMNS = ("speaker", "session", "dialogue", "split", "style", "text")


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


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What stage two trains on: utterances that are complete and have a soft label.

    Attributes:
        ids: (N,) in the cache's order.
        inputs: By modality, (N, D_m) float32 embeddings.
        encoders: By modality, the cache entry's name.
        encoder_attributes: By modality, how the entry was made.
        counts: (N, C) votes in each class.
        target: (N, C) float64 soft labels; rows sum to one.
        columns: By name, (N,) strings: speaker, session, dialogue, split, style, text.
        left_out: Utterances not used, by reason.
        fingerprint: SHA-256 of the ids, classes, votes, vectors and split columns above.
    """

    corpus: str
    ids: np.ndarray
    inputs: Mapping[str, np.ndarray]
    encoders: Mapping[str, str]
    encoder_attributes: Mapping[str, Mapping[str, Any]]
    classes: tuple[str, ...]
    counts: np.ndarray
    target: np.ndarray
    columns: Mapping[str, np.ndarray]
    left_out: Mapping[str, int]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.ids)


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


def load_dataset(
    cache: Cache,
    *,
    modalities: Sequence[str],
    encoders: Mapping[str, str],
    classes: str,
    keep: str,
    raters: str,
    choices: str,
) -> Dataset:
    """Read a cache under a label policy.

    Args:
        classes: As `--classes` has it; "" for every label that has votes.

    Raises:
        CacheError: The cache lacks what is asked for, or is damaged.
        ConfigError: A class has no vote, no rater is of that kind, or nothing is left.
    """
    votes, table = cache.votes, cache.utterances
    counted = counted_votes(votes, raters=raters, choices=choices)
    policy = label_policy(
        votes, counted, classes=classes, keep=keep, raters=raters, choices=choices
    )
    counts, outside = vote_counts(votes, counted, policy, num_utterances=len(table))
    _refuse_unvoted_classes(counts, policy, votes, counted)
    entries = {name: cache.embeddings(name, encoders.get(name)) for name in modalities}
    used, left_out = _used(entries, counts, outside, table.consensus, policy)
    if not used.any():
        reasons = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise ConfigError(f"{cache.path}: no utterance is left to train on: {reasons}")
    return _dataset(cache, entries, policy, counts, used, left_out)


def label_policy(
    votes: VoteTable,
    counted: Bool[np.ndarray, " vote"],
    *,
    classes: str,
    keep: str,
    raters: str,
    choices: str,
) -> LabelPolicy:
    """The policy that these words ask for, on these votes.

    Args:
        classes: As `--classes` has it; "" for every label that has counted votes.

    Raises:
        ConfigError: There are fewer than two classes, or a label that nobody knows.
    """
    groups = parse_classes(classes) if classes else _voted_labels(votes, counted)
    policy = LabelPolicy(classes=groups, keep=keep, raters=raters, choices=choices)
    _refuse_unknown_labels(policy, votes)
    return policy


def counted_votes(votes: VoteTable, *, raters: str, choices: str) -> Bool[np.ndarray, " vote"]:
    """Which votes count.

    Raises:
        ConfigError: No vote is of the kind asked for.
    """
    kinds = np.asarray(votes.kind, dtype=object)
    if raters == "all":
        counted = np.ones(len(kinds), dtype=bool)
    elif raters == "external":
        counted = np.asarray(kinds != "self", dtype=bool)
    else:
        counted = np.asarray(kinds == raters, dtype=bool)
        if not counted.any():
            there = ", ".join(sorted(set(kinds))) or "none"
            raise ConfigError(f"--raters {raters}: no such kind of rater; the cache has {there}")
    return counted if choices == "all" else counted & np.asarray(votes.primary, dtype=bool)


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


def _voted_labels(
    votes: VoteTable, counted: Bool[np.ndarray, " vote"]
) -> tuple[tuple[str, ...], ...]:
    present = {votes.labels[i] for i in np.unique(np.asarray(votes.label)[counted])}
    known = [label for label in LABELS if label in present]
    names = [*known, *sorted(present - set(LABELS))]
    if len(names) < 2:
        raise ConfigError(
            f"the votes name {', '.join(names) or 'no label'}; at least two classes are needed"
        )
    return tuple((name,) for name in names)


def _refuse_unknown_labels(policy: LabelPolicy, votes: VoteTable) -> None:
    """A label that neither the corpus nor the common vocabulary has is a spelling mistake."""
    known = {*votes.labels, *LABELS}
    if unknown := [label for labels in policy.classes for label in labels if label not in known]:
        raise ConfigError(
            f"--classes: no vote names the label {', '.join(unknown)}; "
            f"the votes name {', '.join(votes.labels)}"
        )


def _refuse_unvoted_classes(
    counts: Float[np.ndarray, "utterance class"],
    policy: LabelPolicy,
    votes: VoteTable,
    counted: Bool[np.ndarray, " vote"],
) -> None:
    empty = [policy.names[c] for c in np.flatnonzero(counts.sum(axis=0) == 0)]
    if empty:
        voted = [labels[0] for labels in _voted_labels(votes, counted)]
        raise ConfigError(
            f"no counted vote names the class {', '.join(empty)}; "
            f"--classes may name {', '.join(voted)}"
        )


def _used(
    entries: Mapping[str, Embedding],
    counts: Float[np.ndarray, "utterance class"],
    outside: Float[np.ndarray, " utterance"],
    consensus: np.ndarray,
    policy: LabelPolicy,
) -> tuple[Bool[np.ndarray, " utterance"], dict[str, int]]:
    """Who is used, and how many are left out for what: each under its first reason."""
    in_classes = {label for labels in policy.classes for label in labels}
    consensus_in = np.array([label in in_classes for label in consensus], dtype=bool)
    no_vote = (counts.sum(axis=1) + outside) == 0
    not_kept = ~kept(counts, outside, keep=policy.keep, consensus_in=consensus_in)
    reasons = {"without a counted vote": no_vote, f"not kept by {policy.keep}": not_kept}
    for modality, entry in entries.items():
        reasons[f"without {modality}"] = entry.status != DONE
    left = np.ones(len(no_vote), dtype=bool)
    left_out = {}
    for reason, mask in reasons.items():
        if count := int((left & mask).sum()):
            left_out[reason] = count
        left &= ~mask
    return left, left_out


def _dataset(
    cache: Cache,
    entries: Mapping[str, Embedding],
    policy: LabelPolicy,
    counts: Float[np.ndarray, "utterance class"],
    used: Bool[np.ndarray, " utterance"],
    left_out: Mapping[str, int],
) -> Dataset:
    table = cache.utterances
    columns = {name: np.asarray(getattr(table, name), dtype=object)[used] for name in COLUMNS}
    ids = np.asarray(table.id, dtype=object)[used]
    inputs = {name: np.ascontiguousarray(entry.vectors[used]) for name, entry in entries.items()}
    kept_counts = counts[used]
    split_columns = [columns[name] for name in ("speaker", "session", "dialogue", "split")]
    return Dataset(
        corpus=cache.corpus,
        ids=ids,
        inputs=inputs,
        encoders={name: entry.name for name, entry in entries.items()},
        encoder_attributes={name: dict(entry.attrs) for name, entry in entries.items()},
        classes=policy.names,
        counts=kept_counts,
        target=kept_counts / kept_counts.sum(axis=1, keepdims=True),
        columns=columns,
        left_out=dict(left_out),
        fingerprint=data_hash(
            ids, text_array(policy.names), kept_counts, *inputs.values(), *split_columns
        ),
    )
