"""A frozen table of runs -> results: rows, and chunks that train together, here or elsewhere.

The table is settings x folds x seeds. Rows of like shape are cut into chunks, each one stack, and
each finished chunk is kept. What a row gives does not depend on its chunk.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from amber_cache.errors import InterruptError
from amber_heads.configuration.settings import RunSettings
from amber_heads.engine import PREDICTION_ROWS
from amber_heads.processes import HERE, Processes, train_elsewhere, train_in_threads
from amber_heads.progress import Progress, no_progress
from amber_heads.stack.material import Material
from amber_heads.stack.runs import Run, RunResult
from amber_heads.trained import TrainedRuns

#: Runs that train as one stack at most. A CPU gains no more from more, and a table's cells of one
#: fold and seed are about as many; a GPU takes what its memory holds.
CHUNK_SIZE = {"cpu": 9, "cuda": 225}

#: What the stacks that train at once may take, in bytes.
MEMORY_BUDGET = {"cpu": 2 * 2**30, "cuda": 8 * 2**30}


def make_table(
    settings: Sequence[RunSettings], *, num_folds: int, seeds: Sequence[int]
) -> tuple[Run, ...]:
    """Every run, by settings, then fold, then seed."""
    return tuple(
        Run(one, fold, seed) for one in settings for fold in range(num_folds) for seed in seeds
    )


def plan_chunks(
    runs: Sequence[Run], *, size: int | Callable[[Sequence[Run]], int]
) -> tuple[tuple[int, ...], ...]:
    """Cut a table into stacks of rows that agree in width, batch size and length.

    Rows of one fold and seed stand together, since they share their minibatches.

    Args:
        runs: The rows.
        size: Rows in a stack at most, or that for all rows of one shape.
    """
    shapes: dict[tuple[int, int, int], list[int]] = {}
    for row, run in enumerate(runs):
        one = run.settings
        shapes.setdefault((one.hidden, one.batch_size, one.epochs), []).append(row)
    chunks = []
    for rows in shapes.values():
        most = size if isinstance(size, int) else size([runs[row] for row in rows])
        rows.sort(key=lambda row: (runs[row].fold, runs[row].seed, row))
        chunks += [tuple(rows[start : start + most]) for start in range(0, len(rows), most)]
    return tuple(chunks)


def table_name(runs: Sequence[Run]) -> str:
    """What a table's plan goes by: its runs, in order."""
    return hashlib.sha256(" ".join(run.name for run in runs).encode()).hexdigest()[:16]


def stack_bytes(material: Material, settings: RunSettings) -> int:
    """What one more run in a stack takes: parameters, two moments, the best rows, activations."""
    architecture = material.architecture(settings.hidden)
    item = torch.empty(0, dtype=material.dtype).element_size()
    gradient = 0 if material.device == "cpu" else 1
    columns = max(PREDICTION_ROWS, settings.batch_size)
    layers = sum(architecture.first_widths)
    activations = columns * (2 * layers + (2 + 2 * len(architecture.heads)) * settings.hidden)
    for name, size in architecture.inputs:
        if number := architecture.layered.get(name):
            # Its readers' sums and their gradients; its minibatch, gathered and turned round.
            sums = 2 * columns * len(architecture.readers) * size
            activations += sums + 2 * settings.batch_size * number * size
    return item * ((4 + gradient) * architecture.num_parameters + activations)


def chunk_size(material: Material, settings: RunSettings, *, budget: int | None = None) -> int:
    """How many runs train as one stack: what suits the device and its memory."""
    kind = material.device.split(":")[0]
    fitting = (budget or MEMORY_BUDGET[kind]) // stack_bytes(material, settings)
    return max(1, min(CHUNK_SIZE[kind], fitting))


def train_table(
    runs: Sequence[Run],
    material: Material,
    *,
    store: TrainedRuns | None = None,
    size: int | None = None,
    budget: int | None = None,
    processes: Processes = HERE,
    progress: Progress = no_progress,
) -> list[RunResult]:
    """Train the rows of a table that are not kept already; results in the table's order.

    Args:
        runs: The rows.
        material: Data, folds and device.
        store: Where finished chunks are kept and looked for; None: in memory, until this returns.
        size: Rows that train as one stack; None: what suits the device.
        budget: Bytes that the stacks that train at once may take; None: `MEMORY_BUDGET`.
        processes: Who trains the chunks.
        progress: Told (stage, run epochs done, run epochs in all, what was best so far) of what is
            still to be trained.

    Raises:
        ConfigError: Several workers are asked for on a GPU, or fewer than one.
        RunError: What is finished can't be kept.
    """
    workers = processes.number(material.device)
    results: dict[Run, RunResult] = {}
    with _planned(runs, material, store, size or _size(material, budget, workers)) as chunks:
        waiting = [chunk for chunk in chunks if store is None or any(r not in store for r in chunk)]
        total = sum(run.settings.epochs for chunk in waiting for run in chunk)
        done, best = 0, math.inf

        def on_epochs(number: int) -> None:
            nonlocal done
            done += number
            note = f"best validation js {best:.4f}" if best < math.inf else ""
            progress("training (run epochs)", done, total, note)

        if waiting:
            on_epochs(0)
        for trained in _trained(waiting, material, workers, processes.backend, on_epochs):
            best = min(best, *(one.best_js for one in trained))
            if store is None:
                results |= {one.run: one for one in trained}
            else:
                store.add(trained)
    return [results[run] if store is None else store.result(run) for run in runs]


@contextmanager
def _planned(
    runs: Sequence[Run],
    material: Material,
    store: TrainedRuns | None,
    size: int | Callable[[Sequence[Run]], int],
) -> Iterator[list[list[Run]]]:
    """A table's chunks: the plan's, where it was begun; that is kept until all is done."""
    if store is None:
        yield _cut(runs, size)
        return
    table = table_name(runs)
    by_name = {run.name: run for run in runs}
    plan = store.plan(table)
    if plan is None or not all(name in by_name for names in plan["chunks"] for name in names):
        chunks = _cut([run for run in runs if run not in store], size)
        store.write_plan(table, chunks=[[run.name for run in chunk] for chunk in chunks])
    else:
        chunks = [[by_name[name] for name in names] for names in plan["chunks"]]
    try:
        yield chunks
    except KeyboardInterrupt:
        store.leave(table)
        if kept := sum(run in store for run in runs):
            raise interrupted(kept, len(runs)) from None
        raise
    except BaseException:
        store.leave(table)
        raise
    store.forget_plan(table)


def interrupted(kept: int, number: int) -> InterruptError:
    """What Ctrl-C leaves of a number of runs."""
    return InterruptError(
        f"interrupted; {kept} of {number} runs are kept, and the same command goes on", status=130
    )


def _size(material: Material, budget: int | None, workers: int) -> Callable[[Sequence[Run]], int]:
    """How many rows a stack takes, so that the stacks that train at once fit and end together."""
    kind = material.device.split(":")[0]
    share = (budget or MEMORY_BUDGET[kind]) // workers

    def size(runs: Sequence[Run]) -> int:
        most = chunk_size(material, runs[0].settings, budget=share)
        stacks = -(-len(runs) // most)  # at least so many, in whole rounds of all workers
        return -(-len(runs) // (workers * -(-stacks // workers)))

    return size


def _cut(runs: Sequence[Run], size: int | Callable[[Sequence[Run]], int]) -> list[list[Run]]:
    return [[runs[row] for row in rows] for rows in plan_chunks(runs, size=size)]


def _trained(
    chunks: Sequence[Sequence[Run]],
    material: Material,
    workers: int,
    backend: str,
    on_epochs: Callable[[int], None],
) -> Iterator[list[RunResult]]:
    if backend == "threading":
        return train_in_threads(chunks, material, workers=workers, on_epochs=on_epochs)
    return train_elsewhere(chunks, material, workers=workers, backend=backend, on_epochs=on_epochs)
