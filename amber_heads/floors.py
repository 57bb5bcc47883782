"""What a model must beat to have learnt anything: predictions that look at no input.

r2 of the training mean is as good as some published audio heads, so these stand in every table.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from amber_heads.folds import Fold

#: The floors' names, in table order.
FLOORS = ("training mean", "random draw", "uniform")


def floor_prediction(
    name: str,
    target: Float[np.ndarray, "utterance class"],
    fold: Fold,
    test: np.ndarray,
    *,
    seed: int,
    number: int,
) -> Float[np.ndarray, "test class"]:
    """What a floor predicts for the test utterances of a fold.

    Args:
        name: "training mean": the mean soft label of the training part. "random draw": one class
            drawn from that mean for each utterance. "uniform": 1 / C.
        target: (N, C) soft labels of all utterances.
        fold: Whose training part counts.
        test: Indices of the utterances to predict.
        seed: Of the draw.
        number: The fold's number, so that folds draw apart.

    Raises:
        ValueError: There is no such floor.
    """
    num_classes = target.shape[1]
    mean = target[fold.train].mean(axis=0)
    if name == "training mean":
        return np.tile(mean, (len(test), 1))
    if name == "random draw":
        random = np.random.default_rng([seed, number])
        return np.eye(num_classes)[random.choice(num_classes, size=len(test), p=mean)]
    if name == "uniform":
        return np.full((len(test), num_classes), 1 / num_classes)
    raise ValueError(f"{name!r} is none of {', '.join(FLOORS)}")


def fold_means(
    target: Float[np.ndarray, "utterance class"], training: Bool[np.ndarray, "fold utterance"]
) -> Float[np.ndarray, "fold class"]:
    """The mean soft label of each fold's training part; NaN where that is empty."""
    means = np.full((len(training), target.shape[1]), np.nan)
    for number, part in enumerate(training):
        if part.any():
            means[number] = target[part].mean(axis=0)
    return means


def training_means(
    target: Float[np.ndarray, "utterance class"],
    training: Bool[np.ndarray, "fold utterance"],
    fold: Int[np.ndarray, " utterance"],
) -> Float[np.ndarray, "utterance class"]:
    """Row by row, `fold_means` of the fold that tests it; NaN where none does (`fold` < 0)."""
    means = np.full(target.shape, np.nan)
    means[fold >= 0] = fold_means(target, training)[fold[fold >= 0]]
    return means
