"""The floors: predictions that look at no input."""

from __future__ import annotations

import numpy as np
import pytest

from amber_heads.floors import FLOORS, floor_prediction, fold_means, training_means
from amber_heads.folds import Fold

TARGET = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0, 1], [0, 0, 1], [0.2, 0.3, 0.5]])
FOLD = Fold(
    name="0",
    train=np.array([0, 1]),
    validation=np.array([2]),
    tests={"test": np.array([3, 4])},
)


def predicted(name: str, *, seed: int = 0, number: int = 0, size: int = 2) -> np.ndarray:
    test = np.resize(FOLD.tests["test"], size)
    return floor_prediction(name, TARGET, FOLD, test, seed=seed, number=number)


def test_the_training_mean_is_that_of_the_training_part_alone() -> None:
    np.testing.assert_array_equal(predicted("training mean"), [[0.75, 0.25, 0]] * 2)


def test_the_uniform_guess_gives_each_class_the_same() -> None:
    np.testing.assert_array_equal(predicted("uniform"), np.full((2, 3), 1 / 3))


def test_a_random_draw_is_one_class_as_often_as_the_training_mean_has_it() -> None:
    drawn = predicted("random draw", size=20_000)
    assert set(drawn.ravel().tolist()) == {0.0, 1.0}
    np.testing.assert_array_equal(drawn.sum(axis=1), 1)
    np.testing.assert_allclose(drawn.mean(axis=0), [0.75, 0.25, 0], atol=0.01)


def test_draws_follow_from_seed_and_fold() -> None:
    first = predicted("random draw", size=500)
    np.testing.assert_array_equal(first, predicted("random draw", size=500))
    for other in ({"seed": 1}, {"number": 1}):
        assert (first != predicted("random draw", size=500, **other)).any()


@pytest.mark.parametrize("name", FLOORS)
def test_labels_outside_the_training_part_make_no_difference(name: str) -> None:
    changed = TARGET.copy()
    changed[2:] = [0.0, 1.0, 0.0]
    found = floor_prediction(name, changed, FOLD, FOLD.tests["test"], seed=0, number=0)
    np.testing.assert_array_equal(found, predicted(name))


def test_an_unknown_floor_is_refused() -> None:
    with pytest.raises(ValueError, match="'ceiling' is none of training mean, random draw"):
        predicted("ceiling")


def test_means_are_each_training_parts_and_nan_where_there_is_none() -> None:
    training = np.array([[True, True, False, False, False], [False] * 5])
    np.testing.assert_array_equal(fold_means(TARGET, training), [[0.75, 0.25, 0], [np.nan] * 3])
    rows = training_means(TARGET, training, np.array([-1, 1, -1, 0, 0]))
    np.testing.assert_array_equal(np.isnan(rows).all(axis=1), [True, True, True, False, False])
    np.testing.assert_array_equal(rows[3:], [[0.75, 0.25, 0]] * 2)
