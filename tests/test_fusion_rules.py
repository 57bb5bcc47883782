"""Late fusion and prior correction: worked by hand, against brute force, and for any modalities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from amber_heads.comparing.fusion_rules import (
    NUM_THRESHOLDS,
    RULES,
    VALIDATION,
    Case,
    Thresholds,
    choose_thresholds,
    judged_name,
    late_average,
    late_selection,
    prior_correction,
    varentropy,
    weighted_prior,
)
from amber_heads.formulas.balance import class_balanced_cross_entropy, class_balanced_weights

RANDOM = np.random.default_rng(5)
HEADS = ("text", "audio", "face", "fusion")


def _rows(number: int, *, sharp: float = 1.0) -> np.ndarray:
    return RANDOM.dirichlet(np.full(4, sharp), size=number)


def _case(**changes: object) -> Case:
    parts = {
        VALIDATION: RANDOM.dirichlet(np.ones(4), size=(30, 4)),
        "test": RANDOM.dirichlet(np.ones(4), size=(12, 4)),
    }
    made = {
        "modalities": HEADS[:3],
        "heads": HEADS,
        "judged": "fusion",
        "training_target": _rows(50),
        "validation_target": _rows(30),
        "parts": parts,
    }
    return Case(**{**made, **changes})  # type: ignore[arg-type]


def test_the_late_average_is_the_mean_of_all_modalities_and_not_of_fusion() -> None:
    case = _case()
    found = RULES["late average"](case)
    assert list(found) == [""]
    np.testing.assert_allclose(found[""]["test"], case.parts["test"][:, :3].mean(axis=1))
    np.testing.assert_allclose(late_average(case.parts["test"]).sum(axis=1), 1)


def test_varentropy_is_the_variance_of_the_surprise() -> None:
    p = np.array([0.5, 0.25, 0.25])
    surprise = np.array([1.0, 2.0, 2.0])  # bits
    assert varentropy(p[None])[0] == pytest.approx(p @ surprise**2 - (p @ surprise) ** 2)
    assert varentropy(np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])) == pytest.approx([0, 0])


def test_the_first_prediction_is_kept_unless_both_thresholds_are_reached() -> None:
    first = np.array([[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]])
    second = np.eye(3)
    found = late_selection(first, second, Thresholds(1.2, 0.1))
    np.testing.assert_array_equal(found, [second[0], first[1], first[2]])


def test_thresholds_are_the_best_pair_of_quantiles() -> None:
    target, first, second = _rows(40, sharp=0.5), _rows(40), _rows(40)
    chosen = choose_thresholds(first, second, target)

    def js(*thresholds: float) -> float:
        p = late_selection(first, second, Thresholds(*thresholds))
        return float(np.mean(jensenshannon(target, p, base=2, axis=1) ** 2))

    surprise = -np.log2(first)
    entropies = (first * surprise).sum(axis=1)
    spreads = (first * (surprise - entropies[:, None]) ** 2).sum(axis=1)
    at = np.linspace(0, 1, NUM_THRESHOLDS)
    grid = [(h, v) for h in np.quantile(entropies, at) for v in np.quantile(spreads, at)]
    assert js(*chosen) == pytest.approx(min(js(np.inf, np.inf), *(js(*pair) for pair in grid)))


def test_where_the_second_is_never_better_the_first_is_always_kept() -> None:
    target = _rows(20)
    assert choose_thresholds(target, _rows(20), target) == (np.inf, np.inf)


def test_late_selection_begins_with_audio_and_takes_any_number_of_modalities() -> None:
    case = _case()
    case.parts["test"][:, HEADS.index("audio")] = [1, 0, 0, 0]  # sure of itself
    found = RULES["late selection"](case)[""]["test"]
    np.testing.assert_array_equal(found, case.parts["test"][:, HEADS.index("audio")])
    unsure = RULES["late selection"](_case())[""]["test"]
    assert unsure.shape == (12, 4)


def test_a_diverged_head_makes_what_needs_it_nan_and_nothing_else() -> None:
    case = _case()
    for rows in case.parts.values():
        rows[:, HEADS.index("face")] = np.nan
    assert np.isnan(RULES["late average"](case)[""]["test"]).all()
    assert np.isnan(RULES["late selection"](case)[""]["test"]).all()
    assert not np.isnan(RULES["judged head"](case)["fusion"]["test"]).any()


def test_the_weighted_prior_is_what_minimises_the_weighted_loss_without_any_input() -> None:
    target = _rows(60, sharp=0.4)
    weights = class_balanced_weights(torch.from_numpy(target))
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-10)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = class_balanced_cross_entropy(
            logits.log_softmax(-1).expand(60, 4), torch.from_numpy(target), class_weights=weights
        ).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    learnt = logits.detach().softmax(-1).numpy()
    np.testing.assert_allclose(weighted_prior(target, weights.numpy()), learnt, atol=1e-5)


def test_correcting_a_model_of_the_prior_alone_gives_the_true_prior() -> None:
    case = _case()
    weights = class_balanced_weights(torch.from_numpy(case.training_target)).numpy()
    seen, true = weighted_prior(case.training_target, weights), case.training_target.mean(axis=0)
    found = prior_correction(np.tile(seen, (3, 1)), seen=seen, true=true)
    np.testing.assert_allclose(found, np.tile(true, (3, 1)))


def test_a_class_that_training_never_saw_is_left_as_it_is() -> None:
    p = np.array([[0.5, 0.3, 0.2]])
    found = prior_correction(p, seen=np.array([0.5, 0.5, 0.0]), true=np.array([0.6, 0.4, 0.0]))
    np.testing.assert_allclose(found, [np.array([0.6, 0.24, 0.2]) / 1.04])


def test_correction_and_heads_give_the_judged_head_under_its_name() -> None:
    case = _case(judged="text")
    assert list(RULES["prior correction"](case)) == ["text"]
    assert list(RULES["judged head"](case)) == ["text"]
    assert list(RULES["all heads"](case)) == list(HEADS)
    assert judged_name(["audio"], judged="fusion") == "audio"
    assert judged_name(list(HEADS), judged="fusion") == "fusion"
