"""The plain loop that the stack of runs is held against.

One run, one `torch.nn` model, one `torch.optim.AdamW`; losses are written out from the equations,
and only the initial values, the order of the minibatches and dropout's masks come from outside.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from amber_heads.configuration.settings import RunSettings
from amber_heads.data import Dataset
from amber_heads.folds import Fold
from amber_heads.heads import initial_parameters
from amber_heads.stack.dropout import Dropout
from amber_heads.stack.material import Material, minibatches
from amber_heads.stack.runs import Run

LN2 = math.log(2)


class LayerSum(nn.Module):
    """A softmax-weighted sum over the second axis, at first the mean; 30 as in featurizer.py."""

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(num_layers))

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.exp(30 * self.scores) / torch.exp(30 * self.scores).sum()
        return (x * weights[:, None]).sum(1)


def summing(num_layers: int) -> nn.Module:
    """One that takes what there is where it is but one layer."""
    return LayerSum(num_layers) if num_layers > 1 else nn.Identity()


class Head(nn.Module):
    """Linear, ReLU, linear; logits. Layers of an encoder are summed first."""

    def __init__(self, size: int, hidden: int, num_classes: int, num_layers: int = 1) -> None:
        super().__init__()
        self.layers = summing(num_layers)
        self.hidden, self.output = nn.Linear(size, hidden), nn.Linear(hidden, num_classes)

    def classify(self, x: Tensor, mask: Tensor | None) -> Tensor:
        h = torch.relu(self.hidden(x))
        return self.output(h if mask is None else h * mask)


class Fusion(Head):
    """The gate between projected modalities, and a head on what it lets through."""

    def __init__(
        self, sizes: Mapping[str, int], hidden: int, num_classes: int, layers: Mapping[str, int]
    ) -> None:
        super().__init__(hidden, hidden, num_classes)
        self.layers = nn.ModuleDict({name: summing(layers.get(name, 1)) for name in sizes})
        self.project = nn.ModuleDict({name: nn.Linear(n, hidden) for name, n in sizes.items()})
        self.gate = nn.Linear(sum(sizes.values()), (len(sizes) - 1) * hidden)

    def fuse(self, inputs: Sequence[Tensor]) -> Tensor:
        inputs = [one(x) for one, x in zip(self.layers.values(), inputs, strict=True)]
        projected = [one(x) for one, x in zip(self.project.values(), inputs, strict=True)]
        logits = self.gate(torch.cat(list(inputs), dim=1))
        if len(inputs) == 2:
            g = torch.sigmoid(logits)
            return g * projected[0] + (1 - g) * projected[1]
        odds = [torch.exp(one) for one in logits.chunk(len(inputs) - 1, dim=1)] + [1.0]
        return sum(o * p for o, p in zip(odds, projected, strict=True)) / sum(odds)


class PlainModel(nn.ModuleDict):
    """Every head by its name."""

    def __init__(
        self,
        sizes: Mapping[str, int],
        hidden: int,
        num_classes: int,
        layers: Mapping[str, int] | None = None,
    ) -> None:
        layers = layers or {}
        heads: dict[str, nn.Module] = {
            name: Head(size, hidden, num_classes, layers.get(name, 1))
            for name, size in sizes.items()
        }
        if len(sizes) > 1:
            heads["fusion"] = Fusion(sizes, hidden, num_classes, layers)
        super().__init__(heads)

    def probabilities(
        self, inputs: Sequence[Tensor], masks: Sequence[Tensor | None] | None = None
    ) -> dict[str, Tensor]:
        """By head, in float64 whatever the weights are, since losses are differences."""
        fed = [self[name].layers(x) for name, x in zip(self, inputs, strict=False)]
        if "fusion" in self:
            fed.append(self["fusion"].fuse(inputs))
        masks = masks or [None] * len(fed)
        return {
            name: torch.softmax(head.classify(x, mask), dim=1).double()
            for (name, head), x, mask in zip(self.items(), fed, masks, strict=True)
        }

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Take a run's initial values by the stack's names."""
        parts = [f"fusion.gate.{name}.weight" for name in self]
        own = {name: one for name, one in tensors.items() if name not in parts}
        if "fusion" in self:
            gate = [tensors[name] for name in parts if name in tensors]
            own["fusion.gate.weight"] = torch.cat(gate, dim=1)
        self.load_state_dict(own)


def stack_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict by the stack's names: its gate has one weight a modality."""
    own = dict(state)
    if "fusion.gate.weight" in own:
        names = [name.split(".")[0] for name in state if name.endswith(".hidden.weight")]
        sizes = {name: state[f"{name}.hidden.weight"].shape[1] for name in names[:-1]}
        gate = own.pop("fusion.gate.weight").split(list(sizes.values()), dim=1)
        own |= {f"fusion.gate.{n}.weight": one for n, one in zip(sizes, gate, strict=True)}
    return own


def js(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence in bits, as a difference of entropies."""

    def entropy(x: Tensor) -> Tensor:
        return torch.special.entr(x).sum(-1)

    return (entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2) / LN2


def expert_shares(experts: Sequence[Tensor], y: Tensor, kappa: float) -> Tensor:
    """Eq. 5: u, the experts on the last axis."""
    odds = torch.stack([torch.exp(-kappa * js(p, y)) for p in experts], dim=-1)
    return odds / odds.sum(-1, keepdim=True)


def class_weights(counts: np.ndarray) -> np.ndarray:
    """CB-CE's w_c from the votes of a training part."""
    size, num_classes = counts.shape
    n = (counts * num_classes > counts.sum(axis=1, keepdims=True)).sum(axis=0)
    beta = (size - 1) / size
    w = np.array([(1 - beta) / (1 - beta**k) if k else 0.0 for k in n])
    return w * (n > 0).sum() / w.sum()


def plain_loss(run: RunSettings, p: Mapping[str, Tensor], y: Tensor, w: Tensor) -> Tensor:
    """One loss an utterance."""
    if run.loss == "amber2":
        student = p[str(run.student)]
        experts = [one for name, one in p.items() if name != run.student]
        u = expert_shares(experts, y, float(run.kappa or 0))
        u = u if run.attach_weights else u.detach()
        mai = sum(u[:, m] * js(student, one) for m, one in enumerate(experts))
        own = sum(js(y, one) for one in experts)
        return run.lambda_rai * js(y, student) + run.lambda_mai * mai + run.expert_loss * own
    by_head = {
        "cb-ce": lambda one: -(w * y).sum(1) * (y * one.log()).sum(1),
        "soft-ce": lambda one: -(y * one.log()).sum(1),
        "kl": lambda one: (torch.xlogy(y, y) - y * one.log()).sum(1),
        "js": lambda one: js(y, one),
    }[run.loss]
    return sum(by_head(one) for one in p.values())


@dataclass
class PlainRun:
    """What the plain loop gave: a loss a step, a state and validation figures an epoch."""

    model: PlainModel
    inputs: list[Tensor]
    losses: list[float] = field(default_factory=list)
    training_loss: list[float] = field(default_factory=list)
    validation_js: list[list[float]] = field(default_factory=list)
    expert_weights: list[dict[str, float]] = field(default_factory=list)
    states: list[dict[str, Tensor]] = field(default_factory=list)

    def best_epochs(self, student: str | None) -> list[int]:
        """From 1, one a head: the student's, or each head's own."""
        best = np.argmin(self.validation_js, axis=0) + 1
        if student is not None:
            best[:] = best[list(self.model).index(student)]
        return best.tolist()

    @torch.no_grad()
    def predict(self, part: np.ndarray, epochs: Sequence[int]) -> np.ndarray:
        """(n, H, C) for a part, each head with its weights after its own epoch."""
        found = []
        for name, epoch in zip(self.model, epochs, strict=True):
            self.model.load_state_dict(self.states[epoch - 1])
            found.append(self.model.probabilities([x[part] for x in self.inputs])[name])
        return torch.stack(found, dim=1).numpy()


def standardized(vectors: np.ndarray, train: np.ndarray) -> np.ndarray:
    """By the training part's mean and deviation, in float64; a constant feature is only shifted."""
    known = vectors[train].astype(np.float64)
    scale = known.std(axis=0)
    return (vectors - known.mean(axis=0)) / np.where(scale > 0, scale, 1)


def train_alone(
    run: Run,
    dataset: Dataset,
    fold: Fold,
    *,
    start: Mapping[str, Tensor],
    batches: Callable[[int], Sequence[np.ndarray]],
    masks: Callable[[int, int], Sequence[Tensor] | None] = lambda epoch, step: None,
    dtype: torch.dtype = torch.float64,
) -> PlainRun:
    """Train one run as anyone would.

    Args:
        start: Initial values by the stack's names.
        batches: An epoch's minibatches, in order.
        masks: Dropout's multipliers, one tensor a head, for a step of an epoch.
    """
    one, (_, num_classes) = run.settings, dataset.target.shape
    layers = {name: len(entries) for name, entries in dataset.layers.items()}
    inputs = [
        torch.from_numpy(standardized(vectors, fold.train)).to(dtype)
        for vectors in dataset.inputs.values()
    ]
    inputs = [
        x.reshape(len(x), layers[name], -1) if name in layers else x
        for name, x in zip(dataset.inputs, inputs, strict=True)
    ]
    sizes = {name: x.shape[-1] for name, x in zip(dataset.inputs, inputs, strict=True)}
    model = PlainModel(sizes, one.hidden, num_classes, layers).to(dtype)
    model.start_from(start)
    y = torch.from_numpy(dataset.target)
    seen = one.smoothing * (1 - y) / (num_classes - 1) + (1 - one.smoothing) * y
    w = torch.from_numpy(class_weights(dataset.counts[fold.train]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=one.lr, weight_decay=one.weight_decay)
    found = PlainRun(model, inputs)
    for epoch in range(1, one.epochs + 1):
        summed = 0.0
        for step, batch in enumerate(batches(epoch)):
            p = model.probabilities([x[batch] for x in inputs], masks(epoch, step))
            loss = plain_loss(one, p, seen[batch], w).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.losses.append(loss.item())
            summed += loss.item() * len(batch)
        found.training_loss.append(summed / len(fold.train))
        _judge(found, one, fold.validation, y)
    return found


@torch.no_grad()
def _judge(found: PlainRun, one: RunSettings, part: np.ndarray, y: Tensor) -> None:
    p = found.model.probabilities([x[part] for x in found.inputs])
    found.validation_js.append([js(y[part], head).mean().item() for head in p.values()])
    found.states.append(copy.deepcopy(found.model.state_dict()))
    if one.student is not None:
        experts = {name: head for name, head in p.items() if name != one.student}
        u = expert_shares(list(experts.values()), y[part], float(one.kappa or 0)).mean(0)
        found.expert_weights.append(dict(zip(experts, u.tolist(), strict=True)))


def plain_twin(run: Run, dataset: Dataset, material: Material) -> PlainRun:
    """The plain loop's training of a run, from the start and on the batches that the run has."""
    architecture = material.architecture(run.settings.hidden)
    row = initial_parameters(architecture, seed=run.seed).unsqueeze(0)
    start = {name: one[0] for name, one in architecture.views(row).items()}
    fold, like = material.folds[run.fold], torch.zeros(0, dtype=material.dtype)

    def batches(epoch: int) -> list[np.ndarray]:
        size = run.settings.batch_size
        return minibatches(fold.train, seed=run.seed, fold=run.fold, epoch=epoch, batch_size=size)

    @lru_cache(maxsize=1)
    def drawn(epoch: int) -> list[list[Tensor] | None]:
        dropout = Dropout([run], architecture, epoch=epoch)
        masks = [dropout.draw(range(1), len(batch), like=like) for batch in batches(epoch)]
        return [None if one is None else [head[0].T for head in one] for one in masks]

    return train_alone(
        run,
        dataset,
        fold,
        start=start,
        batches=batches,
        masks=lambda epoch, step: drawn(epoch)[step],
        dtype=material.dtype,
    )
