"""Systems that are one training under two names, so that a family of tests counts them once.

KL divergence differs from cross-entropy by the raters' entropy, which no parameter moves: the two
have the same gradients. AmbER2 without its MAI term leaves the student plain JS to the raters. Each
is shown with its own figures; Holm's correction counts the one that it equals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: A system's settings as files have them, one mapping a fold.
Settings = Sequence[Mapping[str, Any]]

_AMBER2 = ("student", "lambda_rai", "lambda_mai", "kappa", "expert_loss", "attach_weights")


def twins(systems: Mapping[str, tuple[Settings, str]]) -> dict[str, str]:
    """Which systems train as another that is there, and as which.

    Args:
        systems: By name, a system's settings and the head that is judged. One without settings
            is nobody's twin.

    >>> cell = {"lr": 3e-4}
    >>> losses = {name: ([{**cell, "loss": name}], "fusion") for name in ("soft-ce", "kl", "js")}
    >>> twins(losses)
    {'kl': 'soft-ce'}
    """
    originals = {
        (_key(settings), head): name
        for name, (settings, head) in reversed(list(systems.items()))
        if settings and _key(settings) == _key(_plainer(settings, head))
    }
    found = {}
    for name, (settings, head) in systems.items():
        plainer = _key(_plainer(settings, head))
        if settings and plainer != _key(settings) and (plainer, head) in originals:
            found[name] = originals[plainer, head]
    return found


def _plainer(settings: Settings, head: str) -> list[dict[str, Any]]:
    """The same training, said with the plainer loss."""
    return [_one_plainer(dict(one), head) for one in settings]


def _one_plainer(one: dict[str, Any], head: str) -> dict[str, Any]:
    if one.get("loss") == "kl":
        return one | {"loss": "soft-ce"}
    is_rai_alone = one.get("lambda_mai") == 0 and one.get("lambda_rai") == 1
    if one.get("loss") == "amber2" and is_rai_alone and one.get("student") == head:
        return one | dict.fromkeys(_AMBER2) | {"loss": "js"}
    return one


def _key(settings: Settings) -> tuple[tuple[tuple[str, str], ...], ...]:
    """What says nothing (None) is as if it were not there."""
    return tuple(
        tuple(sorted((key, repr(value)) for key, value in one.items() if value is not None))
        for one in settings
    )
