"""A frozen table of runs -> results: rows, chunks that train together, and selection.

The table is settings x folds x seeds. Rows of like shape are cut into chunks, each one stack; what
a row gives does not depend on its chunk. Settings are selected on validation only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import joblib
import numpy as np

from amber_cache.errors import ConfigError
from amber_heads.engine import RunResult, train_stack
from amber_heads.material import Material
from amber_heads.runs import Run
from amber_heads.settings import RunSettings

#: Runs that train as one stack: on a CPU few, so that their state stays near the cores.
CHUNK_SIZE = {"cpu": 5, "cuda": 225}


def make_table(
    settings: Sequence[RunSettings], *, num_folds: int, seeds: Sequence[int]
) -> tuple[Run, ...]:
    """Every run, by settings, then fold, then seed."""
    return tuple(
        Run(one, fold, seed) for one in settings for fold in range(num_folds) for seed in seeds
    )


def plan_chunks(runs: Sequence[Run], *, size: int) -> tuple[tuple[int, ...], ...]:
    """Cut a table into stacks of at most `size` rows that agree in width, batch and length.

    Rows of one fold and seed stand together, since they share their minibatches.
    """
    shapes: dict[tuple[int, int, int], list[int]] = {}
    for row, run in enumerate(runs):
        one = run.settings
        shapes.setdefault((one.hidden, one.batch_size, one.epochs), []).append(row)
    chunks = []
    for rows in shapes.values():
        rows.sort(key=lambda row: (runs[row].fold, runs[row].seed, row))
        chunks += [tuple(rows[start : start + size]) for start in range(0, len(rows), size)]
    return tuple(chunks)


def train_table(
    runs: Sequence[Run],
    material: Material,
    *,
    chunk_size: int | None = None,
    workers: int = 1,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> list[RunResult]:
    """Train every row of a table, chunk by chunk; results in the table's order.

    Args:
        runs: The rows.
        material: Data, folds and device.
        chunk_size: Rows that train as one stack; None: what suits the device.
        workers: Processes that share the chunks and the cores (joblib's loky backend).
        progress: Told (stage, run epochs done, run epochs in all).

    Raises:
        ConfigError: Several workers are asked for on a GPU, or fewer than one.
    """
    if workers < 1 or (workers > 1 and material.device != "cpu"):
        raise ConfigError(f"--workers {workers}: must be at least 1, and 1 on a GPU")
    size = chunk_size or CHUNK_SIZE[material.device.split(":")[0]]
    chunks = plan_chunks(runs, size=size)
    results: dict[int, RunResult] = {}
    total = sum(run.settings.epochs for run in runs)
    done = 0
    progress("training (run epochs)", 0, total)

    def on_epoch(width: int) -> None:
        nonlocal done
        done += width
        progress("training (run epochs)", done, total)

    for chunk, stacked in _stacks(runs, chunks, material, workers, on_epoch):
        results.update(zip(chunk, stacked, strict=True))
    return [results[row] for row in range(len(runs))]


def _stacks(
    runs: Sequence[Run],
    chunks: Sequence[tuple[int, ...]],
    material: Material,
    workers: int,
    on_epoch: Callable[[int], None],
) -> Iterator[tuple[tuple[int, ...], list[RunResult]]]:
    """Each chunk and its results; `on_epoch` is told how many runs have gone on by an epoch."""
    rows = [[runs[row] for row in chunk] for chunk in chunks]
    if workers == 1:
        for chunk, one in zip(chunks, rows, strict=True):

            def told(epoch: int, width: int = len(chunk)) -> None:
                on_epoch(width)

            yield chunk, train_stack(one, material, on_epoch=told)
        return
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator")
    stacked = parallel(joblib.delayed(train_stack)(one, material) for one in rows)
    for chunk, one, results in zip(chunks, rows, stacked, strict=True):
        on_epoch(sum(run.settings.epochs for run in one))
        yield chunk, results


def judging_head(settings: RunSettings, heads: Sequence[str]) -> str:
    """The head that settings are judged by: the student, else fusion or the only one."""
    return settings.student or heads[-1]


def select(
    results: Sequence[RunResult],
    *,
    settings: Sequence[RunSettings],
    heads: Sequence[str],
    num_folds: int,
    how: str,
) -> tuple[int, ...]:
    """Which settings each fold's test part is judged with: an index into `settings` by fold.

    The criterion is the validation js, at the best epoch, of the head that the settings are judged
    by, averaged over seeds: fold by fold ("nested") or over all folds ("pooled"). The first of
    equals wins; settings of which a run diverged are chosen last.
    """
    scores = np.zeros((len(settings), num_folds))
    counts = np.zeros_like(scores)
    number = {one: i for i, one in enumerate(settings)}
    for result in results:
        one = result.run.settings
        head = list(heads).index(judging_head(one, heads))
        epoch = result.best_epoch[head]
        score = np.inf if result.diverged else result.validation_js[epoch - 1, head]
        scores[number[one], result.run.fold] += score
        counts[number[one], result.run.fold] += 1
    scores /= counts
    if how == "pooled":
        return (int(scores.mean(axis=1).argmin()),) * num_folds
    return tuple(int(choice) for choice in scores.argmin(axis=0))
