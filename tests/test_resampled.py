"""A metric from weighted sums is `evaluate` on the rows that the weights stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from amber_heads.metrics import METRICS, evaluate
from amber_heads.statistics.resampled import SUMMED, cluster_weights, measure_parts, metric_sums

ALL = tuple(METRICS)


def rows(num_classes: int, *, number: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Vote shares with ties beside predictions; the last class is never anybody's first."""
    random = np.random.default_rng(num_classes)
    y = random.multinomial(4, random.dirichlet(np.ones(num_classes)), size=number) / 4
    p = random.dirichlet(np.ones(num_classes), size=number)
    p[:, -1] *= 0.01
    return y, p / p.sum(axis=1, keepdims=True)


def same(found: np.ndarray, expected: dict[str, float]) -> None:
    assert dict(zip(ALL, found.tolist(), strict=True)) == pytest.approx(
        expected, abs=1e-12, nan_ok=True
    )


@pytest.mark.parametrize("num_classes", [2, 3, 4, 8])
def test_all_rows_give_what_evaluate_gives(num_classes: int) -> None:
    y, p = rows(num_classes)
    same(measure_parts(y, p, metrics=ALL, weights=np.ones((1, len(y))))[0], evaluate(y, p))


@pytest.mark.parametrize("seed", range(5))
def test_a_resample_gives_what_evaluate_gives_on_its_rows(seed: int) -> None:
    y, p = rows(4)
    drawn = np.random.default_rng(seed).integers(len(y), size=len(y))
    times = np.bincount(drawn, minlength=len(y)).astype(float)
    found = measure_parts(y, p, metrics=ALL, weights=times[None])[0]
    same(found, evaluate(y[drawn], p[drawn]))


def test_resampled_clusters_give_the_mean_of_the_seeds_metrics() -> None:
    y, p = rows(4)
    seeds = np.stack([p, np.roll(p, 1, axis=0), y])
    clusters = np.random.default_rng(0).integers(7, size=len(y))
    sums = metric_sums(y, seeds, metrics=ALL, weights=cluster_weights(clusters))
    times = np.array([0.0, 2, 1, 0, 1, 3, 0])
    drawn = np.concatenate(
        [np.tile(np.flatnonzero(clusters == k), int(n)) for k, n in enumerate(times)]
    )
    by_seed = [evaluate(y[drawn], one[drawn]) for one in seeds]
    expected = {name: float(np.mean([one[name] for one in by_seed])) for name in ALL}
    same(sums.values(times @ sums.sums), expected)
    same(sums.values(np.stack([times, times]) @ sums.sums)[1], expected)


def test_a_part_without_utterances_has_no_metric() -> None:
    y, p = rows(4)
    assert np.isnan(measure_parts(y, p, metrics=ALL, weights=np.zeros((1, len(y))))).all()


def test_equal_targets_have_no_coefficient_of_determination() -> None:
    y, p = rows(4)
    weights = np.zeros((1, len(y)))
    weights[0, 3] = 5
    found = measure_parts(y, p, metrics=("r2_cod", "js"), weights=weights)[0]
    assert math.isnan(found[0])
    assert found[1] == pytest.approx(evaluate(y[3:4], p[3:4])["js"])


def test_every_metric_is_there() -> None:
    assert tuple(SUMMED) == ALL
