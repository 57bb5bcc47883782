"""A run's predictions.h5, which somebody else may have written: read within bounds.

What a reader takes of it is what the training wrote; that arrays fit each other is the reader's to
check, and whatever it stumbles over is the file's fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool, Int

from amber_cache.errors import AmberError, RunError
from amber_cache.store import Guard, hard_linked, open_hdf5

#: The file's name in a run directory.
PREDICTIONS = "predictions.h5"


class PredictionFile:
    """An open predictions.h5; every refusal is an exception that `open_predictions` names."""

    def __init__(self, file: h5py.File) -> None:
        self._file, self._guard = file, Guard(file)

    def __contains__(self, name: str) -> bool:
        return hard_linked(self._file, name) is not None

    def array(self, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """Numbers.

        Args:
            shape: Which it must have; None for an axis of any length.
        """
        found = np.asarray(self._guard.read(name))
        fits = found.ndim == len(shape) and all(
            one in (None, there) for one, there in zip(shape, found.shape, strict=True)
        )
        if not fits or found.dtype.kind not in "bfiu":
            wanted = ", ".join("any" if one is None else str(one) for one in shape)
            raise ValueError(f"{name} is {found.dtype} of {found.shape}, not numbers of ({wanted})")
        return found

    def folds(self, number: int) -> np.ndarray:
        """(N,) int64, the fold that tests each utterance, -1 for none."""
        found = self.array("fold", (number,)).astype(np.int64)
        if (found >= max(1, number)).any():
            raise ValueError(f"has more folds ({found.max() + 1}) than utterances ({number})")
        return found

    def of_folds(self, name: str, fold: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
        """Numbers of each fold, at least of those that `fold` names; `shape` is of one fold."""
        found = self.array(name, (None, *shape))
        if len(found) <= fold.max(initial=-1):
            raise ValueError(f"{name} has {len(found)} folds of {fold.max() + 1}")
        return found

    def training(self, fold: Int[np.ndarray, " utterance"]) -> Bool[np.ndarray, "fold utterance"]:
        """Whether an utterance is in a fold's training part.

        A file without /training was written by an older amber: its parts are then what a fold
        neither tests nor has validation predictions of; that of a fold all of whose models have
        diverged has its validation part in it.

        Args:
            fold: As `folds` gives it.

        Raises:
            ValueError: The file has neither, or not for every fold.
        """
        if "training" in self:
            return self.of_folds("training", fold, (len(fold),)).astype(bool)
        validation = self.of_folds("validation", fold, (None, None, len(fold), None))
        unread = np.isnan(validation).all(axis=(1, 2, 4))
        return np.asarray(unread & (fold != np.arange(len(unread))[:, np.newaxis]))

    def texts(self, name: str, number: int | None = None) -> np.ndarray:
        """(N,) object array of str."""
        found = np.asarray(self._guard.read(name))
        if found.ndim != 1 or number not in (None, len(found)) or found.dtype.kind not in "OS":
            raise ValueError(f"{name} is {found.dtype} of {found.shape}, not {number} texts")
        return np.array([bytes(one).decode() for one in found], dtype=object)

    def words(self, attribute: str) -> tuple[str, ...]:
        """A list of text, or of whole numbers, that stands as an attribute."""
        found = self._guard.attribute(self._file, attribute)
        if found is None or np.ndim(found) != 1:
            raise ValueError(f"has no list {attribute}")
        return tuple(map(str, found))


@contextmanager
def open_predictions(folder: Path) -> Iterator[PredictionFile]:
    """Open a run directory's predictions.

    Raises:
        RunError: There are none, or whatever is read of them within the context is not sound.
    """
    path = folder / PREDICTIONS
    try:
        with open_hdf5(path) as file:
            yield PredictionFile(file)
    except AmberError:
        raise
    # A damaged file makes h5py raise nearly anything, so none is listed.
    except Exception as error:
        raise RunError(f"{path}: can't be read: {error}") from None
