"""Class-balanced cross-entropy on soft labels: the paper's baseline, CB-CE.

A class that few training utterances carry counts for more, by the effective number of samples;
the definitions are those of EMO-SUPERB's published code. Targets are probabilities, with true
zeros; losses are in nats.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from jaxtyping import Float
from torch import Tensor

from amber_heads.formulas.divergence import soft_cross_entropy

Weighting: TypeAlias = Literal["utterance", "class"]

#: How far above 1/C, relatively, a share must lie to count as above: in float32 a third may come
#: out as more than 1/3, while shares of fewer than a thousand votes differ by far more than this.
_ABOVE = 1e-6


def class_balanced_weights(
    target: Float[Tensor, "utterance class"], *, beta: float | int | None = None
) -> Float[Tensor, "class"]:
    """How much each class weighs, from the soft labels of a training split.

    n_c, the number of utterances with y_c > 1/C, gives w_c = (1 - beta) / (1 - beta ** n_c); the
    weights are scaled to sum to the number of classes present. n_c = 0 gives w_c = 0.

    Args:
        target: The training split's soft labels.
        beta: In [0, 1); 0 weighs all classes that are present alike. None: (K - 1) / K with K
            training utterances.

    Returns:
        Weights in float64, on the target's device.

    Raises:
        ValueError: beta is out of range, or no utterance has a class above 1/C.

    >>> import torch
    >>> class_balanced_weights(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    tensor([0.7500, 1.2500], dtype=torch.float64)
    """
    num_utterances, num_classes = target.shape
    if beta is not None and not 0 <= beta < 1:
        raise ValueError(f"beta is {beta}; it must be at least 0 and below 1")
    counts = (target.double() * num_classes > 1 + _ABOVE).sum(0).double()
    present = counts > 0
    if not present.any():
        raise ValueError(
            f"class weights: none of {num_utterances} utterances has a class above 1/{num_classes};"
            " train on utterances whose raters prefer a class, or use another loss"
        )
    if beta is None:
        beta = (num_utterances - 1) / num_utterances
    # An absent class stands in as n_c = 1, so that 0/0 never arises, and is then put to 0.
    weights = (1 - beta) / (1 - beta ** counts.clamp(min=1)) * present
    return weights * (present.sum() / weights.sum())


def class_balanced_cross_entropy(
    log_p: Float[Tensor, "*#batch class"],
    target: Float[Tensor, "*#batch class"],
    *,
    class_weights: Float[Tensor, "*#batch class"],
    weighting: Weighting = "utterance",
) -> Float[Tensor, "*batch"]:
    """Cross-entropy in nats that counts rare classes for more.

    With weighting "utterance", -omega_i sum_c y_ic log p_ic, where omega_i = sum_c w_c y_ic; with
    "class", -sum_c w_c y_ic log p_ic. The two are the same for one-hot targets.

    Args:
        log_p: Natural-log probabilities; -inf is allowed where the target is 0.
        target: Probabilities.
        class_weights: w_c from `class_balanced_weights`; (run, 1, class) where each run of a
            stack has its own. Used in the precision of log_p.
        weighting: What a class's weight is applied to.

    Raises:
        ValueError: Another weighting is asked for.

    >>> import torch
    >>> log_p, target = torch.tensor([0.5, 0.5]).log(), torch.tensor([1.0, 0.0])
    >>> weights = torch.tensor([2.0, 1.0])
    >>> f"{class_balanced_cross_entropy(log_p, target, class_weights=weights):.4f}"
    '1.3863'
    """
    weighted = class_weights.to(log_p.dtype) * target
    if weighting == "utterance":
        return weighted.sum(-1) * soft_cross_entropy(log_p, target)
    if weighting == "class":
        return soft_cross_entropy(log_p, weighted)
    raise ValueError(f"weighting is {weighting!r}; it must be 'utterance' or 'class'")
