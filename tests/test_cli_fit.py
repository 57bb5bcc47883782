"""`amber fit` as typed: what it prints, and what stands in the run directory afterwards.

The directory is read back with h5py, csv and json alone, and its figures are computed again with
SciPy and scikit-learn.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from sklearn.metrics import accuracy_score, f1_score

from tests.commands import Finished, amber, run_folders

FAST = ("--epochs", 3, "--hidden", 8, "--seeds", 2)
HEADS = ["audio", "text", "fusion"]
CLASSES = ["neutral", "happy", "angry", "sad"]


@dataclass(frozen=True)
class Run:
    place: Path
    folder: Path
    finished: Finished

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(), parse_constant=_refuse_constant)

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.folder / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def predictions(self) -> dict[str, np.ndarray]:
        with h5py.File(self.folder / "predictions.h5", "r") as file:
            arrays = {name: file[name][()] for name in file}
            return arrays | {f"@{name}": file.attrs[name] for name in file.attrs}


def _refuse_constant(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


@pytest.fixture(scope="module")
def run(demo_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("fit")
    (place / "data").mkdir()
    shutil.copy(demo_cache, place / "data" / "cache.h5")
    finished = amber("fit", "--kappa", 4, *FAST, cwd=place)
    assert finished.status == 0, finished.err
    (folder,) = run_folders(place)
    return Run(place, folder, finished)


def test_its_folder_is_named_after_the_hash_and_is_the_last_line(run: Run) -> None:
    config = run.json("config.json")
    assert run.folder.name == f"fit-{config['hash'][:8]}"
    assert run.finished.out.splitlines()[-1] == f"Results: runs/{run.folder.name}"


def test_it_leaves_nothing_but_its_folder(run: Run) -> None:
    assert sorted(one.name for one in run.place.iterdir()) == ["data", "runs"]
    assert {one.name for one in run.folder.iterdir()} == {
        "config.json",
        "runs.csv",
        "curves.csv",
        "summary.json",
        "predictions.h5",
        "model.safetensors",
        "model.json",
        "table.csv",
        "table.md",
        "table.tex",
    }


def test_the_printed_table_has_every_head_and_floor_with_its_spread(run: Run) -> None:
    lines = run.finished.out.splitlines()
    for name in ("audio*", "text*", "fusion", "training mean", "random draw", "uniform"):
        (line,) = [one for one in lines if one.startswith(f" {name} ")]
        assert len(re.findall(r"\d\.\d{3} ± \d\.\d{3}", line)) == 7
    assert len([one for one in lines if ", over folds " in one]) == 3
    assert "SYNTHETIC DEMO: Results on demo (audio=mel, text=hash), amber2" in lines
    assert "251 utterances, 5 folds, 2 seeds; mean ± std over seeds." in lines
    assert "Left out: 49 not kept by all-in." in lines


def test_progress_is_plain_lines_on_stderr_where_that_is_no_terminal(run: Run) -> None:
    assert re.search(r"^training \(run epochs\): 30/30", run.finished.err, re.MULTILINE)
    assert "\x1b" not in run.finished.err + run.finished.out
    assert "\r" not in run.finished.err


def test_the_configuration_is_frozen_whole(run: Run) -> None:
    config = run.json("config.json")
    assert config["command"] == "fit"
    assert config["amber_version"] == "0.1.0"
    assert len(config["data"]) == 64
    settings = config["settings"]
    open_ones = [name for name, value in settings.items() if value is None]
    assert open_ones == ["audio_encoder", "text_encoder"]  # both stand in "encoder"
    assert settings["encoder"] == {"audio": "mel", "text": "hash"}
    assert settings["modalities"] == ["audio", "text"]
    assert settings["protocol"] == "demo-4"
    assert settings["classes"] == "neutral,happy+excited,angry,sad"
    assert settings["seeds"] == "0,1,"
    assert (settings["kappa"], settings["lambda_mai"], settings["expert_loss"]) == (4, 0.5, 0)


def test_runs_csv_has_one_row_a_run_head_and_split(run: Run) -> None:
    rows = run.rows("runs.csv")
    keys = {(row["run"], row["head"], row["split"]) for row in rows}
    assert len(rows) == len(keys) == 5 * 2 * 3 * 2
    assert {row["split"] for row in rows} == {"validation", "test"}
    assert list(rows[0])[:5] == ["run", "loss", "student", "lambda_rai", "lambda_mai"]
    assert {(row["loss"], row["student"], row["kappa"]) for row in rows} == {
        ("amber2", "fusion", "4")
    }
    assert all(1 <= int(row["epoch"]) <= 3 for row in rows)
    tested = [int(r["n"]) for r in rows if r["split"] == "test" and r["head"] == "audio"]
    assert sum(tested) == 2 * 251


def test_every_head_is_read_at_the_students_best_validation_epoch(run: Run) -> None:
    curves = run.rows("curves.csv")
    assert len(curves) == 5 * 2 * 3
    for row in run.rows("runs.csv"):
        js = [float(c["validation_js_fusion"]) for c in curves if c["run"] == row["run"]]
        assert int(row["epoch"]) == 1 + int(np.argmin(js))


def test_curves_have_weights_of_the_experts_alone_that_sum_to_one(run: Run) -> None:
    curves = run.rows("curves.csv")
    assert {row["u_fusion"] for row in curves} == {""}
    for row in curves:
        assert float(row["u_audio"]) + float(row["u_text"]) == pytest.approx(1, abs=1e-6)
        assert 0 < float(row["training_loss"]) < 2


def test_predictions_have_the_contracts_shapes_and_names(run: Run) -> None:
    held = run.predictions()
    assert list(held["@classes"]) == CLASSES
    assert list(held["@heads"]) == HEADS
    assert list(held["@seeds"]) == [0, 1]
    assert held["test"].shape == (2, 3, 251, 4)
    assert held["validation"].shape == (5, 2, 3, 251, 4)
    assert held["target"].shape == held["votes"].shape == (251, 4)
    assert list(held["id"]) == sorted(held["id"])
    for name in ("speaker", "dialogue", "session", "fold"):
        assert held[name].shape == (251,)


def test_soft_labels_are_the_votes_shares(run: Run) -> None:
    held = run.predictions()
    shares = held["votes"] / held["votes"].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(held["target"], shares, atol=1e-15)


def test_each_session_is_one_fold_and_the_next_ones_utterances_are_validated(run: Run) -> None:
    held = run.predictions()
    assert np.isfinite(held["test"]).all()
    np.testing.assert_allclose(held["test"].sum(axis=-1), 1, atol=1e-6)
    sessions = sorted(set(held["session"]))
    for fold, session in enumerate(sessions):
        assert set(held["session"][held["fold"] == fold]) == {session}
        present = ~np.isnan(held["validation"][fold])
        assert (present == present[:1, :1, :, :1]).all()
        following = sessions[(fold + 1) % 5]
        assert set(held["session"][present[0, 0, :, 0]]) == {following}


def test_pooled_figures_are_those_of_scipy_and_scikit_learn(run: Run) -> None:
    held, summary = run.predictions(), run.json("summary.json")
    y = held["target"]
    for h, head in enumerate(HEADS):
        found = summary["selected"]["heads"][head]["test"]
        for s in range(2):
            wanted = _reference(y, held["test"][s, h])
            for name, value in wanted.items():
                assert found[name]["per_seed"][s] == pytest.approx(value, abs=1e-6), (head, name)
        for name in wanted:
            values = found[name]["per_seed"]
            assert found[name]["mean"] == pytest.approx(np.mean(values), abs=1e-12)
            assert found[name]["std"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)


def test_figures_of_one_fold_are_the_same_in_all_files(run: Run) -> None:
    held, summary = run.predictions(), run.json("summary.json")
    for row in run.rows("runs.csv"):
        f, s, h = int(row["fold"]), int(row["seed"]), HEADS.index(row["head"])
        tested = held["fold"] == f
        p = held["test"][s, h] if row["split"] == "test" else held["validation"][f, s, h]
        used = tested if row["split"] == "test" else ~np.isnan(p[:, 0])
        assert int(row["n"]) == used.sum()
        for name, value in _reference(held["target"][used], p[used]).items():
            assert float(row[name]) == pytest.approx(value, abs=1e-6), (row["head"], name)
        if row["split"] == "test":
            found = summary["selected"]["heads"][row["head"]]["test"]
            assert found["js"]["per_fold"][s][f] == pytest.approx(float(row["js"]), abs=1e-9)


def test_the_spread_over_folds_is_that_of_the_folds_means(run: Run) -> None:
    found = run.json("summary.json")["selected"]["heads"]["fusion"]["test"]["js"]
    means = np.mean(found["per_fold"], axis=0)
    assert found["fold_mean"] == pytest.approx(means.mean(), abs=1e-12)
    assert found["fold_std"] == pytest.approx(means.std(ddof=1), abs=1e-12)


def test_the_floors_look_at_the_training_parts_alone(run: Run) -> None:
    held, summary = run.predictions(), run.json("summary.json")
    y, predicted = held["target"], np.empty((251, 4))
    for fold in range(5):
        validated = ~np.isnan(held["validation"][fold, 0, 0, :, 0])
        tested = held["fold"] == fold
        predicted[tested] = y[~tested & ~validated].mean(axis=0)
    found = summary["floors"]["training mean"]["test"]
    assert found["js"]["mean"] == pytest.approx(_reference(y, predicted)["js"], abs=1e-9)
    assert found["js"]["std"] == 0
    uniform = _reference(y, np.full((251, 4), 0.25))["js"]
    assert summary["floors"]["uniform"]["test"]["js"]["mean"] == pytest.approx(uniform, abs=1e-9)


def test_the_summary_counts_who_was_used_and_who_was_not(run: Run) -> None:
    summary = run.json("summary.json")
    assert summary["utterances"] == {"used": 251, "left_out": {"not kept by all-in": 49}}
    assert [fold["test"] for fold in summary["folds"]] == [
        int((run.predictions()["fold"] == fold).sum()) for fold in range(5)
    ]
    assert summary["selected"]["read_at_another_head"] == ["audio", "text"]
    assert summary["classes"] == CLASSES
    assert "speaker" not in summary["leakage"]


def test_the_stored_weights_give_the_stored_predictions(run: Run) -> None:
    described, tensors = run.json("model.json"), load_file(run.folder / "model.safetensors")
    held = run.predictions()
    assert described["classes"] == CLASSES
    assert described["heads"] == HEADS
    for fold in range(5):
        tested = held["fold"] == fold
        inputs = {}
        for one in described["modalities"]:
            vectors = _vectors(run, f"{one['name']}/{one['entry']}", held["id"][tested])
            assert vectors.shape[1] == one["dimension"]
            name = f"fold{fold}/{one['name']}"
            inputs[one["name"]] = (vectors - tensors[f"{name}.mean"]) / tensors[f"{name}.scale"]
        for s, seed in enumerate(described["seeds"]):
            weights = _prefixed(tensors, f"fold{fold}/seed{seed}/")
            for h, head in enumerate(HEADS):
                predicted = _plain_forward(weights, head, inputs)
                np.testing.assert_allclose(held["test"][s, h, tested], predicted, atol=1e-5)


def test_the_written_table_holds_what_is_printed(run: Run) -> None:
    rows = run.rows("table.csv")
    summary = run.json("summary.json")["selected"]["heads"]["fusion"]["test"]["js"]
    (fusion,) = [row for row in rows if row["head"] == "fusion"]
    assert fusion["JS ↓"] == f"{summary['mean']:.3f} ± {summary['std']:.3f}"
    assert (run.folder / "table.md").read_text().startswith("**SYNTHETIC DEMO: ")


def test_other_users_may_read_what_was_written(run: Run) -> None:
    mask = os.umask(0)
    os.umask(mask)
    for one in (run.folder, *run.folder.iterdir()):
        wanted = (0o777 if one.is_dir() else 0o666) & ~mask
        assert one.stat().st_mode & 0o777 == wanted


def _vectors(run: Run, entry: str, ids: np.ndarray) -> np.ndarray:
    with h5py.File(run.place / "data" / "cache.h5", "r") as file:
        rows = np.searchsorted(file["utterances/id"][()], ids)
        return np.asarray(file[f"embeddings/{entry}/vectors"][()][rows], dtype=np.float64)


def _prefixed(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _plain_forward(w: dict[str, np.ndarray], head: str, inputs: dict[str, Any]) -> np.ndarray:
    """Section 4.2 in NumPy: two layers, and for fusion a sigmoid gate on both inputs."""

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return np.asarray(x @ w[f"{name}.weight"].T + w[f"{name}.bias"])

    if head == "fusion":
        logits = sum(x @ w[f"fusion.gate.{name}.weight"].T for name, x in inputs.items())
        gate = 1 / (1 + np.exp(-logits - w["fusion.gate.bias"]))
        audio, text = (linear(f"fusion.project.{name}", x) for name, x in inputs.items())
        x = gate * audio + (1 - gate) * text
    else:
        x = inputs[head]
    logits = linear(f"{head}.output", np.maximum(linear(f"{head}.hidden", x), 0))
    return np.asarray(softmax(logits, axis=1))


def _reference(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    truth, guess = y.argmax(axis=1), p.argmax(axis=1)
    labels = range(y.shape[1])
    pearson = [
        0 if np.ptp(a) < 1e-6 or np.ptp(b) < 1e-6 else np.corrcoef(a, b)[0, 1] ** 2
        for a, b in zip(y, p, strict=True)
    ]
    macro = {"labels": labels, "zero_division": 0}
    return {
        "js": float(np.mean(jensenshannon(y, p, base=2, axis=1) ** 2)),
        "bc": float(np.sqrt(y * p).sum(axis=1).mean()),
        "r2": float(np.mean(pearson)),
        "f1": float(f1_score(truth, guess, average="macro", **macro)),
        "wf1": float(f1_score(truth, guess, average="weighted", **macro)),
        "acc": float(accuracy_score(truth, guess)),
        "brier": float(((y - p) ** 2).sum(axis=1).mean()),
    }
