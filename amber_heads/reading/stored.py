"""One run directory as it stands on the disk: configuration, summary, rows and predictions.

Nothing is compared with another run here, and nothing computed: that is `evidence`'s part.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from amber_cache.errors import RunError
from amber_cache.store import read_bounded
from amber_heads.reading.prediction_files import PredictionFile, open_predictions
from amber_heads.results import read_json

Row = Mapping[str, str]

#: What a report reads of a run directory, beside config.json. Weights may be gone.
_NEEDED = ("summary.json", "predictions.h5")
_WELCOME = ("runs.csv", "curves.csv")

_TEXTS = ("id", "speaker", "dialogue", "session")

#: Bytes of runs.csv or curves.csv, far above what a grid of thousands of runs writes.
_MOST_CSV_BYTES = 1 << 28


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """What a run directory holds; all utterances, also those that no fold tests.

    Attributes:
        heads: "fusion", or "SYSTEM/HEAD" where one directory holds several systems.
        texts: By "id", "speaker", "dialogue", "session" and "test_set": (N,) str.
        fold: (N,) number of the fold that tests an utterance, -1 for none.
        test: (S, H, N, C).
        validation: (F, S, H, N, C), NaN outside a fold's validation part; None: not kept.
        training: Whether an utterance is in a fold's training part; inferred in older runs.
        runs: Rows of runs.csv, as text; empty where that is missing. Likewise `curves`.
    """

    path: Path
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    classes: tuple[str, ...]
    heads: tuple[str, ...]
    seeds: tuple[int, ...]
    texts: Mapping[str, np.ndarray]
    fold: Int[np.ndarray, " utterance"]
    target: Float[np.ndarray, "utterance class"]
    votes: Float[np.ndarray, "utterance class"]
    test: np.ndarray
    validation: np.ndarray | None
    training: Bool[np.ndarray, "fold utterance"]
    runs: tuple[Row, ...]
    curves: tuple[Row, ...]

    @property
    def tested(self) -> np.ndarray:
        """(N,) bool: some fold tests it."""
        return np.asarray(self.fold >= 0)


def read_run(path: Path) -> StoredRun:
    """Read a run directory.

    Raises:
        RunError: It has no predictions, is cut off, is of amber eval, or was written by a newer
            amber.
    """
    config = read_json(path / "config.json")
    if config.get("command") == "eval":
        raise RunError(
            f"{path}: is of amber eval, which has no folds and seeds of its own to compare; give "
            "the run directory that it judged, or others of amber fit, grid and compare; its own "
            "tables hold its figures"
        )
    told = config.get("files")
    sizes = told if isinstance(told, dict) else {}
    for name in _NEEDED:
        _refuse_cut_off(path / name, sizes.get(name))
    summary = read_json(path / "summary.json")
    rows = {name: _rows(path / name, sizes.get(name)) for name in _WELCOME}
    with open_predictions(path) as file:
        arrays = _arrays(file)
    return StoredRun(
        path=path,
        config=config,
        summary=summary,
        **arrays,
        runs=rows["runs.csv"],
        curves=rows["curves.csv"],
    )


def _arrays(file: PredictionFile) -> dict[str, Any]:
    classes, heads = file.words("classes"), file.words("heads")
    seeds = tuple(map(int, file.words("seeds")))
    ids = file.texts("id")
    texts = {name: file.texts(name, len(ids)).astype(str) for name in _TEXTS}
    fold = file.folds(len(ids))
    named = file.texts("test_set", len(ids)).astype(str) if "test_set" in file else None
    texts["test_set"] = np.where(fold >= 0, "test", "") if named is None else named
    shape = (len(seeds), len(heads), len(ids), len(classes))
    validation = file.of_folds("validation", fold, shape) if "validation" in file else None
    return {
        "classes": classes,
        "heads": heads,
        "seeds": seeds,
        "texts": texts,
        "fold": fold,
        "target": file.array("target", shape[2:]).astype(np.float64),
        "votes": file.array("votes", shape[2:]).astype(np.float64),
        "test": file.array("test", shape),
        "validation": validation,
        "training": file.training(fold),
    }


def _refuse_cut_off(path: Path, size: int | None) -> None:
    if not path.is_file():
        raise RunError(f"{path.parent}: has no {path.name}; run its command again with --overwrite")
    if size is not None and path.stat().st_size != size:
        raise RunError(
            f"{path.parent}: its {path.name} has {path.stat().st_size} bytes of {size}; run its "
            "command again with --overwrite"
        )


def _rows(path: Path, size: int | None) -> tuple[Row, ...]:
    """() where the file is gone, cut off or damaged: a report says without it what it can."""
    try:
        data = read_bounded(path, most_bytes=_MOST_CSV_BYTES)
        if size not in (None, len(data)):
            return ()
        return tuple(csv.DictReader(io.StringIO(data.decode(), newline="")))
    except (OSError, ValueError, csv.Error):
        return ()
