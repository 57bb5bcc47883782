"""What one run of a stack can't do to another: diverge, pad it, or share its blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from amber_heads import engine
from amber_heads.engine import train_stack
from amber_heads.folds import Fold
from amber_heads.stack.material import Material
from amber_heads.stack.runs import Run, RunResult
from tests.reference_data import settings, small_dataset, unlike_folds

DATASET = small_dataset({"audio": 7, "text": 5})
MATERIAL = Material(DATASET, unlike_folds())


def neighbours(*, epochs: int = 3, hidden: int = 12) -> list[Run]:
    shape = {"epochs": epochs, "hidden": hidden}
    return [
        Run(settings("amber2", "fusion", **shape), 0, 0),
        Run(settings("cb-ce", dropout=0.2, **shape), 1, 1),
        Run(settings("amber2", "audio", attach_weights=True, **shape), 2, 0),
    ]


def assert_same_bytes(found: RunResult, wanted: RunResult) -> None:
    assert found.run == wanted.run
    for name in ("training_loss", "validation_js", "expert_weights", "best_epoch", "parameters"):
        assert getattr(found, name).tobytes() == getattr(wanted, name).tobytes(), name
    assert found.validation.tobytes() == wanted.validation.tobytes()
    assert found.tests["test"].tobytes() == wanted.tests["test"].tobytes()


@pytest.mark.parametrize(("loss", "student"), [("amber2", "fusion"), ("cb-ce", None), ("kl", None)])
@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_run_that_diverges_changes_no_byte_of_its_neighbours(
    loss: str, student: str | None, place: int
) -> None:
    stacks = []
    for lr in (3e-3, 1e30):
        runs = neighbours()
        runs.insert(place, Run(settings(loss, student, lr=lr, epochs=3), 1, 4))
        stacks.append(train_stack(runs, MATERIAL))
    healthy, with_diverged = stacks
    for number, (found, wanted) in enumerate(zip(with_diverged, healthy, strict=True)):
        assert found.diverged is (number == place)
        if number != place:
            assert_same_bytes(found, wanted)


def test_a_diverged_run_is_marked_and_has_no_figures() -> None:
    (result,) = train_stack([Run(settings("amber2", "fusion", lr=1e30), 0, 0)], MATERIAL)
    assert result.diverged
    assert result.best_epoch.tolist() == [0, 0, 0]
    assert np.isnan(result.validation_js[:, 2]).all()
    assert np.isnan(result.parameters).all()
    assert np.isnan(result.validation).all()
    assert np.isnan(result.tests["test"]).all()


def test_a_head_can_diverge_alone_where_there_is_no_student() -> None:
    # Two linear layers of 1e15 still fit in float32, the fusion head's three do not.
    wild = settings("js", lr=1e15, weight_decay=0.0, epochs=2)
    (result,) = train_stack([Run(wild, 1, 0)], MATERIAL)
    assert result.diverged
    assert (result.best_epoch > 0).tolist() == [True, True, False]
    assert np.isfinite(result.tests["test"][:, :2]).all()
    assert np.isnan(result.tests["test"][:, 2]).all()


def test_a_run_that_diverges_late_keeps_its_best_epoch() -> None:
    # Each of an epoch's four steps multiplies the weights by -99.
    late = settings("amber2", "fusion", lr=1e-3, weight_decay=1e5, epochs=6)
    (result,) = train_stack([Run(late, 1, 0)], MATERIAL)
    assert np.isfinite(result.validation_js[0]).all()
    assert np.isnan(result.validation_js[-1]).all()
    assert not result.diverged
    assert result.best_epoch.tolist() == [1, 1, 1]
    assert np.isfinite(result.tests["test"]).all()


def test_rows_that_pad_a_batch_are_of_the_runs_own_part() -> None:
    # The first utterance is in every fold's test part alone, and overflows in so wide a layer.
    inputs = {name: vectors.copy() for name, vectors in DATASET.inputs.items()}
    inputs["audio"][0] = np.finfo(np.float32).max
    folds = [
        replace(
            fold,
            train=fold.train[fold.train != 0],
            validation=fold.validation[fold.validation != 0],
            tests={"test": np.union1d(fold.tests["test"], [0])},
        )
        for fold in MATERIAL.folds
    ]
    wild = Material(replace(DATASET, inputs=inputs), folds, standardize=False)
    tame = Material(DATASET, folds, standardize=False)
    for found, wanted in zip(
        train_stack(neighbours(hidden=64), wild),
        train_stack(neighbours(hidden=64), tame),
        strict=True,
    ):
        assert np.isnan(found.tests["test"][0]).any()
        assert found.parameters.tobytes() == wanted.parameters.tobytes()
        assert found.training_loss.tobytes() == wanted.training_loss.tobytes()
        assert found.validation_js.tobytes() == wanted.validation_js.tobytes()
        assert found.validation.tobytes() == wanted.validation.tobytes()


@pytest.mark.parametrize("rows", [1, 8, 100])
def test_predicting_in_blocks_makes_no_difference(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_stack(neighbours(epochs=2), MATERIAL)
    monkeypatch.setattr(engine, "PREDICTION_ROWS", rows)
    for found, wanted in zip(train_stack(neighbours(epochs=2), MATERIAL), whole, strict=True):
        np.testing.assert_allclose(found.validation_js, wanted.validation_js, atol=1e-6)
        np.testing.assert_allclose(found.expert_weights, wanted.expert_weights, atol=1e-6)
        np.testing.assert_allclose(found.validation, wanted.validation, atol=1e-6)
        np.testing.assert_allclose(found.tests["test"], wanted.tests["test"], atol=1e-6)
        assert found.tests["test"].shape == wanted.tests["test"].shape


def test_a_training_part_of_one_utterance_trains_beside_a_long_one() -> None:
    tiny = Fold(
        name="tiny",
        train=np.array([5]),
        validation=np.array([6, 7]),
        tests={"test": np.array([8])},
    )
    material = Material(DATASET, [MATERIAL.folds[0], tiny])
    runs = [Run(settings("amber2", "fusion", epochs=3), fold, 0) for fold in (0, 1)]
    together, (alone,) = train_stack(runs, material), train_stack(runs[1:], material)
    assert not together[1].diverged
    np.testing.assert_allclose(together[1].training_loss, alone.training_loss, rtol=1e-4)
    np.testing.assert_allclose(together[1].tests["test"], alone.tests["test"], atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_what_shares_a_stack_changes_no_byte(size: int) -> None:
    wide = {"hidden": 64, "batch_size": 32, "epochs": 2}
    runs = [
        Run(settings("amber2", "fusion", kappa=kappa, **wide), fold, seed)
        for kappa in (2.0, 8.0)
        for fold in (0, 1, 2)
        for seed in (0, 4)
    ]
    runs += [Run(settings("cb-ce", **wide), 1, 0), Run(settings("js", dropout=0.3, **wide), 2, 4)]
    whole = train_stack(runs, MATERIAL)
    order = np.random.default_rng(size).permutation(len(runs)).tolist()
    for start in range(0, len(runs), size):
        places = order[start : start + size]
        for place, found in zip(
            places, train_stack([runs[place] for place in places], MATERIAL), strict=True
        ):
            assert_same_bytes(found, whole[place])


def test_a_run_that_loses_patience_leaves_and_changes_no_byte_of_its_neighbours() -> None:
    shape = {"epochs": 12, "lr": 3e-2}
    patient = [Run(settings("amber2", "fusion", **shape), fold, 0) for fold in (0, 1, 2)]
    hasty = [replace(run, settings=replace(run.settings, patience=2)) for run in patient]
    found = train_stack([*patient, *hasty], MATERIAL)
    for whole, short in zip(found[:3], found[3:], strict=True):
        best = int(whole.validation_js[:, 2].argmin()) + 1
        assert len(whole.training_loss) == 12
        stopped = len(short.training_loss)
        assert stopped < 12
        assert stopped == short.best_epoch[2] + 2
        np.testing.assert_array_equal(short.validation_js, whole.validation_js[:stopped])
        if best <= stopped:
            assert short.parameters.tobytes() == whole.parameters.tobytes()
    for one, alone in zip(found, [*patient, *hasty], strict=True):
        assert_same_bytes(one, train_stack([alone], MATERIAL)[0])


def test_without_a_student_patience_lasts_until_no_head_becomes_better() -> None:
    run = Run(settings("js", epochs=12, lr=3e-2, patience=1), 2, 0)
    (result,) = train_stack([run], MATERIAL)
    length = len(result.training_loss)
    assert length < 12
    assert length == result.best_epoch.max() + 1
