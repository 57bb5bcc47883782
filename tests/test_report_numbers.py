"""Every number of a report follows from the stored predictions: SciPy's and scikit-learn's."""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path
from typing import Any

import h5py
import html5lib
import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from amber_heads.losses import expert_weights as expert_weights_in_training
from amber_heads.reading.evidence import read_evidence
from amber_heads.reporting.choices import floor_predictions
from amber_heads.reporting.contents import ReportConfig, as_data, gather
from amber_heads.reporting.experts import expert_weights
from amber_heads.reporting.score_tables import metric_name


@pytest.fixture(scope="module")
def trained_data(trained_runs: list[Path]) -> dict[str, Any]:
    config = ReportConfig(runs=tuple(trained_runs), names={})
    return as_data(gather(read_evidence(trained_runs), config))


def _squared_correlation(y: np.ndarray, p: np.ndarray) -> float:
    return 0.0 if np.ptp(y) < 1e-6 or np.ptp(p) < 1e-6 else pearsonr(y, p).statistic ** 2


def _reference(metric: str, y: np.ndarray, p: np.ndarray) -> float:
    """A metric by SciPy and scikit-learn alone."""
    truth, guess, labels = y.argmax(1), p.argmax(1), range(y.shape[1])
    if metric == "js":
        return float(np.mean([jensenshannon(a, b, base=2) ** 2 for a, b in zip(y, p, strict=True)]))
    if metric == "js_aer":
        return float(np.mean([jensenshannon(a, b) for a, b in zip(y, p, strict=True)]))
    if metric == "bc":
        return float(np.sqrt(y * p).sum(1).mean())
    if metric == "brier":
        return float(((y - p) ** 2).sum(1).mean())
    if metric == "r2":
        return float(np.mean([_squared_correlation(a, b) for a, b in zip(y, p, strict=True)]))
    if metric == "acc":
        return float(accuracy_score(truth, guess))
    average = {"f1": "macro", "wf1": "weighted"}[metric]
    return float(f1_score(truth, guess, labels=labels, average=average, zero_division=0))


def test_ten_numbers_at_random_follow_from_the_predictions(hostile_report: Path) -> None:
    data = json.loads((hostile_report / "data.json").read_text())
    with h5py.File(hostile_report.parent / "run" / "predictions.h5") as file:
        heads = [str(one) for one in file.attrs["heads"]]
        target, test = file["target"][:], file["test"][:].astype(np.float64)
    systems = [one for one in data["parts"]["test"]["scores"] if one["kind"] == "system"]
    metrics = ("js", "js_aer", "bc", "brier", "r2", "acc", "f1", "wf1")
    choices = [(s, m) for s in systems for m in metrics]
    written = {name: _tables(hostile_report, name) for name in ("scores", "further-scores")}
    for one, metric in random.Random(7).sample(choices, 10):
        place = heads.index(f"{one['name']}/{one['head']}")
        rows = test[:, place] / test[:, place].sum(-1, keepdims=True)
        wanted = [_reference(metric, target, seed) for seed in rows]
        figure = one["figures"][metric]
        np.testing.assert_allclose(figure["per_seed"], wanted, atol=1e-7)
        assert figure["mean"] == pytest.approx(np.mean(wanted), abs=1e-7)
        assert figure["std"] == pytest.approx(np.std(wanted, ddof=1), abs=1e-7)
        table = "scores" if metric not in ("brier", "js_aer") else "further-scores"
        told = f"{np.mean(wanted):.3f} ± {np.std(wanted, ddof=1):.3f}"
        for kind, rows_there in written[table].items():
            column = rows_there[0].index(metric_name(metric))
            (row,) = [line for line in rows_there if line[:2] == [one["name"], one["head"]]]
            assert row[column] == told, (kind, metric)


def _tables(report: Path, name: str) -> dict[str, list[list[str]]]:
    """A table's rows as a reader finds them in each of its files, its header first."""
    written = {kind: (report / "tables" / f"{name}.{kind}").read_text() for kind in ("md", "tex")}
    tree = html5lib.parse((report / "report.html").read_text(), namespaceHTMLElements=False)
    (block,) = [one for one in tree.iter("div") if one.get("id") == f"table-{name}"]
    page = [["".join(cell.itertext()) for cell in row] for row in block.iter("tr")]
    markdown = re.sub(r"\*\*|\\", "", written["md"])
    latex = re.sub(
        r"\\textbf\{(.*?)\}(?= |$)", r"\1", written["tex"].replace(r" \\", ""), flags=re.M
    )
    for word, sign in ((r"$\pm$", "±"), (r"$\downarrow$", "↓"), (r"$\uparrow$", "↑")):
        latex = latex.replace(word, sign)
    return {
        "html": page,
        "md": [line.strip("| ").split(" | ") for line in markdown.splitlines() if "|" in line],
        "tex": [line.split(" & ") for line in latex.splitlines() if " & " in line],
    }


def test_a_seed_ensembles_figures_are_of_the_mean_distribution(hostile_report: Path) -> None:
    data = json.loads((hostile_report / "data.json").read_text())
    with h5py.File(hostile_report.parent / "run" / "predictions.h5") as file:
        mean = file["test"][:, 0].astype(np.float64).mean(axis=0)
        target = file["target"][:]
    (row,) = [
        one
        for one in data["parts"]["test"]["scores"]
        if one["kind"] == "ensemble" and (one["name"], one["head"]) == ("amber2", "fusion")
    ]
    wanted = _reference("js", target, mean / mean.sum(1, keepdims=True))
    assert row["figures"]["js"]["mean"] == pytest.approx(wanted, abs=1e-7)


def test_differences_are_those_of_the_means(hostile_report: Path) -> None:
    part = json.loads((hostile_report / "data.json").read_text())["parts"]["test"]
    means = {one["label"]: one["figures"]["f1"]["mean"] for one in part["scores"]}
    for one in part["differences"]["f1"]:
        if one["system"] != "training mean":
            wanted = means[one["system"]] - means[one["reference"]]
            assert one["mean"] == pytest.approx(wanted, abs=1e-9)


def test_a_head_is_held_against_the_references_head_of_its_name(hostile_report: Path) -> None:
    part = json.loads((hostile_report / "data.json").read_text())["parts"]["test"]
    pairs = {one["system"]: one["reference"] for one in part["differences"]["js"]}
    assert pairs["amber2 audio"] == "cb-ce audio"
    assert pairs["amber2 fusion"] == "cb-ce fusion"


def test_a_floor_is_in_no_family(hostile_report: Path) -> None:
    part = json.loads((hostile_report / "data.json").read_text())["parts"]["test"]
    (floor,) = [one for one in part["differences"]["js"] if one["system"] == "training mean"]
    assert floor["p"] is not None
    assert floor["p_adjusted"] is None


def test_confusion_is_sklearns(hostile_report: Path) -> None:
    part = json.loads((hostile_report / "data.json").read_text())["parts"]["test"]
    with h5py.File(hostile_report.parent / "run" / "predictions.h5") as file:
        truth, test = file["target"][:].argmax(1), file["test"][:, 0]
    wanted = np.mean([confusion_matrix(truth, one.argmax(1), labels=range(4)) for one in test], 0)
    np.testing.assert_allclose(part["confusions"][0]["counts"], wanted)


def test_levels_share_out_all_utterances(hostile_report: Path) -> None:
    part = json.loads((hostile_report / "data.json").read_text())["parts"]["test"]
    for kind in ("entropy_levels", "conflict_levels"):
        levels = part[kind]
        assert sum(levels["numbers"]) == 60
        line = next(one for one in levels["lines"] if one[0]["label"] == "amber2 fusion")
        pooled = sum(
            n * one["figures"]["js"]["mean"] for n, one in zip(levels["numbers"], line, strict=True)
        )
        whole = next(one for one in part["scores"] if one["label"] == "amber2 fusion")
        assert pooled / 60 == pytest.approx(whole["figures"]["js"]["mean"])


def test_expert_weights_are_those_of_training() -> None:
    draw = np.random.default_rng(0)
    experts = draw.dirichlet(np.ones(4), size=(2, 3, 7))
    target = draw.dirichlet(np.ones(4), size=7)
    wanted = expert_weights_in_training(
        torch.from_numpy(experts).log().permute(1, 2, 0, 3),
        torch.from_numpy(target).expand(3, -1, -1),
        kappa=4.0,
    )
    found = expert_weights(experts, target, np.full(7, 4.0))
    np.testing.assert_allclose(found, wanted.mean(0).numpy(), atol=1e-12)


def test_floors_are_those_of_the_summary(trained_runs: list[Path]) -> None:
    evidence = read_evidence(trained_runs)
    floors = evidence.summaries[trained_runs[0]]["floors"]
    for name, predicted in floor_predictions(evidence).items():
        for metric in ("js", "f1"):
            found = [_reference(metric, evidence.target, seed) for seed in predicted]
            np.testing.assert_allclose(found, floors[name]["test"][metric]["per_seed"], atol=1e-9)


def test_figures_of_a_trained_run_are_those_of_its_summary(
    trained_runs: list[Path], trained_data: dict[str, Any]
) -> None:
    data = trained_data
    for run in trained_runs[:1]:
        summary = json.loads((run / "summary.json").read_text())
        loss = summary["configurations"][0]["settings"]["loss"]
        for head, by_test in summary["selected"]["heads"].items():
            (row,) = [
                one
                for one in data["parts"]["test"]["scores"]
                if one["label"] == f"{loss} {head}"
                if one["kind"] == "system"
            ]
            for metric, figures in by_test["test"].items():
                found = row["figures"][metric]["mean"]
                if figures["mean"] is None:
                    assert found is None
                else:
                    assert math.isclose(found, figures["mean"], abs_tol=1e-9), (head, metric)


def test_a_grids_cells_are_its_summarys(
    trained_runs: list[Path], trained_data: dict[str, Any]
) -> None:
    data, grid = trained_data, trained_runs[1]
    cells = json.loads((grid / "summary.json").read_text())["configurations"]
    (found,) = data["parts"]["test"]["heat_maps"]
    wanted = [one["heads"]["fusion"]["test"]["js"]["mean"] for one in cells]
    assert [value for row in found["values"] for value in row] == wanted
    assert sum(sum(row) for row in found["chosen"]) == 5
