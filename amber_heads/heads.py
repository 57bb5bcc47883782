"""The model's shape: modality heads, a gate and a fusion head, for many runs at once.

A run's parameters are one row of a flat matrix, and every tensor of the model is a view of it with
the run axis first. Each head is a two-layer MLP (section 4.2); the fusion head reads
`h = sum_m g_m * P_m(x_m)`, with `g` a softmax over modalities of M - 1 gate logits and a fixed 0,
feature by feature: for two modalities the sigmoid gate. No two heads share a parameter: where a
modality comes as several layers, each head that reads it sums them with weights of its own
(featurizer.py).

All that reads a modality's embedding (its head's hidden layer, its projection and its part of the
gate) lies side by side in a row, so that a step multiplies each embedding once. What is computed
with them stands in network.py.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amber_heads.configuration.settings import FUSION, heads_of


@dataclass(frozen=True)
class Architecture:
    """The shapes of a model, and where its tensors lie in a flat row of parameters.

    Attributes:
        inputs: (name, embedding size) of each modality, in order.
        hidden: Width of every hidden layer.
        num_classes: Classes of the softmax.
        num_layers: How many layers of each modality's encoder are summed, 1 where its embedding is
            read as it is; () for 1 everywhere. The embedding size is that of one layer.
    """

    inputs: tuple[tuple[str, int], ...]
    hidden: int
    num_classes: int
    num_layers: tuple[int, ...] = ()

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The heads' names, in the order of the head axis."""
        return heads_of([name for name, _ in self.inputs])

    @property
    def has_fusion(self) -> bool:
        """Whether there is a fusion head."""
        return FUSION in self.heads

    @cached_property
    def gate_width(self) -> int:
        """Gate logits of an utterance: one a hidden feature and modality but the last."""
        return (len(self.inputs) - 1) * self.hidden

    @cached_property
    def layered(self) -> dict[str, int]:
        """By modality whose layers are summed, how many there are."""
        pairs = zip(self.inputs, self.num_layers, strict=True) if self.num_layers else ()
        return {name: number for (name, _), number in pairs if number > 1}

    def layer_scores(self, modality: str) -> dict[str, str]:
        """By head that reads a modality, the tensor that weighs its layers."""
        own = {modality: f"{modality}.layers.scores"}
        return own | ({FUSION: f"{FUSION}.layers.{modality}.scores"} if self.has_fusion else {})

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's shape by name, "audio.hidden.weight", without the run axis.

        Weights are (out, in). They stand in the order of a row.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for name, size in self.inputs:
            shapes |= {layer: (out, size) for layer, out in self._first_weights(name).items()}
        for name, _ in self.inputs:
            shapes |= {layer: (out,) for layer, out in self._first_biases(name).items()}
        if self.has_fusion:
            shapes |= _linear(f"{FUSION}.hidden", self.hidden, self.hidden)
        shapes |= {f"{head}.output.weight": (self.num_classes, self.hidden) for head in self.heads}
        shapes |= {f"{head}.output.bias": (self.num_classes,) for head in self.heads}
        for name, number in self.layered.items():
            shapes |= dict.fromkeys(self.layer_scores(name).values(), (number,))
        return shapes

    @cached_property
    def spans(self) -> dict[str, tuple[int, int]]:
        """Where each tensor begins and ends in a row of parameters."""
        spans, start = {}, 0
        for name, shape in self.shapes.items():
            spans[name] = (start, start + math.prod(shape))
            start = spans[name][1]
        return spans

    @property
    def first_widths(self) -> tuple[int, ...]:
        """One a modality: outputs of all layers that read its embedding."""
        return tuple(sum(self._first_weights(name).values()) for name, _ in self.inputs)

    @property
    def readers(self) -> tuple[slice, ...]:
        """Which of these outputs are a modality's own head's, and which the fusion head's."""
        own = slice(0, self.hidden)
        return (own, slice(self.hidden, None)) if self.has_fusion else (own,)

    @cached_property
    def num_parameters(self) -> int:
        """The length of a row."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def head_spans(self, head: str) -> tuple[tuple[int, int], ...]:
        """Where a head's own parameters begin and end in a row; neighbours are one span."""
        spans: list[tuple[int, int]] = []
        for name, (start, end) in self.spans.items():
            if name.split(".")[0] != head:
                continue
            if spans and spans[-1][1] == start:
                start = spans.pop()[0]
            spans.append((start, end))
        return tuple(spans)

    def views(self, rows: Float[Tensor, "run parameter"]) -> dict[str, Tensor]:
        """Every tensor of every run, as a view of the rows with the run axis first."""
        return {
            name: rows[:, start:end].view(len(rows), *self.shapes[name])
            for name, (start, end) in self.spans.items()
        }

    def stacked_views(self, rows: Float[Tensor, "run parameter"]) -> StackedViews:
        """What `views` gives, neighbours of one kind as one tensor."""
        first, first_bias = [], []
        for name, size in self.inputs:
            start, end = self._joined(self._first_weights(name))
            first.append(rows[:, start:end].view(len(rows), -1, size))
            start, end = self._joined(self._first_biases(name))
            first_bias.append(rows[:, start:end])
        start, end = self._joined([f"{head}.output.weight" for head in self.heads])
        shape = (len(rows), len(self.heads), self.num_classes)
        output = rows[:, start:end].view(*shape, self.hidden)
        start, end = self._joined([f"{head}.output.bias" for head in self.heads])
        views = self.views(rows)
        return StackedViews(
            first=tuple(first),
            first_bias=tuple(first_bias),
            hidden=views.get(f"{FUSION}.hidden.weight"),
            hidden_bias=views.get(f"{FUSION}.hidden.bias"),
            output=output,
            output_bias=rows[:, start:end].view(shape),
            layers=tuple(self._layer_view(rows, name) for name, _ in self.inputs),
        )

    def _layer_view(
        self, rows: Float[Tensor, "run parameter"], modality: str
    ) -> Float[Tensor, "run reader layer"] | None:
        if modality not in self.layered:
            return None
        start, end = self._joined(self.layer_scores(modality).values())
        return rows[:, start:end].view(len(rows), -1, self.layered[modality])

    def _joined(self, names: Iterable[str]) -> tuple[int, int]:
        spans = [self.spans[name] for name in names]
        return spans[0][0], spans[-1][1]

    def _first_weights(self, modality: str) -> dict[str, int]:
        """The outputs of each layer that reads a modality's embedding."""
        own = {f"{modality}.hidden.weight": self.hidden}
        if not self.has_fusion:
            return own
        project = {f"{FUSION}.project.{modality}.weight": self.hidden}
        return {**own, **project, f"{FUSION}.gate.{modality}.weight": self.gate_width}

    def _first_biases(self, modality: str) -> dict[str, int]:
        """The same for their biases; the gate's, which is one for all, stands with the first."""
        weights = self._first_weights(modality)
        biases = {name.removesuffix("weight") + "bias": out for name, out in weights.items()}
        if gate := biases.pop(f"{FUSION}.gate.{modality}.bias", 0):
            biases |= {f"{FUSION}.gate.bias": gate} if modality == self.inputs[0][0] else {}
        return biases


@dataclass(frozen=True)
class StackedViews:
    """A stack's parameters, or their gradient, in the pieces that a step works with.

    Attributes:
        first: One a modality: its head's hidden layer, its projection, its part of the gate.
        first_bias: Likewise; the gate's stands with the first modality's.
        hidden: The fusion head's hidden layer; None without fusion.
        output: Every head's last layer.
        layers: One a modality: the scores of its layers, of each head that reads it; None
            where its embedding is read as it is.
    """

    first: tuple[Float[Tensor, "run out _"], ...]
    first_bias: tuple[Float[Tensor, "run _"], ...]
    hidden: Float[Tensor, "run hidden hidden"] | None
    hidden_bias: Float[Tensor, "run hidden"] | None
    output: Float[Tensor, "run head class hidden"]
    output_bias: Float[Tensor, "run head class"]
    layers: tuple[Float[Tensor, "run reader _"] | None, ...]


def aligned(rows: Float[Tensor, "run parameter"]) -> Float[Tensor, "run parameter"]:
    """Rows that each begin at a multiple of four numbers, copied where they don't.

    A matrix library's product with a single column has other last places where its matrix begins
    elsewhere, and a run's bits would depend on its place in the stack.
    """
    number = rows.shape[1]
    if number % 4 == 0:
        return rows
    apart = rows.new_zeros(len(rows), number + 4 - number % 4)[:, :number]
    return apart.copy_(rows)


def initial_parameters(architecture: Architecture, *, seed: int) -> Float[Tensor, " parameter"]:
    """One run's initial row, float64: PyTorch's default for linear layers, U(+-1/sqrt(fan-in)).

    It depends on (seed, head) alone: a head starts the same whatever other heads there are. All
    layers of an encoder weigh the same.
    """
    row = torch.empty(architecture.num_parameters, dtype=torch.float64)
    views = {name: one[0] for name, one in architecture.views(row.unsqueeze(0)).items()}
    for head in architecture.heads:
        sequence = np.random.SeedSequence([seed, zlib.crc32(head.encode())])
        random = np.random.default_rng(sequence)
        for layer, size_in, size_out in _layers(architecture, head):
            bound = 1 / math.sqrt(size_in)
            weight = torch.from_numpy(random.uniform(-bound, bound, (size_in, size_out))).T
            views[f"{layer}.bias"].copy_(torch.from_numpy(random.uniform(-bound, bound, size_out)))
            if layer == f"{FUSION}.gate":  # one layer on all embeddings side by side
                sizes = [size for _, size in architecture.inputs]
                for (name, _), part in zip(
                    architecture.inputs, torch.split(weight, sizes, dim=1), strict=True
                ):
                    views[f"{layer}.{name}.weight"].copy_(part)
            else:
                views[f"{layer}.weight"].copy_(weight)
    for modality in architecture.layered:
        for name in architecture.layer_scores(modality).values():
            views[name].zero_()
    return row


def _layers(architecture: Architecture, head: str) -> list[tuple[str, int, int]]:
    """A head's linear layers, in the order that they are drawn in: name, inputs, outputs."""
    hidden, sizes = architecture.hidden, dict(architecture.inputs)
    layers = []
    if head == FUSION:
        layers += [(f"{FUSION}.project.{name}", size, hidden) for name, size in sizes.items()]
        layers.append((f"{FUSION}.gate", sum(sizes.values()), architecture.gate_width))
    layers.append((f"{head}.hidden", sizes.get(head, hidden), hidden))
    layers.append((f"{head}.output", hidden, architecture.num_classes))
    return layers


def _linear(name: str, size_in: int, size_out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (size_out, size_in), f"{name}.bias": (size_out,)}
