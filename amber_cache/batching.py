"""How utterances are put into batches: a pure plan that depends on their lengths alone.

Neighbours in length share a batch, so that little is padded; a batch's size is bounded by what it
costs (its longest item times its number of items), not by a number of clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Share of a plan that may be padding, as long as batches of several can be had for less.
MAX_PADDED_SHARE = 0.05


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


def plan_with_little_padding(
    lengths: Sequence[int], *, budget: int, most: float = MAX_PADDED_SHARE
) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """The budget, halved until little is padded, and its batches.

    A large corpus has neighbours of nearly the same length for any budget; in a small one a batch
    of many would be padded far. A budget under two of the longest item is not halved any more.

    Raises:
        ValueError: The budget is not positive.

    Examples:
        >>> plan_with_little_padding([10, 9, 5, 5], budget=40)
        (20, ((0, 1), (2, 3)))
    """
    longest = max(lengths, default=0)
    while True:
        batches = plan_batches(lengths, budget=budget)
        if budget < 2 * longest or padded_share(lengths, batches) <= most:
            return budget, batches
        budget //= 2


def padded_share(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> float:
    """The share of all units in the batches that is padding, in [0, 1); 0 for an empty plan."""
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches)
    return 1 - sum(lengths) / padded if padded else 0.0
