"""Label smoothing: its equation, what it leaves alone, and what of a run it reaches."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from amber_heads.configuration.settings import GridConfig, complete, expand
from amber_heads.formulas.smoothing import smoothed
from amber_heads.losses import class_balanced_weights
from amber_heads.stack.runs import Run
from tests.commands import amber
from tests.reference_data import settings
from tests.small_caches import small_cache

FAST = ("--epochs", 2, "--hidden", 4, "--seeds", 1, "--quiet")


def shares(votes: list[list[int]]) -> torch.Tensor:
    counts = torch.tensor(votes, dtype=torch.float64)
    return counts / counts.sum(dim=1, keepdim=True)


#: Votes of a few utterances for four classes, at least one each.
vote_tables = st.lists(
    st.lists(st.integers(0, 5), min_size=4, max_size=4).filter(any), min_size=1, max_size=8
)


def test_a_worked_case_of_emo_supers_form() -> None:
    found = smoothed(shares([[1, 0, 0, 0], [1, 1, 0, 0]]), 0.05)
    some, rest = 0.95 * 0.5 + 0.05 * 0.5 / 3, 0.05 / 3
    wanted = [[0.95, 0.05 / 3, 0.05 / 3, 0.05 / 3], [some, some, rest, rest]]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))


@given(votes=vote_tables, smoothing=st.floats(0, 0.74))
def test_it_gives_distributions_and_moves_no_share_across_the_uniform_one(
    votes: list[list[int]], smoothing: float
) -> None:
    target = shares(votes)
    found = smoothed(target, smoothing)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(len(votes), dtype=torch.float64))
    assert (found >= 0).all()
    # Uniform is the fixed point, so that CB-CE's counts n_c, of shares above 1/C, stay.
    torch.testing.assert_close(found[target == 0.25], target[target == 0.25])
    away = (target - 0.25).abs() > 1e-9
    assert torch.equal((found > 0.25)[away], (target > 0.25)[away])


@pytest.mark.parametrize("smoothing", [0.05, 0.5])
def test_class_weights_are_the_same_from_labels_as_training_sees_them(smoothing: float) -> None:
    random = np.random.default_rng(0)
    target = shares(random.multinomial(3, [0.5, 0.3, 0.15, 0.05], size=60).tolist())
    torch.testing.assert_close(
        class_balanced_weights(smoothed(target, smoothing)), class_balanced_weights(target)
    )


@given(votes=vote_tables)
def test_none_of_it_leaves_every_bit_in_a_stack_beside_others(votes: list[list[int]]) -> None:
    target = shares(votes).float().expand(2, -1, -1)
    found = smoothed(target, torch.tensor([0.0, 0.1])[:, None, None])
    assert torch.equal(found[0], target[0])
    torch.testing.assert_close(found[1], smoothed(target[1], 0.1))


def test_runs_that_differ_in_it_have_names_of_their_own() -> None:
    names = {Run(settings("js", smoothing=one), 0, 0).name for one in (0.0, 0.05, 0.1)}
    assert len(names) == 3


def test_it_can_be_an_axis_of_a_grid() -> None:
    config = GridConfig(grid=(("smoothing", "0,0.05"), ("loss", "js,cb-ce")))
    cells = expand(complete(config, {"grid": 4}, protocol="", modalities=("audio", "text")))
    assert sorted((one.loss, one.smoothing) for one in cells) == [
        ("cb-ce", 0),
        ("cb-ce", 0.05),
        ("js", 0),
        ("js", 0.05),
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("smoothing")
    small_cache(place / "data" / "cache.h5")
    for name, smoothing in (("plain", 0), ("smooth", 0.05)):
        arguments = ("fit", "--smoothing", smoothing, "--out", name, *FAST)
        assert amber(*arguments, cwd=place).status == 0
    return place


def _json(place: Path, name: str) -> Any:
    return json.loads((place / name).read_text())


def test_it_reaches_training_and_nothing_that_is_measured_or_kept(place: Path) -> None:
    plain, smooth = (_json(place, f"{name}/summary.json") for name in ("plain", "smooth"))
    assert plain["floors"] == smooth["floors"]
    with (
        h5py.File(place / "plain" / "predictions.h5") as one,
        h5py.File(place / "smooth" / "predictions.h5") as other,
    ):
        np.testing.assert_array_equal(one["target"], other["target"])
        np.testing.assert_allclose(
            other["target"], other["votes"][:] / other["votes"][:].sum(axis=1, keepdims=True)
        )
        assert not np.array_equal(one["test"], other["test"])


def test_it_is_told_and_frozen(place: Path) -> None:
    assert _json(place, "smooth/config.json")["settings"]["smoothing"] == 0.05
    assert ", label smoothing 0.05" in (place / "smooth" / "table.md").read_text().replace("\\", "")
    assert "smoothing" not in (place / "plain" / "table.md").read_text()
    with (place / "smooth" / "runs.csv").open(newline="") as file:
        assert {row["smoothing"] for row in csv.DictReader(file)} == {"0.05"}


def test_a_folder_without_it_is_the_one_that_stood_there_before(place: Path) -> None:
    again = amber("fit", *FAST, "--out", "plain", cwd=place)
    assert (again.status, "holds this run already" in again.out) == (0, True)
    assert amber("fit", *FAST, "--out", "smooth", cwd=place).status == 2
