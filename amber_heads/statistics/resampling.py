"""Resamples of anything that is a function of sums over units: alphas, metrics, their differences.

A bootstrap sample draws units with replacement; a permutation of two paired systems swaps, unit by
unit, which of the two is called the first. Either way a resample is a few sums.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

#: How many units to a pattern make it quicker to draw patterns than units (measured).
_WORTH_PATTERNS = 8

#: Resamples that are summed in one product.
_AT_ONCE = 16

#: Permutations that are.
_SWAPS_AT_ONCE = 64


def resampled_totals(
    figures: Float[np.ndarray, "unit figure"],
    *,
    num_resamples: int,
    seed: int,
    together: bool = True,
) -> Float[np.ndarray, "resample figure"]:
    """Sums of the units' figures, each over as many units drawn with replacement.

    Units of the same figures are drawn together where there are few such patterns: how often each
    comes is multinomial, which is the same distribution at a fraction of the cost.

    Args:
        together: False draws units one by one, so that what is drawn follows from the seed and the
            number of units alone, whatever their figures are.

    >>> resampled_totals(np.ones((5, 1)), num_resamples=3, seed=0).tolist()
    [[5.0], [5.0], [5.0]]
    """
    random = np.random.default_rng(seed)
    num_units = len(figures)
    rows, sizes = np.unique(figures, axis=0, return_counts=True) if together else (figures, None)
    by_pattern = sizes is not None and len(rows) * _WORTH_PATTERNS <= num_units
    rows = rows if by_pattern else figures
    times = np.empty((min(_AT_ONCE, num_resamples), len(rows)))
    totals = []
    for number in range(num_resamples):
        if sizes is not None and by_pattern:
            times[number % _AT_ONCE] = random.multinomial(num_units, sizes / num_units)
        else:
            drawn = random.integers(num_units, size=num_units)
            times[number % _AT_ONCE] = np.bincount(drawn, minlength=num_units)
        if (number + 1) % _AT_ONCE == 0 or number + 1 == num_resamples:
            totals.append(times[: number % _AT_ONCE + 1] @ rows)
    return np.concatenate(totals)


def is_exact(num_units: int, *, num_permutations: int) -> bool:
    """Whether all 2^K swaps of K units are gone through, since they are no more than asked for."""
    return num_units < num_permutations.bit_length()


def swapped_totals(
    one: Float[np.ndarray, "unit figure"],
    other: Float[np.ndarray, "unit figure"],
    *,
    num_permutations: int,
    seed: int,
) -> Float[np.ndarray, "permutation figure"]:
    """The first system's sums where some units' figures are those of the other system.

    The other system's are then `one.sum(0) + other.sum(0)` less these. All 2^K swaps come, each
    once, where `is_exact`; else as many random ones as asked for, in which each unit is swapped
    or not with even chances.

    >>> swapped_totals(
    ...     np.array([[1.0], [2.0]]), np.array([[10.0], [20.0]]), num_permutations=4, seed=0
    ... ).ravel().tolist()
    [3.0, 12.0, 21.0, 30.0]
    """
    change = other - one
    moved = change.any(axis=0)  # of a paired target's own figures nothing moves
    exact = is_exact(len(one), num_permutations=num_permutations)
    totals = np.tile(one.sum(axis=0), (2 ** len(one) if exact else num_permutations, 1))
    done = 0
    for swaps in _every_swap(len(one)) if exact else _random_swaps(len(one), len(totals), seed):
        totals[done : done + len(swaps), moved] += swaps.astype(np.float64) @ change[:, moved]
        done += len(swaps)
    return totals


def _every_swap(num_units: int) -> Iterator[Bool[np.ndarray, "permutation unit"]]:
    yield (np.arange(2**num_units)[:, None] >> np.arange(num_units)) % 2 == 1


def _random_swaps(
    num_units: int, num_permutations: int, seed: int
) -> Iterator[Bool[np.ndarray, "permutation unit"]]:
    random = np.random.default_rng(seed)
    for start in range(0, num_permutations, _SWAPS_AT_ONCE):
        number = min(_SWAPS_AT_ONCE, num_permutations - start)
        drawn = random.integers(256, size=(number, -(-num_units // 8)), dtype=np.uint8)
        yield np.unpackbits(drawn, axis=1, count=num_units).view(np.bool_)
