"""Every metric of every system: seed by seed, of the seeds' ensemble, and of the floors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from amber_heads.metrics import METRICS
from amber_heads.reading.evidence import Evidence
from amber_heads.reporting.choices import floor_predictions
from amber_heads.statistics.ensembles import seed_ensemble
from amber_heads.summary import measure

#: What a row of scores is of.
SYSTEM, ENSEMBLE, FLOOR = "system", "ensemble", "floor"


@dataclass(frozen=True)
class Figure:
    """One metric of one system.

    Attributes:
        std: Over seeds, ddof = 1; NaN for a single seed or a figure that has none.
    """

    mean: float
    std: float
    per_seed: tuple[float, ...]


@dataclass(frozen=True)
class Score:
    """One system's row: `kind` is SYSTEM, ENSEMBLE (of its seeds) or FLOOR."""

    name: str
    head: str
    kind: str
    figures: Mapping[str, Figure]

    @property
    def label(self) -> str:
        """Name and head, and whether it is the seeds' ensemble."""
        suffix = ", seed ensemble" if self.kind == ENSEMBLE else ""
        return f"{self.name} {self.head}".strip() + suffix


def score_all(evidence: Evidence) -> list[Score]:
    """Systems in order, each followed by its seeds' ensemble where there are several; floors."""
    scores = []
    for one in evidence.systems:
        scores.append(score(evidence.target, one.test, name=one.name, head=one.head))
        if len(evidence.seeds) > 1:
            together = seed_ensemble(one.test)[None]
            row = score(evidence.target, together, name=one.name, head=one.head, kind=ENSEMBLE)
            scores.append(row)
    for name, predicted in floor_predictions(evidence).items():
        scores.append(score(evidence.target, predicted, name=name, head="", kind=FLOOR))
    return scores


def score(
    target: Float[np.ndarray, "utterance class"],
    prediction: Float[np.ndarray, "seed utterance class"],
    *,
    name: str,
    head: str = "",
    kind: str = SYSTEM,
) -> Score:
    """All metrics of a system; NaN where one of its seeds has diverged, as in summary.json."""
    by_seed = [measure(target, one) for one in prediction]
    return Score(
        name,
        head,
        kind,
        {metric: spread([one[metric] for one in by_seed]) for metric in METRICS},
    )


def spread(per_seed: list[float]) -> Figure:
    """Mean and standard deviation over seeds."""
    std = float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else float("nan")
    return Figure(float(np.mean(per_seed)), std, tuple(per_seed))
