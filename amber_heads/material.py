"""What all runs of a table share, once in memory: inputs, soft labels, folds, batch order.

Inputs are standardised with their fold's training part when a batch is gathered, so that one copy
serves every fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from amber_heads.data import Dataset
from amber_heads.folds import Fold
from amber_heads.heads import Architecture
from amber_heads.losses import class_balanced_weights


@dataclass(frozen=True)
class Standardization:
    """Per fold and modality, what is subtracted from the inputs and what divides them."""

    mean: tuple[Float[Tensor, "fold feature"], ...]
    scale: tuple[Float[Tensor, "fold feature"], ...]


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
    ) -> None:
        self.folds = tuple(folds)
        self.device, self.dtype = device, dtype
        self.modalities = tuple(dataset.inputs)
        self.classes = dataset.classes
        self.standardization = standardization(dataset, folds, standardize=standardize)
        target = torch.from_numpy(dataset.target)
        self.class_weights = torch.stack(
            [class_balanced_weights(target[torch.from_numpy(fold.train)]) for fold in folds]
        ).to(device, dtype)
        self.target = target.to(device, dtype)
        self.inputs = tuple(
            torch.from_numpy(vectors).to(device, dtype) for vectors in dataset.inputs.values()
        )
        self.mean = tuple(one.to(device, dtype) for one in self.standardization.mean)
        self.scale = tuple(one.to(device, dtype) for one in self.standardization.scale)

    def architecture(self, hidden: int) -> Architecture:
        """The model for these inputs and classes."""
        sizes = tuple(
            (name, vectors.shape[1])
            for name, vectors in zip(self.modalities, self.inputs, strict=True)
        )
        return Architecture(sizes, hidden, len(self.classes))

    def batch(
        self, index: Int[Tensor, "run batch"], fold: Int[Tensor, " run"]
    ) -> list[Float[Tensor, "run batch _"]]:
        """The standardised inputs of the utterances that each run asks for."""
        return [
            (vectors[index] - mean[fold].unsqueeze(1)) / scale[fold].unsqueeze(1)
            for vectors, mean, scale in zip(self.inputs, self.mean, self.scale, strict=True)
        ]


def standardization(
    dataset: Dataset, folds: Sequence[Fold], *, standardize: bool
) -> Standardization:
    """Mean and standard deviation of every input over each fold's training part, in float64.

    A feature that is constant there is divided by 1.
    """
    means, scales = [], []
    for vectors in dataset.inputs.values():
        parts = [vectors[fold.train].astype(np.float64) for fold in folds]
        mean = np.stack([part.mean(axis=0) for part in parts])
        scale = np.stack([part.std(axis=0) for part in parts])
        scale[scale < 1e-8 * (1 + np.abs(mean))] = 1.0
        if not standardize:
            mean, scale = np.zeros_like(mean), np.ones_like(scale)
        means.append(torch.from_numpy(mean))
        scales.append(torch.from_numpy(scale))
    return Standardization(tuple(means), tuple(scales))


def minibatches(
    train: Int[np.ndarray, " utterance"], *, seed: int, fold: int, epoch: int, batch_size: int
) -> list[Int[np.ndarray, " batch"]]:
    """One epoch's batches of a run, from (seed, fold, epoch) alone; the last may be partial."""
    order = np.random.default_rng([seed, fold, epoch]).permutation(train)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
