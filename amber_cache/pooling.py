"""From frames to one vector an utterance: pure functions of frames and mask.

Only frames under the mask count; what stands elsewhere, NaN included, is never read. Sums are taken
in float32 or better, whatever precision the frames come in.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from amber_cache.errors import ConfigError


def masked_mean(
    frames: Float[Tensor, "*batch time feature"], mask: Bool[Tensor, "*batch time"]
) -> Float[Tensor, "*batch feature"]:
    """Mean over the frames under the mask, in float32 or better.

    Raises:
        ValueError: A row has no frame under the mask, or the shapes do not match.

    >>> frames = torch.tensor([[[1.0], [3.0], [float("nan")]]])
    >>> masked_mean(frames, torch.tensor([[True, True, False]]))
    tensor([[2.]])
    """
    kept = _kept(frames, mask)
    return kept.sum(dim=-2) / mask.sum(dim=-1, keepdim=True)


def masked_mean_std(
    frames: Float[Tensor, "*batch time feature"], mask: Bool[Tensor, "*batch time"]
) -> Float[Tensor, "*batch 2*feature"]:
    """Mean, then population standard deviation (0 for a single frame), concatenated.

    Raises:
        ValueError: A row has no frame under the mask, or the shapes do not match.
    """
    mean = masked_mean(frames, mask)
    # Two passes: the difference of mean squares loses all digits where the mean is large.
    squares = (_kept(frames, mask) - mean.unsqueeze(-2)).square()
    return torch.cat([mean, masked_mean(squares, mask).sqrt()], dim=-1)


def first_frame(
    frames: Float[Tensor, "*batch time feature"], mask: Bool[Tensor, "*batch time"]
) -> Float[Tensor, "*batch feature"]:
    """The first frame under the mask: BERT's [CLS] token.

    Raises:
        ValueError: A row has no frame under the mask, or the shapes do not match.
    """
    kept = _kept(frames, mask)
    first = mask.int().argmax(dim=-1)[..., None, None].expand(*mask.shape[:-1], 1, kept.shape[-1])
    return kept.gather(-2, first).squeeze(-2)


#: Every pooling by the name it has on the command line and in a cache.
POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": masked_mean,
    "mean-std": masked_mean_std,
    "first": first_frame,
}


def pool(
    name: str, frames: Float[Tensor, "*batch time feature"], mask: Bool[Tensor, "*batch time"]
) -> Float[Tensor, "*batch pooled"]:
    """Pool by name.

    Raises:
        ConfigError: There is no pooling of that name.
        ValueError: A row has no frame under the mask, or the shapes do not match.
    """
    if name not in POOLINGS:
        raise ConfigError(f"pooling {name!r} does not exist; choose one of {', '.join(POOLINGS)}")
    return POOLINGS[name](frames, mask)


def _kept(frames: Tensor, mask: Tensor) -> Tensor:
    """The frames in float32 or better, with zeros where the mask is False."""
    if frames.shape[:-1] != mask.shape:
        raise ValueError(f"frames {tuple(frames.shape)} do not match the mask {tuple(mask.shape)}")
    if not bool(mask.any(dim=-1).all()):
        rows = (~mask.any(dim=-1)).flatten().nonzero().flatten().tolist()
        raise ValueError(f"rows {rows} of the mask have no frame; at least one a row is needed")
    wide = frames.to(torch.promote_types(frames.dtype, torch.float32))
    # where, not a product: NaN times zero is NaN.
    return torch.where(mask.unsqueeze(-1), wide, wide.new_zeros(()))
