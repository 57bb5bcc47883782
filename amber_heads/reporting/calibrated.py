"""Whether a system's probabilities mean what they say, and whether it knows where it is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amber_heads.formulas.agreement import entropy_per_utterance, js_per_utterance
from amber_heads.metrics import evaluate
from amber_heads.reading.evidence import Evidence, System
from amber_heads.statistics.calibration import (
    BrierParts,
    Reliability,
    brier_decomposition,
    class_reliability,
    risk_coverage,
    top_reliability,
)
from amber_heads.statistics.ensembles import seed_ensemble, sound_seeds
from amber_heads.statistics.temperature import scale_by_fold

#: A risk-coverage curve is drawn through so many of its points.
_POINTS = 120


@dataclass(frozen=True)
class Calibrated:
    """One system's calibration.

    Attributes:
        ece_soft: The mean over seeds, as in the table of scores. Likewise the two `ece_hard`.
        top: Of all seeds' predictions together. Likewise `by_class` and `brier`.
        temperature: Mean over folds and seeds of what was fitted on validation; None without
            validation predictions.
        scaled: js, ece_soft and brier after scaling, means over seeds; empty likewise.
    """

    label: str
    ece_soft: float
    ece_hard_5: float
    ece_hard_15: float
    top: Reliability
    by_class: tuple[Reliability, ...]
    brier: BrierParts
    temperature: float | None
    scaled: dict[str, float]


@dataclass(frozen=True)
class Selective:
    """One system's mean JS where only its most certain utterances are kept.

    Attributes:
        by: What certainty is read from.
        coverage: At `_POINTS` points at most.
        area: Under the whole curve. `best_area`: of the best order there is.
    """

    label: str
    by: str
    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    area: float
    best_area: float


def calibrate(evidence: Evidence, system: System) -> Calibrated | None:
    """Reliability of all seeds together, errors as means over seeds; None if all diverged."""
    seeds = sound_seeds(system.test)
    if not len(seeds):
        return None
    by_seed = [evaluate(evidence.target, one) for one in seeds]
    target = np.tile(evidence.target, (len(seeds), 1))
    pooled = seeds.reshape(target.shape)
    temperature, scaled = _scaled(evidence, system)
    return Calibrated(
        label=system.label,
        **{
            name: float(np.mean([one[name] for one in by_seed]))
            for name in ("ece_soft", "ece_hard_5", "ece_hard_15")
        },
        top=top_reliability(target, pooled),
        by_class=class_reliability(target, pooled),
        brier=brier_decomposition(target, pooled),
        temperature=temperature,
        scaled=scaled,
    )


def select(
    evidence: Evidence, systems: Sequence[System], conflict: np.ndarray | None
) -> list[Selective]:
    """By the entropy of the seeds' mean distribution, and by conflict where there is one."""
    found = []
    for system in systems:
        mean = seed_ensemble(system.test)
        if np.isnan(mean).any():
            continue
        risk = js_per_utterance(evidence.target, mean)
        orders = {"the prediction's entropy": entropy_per_utterance(mean)}
        if conflict is not None:
            orders["modality conflict"] = conflict
        found += [_selective(system.label, by, risk, order) for by, order in orders.items()]
    return found


def _selective(label: str, by: str, risk: np.ndarray, order: np.ndarray) -> Selective:
    curve = risk_coverage(risk, order)
    points = np.unique(np.linspace(0, len(risk) - 1, _POINTS).round().astype(int))
    return Selective(
        label=label,
        by=by,
        coverage=tuple(curve.coverage[points].tolist()),
        risk=tuple(curve.risk[points].tolist()),
        area=curve.area,
        best_area=curve.best_area,
    )


def _scaled(evidence: Evidence, system: System) -> tuple[float | None, dict[str, float]]:
    """Each run's predictions with the temperature of its own fold's validation part.

    Validation utterances that are never tested are set beside the others, with fold -1.
    """
    if system.validation is None:
        return None, {}
    test, validation, target, fold = system.test, system.validation, evidence.target, evidence.fold
    if system.beside is not None and evidence.beside_target is not None:
        extra = len(evidence.beside_target)
        shape = (len(test), extra, test.shape[2])
        test = np.concatenate([test, np.full(shape, np.nan)], axis=1)
        validation = np.concatenate([validation, system.beside], axis=2)
        target = np.concatenate([target, evidence.beside_target])
        fold = np.concatenate([fold, np.full(extra, -1)])
    scaled, temperatures = scale_by_fold(test, validation, target, fold)
    kept = sound_seeds(scaled[:, : len(evidence.target)])
    if not len(kept) or np.isnan(temperatures).all():
        return None, {}
    by_seed = [evaluate(evidence.target, one) for one in kept]
    names = ("js", "ece_soft", "brier")
    means = {name: float(np.mean([one[name] for one in by_seed])) for name in names}
    return float(np.nanmean(temperatures)), means
