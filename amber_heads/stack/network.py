"""The stacked model's arithmetic, forwards and backwards, written out for speed.

`forward` gives every head's logits and keeps what the way back needs; `backward` goes from the
logits' gradient to that of every layer's output; `parameter_gradients` turns those into the
gradient of some runs' parameters. Autograd does the same in more passes over more memory.

Activations are (run, feature, batch): with the weights on the left and a minibatch's columns on the
right, a CPU's matrix library runs a fifth faster than the other way round. On a CPU a product is
done run by run, since a run's own matrices fill the cores; on a GPU it is one batched product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from amber_heads.heads import Architecture, StackedViews
from amber_heads.stack.featurizer import LayerSums, layer_sums, score_gradient


@dataclass(frozen=True)
class Minibatches:
    """The standardised inputs of one step. Runs that share a minibatch share its copy.

    Attributes:
        vectors: One (shared, batch, D_m) tensor a modality, (shared, layer, batch, D_m) where its
            layers are summed; they may be of a lower precision than the parameters, and the
            products with them then are, too.
        of_run: Which of them each run reads; consecutive runs share.
    """

    vectors: Sequence[Float[Tensor, "shared ... _"]]
    of_run: Sequence[int]

    def stacked(self, modality: int, runs: range) -> Float[Tensor, "run batch _"]:
        """Each run's own, as one tensor; a view where all read the same, or each its own."""
        shared, which = self.vectors[modality], [self.of_run[run] for run in runs]
        if which[0] == which[-1]:
            return shared[which[0]].expand(len(runs), -1, -1)
        if which == list(range(which[0], which[-1] + 1)):
            return shared[which[0] : which[-1] + 1]
        return shared[which]


@dataclass(frozen=True)
class Activations:
    """What the way forward leaves for the way back.

    Attributes:
        inputs: What the first layers read.
        hidden: Of every head, after the ReLU and dropout.
        projected: One a modality, P_m(x_m); () without fusion, as the gate.
        gate: One a modality, g_m, feature by feature.
        fused: What the fusion head reads, sum_m g_m P_m(x_m); None without fusion.
        logits: Of every head.
        sums: One a modality, of its layers; None where its embedding is read as it is.
    """

    inputs: Minibatches
    hidden: Sequence[Float[Tensor, "run hidden batch"]]
    projected: Sequence[Float[Tensor, "run hidden batch"]]
    gate: Sequence[Float[Tensor, "run hidden batch"]]
    fused: Float[Tensor, "run hidden batch"] | None
    logits: Float[Tensor, "run batch head class"]
    sums: Sequence[LayerSums | None]


@dataclass(frozen=True)
class Deltas:
    """The loss's gradient with respect to every layer's output, before its ReLU.

    Attributes:
        first: One a modality, its layers side by side as in `StackedViews.first`.
        hidden: Of the fusion head; None without fusion.
        output: Of every head.
        layers: One a modality, with respect to the scores of its layers; None without.
    """

    first: Sequence[Float[Tensor, "run out batch"]]
    hidden: Float[Tensor, "run hidden batch"] | None
    output: Float[Tensor, "run head class batch"]
    layers: Sequence[Float[Tensor, "run reader _"] | None]


def forward(
    architecture: Architecture,
    views: StackedViews,
    inputs: Minibatches,
    *,
    keep: Sequence[Float[Tensor, "run hidden batch"]] | None = None,
) -> Activations:
    """Every head's logits, and what led to them.

    Args:
        architecture: Whose parameters they are.
        views: As `Architecture.stacked_views` gives them.
        inputs: Of each run.
        keep: Dropout's multipliers of each head's hidden layer, 0 or 1 / (1 - p); None for none.
    """
    width = architecture.hidden
    sums = [
        None
        if scores is None
        else layer_sums(scores, vectors, inputs.of_run, readers=architecture.readers)
        for scores, vectors in zip(views.layers, inputs.vectors, strict=True)
    ]
    first = [
        _first_layers(views, inputs, m) if own is None else _on_sums(views, own, m)
        for m, own in enumerate(sums)
    ]
    hidden = [one[:, :width].relu_() for one in first]
    projected = [one[:, width : 2 * width] for one in first] if architecture.has_fusion else []
    gate: list[Tensor] = []
    fused = None
    if views.hidden is not None and views.hidden_bias is not None:
        gate = _gate([one[:, 2 * width :] for one in first], width)
        fused = gate[0] * projected[0]
        for g, one in zip(gate[1:], projected[1:], strict=True):
            fused.addcmul_(g, one)
        inner = _multiplied(views.hidden, fused).add_(views.hidden_bias.unsqueeze(2))
        hidden.append(inner.relu_())
    if keep is not None:
        hidden = [one * multiplier for one, multiplier in zip(hidden, keep, strict=True)]
    logits = torch.stack(
        [_multiplied(views.output[:, h], one) for h, one in enumerate(hidden)], dim=1
    ).add_(views.output_bias.unsqueeze(3))
    # (run, head, class, batch) -> (run, batch, head, class)
    logits = logits.permute(0, 3, 1, 2)
    return Activations(inputs, hidden, projected, gate, fused, logits, sums)


def backward(
    architecture: Architecture,
    views: StackedViews,
    done: Activations,
    logits_gradient: Float[Tensor, "run batch head class"],
    *,
    keep: Sequence[Float[Tensor, "run hidden batch"]] | None = None,
) -> Deltas:
    """From the gradient with respect to the logits to that with respect to every layer."""
    width, num_modalities = architecture.hidden, len(architecture.inputs)
    output = logits_gradient.permute(0, 2, 3, 1).contiguous()  # (run, head, class, batch)
    size = (len(output), output.shape[3])  # (run, batch)
    first = [output.new_empty(size[0], one.shape[1], size[1]) for one in views.first]
    hidden = [
        # Where dropout let nothing through, `done.hidden` is 0 as it is where the ReLU did.
        torch.ops.aten.threshold_backward(
            _multiplied(views.output[:, h].mT, output[:, h]), done.hidden[h], 0
        )
        for h in range(len(architecture.heads))
    ]
    if keep is not None:
        hidden = [one * multiplier for one, multiplier in zip(hidden, keep, strict=True)]
    for own, delta in zip(first, hidden, strict=False):
        own[:, :width] = delta
    if views.hidden is None or done.fused is None:
        return Deltas(first, None, output, _layer_deltas(views, done, first))
    fused = _multiplied(views.hidden.mT, hidden[-1])
    for own, g in zip(first, done.gate, strict=True):
        torch.mul(fused, g, out=own[:, width : 2 * width])
    for m in range(num_modalities - 1):
        # d h / d logit_m = g_m (P_m(x_m) - h); the last modality's logit is fixed.
        part = slice((2 + m) * width, (3 + m) * width)
        torch.sub(done.projected[m], done.fused, out=first[0][:, part])
        first[0][:, part] *= first[m][:, width : 2 * width]
    for own in first[1:]:
        own[:, 2 * width :] = first[0][:, 2 * width :]
    return Deltas(first, hidden[-1], output, _layer_deltas(views, done, first))


def parameter_gradients(
    done: Activations, deltas: Deltas, runs: range, *, out: StackedViews
) -> None:
    """Write the gradient of some runs' parameters.

    Args:
        runs: Which.
        out: Of those runs alone.
    """
    part = slice(runs.start, runs.stop)
    for m, (delta, bias) in enumerate(zip(deltas.first, out.first_bias, strict=True)):
        own = delta[part]
        if (sums := done.sums[m]) is None:
            x = done.inputs.stacked(m, runs)
            _products(own.to(x.dtype), x, out=out.first[m])
        else:
            for reader, rows in enumerate(sums.readers):
                x = sums.vectors[part, reader]
                _products(own[:, rows].to(x.dtype), x, out=out.first[m][:, rows])
        torch.sum(own[:, : bias.shape[1]], dim=2, out=bias)
    if deltas.hidden is not None and out.hidden is not None and done.fused is not None:
        own = deltas.hidden[part]
        _products(own, done.fused[part].mT, out=out.hidden)
        torch.sum(own, dim=2, out=out.hidden_bias)
    own = deltas.output[part]
    for h, hidden in enumerate(done.hidden):
        _products(own[:, h], hidden[part].mT, out=out.output[:, h])
    torch.sum(own, dim=3, out=out.output_bias)
    for layers, gradient in zip(deltas.layers, out.layers, strict=True):
        if layers is not None and gradient is not None:
            gradient.copy_(layers[part])


def _first_layers(
    views: StackedViews, inputs: Minibatches, modality: int
) -> Float[Tensor, "run out batch"]:
    """All layers that read a modality's embeddings."""
    weight, bias = views.first[modality], views.first_bias[modality]
    x = inputs.stacked(modality, range(len(weight)))
    product = _multiplied(weight.to(x.dtype), x.mT).to(weight.dtype)
    product[:, : bias.shape[1]] += bias.unsqueeze(2)
    return product


def _on_sums(views: StackedViews, sums: LayerSums, modality: int) -> Float[Tensor, "run out batch"]:
    """The same where each head that reads a modality has a sum of its own of the layers."""
    weight, bias, x = views.first[modality], views.first_bias[modality], sums.vectors
    product = weight.new_empty(*weight.shape[:2], x.shape[2])
    for reader, rows in enumerate(sums.readers):
        _products(weight[:, rows].to(x.dtype), x[:, reader].mT, out=product[:, rows])
    product[:, : bias.shape[1]] += bias.unsqueeze(2)
    return product


def _layer_deltas(
    views: StackedViews, done: Activations, first: Sequence[Float[Tensor, "run out batch"]]
) -> list[Float[Tensor, "run reader _"] | None]:
    """The gradient of the layers' weights, of each modality that has any."""
    x, of_run = done.inputs.vectors, done.inputs.of_run
    return [
        None
        if sums is None
        else score_gradient(sums, x[m], of_run, weight=views.first[m], delta=first[m])
        for m, sums in enumerate(done.sums)
    ]


def _gate(
    parts: Sequence[Float[Tensor, "run _ batch"]], width: int
) -> list[Float[Tensor, "run hidden batch"]]:
    """A softmax over modalities of M - 1 logits and a fixed 0, feature by feature."""
    logits = parts[0]
    for one in parts[1:]:
        logits += one
    if len(parts) == 2:
        first = logits.sigmoid_()
        return [first, 1 - first]
    free = torch.split(logits, width, dim=1)
    gate = torch.softmax(torch.stack([*free, torch.zeros_like(free[0])]), dim=0)
    return list(gate.unbind(0))


def _multiplied(
    left: Float[Tensor, "run rows inner"], right: Float[Tensor, "run inner columns"]
) -> Float[Tensor, "run rows columns"]:
    """Left @ right, run by run."""
    product = left.new_empty(len(left), left.shape[1], right.shape[2])
    _products(left, right, out=product)
    return product


def _products(
    left: Float[Tensor, "run rows inner"],
    right: Float[Tensor, "run inner columns"],
    *,
    out: Float[Tensor, "run rows columns"],
) -> None:
    """Write left @ right, run by run."""
    if left.dtype != out.dtype:
        out.copy_(_multiplied(left, right))
    elif out.device.type == "cpu":
        for one, other, place in zip(left, right, out, strict=True):
            torch.mm(one, other, out=place)
    else:
        torch.bmm(left, right, out=out)
