"""Whether one system is better than another: paired differences, tests and intervals.

Utterances are paired, and what belongs together (a speaker's, a dialogue's) is one cluster: it is
swapped or drawn as a whole, since errors within it are alike. What is compared is the mean over
seeds of a metric on all utterances; F1 and its like are computed anew in every resample.

The test is a permutation test: under the null hypothesis it makes no difference which of the two
systems a cluster's predictions came from. K clusters allow 2^K swaps; they are all gone through
where they are few, else drawn, and then one is added to count and total so that p is never 0. The
interval is the bootstrap's over clusters drawn with replacement, its percentiles set outwards for
few of them (tests/benchmarks/check_tests_size.py measures how often it misses). Both say what
other utterances or speakers would give, with the models as trained; the spread over seeds stands
beside them and is not part of them.

`paired_difference` gives what `scipy.stats.permutation_test` and `scipy.stats.bootstrap` give for
the same statistic (tests/test_stats.py), from sums that cost one product for all resamples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from amber_heads.formulas.agreement import Values
from amber_heads.metrics import METRICS
from amber_heads.statistics.differences import (
    Difference,
    Pair,
    percentiles,
    with_estimates,
    with_tests,
)
from amber_heads.statistics.ensembles import paired_seeds
from amber_heads.statistics.resampled import Weights, cluster_weights, metric_sums
from amber_heads.statistics.resampling import is_exact, resampled_totals

__all__ = [
    "Difference",
    "Interval",
    "adjusted",
    "holm",
    "interval",
    "paired_difference",
    "paired_differences",
    "smallest_p",
]

#: Permutations and bootstrap samples where nothing else is said.
NUM_PERMUTATIONS, NUM_BOOTSTRAP = 9999, 1999


class Interval(NamedTuple):
    """A metric's mean over seeds with its 95% bootstrap interval, as `Difference` has it."""

    mean: float
    low: float
    high: float


def paired_difference(
    target: Values,
    one: Values,
    other: Values,
    *,
    metric: str,
    clusters: Shaped[np.ndarray, " utterance"],
    seed: int = 0,
    num_permutations: int = NUM_PERMUTATIONS,
    num_bootstrap: int = NUM_BOOTSTRAP,
    fewest_seeds: int = 2,
) -> Difference:
    """`paired_differences` of a single metric, and the same figures."""
    return paired_differences(
        target,
        one,
        other,
        metrics=(metric,),
        clusters=clusters,
        seed=seed,
        num_permutations=num_permutations,
        num_bootstrap=num_bootstrap,
        fewest_seeds=fewest_seeds,
    )[metric]


def paired_differences(
    target: Values,
    one: Values,
    other: Values,
    *,
    metrics: Sequence[str],
    clusters: Shaped[np.ndarray, " utterance"],
    seed: int = 0,
    num_permutations: int = NUM_PERMUTATIONS,
    num_bootstrap: int = NUM_BOOTSTRAP,
    fewest_seeds: int = 2,
) -> dict[str, Difference]:
    """Compare two systems on the same utterances by several metrics, from the same resamples.

    A metric's figures do not depend on which others are asked for.

    Args:
        target: (N, C) the raters' soft labels.
        one: (S, N, C) predictions of S seeds. A seed with NaN in it has diverged: it is left out
            in both systems.
        other: The same of the other system, paired by seed; of the two either may have one seed
            (a seed ensemble, the training mean), which all of the other's are then held against.
        metrics: Names in `METRICS`.
        clusters: (N,) names of what belongs together, taken as they are: "" is a cluster too, so
            group unknown speakers first (`amber_heads.policies.groups.group_by`).
        seed: Of the resamples.
        fewest_seeds: With fewer in both systems no test is made: a difference between two single
            trainings may be their seeds'. 1 where both are seed ensembles.

    Raises:
        ValueError: Shapes do not match, rows are no distributions, an unknown metric, or fewer
            than one permutation or bootstrap sample.
    """
    _check_options(metrics, num_permutations=num_permutations, num_bootstrap=num_bootstrap)
    y, first, second = paired_seeds(target, one, other)
    weights = _checked_clusters(clusters, len(y))
    num_clusters = weights.shape[0]
    least = smallest_p(num_clusters, num_permutations=num_permutations)
    found = [
        Difference(metric=name, num_clusters=num_clusters, num_seeds=len(first), smallest_p=least)
        for name in metrics
    ]
    if not len(first):
        return {one.metric: replace(one, why_not="every seed has diverged") for one in found}
    pair = Pair(
        metric_sums(y, first, metrics=metrics, weights=weights),
        metric_sums(y, second, metrics=metrics, weights=weights),
    )
    found = with_estimates(found, pair, num_bootstrap=num_bootstrap, seed=seed)
    if len(first) < fewest_seeds:
        too_few = f"seeds: {len(first)}, too few for a test"
        found = [replace(one, why_not=one.why_not or too_few) for one in found]
    elif num_clusters > 1:
        found = with_tests(found, pair, num_permutations=num_permutations, seed=seed)
    return {one.metric: one for one in found}


def interval(
    target: Values,
    prediction: Values,
    *,
    metric: str,
    clusters: Shaped[np.ndarray, " utterance"],
    seed: int = 0,
    num_bootstrap: int = NUM_BOOTSTRAP,
) -> Interval:
    """A metric of one system, the mean over its seeds (S, N, C), with its bootstrap interval.

    Seeds with NaN are left out; all three are NaN where none is left, the ends with one cluster.

    Raises:
        ValueError: As `paired_differences` has it.
    """
    _check_options((metric,), num_permutations=1, num_bootstrap=num_bootstrap)
    y, rows, _ = paired_seeds(target, prediction, prediction)
    weights = _checked_clusters(clusters, len(y))
    if not len(rows):
        return Interval(math.nan, math.nan, math.nan)
    sums = metric_sums(y, rows, metrics=(metric,), weights=weights)
    mean = float(sums.values(sums.sums.sum(axis=0))[0])
    if len(sums.sums) == 1:
        return Interval(mean, math.nan, math.nan)
    totals = resampled_totals(sums.sums, num_resamples=num_bootstrap, seed=seed, together=False)
    low, high = percentiles(sums.values(totals)[:, 0], num_clusters=len(sums.sums))
    return Interval(mean, low, high)


def smallest_p(num_clusters: int, *, num_permutations: int = NUM_PERMUTATIONS) -> float:
    """The smallest p that so many clusters and permutations allow; 1 with one cluster.

    >>> smallest_p(10), smallest_p(5), smallest_p(1000)
    (0.001953125, 0.0625, 0.0001)
    """
    if is_exact(num_clusters, num_permutations=num_permutations):
        return float(2.0 ** (1 - num_clusters))
    return 1 / (num_permutations + 1)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down p-values of a family; at most 1, in the order given.

    NaN, where no test was made, stays NaN and does not count for the size of the family.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    tested = [number for number, value in enumerate(p) if not math.isnan(value)]
    found, highest = [math.nan] * len(p), 0.0
    for rank, number in enumerate(sorted(tested, key=lambda number: p[number])):
        highest = max(highest, min(1.0, (len(tested) - rank) * p[number]))
        found[number] = highest
    return found


def adjusted(family: Sequence[Difference]) -> list[Difference]:
    """The same differences with Holm's p over all of them, as one family."""
    filled = holm([one.p for one in family])
    return [replace(one, p_adjusted=p) for one, p in zip(family, filled, strict=True)]


def _checked_clusters(clusters: Shaped[np.ndarray, " cluster"], num_utterances: int) -> Weights:
    if len(clusters) != num_utterances:
        raise ValueError(
            f"{len(clusters)} names of clusters for {num_utterances} utterances; each needs one"
        )
    return cluster_weights(clusters)


def _check_options(metrics: Sequence[str], **numbers: int) -> None:
    if not metrics:
        raise ValueError("no metric to compare by; name at least one")
    for metric in metrics:
        if metric not in METRICS:
            raise ValueError(f"metric {metric!r} is none of {', '.join(METRICS)}")
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} is {number}; it must be at least 1")
