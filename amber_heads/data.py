"""From a cache to aligned arrays: which utterances count, with which soft label.

The label policy (policy.py) and the subset (subset.py) are applied here to the stored votes
(Eq. 1: `y_c = n_c / N`); every utterance left out is counted under its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from amber_cache.errors import ConfigError
from amber_cache.records import LABELS
from amber_cache.store import DONE, Cache, Embedding, VoteTable, data_hash, text_array
from amber_heads.policies.layers import LayeredEntry, parse_name, read_layers
from amber_heads.policies.policy import LabelPolicy, counted_votes, kept, parse_classes, vote_counts
from amber_heads.policies.subset import Subset, subset_mask, subset_texts

__all__ = [
    "COLUMNS",
    "Dataset",
    "LabelPolicy",
    "counted_votes",
    "kept",
    "load_dataset",
    "load_datasets",
    "parse_classes",
    "vote_counts",
]

#: What a modality's inputs are read from.
_Source: TypeAlias = Embedding | LayeredEntry

#: The utterance columns that splits, tables and plots use.
COLUMNS = ("speaker", "session", "dialogue", "split", "style", "text")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What stage two trains on: utterances that are complete and have a soft label.

    Attributes:
        ids: (N,) in the cache's order.
        inputs: By modality, (N, D_m) float32 embeddings; (N, L * D_m) where all layers are weighed.
        layers: By modality whose layers are weighed, their L entries in the order of the inputs.
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
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def num_layers(self, modality: str) -> int:
        """How many layers stand side by side in a modality's inputs; 1 without `layers`."""
        return len(self.layers.get(modality, (modality,)))


def load_dataset(
    cache: Cache,
    *,
    modalities: Sequence[str],
    encoders: Mapping[str, str],
    classes: str,
    keep: str,
    raters: str,
    choices: str,
    subset: Subset = (),
) -> Dataset:
    """Read a cache under a label policy, through one encoder a modality.

    Args:
        encoders: By modality, an entry, or `NAME@weighted` for all layers of one encoder; may be
            left out where the modality has but one entry.
        classes: As `--classes` has it; "" for every label that has votes.
        subset: As `parse_subset` gives it. What lies outside is as if it were not there, but that
            it is counted.

    Raises:
        CacheError: The cache lacks what is asked for, or is damaged.
        ConfigError: A class has no vote, no rater is of that kind, or nothing is left.
    """
    (dataset,) = load_datasets(
        cache,
        combinations=[encoders],
        modalities=modalities,
        classes=classes,
        keep=keep,
        raters=raters,
        choices=choices,
        subset=subset,
    )
    return dataset


def load_datasets(
    cache: Cache,
    *,
    combinations: Sequence[Mapping[str, str]],
    modalities: Sequence[str],
    classes: str,
    keep: str,
    raters: str,
    choices: str,
    subset: Subset = (),
) -> tuple[Dataset, ...]:
    """The same utterances through several combinations of encoders: those complete in every entry.

    Entries are in memory once. Arguments and errors are those of `load_dataset`; a combination is
    its `encoders`.
    """
    votes, table = cache.votes, cache.utterances
    inside = subset_mask(subset, table)
    counted = counted_votes(votes, raters=raters, choices=choices) & inside[votes.utterance]
    policy = label_policy(
        votes, counted, classes=classes, keep=keep, raters=raters, choices=choices
    )
    counts, outside = vote_counts(votes, counted, policy, num_utterances=len(table))
    _refuse_unvoted_classes(counts, policy, votes, counted)
    asked = dict.fromkeys((m, one.get(m)) for m in modalities for one in combinations)
    entries = {one: _source(cache, *one) for one in asked}
    subset_reason = {f"outside the subset {' '.join(subset_texts(subset))}": ~inside}
    reasons = subset_reason | _reasons(entries, counts, outside, table.consensus, policy)
    used, left_out = _sifted(reasons)
    if not used.any():
        told = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise ConfigError(f"{cache.path}: no utterance is left to train on: {told}")
    # One by one: what all utterances have must not stand beside what is used of it.
    inputs = {one: _input(entries.pop(one), used) for one in asked}
    return tuple(
        _dataset(
            cache,
            {m: inputs[m, one.get(m)] for m in modalities},
            policy,
            counts,
            used,
            left_out,
        )
        for one in combinations
    )


def _source(cache: Cache, modality: str, name: str | None) -> _Source:
    if name is not None and parse_name(name).layer is None:
        return read_layers(cache, modality, name)
    return cache.embeddings(modality, name)


@dataclass(frozen=True)
class _Input:
    """What is used of an entry, or of several layers' entries."""

    name: str
    attrs: Mapping[str, Any]
    layers: tuple[str, ...]
    vectors: Float[np.ndarray, "used _"]


def _input(source: _Source, used: Bool[np.ndarray, " utterance"]) -> _Input:
    if isinstance(source, LayeredEntry):
        layers = tuple(one.name for one in source.layers)
        return _Input(source.name, source.attrs, layers, source.vectors(used))
    vectors = source.vectors if used.all() else source.vectors[used]
    return _Input(source.name, source.attrs, (), np.ascontiguousarray(vectors))


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


def _reasons(
    entries: Mapping[tuple[str, str | None], _Source],
    counts: Float[np.ndarray, "utterance class"],
    outside: Float[np.ndarray, " utterance"],
    consensus: np.ndarray,
    policy: LabelPolicy,
) -> dict[str, Bool[np.ndarray, " utterance"]]:
    """Why the label policy and the encoders leave whom out; an utterance may have several."""
    in_classes = {label for labels in policy.classes for label in labels}
    modalities = [modality for modality, _ in entries]
    consensus_in = np.array([label in in_classes for label in consensus], dtype=bool)
    return {
        "without a counted vote": (counts.sum(axis=1) + outside) == 0,
        f"not kept by {policy.keep}": ~kept(
            counts, outside, keep=policy.keep, consensus_in=consensus_in
        ),
        **{
            f"without {'every layer of ' * isinstance(entry, LayeredEntry)}{m}"
            + f" of {entry.name}" * (modalities.count(m) > 1): entry.status != DONE
            for (m, _), entry in entries.items()
        },
    }


def _sifted(
    reasons: Mapping[str, Bool[np.ndarray, " utterance"]],
) -> tuple[Bool[np.ndarray, " utterance"], dict[str, int]]:
    """Who is used, and how many are left out for what: each under its first reason."""
    left = np.ones(len(next(iter(reasons.values()))), dtype=bool)
    left_out = {}
    for reason, mask in reasons.items():
        if count := int((left & mask).sum()):
            left_out[reason] = count
        left &= ~mask
    return left, left_out


def _dataset(
    cache: Cache,
    inputs: Mapping[str, _Input],
    policy: LabelPolicy,
    counts: Float[np.ndarray, "utterance class"],
    used: Bool[np.ndarray, " utterance"],
    left_out: Mapping[str, int],
) -> Dataset:
    table = cache.utterances
    columns = {name: np.asarray(getattr(table, name), dtype=object)[used] for name in COLUMNS}
    ids = np.asarray(table.id, dtype=object)[used]
    kept_counts = counts[used]
    layers = {name: one.layers for name, one in inputs.items() if one.layers}
    vectors = {name: one.vectors for name, one in inputs.items()}
    layer_names = [text_array(some) for some in layers.values()]
    split_columns = [columns[name] for name in ("speaker", "session", "dialogue", "split")]
    return Dataset(
        corpus=cache.corpus,
        ids=ids,
        inputs=vectors,
        encoders={name: one.name for name, one in inputs.items()},
        encoder_attributes={name: dict(one.attrs) for name, one in inputs.items()},
        classes=policy.names,
        counts=kept_counts,
        target=kept_counts / kept_counts.sum(axis=1, keepdims=True),
        columns=columns,
        left_out=dict(left_out),
        fingerprint=data_hash(
            ids,
            text_array(policy.names),
            kept_counts,
            *vectors.values(),
            *split_columns,
            *layer_names,
        ),
        layers=layers,
    )
