"""All numbers about one test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from amber_heads.formulas.classification import top_classes
from amber_heads.reading.evidence import Evidence
from amber_heads.reporting.ambiguity_levels import Levels, levels_of_conflict, levels_of_entropy
from amber_heads.reporting.calibrated import Calibrated, Selective, calibrate, select
from amber_heads.reporting.choices import Choices, choose, modality_conflict, modality_heads
from amber_heads.reporting.confusions import Confusion, confusion
from amber_heads.reporting.differences import Clusters, Compared, clusters_of, compare_all
from amber_heads.reporting.experts import ExpertWeights, weights_of
from amber_heads.reporting.raters import Raters, raters_of
from amber_heads.reporting.scores import Score, score_all
from amber_heads.reporting.searches import HeatMap, heat_maps

#: How many systems have a confusion matrix.
_CONFUSED = 3


@dataclass(frozen=True)
class Part:
    """One test set's numbers.

    Attributes:
        compared: By metric; empty with one system.
        conflict: (N,) and whose heads it is from; None where none were trained apart.
        absent: (fold, class) where no tested utterance leads with the class.
    """

    evidence: Evidence
    choices: Choices
    scores: tuple[Score, ...]
    clusters: Clusters
    compared: Mapping[str, list[Compared]]
    raters: Raters
    entropy_levels: Levels
    conflict: tuple[np.ndarray, str] | None
    conflict_levels: Levels | None
    calibrated: tuple[Calibrated, ...]
    selective: tuple[Selective, ...]
    confusions: tuple[Confusion, ...]
    experts: ExpertWeights | None
    heat_maps: tuple[HeatMap, ...]
    absent: tuple[tuple[int, str], ...]

    @property
    def name(self) -> str:
        """The test set's."""
        return self.evidence.test_sets[0]


def make_part(
    evidence: Evidence,
    *,
    reference: str | None = None,
    clusters: str | None = None,
    quantiles: int | None = None,
) -> Part:
    """Compute everything about one test set.

    Raises:
        AmberError: There is no such reference, or no such clusters.
    """
    choices = choose(evidence, reference=reference)
    grouped = clusters_of(evidence, clusters)
    against = choices.reference
    conflict = _conflict(evidence)
    alone = None if conflict is None else conflict[0]
    sound = [one for one in choices.shown if not np.isnan(one.test).all(axis=(1, 2)).all()]
    calibrated = [calibrate(evidence, one) for one in sound]
    return Part(
        evidence=evidence,
        choices=choices,
        scores=tuple(score_all(evidence)),
        clusters=grouped,
        compared={} if against is None else compare_all(evidence, against, grouped),
        raters=raters_of(evidence),
        entropy_levels=levels_of_entropy(evidence, sound, quantiles=quantiles),
        conflict=conflict,
        conflict_levels=None if alone is None else levels_of_conflict(evidence, sound, alone),
        calibrated=tuple(one for one in calibrated if one is not None),
        selective=tuple(select(evidence, sound, alone)),
        confusions=tuple(confusion(evidence.target, one) for one in sound[:_CONFUSED]),
        experts=weights_of(evidence, choices.leading),
        heat_maps=tuple(heat_maps(evidence, evidence.test_sets[0])),
        absent=tuple(_absent(evidence)),
    )


def _conflict(evidence: Evidence) -> tuple[np.ndarray, str] | None:
    heads = modality_heads(evidence)
    if not heads:
        return None
    found = modality_conflict(heads)
    if np.isnan(found).any():
        return None
    return found, " and ".join(one.label for one in heads)


def _absent(evidence: Evidence) -> list[tuple[int, str]]:
    truth = top_classes(evidence.target).argmax(-1)
    return [
        (int(fold), name)
        for fold in np.unique(evidence.fold)
        for number, name in enumerate(evidence.classes)
        if not (truth[evidence.fold == fold] == number).any()
    ]
