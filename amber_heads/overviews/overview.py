"""What is in a corpus or a cache, at a glance: the tables in, a plain result out.

`make_overview` asks contents.py, vote_statistics.py, vote_agreement.py and leaks.py for its parts.
The result holds plain numbers and text, ready for JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from amber_cache.errors import ConfigError
from amber_cache.store import EmbeddingCount
from amber_heads.configuration.settings import OverviewConfig, TrainingConfig, complete_policy
from amber_heads.data import COLUMNS, counted_votes, label_policy
from amber_heads.overviews import vote_statistics as statistics
from amber_heads.overviews.contents import (
    GROUPS,
    Group,
    Missing,
    Part,
    Tables,
    group_of,
    missing_of,
    part_of,
    parts_of,
)
from amber_heads.overviews.leaks import FoldLeakage, fold_leakage, fold_settings
from amber_heads.overviews.recognition import Recognition, recognition_of
from amber_heads.overviews.vote_agreement import (
    Agreement,
    Pair,
    RatingAgreement,
    agreements,
    rating_agreements,
)
from amber_heads.statistics.reliability import LEVEL, NUM_RESAMPLES


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Everything that `amber corpus` tells.

    Attributes:
        place: What was looked at.
        policy: protocol, classes, keep, raters, choices.
        whole: All utterances.
        entries: A cache's embeddings: done, failed and pending rows.
        recognition: Its transcripts, beside the reference.
        votes_per_utterance: Number of counted votes -> utterances.
        counted: Votes that the policy counts.
        kept: Utterances that it keeps.
        classes, keeps, entropy: () and None where no classes can be made of the votes.
        interval: How the coefficients' intervals were made.
        pairs: Of the counted votes, all that occur.
        leakage: What the folds would leak; None where no utterance is kept.
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
    recognition: tuple[Recognition, ...]
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
    leakage: FoldLeakage | None
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, text, lists and dictionaries."""
        return asdict(self)


def make_overview(
    tables: Tables, config: OverviewConfig, origins: Mapping[str, int] | None = None
) -> Overview:
    """Count everything there is to count, under a label policy.

    Args:
        origins: Where each setting came from; see `settings.complete`.

    Raises:
        ConfigError: The label settings ask for what is not there, or those of the folds can't be.
    """
    folding = fold_settings(config, origins or {}, protocol=tables.protocol)
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
        whole=part_of(table, "all", "", every),
        parts=tuple(parts_of(table)),
        groups=tuple(group_of(name, getattr(table, name)) for name in GROUPS),
        entries=tables.entries,
        recognition=tuple(recognition_of(table.text, one) for one in tables.transcripts),
        missing=tuple(missing_of(tables, counted)),
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
        leakage=_leakage(tables, labelled, folding),
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


def _leakage(
    tables: Tables, labelled: statistics.Labelled | None, folding: TrainingConfig
) -> FoldLeakage | None:
    if labelled is None or not labelled.kept.any():
        return None
    kept = labelled.kept
    columns = {name: getattr(tables.utterances, name)[kept] for name in COLUMNS}
    counts = labelled.counts[kept]
    return fold_leakage(folding, columns, counts / counts.sum(axis=1, keepdims=True))


def _policy(config: OverviewConfig, labelled: statistics.Labelled | None) -> dict[str, Any]:
    classes = () if labelled is None else labelled.policy.classes
    return {
        "protocol": config.protocol,
        "classes": ["+".join(labels) for labels in classes],
        "keep": config.keep,
        "raters": config.raters,
        "choices": config.choices,
    }


def require_classes(overview: Overview) -> None:
    """Refuse to draw what is not there.

    Raises:
        ConfigError: No utterance has a soft label under the policy.
    """
    if overview.entropy is None:
        reason = overview.notes[0] if overview.notes else "no utterance is kept."
        raise ConfigError(f"--figures: there is nothing to draw: {reason} Leave it out")
