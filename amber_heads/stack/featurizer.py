"""A learned sum of an encoder's layers in place of one: `x = sum_l w_l x_l`, `w = softmax(s a)`.

SUPERB's featurizer (arXiv 2105.01051), on cached layers. Each head that reads a modality has scores
`a` of its own, so that no two heads share a parameter: a head trains the same whatever other heads
there are, and each is kept at its own best epoch. Scores start at 0, all layers alike.

Layers come as (layer, batch, feature), so that the sum of a run's readers is one narrow product
over what its minibatch's runs share. Forwards and backwards, as in network.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

#: s. AdamW moves a parameter by about its rate a step, whatever the gradient's size: at 3e-4 and
#: some 600 steps of a run on IEMOCAP, bare scores end within 0.2 of where they started, and the sum
#: near the layers' mean (tests/benchmarks/RESULTS.md has both). SUPERB's runs are far longer.
SCALE = 30.0


@dataclass(frozen=True)
class LayerSums:
    """The sums of one modality, for every head that reads it.

    Attributes:
        weights: w; each row sums to one.
        vectors: x, of the precision of the layers.
        readers: Of the outputs that read the modality, side by side, those that each sum goes into.
    """

    weights: Float[Tensor, "run reader layer"]
    vectors: Float[Tensor, "run reader batch _"]
    readers: tuple[slice, ...]


def layer_sums(
    scores: Float[Tensor, "run reader layer"],
    layers: Float[Tensor, "shared layer batch _"],
    of_run: Sequence[int],
    *,
    readers: tuple[slice, ...],
) -> LayerSums:
    """Weigh the layers for each run and reader.

    Args:
        scores: a.
        layers: Standardised, of each minibatch that runs share.
        of_run: Which of those each run reads; consecutive runs share.
        readers: See `LayerSums`.
    """
    weights = (SCALE * scores).softmax(-1)
    used = weights.to(layers.dtype)
    sums = layers.new_empty(*scores.shape[:2], *layers.shape[2:])
    for shared, runs in _spans(of_run, one_by_one=layers.device.type == "cpu"):
        place = sums[runs].view(-1, _area(sums))
        torch.mm(used[runs].flatten(0, 1), layers[shared].flatten(1), out=place)
    return LayerSums(weights, sums, readers)


def score_gradient(
    sums: LayerSums,
    layers: Float[Tensor, "shared layer batch _"],
    of_run: Sequence[int],
    *,
    weight: Float[Tensor, "run out _"],
    delta: Float[Tensor, "run out batch"],
) -> Float[Tensor, "run reader layer"]:
    """The loss's gradient with respect to the scores.

    By the sum first, `g_x = W^T delta`, then by the weights, `g_w,l = <g_x, x_l>`, then through the
    softmax, `g_a,l = s w_l (g_w,l - sum_k w_k g_w,k)`.

    Args:
        sums: Of the way forward, as the following two.
        layers: As above.
        of_run: As above.
        weight: Of all layers of the model that read the modality, side by side.
        delta: The gradient with respect to their outputs.
    """
    by_weight = torch.empty_like(sums.weights)
    low = layers.dtype
    for shared, runs in _spans(of_run, one_by_one=layers.device.type == "cpu"):
        by_sum = torch.stack(
            [
                torch.bmm(delta[runs, rows].to(low).mT, weight[runs, rows].to(low))
                for rows in sums.readers
            ],
            dim=1,
        )  # (run, reader, batch, feature)
        found = by_sum.view(-1, _area(by_sum)) @ layers[shared].flatten(1).mT
        by_weight[runs] = found.view(by_weight[runs].shape).to(by_weight.dtype)
    mean = (sums.weights * by_weight).sum(-1, keepdim=True)
    return SCALE * sums.weights * (by_weight - mean)


def _spans(of_run: Sequence[int], *, one_by_one: bool) -> Iterator[tuple[int, slice]]:
    """Runs that share a minibatch; on a CPU each alone, so that no bit depends on the others."""
    start = 0
    for end in range(1, len(of_run) + 1):
        if end == len(of_run) or one_by_one or of_run[end] != of_run[start]:
            yield of_run[start], slice(start, end)
            start = end


def _area(sums: Float[Tensor, "run reader batch _"]) -> int:
    return sums.shape[2] * sums.shape[3]
