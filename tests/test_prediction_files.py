"""A run's predictions.h5 tells each fold's training part, also where a whole fold has diverged."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from amber_cache.errors import RunError
from amber_heads.ambiguity import read_predictions
from amber_heads.reading.evidence import read_evidence
from amber_heads.reading.prediction_files import open_predictions
from tests.report_runs import make_run

LOST = 1


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Sixty utterances in five folds; of one fold every model has diverged."""
    make_run(tmp_path / "run", lost_fold=LOST)
    with h5py.File(tmp_path / "run" / "predictions.h5") as file:
        assert np.isnan(file["validation"][LOST]).all()
    return tmp_path / "run"


def _parts(run: Path) -> tuple[np.ndarray, np.ndarray]:
    with open_predictions(run) as file:
        fold = file.folds(len(file.texts("id")))
        return fold, file.training(fold)


def _without(run: Path, *names: str) -> None:
    with h5py.File(run / "predictions.h5", "r+") as file:
        for name in names:
            del file[name]


def test_the_training_part_of_a_lost_fold_is_what_the_file_tells(run: Path) -> None:
    fold, parts = _parts(run)
    for number, part in enumerate(parts):  # validation is the next fold
        np.testing.assert_array_equal(part, (fold != number) & (fold != (number + 1) % 5))


def test_the_floor_of_a_lost_fold_is_its_training_parts_mean(run: Path) -> None:
    with h5py.File(run / "predictions.h5") as file:
        fold, target = file["fold"][:], file["target"][:]
    lost = fold == LOST
    wanted = np.tile(target[~lost & (fold != LOST + 1)].mean(axis=0), (lost.sum(), 1))
    for floor in (read_predictions(run).floor, read_evidence([run]).training_mean):
        np.testing.assert_array_equal(floor[lost], wanted)


def test_an_older_file_tells_it_by_what_is_neither_tested_nor_validated(run: Path) -> None:
    told = _parts(run)[1]
    _without(run, "training")
    fold, inferred = _parts(run)
    sound = np.arange(5) != LOST
    np.testing.assert_array_equal(inferred[sound], told[sound])
    np.testing.assert_array_equal(inferred[LOST], fold != LOST)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "files": {}}))
    floor = read_evidence([run]).training_mean
    np.testing.assert_array_equal(floor, read_predictions(run).floor)
    assert np.isfinite(floor).all()


def test_a_file_that_tells_neither_is_refused(run: Path) -> None:
    _without(run, "training", "validation")
    with pytest.raises(RunError, match="predictions.h5: can't be read: has no dataset validation"):
        _parts(run)


@pytest.mark.parametrize("name", ["training", "validation"])
def test_parts_of_too_few_folds_are_refused(run: Path, name: str) -> None:
    with h5py.File(run / "predictions.h5", "r+") as file:
        few = file[name][:4]
    _without(run, "training", *([] if name == "training" else [name]))
    with h5py.File(run / "predictions.h5", "r+") as file:
        file[name] = few
    with pytest.raises(RunError, match=f"{name} has 4 folds of 5"):
        _parts(run)
