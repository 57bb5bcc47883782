"""Paired differences against SciPy's permutation test and bootstrap, and against work by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from amber_heads.formulas.agreement import js_per_utterance
from amber_heads.metrics import METRICS, evaluate
from amber_heads.statistics.confidence import most_held
from amber_heads.statistics.differences import percentiles
from amber_heads.stats import (
    Difference,
    adjusted,
    holm,
    interval,
    paired_difference,
    paired_differences,
)
from tests.benchmarks.check_tests_size import rejected

NUM_CLUSTERS = 6


def systems(
    *, number: int = 90, num_seeds: int = 2, num_classes: int = 4, gain: float = 0.2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Targets, a better and a worse system, and clusters of unlike sizes."""
    random = np.random.default_rng(seed)
    y = random.multinomial(4, random.dirichlet(np.ones(num_classes), size=number)) / 4
    noise = random.dirichlet(np.ones(num_classes), size=(2, num_seeds, number))
    one, other = (0.4 + gain) * y + (0.6 - gain) * noise[0], 0.4 * y + 0.6 * noise[1]
    clusters = np.array([f"speaker {k}" for k in random.integers(NUM_CLUSTERS, size=number)])
    return y, one, other, clusters


def mean_metric(y: np.ndarray, p: np.ndarray, metric: str) -> float:
    return float(np.mean([evaluate(y, seed)[metric] for seed in p]))


def swapping(
    y: np.ndarray, one: np.ndarray, other: np.ndarray, clusters: np.ndarray, metric: str
) -> Callable[[np.ndarray, np.ndarray], float]:
    """The difference where the k-th cluster comes from one (below K) or other (K and above)."""
    names, of = np.unique(clusters, return_inverse=True)

    def statistic(first: np.ndarray, second: np.ndarray) -> float:
        picked = [
            np.where((sample < len(names))[of][None, :, None], one, other)
            for sample in (np.asarray(first), np.asarray(second))
        ]
        return mean_metric(y, picked[0], metric) - mean_metric(y, picked[1], metric)

    return statistic


@pytest.mark.parametrize("metric", ["js", "f1", "wf1", "r2_cod", "ece_soft", "f1_multilabel"])
def test_the_exact_test_is_scipys(metric: str) -> None:
    y, one, other, clusters = systems(gain=0.05)
    found = paired_difference(y, one, other, metric=metric, clusters=clusters)
    theirs = scipy.stats.permutation_test(
        (np.arange(NUM_CLUSTERS), np.arange(NUM_CLUSTERS) + NUM_CLUSTERS),
        swapping(y, one, other, clusters, metric),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert found.mean == pytest.approx(theirs.statistic, abs=1e-12)
    assert found.p == pytest.approx(theirs.pvalue, abs=1e-12)
    assert (found.exact, found.num_clusters, found.num_seeds) == (True, NUM_CLUSTERS, 2)


def test_the_random_test_is_scipys() -> None:
    y, one, other, _ = systems(gain=0.02, number=60)
    found = paired_difference(y, one, other, metric="js", clusters=np.arange(60))
    gaps = (js_per_utterance(y, one) - js_per_utterance(y, other)).mean(axis=0)
    theirs = scipy.stats.permutation_test(
        (gaps, np.zeros(60)),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        rng=np.random.default_rng(1),
    )
    assert 0.02 < found.p < 0.98
    assert found.p == pytest.approx(theirs.pvalue, abs=0.025)  # 9999 draws each: 0.007 at most
    assert not found.exact


def _confidence(num_clusters: int) -> float:
    """What SciPy must be asked for, so that its percentiles are the expanded ones."""
    t = scipy.stats.t(num_clusters - 1).isf(0.025)
    return float(1 - 2 * scipy.stats.norm.sf(t * (num_clusters / (num_clusters - 1)) ** 0.5))


def test_few_clusters_have_students_interval() -> None:
    random = np.random.default_rng(0)
    y = np.tile([1.0, 0.0], (10, 1))
    p = random.uniform(0.4, 0.6, (1, 10))
    prediction = np.stack([p, 1 - p], axis=-1)
    values = js_per_utterance(y, prediction[0])
    low, high = scipy.stats.t.interval(0.95, 9, loc=values.mean(), scale=scipy.stats.sem(values))
    found = interval(y, prediction, metric="js", clusters=np.arange(10), num_bootstrap=9999)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_the_interval_of_a_mean_is_scipys() -> None:
    y, one, other, clusters = systems(number=200, seed=1)
    gaps = (js_per_utterance(y, one) - js_per_utterance(y, other)).mean(axis=0)
    of = np.unique(clusters, return_inverse=True)[1]
    theirs = scipy.stats.bootstrap(
        (np.bincount(of, weights=gaps), np.bincount(of)),
        lambda total, number, axis: total.sum(axis=axis) / number.sum(axis=axis),
        paired=True,
        n_resamples=1999,
        confidence_level=_confidence(of.max() + 1),
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = paired_difference(y, one, other, metric="js", clusters=clusters)
    width = theirs.high - theirs.low
    assert (found.low, found.high) == pytest.approx(tuple(theirs), abs=0.1 * width)


def test_the_interval_of_an_f1_is_scipys() -> None:
    y, one, other, _ = systems(num_seeds=1, number=200, seed=1)
    clusters = np.arange(200) % 40

    def statistic(drawn: np.ndarray) -> float:
        rows = (np.arange(0, 200, 40)[:, None] + drawn).ravel()
        return evaluate(y[rows], one[0][rows])["f1"] - evaluate(y[rows], other[0][rows])["f1"]

    theirs = scipy.stats.bootstrap(
        (np.arange(40),),
        statistic,
        vectorized=False,
        n_resamples=300,
        confidence_level=_confidence(40),
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = paired_difference(y, one, other, metric="f1", clusters=clusters)
    width = theirs.high - theirs.low
    assert (found.low, found.high) == pytest.approx(tuple(theirs), abs=0.15 * width)


def test_an_interval_of_one_system_is_scipys() -> None:
    y, one, _, _ = systems(number=150)
    of_each = js_per_utterance(y, one).mean(axis=0)
    theirs = scipy.stats.bootstrap(
        (of_each,),
        np.mean,
        confidence_level=_confidence(150),
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = interval(y, one, metric="js", clusters=np.arange(150))
    assert found == pytest.approx((of_each.mean(), *theirs), abs=0.1 * (theirs.high - theirs.low))


def test_every_metric_has_its_difference_the_mean_over_seeds() -> None:
    y, one, other, clusters = systems()
    found = paired_differences(y, one, other, metrics=tuple(METRICS), clusters=clusters)
    for name in METRICS:
        expected = mean_metric(y, one, name) - mean_metric(y, other, name)
        assert found[name].mean == pytest.approx(expected, abs=1e-12), name
        assert found[name].low <= found[name].mean <= found[name].high, name
        alone = paired_difference(y, one, other, metric=name, clusters=clusters)
        assert (alone.p, alone.low) == pytest.approx((found[name].p, found[name].low), abs=1e-12)


def test_the_other_way_round_is_the_same_test() -> None:
    y, one, other, clusters = systems(gain=0.02)
    for names in (clusters, np.arange(len(y))):
        there = paired_difference(y, one, other, metric="f1", clusters=names)
        back = paired_difference(y, other, one, metric="f1", clusters=names)
        assert (back.mean, back.p) == pytest.approx((-there.mean, there.p), abs=1e-12)
        assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-12)


def test_the_order_of_utterances_makes_no_difference() -> None:
    y, one, other, clusters = systems(gain=0.02)
    order = np.random.default_rng(0).permutation(len(y))
    there = paired_difference(y, one, other, metric="wf1", clusters=clusters)
    moved = paired_difference(
        y[order], one[:, order], other[:, order], metric="wf1", clusters=clusters[order]
    )
    assert (moved.p, moved.low, moved.effect_size) == pytest.approx(
        (there.p, there.low, there.effect_size), abs=1e-12
    )


@pytest.mark.parametrize(("num_clusters", "smallest"), [(10, 0.001953125), (5, 0.0625), (2, 0.5)])
def test_the_smallest_p_is_reached_where_every_cluster_agrees(
    num_clusters: int, smallest: float
) -> None:
    y = np.tile(np.eye(3), (num_clusters, 1))
    one, other = (0.9 * y + 0.1 / 3)[None], (0.8 * y + 0.2 / 3)[None]
    clusters = np.arange(len(y)) // 3
    found = paired_difference(y, one, other, metric="js", clusters=clusters, fewest_seeds=1)
    assert (found.p, found.smallest_p) == (smallest, smallest)


def test_many_clusters_are_bounded_by_the_number_of_permutations() -> None:
    y, one, other, _ = systems()
    found = paired_difference(
        y, one, other, metric="js", clusters=np.arange(len(y)), num_permutations=99
    )
    assert (found.p, found.smallest_p, found.exact) == (0.01, 0.01, False)


def test_nothing_to_compare_by_is_refused() -> None:
    y, one, other, clusters = systems()
    with pytest.raises(ValueError, match="no metric to compare by"):
        paired_differences(y, one, other, metrics=(), clusters=clusters)


def test_equal_systems_do_not_differ() -> None:
    y, one, _, clusters = systems()
    found = paired_difference(y, one, one, metric="f1", clusters=clusters)
    assert (found.mean, found.p, found.low, found.high) == (0, 1, 0, 0)
    assert math.isnan(found.effect_size)


def test_the_effect_size_is_cohens_d_of_clusters_of_one_size() -> None:
    y, one, other, _ = systems()
    clusters = np.arange(len(y)) % 9
    gaps = (js_per_utterance(y, one) - js_per_utterance(y, other)).mean(axis=0)
    means = np.array([gaps[clusters == k].mean() for k in range(9)])
    found = paired_difference(y, one, other, metric="js", clusters=clusters)
    assert found.effect_size == pytest.approx(means.mean() / means.std(ddof=1), rel=1e-9)


def test_one_cluster_has_a_difference_and_nothing_else() -> None:
    y, one, other, _ = systems()
    found = paired_difference(y, one, other, metric="js", clusters=np.zeros(len(y)))
    assert found.mean == pytest.approx(mean_metric(y, one, "js") - mean_metric(y, other, "js"))
    assert np.isnan([found.low, found.high, found.p, found.effect_size]).all()
    assert found.smallest_p == 1
    assert found.why_not == "one cluster: nothing to swap or to draw from"
    assert np.isnan(interval(y, one, metric="js", clusters=np.zeros(len(y)))[1:]).all()


def test_one_seed_has_no_test_unless_it_is_an_ensemble() -> None:
    y, one, other, clusters = systems(num_seeds=1)
    found = paired_difference(y, one, other, metric="js", clusters=clusters)
    assert math.isnan(found.p)
    assert found.low < found.mean < found.high
    assert found.why_not == "seeds: 1, too few for a test"
    ensembles = paired_difference(y, one, other, metric="js", clusters=clusters, fewest_seeds=1)
    assert ensembles.p > 0
    assert not ensembles.why_not


def test_one_prediction_is_held_against_every_seed() -> None:
    y, one, other, clusters = systems(num_seeds=3)
    mean = other.mean(axis=0, keepdims=True)
    found = paired_difference(y, one, mean, metric="f1", clusters=clusters)
    expected = mean_metric(y, one, "f1") - mean_metric(y, mean, "f1")
    assert (found.mean, found.num_seeds) == (pytest.approx(expected), 3)
    assert 0 < found.p <= 1


def test_a_seed_that_diverged_is_left_out_of_both() -> None:
    y, one, other, clusters = systems(num_seeds=4)
    broken = other.copy()
    broken[1, 7] = np.nan
    found = paired_difference(y, one, broken, metric="f1", clusters=clusters)
    kept = [0, 2, 3]
    assert found == paired_difference(y, one[kept], other[kept], metric="f1", clusters=clusters)
    nothing = paired_difference(y, one, np.full_like(one, np.nan), metric="f1", clusters=clusters)
    assert (nothing.num_seeds, nothing.why_not) == (0, "every seed has diverged")
    assert np.isnan([nothing.mean, nothing.p, nothing.low]).all()
    assert np.isnan(interval(y, np.full_like(one, np.nan), metric="f1", clusters=clusters)).all()


def test_a_metric_that_is_not_defined_says_why() -> None:
    y, one, other, clusters = systems(num_classes=2)
    found = paired_difference(y, one, other, metric="r2", clusters=clusters)
    assert np.isnan([found.mean, found.p, found.low, found.effect_size]).all()
    assert found.why_not == "with two classes r2 says nothing"
    same = np.tile(y[:1], (len(y), 1))
    constant = paired_difference(same, one, other, metric="r2_cod", clusters=clusters)
    assert constant.why_not == "all targets are the same"
    assert constant.num_undefined == 1999


def test_a_class_that_never_occurs_has_an_f1_of_zero_everywhere() -> None:
    y, one, other, clusters = systems(num_classes=3)
    pad = [(0, 0), (0, 1)]
    wider = [np.pad(y, pad), np.pad(one, [(0, 0), *pad]), np.pad(other, [(0, 0), *pad])]
    there = paired_difference(y, one, other, metric="f1", clusters=clusters)
    found = paired_difference(*wider, metric="f1", clusters=clusters)
    assert found.mean == pytest.approx(there.mean * 3 / 4)
    assert found.p == there.p


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"metric": ""}, "metric '' is none of js, bc"),
        ({"metric": "f2"}, "metric 'f2' is none of js, bc"),
        ({"num_permutations": 0}, "num_permutations is 0; it must be at least 1"),
        ({"num_bootstrap": 0}, "num_bootstrap is 0; it must be at least 1"),
        ({"clusters": np.zeros(3)}, "3 names of clusters for 90 utterances"),
        ({"other": np.full((3, 90, 4), 0.25)}, "2 and of 3 seeds can't be paired"),
        ({"other": np.full((2, 80, 4), 0.25)}, r"shape \(2, 80, 4\) for targets of \(90, 4\)"),
        ({"other": np.full((90, 4), 0.25)}, "with at least one seed"),
        ({"other": np.full((2, 90, 4), 0.5)}, "prediction: row 0 is .* sums to 2"),
    ],
)
def test_what_can_not_be_compared_is_refused(change: dict[str, object], match: str) -> None:
    y, one, other, clusters = systems()
    told = {"one": one, "other": other, "metric": "js", "clusters": clusters} | change
    with pytest.raises(ValueError, match=match):
        paired_difference(y, **told)


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.011, 0.02, 0.04: times 4, 3, 2, 1, never below the one before.
    assert holm([0.011, 0.02, 0.005, 0.04]) == pytest.approx([0.033, 0.04, 0.02, 0.04])
    assert holm([0.6, 0.5]) == [1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p: list[float]) -> None:
    filled = holm(p)
    for level in (0.01, 0.05, 0.2):
        rejected_by_hand: set[int] = set()
        for rank, number in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
            if p[number] * (len(p) - rank) > level:
                break
            rejected_by_hand.add(number)
        assert {i for i, value in enumerate(filled) if value <= level} == rejected_by_hand
    assert all(one <= two <= 1 for one, two in zip(p, filled, strict=True))


def test_what_was_not_tested_is_no_part_of_the_family() -> None:
    family = [
        Difference(metric="js", num_clusters=5, num_seeds=5, p=p) for p in (0.02, math.nan, 0.03)
    ]
    found = [one.p_adjusted for one in adjusted(family)]
    assert found == pytest.approx([0.04, math.nan, 0.04], nan_ok=True)


def test_clustered_noise_deceives_the_naive_test_and_not_the_clustered_one() -> None:
    shares = {
        naive: rejected(
            num_simulations=150,
            num_speakers=10,
            num_utterances=25,
            naive=naive,
            metrics=("js",),
        )["js"][0]
        for naive in (False, True)
    }
    assert shares[False] < 0.1  # 5% and less than 3 standard errors
    assert shares[True] > 0.15


def test_no_interval_reaches_beyond_the_outermost_cluster() -> None:
    y, one, other, _ = systems(number=60)
    clusters = np.arange(60) % 3
    found = paired_difference(y, one, other, metric="js", clusters=clusters)
    by_cluster = [
        mean_metric(y[clusters == k], one[:, clusters == k], "js")
        - mean_metric(y[clusters == k], other[:, clusters == k], "js")
        for k in range(3)
    ]
    np.testing.assert_allclose([found.low, found.high], [min(by_cluster), max(by_cluster)])


@pytest.mark.parametrize("num_clusters", [2, 3])
def test_few_clusters_hold_the_truth_no_more_often_than_is_said(num_clusters: int) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(1000, num_clusters))
    picked = random.integers(num_clusters, size=(1000, 99, num_clusters))
    means = np.take_along_axis(values[:, None], picked, axis=2).mean(axis=2)
    ends = [percentiles(drawn, num_clusters=num_clusters) for drawn in means]
    held = np.mean([low <= 0 <= high for low, high in ends])
    assert held == pytest.approx(most_held(num_clusters), abs=0.05)
