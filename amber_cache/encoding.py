"""From inputs to vectors: batches are decoded ahead of the encoder, encoded, and pooled.

What fails is an outcome like any other: one utterance never costs another its vector.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from typing import TypeGuard, TypeVar

import numpy as np
import torch

from amber_cache.batching import plan_with_little_padding
from amber_cache.encoders.base import Encoder, Prepared
from amber_cache.errors import UtteranceError
from amber_cache.journal import Outcome
from amber_cache.pooling import pool
from amber_cache.sources import Source, Sources

#: Padded milliseconds of audio, and padded characters of text, in one batch. On a CPU audio gains
#: nothing from batches: without their padding, base-size wav2vec2 costs in float32 19.7 CPU seconds
#: clip by clip, 19.5 at 8,000, 20.9 at 16,000, 20.7 at 32,000 ms, in bfloat16 10.8, 10.2, 10.3 and
#: 10.3; BERT 1.8 text by text, 0.8 at 500, 0.6 at 2,000 and at 8,000 characters
#: (bench_batch_shape.py). CUDA's are not measured.
AUDIO_BUDGET_MS = {"cpu": 8_000, "cuda": 320_000}
TEXT_BUDGET = {"cpu": 2_000, "cuda": 60_000}

#: Batches that are decoded ahead of the encoder: all that is held of the corpus's audio.
NUM_AHEAD = 3

T = TypeVar("T")
R = TypeVar("R")


def encoded_rows(
    rows: Sequence[int], inputs: Sources, encoder: Encoder, *, layer: int, pooling: str
) -> Iterator[Outcome]:
    """Each row's outcome, in the order of the batches; rows without an input come first."""
    for row in rows:
        source = inputs[row]
        if isinstance(source, UtteranceError):
            yield row, source, ""
    _, batches = plan_rows(rows, inputs, encoder)
    numbered, layers = dict(enumerate(batches)), (layer,)
    for _, done in encoded_batches(numbered, inputs, encoder, layers=layers, pooling=pooling):
        yield from done[0]


def plan_rows(
    rows: Sequence[int], inputs: Sources, encoder: Encoder
) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """A batch's budget where the encoder runs, and the batches of the rows that have an input."""
    lengths = {row: source.length for row in rows if isinstance(source := inputs[row], Source)}
    order = list(lengths)
    budgets = AUDIO_BUDGET_MS if encoder.info.modality == "audio" else TEXT_BUDGET
    budget = budgets[encoder.device.split(":")[0]]
    budget, plan = plan_with_little_padding(list(lengths.values()), budget=budget)
    return budget, tuple(tuple(order[i] for i in batch) for batch in plan)


def encoded_batches(
    batches: Mapping[int, Sequence[int]],
    inputs: Sources,
    encoder: Encoder,
    *,
    layers: Sequence[int],
    pooling: str,
) -> Generator[tuple[int, list[list[Outcome]]]]:
    """Each batch's number, and each layer's outcomes; every row must have an input.

    The batches come in the order given, the layers too; one pass of the encoder gives them all.
    """
    prepare = partial(_prepare, encoder=encoder)
    prepared = _ahead(prepare, (_sources(rows, inputs) for rows in batches.values()))
    with closing(prepared):
        for (number, rows), items in zip(batches.items(), prepared, strict=True):
            yield number, _encode_batch(rows, items, encoder, layers=layers, pooling=pooling)


def pooled_width(encoder: Encoder, pooling: str) -> int:
    """Features of a pooled vector."""
    frames = torch.zeros(1, 1, encoder.info.dimension)
    return int(pool(pooling, frames, torch.ones(1, 1, dtype=torch.bool)).shape[-1])


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with so many threads for as long as the context lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _sources(rows: Sequence[int], inputs: Sources) -> list[Source]:
    sources = []
    for row in rows:
        source = inputs[row]
        if isinstance(source, UtteranceError):
            raise ValueError(f"row {row} is planned, and has no input: {source}")
        sources.append(source)
    return sources


def _ahead(work: Callable[[T], R], tasks: Iterable[T]) -> Generator[R, None, None]:
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
    layers: Sequence[int],
    pooling: str,
) -> list[list[Outcome]]:
    ready = [(row, item) for row, item in zip(rows, items, strict=True) if _is_ready(item)]
    failed: list[Outcome] = [
        (row, item, "")
        for row, item in zip(rows, items, strict=True)
        if isinstance(item, UtteranceError)
    ]
    if not ready:
        return [failed for _ in layers]
    encoded = encoder.encode([item for _, item in ready], layers=layers)
    outcomes = []
    for frames in encoded.frames:
        vectors = pool(pooling, frames, encoded.mask).float().cpu().numpy()
        pairs = zip(ready, vectors, strict=True)
        outcomes.append(failed + [_outcome(row, item, vector) for (row, item), vector in pairs])
    return outcomes


def _outcome(row: int, item: Prepared, vector: np.ndarray) -> Outcome:
    if np.isfinite(vector).all():
        return row, vector, item.note
    return row, UtteranceError("the encoder gave values that are not finite"), ""


def _is_ready(item: Prepared | UtteranceError) -> TypeGuard[Prepared]:
    return isinstance(item, Prepared)
