"""The difference of two systems from their sums by cluster: interval, effect size and p.

The arithmetic of `amber_heads.stats`, where it is said what is tested and how.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.special
from jaxtyping import Float

from amber_heads.statistics.confidence import CONFIDENCE
from amber_heads.statistics.resampled import MetricSums
from amber_heads.statistics.resampling import is_exact, resampled_totals, swapped_totals

#: Differences that are closer than this differ by the order of their sums.
_ROUNDING = 1e-12

#: Why a difference has no interval, and why a metric may have no value.
ONE_CLUSTER = "one cluster: nothing to swap or to draw from"
_UNDEFINED = {"r2": "with two classes r2 says nothing", "r2_cod": "all targets are the same"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One system's metric less another's, the mean over seeds.

    Attributes:
        mean: Above 0 where the first system's metric is the larger; whether that is better says
            `METRICS[metric].direction`.
        low: Of the 95% interval, by expanded percentiles; NaN with one cluster. Of fewer than six
            clusters no interval can hold so much (`most_held`).
        p: Two-sided; NaN where no test was made, for the reason in `why_not`.
        p_adjusted: Holm's, over a family of differences; NaN until `adjusted` has filled it.
        effect_size: The difference over the standard deviation of the clusters' jackknife
            pseudo-values. For a mean over utterances in clusters of one size that is Cohen's d_z,
            the mean over the standard deviation (ddof = 1) of the clusters' mean differences; for
            others it is the same idea without an F1 of a single cluster. It depends on what the
            clusters are. NaN with one cluster, or where they do not differ at all.
        smallest_p: The smallest p that so many clusters and permutations allow: 2 / 2^K where all
            swaps are gone through (ten speakers 0.00195, five sessions 0.0625); there without a
            test too.
        num_seeds: Seeds that were averaged: without those that diverged in either system.
        exact: Whether p is over all swaps, not over random ones.
        num_undefined: Bootstrap samples in which the metric is not defined; they are left out.
    """

    metric: str
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    p_adjusted: float = math.nan
    effect_size: float = math.nan
    smallest_p: float = math.nan
    num_clusters: int
    num_seeds: int
    exact: bool = False
    num_undefined: int = 0
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two systems' sums by cluster, of the same utterances, metrics and seeds."""

    one: MetricSums
    other: MetricSums

    def differences(
        self, one: Float[np.ndarray, "*batch figure"], other: Float[np.ndarray, "*batch figure"]
    ) -> Float[np.ndarray, "*batch m"]:
        """Each metric's difference, the mean over seeds, from weighted sums over clusters."""
        return np.asarray(self.one.values(one) - self.other.values(other))


def with_estimates(
    found: Sequence[Difference], pair: Pair, *, num_bootstrap: int, seed: int
) -> list[Difference]:
    """Fill in the difference, its interval and the effect size."""
    one, other = pair.one.sums, pair.other.sums
    means = pair.differences(one.sum(axis=0), other.sum(axis=0)).tolist()
    found = [
        replace(difference, mean=mean, why_not=_why_not(difference.metric, mean))
        for difference, mean in zip(found, means, strict=True)
    ]
    if len(one) == 1:
        return [replace(each, why_not=ONE_CLUSTER) for each in found]
    totals = resampled_totals(
        np.concatenate([one, other], axis=1), num_resamples=num_bootstrap, seed=seed, together=False
    )
    drawn = pair.differences(*np.split(totals, 2, axis=1))
    left_out = pair.differences(one.sum(axis=0) - one, other.sum(axis=0) - other)
    return [
        _with_spread(difference, drawn=drawn[:, number], left_out=left_out[:, number])
        for number, difference in enumerate(found)
    ]


def _why_not(metric: str, value: float) -> str:
    return _UNDEFINED.get(metric, "not defined") if math.isnan(value) else ""


def _with_spread(
    found: Difference,
    *,
    drawn: Float[np.ndarray, " resample"],
    left_out: Float[np.ndarray, " cluster"],
) -> Difference:
    """From bootstrap samples the interval, from jackknife samples the effect size."""
    low, high = percentiles(drawn, num_clusters=len(left_out))
    spread = float(np.std(left_out, ddof=1)) * (len(left_out) - 1)  # of the pseudo-values
    return replace(
        found,
        low=low,
        high=high,
        effect_size=found.mean / spread if spread > _ROUNDING else math.nan,
        num_undefined=int(np.isnan(drawn).sum()),
    )


def with_tests(
    found: Sequence[Difference], pair: Pair, *, num_permutations: int, seed: int
) -> list[Difference]:
    """Fill in p, where there is a difference to test."""
    one, other = pair.one.sums, pair.other.sums
    swapped = swapped_totals(one, other, num_permutations=num_permutations, seed=seed)
    drawn = np.abs(pair.differences(swapped, one.sum(axis=0) + other.sum(axis=0) - swapped))
    exact = is_exact(len(one), num_permutations=num_permutations)
    added = 0 if exact else 1
    tested = []
    for number, difference in enumerate(found):
        observed = abs(difference.mean)
        reached = int((drawn[:, number] >= observed - _ROUNDING * max(1, observed)).sum())
        p = (reached + added) / (len(drawn) + added)
        if not math.isnan(observed):
            difference = replace(difference, p=p)
        tested.append(replace(difference, exact=exact))
    return tested


def percentiles(drawn: Float[np.ndarray, " resample"], *, num_clusters: int) -> tuple[float, float]:
    """The ends of the interval; NaN where the metric is defined in no resample.

    Resamples of K clusters have (K - 1) / K of the variance that other clusters would show, and
    know nothing of how unsure K clusters are of that variance; so the levels are set outwards by
    that factor and by Student's t with K - 1 degrees of freedom. These are the expanded percentiles
    of T. Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician
    69 (4), 2015.
    """
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return math.nan, math.nan
    tail = tail_of(num_clusters)
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def tail_of(num_clusters: int) -> float:
    """The share of resamples below the interval, and above it.

    >>> round(tail_of(10), 4), round(tail_of(1_000_000), 4)
    (0.0086, 0.025)
    """
    t = scipy.special.stdtrit(num_clusters - 1, (1 + CONFIDENCE) / 2)
    return float(scipy.special.ndtr(-t * math.sqrt(num_clusters / (num_clusters - 1))))
