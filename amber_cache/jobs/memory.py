"""What is done where a batch does not fit the device's memory: it is encoded in pieces.

A batch stays what the plan says: the unit that is recorded. How much of it is encoded at once is
halved where memory runs out, for that batch and all that follow, and that is kept with the job: a
job that goes on encodes each batch in the same pieces as one that was never ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float

from amber_cache.encoders.base import Prepared
from amber_cache.errors import UtteranceError
from amber_cache.jobs.journal import Limit

# How PyTorch says it on a CPU, where it has no class for it.
_ON_CPU = "can't allocate memory"


class Limits:
    """How many padded units (samples, tokens) are encoded at once.

    Args:
        found: Where memory ran out before.
        keep: Told of each new limit before anything is encoded under it.
    """

    def __init__(
        self,
        found: Sequence[Limit] = (),
        keep: Callable[[int, int], None] = lambda batch, most: None,
    ) -> None:
        self._found = list(found)
        self._keep = keep

    def most(self, batch: int) -> int | None:
        """For a batch; None for no limit."""
        return min((most for first, most in self._found if first <= batch), default=None)

    def halve(self, batch: int, size: int) -> None:
        """So many units were too many, and would be for all batches from this one on."""
        self._found.append((batch, size // 2))
        self._keep(batch, size // 2)


class _TooMuchError(Exception):
    """A piece of several items does not fit; how many padded units it has."""


def within_memory(
    items: Sequence[Prepared],
    encode: Callable[[Sequence[Prepared]], Float[np.ndarray, "batch layer feature"]],
    *,
    batch: int,
    limits: Limits,
) -> list[Float[np.ndarray, "layer feature"] | UtteranceError]:
    """Encode a batch as a whole or in pieces; an item that does not fit even alone fails.

    Args:
        items: The longest first.
        encode: What runs out of memory, or not.
        batch: Its number.
        limits: Lowered where a piece does not fit; all of the batch is encoded anew then.
    """
    while True:
        try:
            pieces = _pieces(items, limits.most(batch))
            return [one for piece in pieces for one in _encoded(piece, encode)]
        except _TooMuchError as error:
            limits.halve(batch, int(str(error)))


def fits(items: Sequence[Prepared], encode: Callable[[Sequence[Prepared]], object]) -> bool:
    """Whether the device has the memory for a batch, and for a quarter of it more."""
    try:
        encode([*items, *items[: len(items) // 4]])
        return True
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    give_back()
    return False


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that the device, or the machine, has no more memory."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or _ON_CPU in str(error)


def give_back() -> None:
    """Let other processes have what PyTorch keeps of the GPU's memory."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _pieces(items: Sequence[Prepared], most: int | None) -> Iterator[Sequence[Prepared]]:
    """Stretches of the items that have no more padded units than that, or are one item."""
    start = 0
    while start < len(items):
        longest = max(1, items[start].values.shape[0])
        number = len(items) if most is None else max(1, most // longest)
        yield items[start : start + number]
        start += number


def _encoded(
    piece: Sequence[Prepared], encode: Callable[[Sequence[Prepared]], np.ndarray]
) -> list[np.ndarray | UtteranceError]:
    try:
        return list(encode(piece))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    give_back()  # here, where the error no longer holds what was computed
    if len(piece) == 1:
        return [UtteranceError("is too long for the memory of the device, even alone")]
    raise _TooMuchError(len(piece) * max(one.values.shape[0] for one in piece))
