"""Tables of runs, the chunks they train in, and selection on made results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from amber_heads.configuration.options import MetricName
from amber_heads.configuration.settings import RunSettings
from amber_heads.grid import chunk_size, make_table, plan_chunks, stack_bytes, train_table
from amber_heads.metrics import METRICS
from amber_heads.processes import Processes
from amber_heads.selection import at_the_edge, judging_head, select
from amber_heads.stack.material import Material
from amber_heads.stack.outputs import Outputs
from amber_heads.stack.runs import Run, RunResult
from tests.reference_data import settings, small_dataset, unlike_folds
from tests.reference_results import FOLDS, HEADS, TARGET, diverged_result, made_result

A, B, C = (settings("amber2", "fusion", lambda_mai=value) for value in (0.3, 0.5, 0.7))
SEEDS = (0, 1)

#: Validation js by settings and fold.
SCORES = {A: (0.30, 0.40, 0.50), B: (0.35, 0.35, 0.41), C: (0.50, 0.45, 0.40)}


def made(run: Run, score: float, *, head: int = 2) -> RunResult:
    """A run whose judging head is at its best at `score`, in the second of three epochs."""
    js = np.full((3, 3), 0.2)
    js[:, head] = (0.9, score, 0.8)
    return made_result(run, validation_js=js, best_epoch=np.full(3, 2))


def made_table(scores: dict[RunSettings, tuple[float, float, float]] = SCORES) -> list[RunResult]:
    return [
        made(Run(one, fold, seed), score + 0.001 * seed)
        for one, by_fold in scores.items()
        for fold, score in enumerate(by_fold)
        for seed in SEEDS
    ]


def choose(
    results: list[RunResult], how: str, among: tuple[RunSettings, ...] = (A, B, C)
) -> tuple[int, ...]:
    return select(results, settings=among, heads=HEADS, num_folds=3, how=how)


def test_nested_selection_takes_the_best_on_each_folds_validation_part() -> None:
    assert choose(made_table(), "nested") == (0, 1, 2)


def test_pooled_selection_takes_one_for_all_folds() -> None:
    assert choose(made_table(), "pooled") == (1, 1, 1)


@pytest.mark.parametrize("how", ["nested", "pooled"])
def test_the_first_of_equals_is_chosen(how: str) -> None:
    even = dict.fromkeys((A, B, C), (0.4, 0.4, 0.4))
    assert choose(made_table(even), how) == (0, 0, 0)


def test_seeds_are_averaged() -> None:
    results = [made(Run(A, fold, seed), 0.30) for fold in range(3) for seed in SEEDS]
    results += [made(Run(B, fold, seed), 0.20 + 0.3 * seed) for fold in range(3) for seed in SEEDS]
    assert choose(results, "nested", (A, B)) == (0, 0, 0)


@pytest.mark.parametrize(("how", "wanted"), [("nested", (0, 2, 2)), ("pooled", (0, 0, 0))])
def test_settings_with_a_diverged_run_are_chosen_last(how: str, wanted: tuple[int, ...]) -> None:
    # B fails in fold 1 alone, C in fold 0 alone: pooled, only A is left.
    better = {A: (0.50, 0.50, 0.50), B: (0.60, 0.10, 0.45), C: (0.10, 0.40, 0.20)}
    gone = {Run(B, 1, 1), Run(C, 0, 0)}
    results = [diverged_result(one.run) if one.run in gone else one for one in made_table(better)]
    assert choose(results, how) == wanted


def test_settings_of_which_another_head_diverged_are_chosen_last_too() -> None:
    loose = settings("js")
    results = [made(Run(A, fold, 0), 0.4) for fold in range(3)]
    results += [
        replace(made(Run(loose, fold, 0), 0.1), best_epoch=np.array([2 * (fold != 1), 2, 2]))
        for fold in range(3)
    ]
    assert choose(results, "nested", (A, loose)) == (1, 0, 1)


@pytest.mark.parametrize("how", ["nested", "pooled"])
def test_where_every_run_diverged_the_first_is_chosen(how: str) -> None:
    results = [diverged_result(one.run) for one in made_table()]
    assert choose(results, how) == (0, 0, 0)


def with_outputs(result: RunResult, **changed: Any) -> RunResult:
    assert isinstance(result.outputs, Outputs)
    return replace(result, outputs=replace(result.outputs, **changed))


@pytest.mark.parametrize("how", ["nested", "pooled"])
def test_test_predictions_and_the_order_of_results_have_no_say(how: str) -> None:
    results = made_table()
    turned = [
        with_outputs(one, tests={name: np.roll(p, 1, axis=-1) for name, p in one.tests.items()})
        for one in reversed(results)
    ]
    blind = [with_outputs(one, tests={}, validation=one.validation[:0]) for one in results]
    assert choose(turned, how) == choose(blind, how) == choose(results, how)


def test_settings_are_judged_by_their_student_or_else_by_fusion_or_the_only_head() -> None:
    assert judging_head(settings("amber2", "audio"), HEADS) == "audio"
    assert judging_head(settings("js"), HEADS) == "fusion"
    assert judging_head(settings("js"), ("text",)) == "text"
    spoken = settings("amber2", "audio")
    results = [made(Run(A, fold, 0), 0.30) for fold in range(3)]
    results += [made(Run(spoken, fold, 0), 0.25 + 0.1 * fold, head=0) for fold in range(3)]
    assert choose(results, "nested", (A, spoken)) == (1, 0, 0)


def test_the_score_is_that_of_the_best_epoch() -> None:
    js = np.array([[0.1] * 3, [0.5] * 3])
    results = [made(Run(A, fold, 0), 0.3) for fold in range(3)]
    for fold in range(3):
        late = made_result(Run(B, fold, 0), validation_js=js, best_epoch=np.full(3, 2))
        results.append(late)
    assert choose(results, "nested", (A, B)) == (0, 0, 0)


def test_a_table_holds_every_run_by_settings_fold_and_seed() -> None:
    table = make_table([A, B], num_folds=3, seeds=[0, 7])
    assert len(table) == len(set(table)) == 12
    assert table[:3] == (Run(A, 0, 0), Run(A, 0, 7), Run(A, 1, 0))


def test_a_runs_name_follows_from_all_that_it_is() -> None:
    table = make_table([A, B], num_folds=3, seeds=[0, 7])
    names = {run.name for run in table}
    assert len(names) == 12
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in names)
    assert Run(settings("amber2", "fusion", lambda_mai=0.3), 0, 0).name == table[0].name


@pytest.mark.parametrize("size", [1, 4, 5, 1000])
def test_chunks_hold_every_row_once_and_runs_of_one_shape(size: int) -> None:
    wide = settings("js", hidden=24)
    short = settings("js", epochs=2)
    table = make_table([A, wide, B, short], num_folds=3, seeds=[0, 1])
    chunks = plan_chunks(table, size=size)
    assert sorted(row for chunk in chunks for row in chunk) == list(range(len(table)))
    for chunk in chunks:
        assert 1 <= len(chunk) <= size
        assert len({(table[r].settings.hidden, table[r].settings.epochs) for r in chunk}) == 1


def test_rows_of_one_fold_and_seed_train_in_one_chunk() -> None:
    table = make_table([A, B, C], num_folds=2, seeds=[0, 1])
    for chunk in plan_chunks(table, size=3):
        assert len({(table[row].fold, table[row].seed) for row in chunk}) == 1


def test_results_come_in_the_tables_order_and_progress_counts_run_epochs() -> None:
    told: list[tuple[str, int, int, str]] = []
    few = settings("js", epochs=2)
    table = make_table(
        [few, settings("kl", epochs=1), replace(few, lr=1e-2)], num_folds=3, seeds=[5]
    )
    material = Material(small_dataset({"audio": 3, "text": 2}), unlike_folds())
    results = train_table(table, material, size=4, progress=lambda *step: told.append(step))
    assert [one.run for one in results] == list(table)
    total = 3 * (2 + 1 + 2)
    assert told[0] == ("training (run epochs)", 0, total, "")
    assert told[-1][:3] == ("training (run epochs)", total, total)
    assert [done for _, done, *_ in told] == sorted({done for _, done, *_ in told})


def test_progress_tells_the_best_of_the_stacks_that_are_done() -> None:
    told: list[str] = []
    one = settings("js", epochs=1)
    table = make_table([one, replace(one, lr=1e-2)], num_folds=3, seeds=[5])
    material = Material(small_dataset({"audio": 3, "text": 2}), unlike_folds())
    results = train_table(
        table, material, size=1, processes=Processes(1), progress=lambda *step: told.append(step[3])
    )
    best = np.minimum.accumulate([result.validation_js.min() for result in results])
    by_chunk = {f"best validation js {value:.4f}" for value in best}
    assert told[:2] == ["", ""]
    assert told[-1] in by_chunk
    assert set(told[2:]) <= by_chunk


def test_a_stack_takes_no_more_than_its_share_of_memory() -> None:
    material = Material(small_dataset({"audio": 3, "text": 2}), unlike_folds())
    one = settings("js")
    needed = stack_bytes(material, one)
    assert chunk_size(material, one) == 9
    assert chunk_size(material, one, budget=3 * needed + 1) == 3
    assert chunk_size(material, one, budget=1) == 1
    assert stack_bytes(material, replace(one, hidden=48)) > 3 * needed


def test_selection_by_another_metric_reads_the_validation_predictions() -> None:
    results = made_table()
    values: dict[tuple[RunSettings, int], list[float]] = {
        (one.run.settings, one.run.fold): [] for one in results
    }
    for one in results:
        part = FOLDS[one.run.fold].validation
        truth, guess = TARGET[part].argmax(axis=1), one.validation[:, 2].argmax(axis=1)
        values[one.run.settings, one.run.fold].append(float((truth == guess).mean()))
    wanted = tuple(
        int(np.argmax([np.mean(values[settings, fold]) for settings in (A, B, C)]))
        for fold in range(3)
    )
    found = select(
        results,
        settings=(A, B, C),
        heads=HEADS,
        num_folds=3,
        how="nested",
        by="acc",
        target=TARGET,
        folds=FOLDS,
    )
    assert found == wanted
    assert found != choose(results, "nested")


def test_a_choice_at_the_edge_of_an_axis_names_the_wider_axis() -> None:
    low, high = at_the_edge([A, B, C], [0, 0, 2])
    assert low == {"setting": "lambda_mai", "value": 0.3, "folds": 2, "try": "0.18,0.3,0.5,0.7"}
    assert high == {"setting": "lambda_mai", "value": 0.7, "folds": 1, "try": "0.3,0.5,0.7,0.98"}
    assert at_the_edge([A, B, C], [1, 1, 1]) == []
    assert at_the_edge([A, replace(A, lambda_mai=0.0)], [1, 1, 1]) == []
    assert at_the_edge([A, replace(A, student="audio")], [1, 1, 1]) == []


def test_settings_can_be_selected_by_every_metric_with_a_better_side() -> None:
    wanted = [name for name, metric in METRICS.items() if metric.direction]
    assert list(get_args(MetricName)) == wanted
