"""What all runs of a table share, once in memory: inputs, soft labels, folds, batch order.

Inputs are standardised with their fold's training part when a batch is gathered, so that one copy
serves every fold; layers that are summed, each by itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from amber_cache.errors import ConfigError
from amber_heads.data import Dataset
from amber_heads.folds import Fold
from amber_heads.heads import Architecture
from amber_heads.losses import class_balanced_weights

#: Features whose mean and deviation are taken at once.
_COLUMNS = 64


@dataclass(frozen=True)
class Standardization:
    """Per modality and fold, what is subtracted from the inputs and what divides them."""

    mean: tuple[Float[Tensor, "fold _"], ...]
    scale: tuple[Float[Tensor, "fold _"], ...]


@dataclass(frozen=True)
class MaterialParts:
    """What a material is made of, for another process to make it again.

    Attributes:
        key: One of its own for each material.
    """

    dataset: Dataset
    folds: tuple[Fold, ...]
    standardize: bool
    dtype: torch.dtype
    product_dtype: torch.dtype
    key: str


class Material:
    """What all stacks share, once in memory: inputs, targets, folds and their statistics."""

    def __init__(
        self,
        dataset: Dataset,
        folds: Sequence[Fold],
        *,
        standardize: bool = True,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        product_dtype: torch.dtype | None = None,
    ) -> None:
        self.folds = tuple(folds)
        self.device, self.dtype = device, dtype
        self.product_dtype = product_dtype or dtype  # of the products with the inputs
        self.parts = MaterialParts(
            # Texts are nothing to train on, and would be sent along.
            dataset=replace(dataset, ids=dataset.ids[:0], columns={}),
            folds=self.folds,
            standardize=standardize,
            dtype=dtype,
            product_dtype=self.product_dtype,
            key=secrets.token_hex(8),
        )
        self.modalities = tuple(dataset.inputs)
        self.num_layers = tuple(map(dataset.num_layers, dataset.inputs))
        self.classes = dataset.classes
        self.standardization = standardization(dataset, folds, standardize=standardize)
        self._exact_target = torch.from_numpy(dataset.target)
        self.target = self._exact_target.to(device, dtype)
        self.inputs = tuple(
            torch.from_numpy(vectors).to(device, dtype) for vectors in dataset.inputs.values()
        )
        self.mean = tuple(one.to(device, dtype) for one in self.standardization.mean)
        self.scale = tuple(one.to(device, dtype) for one in self.standardization.scale)

    @classmethod
    def from_parts(cls, parts: MaterialParts) -> Material:
        """The same again, on a CPU."""
        return cls(
            parts.dataset,
            parts.folds,
            standardize=parts.standardize,
            dtype=parts.dtype,
            product_dtype=parts.product_dtype,
        )

    @cached_property
    def class_weights(self) -> Float[Tensor, "fold class"]:
        """CB-CE's weights, from each fold's training part.

        Raises:
            ConfigError: In a training part, no utterance has a class above 1/C.
        """
        weights = []
        for fold in self.folds:
            try:
                weights.append(class_balanced_weights(self._exact_target[fold.train]))
            except ValueError as error:
                raise ConfigError(f"fold {fold.name}: {error}") from None
        return torch.stack(weights).to(self.device, self.dtype)

    def architecture(self, hidden: int) -> Architecture:
        """The model for these inputs and classes."""
        return architecture_of(self.parts.dataset, hidden)

    def batch(
        self,
        index: Int[Tensor, "shared batch"],
        fold: Int[Tensor, " shared"],
        *,
        room: dict[int, Tensor] | None = None,
    ) -> list[Float[Tensor, "shared ... _"]]:
        """The standardised inputs of some minibatches, each with its own fold's statistics.

        Layers that are summed stand before the batch.

        Args:
            room: Where they stood the last time, by modality: written over where the sizes are
                the same. Fresh memory for every step costs a fifth of a run's time.
        """
        room = {} if room is None else room
        found = []
        for number, layers in enumerate(self.num_layers):
            vectors, mean, scale = (one[number] for one in (self.inputs, self.mean, self.scale))
            if layers == 1:
                found.append(self._gathered(vectors, index, mean[fold], scale[fold]))
                continue
            size = (len(index), layers, index.shape[1], vectors.shape[1] // layers)
            if number not in room or room[number].shape != size:
                room[number] = vectors.new_empty(size, dtype=self.product_dtype)
            self._layered(vectors, index, mean[fold], scale[fold], out=room[number])
            found.append(room[number])
        return found

    def _gathered(
        self,
        vectors: Float[Tensor, "utterance feature"],
        index: Int[Tensor, "shared batch"],
        mean: Float[Tensor, "shared feature"],
        scale: Float[Tensor, "shared feature"],
    ) -> Float[Tensor, "shared batch feature"]:
        rows = vectors[index].sub_(mean.unsqueeze(1)).div_(scale.unsqueeze(1))
        return rows.to(self.product_dtype)

    def _layered(
        self,
        vectors: Float[Tensor, "utterance _"],
        index: Int[Tensor, "shared batch"],
        mean: Float[Tensor, "shared _"],
        scale: Float[Tensor, "shared _"],
        *,
        out: Float[Tensor, "shared layer batch feature"],
    ) -> None:
        """A layer at a time, whose rows stay near the core until they are in their place."""
        parts = [one.tensor_split(out.shape[1], dim=-1) for one in (vectors, mean, scale)]
        for number, (own, of_fold, by_fold) in enumerate(zip(*parts, strict=True)):
            out[:, number] = self._gathered(own, index, of_fold, by_fold)


def architecture_of(dataset: Dataset, hidden: int) -> Architecture:
    """The model for a data set's inputs and classes."""
    counts = {name: dataset.num_layers(name) for name in dataset.inputs}
    sizes = tuple((name, one.shape[1] // counts[name]) for name, one in dataset.inputs.items())
    return Architecture(sizes, hidden, len(dataset.classes), tuple(counts.values()))


def standardization(
    dataset: Dataset, folds: Sequence[Fold], *, standardize: bool
) -> Standardization:
    """Mean and standard deviation of every input over each fold's training part, in float64.

    A feature that is constant there is divided by 1.
    """
    means, scales = [], []
    for name, vectors in dataset.inputs.items():
        layers = np.split(vectors, dataset.num_layers(name), axis=1)
        mean = np.zeros((len(folds), vectors.shape[1]))
        scale = np.ones_like(mean)
        if standardize:
            for number, fold in enumerate(folds):
                found = [_moments(one, fold.train) for one in layers]
                mean[number], scale[number] = map(np.concatenate, zip(*found, strict=True))
        means.append(torch.from_numpy(mean))
        scales.append(torch.from_numpy(scale))
    return Standardization(tuple(means), tuple(scales))


def _moments(
    vectors: Float[np.ndarray, "utterance feature"], train: Int[np.ndarray, " part"]
) -> tuple[Float[np.ndarray, " feature"], Float[np.ndarray, " feature"]]:
    """Some columns at a time: float64 copies of all would be the largest thing in memory."""
    blocks = []
    for start in range(0, vectors.shape[1], _COLUMNS):
        part = vectors[train, start : start + _COLUMNS]
        blocks.append((part.mean(axis=0, dtype=np.float64), part.std(axis=0, dtype=np.float64)))
    mean, scale = map(np.concatenate, zip(*blocks, strict=True))
    constant = scale <= np.maximum(1e-8 * np.abs(mean), np.finfo(np.float32).tiny)
    return mean, np.where(constant, 1.0, scale)


def minibatches(
    train: Int[np.ndarray, " utterance"], *, seed: int, fold: int, epoch: int, batch_size: int
) -> list[Int[np.ndarray, " batch"]]:
    """One epoch's batches of a run, from (seed, fold, epoch) alone; the last may be partial."""
    order = np.random.default_rng([seed, fold, epoch]).permutation(train)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
