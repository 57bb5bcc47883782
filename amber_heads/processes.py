"""Who trains the chunks of a table: threads of this process, or others through joblib's backends.

On a CPU each stack computes with one thread, and as many stacks train at once as there are workers:
nothing waits for another core in the middle of a step, and no bit of a run depends on how many
cores there are. Threads share the data as it stands. Other processes get it once: as arrays that
loky's workers map into memory together, or as one object that a cluster's workers keep.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import joblib
import torch

from amber_heads.configuration.checks import check_trainers
from amber_heads.engine import train_stack
from amber_heads.stack.material import Material, MaterialParts
from amber_heads.stack.runs import Run, RunResult


@dataclass(frozen=True)
class Processes:
    """Who trains.

    Attributes:
        workers: How many stacks train at once; None: as many as PyTorch would use threads, which
            OMP_NUM_THREADS sets; on a GPU one.
        backend: One of `checks.BACKENDS`.
    """

    workers: int | None = None
    backend: str = "threading"

    def number(self, device: str) -> int:
        """How many stacks train at once.

        Raises:
            ConfigError: Fewer than one, several on a GPU, or a backend that can't be had.
        """
        on_cpu = device == "cpu"
        check_trainers(self.workers, self.backend, on_cpu=on_cpu)
        return self.workers or (torch.get_num_threads() if on_cpu else 1)


#: Threads of this process.
HERE = Processes()


def train_in_threads(
    chunks: Sequence[Sequence[Run]],
    material: Material,
    *,
    workers: int,
    on_epochs: Callable[[int], None],
) -> Iterator[list[RunResult]]:
    """Each chunk's results, in order; what trains is stopped when the iterator is closed.

    Args:
        chunks: Each a stack.
        material: What all of them read.
        workers: How many train at once.
        on_epochs: Told how many run epochs are done, by one thread at a time.
    """
    lock, over = threading.Lock(), threading.Event()

    def tell(number: int) -> None:
        with lock:
            on_epochs(number)

    def go_on() -> None:
        if over.is_set():
            raise _StoppedError

    def work(chunk: Sequence[Run]) -> list[RunResult]:
        if material.device == "cpu":
            torch.set_num_threads(1)  # of this thread
        left = sum(run.settings.epochs for run in chunk)

        def told(epoch: int, num_training: int) -> None:
            nonlocal left
            left -= num_training
            tell(num_training)

        results = train_stack(chunk, material, on_epoch=told, on_step=go_on)
        if left:  # of runs that stopped early
            tell(left)
        return results

    before = torch.get_num_threads()
    remaining = iter(chunks)
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        waiting = deque(pool.submit(work, chunk) for chunk in islice(remaining, workers))
        while waiting:
            results = waiting.popleft().result()
            waiting.extend(pool.submit(work, chunk) for chunk in islice(remaining, 1))
            yield results
    finally:
        over.set()
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def train_elsewhere(
    chunks: Sequence[Sequence[Run]],
    material: Material,
    *,
    workers: int,
    backend: str,
    on_epochs: Callable[[int], None],
) -> Iterator[list[RunResult]]:
    """As `train_in_threads`, in other processes; told of whole chunks."""
    if not chunks:
        return
    how = "list" if backend == "ray" else "generator"
    with _backend(backend, workers):
        parallel = joblib.Parallel(n_jobs=workers, return_as=how)
        jobs = (joblib.delayed(_train)(list(chunk), material.parts) for chunk in chunks)
        for chunk, results in zip(chunks, parallel(jobs), strict=True):
            on_epochs(sum(run.settings.epochs for run in chunk))
            yield results


class _StoppedError(Exception):
    """Nobody waits for this stack any more."""


@contextmanager
def _backend(name: str, workers: int) -> Iterator[None]:
    if name == "ray":
        from ray.util.joblib import register_ray

        register_ray()
    if name == "dask":
        from distributed import Client

        # One that is running is found by DASK_SCHEDULER_ADDRESS; else one is started here.
        options: dict[str, Any] = {"n_workers": workers, "threads_per_worker": 1}
        address = os.environ.get("DASK_SCHEDULER_ADDRESS")
        with Client(address, **({} if address else options)), joblib.parallel_config("dask"):
            yield
        return
    with joblib.parallel_config(name):
        yield


_MADE: dict[str, Material] = {}


def _train(runs: list[Run], parts: MaterialParts) -> list[RunResult]:
    """In a worker: the data is put together once."""
    torch.set_num_threads(1)
    if parts.key not in _MADE:
        _MADE.clear()
        _MADE[parts.key] = Material.from_parts(parts)
    return train_stack(runs, _MADE[parts.key])
