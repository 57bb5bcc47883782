"""Levels of ambiguity: the same bins of utterances for every system, and what each makes of them.

The paper's Figure 2 doesn't say how its bins are made. Where few raters leave few different
entropies, each of these is a level of its own; else the levels are of equal width over what the
entropy can be. Utterances of the same value are never in different levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from amber_heads.formulas.agreement import entropy_per_utterance
from amber_heads.metrics import HEADLINE, check_rows
from amber_heads.statistics.resampled import measure_parts

#: With up to so many different entropies each is a level; else there are so many of equal width.
MOST_DISTINCT, NUM_LEVELS = 8, 5

#: Values that differ by less are the same: soft labels may be stored in single precision.
_DECIMALS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Utterances that are about as ambiguous.

    Attributes:
        name: For a table: the bounds, with the votes where all of the level are split alike.
        low: Of the bin, which excludes it but for the first; of a single value, that value.
        high: Of the bin, included.
        mask: (N,) which utterances are in it. None may be, in a bin of equal width.
    """

    name: str
    low: float
    high: float
    mask: Bool[np.ndarray, " utterance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFigure:
    """A system's metric in a level.

    Attributes:
        mean: Over the seeds that have not diverged; NaN where there is none, or no utterance.
        std: Of these (ddof = 1); NaN for one seed.
        num_seeds: How many these are.
    """

    mean: float
    std: float
    num_seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRow:
    """What there is to say of a level.

    Attributes:
        mean_raters: Votes an utterance; NaN without any.
        systems: By system, then by metric.
        floors: The same of predictions that look at no input.
    """

    level: Level
    num_utterances: int
    mean_raters: float
    systems: dict[str, dict[str, LevelFigure]]
    floors: dict[str, dict[str, LevelFigure]]


def entropy_levels(
    target: Float[np.ndarray, "utterance class"],
    votes: Shaped[np.ndarray, "utterance class"],
    *,
    quantiles: int | None = None,
) -> tuple[Level, ...]:
    """Levels of the raters' entropy, in bits, from agreement upwards.

    Args:
        target: The raters' soft labels.
        votes: How many raters chose each class; they name the levels ("0.92 bits (2:1)").
        quantiles: So many levels of about as many utterances, in place of distinct entropies or
            equal widths; fewer where ties, which stay together, leave no more.

    Raises:
        ValueError: There is no utterance, or `quantiles` is below 1.
    """
    values = np.round(entropy_per_utterance(target), _DECIMALS)
    if quantiles is not None:
        return _named(_by_quantiles(values, quantiles), unit=" bits")
    distinct = np.unique(values).tolist()
    if 0 < len(distinct) <= MOST_DISTINCT:
        texts = _texts(distinct)
        return tuple(_single(one, texts[one], values == one, votes) for one in distinct)
    edges = np.linspace(0, math.log2(target.shape[1]), NUM_LEVELS + 1)
    return _named(_by_edges(values, np.round(edges, _DECIMALS)), unit=" bits")


def conflict_levels(
    conflict: Float[np.ndarray, " utterance"], number: int = NUM_LEVELS
) -> tuple[Level, ...]:
    """Levels of the conflict between modalities, each of about as many utterances.

    By quantiles, since conflicts crowd near zero: of equal width, the upper bins would be all but
    empty. Ties stay together, so there may be fewer levels. NaN is in none.

    Raises:
        ValueError: There is no utterance, or `number` is below 1.
    """
    return _named(_by_quantiles(np.round(conflict, _DECIMALS), number), unit="")


def by_level(
    target: Float[np.ndarray, "utterance class"],
    votes: Shaped[np.ndarray, "utterance class"],
    systems: Mapping[str, Float[np.ndarray, "_ utterance class"]],
    *,
    levels: Sequence[Level],
    floors: Mapping[str, Float[np.ndarray, "_ utterance class"]] | None = None,
    metrics: Sequence[str] = HEADLINE,
) -> tuple[LevelRow, ...]:
    """Every system's metrics in every level, each seed's computed on the level's utterances.

    Args:
        systems: (S, N, C) predictions by name. A seed with NaN in it has diverged: left out.
        floors: The same of the floors.

    Raises:
        ValueError: Shapes do not match, or rows are no distributions.
    """
    masks = np.array([level.mask for level in levels], dtype=np.float64).reshape(-1, len(target))
    measured, of_floors = (
        {name: _figures(target, seeds, masks, metrics) for name, seeds in some.items()}
        for some in (systems, floors or {})
    )
    raters = np.asarray(votes, dtype=np.float64).sum(axis=1)
    return tuple(
        LevelRow(
            level=level,
            num_utterances=int(level.mask.sum()),
            mean_raters=float(raters[level.mask].mean()) if level.mask.any() else math.nan,
            systems={name: figures[row] for name, figures in measured.items()},
            floors={name: figures[row] for name, figures in of_floors.items()},
        )
        for row, level in enumerate(levels)
    )


def _figures(
    target: Float[np.ndarray, "utterance class"],
    seeds: Float[np.ndarray, "seed utterance class"],
    masks: Float[np.ndarray, "level utterance"],
    metrics: Sequence[str],
) -> list[dict[str, LevelFigure]]:
    """By level, then by metric."""
    sound = [check_rows(target, rows) for rows in seeds if not np.isnan(rows).any()]
    by_seed = np.array(
        [measure_parts(y, p, metrics=metrics, weights=masks) for y, p in sound]
    ).reshape(len(sound), len(masks), len(metrics))
    return [
        {name: _over_seeds(by_seed[:, row, column]) for column, name in enumerate(metrics)}
        for row in range(len(masks))
    ]


def _over_seeds(values: Float[np.ndarray, " seed"]) -> LevelFigure:
    return LevelFigure(
        mean=float(values.mean()) if len(values) else math.nan,
        std=float(values.std(ddof=1)) if len(values) > 1 else math.nan,
        num_seeds=len(values),
    )


def _by_quantiles(
    values: Float[np.ndarray, " utterance"], number: int
) -> list[tuple[float, float, Bool[np.ndarray, " utterance"]]]:
    if number < 1:
        raise ValueError(f"{number} levels were asked for; there must be at least 1")
    finite = values[~np.isnan(values)]
    if not len(finite):
        raise ValueError("there is no utterance to make levels of")
    # Observed values as edges, so that whatever equals one is on the same side.
    upper = np.quantile(finite, np.linspace(0, 1, number + 1)[1:], method="inverted_cdf")
    found = _by_edges(values, np.array([finite.min(), *np.unique(upper)]))
    return [each for each in found if each[2].any()]


def _by_edges(
    values: Float[np.ndarray, " utterance"], edges: Float[np.ndarray, " edge"]
) -> list[tuple[float, float, Bool[np.ndarray, " utterance"]]]:
    """Bins that are closed above, the first one below too; NaN is in none."""
    number: Int[np.ndarray, " utterance"] = np.searchsorted(edges[1:-1], values, side="left")
    known = ~np.isnan(values)
    return [
        (float(edges[i]), float(edges[i + 1]), (number == i) & known) for i in range(len(edges) - 1)
    ]


def _named(
    bins: Sequence[tuple[float, float, Bool[np.ndarray, " utterance"]]], *, unit: str
) -> tuple[Level, ...]:
    texts = _texts([edge for low, high, _ in bins for edge in (low, high)])
    return tuple(
        Level(
            name=" to ".join(dict.fromkeys((texts[low], texts[high]))) + unit,
            low=low,
            high=high,
            mask=mask,
        )
        for low, high, mask in bins
    )


def _texts(values: Sequence[float]) -> dict[float, str]:
    """Each value with as few decimals, at least two, as tell them all apart."""
    for decimals in range(2, _DECIMALS + 1):
        texts = {value: f"{value:.{decimals}f}" for value in values}
        if len(set(texts.values())) == len(texts):
            break
    return texts


def _single(
    value: float,
    text: str,
    mask: Bool[np.ndarray, " utterance"],
    votes: Shaped[np.ndarray, "utterance class"],
) -> Level:
    """A level of one entropy, named by how its votes are split where that is always the same."""
    splits = np.unique(np.sort(votes[mask], axis=1)[:, ::-1], axis=0)
    split = ":".join(f"{number:g}" for number in splits[0].tolist() if number)
    name = f"{text} bits" + (f" ({split})" if len(splits) == 1 else "")
    return Level(name=name, low=value, high=value, mask=mask)
