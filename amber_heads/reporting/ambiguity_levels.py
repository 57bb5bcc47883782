"""The same figures where raters, or modalities, agree and where they don't.

All systems and floors share the same levels. Figures are of each level's utterances alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from amber_heads.metrics import HEADLINE, METRICS
from amber_heads.reading.evidence import Evidence, System
from amber_heads.reporting.choices import floor_predictions
from amber_heads.reporting.raters import num_draws
from amber_heads.reporting.scores import FLOOR, SYSTEM
from amber_heads.statistics.levels import (
    Level,
    LevelFigure,
    by_level,
    conflict_levels,
    entropy_levels,
)
from amber_heads.statistics.noise import Expected, NoiseFloor, noise_floor, one_rater_reference

ENTROPY, CONFLICT = "raters' entropy", "modality conflict"


@dataclass(frozen=True)
class LevelScore:
    """One system in one level."""

    label: str
    kind: str
    figures: Mapping[str, LevelFigure]


@dataclass(frozen=True)
class Levels:
    """Utterances in levels, and every system's figures in each.

    Attributes:
        what: ENTROPY or CONFLICT; `axis` says it with its unit, `how` how levels were made.
        numbers: Utterances in each level. Likewise `raters`, votes an utterance.
        lines: One tuple of levels a system, floors last.
        one_rater: Each level's one-rater reference by metric; NaN where there is none.
        perfect: Each level's noise floor by metric of `HEADLINE`; None where none can be claimed.
    """

    what: str
    axis: str
    how: str
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    raters: tuple[float, ...]
    lines: tuple[tuple[LevelScore, ...], ...]
    one_rater: tuple[Mapping[str, float], ...]
    perfect: tuple[Mapping[str, Expected] | None, ...]


def levels_of_entropy(
    evidence: Evidence, systems: Sequence[System], *, quantiles: int | None
) -> Levels:
    """Levels of the raters' entropy: distinct values where few, else of equal width."""
    levels = entropy_levels(evidence.target, evidence.votes, quantiles=quantiles)
    single = all(one.low == one.high for one in levels)
    how = "Each distinct entropy is a level." if single else "Levels of equal width in bits."
    if quantiles is not None:
        how = "Levels of about as many utterances; equal entropies stay together."
    return _scored(evidence, systems, levels, ENTROPY, "raters' entropy, bits", how)


def levels_of_conflict(
    evidence: Evidence, systems: Sequence[System], conflict: np.ndarray
) -> Levels:
    """Fifths by the conflict between modalities."""
    how = "Levels of about as many utterances, by the JS between heads trained apart."
    return _scored(evidence, systems, conflict_levels(conflict), CONFLICT, "modality conflict", how)


def _scored(
    evidence: Evidence,
    systems: Sequence[System],
    levels: Sequence[Level],
    what: str,
    axis: str,
    how: str,
) -> Levels:
    kept = [one for one in levels if one.mask.any()]
    rows = by_level(
        evidence.target,
        evidence.votes,
        {one.label: one.test for one in systems},
        levels=kept,
        floors=floor_predictions(evidence),
        metrics=tuple(METRICS),
    )
    names = [(label, SYSTEM) for label in rows[0].systems] + [(f, FLOOR) for f in rows[0].floors]
    lines = tuple(
        tuple(
            LevelScore(label, kind, (row.systems if kind == SYSTEM else row.floors)[label])
            for row in rows
        )
        for label, kind in names
    )
    perfect = noise_floor(
        evidence.votes,
        parts={one.name: one.mask for one in kept},
        metrics=HEADLINE,
        num_draws=num_draws(len(evidence.votes)),
    )
    return Levels(
        what=what,
        axis=axis,
        how=how,
        names=tuple(_short(one) for one in kept),
        numbers=tuple(row.num_utterances for row in rows),
        raters=tuple(row.mean_raters for row in rows),
        lines=lines,
        one_rater=tuple(dict(one_rater_reference(evidence.votes[one.mask]).values) for one in kept),
        perfect=_claims(perfect, kept),
    )


def _claims(
    floor: NoiseFloor, levels: Sequence[Level]
) -> tuple[Mapping[str, Expected] | None, ...]:
    """A level's floor is claimed only where no utterance of it has too few raters."""
    found = [floor.by_part[one.name] for one in levels]
    return tuple(None if one.num_left_out else one.values for one in found)


def _short(level: Level) -> str:
    """The level's name without its unit, which stands on the axis."""
    return level.name.replace(" bits", "").replace(" to ", "–")
