"""The losses that heads are trained with, by the name that `amber fit --loss` takes.

A loss gets the log-probabilities of all heads of a stack of runs, the raters' probabilities and
the stack's settings, and gives one number an utterance. What each is made of stands in
amber2.py, balance.py and divergence.py, and is at hand here too.

A new loss is a function like `_js` below and an entry in `LOSSES`; one with a student finds it
first on the head axis. What a loss listens to stands in `options.LOSS_SETTINGS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from amber_heads.formulas.amber2 import Setting, amber2_loss, expert_weights, mai_loss, rai_loss
from amber_heads.formulas.balance import class_balanced_cross_entropy, class_balanced_weights
from amber_heads.formulas.divergence import js_divergence, kl_divergence, soft_cross_entropy

__all__ = [
    "LOSSES",
    "Loss",
    "LossTerms",
    "Setting",
    "amber2_loss",
    "class_balanced_cross_entropy",
    "class_balanced_weights",
    "expert_weights",
    "js_divergence",
    "kl_divergence",
    "mai_loss",
    "rai_loss",
    "soft_cross_entropy",
]


@dataclass(frozen=True)
class LossTerms:
    """The settings of a stack of runs, one value a run; all on the heads' device.

    Whoever makes it has checked the values: at least 0 and finite. A loss reads the fields that
    it needs.

    Attributes:
        class_weights: From each run's own training split; see `class_balanced_weights`.
        detach_weights: See `amber2_loss`; one for all runs of the stack.
    """

    kappa: Float[Tensor, " run"]
    lambda_rai: Float[Tensor, " run"]
    lambda_mai: Float[Tensor, " run"]
    expert_loss: Float[Tensor, " run"]
    class_weights: Float[Tensor, "run class"]
    detach_weights: bool = True


@dataclass(frozen=True)
class Loss:
    """A loss as `amber fit --loss NAME` knows it.

    Attributes:
        needs_student: One head is the student, and stands first on the head axis.
        compute: From log-probabilities (run, batch, head, class), targets (run, batch, class) and
            the stack's terms to one loss an utterance, (run, batch).
    """

    name: str
    needs_student: bool
    compute: Callable[[Tensor, Tensor, LossTerms], Tensor]


def _amber2(
    log_heads: Float[Tensor, "run batch head class"],
    target: Float[Tensor, "run batch class"],
    terms: LossTerms,
) -> Float[Tensor, "run batch"]:
    return amber2_loss(
        log_heads[..., 0, :],
        log_heads[..., 1:, :],
        target,
        kappa=terms.kappa.unsqueeze(-1),
        lambda_mai=terms.lambda_mai.unsqueeze(-1),
        lambda_rai=terms.lambda_rai.unsqueeze(-1),
        expert_loss=terms.expert_loss.unsqueeze(-1),
        detach_weights=terms.detach_weights,
    )


def _class_balanced(
    log_heads: Float[Tensor, "run batch head class"],
    target: Float[Tensor, "run batch class"],
    terms: LossTerms,
) -> Float[Tensor, "run batch"]:
    weights = terms.class_weights[:, None, None, :]  # (run, 1, 1, class)
    losses = class_balanced_cross_entropy(log_heads, target.unsqueeze(-2), class_weights=weights)
    return losses.sum(-1)


def _soft_cross_entropy(
    log_heads: Float[Tensor, "run batch head class"],
    target: Float[Tensor, "run batch class"],
    terms: LossTerms,
) -> Float[Tensor, "run batch"]:
    return soft_cross_entropy(log_heads, target.unsqueeze(-2)).sum(-1)


def _kl(
    log_heads: Float[Tensor, "run batch head class"],
    target: Float[Tensor, "run batch class"],
    terms: LossTerms,
) -> Float[Tensor, "run batch"]:
    return kl_divergence(log_heads, target.unsqueeze(-2)).sum(-1)


def _js(
    log_heads: Float[Tensor, "run batch head class"],
    target: Float[Tensor, "run batch class"],
    terms: LossTerms,
) -> Float[Tensor, "run batch"]:
    return js_divergence(log_heads, target.log().unsqueeze(-2)).sum(-1)


#: Every loss by its name. Without a student, each head is trained by itself: the sum over heads.
LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("amber2", True, _amber2),
        Loss("cb-ce", False, _class_balanced),
        Loss("soft-ce", False, _soft_cross_entropy),
        Loss("kl", False, _kl),
        Loss("js", False, _js),
    )
}
