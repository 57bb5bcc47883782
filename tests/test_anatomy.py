"""The anatomy of the gain: its steps add up, whatever is missing or has diverged."""

from __future__ import annotations

import numpy as np
import pytest

from amber_heads.comparing.anatomy import CHAIN, WHOLE, anatomy
from amber_heads.metrics import evaluate
from amber_heads.statistics.ensembles import seed_ensemble

RANDOM = np.random.default_rng(3)
TARGET = RANDOM.dirichlet(np.ones(4), size=36)
CLUSTERS = np.arange(36) % 6
FEW = {"num_permutations": 9, "num_bootstrap": 99}


def _predictions(*names: str, num_seeds: int = 3) -> dict[str, np.ndarray]:
    return {name: RANDOM.dirichlet(np.ones(4), size=(num_seeds, 36)) for name in names}


def _js(prediction: np.ndarray) -> float:
    return float(np.mean([evaluate(TARGET, one)["js"] for one in prediction]))


ALL = _predictions(*(name for name, _ in CHAIN), "kl")


def test_the_steps_add_up_to_the_whole() -> None:
    *steps, whole = anatomy(TARGET, ALL, clusters=CLUSTERS, **FEW)
    assert whole.what == WHOLE
    assert [one.after for one in steps] == [*(n for n, _ in CHAIN[1:]), "amber2, seed ensemble"]
    assert sum(one.difference.mean for one in steps) == pytest.approx(
        whole.difference.mean, abs=1e-12
    )


def test_each_step_is_the_difference_of_the_two_systems_means() -> None:
    *steps, whole = anatomy(TARGET, ALL, clusters=CLUSTERS, **FEW)
    for one in steps[:-1]:
        wanted = _js(ALL[one.after]) - _js(ALL[one.before])
        assert one.difference.mean == pytest.approx(wanted, abs=1e-12)
        assert one.difference.low <= one.difference.mean <= one.difference.high
    ensemble = _js(seed_ensemble(ALL["amber2"])[None])
    assert steps[-1].difference.mean == pytest.approx(ensemble - _js(ALL["amber2"]), abs=1e-12)
    assert whole.difference.mean == pytest.approx(ensemble - _js(ALL["cb-ce"]), abs=1e-12)


def test_a_missing_link_hands_its_change_to_the_next() -> None:
    some = {name: ALL[name] for name in ("cb-ce", "js", "amber2")}
    *steps, whole = anatomy(TARGET, some, clusters=CLUSTERS, **FEW)
    assert [one.what for one in steps] == [
        "no class weights + JS for cross-entropy",
        "MAI, experts alike + kappa: better experts weigh more",
        "seed ensemble",
    ]
    assert sum(one.difference.mean for one in steps) == pytest.approx(whole.difference.mean)


def test_a_seed_that_diverged_in_one_link_is_left_out_of_all() -> None:
    hurt = {**ALL, "js": ALL["js"].copy()}
    hurt["js"][1, 4] = np.nan
    *steps, whole = anatomy(TARGET, hurt, clusters=CLUSTERS, **FEW)
    assert steps[0].difference.mean == pytest.approx(
        _js(ALL["soft-ce"][[0, 2]]) - _js(ALL["cb-ce"][[0, 2]]), abs=1e-12
    )
    assert sum(one.difference.mean for one in steps) == pytest.approx(whole.difference.mean)


def test_where_every_seed_has_diverged_there_are_steps_without_figures() -> None:
    hurt = {**ALL, "js": np.full_like(ALL["js"], np.nan)}
    *steps, whole = anatomy(TARGET, hurt, clusters=CLUSTERS, **FEW)
    assert np.isnan(whole.difference.mean)
    assert np.isnan(steps[-1].difference.mean)


@pytest.mark.parametrize("names", [("cb-ce",), ("soft-ce", "js", "amber2"), ()])
def test_without_cb_ce_or_anything_after_it_there_is_no_anatomy(names: tuple[str, ...]) -> None:
    some = {name: ALL[name] for name in names}
    assert anatomy(TARGET, some, clusters=CLUSTERS, **FEW) == ()
