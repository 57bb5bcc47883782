"""A stack of unlike runs against each run alone, and against the plain loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from amber_heads.engine import Stack, train_stack
from amber_heads.grid import train_table
from amber_heads.metrics import evaluate
from amber_heads.stack.material import Material
from amber_heads.stack.runs import Run, RunResult
from tests.reference_data import settings, small_dataset, unlike_folds
from tests.reference_loop import PlainRun, plain_twin, stack_names

DATASET, FOLDS = small_dataset({"audio": 7, "text": 5}), unlike_folds()

RUNS = (
    Run(settings("amber2", "fusion"), 0, 0),
    Run(settings("cb-ce", lr=1e-2), 1, 1),
    Run(settings("amber2", "audio", kappa=8.0, lambda_mai=0.7, expert_loss=1.0), 2, 0),
    Run(settings("soft-ce", weight_decay=0.3), 0, 3),
    Run(settings("amber2", "fusion", kappa=2.0, attach_weights=True), 1, 0),
    Run(settings("kl", dropout=0.4), 2, 2),
    Run(settings("amber2", "text", kappa=0.0, lambda_rai=0.5, lambda_mai=1.5), 0, 0),
    Run(settings("js", lr=1e-3, weight_decay=0.0), 2, 5),
    Run(settings("amber2", "fusion", dropout=0.2, expert_loss=0.3), 0, 0),
    Run(settings("amber2", "fusion", lambda_mai=0.0), 1, 9),
    Run(settings("cb-ce"), 2, 1),
    Run(settings("cb-ce", smoothing=0.05), 0, 4),
    Run(settings("amber2", "fusion", smoothing=0.3), 2, 0),
)
NAMES = [f"{r.settings.loss}-{r.settings.student}-{r.fold}-{r.seed}" for r in RUNS]
every_run = pytest.mark.parametrize("number", range(len(RUNS)), ids=NAMES)


class Recorded(Stack):
    """A stack that keeps each run's loss at each of its own steps, in the order given."""

    def step(self, runs: range, index: Tensor, *, keep: Sequence[Tensor] | None = None) -> Tensor:
        loss = super().step(runs, index, keep=keep)
        if not hasattr(self, "losses"):
            self.losses: list[list[float]] = [[] for _ in self.all_runs]
        for r, one in zip(runs, loss, strict=True):
            self.losses[self.places[r]].append(float(one))
        return loss


@dataclass(frozen=True)
class Trained:
    """A stack after its last epoch: each run's losses, last weights by name, and result."""

    losses: list[list[float]]
    weights: list[dict[str, Tensor]]
    results: list[RunResult]


def material(dtype: torch.dtype) -> Material:
    return Material(DATASET, FOLDS, dtype=dtype)


def train(runs: Sequence[Run], dtype: torch.dtype) -> Trained:
    stack = Recorded(runs, material(dtype))
    for epoch in range(1, stack.epochs + 1):
        stack.train_epoch(epoch)
        stack.validate(epoch)
    views = stack.architecture.views(stack.rows)
    row_of = {place: row for row, place in enumerate(stack.places)}
    weights = [
        {name: one[row_of[r]].clone() for name, one in views.items()} for r in range(len(runs))
    ]
    return Trained(stack.losses, weights, stack.results())


@pytest.fixture(scope="module")
def double() -> Trained:
    return train(RUNS, torch.float64)


@pytest.fixture(scope="module")
def single() -> Trained:
    return train(RUNS, torch.float32)


@pytest.fixture(scope="module")
def plain() -> dict[int, PlainRun]:
    return {
        number: plain_twin(run, DATASET, material(torch.float64)) for number, run in enumerate(RUNS)
    }


def assert_same_weights(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, one in wanted.items():
        torch.testing.assert_close(found[name], one, rtol=0, atol=1e-8, msg=name)


def test_the_runs_take_at_least_fifty_steps_and_unlike_numbers_of_them(double: Trained) -> None:
    assert sorted({len(losses) for losses in double.losses}) == [52, 91]


@every_run
def test_in_float64_a_run_in_a_stack_has_the_weights_of_the_run_alone(
    double: Trained, number: int
) -> None:
    alone = train([RUNS[number]], torch.float64)
    assert_same_weights(double.weights[number], alone.weights[0])
    np.testing.assert_array_equal(double.results[number].best_epoch, alone.results[0].best_epoch)


@every_run
def test_in_float64_a_run_in_a_stack_has_the_weights_of_the_plain_loop(
    double: Trained, plain: dict[int, PlainRun], number: int
) -> None:
    assert_same_weights(double.weights[number], stack_names(plain[number].states[-1]))


@every_run
def test_every_figure_of_a_run_is_that_of_the_plain_loop(
    double: Trained, plain: dict[int, PlainRun], number: int
) -> None:
    result, wanted, fold = double.results[number], plain[number], FOLDS[RUNS[number].fold]
    np.testing.assert_allclose(double.losses[number], wanted.losses, rtol=0, atol=1e-8)
    np.testing.assert_allclose(result.training_loss, wanted.training_loss, rtol=0, atol=1e-8)
    np.testing.assert_allclose(result.validation_js, wanted.validation_js, rtol=0, atol=1e-8)
    best = wanted.best_epochs(RUNS[number].settings.student)
    assert result.best_epoch.tolist() == best
    tested = wanted.predict(fold.tests["test"], best)
    np.testing.assert_allclose(result.tests["test"], tested, rtol=0, atol=1e-7)
    validated = wanted.predict(fold.validation, best)
    np.testing.assert_allclose(result.validation, validated, rtol=0, atol=1e-7)
    assert not result.diverged


@every_run
def test_in_float32_losses_and_test_figures_are_those_of_the_run_alone_and_the_plain_loop(
    single: Trained, number: int
) -> None:
    run = RUNS[number]
    alone, plain = train([run], torch.float32), plain_twin(run, DATASET, material(torch.float32))
    np.testing.assert_allclose(single.losses[number], alone.losses[0], rtol=1e-4)
    np.testing.assert_allclose(single.losses[number], plain.losses, rtol=1e-4)
    test = FOLDS[run.fold].tests["test"]
    for head in range(3):
        found = evaluate(DATASET.target[test], single.results[number].tests["test"][:, head])
        for other in (
            alone.results[0].tests["test"],
            plain.predict(test, plain.best_epochs(run.settings.student)),
        ):
            wanted = evaluate(DATASET.target[test], other[:, head])
            for name in ("js", "bc", "r2"):
                assert found[name] == pytest.approx(wanted[name], abs=0.002), name


def test_the_order_of_runs_in_a_stack_makes_no_difference(double: Trained) -> None:
    order = np.random.default_rng(1).permutation(len(RUNS)).tolist()
    turned = train([RUNS[number] for number in order], torch.float64)
    for place, number in enumerate(order):
        assert turned.results[place].run == RUNS[number]
        assert_same_weights(turned.weights[place], double.weights[number])


def test_the_chunk_size_makes_no_difference(double: Trained) -> None:
    results = train_table(RUNS, material(torch.float64), size=4)
    for found, wanted in zip(results, double.results, strict=True):
        assert found.run == wanted.run
        np.testing.assert_allclose(found.parameters, wanted.parameters, rtol=0, atol=1e-7)
        np.testing.assert_allclose(found.validation_js, wanted.validation_js, rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.tests["test"], wanted.tests["test"], rtol=0, atol=1e-7)


def test_the_same_stack_twice_gives_the_same_bytes(single: Trained) -> None:
    for found, wanted in zip(
        train_stack(RUNS, material(torch.float32)), single.results, strict=True
    ):
        assert found.parameters.tobytes() == wanted.parameters.tobytes()
        assert found.tests["test"].tobytes() == wanted.tests["test"].tobytes()
        assert found.validation_js.tobytes() == wanted.validation_js.tobytes()


@pytest.mark.parametrize("changes", [{"hidden": 8}, {"batch_size": 32}, {"epochs": 2}])
def test_a_stack_refuses_runs_of_unlike_shape(changes: dict[str, int]) -> None:
    runs = [Run(settings("js"), 0, 0), Run(settings("js", **changes), 0, 0)]
    with pytest.raises(ValueError, match="one width, batch size and length"):
        train_stack(runs, material(torch.float32))


def test_a_stack_refuses_to_be_empty() -> None:
    with pytest.raises(ValueError, match="a stack needs runs"):
        train_stack([], material(torch.float32))
