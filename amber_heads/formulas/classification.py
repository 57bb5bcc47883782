"""What the top class and the classes above chance have to say: F1 and calibration.

Plain NumPy on arrays that `amber_heads.metrics.evaluate` has checked: rows are utterances,
columns classes, values float64 probabilities or truth values.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from amber_heads.formulas.agreement import ROUNDING


def top_classes(
    target: Float[np.ndarray, "utterance class"],
) -> Bool[np.ndarray, "utterance class"]:
    """Mark the classes with the highest probability of each row; more than one is a tie.

    >>> top_classes(np.array([[0.4, 0.4, 0.2]]))
    array([[ True,  True, False]])
    """
    return np.asarray(target >= target.max(-1, keepdims=True) - ROUNDING)


def above_chance(
    probabilities: Float[np.ndarray, "utterance class"],
) -> Bool[np.ndarray, "utterance class"]:
    """Mark the classes above 1/C; a share that rounding alone lifts above it is not.

    >>> above_chance(np.array([[0.5, 0.3, 0.2], [0.3333334, 0.3333333, 0.3333333]]))
    array([[ True, False, False],
           [False, False, False]])
    """
    return np.asarray(probabilities > 1 / probabilities.shape[-1] + ROUNDING)


def one_hot(
    classes: Int[np.ndarray, " utterance"], *, num_classes: int
) -> Bool[np.ndarray, "utterance class"]:
    """Mark one class a row."""
    return np.asarray(classes[:, None] == np.arange(num_classes))


def f1_per_class(
    truth: Bool[np.ndarray, "utterance class"], guess: Bool[np.ndarray, "utterance class"]
) -> Float[np.ndarray, "class"]:
    """F1 of each class, 2 TP / (2 TP + FP + FN); 0 for a class that nobody chose or predicted.

    >>> f1_per_class(np.array([[True, False], [True, False]]), np.eye(2, dtype=bool))
    array([0.66666667, 0.        ])
    """
    hits = (truth & guess).sum(0)
    chosen = truth.sum(0) + guess.sum(0)
    return np.asarray(np.divide(2 * hits, chosen, out=np.zeros(len(hits)), where=chosen > 0))


def confidence_bins(
    confidence: Float[np.ndarray, "*batch"], *, num_bins: int
) -> Int[np.ndarray, "*batch"]:
    """The number of each probability's bin: of equal width over (0, 1], closed above.

    The first holds 0 too.

    >>> confidence_bins(np.array([0.0, 0.2, 0.21, 1.0]), num_bins=5)
    array([0, 0, 1, 4])
    """
    inner_edges = np.linspace(0, 1, num_bins + 1)[1:-1]
    return np.asarray(np.searchsorted(inner_edges, confidence, side="left"))


def calibration_error(
    confidence: Float[np.ndarray, " utterance"],
    outcome: Bool[np.ndarray, " utterance"] | Float[np.ndarray, " utterance"],
    *,
    num_bins: int,
) -> float:
    """Expected calibration error: how far confidence is from outcome, bin by bin, in [0, 1].

    The bins are of equal width over (0, 1], closed above; each counts by its utterances.

    Args:
        confidence: The top class's probability.
        outcome: Whether the top class was right, or the raters' share of it.
        num_bins: How many bins.

    >>> calibration_error(np.array([0.9, 0.9]), np.array([True, False]), num_bins=5)
    0.4
    """
    bins = confidence_bins(confidence, num_bins=num_bins)
    gaps = np.bincount(bins, weights=confidence - outcome)
    return float(np.abs(gaps).sum() / len(confidence))
