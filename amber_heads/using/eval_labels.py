"""A cache's votes, read for the classes of a run that was trained elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from amber_cache.store import Cache
from amber_heads.configuration.settings import OverviewConfig, complete_policy
from amber_heads.configuration.use_options import EvalConfig
from amber_heads.policies.policy import LabelPolicy, counted_votes, kept, parse_classes, vote_counts
from amber_heads.policies.subset import parse_subset, subset_mask, subset_texts
from amber_heads.using.label_map import LabelMap, make_label_map, parse_label_map
from amber_heads.using.loaded import LoadedRun
from amber_heads.using.own_folds import configuration

#: What a label policy is told beside the classes.
POLICY = ("protocol", "keep", "raters", "choices")


@dataclass(frozen=True)
class Labels:
    """A cache's votes, read for a run.

    Attributes:
        inside: Whether an utterance is in the subset.
        is_voted: Whether it has a counted vote.
        is_kept: Whether its votes give a soft label.
    """

    map: LabelMap | None
    policy: Mapping[str, Any]
    inside: Bool[np.ndarray, " utterance"]
    is_voted: Bool[np.ndarray, " utterance"]
    is_kept: Bool[np.ndarray, " utterance"]
    counts: Float[np.ndarray, "utterance class"]


def read_labels(run: LoadedRun, cache: Cache, config: EvalConfig) -> Labels:
    """Read a cache's votes for a run's classes.

    Raises:
        ConfigError: The map, the subset or the label policy can't be used.
    """
    votes, table = cache.votes, cache.utterances
    told = {name: getattr(config, name) for name in POLICY}
    policy = complete_policy(OverviewConfig(**told), cache.protocol)
    subset = parse_subset(config.subset, table)
    inside = subset_mask(subset, table)
    counted = counted_votes(votes, raters=str(policy.raters), choices=str(policy.choices))
    counted = counted & inside[votes.utterance]
    settings = {
        "map": str(config.map or ""),
        **{name: str(getattr(policy, name)) for name in told},
        "subset": list(subset_texts(subset)),
    }
    is_voted = np.zeros(len(table), dtype=bool)
    is_voted[np.asarray(votes.utterance)[counted]] = True
    if not counted.any():
        nothing = np.zeros(len(table), dtype=bool)
        return Labels(None, settings, inside, is_voted, nothing, np.zeros((len(table), 0)))
    voted = {votes.labels[one] for one in np.unique(np.asarray(votes.label)[counted])}
    mapped = make_label_map(
        parse_label_map(config.map, run.classes),
        _groups(run, cache.path),
        known=set(votes.labels) - {""},
        voted=voted,
    )
    groups = tuple(mapped.labels[name] for name in mapped.classes)
    rule = LabelPolicy(classes=groups, keep=str(policy.keep))
    counts, outside = vote_counts(votes, counted, rule, num_utterances=len(table))
    members = {label for group in groups for label in group}
    consensus_in = np.array([one in members for one in table.consensus], dtype=bool)
    is_kept = kept(counts, outside, keep=rule.keep, consensus_in=consensus_in)
    return Labels(mapped, settings, inside, is_voted, is_kept, counts)


def _groups(run: LoadedRun, cache: Path) -> list[tuple[str, ...]]:
    """The run's classes with the labels that each merges."""
    told = str(configuration(run, cache).classes or "")
    groups = list(parse_classes(told)) if told else []
    if [group[0] for group in groups] != list(run.classes):
        return [(name,) for name in run.classes]
    return groups
