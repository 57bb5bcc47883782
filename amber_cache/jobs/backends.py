"""Who encodes besides this process: joblib's backends, opened for as long as a command runs.

amber_heads has a list of its own (`processes.py`), since stage two takes nothing of stage one but
store, records and errors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from amber_cache.errors import ConfigError

#: joblib's own processes, and what other packages bring.
BACKENDS = ("loky", "dask", "ray")

_PACKAGES = {"dask": "distributed", "ray": "ray"}


@dataclass(frozen=True, slots=True)
class Workers:
    """Who encodes.

    Attributes:
        backend: One of `BACKENDS`.
        number: How many at once; None for as many as the cluster has.
        address: A cluster's; "" to start what is needed on this machine.
    """

    backend: str
    number: int | None
    address: str = ""

    @property
    def share(self) -> int:
        """How many share this machine's cores."""
        return 1 if self.address else self.number or 1


def parse_workers(workers: str | None, backend: str | None) -> Workers | None:
    """Read --workers and --backend; None where this process does all.

    A running Dask cluster is found by DASK_SCHEDULER_ADDRESS too.

    Raises:
        ConfigError: They are no number, address or backend, disagree, or need a package.

    >>> parse_workers("2", None)
    Workers(backend='loky', number=2, address='')
    """
    if backend is not None and backend not in BACKENDS:
        raise ConfigError(f"--backend {backend}: choose from {', '.join(BACKENDS)}")
    number = int(workers) if workers is not None and workers.lstrip("-").isdigit() else None
    if workers is not None and number is None and backend not in _PACKAGES:
        raise ConfigError(
            f"--workers {workers}: must be a number, or a cluster's address with --backend dask or "
            "ray"
        )
    if number is not None and number < 1:
        raise ConfigError(f"--workers {workers}: must be at least 1")
    if workers is None or number == 1:
        if backend is None:
            return None
        raise ConfigError(f"--backend {backend} has no effect with one worker; give --workers too")
    chosen = backend or "loky"
    _require_package(chosen)
    address = "" if number else workers
    if chosen == "dask" and not address:
        address = os.environ.get("DASK_SCHEDULER_ADDRESS", "")
    return Workers(chosen, number, address)


@contextmanager
def opened(workers: Workers) -> Iterator[int]:
    """Reach the workers, or start them; how many there are.

    Raises:
        ConfigError: A cluster can't be reached.
    """
    with ExitStack() as stack:
        number = workers.number
        try:
            if workers.backend in _PACKAGES:
                cluster = _dask if workers.backend == "dask" else _ray
                number = stack.enter_context(cluster(workers))
        except (OSError, ValueError) as error:  # a TimeoutError is an OSError
            raise ConfigError(
                f"--backend {workers.backend}: {workers.address or 'a local cluster'} can't be "
                f"reached: {' '.join(str(error).split())}"
            ) from None
        assert number is not None
        yield number


@contextmanager
def _dask(workers: Workers) -> Iterator[int]:
    from distributed import Client

    local: dict[str, Any] = {"n_workers": workers.number, "threads_per_worker": 1}
    with Client(workers.address or None, **({} if workers.address else local)) as client:
        yield workers.number or max(1, len(client.nthreads()))


@contextmanager
def _ray(workers: Workers) -> Iterator[int]:
    import ray
    from ray.util.joblib import register_ray

    register_ray()
    ray.init(address=workers.address or None, ignore_reinit_error=True)
    try:
        yield workers.number or max(1, int(ray.cluster_resources().get("CPU", 1)))
    finally:
        ray.shutdown()


def _require_package(backend: str) -> None:
    if package := _PACKAGES.get(backend):
        try:
            __import__(package)
        except ImportError:
            raise ConfigError(
                f"--backend {backend} needs the package {package}; install it, or leave the option "
                "out"
            ) from None
