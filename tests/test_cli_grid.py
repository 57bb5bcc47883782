"""`amber grid` as typed: its cells, the selection on validation, its table in every form."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.commands import Finished, amber
from tests.small_caches import small_cache

FAST = ("--epochs", 4, "--lr", 3e-2, "--hidden", 4, "--seeds", 2, "--num-folds", 3)
HEADS = ["audio", "text", "fusion"]


@dataclass(frozen=True)
class Grid:
    folder: Path
    finished: Finished

    @property
    def summary(self) -> Any:
        return json.loads((self.folder / "summary.json").read_text())

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.folder / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("grid")
    small_cache(place / "data" / "cache.h5")
    return place


def _grid(place: Path, name: str, *arguments: object) -> Grid:
    finished = amber("grid", *FAST, "--out", name, *arguments, cwd=place)
    assert finished.status == 0, finished.err
    return Grid(place / name, finished)


@pytest.fixture(scope="module")
def default(place: Path) -> Grid:
    return _grid(place, "default")


@pytest.fixture(scope="module")
def pooled(place: Path) -> Grid:
    return _grid(place, "pooled", "--select", "pooled")


def _js_by_cell_and_fold(grid: Grid) -> dict[tuple[str, str], list[float]]:
    """Validation js of the fusion head, mean over seeds, from runs.csv alone."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    for row in grid.rows("runs.csv"):
        if row["head"] == "fusion" and row["split"] == "validation":
            cell = found.setdefault((row["lambda_mai"], row["kappa"]), [[], [], []])
            cell[int(row["fold"])].append(float(row["js"]))
    return {key: [float(np.mean(fold)) for fold in folds] for key, folds in found.items()}


def _chosen(grid: Grid) -> list[tuple[str, str]]:
    return [
        (format(one["lambda_mai"], "g"), format(one["kappa"], "g"))
        for one in grid.summary["selected"]["settings"]
    ]


def test_the_default_grid_is_lambda_by_kappa_by_folds_by_seeds(default: Grid) -> None:
    rows = default.rows("runs.csv")
    cells = {(row["lambda_mai"], row["kappa"]) for row in rows}
    assert cells == {(weight, kappa) for weight in ("0.3", "0.5", "0.7") for kappa in "248"}
    assert len({row["run"] for row in rows}) == 9 * 3 * 2
    assert len(default.summary["configurations"]) == 9


def test_each_fold_is_judged_with_what_is_best_on_its_own_validation_part(default: Grid) -> None:
    js = _js_by_cell_and_fold(default)
    best = [min(js, key=lambda cell: js[cell][fold]) for fold in range(3)]
    assert _chosen(default) == best


def test_pooled_selection_takes_one_cell_for_all_folds(pooled: Grid) -> None:
    js = _js_by_cell_and_fold(pooled)
    assert _chosen(pooled) == [min(js, key=lambda cell: np.mean(js[cell]))] * 3


def test_pooled_selection_is_marked_optimistic_wherever_it_is_shown(
    pooled: Grid, default: Grid
) -> None:
    for name in ("grid.md", "grid.tex", "table.md", "table.tex"):
        assert "optimistic" in (pooled.folder / name).read_text().lower()
        assert "optimistic" not in (default.folder / name).read_text().lower()
    assert "OPTIMISTIC: one setting was selected for all folds" in pooled.finished.out
    assert "optimistic" not in default.finished.out.lower()


def test_predictions_are_of_the_selected_cell_of_each_fold(default: Grid) -> None:
    rows, chosen = default.rows("runs.csv"), _chosen(default)
    with h5py.File(default.folder / "predictions.h5", "r") as file:
        y, p, fold_of = file["target"][()], file["test"][()], file["fold"][()]
    for row in rows:
        fold = int(row["fold"])
        if row["split"] == "test" and (row["lambda_mai"], row["kappa"]) == chosen[fold]:
            tested = fold_of == fold
            predicted = p[int(row["seed"]), HEADS.index(row["head"])][tested]
            bc = np.sqrt(y[tested] * predicted).sum(axis=1).mean()
            assert float(row["bc"]) == pytest.approx(bc, abs=1e-6)


def test_the_table_marks_the_selected_cells_and_ends_with_the_floors(default: Grid) -> None:
    rows, chosen = default.rows("grid.csv"), _chosen(default)
    first = [row["lambda_MAI"] for row in rows]
    assert first[9:] == ["as selected", "training mean", "random draw", "uniform"]
    for row in rows[:9]:
        count = chosen.count((row["lambda_MAI"], row["kappa"]))
        assert row["selected"] == (f"{count} of 3 folds" if count else "")
    for row, one in zip(rows, default.summary["configurations"], strict=False):
        js = one["heads"]["fusion"]["test"]["js"]
        assert row["JS ↓"] == f"{js['mean']:.3f} ± {js['std']:.3f}"


def test_the_row_as_selected_is_the_judged_heads(default: Grid) -> None:
    (row,) = [row for row in default.rows("grid.csv") if row["lambda_MAI"] == "as selected"]
    (fusion,) = [row for row in default.rows("table.csv") if row["head"] == "fusion"]
    del fusion["head"]
    assert {name: row[name] for name in fusion} == fusion


def test_every_form_of_the_table_has_the_same_rows(default: Grid) -> None:
    markdown = (default.folder / "grid.md").read_text().splitlines()
    latex = (default.folder / "grid.tex").read_text().splitlines()
    rows = default.rows("grid.csv")
    assert len([line for line in markdown if line.startswith("| ")]) == 1 + len(rows)
    assert len([line for line in latex if line.endswith(r"\\")]) == 1 + len(rows)
    for row in rows:
        assert row["JS ↓"] in default.finished.out
        assert any(row["JS ↓"] in line for line in markdown)
        assert any(row["JS ↓"].replace("±", r"$\pm$") in line for line in latex)
    selected = [line for line in markdown if line.startswith("| **")]
    assert len(selected) == len(set(_chosen(default)))


def test_only_the_demo_corpus_is_headed_as_synthetic(default: Grid, tmp_path: Path) -> None:
    assert "SYNTHETIC" not in default.finished.out
    small_cache(tmp_path / "data" / "cache.h5", corpus="demo")
    demo = _grid(tmp_path, "demo", "--kappa", 4)
    titles = [line for line in demo.finished.out.splitlines() if " on demo " in line]
    assert len(titles) == 2
    assert all(line.startswith("SYNTHETIC DEMO: ") for line in titles)
    for name in ("grid.md", "grid.tex", "table.md", "table.tex"):
        assert "SYNTHETIC DEMO: " in (demo.folder / name).read_text()


def test_a_setting_fixes_its_axis(place: Path) -> None:
    grid = _grid(place, "kappa", "--kappa", 4)
    assert {row["kappa"] for row in grid.rows("runs.csv")} == {"4"}
    assert list(grid.rows("grid.csv")[0])[:2] == ["lambda_MAI", "selected"]
    assert len(grid.rows("grid.csv")) == 3 + 1 + 3


def test_unlike_widths_train_and_keep_their_own_weights(place: Path) -> None:
    axes = ("--grid", "hidden=4,12", "--grid", "batch-size=8,16")
    few = ("--epochs", 2, "--seeds", 1, "--num-folds", 3)
    finished = amber("grid", *few, *axes, "--out", "widths", cwd=place)
    assert finished.status == 0, finished.err
    grid = Grid(place / "widths", finished)
    assert {(row["hidden"], row["batch_size"]) for row in grid.rows("runs.csv")} == {
        (hidden, batch_size) for hidden in ("4", "12") for batch_size in ("8", "16")
    }
    tensors = load_file(grid.folder / "model.safetensors")
    for fold, settings in enumerate(grid.summary["selected"]["settings"]):
        shape = tensors[f"fold{fold}/seed0/audio.output.weight"].shape
        assert shape == (4, settings["hidden"])


def test_a_cell_of_a_grid_is_the_run_that_fit_trains_alone(place: Path, default: Grid) -> None:
    fit = ("--kappa", 8, "--lambda-mai", 0.3, "--out", "alone")
    assert amber("fit", *FAST, *fit, cwd=place).status == 0
    alone = Grid(place / "alone", default.finished).rows("runs.csv")
    rows = [r for r in default.rows("runs.csv") if (r["lambda_mai"], r["kappa"]) == ("0.3", "8")]
    assert [row["run"] for row in rows] == [row["run"] for row in alone]
    for one, other in zip(rows, alone, strict=True):
        assert float(one["js"]) == pytest.approx(float(other["js"]), abs=1e-4)


def test_losses_on_an_axis_share_the_cells_that_they_do_not_listen_to(place: Path) -> None:
    grid = _grid(place, "losses", "--grid", "loss=amber2,cb-ce", "--grid", "kappa=2,8")
    rows = grid.rows("grid.csv")[:3]
    assert [(row["loss"], row["kappa"]) for row in rows] == [
        ("amber2", "2"),
        ("amber2", "8"),
        ("cb-ce", "-"),
    ]
    assert " amber2 and cb-ce" in grid.finished.out


def test_the_tables_figures_are_the_students(place: Path) -> None:
    grid = _grid(place, "student", "--student", "audio", "--lambda-mai", 0.5)
    for row, one in zip(grid.rows("grid.csv"), grid.summary["configurations"], strict=False):
        assert row["JS ↓"].startswith(f"{one['heads']['audio']['test']['js']['mean']:.3f}")
    assert "Figures of the head audio, on test" in grid.finished.out
    (audio,) = [row for row in grid.rows("table.csv") if row["head"] == "audio"]
    assert grid.rows("grid.csv")[3]["JS ↓"] == audio["JS ↓"]


def test_students_on_an_axis_are_each_judged_by_their_own_head(place: Path) -> None:
    grid = _grid(place, "students", "--grid", "student=audio,fusion")
    assert grid.summary["selected"]["judged_by"] == [
        one["student"] for one in grid.summary["selected"]["settings"]
    ]
    assert re.search("Figures of the head audio or fusion, on test", grid.finished.out)


def test_lists_and_numbers_in_amber_toml_are_read(workplace: Path) -> None:
    (workplace / "amber.toml").write_text(
        'classes = ["neutral", "happy+excited", "angry", "sad"]\n'
        "seeds = 1\nkappa = 8\nepochs = 1\nhidden = 4\n[grid]\nkappa = [2, 4]\n"
    )
    done = amber("grid", "--json", cwd=workplace)
    assert done.status == 0, done.err
    summary = json.loads(done.out)
    assert [one["settings"]["kappa"] for one in summary["configurations"]] == [2, 4]
    assert summary["classes"] == ["neutral", "happy", "angry", "sad"]
    assert summary["seeds"] == [0]
