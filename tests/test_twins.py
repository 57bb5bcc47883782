"""Which systems are one training under two names."""

from __future__ import annotations

from typing import Any

import pytest

from amber_heads.comparing.twins import twins

AMBER2 = {
    "loss": "amber2",
    "student": "fusion",
    "lambda_rai": 1.0,
    "lambda_mai": 0.0,
    "kappa": 4.0,
    "expert_loss": 0.0,
    "attach_weights": False,
    "lr": 3e-4,
}


def _cell(loss: str, **changes: Any) -> list[dict[str, Any]]:
    return [{"loss": loss, "student": None, "kappa": None, "lr": 3e-4, **changes}] * 2


def test_kl_is_soft_cross_entropy_wherever_it_stands() -> None:
    systems = {"kl": (_cell("kl"), "fusion"), "mine": (_cell("soft-ce"), "fusion")}
    assert twins(systems) == {"kl": "mine"}


def test_amber2_without_mai_is_plain_js_for_its_student() -> None:
    systems = {"js": (_cell("js"), "fusion"), "no MAI": ([AMBER2] * 2, "fusion")}
    assert twins(systems) == {"no MAI": "js"}


@pytest.mark.parametrize(
    ("settings", "head"),
    [
        ([AMBER2] * 2, "audio"),
        ([{**AMBER2, "lambda_rai": 0.5}] * 2, "fusion"),
        ([{**AMBER2, "lambda_mai": 0.5}] * 2, "fusion"),
        ([{**AMBER2, "lr": 1e-3}] * 2, "fusion"),
        ([], "fusion"),
    ],
)
def test_what_trains_otherwise_is_nobodys_twin(settings: list[Any], head: str) -> None:
    assert twins({"js": (_cell("js"), head), "other": (settings, head)}) == {}


def test_alone_it_counts_for_itself() -> None:
    assert twins({"cb-ce": (_cell("cb-ce"), "fusion"), "kl": (_cell("kl"), "fusion")}) == {}


def test_another_rule_on_the_same_training_is_no_twin() -> None:
    systems = {"cb-ce": (_cell("cb-ce"), "fusion"), "corrected": (_cell("cb-ce"), "fusion")}
    assert twins(systems) == {}
