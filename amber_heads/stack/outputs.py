"""What is large of a run's result: in memory, or on disk and read when it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from amber_cache.errors import RunError
from amber_heads.files.tensor_files import open_tensors

#: How far from one the sum of a row may lie: `metrics.SUM_TOLERANCE`, which stands further down.
SUM_TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """In memory.

    Attributes:
        parameters: (P,) float32 row, each head's from its best epoch.
        validation: (n, H, C) distributions for the fold's validation part.
        tests: (n, H, C) for each test set.
    """

    parameters: np.ndarray
    validation: np.ndarray
    tests: Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class StoredOutputs:
    """In a chunk's file (trained.py), read at each call."""

    path: Path
    run: str

    @property
    def parameters(self) -> np.ndarray:
        """See `Outputs`."""
        return self._read("parameters")

    @property
    def validation(self) -> np.ndarray:
        """See `Outputs`."""
        return self._distributions("validation", self._read("validation"))

    @property
    def tests(self) -> Mapping[str, np.ndarray]:
        """See `Outputs`."""
        start = f"{self.run}/tests/"
        with _opened(self.path) as file:
            names = [name for name in file.keys() if name.startswith(start)]  # noqa: SIM118
            found = {name.removeprefix(start): file.get_tensor(name) for name in names}
        return {name: self._distributions(name, one) for name, one in found.items()}

    def _distributions(self, name: str, values: np.ndarray) -> np.ndarray:
        """The values, if they are what a softmax gives, or NaN where a run diverged."""
        sums = values.sum(axis=-1, dtype=np.float64)
        if (values < 0).any() or (np.abs(sums - 1) > SUM_TOLERANCE).any():
            raise RunError(
                f"{self.path}: {name} of {self.run} holds no distributions; delete the file, and "
                "the same command trains its runs again"
            )
        return values

    def _read(self, name: str) -> np.ndarray:
        with _opened(self.path) as file:
            return np.asarray(file.get_tensor(f"{self.run}/{name}"))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with open_tensors(path) as file:
            yield file
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path}: what was trained is gone or changed since ({error}); the same command "
            "again trains what is missing"
        ) from None
