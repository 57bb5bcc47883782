"""The AmbER2 loss, Eq. 3-6 of arXiv 2601.18010: raters teach the student, and so do its experts.

One head is the student, all others are experts, on the axis before the classes. Heads give
natural-log probabilities, raters give probabilities; losses are in bits, one an utterance.
Settings are numbers, or tensors with one value a run where a stack of runs is trained at once.
Only numbers are checked here: to look into a tensor would stop a GPU at every step, so whoever
makes one checks it when it is made.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from amber_heads.formulas.divergence import js_divergence

#: One number, or a tensor that broadcasts with the losses: (run, 1) beside (run, batch).
Setting: TypeAlias = float | int | Float[Tensor, "..."]


def rai_loss(
    log_student: Float[Tensor, "*#batch class"], target: Float[Tensor, "*#batch class"]
) -> Float[Tensor, "*batch"]:
    """How far the student is from the raters: JS(y || s) in bits, in [0, 1] (L_RAI, Eq. 3)."""
    return js_divergence(target.log(), log_student)


def mai_loss(
    log_student: Float[Tensor, "*#batch class"],
    log_experts: Float[Tensor, "*#batch expert class"],
    *,
    weights: Float[Tensor, "*#batch expert"],
) -> Float[Tensor, "*batch"]:
    """How far the student is from its experts: sum_m u_m JS(s || p_m) in bits (L_MAI, Eq. 4).

    Args:
        log_student: The student's log-probabilities.
        log_experts: The experts', on the axis before the classes.
        weights: u of Eq. 5, from `expert_weights`.

    Returns:
        In [0, 1] where the weights sum to one.
    """
    return (weights * js_divergence(log_student.unsqueeze(-2), log_experts)).sum(-1)


def expert_weights(
    log_experts: Float[Tensor, "*#batch expert class"],
    target: Float[Tensor, "*#batch class"],
    *,
    kappa: Setting,
) -> Float[Tensor, "*batch expert"]:
    """How much each expert may teach the student: u in Eq. 5.

    The softmax over experts of -kappa times the expert's divergence from the raters. It needs
    the raters' labels, so there is no u at prediction time.

    Args:
        log_experts: Log-probabilities, the experts on the axis before the classes.
        target: The raters' soft labels, as probabilities.
        kappa: Sharpness, at least 0; at 0 all experts weigh the same.

    Returns:
        Weights in [0, 1] that sum to one over the experts.

    Raises:
        ValueError: kappa is a negative or not finite number, or the shapes do not match.

    >>> experts = torch.tensor([[1.0, 0.0], [0.5, 0.5]]).log()
    >>> expert_weights(experts, torch.tensor([1.0, 0.0]), kappa=4)
    tensor([0.7765, 0.2235])
    """
    _check_setting("kappa", kappa)
    _check_experts(log_experts, target)
    return _sharpen(_divergence_from_raters(log_experts, target), kappa)


def amber2_loss(
    log_student: Float[Tensor, "*#batch class"],
    log_experts: Float[Tensor, "*#batch expert class"],
    target: Float[Tensor, "*#batch class"],
    *,
    kappa: Setting,
    lambda_mai: Setting,
    lambda_rai: Setting = 1.0,
    expert_loss: Setting = 0.0,
    detach_weights: bool = True,
) -> Float[Tensor, "*batch"]:
    """The AmbER2 loss of each utterance: lambda_RAI L_RAI + lambda_MAI L_MAI (Eq. 3-6), in bits.

    The experts learn through L_MAI, as the equations are printed. `expert_loss` is ours: what the
    printed loss leaves to chance is whether an expert learns from the raters.

    Args:
        log_student: The student's log-probabilities.
        log_experts: The experts', on the axis before the classes; at least one.
        target: The raters' soft labels, as probabilities.
        kappa: Sharpness of the experts' weights (Eq. 5), at least 0.
        lambda_mai: Weight of the experts' term, at least 0.
        lambda_rai: Weight of the raters' term, at least 0.
        expert_loss: Weight of an added sum_m JS(y || p_m); 0 is the paper's loss.
        detach_weights: Take u as a constant. With gradients through u, the expert that is farther
            from the student is pushed away from the raters:
            dL/dD_A = -lambda_MAI kappa u_A u_T (J_A - J_T) for two experts, with J_m = JS(s||p_m).

    Returns:
        At least 0, at most lambda_RAI + lambda_MAI + expert_loss times the number of experts.

    Raises:
        ValueError: A setting is a negative or not finite number, or the shapes do not match.

    >>> student = torch.tensor([0.5, 0.5]).log()
    >>> experts = torch.tensor([[1.0, 0.0], [0.5, 0.5]]).log()
    >>> loss = amber2_loss(student, experts, torch.tensor([1.0, 0.0]), kappa=4, lambda_mai=0.5)
    >>> f"{loss:.4f}"
    '0.4321'
    """
    settings = {"kappa": kappa, "lambda_mai": lambda_mai, "lambda_rai": lambda_rai}
    for name, value in {**settings, "expert_loss": expert_loss}.items():
        _check_setting(name, value)
    _check_experts(log_experts, target)
    _check_classes("log_student", log_student, target)
    divergence = _divergence_from_raters(log_experts, target)
    weights = _sharpen(divergence.detach() if detach_weights else divergence, kappa)
    rai = rai_loss(log_student, target)
    mai = mai_loss(log_student, log_experts, weights=weights)
    return lambda_rai * rai + lambda_mai * mai + expert_loss * divergence.sum(-1)


def _divergence_from_raters(log_experts: Tensor, target: Tensor) -> Tensor:
    """D_m = JS(p_m || y) of Eq. 5, the experts on the last axis."""
    return js_divergence(log_experts, target.log().unsqueeze(-2))


def _sharpen(divergence: Tensor, kappa: Setting) -> Tensor:
    """The softmax of -kappa D over the last axis (Eq. 5)."""
    sharpness = kappa.unsqueeze(-1) if isinstance(kappa, Tensor) else kappa
    return torch.softmax(-sharpness * divergence, dim=-1)


def _check_setting(name: str, value: Setting) -> None:
    if not isinstance(value, Tensor) and not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value}; it must be a finite number of at least 0")


def _check_experts(log_experts: Tensor, target: Tensor) -> None:
    # Without this, (batch, class) experts would broadcast against the target without a word.
    if log_experts.ndim < 2 or log_experts.ndim != target.ndim + 1 or log_experts.shape[-2] == 0:
        raise ValueError(
            f"log_experts has shape {tuple(log_experts.shape)} and target {tuple(target.shape)};"
            " the experts need an axis of their own before the classes, with at least one of them"
        )
    _check_classes("log_experts", log_experts, target)


def _check_classes(name: str, log_p: Tensor, target: Tensor) -> None:
    if log_p.shape[-1] != target.shape[-1]:
        raise ValueError(
            f"{name} has {log_p.shape[-1]} classes and target {target.shape[-1]};"
            " both need the same class set on their last axis"
        )
