import math
import warnings

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from amber_heads.formulas.agreement import (
    bc_per_utterance,
    entropy_per_utterance,
    js_between,
    js_per_utterance,
    r2_per_utterance,
)
from amber_heads.formulas.divergence import js_divergence


def random_pair(num_classes: int, *, rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Vote shares, most of them with zeros, beside predictions."""
    rng = np.random.default_rng(num_classes)
    votes = rng.multinomial(5, np.full(num_classes, 1 / num_classes), size=rows) / 5
    return votes, rng.dirichlet(np.ones(num_classes), size=rows)


@pytest.mark.parametrize("num_classes", range(2, 10))
def test_js_bc_and_entropy_equal_scipy(num_classes: int) -> None:
    y, p = random_pair(num_classes)
    distance = scipy.spatial.distance.jensenshannon(y, p, base=2, axis=-1)
    np.testing.assert_allclose(js_per_utterance(y, p), distance**2, atol=1e-12)
    np.testing.assert_allclose(
        entropy_per_utterance(y), scipy.stats.entropy(y, base=2, axis=-1), atol=1e-12
    )
    # BC from the Hellinger distance, which is the Euclidean distance of the roots over sqrt(2).
    hellinger = [
        scipy.spatial.distance.euclidean(np.sqrt(a), np.sqrt(b)) / math.sqrt(2)
        for a, b in zip(y, p, strict=True)
    ]
    np.testing.assert_allclose(bc_per_utterance(y, p), 1 - np.square(hellinger), atol=1e-12)


@pytest.mark.parametrize("num_heads", [2, 3, 4])
def test_js_between_heads_is_the_mean_over_scipys_pairs(num_heads: int) -> None:
    heads = np.random.default_rng(num_heads).dirichlet(np.ones(4), size=(num_heads, 50))
    heads[0, 0], heads[1, 0] = [1, 0, 0, 0], [0, 1, 0, 0]
    distances = [
        scipy.spatial.distance.jensenshannon(heads[a], heads[b], base=2, axis=-1)
        for a in range(num_heads)
        for b in range(a)
    ]
    wanted = np.mean(np.square(distances), axis=0)
    np.testing.assert_allclose(js_between(heads), wanted, atol=1e-12)
    np.testing.assert_allclose(js_between(list(heads[::-1])), wanted, atol=1e-12)


def test_js_between_is_nan_where_there_are_not_two_answers() -> None:
    heads = np.random.default_rng(0).dirichlet(np.ones(4), size=(2, 3))
    heads[1, 0] = np.nan
    np.testing.assert_array_equal(np.isnan(js_between(heads)), [True, False, False])
    np.testing.assert_array_equal(js_between(heads[:1]), np.full(3, np.nan))
    with pytest.raises(ValueError, match="js_between needs predictions; it got none"):
        js_between([])


@pytest.mark.parametrize("num_classes", range(3, 10))
def test_r2_equals_scipys_pearson(num_classes: int) -> None:
    y, p = random_pair(num_classes)
    expected = [
        scipy.stats.pearsonr(a, b).statistic ** 2 if np.ptp(a) > 0 else 0
        for a, b in zip(y, p, strict=True)
    ]
    np.testing.assert_allclose(r2_per_utterance(y, p), expected, atol=1e-10)


@pytest.mark.parametrize("num_classes", range(3, 10))
@pytest.mark.parametrize("noise", [0, 1e-16, 1e-8, 1e-7])
def test_an_even_spread_is_constant_whatever_its_rounding(num_classes: int, noise: float) -> None:
    rng = np.random.default_rng(0)
    even = np.full((50, num_classes), 1 / num_classes)
    even = even + noise * rng.uniform(-1, 1, even.shape)
    _, p = random_pair(num_classes, rows=50)
    assert (r2_per_utterance(p, even) == 0).all()
    assert (r2_per_utterance(even, p) == 0).all()
    assert (r2_per_utterance(even.astype(np.float32), p) == 0).all()


def test_a_small_but_real_difference_is_not_constant() -> None:
    p = np.array([1 / 3 + 2e-5, 1 / 3 - 1e-5, 1 / 3 - 1e-5])
    assert r2_per_utterance(np.array([1.0, 0.0, 0.0]), p) == pytest.approx(1, abs=1e-6)


def test_r2_says_nothing_about_two_classes() -> None:
    y, p = random_pair(2, rows=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(r2_per_utterance(y, p)).all()


def test_js_equals_the_loss() -> None:
    y, p = random_pair(4)
    loss = js_divergence(torch.tensor(y).log(), torch.tensor(p).log())
    np.testing.assert_allclose(js_per_utterance(y, p), loss, atol=1e-14)


def test_the_smallest_numbers_of_float64_do_no_harm() -> None:
    tiny = 5e-324
    y, p = np.array([[1.0, tiny, 0.0]]), np.array([[0.0, 1.0, tiny]])
    np.testing.assert_allclose(js_per_utterance(y, p), [1.0])
    np.testing.assert_allclose(bc_per_utterance(y, p), [0.0], atol=1e-150)
    assert entropy_per_utterance(y) < 1e-300


def test_rounding_does_not_leave_the_bounds() -> None:
    _, p = random_pair(4, rows=1000)
    js, bc = js_per_utterance(p, np.nextafter(p, 1)), bc_per_utterance(p, np.nextafter(p, 1))
    assert (js >= 0).all()
    assert (bc <= 1).all()
    np.testing.assert_allclose(js, 0, atol=1e-15)


def test_leading_axes_are_kept_and_broadcast() -> None:
    y, p = random_pair(4, rows=6)
    stacked = np.stack([p, y])
    for function in (js_per_utterance, bc_per_utterance, r2_per_utterance):
        values = function(y, stacked)
        assert values.shape == (2, 6)
        np.testing.assert_array_equal(values[0], function(y, p))


def test_torch_tensors_are_taken_in_any_precision_with_or_without_gradients() -> None:
    y, p = random_pair(4, rows=6)
    prediction = torch.tensor(p).requires_grad_()
    np.testing.assert_array_equal(
        js_per_utterance(torch.tensor(y), prediction), js_per_utterance(y, p)
    )
    half = prediction.bfloat16()
    np.testing.assert_allclose(js_per_utterance(y, half), js_per_utterance(y, p), atol=0.01)


shares = st.lists(st.integers(0, 6), min_size=4, max_size=4).filter(any)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(shares, shares)
def test_bounds_symmetry_and_equality(first: list[int], second: list[int]) -> None:
    y, p = np.array(first) / sum(first), np.array(second) / sum(second)
    for function in (js_per_utterance, bc_per_utterance, r2_per_utterance):
        value = function(y, p)
        assert 0 <= value <= 1
        assert value == pytest.approx(function(p, y), abs=1e-12)
        assert value == pytest.approx(function(y[::-1], p[::-1]), abs=1e-12)
    assert js_per_utterance(y, y) == 0
    assert bc_per_utterance(y, y) == pytest.approx(1)
    assert r2_per_utterance(y, y) == pytest.approx(0 if np.ptp(y) == 0 else 1)
