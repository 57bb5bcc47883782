"""Label smoothing: what training sees in place of the raters' own shares, EMO-SUPERB's form of it.

Validation, test, stored targets and every metric keep the raters' own shares.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def smoothed(
    target: Float[Tensor, "*batch class"], smoothing: float | Float[Tensor, "*#batch 1"]
) -> Float[Tensor, "*batch class"]:
    """(1 - S) y + S (1 - y) / (C - 1).

    The uniform distribution is its fixed point; below `highest_smoothing` the order of the classes
    stays, and so does on which side of 1/C a share lies. S = 0 gives the target's own bits.

    Args:
        target: Probabilities.
        smoothing: S in [0, 1), one for all or one a run, (run, 1, 1) for targets of a stack.

    >>> import torch
    >>> smoothed(torch.tensor([1.0, 0.0, 0.0]), 0.05)
    tensor([0.9500, 0.0250, 0.0250])
    """
    others = (1 - target) / (target.shape[-1] - 1)
    return (1 - smoothing) * target + smoothing * others
