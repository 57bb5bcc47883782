"""Chunks that other processes train, through joblib's backends; the results are the same.

The data goes to a process once: as arrays that loky's workers map into memory together, or as one
object that a cluster's workers keep.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import joblib

from amber_cache.errors import ConfigError
from amber_heads.engine import train_stack
from amber_heads.material import Material, MaterialParts
from amber_heads.runs import Run, RunResult

#: joblib's own, and those that other packages bring.
BACKENDS = ("loky", "threading", "dask", "ray")

_PACKAGES = {"dask": "distributed", "ray": "ray"}


@dataclass(frozen=True)
class Processes:
    """Who trains.

    Attributes:
        workers: Processes; 1: this one alone.
        backend: One of `BACKENDS`.
    """

    workers: int = 1
    backend: str = "loky"

    @property
    def threads(self) -> int:
        """What each of them computes with."""
        import torch

        if self.workers == 1:
            return torch.get_num_threads()
        return max(1, (os.cpu_count() or 1) // self.workers)

    def check(self, device: str) -> None:
        """Refuse what can't be.

        Raises:
            ConfigError: Fewer workers than one, several on a GPU, or no such backend.
        """
        if self.workers < 1 or (self.workers > 1 and device != "cpu"):
            raise ConfigError(f"--workers {self.workers}: must be at least 1, and 1 on a GPU")
        if self.backend not in BACKENDS:
            raise ConfigError(f"--backend {self.backend}: choose from {', '.join(BACKENDS)}")
        if self.backend != "loky" and self.workers == 1:
            raise ConfigError(
                f"--backend {self.backend} has no effect with one worker; give --workers"
            )
        if package := _PACKAGES.get(self.backend):
            try:
                __import__(package)
            except ImportError:
                raise ConfigError(
                    f"--backend {self.backend} needs the package {package}; install it, or leave "
                    "the option out"
                ) from None


#: This process alone.
HERE = Processes()


def train_elsewhere(
    chunks: Sequence[Sequence[Run]], material: Material, processes: Processes, *, threads: int
) -> Iterator[tuple[Sequence[Run], list[RunResult]]]:
    """Each chunk with its results, in order; each process computes with so many threads."""
    if not chunks:
        return
    how = "list" if processes.backend == "ray" else "generator"
    with _backend(processes):
        parallel = joblib.Parallel(n_jobs=processes.workers, return_as=how)
        jobs = (joblib.delayed(_train)(list(chunk), material.parts, threads) for chunk in chunks)
        yield from zip(chunks, parallel(jobs), strict=True)


@contextmanager
def _backend(processes: Processes) -> Iterator[None]:
    if processes.backend == "ray":
        from ray.util.joblib import register_ray

        register_ray()
    if processes.backend == "dask":
        from distributed import Client

        # One that is running is found by DASK_SCHEDULER_ADDRESS; else one is started here.
        options: dict[str, Any] = {"n_workers": processes.workers, "threads_per_worker": 1}
        address = os.environ.get("DASK_SCHEDULER_ADDRESS")
        with Client(address, **({} if address else options)), joblib.parallel_config("dask"):
            yield
        return
    with joblib.parallel_config(processes.backend):
        yield


_MADE: dict[str, Material] = {}


def _train(runs: list[Run], parts: MaterialParts, threads: int) -> list[RunResult]:
    """In a worker: the data is put together once."""
    import torch

    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    if parts.key not in _MADE:
        _MADE.clear()
        _MADE[parts.key] = Material.from_parts(parts)
    return train_stack(runs, _MADE[parts.key])
