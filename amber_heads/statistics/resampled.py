"""Every metric as a function of sums over utterances, so that a resample is one small product.

What an utterance adds to a metric is a few figures: its divergence; its hit and its choices, class
by class, for an F1; the gap between confidence and outcome in its bin for a calibration error. A
metric of any weighted set of utterances (a bootstrap sample, swapped systems, a level, a vote left
out) is then computed anew from the weighted sums, and equals `amber_heads.metrics.evaluate` on the
rows themselves. The first figure of each is 1, so that the first sum is the number of utterances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse
from jaxtyping import Float, Shaped

from amber_heads.formulas.agreement import (
    ROUNDING,
    bc_per_utterance,
    entropy_per_utterance,
    js_per_utterance,
    r2_per_utterance,
)
from amber_heads.formulas.classification import above_chance, confidence_bins, one_hot, top_classes
from amber_heads.metrics import METRICS

#: Rows of distributions; sums of figures, with any leading axes.
_Rows: TypeAlias = Float[np.ndarray, "utterance class"]
_Figures: TypeAlias = Float[np.ndarray, "utterance figure"]
_Totals: TypeAlias = Float[np.ndarray, "*batch figure"]

#: How much each utterance counts in each unit: a matrix (unit, utterance), NumPy's or SciPy's.
Weights: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Summed:
    """A metric in two steps.

    Attributes:
        figures: Raters' rows and predicted rows -> what each utterance adds, its 1 left out.
        value: Sums of these, the number of utterances first -> the metric.
        linear: Whether the mean of several metrics is the metric of the mean of their figures.
    """

    figures: Callable[[_Rows, _Rows], _Figures]
    value: Callable[[_Totals], Float[np.ndarray, "*batch"]]
    linear: bool = False


@dataclass(frozen=True, slots=True)
class MetricSums:
    """Several metrics' sums over units, with all seeds side by side.

    Attributes:
        sums: A row a unit.
        parts: Each metric with its columns and how many seeds stand in them.
    """

    sums: Float[np.ndarray, "unit figure"]
    parts: tuple[tuple[str, slice, int], ...]

    def values(self, totals: Float[np.ndarray, "*batch figure"]) -> Float[np.ndarray, "*batch m"]:
        """Each metric's mean over seeds, from weighted sums over the units.

        NaN where no utterance is counted, and where the metric is not defined.
        """
        found = []
        for metric, columns, num_seeds in self.parts:
            by_seed = totals[..., columns].reshape(*totals.shape[:-1], num_seeds, -1)
            found.append(value_of(metric, by_seed).mean(axis=-1))
        return np.stack(found, axis=-1)


def metric_sums(
    target: _Rows,
    prediction: Float[np.ndarray, "seed utterance class"],
    *,
    metrics: Sequence[str],
    weights: Weights,
) -> MetricSums:
    """Sum up what each unit's utterances add to each metric, every seed by itself.

    Rows are believed to be distributions. A linear metric's seeds are averaged at once.
    """
    sums: list[np.ndarray] = []
    found: dict[Callable[..., Any], tuple[slice, int]] = {}  # f1 and wf1 share their figures
    for metric in metrics:
        figures = SUMMED[metric].figures
        if figures in found:
            continue
        by_seed = [_figures(metric, target, rows) for rows in prediction]
        kept = [np.mean(by_seed, axis=0)] if SUMMED[metric].linear else by_seed
        start = sum(one.shape[1] for one in sums)
        sums.append(np.asarray(weights @ np.concatenate(kept, axis=1)))
        found[figures] = slice(start, start + sums[-1].shape[1]), len(kept)
    parts = tuple((metric, *found[SUMMED[metric].figures]) for metric in metrics)
    return MetricSums(np.concatenate(sums, axis=1), parts)


def measure_parts(
    target: _Rows, prediction: _Rows, *, metrics: Sequence[str], weights: Weights
) -> Float[np.ndarray, "part m"]:
    """Each metric in each part, a weighted set of utterances; NaN where that is empty."""
    found = metric_sums(target, prediction[None], metrics=metrics, weights=weights)
    return found.values(found.sums)


def value_of(metric: str, totals: _Totals) -> Float[np.ndarray, "*batch"]:
    """A metric from the sums of its figures; NaN where no utterance is counted."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(totals[..., 0] > 0, SUMMED[metric].value(totals), np.nan)


def cluster_weights(clusters: Shaped[np.ndarray, " utterance"]) -> Weights:
    """A row a cluster, in the order of their names: 1 for each utterance of it, else 0.

    >>> cluster_weights(np.array(["b", "a", "b"])).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    names, number = np.unique(clusters, return_inverse=True)
    column = np.arange(len(clusters))
    shape = (len(names), len(clusters))
    return scipy.sparse.csr_array((np.ones(len(clusters)), (number, column)), shape=shape)


def _figures(metric: str, target: _Rows, prediction: _Rows) -> _Figures:
    return np.column_stack([np.ones(len(target)), SUMMED[metric].figures(target, prediction)])


def _mean_of(figure: Callable[[_Rows, _Rows], Any]) -> Summed:
    """The mean over utterances of one figure each."""
    return Summed(
        lambda y, p: np.asarray(figure(y, p), dtype=np.float64)[:, None],
        lambda totals: totals[..., 1] / totals[..., 0],
        linear=True,
    )


def _right(y: _Rows, p: _Rows) -> np.ndarray:
    return np.asarray(p.argmax(-1) == top_classes(y).argmax(-1))


def _right_on_a_tie(y: _Rows, p: _Rows) -> np.ndarray:
    return np.asarray(top_classes(y)[np.arange(len(p)), p.argmax(-1)])


def _hits_and_choices(truth: np.ndarray, guess: np.ndarray) -> _Figures:
    chosen = truth.astype(np.float64) + guess
    return np.concatenate([truth & guess, chosen], axis=1).astype(np.float64)


def _top_hits(y: _Rows, p: _Rows) -> _Figures:
    """Hits, choices and the raters' choices of each class, by top class."""
    truth = one_hot(top_classes(y).argmax(-1), num_classes=y.shape[-1])
    guess = one_hot(p.argmax(-1), num_classes=y.shape[-1])
    return np.concatenate([_hits_and_choices(truth, guess), truth], axis=1)


def _f1(
    hits: Float[np.ndarray, "*batch class"], chosen: Float[np.ndarray, "*batch class"]
) -> Float[np.ndarray, "*batch class"]:
    """2 hits / choices of each class, 0 for a class that nobody chose."""
    return np.asarray(np.divide(2 * hits, chosen, out=np.zeros_like(hits), where=chosen > 0))


def _macro_f1(totals: _Totals) -> Float[np.ndarray, "*batch"]:
    hits, chosen, _ = np.split(totals[..., 1:], 3, axis=-1)
    return np.asarray(_f1(hits, chosen).mean(-1))


def _weighted_f1(totals: _Totals) -> Float[np.ndarray, "*batch"]:
    hits, chosen, truth = np.split(totals[..., 1:], 3, axis=-1)
    return np.asarray((_f1(hits, chosen) * truth).sum(-1) / totals[..., 0])


def _multilabel_f1(totals: _Totals) -> Float[np.ndarray, "*batch"]:
    return np.asarray(_f1(*np.split(totals[..., 1:], 2, axis=-1)).mean(-1))


def _gaps(*, num_bins: int, soft: bool) -> Summed:
    """A calibration error: how far confidence is from outcome, bin by bin."""

    def figures(y: _Rows, p: _Rows) -> _Figures:
        rows, top = np.arange(len(p)), p.argmax(-1)
        outcome = y[rows, top] if soft else _right(y, p)
        bins = one_hot(confidence_bins(p[rows, top], num_bins=num_bins), num_classes=num_bins)
        return np.asarray(bins * (p[rows, top] - outcome)[:, None])

    return Summed(figures, lambda totals: np.abs(totals[..., 1:]).sum(-1) / totals[..., 0])


def _squares(y: _Rows, p: _Rows) -> _Figures:
    """Squared residual; squares and values of the targets, centred so that no digits cancel."""
    centred = y - y.mean(axis=0)
    return np.column_stack([((y - p) ** 2).sum(-1), (centred**2).sum(-1), centred])


def _determination(totals: _Totals) -> Float[np.ndarray, "*batch"]:
    num, residual, squares = totals[..., 0], totals[..., 1], totals[..., 2]
    about_mean = squares - (totals[..., 3:] ** 2).sum(-1) / num
    return np.where(about_mean > num * ROUNDING**2, 1 - residual / about_mean, np.nan)


#: Every metric of `METRICS`, in its order.
SUMMED: Mapping[str, Summed] = MappingProxyType(
    {
        "js": _mean_of(js_per_utterance),
        "bc": _mean_of(bc_per_utterance),
        "r2": _mean_of(r2_per_utterance),
        "f1": Summed(_top_hits, _macro_f1),
        "wf1": Summed(_top_hits, _weighted_f1),
        "acc": _mean_of(_right),
        "f1_multilabel": Summed(
            lambda y, p: _hits_and_choices(above_chance(y), above_chance(p)), _multilabel_f1
        ),
        "acc_tie": _mean_of(_right_on_a_tie),
        "r2_cod": Summed(_squares, _determination),
        "js_aer": _mean_of(lambda y, p: np.sqrt(js_per_utterance(y, p) * math.log(2))),
        "ece_hard_5": _gaps(num_bins=5, soft=False),
        "ece_hard_15": _gaps(num_bins=15, soft=False),
        "ece_soft": _gaps(num_bins=15, soft=True),
        "brier": _mean_of(lambda y, p: ((y - p) ** 2).sum(-1)),
        "entropy_target": _mean_of(lambda y, p: entropy_per_utterance(y)),
        "entropy_prediction": _mean_of(lambda y, p: entropy_per_utterance(p)),
        "n_ties": Summed(
            lambda y, p: (top_classes(y).sum(-1, keepdims=True) > 1).astype(np.float64),
            lambda totals: totals[..., 1],
            linear=True,
        ),
    }
)

assert tuple(SUMMED) == tuple(METRICS)
