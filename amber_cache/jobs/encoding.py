"""From inputs to vectors: batches are decoded ahead of the encoder, encoded, and pooled.

What fails is an outcome like any other: one utterance never costs another its vector.

Decoding runs in threads: libsndfile, soxr and NumPy let go of Python's lock, and a waveform that is
decoded in the process need not be copied into it (bench_decode.py holds threads to processes).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float

from amber_cache.batching import plan_with_little_padding
from amber_cache.encoders.base import Encoder, Prepared
from amber_cache.errors import UtteranceError
from amber_cache.jobs.journal import Outcome
from amber_cache.jobs.memory import Limits, fits, within_memory
from amber_cache.pooling import pool
from amber_cache.sources import Inputs, Source

#: Padded milliseconds of audio, and padded characters of text, in one batch. On a CPU audio gains
#: nothing from batches: without their padding, base-size wav2vec2 costs in float32 19.7 CPU seconds
#: clip by clip, 19.5 at 8,000, 20.9 at 16,000, 20.7 at 32,000 ms, in bfloat16 10.8, 10.2, 10.3 and
#: 10.3; BERT 1.8 text by text, 0.8 at 500, 0.6 at 2,000 and at 8,000 characters
#: (bench_batch_shape.py). CUDA's are not measured.
AUDIO_BUDGET_MS = {"cpu": 8_000, "cuda": 320_000}
TEXT_BUDGET = {"cpu": 2_000, "cuda": 60_000}

#: Batches that are decoded ahead of the encoder: all that is held of the corpus's audio.
NUM_AHEAD = 3

#: Threads that decode beside an encoder on the CPU, which needs the cores itself.
NUM_DECODERS_ON_CPU = 2

#: The most that decode beside a GPU, unless the user says otherwise: at 1,000 s of 44.1 kHz FLAC or
#: MP3 a core and second they keep up with several thousand times real time.
MAX_DECODERS = 8

T = TypeVar("T")
R = TypeVar("R")


def encoded_rows(
    rows: Sequence[int], inputs: Inputs, encoder: Encoder, *, layer: int, pooling: str
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
    rows: Sequence[int], inputs: Inputs, encoder: Encoder, layers: Sequence[int] = (-1,)
) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """A batch's budget where the encoder runs, and the batches of the rows that have an input.

    On a GPU the budget is halved until its most demanding batches fit the memory: they are encoded
    once, layers and all, with a quarter to spare.
    """
    lengths = {row: source.length for row in rows if isinstance(source := inputs[row], Source)}
    order = list(lengths)
    budgets = AUDIO_BUDGET_MS if encoder.info.modality == "audio" else TEXT_BUDGET
    budget = budgets[encoder.device.split(":")[0]]
    while True:
        budget, plan = plan_with_little_padding(list(lengths.values()), budget=budget)
        batches = tuple(tuple(order[i] for i in batch) for batch in plan)
        if encoder.device == "cpu" or _all_fit(batches, inputs, encoder, layers):
            return budget, batches
        budget //= 2


def plan_unheard(
    rows: Sequence[int], inputs: Inputs, *, device: str
) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """As `plan_rows`, for texts that are not known yet: nothing is probed.

    The batches are the same whichever encoder gets them, so that a shard of the transcripts is one
    of every entry that is made of them.
    """
    lengths = {row: source.length for row in rows if isinstance(source := inputs[row], Source)}
    order = list(lengths)
    budget = TEXT_BUDGET[device.split(":")[0]]
    budget, plan = plan_with_little_padding(list(lengths.values()), budget=budget)
    return budget, tuple(tuple(order[i] for i in batch) for batch in plan)


def encoded_batches(
    batches: Mapping[int, Sequence[int]],
    inputs: Inputs,
    encoder: Encoder,
    *,
    layers: Sequence[int],
    pooling: str,
    decoders: int | None = None,
    limits: Limits | None = None,
) -> Generator[tuple[int, list[list[Outcome]]]]:
    """Each batch's number, and each layer's outcomes; every row must have an input.

    The batches come in the order given, the layers too; one pass of the encoder gives them all.

    Args:
        batches: By number.
        inputs: By row.
        encoder: What encodes.
        layers: Of the encoder.
        pooling: Frames to one vector.
        decoders: Threads that decode ahead; None for as many as pay where the encoder runs.
        limits: Lowered where memory runs out.
    """
    prepare = partial(_prepare, encoder=encoder)
    sources = (_sources(rows, inputs) for rows in batches.values())
    prepared = _ahead(prepare, sources, decoders or default_decoders(encoder.device))
    how: dict[str, Any] = {"layers": layers, "pooling": pooling, "limits": limits or Limits()}
    with closing(prepared):
        for (number, rows), items in zip(batches.items(), prepared, strict=True):
            yield number, _encode_batch(rows, items, encoder, batch=number, **how)


def default_decoders(device: str) -> int:
    """Threads that decode ahead: for a GPU one for each core that this process may use."""
    if device == "cpu":
        return NUM_DECODERS_ON_CPU
    affinity = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return min(MAX_DECODERS, len(affinity(0)))


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


def _all_fit(
    batches: Sequence[Sequence[int]], inputs: Inputs, encoder: Encoder, layers: Sequence[int]
) -> bool:
    """Whether the batch of the longest and the one of the most units fit; single inputs must."""
    several = [rows for rows in batches if len(rows) > 1]
    if not several:
        return True
    prepare = partial(_prepare, encoder=encoder)
    for rows in {several[0], max(several, key=lambda rows: _padded(rows, inputs))}:
        ready = _ready(rows, [prepare(one) for one in _sources(rows, inputs)])
        if ready and not fits([item for _, item in ready], partial(encoder.encode, layers=layers)):
            return False
    return True


def _padded(rows: Sequence[int], inputs: Inputs) -> int:
    return len(rows) * max(one.length for one in _sources(rows, inputs))


def _sources(rows: Sequence[int], inputs: Inputs) -> list[Source]:
    sources = []
    for row in rows:
        source = inputs[row]
        if isinstance(source, UtteranceError):
            raise ValueError(f"row {row} is planned, and has no input: {source}")
        sources.append(source)
    return sources


def _ahead(
    work: Callable[[T], R], tasks: Iterable[Sequence[T]], workers: int
) -> Generator[list[R], None, None]:
    """Each task's results in order, worked out by threads, never more than `NUM_AHEAD` ahead."""
    remaining = iter(tasks)
    pool = ThreadPoolExecutor(max_workers=workers)

    def submitted(number: int) -> list[list[Future[R]]]:
        return [[pool.submit(work, one) for one in task] for task in islice(remaining, number)]

    try:
        waiting = deque(submitted(NUM_AHEAD))
        while waiting:
            results = [one.result() for one in waiting.popleft()]
            waiting.extend(submitted(1))
            yield results
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(source: Source, encoder: Encoder) -> Prepared | UtteranceError:
    try:
        return encoder.prepare(source.load(encoder.info.sampling_rate_hz))
    except UtteranceError as error:
        return error


def _encode_batch(
    rows: Sequence[int],
    items: Sequence[Prepared | UtteranceError],
    encoder: Encoder,
    *,
    batch: int,
    layers: Sequence[int],
    pooling: str,
    limits: Limits,
) -> list[list[Outcome]]:
    failed: list[Outcome] = [
        (row, item, "")
        for row, item in zip(rows, items, strict=True)
        if isinstance(item, UtteranceError)
    ]
    ready = _ready(rows, items)
    encode = partial(_encode, encoder=encoder, layers=layers, pooling=pooling)
    found = within_memory([item for _, item in ready], encode, batch=batch, limits=limits)
    return [
        failed
        + [
            (row, vectors, "")
            if isinstance(vectors, UtteranceError)
            else _outcome(row, item, vectors[layer])
            for (row, item), vectors in zip(ready, found, strict=True)
        ]
        for layer in range(len(layers))
    ]


def _encode(
    items: Sequence[Prepared], *, encoder: Encoder, layers: Sequence[int], pooling: str
) -> Float[np.ndarray, "batch layer feature"]:
    encoded = encoder.encode(items, layers=layers)
    pooled = [pool(pooling, frames, encoded.mask).float().cpu() for frames in encoded.frames]
    return torch.stack(pooled, dim=1).numpy()


def _outcome(row: int, item: Prepared, vector: np.ndarray) -> Outcome:
    if np.isfinite(vector).all():
        return row, vector, item.note
    return row, UtteranceError("the encoder gave values that are not finite"), ""


def _ready(
    rows: Sequence[int], items: Sequence[Prepared | UtteranceError]
) -> list[tuple[int, Prepared]]:
    pairs = zip(rows, items, strict=True)
    return [(row, item) for row, item in pairs if isinstance(item, Prepared)]
