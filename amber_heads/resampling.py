"""Bootstrap samples of anything that is a function of sums over units, such as an alpha."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

#: How many units to a pattern make it quicker to draw patterns than units (measured).
_WORTH_PATTERNS = 8

#: Resamples that are summed in one product.
_AT_ONCE = 16


def resampled_totals(
    figures: Float[np.ndarray, "unit figure"], *, num_resamples: int, seed: int
) -> Float[np.ndarray, "resample figure"]:
    """Sums of the units' figures, each over as many units drawn with replacement.

    Units of the same figures are drawn together where there are few such patterns: how often each
    comes is multinomial, which is the same distribution at a fraction of the cost.

    >>> resampled_totals(np.ones((5, 1)), num_resamples=3, seed=0).tolist()
    [[5.0], [5.0], [5.0]]
    """
    random = np.random.default_rng(seed)
    num_units = len(figures)
    patterns, sizes = np.unique(figures, axis=0, return_counts=True)
    by_pattern = len(patterns) * _WORTH_PATTERNS <= num_units
    rows = patterns if by_pattern else figures
    times = np.empty((min(_AT_ONCE, num_resamples), len(rows)))
    totals = []
    for number in range(num_resamples):
        if by_pattern:
            times[number % _AT_ONCE] = random.multinomial(num_units, sizes / num_units)
        else:
            drawn = random.integers(num_units, size=num_units)
            times[number % _AT_ONCE] = np.bincount(drawn, minlength=num_units)
        if (number + 1) % _AT_ONCE == 0 or number + 1 == num_resamples:
            totals.append(times[: number % _AT_ONCE + 1] @ rows)
    return np.concatenate(totals)
