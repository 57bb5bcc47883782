"""How far one distribution lies from another: exact where a probability is zero, and trainable.

Predictions come as log-probabilities over the last axis (`log_softmax`), raters' soft labels as
probabilities, with true zeros. 0 log 0 is 0 and nothing is shifted by an epsilon. Jensen-Shannon
is in bits, so that it lies in [0, 1]; cross-entropy and Kullback-Leibler are in nats, as trained
elsewhere. All leading axes are kept, and broadcast.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def js_divergence(
    log_p: Float[Tensor, "*#batch class"], log_q: Float[Tensor, "*#batch class"]
) -> Float[Tensor, "*batch"]:
    """Jensen-Shannon divergence of two distributions in bits (Eq. 3, 4 and 5).

    Half the divergence of p from their mean, and half that of q. It is symmetric, 0 where the
    two are equal and 1 where no class has weight in both. Value and gradient are finite for any
    log-probabilities, -inf included, on either side or on both.

    Args:
        log_p: Natural-log probabilities whose exponentials sum to one over the last axis.
        log_q: The same for the other distribution.

    Returns:
        One divergence in [0, 1] for each row; differentiable once.

    >>> one_hot, even = torch.tensor([1.0, 0.0]).log(), torch.tensor([0.5, 0.5]).log()
    >>> f"{js_divergence(one_hot, even):.4f}"
    '0.3113'
    >>> js_divergence(one_hot, one_hot.flip(-1))
    tensor(1.)
    """
    log_p, log_q = torch.broadcast_tensors(log_p, log_q)  # type: ignore[no-untyped-call]
    return cast(Tensor, _JensenShannon.apply(log_p, log_q))  # type: ignore[no-untyped-call]


class _JensenShannon(torch.autograd.Function):
    """Eq. 3 with its derivative written out: d JS / d log p = p log(p / m) / (2 ln 2).

    Autograd would go through log m and lose the cancellation that makes this exact: infinity
    times zero where p is 0, and rounding errors as large as the gradient where p is close to q.
    """

    @staticmethod
    def forward(ctx: Any, log_p: Tensor, log_q: Tensor) -> Tensor:
        # A finite floor in place of -inf: its exponential is still 0, and differences stay finite.
        floor = torch.finfo(log_p.dtype).min / 4
        log_p, log_q = log_p.clamp(min=floor), log_q.clamp(min=floor)
        gap = log_p - log_q
        p_term = log_p.exp() * _log_ratio_to_mean(gap)
        q_term = log_q.exp() * _log_ratio_to_mean(-gap)
        ctx.save_for_backward(p_term, q_term)
        # Rounding alone can leave [0, 1]; the gradient below does not see this clamp.
        return ((p_term + q_term).sum(-1) / (2 * math.log(2))).clamp(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        p_term, q_term = ctx.saved_tensors
        scale = grad.unsqueeze(-1) / (2 * math.log(2))
        for_p, for_q = ctx.needs_input_grad
        return (scale * p_term if for_p else None), (scale * q_term if for_q else None)


def _log_ratio_to_mean(gap: Tensor) -> Tensor:
    """log(p / m) for m = (p + q) / 2, from gap = log p - log q, to full relative precision.

    For p >= q it is -log((1 + exp(-gap)) / 2), for p < q that plus gap: no exponential overflows,
    and near gap = 0 no digits cancel.
    """
    return gap.clamp(max=0) - torch.log1p(torch.expm1(-gap.abs()) / 2)


def soft_cross_entropy(
    log_p: Float[Tensor, "*#batch class"], target: Float[Tensor, "*#batch class"]
) -> Float[Tensor, "*batch"]:
    """Cross-entropy of the raters' soft label and the prediction: -sum_c y_c log p_c, in nats.

    Args:
        log_p: Natural-log probabilities; -inf is allowed where the target is 0.
        target: Probabilities.

    Returns:
        At least the target's entropy; inf where the raters chose a class of probability 0.

    >>> even, one_hot = torch.tensor([0.5, 0.5]).log(), torch.tensor([1.0, 0.0])
    >>> f"{soft_cross_entropy(even, one_hot):.4f}"
    '0.6931'
    """
    return -(target * log_p.masked_fill(target == 0, 0)).sum(-1)


def kl_divergence(
    log_p: Float[Tensor, "*#batch class"], target: Float[Tensor, "*#batch class"]
) -> Float[Tensor, "*batch"]:
    """Kullback-Leibler divergence of the soft label from the prediction, KL(y || p), in nats.

    The soft cross-entropy less the target's entropy, so their gradients are the same.

    Args:
        log_p: Natural-log probabilities; -inf is allowed where the target is 0.
        target: Probabilities.

    Returns:
        At least 0, but for rounding; inf where the raters chose a class of probability 0.

    >>> kl_divergence(torch.tensor([0.5, 0.5]).log(), torch.tensor([0.5, 0.5]))
    tensor(0.)
    """
    unused = target == 0
    log_ratio = target.log().masked_fill(unused, 0) - log_p.masked_fill(unused, 0)
    return (target * log_ratio).sum(-1)
