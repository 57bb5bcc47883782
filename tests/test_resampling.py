"""Bootstrap totals: by unit and by pattern alike, the moments that drawing with replacement has."""

from __future__ import annotations

import numpy as np
import pytest

from amber_heads.resampling import resampled_totals

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
