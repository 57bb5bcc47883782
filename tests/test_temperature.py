"""Temperature scaling on validation js."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from amber_heads.metrics import evaluate
from amber_heads.statistics.temperature import apply_temperature, fit_temperature, scale_by_fold

RANDOM = np.random.default_rng(0)
TRUE = RANDOM.dirichlet(np.full(4, 2.0), size=400)
TARGET = RANDOM.multinomial(5, TRUE) / 5


def test_scaling_is_a_softmax_of_scaled_logits() -> None:
    logits = RANDOM.normal(size=(50, 4))
    found = apply_temperature(scipy.special.softmax(logits, axis=1), 2.5)
    np.testing.assert_allclose(found, scipy.special.softmax(logits / 2.5, axis=1), rtol=1e-10)


def test_zeros_and_gaps_stay_and_nothing_overflows() -> None:
    rows = np.array([[0.0, 0.3, 0.7], [np.nan, np.nan, np.nan], [1e-300, 1.0, 0.0]])
    found = apply_temperature(rows, 0.01)
    np.testing.assert_allclose(found[0], [0, 0, 1], atol=1e-12)
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[2], [0, 1, 0])
    np.testing.assert_allclose(apply_temperature(rows, 1.0)[0], rows[0])


@pytest.mark.parametrize("true", [0.4, 1.0, 3.0])
def test_the_fit_undoes_what_was_done(true: float) -> None:
    """Without noise the lowest js, 0, is at the temperature that was applied."""
    assert fit_temperature(apply_temperature(TRUE, 1 / true), TRUE) == pytest.approx(true, rel=1e-3)


def test_the_fit_is_the_lowest_js_there_is() -> None:
    sharp = apply_temperature(TRUE, 0.5)
    found = fit_temperature(sharp, TARGET)
    theirs = scipy.optimize.brute(
        lambda log_t: evaluate(TARGET, apply_temperature(sharp, math.exp(float(log_t[0]))))["js"],
        [slice(-1, 2, 0.02)],
    )
    assert math.log(found) == pytest.approx(float(theirs[0]), abs=1e-3)
    scaled = evaluate(TARGET, apply_temperature(sharp, found))
    assert scaled["js"] < evaluate(TARGET, sharp)["js"]
    assert scaled["acc"] == evaluate(TARGET, sharp)["acc"]


def test_rows_of_other_folds_do_not_count() -> None:
    seeds = np.stack([apply_temperature(TRUE, 0.5), apply_temperature(TRUE, 0.4)])
    half = seeds.copy()
    half[:, 200:] = np.nan
    expected = fit_temperature(seeds[:, :200], TARGET[:200])
    assert fit_temperature(half, TARGET) == pytest.approx(expected, rel=1e-6)


def test_each_run_is_scaled_by_its_own_validation_part() -> None:
    fold = np.arange(400) % 3 - 1  # a third is in no fold's test part
    test = np.stack([apply_temperature(TRUE, 0.5), apply_temperature(TRUE, 2.0)])
    test[:, fold == -1] = np.nan
    validation = np.full((2, 2, 400, 4), np.nan)
    validation[0, :, fold == -1] = np.stack([TRUE, apply_temperature(TRUE, 0.5)], 1)[fold == -1]
    validation[1, 0, fold == -1] = apply_temperature(TRUE, 0.25)[fold == -1]
    scaled, temperatures = scale_by_fold(test, validation, TARGET, fold)
    assert np.isnan(temperatures).tolist() == [[False, False], [False, True]]
    for number, seed in ((0, 0), (0, 1), (1, 0)):
        fitted = fit_temperature(validation[number, seed], TARGET)
        assert temperatures[number, seed] == fitted
        rows = fold == number
        np.testing.assert_allclose(scaled[seed, rows], apply_temperature(test[seed, rows], fitted))
    np.testing.assert_array_equal(scaled[1, fold == 1], test[1, fold == 1])
    assert np.isnan(scaled[:, fold == -1]).all()


def test_what_can_not_be_scaled_is_refused() -> None:
    with pytest.raises(ValueError, match="the temperature is 0.0; it must be positive"):
        apply_temperature(TRUE, 0.0)
    with pytest.raises(ValueError, match="all rows are NaN"):
        fit_temperature(np.full((2, 400, 4), np.nan), TARGET)
