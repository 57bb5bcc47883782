"""Several seeds of one system."""

from __future__ import annotations

import numpy as np
import pytest

from amber_heads.formulas.agreement import js_per_utterance
from amber_heads.statistics.ensembles import paired_seeds, seed_ensemble, sound_seeds

SEEDS = np.random.default_rng(0).dirichlet(np.ones(3), size=(4, 20))


def test_the_ensemble_is_the_mean_of_the_distributions() -> None:
    found = seed_ensemble(SEEDS.astype(np.float32))
    np.testing.assert_allclose(found, SEEDS.mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(seed_ensemble(SEEDS[:1]), SEEDS[0])


def test_the_ensembles_js_is_at_most_the_mean_of_the_seeds() -> None:
    """JS is convex in the prediction."""
    target = np.random.default_rng(1).multinomial(3, np.full(3, 1 / 3), size=20) / 3
    ensemble = js_per_utterance(target, seed_ensemble(SEEDS))
    assert (ensemble <= js_per_utterance(target, SEEDS).mean(axis=0)).all()


def test_a_row_that_diverged_is_left_out_and_no_more() -> None:
    broken = SEEDS.copy()
    broken[1, :5, 0] = np.nan
    broken[:, 7] = np.nan
    found = seed_ensemble(broken)
    np.testing.assert_allclose(found[:5], SEEDS[[0, 2, 3], :5].mean(axis=0))
    np.testing.assert_allclose(found[8:], SEEDS[:, 8:].mean(axis=0))
    assert np.isnan(found[7]).all()


def test_an_ensemble_needs_a_seed() -> None:
    with pytest.raises(ValueError, match=r"shape \(0, 20, 3\); an ensemble needs at least one"):
        seed_ensemble(SEEDS[:0])


def test_sound_seeds_have_no_gap() -> None:
    broken = SEEDS.copy()
    broken[2, 3] = np.nan
    np.testing.assert_array_equal(sound_seeds(broken), SEEDS[[0, 1, 3]])


def test_paired_seeds_are_sound_in_both_and_a_single_one_is_repeated() -> None:
    broken = SEEDS.copy()
    broken[2, 3] = np.nan
    _, one, other = paired_seeds(SEEDS[0], broken, SEEDS[1:2])
    np.testing.assert_allclose(one, SEEDS[[0, 1, 3]])
    np.testing.assert_allclose(other, SEEDS[[1, 1, 1]])
    none = paired_seeds(SEEDS[0], SEEDS, np.full((1, 20, 3), np.nan))
    assert [len(seeds) for seeds in none[1:]] == [0, 0]
