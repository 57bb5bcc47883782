"""How utterances are put into batches: a pure plan that depends on their lengths alone.

Neighbours in length share a batch, so that little is padded; a batch's size is bounded by what it
costs (its longest item times its number of items), not by a number of clips.
"""

from __future__ import annotations

from collections.abc import Sequence


def plan_batches(lengths: Sequence[int], *, budget: int) -> tuple[tuple[int, ...], ...]:
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
    batches: list[tuple[int, ...]] = []
    current: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        # The first of a batch is its longest: it sets what each further item costs.
        if current and lengths[current[0]] * (len(current) + 1) > budget:
            batches.append(tuple(current))
            current = []
        current.append(index)
    if current:
        batches.append(tuple(current))
    return tuple(batches)


def padded_share(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> float:
    """The share of all units in the batches that is padding, in [0, 1); 0 for an empty plan."""
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches)
    return 1 - sum(lengths) / padded if padded else 0.0
