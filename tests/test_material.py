"""What runs share: standardisation on the training part, class weights, batch order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from amber_cache.errors import ConfigError
from amber_heads.data import Dataset
from amber_heads.engine import train_stack
from amber_heads.folds import Fold
from amber_heads.stack.material import Material, minibatches, standardization
from amber_heads.stack.runs import Run
from tests.reference_data import settings, small_dataset, unlike_folds
from tests.reference_loop import class_weights

DATASET, FOLDS = small_dataset({"audio": 7, "text": 5}), unlike_folds()


def with_inputs(**changed: np.ndarray) -> Dataset:
    return replace(DATASET, inputs={**DATASET.inputs, **changed})


def first_batch(material: Material, index: list[int], fold: int) -> list[np.ndarray]:
    batch = material.batch(torch.tensor([index]), torch.tensor([fold]))
    return [one[0].numpy() for one in batch]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_training_part_comes_out_with_mean_zero_and_deviation_one(number: int) -> None:
    material = Material(DATASET, FOLDS, dtype=torch.float64)
    for vectors in first_batch(material, FOLDS[number].train.tolist(), number):
        np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-10)
        np.testing.assert_allclose(vectors.std(axis=0), 1, atol=1e-10)


def test_runs_of_one_batch_are_each_standardised_with_their_own_fold() -> None:
    material = Material(DATASET, FOLDS, dtype=torch.float64)
    index = torch.tensor([[3, 4], [3, 4]])
    both = material.batch(index, torch.tensor([2, 0]))
    for modality, vectors in enumerate(DATASET.inputs.values()):
        for run, fold in enumerate((2, 0)):
            known = vectors[FOLDS[fold].train].astype(np.float64)
            wanted = (vectors[3:5] - known.mean(axis=0)) / known.std(axis=0)
            np.testing.assert_allclose(both[modality][run], wanted, atol=1e-10)


def test_validation_and_test_rows_make_no_difference() -> None:
    changed = {name: vectors.copy() for name, vectors in DATASET.inputs.items()}
    for vectors in changed.values():
        vectors[np.concatenate([FOLDS[0].validation, FOLDS[0].tests["test"]])] = 1e9
    found = standardization(with_inputs(**changed), FOLDS, standardize=True)
    wanted = standardization(DATASET, FOLDS, standardize=True)
    for name in ("mean", "scale"):
        for one, other in zip(getattr(found, name), getattr(wanted, name), strict=True):
            assert torch.equal(one[0], other[0])
            assert not torch.equal(one[1], other[1])


def test_a_feature_that_is_constant_in_training_is_shifted_and_not_scaled() -> None:
    audio = DATASET.inputs["audio"].copy()
    audio[:, 2], audio[:, 3] = 0.1, 0.0
    audio[FOLDS[1].tests["test"], 2] = 3.1
    material = Material(with_inputs(audio=audio), FOLDS)
    trained, _ = first_batch(material, FOLDS[1].train.tolist(), 1)
    np.testing.assert_array_equal(trained[:, [2, 3]], 0)
    tested, _ = first_batch(material, FOLDS[1].tests["test"].tolist(), 1)
    np.testing.assert_allclose(tested[:, 2], 3.0, rtol=1e-6)
    (result,) = train_stack([Run(settings("amber2", "fusion", epochs=1), 1, 0)], material)
    assert np.isfinite(result.tests["test"]).all()


@pytest.mark.parametrize(("offset", "spread"), [(0.0, 1e-12), (0.0, 1e12), (1e5, 10.0)])
def test_a_feature_is_scaled_whatever_its_unit(offset: float, spread: float) -> None:
    audio = DATASET.inputs["audio"].copy()
    audio[:, 0] = offset + spread * np.random.default_rng(0).normal(size=len(audio))
    trained, _ = first_batch(Material(with_inputs(audio=audio), FOLDS), FOLDS[0].train.tolist(), 0)
    assert trained[:, 0].std() == pytest.approx(1, rel=1e-3)


def test_without_standardisation_inputs_are_taken_as_they_are() -> None:
    material = Material(DATASET, FOLDS, standardize=False)
    for found, vectors in zip(
        first_batch(material, [5, 9], 2), DATASET.inputs.values(), strict=True
    ):
        np.testing.assert_array_equal(found, vectors[[5, 9]])


def test_class_weights_are_those_of_each_folds_own_training_part() -> None:
    material = Material(DATASET, FOLDS, dtype=torch.float64)
    wanted = np.stack([class_weights(DATASET.counts[fold.train]) for fold in FOLDS])
    np.testing.assert_allclose(material.class_weights, wanted, atol=1e-12)
    assert len({tuple(row) for row in wanted.round(6).tolist()}) == 3


def test_class_weights_that_cannot_be_made_are_refused_where_they_are_needed() -> None:
    even = replace(DATASET, target=np.full_like(DATASET.target, 0.25))
    material = Material(even, FOLDS)
    train_stack([Run(settings("js", epochs=1), 0, 0)], material)
    with pytest.raises(ConfigError, match="fold 0: class weights: none of 97 utterances"):
        train_stack([Run(settings("cb-ce", epochs=1), 0, 0)], material)


def test_an_epochs_batches_hold_every_training_utterance_once_and_the_last_is_kept() -> None:
    train = FOLDS[0].train
    batches = minibatches(train, seed=1, fold=0, epoch=1, batch_size=16)
    assert [len(batch) for batch in batches] == [16] * 6 + [1]
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), train)


def test_the_order_follows_from_seed_fold_and_epoch_and_from_each_of_them() -> None:
    def order(seed: int, fold: int, epoch: int, size: int = 16) -> tuple[int, ...]:
        batches = minibatches(FOLDS[0].train, seed=seed, fold=fold, epoch=epoch, batch_size=size)
        return tuple(np.concatenate(batches).tolist())

    orders = {order(s, f, e) for s in (0, 1, 2) for f in (0, 1, 2) for e in (1, 2, 3)}
    assert len(orders) == 27
    assert order(1, 2, 3) == order(1, 2, 3)
    assert order(1, 2, 3) == order(1, 2, 3, size=7)


def test_a_batch_larger_than_the_training_part_is_the_whole_of_it() -> None:
    (batch,) = minibatches(np.array([4, 7, 9]), seed=0, fold=0, epoch=1, batch_size=128)
    assert sorted(batch.tolist()) == [4, 7, 9]


def test_the_data_set_is_left_as_it_was() -> None:
    before = {name: vectors.copy() for name, vectors in DATASET.inputs.items()}
    target = DATASET.target.copy()
    train_stack([Run(settings("cb-ce", epochs=1), 0, 0)], Material(DATASET, FOLDS))
    for name, vectors in before.items():
        np.testing.assert_array_equal(DATASET.inputs[name], vectors)
    np.testing.assert_array_equal(DATASET.target, target)


def test_statistics_are_exact_for_a_large_offset() -> None:
    fold = Fold(
        name="0", train=np.arange(4), validation=np.array([4]), tests={"test": np.array([5])}
    )
    vectors = np.array([[16777216.0], [16777218], [16777216], [16777218], [0], [0]], np.float32)
    found = standardization(replace(DATASET, inputs={"a": vectors}), [fold], standardize=True)
    assert found.mean[0].item() == 16777217.0
    assert found.scale[0].item() == 1.0
