"""What a grid keeps while it trains: killed it goes on, widened it trains what is new."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.commands import ROOT, amber, run_folders
from tests.small_caches import small_cache

FAST = ("--epochs", 2, "--hidden", 4, "--seeds", 2, "--num-folds", 3)
GRID = ("grid", *FAST, "--grid", "kappa=2,4,8", "--grid", "lr=1e-3,3e-3")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_cache(tmp_path_factory.mktemp("kept") / "data" / "cache.h5")


@pytest.fixture
def place(cache: Path, tmp_path: Path) -> Path:
    shutil.copytree(cache.parent, tmp_path / "data")
    return tmp_path


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "runs.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def trained(err: str) -> int:
    """Run epochs that were trained, by the last line of progress."""
    found = re.findall(r"training \(run epochs\): (\d+)/\1", err)
    return int(found[-1]) if found else 0


def kept(place: Path) -> int:
    return len(list((place / "runs").glob(".trained/*/*.safetensors")))


def test_killed_three_times_a_grid_ends_as_if_it_never_was(place: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(place / "data", whole / "data")
    assert amber(*GRID, "--quiet", cwd=whole).status == 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    # Each chunk waits a little, so that a kill finds a grid that is under way.
    slow = (
        "import sys, time, cli, amber_heads.processes as at; real = at.train_stack\n"
        "def late(*given, **named): time.sleep(0.3); return real(*given, **named)\n"
        "at.train_stack = late; cli.main(sys.argv[1:])"
    )
    for kills in range(1, 4):
        process = subprocess.Popen(
            [sys.executable, "-c", slow, *map(str, GRID)],
            cwd=place,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while kept(place) < kills and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        process.wait()
        assert kept(place) >= kills
        assert run_folders(place) == []
    done = amber(*GRID, cwd=place)
    assert done.status == 0
    assert 0 < trained(done.err) < 36 * 2
    (folder,), (wanted,) = run_folders(place), run_folders(whole)
    assert folder.name == wanted.name
    for name in ("runs.csv", "curves.csv", "summary.json", "model.safetensors", "config.json"):
        assert (folder / name).read_bytes() == (wanted / name).read_bytes(), name


def test_one_more_value_trains_what_is_new_and_the_rest_is_as_it_was(place: Path) -> None:
    first = amber(*GRID, "--out", "first", cwd=place)
    assert trained(first.err) == 36 * 2
    wider = [*GRID, "--out", "wider", "--grid", "weight-decay=1e-2,1e-1"]
    second = amber(*wider, cwd=place)
    assert second.status == 0
    assert trained(second.err) == 36 * 2
    anew = amber(*wider, "--overwrite", cwd=place)
    assert trained(anew.err) == 72 * 2
    old, both = rows(place / "first"), rows(place / "wider")
    assert len(both) == 2 * len(old)
    assert [row for row in both if row["weight_decay"] == "0.01"] == old


def test_a_choice_whose_weights_are_gone_is_trained_once_more(place: Path) -> None:
    amber(*GRID, "--out", "grid", "--quiet", cwd=place)
    fit = ("fit", *FAST, "--kappa", 2, "--lr", "1e-3", "--out", "fit")
    done = amber(*fit, cwd=place)
    assert done.status == 0
    assert trained(done.err) == 6 * 2
    files = ("runs.csv", "model.safetensors", "predictions.h5")
    found = {name: (place / "fit" / name).read_bytes() for name in files}
    shutil.rmtree(place / ".trained")
    assert amber(*fit, "--overwrite", cwd=place).status == 0
    assert found == {name: (place / "fit" / name).read_bytes() for name in files}


def test_patience_ends_runs_early_and_costs_no_other(place: Path) -> None:
    fit = ("fit", "--epochs", 30, "--hidden", 4, "--seeds", 2, "--num-folds", 3, "--lr", "3e-2")
    assert amber(*fit, "--out", "whole", cwd=place).status == 0
    short = amber(*fit, "--patience", 2, "--out", "short", cwd=place)
    assert short.status == 0, short.err
    with (place / "short" / "curves.csv").open(newline="", encoding="utf-8") as file:
        curves = list(csv.DictReader(file))
    assert len(curves) < 6 * 30
    for row in rows(place / "short"):
        epochs = sum(one["run"] == row["run"] for one in curves)
        assert epochs == 30 or epochs == int(row["epoch"]) + 2


@pytest.mark.parametrize("metric", ["acc", "bc", "brier"])
def test_settings_are_selected_by_the_metric_that_is_asked_for(place: Path, metric: str) -> None:
    done = amber(*GRID, "--select-by", metric, "--quiet", "--out", "by", cwd=place)
    assert done.status == 0, done.err
    scores: dict[tuple[str, str, str], list[float]] = {}
    for row in rows(place / "by"):
        if row["split"] == "validation" and row["head"] == "fusion":
            scores.setdefault((row["fold"], row["kappa"], row["lr"]), []).append(float(row[metric]))
    summary: dict[str, Any] = json.loads((place / "by" / "summary.json").read_text())
    assert summary["selected"]["by"] == f"validation {metric}"
    assert f"selected on validation {metric}, for each fold apart" in done.out
    best = min if metric == "brier" else max
    for fold, chosen in enumerate(summary["selected"]["settings"]):
        means = {key: np.mean(one) for key, one in scores.items() if key[0] == str(fold)}
        key = (str(fold), f"{chosen['kappa']:g}", f"{chosen['lr']:g}")
        found = {(f, f"{float(k):g}", f"{float(r):g}"): m for (f, k, r), m in means.items()}
        assert found[key] == pytest.approx(best(found.values()))


@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_other_backends_give_the_same_runs(place: Path, backend: str) -> None:
    if backend == "dask":
        pytest.importorskip("distributed")
    fit = ("fit", *FAST, "--quiet")
    assert amber(*fit, "--out", "here", cwd=place).status == 0
    shutil.rmtree(place / ".trained")
    code = "import sys, cli\nif __name__ == '__main__':\n    cli.main(sys.argv[1:])"
    how = ("--workers", 2, "--backend", backend, "--out", backend)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, (*fit, *how))],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (place / backend / "runs.csv").read_bytes() == (place / "here/runs.csv").read_bytes()


def test_bfloat16_products_change_a_figure_by_less_than_the_seeds_do(place: Path) -> None:
    fit = ("fit", "--epochs", 20, "--hidden", 32, "--seeds", 5, "--quiet", "--num-folds", 3)
    figures = {}
    for precision in ("float32", "bfloat16"):
        done = amber(*fit, "--precision", precision, "--out", precision, cwd=place)
        assert done.status == 0, done.err
        summary = json.loads((place / precision / "summary.json").read_text())
        figures[precision] = summary["selected"]["heads"]["fusion"]["test"]["js"]
    exact, low = figures["float32"], figures["bfloat16"]
    assert low["per_seed"] != exact["per_seed"]
    assert abs(low["mean"] - exact["mean"]) < exact["std"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--backend", "slurm", "--workers", 2), "--backend slurm: choose from threading, loky"),
        (("--backend", "loky"), "--backend loky has no effect with one worker"),
        (("--memory", 0), "--memory is 0.0; it must be positive, in GiB"),
        (("--precision", "tf32"), "--precision tf32 has no effect on a CPU"),
        (("--precision", "float8"), "--precision"),
        (("--patience", -1), "--patience is -1; it must be a number of at least 0"),
        (("--grid", "patience=x"), "--grid patience: 'x' is no value for it"),
        (("--select-by", "n_ties"), "--select-by"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    place: Path, options: tuple[object, ...], told: str
) -> None:
    done = amber("grid", *FAST, *options, cwd=place)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"amber: {told}")
    assert done.err.count("\n") == 1
    assert not (place / "runs").exists()
