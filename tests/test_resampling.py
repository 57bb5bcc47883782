"""Bootstrap totals and swaps: the moments that drawing has, whichever way it is done."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from amber_heads.statistics.resampling import is_exact, resampled_totals, swapped_totals

RANDOM = np.random.default_rng(0)
#: 60 units with 3 patterns, which are drawn together; and as many that are all unlike.
FEW = np.array([[1.0, 2.0], [1.0, 5.0], [1.0, -1.0]])[RANDOM.integers(3, size=60)]
UNLIKE = np.column_stack([np.ones(60), RANDOM.normal(size=60)])


@pytest.mark.parametrize("figures", [FEW, UNLIKE], ids=["few patterns", "all unlike"])
def test_totals_are_those_of_drawing_with_replacement(figures: np.ndarray) -> None:
    totals = resampled_totals(figures, num_resamples=4000, seed=0)
    np.testing.assert_array_equal(totals[:, 0], 60)  # as many units as there are
    mean, variance = figures[:, 1].sum(), 60 * figures[:, 1].var()
    assert totals[:, 1].mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / 4000))
    assert totals[:, 1].var() == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize("num_resamples", [1, 16, 17, 40])
def test_every_resample_is_there_and_the_first_are_the_same(num_resamples: int) -> None:
    totals = resampled_totals(UNLIKE, num_resamples=num_resamples, seed=3)
    assert totals.shape == (num_resamples, 2)
    more = resampled_totals(UNLIKE, num_resamples=50, seed=3)
    np.testing.assert_allclose(totals, more[:num_resamples], rtol=1e-12, atol=1e-12)


def test_units_drawn_one_by_one_do_not_depend_on_their_figures() -> None:
    both = np.column_stack([FEW, UNLIKE])
    alone = resampled_totals(FEW, num_resamples=20, seed=1, together=False)
    beside = resampled_totals(both, num_resamples=20, seed=1, together=False)
    np.testing.assert_array_equal(alone, beside[:, :2])


def test_few_units_are_swapped_in_every_way_once() -> None:
    one, other = np.eye(3), np.zeros((3, 3))
    totals = swapped_totals(one, other, num_permutations=8, seed=0)
    assert {tuple(row) for row in totals.tolist()} == set(itertools.product((0, 1), repeat=3))
    assert len(totals) == 8
    assert is_exact(3, num_permutations=8)
    assert not is_exact(3, num_permutations=7)


@pytest.mark.parametrize("num_units", [4, 9, 70])
def test_random_swaps_are_fair_and_independent(num_units: int) -> None:
    one, other = np.zeros((num_units, num_units)), np.eye(num_units)
    number = min(5000, 2**num_units - 1)
    swaps = swapped_totals(one, other, num_permutations=number, seed=0)
    assert swaps.shape == (number, num_units)
    assert set(swaps.ravel().tolist()) == {0.0, 1.0}
    tolerance = 5 / np.sqrt(number)
    np.testing.assert_allclose(swaps.mean(axis=0), 0.5, atol=tolerance / 2)
    np.testing.assert_allclose(np.corrcoef(swaps.T), np.eye(num_units), atol=2 * tolerance)


def test_what_does_not_change_keeps_its_sum() -> None:
    one, other = np.array([[3.0, 1.0], [4.0, 2.0]]), np.array([[3.0, 5.0], [4.0, 2.0]])
    totals = swapped_totals(one, other, num_permutations=100, seed=0)
    np.testing.assert_array_equal(totals, [[7, 3], [7, 7], [7, 3], [7, 7]])
