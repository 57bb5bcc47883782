"""Reliability, Brier's parts and selective prediction."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.calibration
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from amber_heads.metrics import evaluate
from amber_heads.statistics.calibration import (
    brier_decomposition,
    class_reliability,
    risk_coverage,
    top_reliability,
)

RANDOM = np.random.default_rng(0)
TRUE = RANDOM.dirichlet(np.ones(4), size=500)
TARGET = RANDOM.multinomial(5, TRUE) / 5
PREDICTION = (TRUE + RANDOM.dirichlet(np.ones(4), size=500)) / 2


@pytest.mark.parametrize(
    ("metric", "bins", "against"),
    [("ece_soft", 15, "share"), ("ece_hard_15", 15, "agreement"), ("ece_hard_5", 5, "agreement")],
)
def test_the_curves_error_is_the_metric(metric: str, bins: int, against: str) -> None:
    found = top_reliability(TARGET, PREDICTION, bins, against=against)
    assert found.error == pytest.approx(evaluate(TARGET, PREDICTION)[metric], abs=1e-12)
    assert found.number.sum() == 500
    assert len(found.edges) == bins + 1


def test_a_curve_is_scikit_learns() -> None:
    top, truth = PREDICTION.max(axis=1), TARGET.argmax(axis=1)
    right = PREDICTION.argmax(axis=1) == truth
    share, confidence = sklearn.calibration.calibration_curve(right, top, n_bins=10)
    found = top_reliability(TARGET, PREDICTION, 10, against="agreement")
    filled = found.number > 0
    np.testing.assert_allclose(found.predicted[filled], confidence)
    np.testing.assert_allclose(found.observed[filled], share)
    assert np.isnan(found.predicted[~filled]).all()


def test_each_class_has_its_curve() -> None:
    curves = class_reliability(TARGET, PREDICTION)
    assert len(curves) == 4
    for c, curve in enumerate(curves):
        lower = (PREDICTION[:, c] > 0.3) & (PREDICTION[:, c] <= 0.4)
        assert curve.number[3] == lower.sum()
        assert curve.predicted[3] == pytest.approx(PREDICTION[lower, c].mean())
        assert curve.observed[3] == pytest.approx(TARGET[lower, c].mean())


def test_the_true_distribution_is_calibrated_by_share_and_not_by_agreement() -> None:
    random = np.random.default_rng(1)
    true = random.dirichlet(np.full(4, 2.0), size=20_000)
    target = random.multinomial(3, true) / 3
    assert top_reliability(target, true).error < 0.02
    assert top_reliability(target, true, against="agreement").error > 0.05
    assert all(curve.error < 0.02 for curve in class_reliability(target, true))


@pytest.mark.parametrize("bins", [1, 5, 10, 100])
def test_briers_parts_add_up(bins: int) -> None:
    found = brier_decomposition(TARGET, PREDICTION, bins)
    total = found.reliability - found.resolution + found.uncertainty
    total += found.within_variance - found.within_covariance
    assert total == pytest.approx(found.brier, abs=1e-12)
    assert found.brier == pytest.approx(evaluate(TARGET, PREDICTION)["brier"], abs=1e-12)
    expected = 4 * sklearn.metrics.mean_squared_error(TARGET, np.tile(TARGET.mean(0), (500, 1)))
    assert found.uncertainty == pytest.approx(expected)


def test_briers_parts_by_hand() -> None:
    """Forecasts 0.2 and 0.8 of the first class, each twice: Murphy's three parts, twice over."""
    y = np.array([[0, 1], [1, 0], [1, 0], [1, 0]], dtype=float)
    p = np.array([[0.2, 0.8], [0.2, 0.8], [0.8, 0.2], [0.8, 0.2]])
    found = brier_decomposition(y, p)
    # Outcomes 1/2 and 1 about 3/4: (0.3^2 + 0.2^2) / 2, 1/16, and 3/16.
    assert found.reliability == pytest.approx(2 * 0.065)
    assert found.resolution == pytest.approx(2 / 16)
    assert found.uncertainty == pytest.approx(2 * 3 / 16)
    assert (found.within_variance, found.within_covariance) == pytest.approx((0, 0))


def test_the_mean_distribution_has_uncertainty_alone() -> None:
    found = brier_decomposition(TARGET, np.tile(TARGET.mean(axis=0), (500, 1)))
    assert found.brier == pytest.approx(found.uncertainty)
    assert (found.reliability, found.resolution) == pytest.approx((0, 0))


def plain_area(risk: np.ndarray, order: np.ndarray) -> float:
    return float(np.mean([risk[order[:k]].mean() for k in range(1, len(risk) + 1)]))


def test_risk_over_coverage_is_a_plain_loops() -> None:
    risk, uncertainty = RANDOM.random(40), RANDOM.random(40)
    found = risk_coverage(risk, uncertainty)
    order = np.argsort(uncertainty)
    np.testing.assert_allclose(found.risk, [risk[order[: k + 1]].mean() for k in range(40)])
    np.testing.assert_allclose(found.coverage, np.arange(1, 41) / 40)
    assert found.area == pytest.approx(plain_area(risk, order))
    assert found.best_area == pytest.approx(plain_area(risk, np.argsort(risk)))
    assert found.risk[-1] == pytest.approx(risk.mean())


def test_a_tie_is_the_mean_over_its_orders() -> None:
    risk, uncertainty = RANDOM.random(12), np.repeat([0.3, 0.1, 0.1 + 1e-15, 0.7], 3)
    areas = [
        plain_area(risk[order], np.argsort(uncertainty[order].round(6), kind="stable"))
        for order in (RANDOM.permutation(12) for _ in range(4000))
    ]
    found = risk_coverage(risk, uncertainty)
    assert found.area == pytest.approx(np.mean(areas), abs=5 * np.std(areas) / math.sqrt(4000))
    order = RANDOM.permutation(12)
    moved = risk_coverage(risk[order], uncertainty[order])
    np.testing.assert_allclose(moved.risk, found.risk, atol=1e-12)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=20))
def test_no_order_beats_that_by_risk(rows: list[tuple[float, int]]) -> None:
    risk, uncertainty = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = risk_coverage(risk, uncertainty)
    assert found.best_area <= found.area + 1e-9
    nothing = risk_coverage(risk, np.zeros(len(risk)))
    assert nothing.area == pytest.approx(risk.mean(), abs=1e-12)


@pytest.mark.parametrize(
    ("risk", "uncertainty", "match"),
    [
        ([0.1, math.nan], [0.1, 0.2], "risk: row 1 is nan; it must be finite"),
        ([0.1, 0.2], [math.inf, 0.2], "uncertainty: row 0 is inf"),
        ([], [], "0 risks and 0 uncertainties"),
    ],
)
def test_unusable_risks_are_refused(
    risk: list[float], uncertainty: list[float], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        risk_coverage(np.array(risk), np.array(uncertainty))


def test_unusable_options_are_refused() -> None:
    with pytest.raises(ValueError, match="bins is 0; it must be at least 1"):
        class_reliability(TARGET, PREDICTION, 0)
    with pytest.raises(ValueError, match="prediction: row 0"):
        brier_decomposition(TARGET, PREDICTION * 2)
