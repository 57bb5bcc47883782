"""From inputs to vectors: batches are decoded ahead of the encoder, encoded, and pooled.

What fails is an outcome like any other: one utterance never costs another its vector.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeAlias, TypeGuard, TypeVar

import numpy as np

from amber_cache.batching import plan_batches
from amber_cache.encoders.base import Encoder, Prepared
from amber_cache.errors import UtteranceError
from amber_cache.pooling import pool
from amber_cache.sources import Source, Sources

#: Padded milliseconds of audio, and padded characters of text, in one batch. On a CPU padding costs
#: more than batching gains, so that batches are small there.
AUDIO_BUDGET_MS = {"cpu": 16_000, "cuda": 320_000}
TEXT_BUDGET = {"cpu": 2_000, "cuda": 60_000}

#: Batches that are decoded ahead of the encoder: all that is held of the corpus's audio.
NUM_AHEAD = 3

#: A row, its vector or why there is none, and what the user should be told of it.
Outcome: TypeAlias = tuple[int, np.ndarray | UtteranceError, str]

T = TypeVar("T")
R = TypeVar("R")


def encoded_rows(
    rows: Sequence[int], inputs: Sources, encoder: Encoder, *, layer: int, pooling: str
) -> Iterator[Outcome]:
    """Each row's outcome, in the order of the batches; rows without an input come first."""
    usable: dict[int, Source] = {}
    for row in rows:
        source = inputs[row]
        if isinstance(source, UtteranceError):
            yield row, source, ""
        else:
            usable[row] = source
    order = list(usable)
    budgets = AUDIO_BUDGET_MS if encoder.info.modality == "audio" else TEXT_BUDGET
    plan = plan_batches(
        [usable[row].length for row in order], budget=budgets[encoder.device.split(":")[0]]
    )
    batches = [[order[i] for i in batch] for batch in plan]
    prepare = partial(_prepare, encoder=encoder)
    prepared = _ahead(prepare, ([usable[row] for row in batch] for batch in batches))
    for batch, items in zip(batches, prepared, strict=True):
        yield from _encode_batch(batch, items, encoder, layer=layer, pooling=pooling)


def _ahead(work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
    """The tasks' results in order, worked out by two threads, never more than `NUM_AHEAD` ahead."""
    remaining = iter(tasks)
    pool = ThreadPoolExecutor(max_workers=2)
    try:
        waiting = deque(pool.submit(work, task) for task in islice(remaining, NUM_AHEAD))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(work, task) for task in islice(remaining, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(sources: Sequence[Source], encoder: Encoder) -> list[Prepared | UtteranceError]:
    items: list[Prepared | UtteranceError] = []
    for source in sources:
        try:
            items.append(encoder.prepare(source.load(encoder.info.sampling_rate_hz)))
        except UtteranceError as error:
            items.append(error)
    return items


def _encode_batch(
    rows: Sequence[int],
    items: Sequence[Prepared | UtteranceError],
    encoder: Encoder,
    *,
    layer: int,
    pooling: str,
) -> Iterator[Outcome]:
    ready = [(row, item) for row, item in zip(rows, items, strict=True) if _is_ready(item)]
    for row, item in zip(rows, items, strict=True):
        if isinstance(item, UtteranceError):
            yield row, item, ""
    if not ready:
        return
    encoded = encoder.encode([item for _, item in ready], layers=(layer,))
    pooled = pool(pooling, encoded.frames[0], encoded.mask)
    vectors = pooled.float().cpu().numpy()
    for (row, item), vector in zip(ready, vectors, strict=True):
        if np.isfinite(vector).all():
            yield row, vector, item.note
        else:
            yield row, UtteranceError("the encoder gave values that are not finite"), ""


def _is_ready(item: Prepared | UtteranceError) -> TypeGuard[Prepared]:
    return isinstance(item, Prepared)
