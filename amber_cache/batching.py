"""How utterances are put into batches: a pure plan that depends on their lengths alone.

Neighbours in length share a batch, so that little is padded; a batch's size is bounded by what it
costs (its longest item times its number of items), not by a number of clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def plan_batches(
    lengths: Sequence[int] | np.ndarray, *, budget: int
) -> tuple[tuple[int, ...], ...]:
    """Group indices into batches of at most `budget` padded units (samples, characters).

    Longest first, so that running out of memory shows at once; equal lengths keep their order.
    An item longer than the budget is a batch by itself.

    Raises:
        ValueError: The budget is not positive.

    Examples:
        >>> plan_batches([3, 9, 4, 4], budget=12)
        ((1,), (2, 3, 0))
    """
    if budget < 1:
        raise ValueError(f"the budget is {budget}; it must be at least 1")
    sizes = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    longest_first = sizes[order]
    batches: list[tuple[int, ...]] = []
    start = 0
    while start < len(order):
        # The first of a batch is its longest: it sets what each further item costs.
        longest = int(longest_first[start])
        count = max(1, budget // longest) if longest > 0 else len(order)
        batches.append(tuple(order[start : start + count].tolist()))
        start += count
    return tuple(batches)


def padded_share(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> float:
    """The share of all units in the batches that is padding, in [0, 1); 0 for an empty plan."""
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches)
    return 1 - sum(lengths) / padded if padded else 0.0
