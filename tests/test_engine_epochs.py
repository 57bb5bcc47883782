"""Which epoch a run is read at, and what its curves hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from amber_heads.engine import train_stack
from amber_heads.folds import Fold
from amber_heads.stack.material import Material
from amber_heads.stack.runs import Run, RunResult
from tests.reference_data import settings, small_dataset, unlike_folds
from tests.reference_loop import plain_twin

DATASET = small_dataset({"audio": 7, "text": 5})
MATERIAL = Material(DATASET, unlike_folds())
HEADS = ("audio", "text", "fusion")

#: So eager that every head is at its best before the last epoch, and each at another.
EAGER = {"lr": 5e-2, "epochs": 8}


def train(run: Run) -> RunResult:
    (result,) = train_stack([run], MATERIAL)
    return result


def cut_off(run: Run, epoch: int) -> RunResult:
    """The same run, ended early."""
    return train(replace(run, settings=replace(run.settings, epochs=int(epoch))))


@pytest.mark.parametrize("student", HEADS)
def test_with_a_student_all_heads_are_read_at_the_epoch_of_its_best_validation_js(
    student: str,
) -> None:
    result = train(Run(settings("amber2", student, **EAGER), 2, 0))
    wanted = int(result.validation_js[:, HEADS.index(student)].argmin()) + 1
    assert result.best_epoch.tolist() == [wanted] * 3
    assert wanted < 8
    early = cut_off(result.run, wanted)
    assert early.best_epoch.tolist() == [wanted] * 3
    assert early.parameters.tobytes() == result.parameters.tobytes()
    assert early.tests["test"].tobytes() == result.tests["test"].tobytes()


def test_a_students_epoch_need_not_be_an_experts_best() -> None:
    result = train(Run(settings("amber2", "fusion", **EAGER), 2, 0))
    own = result.validation_js.argmin(axis=0) + 1
    assert (own[:2] != result.best_epoch[:2]).any()


@pytest.mark.parametrize("loss", ["js", "cb-ce", "soft-ce", "kl"])
def test_without_a_student_each_head_is_read_at_its_own_best_epoch(loss: str) -> None:
    result = train(Run(settings(loss, **EAGER), 2, 0))
    assert result.best_epoch.tolist() == (result.validation_js.argmin(axis=0) + 1).tolist()
    assert len(set(result.best_epoch.tolist())) > 1
    architecture = MATERIAL.architecture(12)
    for number, (head, epoch) in enumerate(zip(HEADS, result.best_epoch, strict=True)):
        early = cut_off(result.run, epoch)
        for start, end in architecture.head_spans(head):
            np.testing.assert_array_equal(early.parameters[start:end], result.parameters[start:end])
        np.testing.assert_array_equal(early.validation[:, number], result.validation[:, number])


def test_validation_js_is_that_of_the_predictions_kept_for_it() -> None:
    result = train(Run(settings("amber2", "fusion", **EAGER), 1, 0))
    part = MATERIAL.folds[1].validation
    y, p = DATASET.target[part][:, None], result.validation.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        m = (y + p) / 2
        js = np.where(y > 0, y * np.log2(y / m), 0) + p * np.log2(p / m)
    stored = result.validation_js[result.best_epoch[0] - 1]
    np.testing.assert_allclose(js.sum(-1).mean(0) / 2, stored, atol=1e-6)


def test_of_equal_epochs_the_first_is_kept() -> None:
    still = train(Run(settings("amber2", "fusion", lr=1e-30, weight_decay=0.0, epochs=4), 0, 0))
    assert (still.validation_js == still.validation_js[0]).all()
    assert still.best_epoch.tolist() == [1, 1, 1]


def test_validation_and_test_labels_make_no_difference_to_training() -> None:
    fold, run = MATERIAL.folds[0], Run(settings("amber2", "fusion", epochs=3), 0, 0)
    target = DATASET.target.copy()
    others = np.concatenate([fold.validation, fold.tests["test"]])
    target[others] = np.roll(target[others], 1, axis=1)
    changed = Material(replace(DATASET, target=target), MATERIAL.folds)
    (found,) = train_stack([run], changed)
    np.testing.assert_array_equal(found.training_loss, train(run).training_loss)
    assert (found.validation_js != train(run).validation_js).any()


def test_test_labels_and_test_inputs_make_no_difference_to_the_weights_kept() -> None:
    run = Run(settings("cb-ce", **EAGER), 2, 0)
    test = MATERIAL.folds[2].tests["test"]
    target, inputs = DATASET.target.copy(), dict(DATASET.inputs)
    target[test] = np.roll(target[test], 1, axis=1)
    for name in inputs:
        inputs[name] = inputs[name].copy()
        inputs[name][test] = 1e6
    changed = Material(replace(DATASET, target=target, inputs=inputs), MATERIAL.folds)
    (found,) = train_stack([run], changed)
    assert found.parameters.tobytes() == train(run).parameters.tobytes()
    assert found.best_epoch.tolist() == train(run).best_epoch.tolist()


def test_expert_weights_are_means_over_the_validation_part() -> None:
    run = Run(settings("amber2", "text", kappa=8.0, lambda_mai=0.7), 0, 0)
    double = Material(DATASET, MATERIAL.folds, dtype=torch.float64)
    (result,) = train_stack([run], double)
    plain = plain_twin(run, DATASET, double).expert_weights
    assert np.isnan(result.expert_weights[:, 1]).all()
    for number in (0, 2):
        wanted = [one[HEADS[number]] for one in plain]
        np.testing.assert_allclose(result.expert_weights[:, number], wanted, atol=1e-8)


def test_expert_weights_are_unknown_without_a_student_and_even_without_sharpness() -> None:
    runs = [
        Run(settings("js", epochs=2), 0, 0),
        Run(settings("amber2", "audio", kappa=0.0, epochs=2), 1, 0),
        Run(settings("amber2", "fusion", epochs=2), 2, 0),
    ]
    without, even, sharp = (result.expert_weights for result in train_stack(runs, MATERIAL))
    assert np.isnan(without).all()
    np.testing.assert_array_equal(np.isnan(even[0]), [True, False, False])
    np.testing.assert_allclose(even[:, 1:], 0.5, atol=1e-7)
    np.testing.assert_array_equal(np.isnan(sharp[0]), [False, False, True])
    np.testing.assert_allclose(np.nansum(sharp, axis=1), 1, atol=1e-6)


def test_each_official_test_set_is_predicted_by_itself() -> None:
    parts = np.array_split(np.random.default_rng(0).permutation(len(DATASET)), 4)
    train_part, validation, one, two = (np.sort(part) for part in parts)
    tests = {"test1": one, "test2": two[:5]}
    fold = Fold(name="official", train=train_part, validation=validation, tests=tests)
    (result,) = train_stack([Run(settings("js", epochs=2), 0, 0)], Material(DATASET, [fold]))
    assert {name: one.shape for name, one in result.tests.items()} == {
        "test1": (len(one), 3, 4),
        "test2": (5, 3, 4),
    }
