import numpy as np
import pytest
import sklearn.metrics

from amber_heads.formulas.classification import (
    above_chance,
    calibration_error,
    f1_per_class,
    one_hot,
    top_classes,
)


@pytest.mark.parametrize("num_classes", range(2, 10))
def test_f1_equals_scikit_learns(num_classes: int) -> None:
    rng = np.random.default_rng(num_classes)
    truth, guess = rng.integers(0, num_classes, size=(2, 60))
    truth[truth == 1] = 0  # a class without support
    f1 = f1_per_class(
        one_hot(truth, num_classes=num_classes), one_hot(guess, num_classes=num_classes)
    )
    labels = list(range(num_classes))
    expected = sklearn.metrics.f1_score(truth, guess, labels=labels, average=None, zero_division=0)
    np.testing.assert_allclose(f1, expected, atol=1e-12)


def test_f1_of_a_class_that_is_neither_chosen_nor_predicted_is_zero() -> None:
    one = np.array([[True, False, False]])
    np.testing.assert_array_equal(f1_per_class(one, one), [1, 0, 0])


def test_top_classes_tie_but_for_rounding() -> None:
    target = np.array([[0.4, 0.4, 0.2], [0.1 + 0.2, 0.3, 0.4], [0.3, 0.1 + 0.2, 0.25]])
    expected = [[True, True, False], [False, False, True], [True, True, False]]
    np.testing.assert_array_equal(top_classes(target), expected)


@pytest.mark.parametrize("num_classes", range(2, 10))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_even_share_is_not_above_chance(num_classes: int, dtype: type) -> None:
    even = np.full((1, num_classes), dtype(1) / dtype(num_classes)).astype(np.float64)
    assert not above_chance(even).any()
    even[0, 0] += 1e-3
    assert above_chance(even).sum() == 1


def test_calibration_error_by_hand() -> None:
    # Bins (0.2, 0.4], (0.4, 0.6] and (0.8, 1]: |0.4 - 1|, |0.5 + 0.6 - 1|, |0.9 + 1 - 1|, over 5.
    confidence = np.array([0.4, 0.5, 0.6, 0.9, 1.0])
    right = np.array([True, False, True, True, False])
    error = calibration_error(confidence, right, num_bins=5)
    assert error == pytest.approx((0.6 + 0.1 + 0.9) / 5)
    assert calibration_error(confidence, confidence, num_bins=5) == 0


@pytest.mark.parametrize("num_bins", [1, 5, 15])
def test_calibration_error_equals_a_plain_loop(num_bins: int) -> None:
    rng = np.random.default_rng(num_bins)
    confidence, share = rng.uniform(0.25, 1, size=400), rng.uniform(size=400)
    expected = 0.0
    for number in range(num_bins):
        inside = (confidence > number / num_bins) & (confidence <= (number + 1) / num_bins)
        if inside.any():
            gap = confidence[inside].mean() - share[inside].mean()
            expected += abs(gap) * inside.mean()
    assert calibration_error(confidence, share, num_bins=num_bins) == pytest.approx(expected)
