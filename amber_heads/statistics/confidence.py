"""How often an interval over clusters is meant to hold the truth, and can at best."""

from __future__ import annotations

#: How often an interval is meant to hold what other clusters would give.
CONFIDENCE = 0.95


def most_held(num_clusters: int) -> float:
    """How often an interval from so few clusters can hold the truth at best.

    No resample's mean lies beyond the outermost clusters, and all K of them lie on one side of the
    truth with a probability of at least 2^(1 - K), whatever percentiles are taken.

    >>> most_held(2), most_held(5), most_held(6), most_held(10)
    (0.5, 0.9375, 0.95, 0.95)
    """
    return min(CONFIDENCE, 1 - 2.0 ** (1 - num_clusters))
