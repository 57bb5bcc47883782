"""The model as one stacked program: modality heads, a gate and a fusion head, for many runs.

A run's parameters are one row of a flat matrix, and every tensor of the model is a view of it with
the run axis first. Each head is a two-layer MLP (section 4.2); the fusion head reads
`h = sum_m g_m * P_m(x_m)`, with `g` a softmax over modalities of M - 1 gate logits and a fixed 0,
feature by feature: for two modalities the sigmoid gate. No two heads share a parameter.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amber_heads.settings import FUSION, heads_of


@dataclass(frozen=True)
class Architecture:
    """The shapes of a model, and where its tensors lie in a flat row of parameters.

    Attributes:
        inputs: (name, embedding size) of each modality, in order.
        hidden: Width of every hidden layer.
        num_classes: Classes of the softmax.
    """

    inputs: tuple[tuple[str, int], ...]
    hidden: int
    num_classes: int

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The heads' names, in the order of the head axis."""
        return heads_of([name for name, _ in self.inputs])

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's shape by name, "audio.hidden.weight", without the run axis.

        Weights are (in, out). A head's tensors stand together, in the order of `heads`.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for name, size in self.inputs:
            shapes |= self._mlp(name, size)
        if FUSION in self.heads:
            for name, size in self.inputs:
                shapes |= _linear(f"{FUSION}.project.{name}", size, self.hidden)
            total = sum(size for _, size in self.inputs)
            shapes |= _linear(f"{FUSION}.gate", total, (len(self.inputs) - 1) * self.hidden)
            shapes |= self._mlp(FUSION, self.hidden)
        return shapes

    @cached_property
    def spans(self) -> dict[str, tuple[int, int]]:
        """Where each tensor begins and ends in a row of parameters."""
        spans, start = {}, 0
        for name, shape in self.shapes.items():
            spans[name] = (start, start + math.prod(shape))
            start = spans[name][1]
        return spans

    @cached_property
    def num_parameters(self) -> int:
        """The length of a row."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def head_span(self, head: str) -> tuple[int, int]:
        """Where a head's own parameters begin and end in a row."""
        spans = [span for name, span in self.spans.items() if name.split(".")[0] == head]
        return spans[0][0], spans[-1][1]

    def views(self, rows: Float[Tensor, "run parameter"]) -> dict[str, Tensor]:
        """Every tensor of every run, as a view of the rows with the run axis first."""
        return {
            name: rows[:, start:end].view(len(rows), *self.shapes[name])
            for name, (start, end) in self.spans.items()
        }

    def _mlp(self, head: str, size: int) -> dict[str, tuple[int, ...]]:
        return {
            **_linear(f"{head}.hidden", size, self.hidden),
            **_linear(f"{head}.output", self.hidden, self.num_classes),
        }


def initial_parameters(architecture: Architecture, *, seed: int) -> Float[Tensor, " parameter"]:
    """One run's initial row, float64: PyTorch's default for linear layers, U(+-1/sqrt(fan-in)).

    It depends on (seed, head) alone: a head starts the same whatever other heads there are.
    """
    row = torch.empty(architecture.num_parameters, dtype=torch.float64)
    for head in architecture.heads:
        sequence = np.random.SeedSequence([seed, zlib.crc32(head.encode())])
        random = np.random.default_rng(sequence)
        for name, (start, end) in architecture.spans.items():
            if name.split(".")[0] == head:
                bound = 1 / math.sqrt(_fan_in(architecture, name))
                row[start:end] = torch.from_numpy(random.uniform(-bound, bound, end - start))
    return row


def forward(
    architecture: Architecture,
    tensors: Mapping[str, Tensor],
    inputs: Sequence[Float[Tensor, "run batch _"]],
    *,
    keep: Sequence[Float[Tensor, "run batch hidden"]] | None = None,
) -> Float[Tensor, "run batch head class"]:
    """Log-probabilities of every head.

    Args:
        architecture: Whose tensors they are.
        tensors: As `Architecture.views` gives them.
        inputs: One (run, batch, D_m) tensor a modality, standardised.
        keep: Dropout's multipliers of each head's hidden layer, 0 or 1 / (1 - p); None for none.
    """
    hidden = {
        name: torch.relu(_apply(tensors, f"{name}.hidden", x))
        for (name, _), x in zip(architecture.inputs, inputs, strict=True)
    }
    if FUSION in architecture.heads:
        fused = _fuse(architecture, tensors, inputs)
        hidden[FUSION] = torch.relu(_apply(tensors, f"{FUSION}.hidden", fused))
    if keep is not None:
        hidden = {name: hidden[name] * k for name, k in zip(hidden, keep, strict=True)}
    logits = [_apply(tensors, f"{name}.output", hidden[name]) for name in architecture.heads]
    return torch.log_softmax(torch.stack(logits, dim=2), dim=-1)


def _fuse(
    architecture: Architecture,
    tensors: Mapping[str, Tensor],
    inputs: Sequence[Float[Tensor, "run batch _"]],
) -> Float[Tensor, "run batch hidden"]:
    projected = torch.stack(
        [
            _apply(tensors, f"{FUSION}.project.{name}", x)
            for (name, _), x in zip(architecture.inputs, inputs, strict=True)
        ]
    )  # (modality, run, batch, hidden)
    logits = _apply(tensors, f"{FUSION}.gate", torch.cat(list(inputs), dim=-1))
    runs, batch, _ = logits.shape
    logits = logits.view(runs, batch, len(inputs) - 1, architecture.hidden).movedim(2, 0)
    gate = torch.softmax(torch.cat([logits, torch.zeros_like(logits[:1])]), dim=0)
    return (gate * projected).sum(dim=0)


def _apply(
    tensors: Mapping[str, Tensor], layer: str, x: Float[Tensor, "run batch _"]
) -> Float[Tensor, "run batch _"]:
    return torch.baddbmm(tensors[f"{layer}.bias"].unsqueeze(1), x, tensors[f"{layer}.weight"])


def _linear(name: str, size_in: int, size_out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (size_in, size_out), f"{name}.bias": (size_out,)}


def _fan_in(architecture: Architecture, name: str) -> int:
    return architecture.shapes[name.rpartition(".")[0] + ".weight"][0]
