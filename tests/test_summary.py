"""Figures from results made by hand, against SciPy, scikit-learn and pooling written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import accuracy_score, f1_score

from amber_heads.configuration.settings import RunSettings
from amber_heads.folds import Fold
from amber_heads.metrics import METRICS
from amber_heads.stack.runs import Run, RunResult
from amber_heads.summary import (
    Results,
    curve_rows,
    out_of_fold_predictions,
    read_at_another_head,
    run_rows,
    validation_predictions,
)
from tests.reference_data import settings
from tests.reference_results import FOLDS, HEADS, NUM_CLASSES, TARGET, diverged_result, made_result

AMBER2, JS = settings("amber2", "fusion"), settings("js")
SEEDS = (0, 3, 7)
LAST = len(FOLDS) - 1


def made_results(
    *configurations: RunSettings, seeds: tuple[int, ...] = SEEDS, diverged: Run | None = None
) -> Results:
    runs = [
        Run(one, fold, seed)
        for one in configurations or (AMBER2,)
        for fold in range(len(FOLDS))
        for seed in seeds
    ]
    made = [diverged_result(run) if run == diverged else made_result(run) for run in runs]
    return Results(made, target=TARGET, folds=FOLDS, seeds=seeds, heads=HEADS)


def pooled(results: Results, *, seed: int, head: int) -> np.ndarray:
    """Out-of-fold predictions, in the order of the utterances."""
    found = np.full(TARGET.shape, np.nan)
    for fold, parts in enumerate(FOLDS):
        found[parts.tests["test"]] = results.result(AMBER2, fold, seed).tests["test"][:, head]
    return found


def by_hand(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    truth, guess = y.argmax(axis=1), p.argmax(axis=1)
    f1 = {"labels": range(NUM_CLASSES), "zero_division": 0}
    correlation = [
        0 if np.ptp(a) == 0 else np.corrcoef(a, b)[0, 1] for a, b in zip(y, p, strict=True)
    ]
    return {
        "js": np.mean([jensenshannon(a, b, base=2) ** 2 for a, b in zip(y, p, strict=True)]),
        "bc": np.sqrt(y * p).sum(axis=1).mean(),
        "r2": np.mean(np.square(correlation)),
        "acc": accuracy_score(truth, guess),
        "f1": f1_score(truth, guess, average="macro", **f1),
        "wf1": f1_score(truth, guess, average="weighted", **f1),
    }


@pytest.mark.parametrize("head", range(3))
@pytest.mark.parametrize("metric", ["js", "bc", "r2", "acc", "f1", "wf1"])
def test_a_seeds_figure_is_computed_on_its_pooled_out_of_fold_predictions(
    metric: str, head: int
) -> None:
    results = made_results()
    found = results.chosen([AMBER2] * 3)[HEADS[head]]["test"][metric]
    wanted = [by_hand(TARGET, pooled(results, seed=seed, head=head))[metric] for seed in SEEDS]
    assert found["per_seed"] == pytest.approx(wanted, abs=1e-9)
    assert found["mean"] == pytest.approx(np.mean(wanted), abs=1e-9)
    assert found["std"] == pytest.approx(np.std(wanted, ddof=1), abs=1e-9)


@pytest.mark.parametrize("metric", ["js", "f1"])
def test_fold_figures_stand_beside_by_seed_and_their_spread_is_over_folds(metric: str) -> None:
    results = made_results()
    found = results.chosen([AMBER2] * 3)["text"]["test"][metric]
    wanted = np.array(
        [
            [
                by_hand(
                    TARGET[fold.tests["test"]],
                    results.result(AMBER2, number, seed).tests["test"][:, 1],
                )[metric]
                for number, fold in enumerate(FOLDS)
            ]
            for seed in SEEDS
        ]
    )
    np.testing.assert_allclose(found["per_fold"], wanted, atol=1e-9)
    assert found["fold_mean"] == pytest.approx(wanted.mean(), abs=1e-9)
    assert found["fold_std"] == pytest.approx(np.std(wanted.mean(axis=0), ddof=1), abs=1e-9)
    assert found["fold_mean"] != pytest.approx(found["mean"], abs=1e-6)


def test_one_seed_has_a_mean_and_no_standard_deviation() -> None:
    found = made_results(seeds=(4,)).chosen([AMBER2] * 3)["fusion"]["test"]["js"]
    assert np.isnan(found["std"])
    assert found["per_seed"] == [found["mean"]]
    assert np.isfinite(found["fold_std"])


def test_every_metric_is_there_for_every_head_test_set_and_floor() -> None:
    results = made_results()
    for by_test in [*results.chosen([AMBER2] * 3).values(), *results.floors().values()]:
        assert list(by_test) == ["test"]
        assert list(by_test["test"]) == list(METRICS)


def test_each_fold_is_read_with_its_own_settings() -> None:
    results, choice = made_results(AMBER2, JS), [AMBER2, JS, AMBER2]
    stored, found = out_of_fold_predictions(results, choice), results.chosen(choice)
    for s, seed in enumerate(SEEDS):
        for fold, one in enumerate(choice):
            wanted = results.result(one, fold, seed).tests["test"]
            part = FOLDS[fold].tests["test"]
            np.testing.assert_array_equal(stored[s][:, part].swapaxes(0, 1), wanted)
        js = by_hand(TARGET, stored[s, 0])["js"]
        assert found["audio"]["test"]["js"]["per_seed"][s] == pytest.approx(js, abs=1e-9)


def test_stored_predictions_lie_at_their_utterances_and_nan_elsewhere() -> None:
    results = made_results()
    tested, validated = (
        out_of_fold_predictions(results, [AMBER2] * 3),
        validation_predictions(results, [AMBER2] * 3),
    )
    assert tested.shape == (3, 3, 40, NUM_CLASSES)
    assert validated.shape == (3, 3, 3, 40, NUM_CLASSES)
    for s, seed in enumerate(SEEDS):
        for head in range(3):
            np.testing.assert_array_equal(tested[s, head], pooled(results, seed=seed, head=head))
        for f, fold in enumerate(FOLDS):
            wanted = results.result(AMBER2, f, seed).validation
            np.testing.assert_array_equal(
                validated[f, s][:, fold.validation].swapaxes(0, 1), wanted
            )
            others = np.setdiff1d(np.arange(40), fold.validation)
            assert np.isnan(validated[f, s][:, others]).all()


def test_a_diverged_run_leaves_its_seed_without_figures_and_others_as_they_are() -> None:
    broken = made_results(diverged=Run(AMBER2, 1, 3)).chosen([AMBER2] * 3)["audio"]["test"]["js"]
    whole = made_results().chosen([AMBER2] * 3)["audio"]["test"]["js"]
    assert np.isnan(broken["per_seed"][1])
    assert np.isnan(broken["mean"])
    for seed in (0, 2):
        assert broken["per_seed"][seed] == whole["per_seed"][seed]
        assert broken["per_fold"][seed] == whole["per_fold"][seed]
    assert np.isnan(broken["per_fold"][1]).tolist() == [False, True, False]


def test_floors_are_pooled_like_models_from_each_folds_training_part() -> None:
    found = made_results().floors()
    mean = np.empty_like(TARGET)
    for fold in FOLDS:
        mean[fold.tests["test"]] = TARGET[fold.train].mean(axis=0)
    for name, p in {"training mean": mean, "uniform": np.full_like(TARGET, 0.25)}.items():
        js = np.mean([jensenshannon(a, b, base=2) ** 2 for a, b in zip(TARGET, p, strict=True)])
        assert found[name]["test"]["js"]["per_seed"] == pytest.approx([js] * 3, abs=1e-9)
    assert found["uniform"]["test"]["r2"]["mean"] == 0
    assert len(set(found["random draw"]["test"]["js"]["per_seed"])) == 3


def test_official_test_sets_are_judged_each_by_itself() -> None:
    tests = {"test1": np.arange(5), "test2": np.arange(5, 17)}
    fold = Fold(name="official", train=np.arange(17, 30), validation=np.arange(30, 40), tests=tests)
    made = [made_result(Run(JS, 0, seed), folds=[fold]) for seed in SEEDS]
    results = Results(made, target=TARGET, folds=[fold], seeds=SEEDS, heads=HEADS)
    found = results.chosen([JS])["text"]
    assert list(found) == ["test1", "test2"]
    for name, part in tests.items():
        wanted = [by_hand(TARGET[part], one.tests[name][:, 1])["js"] for one in made]
        assert found[name]["js"]["per_seed"] == pytest.approx(wanted, abs=1e-9)
        assert np.isnan(found[name]["js"]["fold_std"])
    stored = out_of_fold_predictions(results, [JS])
    assert np.isnan(stored[:, :, 17:]).all()
    assert np.isfinite(stored[:, :, :17]).all()


def test_there_is_one_row_a_run_head_and_split() -> None:
    results = made_results(AMBER2, JS, seeds=(0, 3))
    rows = run_rows(results)
    keys = [(row["run"], row["head"], row["split"]) for row in rows]
    assert len(set(keys)) == len(keys) == 2 * 3 * 2 * 3 * 2
    (row,) = (
        row
        for row in rows
        if (row["loss"], row["fold"], row["seed"], row["head"], row["split"])
        == ("amber2", 1, 3, "text", "validation")
    )
    result = results.result(AMBER2, 1, 3)
    wanted = by_hand(TARGET[FOLDS[1].validation], result.validation[:, 1])
    assert {name: row[name] for name in wanted} == pytest.approx(wanted, abs=1e-9)
    assert (row["n"], row["epoch"], row["kappa"], row["student"]) == (8, 2, 4.0, "fusion")
    assert list(row)[:1] == ["run"]


def test_curves_have_one_row_a_run_and_epoch() -> None:
    u = np.array([[0.4, 0.6, np.nan], [0.3, 0.7, np.nan]])
    made: list[RunResult] = [made_result(Run(AMBER2, 0, 0), expert_weights=u)]
    results = Results(made, target=TARGET, folds=FOLDS, seeds=(0,), heads=HEADS)
    first, second = curve_rows(results)
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert (first["training_loss"], second["training_loss"]) == (1.0, 0.5)
    assert (second["validation_js_audio"], second["u_audio"], second["u_text"]) == (0.4, 0.3, 0.7)
    assert np.isnan(float(str(second["u_fusion"])))


@pytest.mark.parametrize(
    ("chosen", "marked"),
    [
        ([AMBER2] * 3, ["audio", "text"]),
        ([JS] * 3, []),
        ([settings("amber2", "text")] * 3, ["audio", "fusion"]),
        ([AMBER2, JS, AMBER2], ["audio", "text"]),
        ([AMBER2, settings("amber2", "text"), JS], ["audio", "text", "fusion"]),
    ],
)
def test_heads_read_at_anothers_epoch_are_named(
    chosen: list[RunSettings], marked: list[str]
) -> None:
    assert read_at_another_head(chosen, HEADS) == marked
