"""Levels of ambiguity: who is in which, and what systems make of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from amber_heads.metrics import HEADLINE, METRICS, evaluate
from amber_heads.statistics.levels import Level, by_level, conflict_levels, entropy_levels

RANDOM = np.random.default_rng(0)
THREE = RANDOM.multinomial(3, RANDOM.dirichlet(np.ones(4), size=80))
MANY = RANDOM.multinomial(25, RANDOM.dirichlet(np.ones(4), size=200))


def shares(votes: np.ndarray) -> np.ndarray:
    return votes / votes.sum(axis=1, keepdims=True)


def entropies(votes: np.ndarray) -> np.ndarray:
    return np.asarray(scipy.stats.entropy(votes, base=2, axis=1))


def is_a_partition(levels: tuple[Level, ...]) -> bool:
    return bool((np.sum([level.mask for level in levels], axis=0) == 1).all())


def test_three_raters_leave_three_levels() -> None:
    levels = entropy_levels(shares(THREE).astype(np.float32), THREE)
    assert [level.name for level in levels] == [
        "0.00 bits (3)",
        "0.92 bits (2:1)",
        "1.58 bits (1:1:1)",
    ]
    most = THREE.max(axis=1)
    for level, expected in zip(levels, (3, 2, 1), strict=True):
        np.testing.assert_array_equal(level.mask, most == expected)


def test_splits_of_one_entropy_are_not_named() -> None:
    votes = np.array([[3, 0], [2, 0], [1, 1], [2, 2]])
    assert [level.name for level in entropy_levels(shares(votes), votes)] == [
        "0.00 bits",
        "1.00 bits",
    ]


def test_many_entropies_are_in_five_bins_of_equal_width() -> None:
    levels = entropy_levels(shares(MANY), MANY)
    np.testing.assert_allclose([level.low for level in levels], [0, 0.4, 0.8, 1.2, 1.6])
    np.testing.assert_allclose([level.high for level in levels], [0.4, 0.8, 1.2, 1.6, 2])
    assert is_a_partition(levels)
    for level in levels:
        inside = entropies(MANY)[level.mask]
        assert (inside > level.low).all()
        assert (inside <= level.high).all()
    assert levels[1].name == "0.40 to 0.80 bits"


def test_the_ends_of_the_range_belong_to_the_outer_bins() -> None:
    votes = np.concatenate([MANY, [[25, 0, 0, 0], [5, 5, 5, 5]]])
    levels = entropy_levels(shares(votes), votes)
    assert levels[0].mask[-2]
    assert levels[-1].mask[-1]


def test_quantiles_have_about_as_many_each() -> None:
    levels = entropy_levels(shares(MANY), MANY, quantiles=4)
    assert is_a_partition(levels)
    assert all(40 <= level.mask.sum() <= 60 for level in levels)
    tied = entropy_levels(shares(THREE), THREE, quantiles=5)
    assert is_a_partition(tied)
    assert len(tied) <= 3


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(1, 7))
def test_equal_conflicts_share_a_level(values: list[int], number: int) -> None:
    conflict = np.array(values) / 6
    levels = conflict_levels(conflict, number)
    assert is_a_partition(levels)
    assert 1 <= len(levels) <= number
    for one in set(values):
        same = np.array(values) == one
        assert sum(bool((level.mask & same).any()) for level in levels) == 1
    for level in levels:
        assert level.mask.any()
        assert conflict[level.mask].max() <= level.high + 1e-5
    assert len({level.name for level in levels}) == len(levels)


def test_many_equal_conflicts_are_a_level_of_their_own() -> None:
    conflict = np.concatenate([np.zeros(50), np.linspace(0.1, 1, 50)])
    levels = conflict_levels(conflict, 4)
    assert [level.mask.sum() for level in levels] == [50, 25, 25]
    assert levels[0].name == "0.00"


def test_an_unknown_conflict_is_in_no_level() -> None:
    levels = conflict_levels(np.array([0.1, math.nan, 0.2, 0.3]), 2)
    np.testing.assert_array_equal(np.sum([level.mask for level in levels], axis=0), [1, 0, 1, 1])


def test_levels_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no utterance to make levels of"):
        conflict_levels(np.array([math.nan]))
    with pytest.raises(ValueError, match="0 levels were asked for; there must be at least 1"):
        conflict_levels(np.ones(3), 0)


SYSTEM = RANDOM.dirichlet(np.ones(4), size=(3, 80))


def test_a_row_holds_what_evaluate_gives_on_the_levels_utterances() -> None:
    target, uniform = shares(THREE), np.full((1, 80, 4), 0.25)
    levels = entropy_levels(target, THREE)
    rows = by_level(
        target,
        THREE,
        {"one": SYSTEM.astype(np.float32)},
        levels=levels,
        floors={"uniform": uniform},
        metrics=tuple(METRICS),
    )
    assert [row.level.name for row in rows] == [level.name for level in levels]
    for row, level in zip(rows, levels, strict=True):
        by_seed = [evaluate(target[level.mask], seed[level.mask]) for seed in SYSTEM]
        assert (row.num_utterances, row.mean_raters) == (level.mask.sum(), 3)
        for name in METRICS:
            values = [one[name] for one in by_seed]
            found = row.systems["one"][name]
            assert found.mean == pytest.approx(np.mean(values), abs=1e-6, nan_ok=True), name
            assert found.std == pytest.approx(np.std(values, ddof=1), abs=1e-6, nan_ok=True), name
            assert found.num_seeds == 3
        floor = row.floors["uniform"]["js"]
        assert floor.mean == pytest.approx(
            evaluate(target[level.mask], uniform[0][level.mask])["js"]
        )
        assert math.isnan(floor.std)


def test_an_empty_level_and_a_seed_that_diverged_have_no_figures() -> None:
    broken = SYSTEM.copy()
    broken[1, 0, 0] = np.nan
    empty = Level(name="none", low=0.0, high=0.0, mask=np.zeros(80, dtype=bool))
    full = Level(name="all", low=0.0, high=2.0, mask=np.ones(80, dtype=bool))
    systems = {"one": broken, "none": broken[1:2]}
    first, second = by_level(shares(THREE), THREE, systems, levels=(empty, full))
    assert first.num_utterances == 0
    assert math.isnan(first.mean_raters)
    assert all(math.isnan(first.systems["one"][name].mean) for name in HEADLINE)
    assert second.systems["one"]["js"].num_seeds == 2
    expected = np.mean([evaluate(shares(THREE), SYSTEM[s])["js"] for s in (0, 2)])
    assert second.systems["one"]["js"].mean == pytest.approx(expected)
    assert second.systems["none"]["js"].num_seeds == 0
    assert math.isnan(second.systems["none"]["js"].mean)
