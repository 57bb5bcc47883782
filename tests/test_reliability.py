"""Alpha and kappa: published examples, another implementation, plain loops, what is undefined.

Published: [K] Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, sections A to C;
[W] the worked example of Wikipedia's article on Krippendorff's alpha; [F] Fleiss 1971, Measuring
nominal scale agreement among many raters, table 1; [P] the example of Wikipedia's article on
Fleiss' kappa.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from amber_heads.statistics.reliability import (
    Units,
    alpha_interval,
    alpha_nominal,
    coincidences,
    expected_coincidences,
    fleiss_kappa,
    units_of_counts,
    units_of_votes,
)

#: (source, a row a rater, "." where she said nothing, alpha nominal, alpha interval)
PUBLISHED = [
    ("K, A: binary, two raters", ("0100000010", "1110010000"), 0.095, None),
    ("K, B: nominal, two raters", ("aabbdcccedda", "babbbccceddd"), 0.692, None),
    (
        "K, C: four raters, values missing",
        ("123321412...", "1233224125.3", ".3332342251.", "12332441251."),
        0.743,
        0.849,
    ),
    ("W: three raters", (".....34121133.3", "1.213343.......", "..21344.21133.4"), 0.691, 0.811),
]

FLEISS = """
0 0 0 6 0/0 3 0 0 3/0 1 4 0 1/0 0 0 0 6/0 3 0 3 0/2 0 4 0 0/0 0 4 0 2/2 0 3 1 0/2 0 0 4 0/0 0 0 0 6
1 0 0 5 0/1 1 0 4 0/0 3 3 0 0/1 0 0 5 0/0 2 0 3 1/0 0 5 0 1/3 0 0 1 2/5 1 0 0 0/0 2 0 4 0/1 0 2 0 3
0 0 0 0 6/0 1 0 5 0/0 2 0 1 3/2 0 0 4 0/1 0 0 4 1/0 5 0 1 0/4 0 0 0 2/0 2 0 4 0/1 0 5 0 0/0 0 0 0 6
"""
TEN_BY_FOURTEEN = """
0 0 0 0 14/0 2 6 4 2/0 0 3 5 6/0 3 9 2 0/2 2 8 1 1
7 7 0 0 0/3 2 6 3 0/2 5 3 2 2/6 5 2 1 0/0 2 2 3 7
"""


def table(text: str) -> np.ndarray:
    rows = text.strip().replace("\n", "/").split("/")
    return np.array([row.split() for row in rows], dtype=np.int64)


def numbers(rows: Sequence[str]) -> np.ndarray:
    """Raters by units, NaN where nothing was said."""
    values = sorted(set("".join(rows)) - {"."})
    return np.array([[np.nan if v == "." else values.index(v) for v in row] for row in rows])


def long_form(data: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit, rater and value of what was said."""
    rater, unit = np.nonzero(~np.isnan(data))
    return unit, rater, data[rater, unit]


def units_of(data: np.ndarray) -> Units:
    unit, rater, value = long_form(data)
    num_labels = int(np.nanmax(data, initial=0)) + 1
    return units_of_votes(unit, rater, value.astype(np.int64), num_labels=num_labels)


def counts_of(data: np.ndarray) -> np.ndarray:
    return np.stack([(data == v).sum(axis=0) for v in range(int(np.nanmax(data)) + 1)], axis=1)


@pytest.mark.parametrize(("rows", "nominal", "interval"), [one[1:] for one in PUBLISHED])
def test_published_alphas(rows: Sequence[str], nominal: float, interval: float | None) -> None:
    data = numbers(rows)
    for units in (units_of(data), units_of_counts(counts_of(data))):
        assert alpha_nominal(units).value == pytest.approx(nominal, abs=5e-4)
    theirs = krippendorff.alpha(reliability_data=data, level_of_measurement="nominal")
    assert alpha_nominal(units_of(data)).value == pytest.approx(theirs, abs=1e-12)
    if interval is not None:
        assert alpha_interval(*long_form(data)).value == pytest.approx(interval, abs=5e-4)


def test_the_published_example_worked_cell_by_cell() -> None:
    """[K], C gives these coincidences: 7 of 1 with 1, 10, 8, 4 and 3; 4/3 of 1 with 2; n = 40."""
    units = units_of(numbers(PUBLISHED[2][1]))
    observed = coincidences(units)
    np.testing.assert_allclose(np.diag(observed), [7, 10, 8, 4, 3], atol=1e-12)
    np.testing.assert_allclose(observed[0, 1], 4 / 3, atol=1e-12)
    np.testing.assert_allclose(observed.sum(axis=0), [9, 13, 10, 5, 3], atol=1e-12)
    expected = expected_coincidences(units)
    np.testing.assert_allclose(expected.sum(axis=0), [9, 13, 10, 5, 3], atol=1e-12)
    assert expected[0, 1] == pytest.approx(9 * 13 / 39)
    found = alpha_nominal(units)
    assert (found.num_units, found.num_values, units.num_alone) == (11, 40, 1)


said = st.integers(0, 3) | st.just(np.nan)
matrices = st.integers(2, 12).flatmap(
    lambda units: st.lists(st.lists(said, min_size=units, max_size=units), min_size=2, max_size=5)
)


@given(matrices)
@example([[0.0, 1.0], [np.nan, 1.0], [1.0, 0.0]])
def test_alpha_is_what_another_implementation_finds(rows: list[list[float]]) -> None:
    data = np.array(rows, dtype=np.float64)
    paired = data[:, (~np.isnan(data)).sum(axis=0) > 1]
    assume(len(set(paired[~np.isnan(paired)])) > 1)
    for level, found in (
        ("nominal", alpha_nominal(units_of(data), num_resamples=2)),
        ("interval", alpha_interval(*long_form(data), num_resamples=2)),
    ):
        theirs = krippendorff.alpha(reliability_data=data, level_of_measurement=level)
        assert found.value == pytest.approx(theirs, abs=1e-9)


def plain_disagreements(units: Sequence[Sequence[int]]) -> tuple[float, float]:
    """D_o and D_e by going through every pair of values."""
    units = [values for values in units if len(values) > 1]
    pooled = [value for values in units for value in values]
    n = len(pooled)
    observed = sum(
        (one != other) / (len(values) - 1)
        for values in units
        for one, other in permutations(values, 2)
    )
    expected = sum(one != other for one, other in permutations(pooled, 2))
    return observed / n, expected / (n * (n - 1))


#: By unit, by rater: the labels she ticked.
TICKS = [
    [(0,), (0, 1), (1,)],
    [(2,), (2, 0)],
    [(1,), (1,), (0, 1, 2)],
    [(0, 2)],
]


def test_several_labels_of_a_rater_are_as_one_of_them_drawn_at_random() -> None:
    rows = [
        (u, r, label)
        for u, raters in enumerate(TICKS)
        for r, labels in enumerate(raters)
        for label in labels
    ]
    unit, rater, label = (np.array(column) for column in zip(*rows, strict=True))
    answers = [labels for raters in TICKS for labels in raters]
    sizes = [len(raters) for raters in TICKS]
    drawn = []
    for choice in product(*answers):
        ends = np.cumsum(sizes)
        drawn.append(
            plain_disagreements([choice[e - n : e] for e, n in zip(ends, sizes, strict=True)])
        )
    observed, expected = np.mean(drawn, axis=0)
    found = alpha_nominal(units_of_votes(unit, rater, label, num_labels=3))
    assert found.value == pytest.approx(1 - observed / expected, abs=1e-12)
    assert (found.num_units, found.num_values) == (3, 8)


def test_a_raters_own_labels_are_no_pair() -> None:
    """Two raters who both tick both labels agree no more than by chance, not for certain."""
    unit, rater = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0, 1])
    units = units_of_votes(unit, rater, np.array([0, 1, 0, 1, 0, 0]), num_labels=2)
    np.testing.assert_allclose(coincidences(units), [[2 + 1 / 2, 1 / 2], [1 / 2, 1 / 2]])
    alone = units_of_votes(unit[:2], rater[:2], np.array([0, 1]), num_labels=2)
    assert (len(alone.num_raters), alone.num_alone) == (0, 1)


@given(matrices)
def test_coincidences_sum_to_the_values_and_lie_round_alpha(rows: list[list[float]]) -> None:
    units = units_of(np.array(rows, dtype=np.float64))
    observed, expected = coincidences(units), expected_coincidences(units)
    np.testing.assert_allclose(observed, observed.T, atol=1e-12)
    np.testing.assert_allclose(observed.sum(axis=1), units.values.sum(axis=0), atol=1e-9)
    found = alpha_nominal(units, num_resamples=2)
    if found.value is not None:
        n = units.num_raters.sum()
        by_hand = 1 - (n - np.trace(observed)) / (n - np.trace(expected))
        assert found.value == pytest.approx(by_hand, abs=1e-9)
        assert found.value <= 1


def plain_kappa(counts: np.ndarray) -> float:
    """Fleiss 1971, equations 1 to 7, one subject and category at a time."""
    subjects, categories, n = len(counts), counts.shape[1], int(counts[0].sum())
    agreement = 0.0
    for i in range(subjects):
        pairs = sum(int(counts[i, j]) * (int(counts[i, j]) - 1) for j in range(categories))
        agreement += pairs / (n * (n - 1)) / subjects
    chance = 0.0
    for j in range(categories):
        chance += (sum(int(counts[i, j]) for i in range(subjects)) / (subjects * n)) ** 2
    return (agreement - chance) / (1 - chance)


@pytest.mark.parametrize(("text", "published"), [(FLEISS, 0.430), (TEN_BY_FOURTEEN, 0.210)])
def test_published_kappas(text: str, published: float) -> None:
    counts = table(text)
    found = fleiss_kappa(units_of_counts(counts))
    assert found.value == pytest.approx(published, abs=5e-4)
    assert found.value == pytest.approx(plain_kappa(counts), abs=1e-12)
    assert found.num_units == len(counts)


@given(st.lists(st.permutations([3, 1, 1, 0]) | st.permutations([5, 0, 0, 0]), min_size=1))
def test_kappa_is_the_plain_loops(rows: list[list[int]]) -> None:
    counts = np.array(rows)
    found = fleiss_kappa(units_of_counts(counts))
    if (counts.sum(axis=0) > 0).sum() == 1:
        assert found.why_not == "all raters gave one and the same label"
    else:
        assert found.value == pytest.approx(plain_kappa(counts), abs=1e-9)


@pytest.mark.parametrize(
    ("counts", "why_not"),
    [
        ([[2, 1], [1, 1]], "raters: 2 to 3, not always as many"),
        ([[2, 1], [1, 0]], "raters: 1 to 3, not always as many"),
        ([[1, 0], [0, 1]], "no two raters judged the same"),
        ([[3, 0], [3, 0]], "all raters gave one and the same label"),
    ],
)
def test_kappa_says_why_it_does_not_apply(counts: list[list[int]], why_not: str) -> None:
    found = fleiss_kappa(units_of_counts(np.array(counts)))
    assert (found.value, found.why_not) == (None, why_not)


def test_kappa_does_not_apply_where_a_rater_gave_several_labels() -> None:
    unit, rater, label = np.array([0, 0, 0]), np.array([0, 0, 1]), np.array([0, 1, 0])
    found = fleiss_kappa(units_of_votes(unit, rater, label, num_labels=2))
    assert (found.value, found.why_not) == (None, "some raters gave several labels")


@pytest.mark.parametrize(
    ("counts", "why_not", "num_units"),
    [
        ([[3, 0], [2, 0]], "all raters gave one and the same label", 2),
        ([[1, 0], [0, 1], [0, 0]], "no two raters judged the same", 0),
        (np.zeros((0, 2), int), "no two raters judged the same", 0),
    ],
)
def test_alpha_is_not_defined_without_variation(
    counts: list[list[int]], why_not: str, num_units: int
) -> None:
    found = alpha_nominal(units_of_counts(np.array(counts)))
    assert (found.value, found.low, found.high) == (None, None, None)
    assert (found.why_not, found.num_units) == (why_not, num_units)


def test_alpha_of_equal_or_lonely_ratings_is_not_defined() -> None:
    unit, rater = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    same = alpha_interval(unit, rater, np.full(4, 0.1))
    assert (same.value, same.why_not) == (None, "all ratings are the same")
    alone = alpha_interval(np.arange(4), rater, np.arange(4.0))
    assert (alone.value, alone.why_not) == (None, "no two raters judged the same")
    none = alpha_interval(unit[:0], rater[:0], np.zeros(0))
    assert (none.value, none.num_units) == (None, 0)


def test_a_raters_ratings_of_one_unit_count_as_their_mean() -> None:
    unit, rater = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    once = alpha_interval(unit, rater, np.array([2.0, 4.0, 5.0, 6.0]))
    twice = alpha_interval(
        np.append(unit, 0), np.append(rater, 0), np.array([1.0, 4.0, 5.0, 6.0, 3.0])
    )
    assert twice == once


def noisy(number: int, *, seed: int) -> Units:
    random = np.random.default_rng(seed)
    lead = random.integers(4, size=number)[:, None]
    votes = np.where(random.random((number, 5)) < 0.6, lead, random.integers(4, size=(number, 5)))
    return units_of(votes.T.astype(np.float64))


def test_the_interval_holds_the_value_and_narrows_with_more_units() -> None:
    widths = []
    for number in (40, 400, 4000):
        found = alpha_nominal(noisy(number, seed=1))
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2]  # by about the root of ten each time


def test_the_interval_covers_the_true_alpha_about_as_often_as_it_says() -> None:
    true = alpha_nominal(noisy(200_000, seed=0), num_resamples=1).value
    assert true is not None
    found = [alpha_nominal(noisy(150, seed=seed), num_resamples=200) for seed in range(1, 101)]
    covered = sum(one.low is not None and one.low <= true <= (one.high or 0) for one in found)
    assert 88 <= covered <= 99  # of 100; 95 are meant, and percentiles of 200 are coarse


def test_one_unit_has_no_interval_and_undefined_resamples_are_counted() -> None:
    alone = alpha_nominal(units_of_counts(np.array([[2, 1]])))
    assert (alone.value, alone.low, alone.num_undefined) == (0.0, None, 0)
    two = alpha_nominal(units_of_counts(np.array([[2, 0], [0, 2]])))
    assert two.value == 1
    assert 400 < two.num_undefined < 600  # half of the time one of both is drawn twice
    assert (two.low, two.high) == (1, 1)


def test_the_interval_depends_on_the_seed_alone() -> None:
    units = noisy(60, seed=2)
    assert alpha_nominal(units) == alpha_nominal(units)
    assert alpha_nominal(units) != alpha_nominal(units, seed=1)
