"""How well one prediction agrees with its raters, utterance by utterance; NumPy in float64.

Classes stand on the last axis, as probabilities of which some may be zero; all leading axes are
kept, and broadcast. NumPy arrays, torch tensors and lists are all taken. Rows are believed to be
distributions: `amber_heads.metrics.evaluate` is what checks them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

#: Whatever NumPy can make an array of, or a torch tensor on any device.
Values: TypeAlias = Any

#: Differences of probabilities up to here are float32 rounding, however they are stored now: an
#: even spread may arrive as 0.33333331, 0.33333334, 0.33333334, and is even all the same.
ROUNDING = 8 * float(np.finfo(np.float32).eps)


def to_float64(values: Values) -> Float[np.ndarray, "*batch"]:
    """Turn values into a float64 NumPy array; a torch tensor is known by its methods alone."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def js_per_utterance(target: Values, prediction: Values) -> Float[np.ndarray, "*batch"]:
    """Jensen-Shannon divergence (not its square root) in bits: 0 where equal, at most 1.

    >>> js_per_utterance([[1, 0], [1, 0]], [[1, 0], [0, 1]])
    array([0., 1.])
    """
    y, p = to_float64(target), to_float64(prediction)
    divergence = (_from_mean(y, p) + _from_mean(p, y)).sum(-1) / 2
    # Rounding leaves [0, 1] by some 1e-16 here and below, and js_aer takes the square root.
    return np.asarray(divergence.clip(0, 1))


def _from_mean(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """P log2(p / m) for each class, m = (p + q) / 2; 0 where p is 0."""
    total = p + q
    ratio = np.divide(2 * p, total, out=np.ones_like(total), where=(p > 0) & (total > 0))
    return np.asarray(p * np.log2(ratio))


def js_between(predictions: Iterable[Values]) -> Float[np.ndarray, "*batch"]:
    """Mean JS, in [0, 1], over all pairs of several heads' predictions of the same utterances.

    NaN where one of them is NaN, and where there is but one, which can't be at odds.

    Raises:
        ValueError: There is none.

    >>> js_between([[[1, 0], [1, 0]], [[1, 0], [0, 1]]])
    array([0., 1.])
    """
    heads = [to_float64(one) for one in predictions]
    if not heads:
        raise ValueError("js_between needs predictions; it got none")
    pairs = [js_per_utterance(one, other) for one, other in combinations(heads, 2)]
    return np.mean(pairs, axis=0) if pairs else np.full(heads[0].shape[:-1], np.nan)


def bc_per_utterance(target: Values, prediction: Values) -> Float[np.ndarray, "*batch"]:
    """Bhattacharyya coefficient, sum_c sqrt(y_c p_c): 1 where equal, 0 where nothing is shared.

    >>> bc_per_utterance([[1, 0], [1, 0]], [[1, 0], [0, 1]])
    array([1., 0.])
    """
    shared = np.sqrt(to_float64(target) * to_float64(prediction)).sum(-1)
    return np.asarray(shared.clip(0, 1))


def r2_per_utterance(target: Values, prediction: Values) -> Float[np.ndarray, "*batch"]:
    """Squared Pearson correlation of target and prediction across the classes, in [0, 1].

    0 where either is constant, that is where its values differ by no more than `ROUNDING`. NaN
    with two classes, where two points always lie on a line and it says nothing.

    >>> r2_per_utterance([[1, 0, 0], [1, 0, 0]], [[0.6, 0.2, 0.2], [1 / 3, 1 / 3, 1 / 3]])
    array([1., 0.])
    """
    y, p = np.broadcast_arrays(to_float64(target), to_float64(prediction))
    if y.shape[-1] == 2:
        return np.full(y.shape[:-1], np.nan)
    varied = (np.ptp(y, axis=-1) > ROUNDING) & (np.ptp(p, axis=-1) > ROUNDING)
    y, p = y - y.mean(-1, keepdims=True), p - p.mean(-1, keepdims=True)
    variances = (y * y).sum(-1) * (p * p).sum(-1)
    squared = np.divide((y * p).sum(-1) ** 2, variances, out=np.zeros_like(variances), where=varied)
    return np.asarray(squared.clip(0, 1))


def entropy_per_utterance(probabilities: Values) -> Float[np.ndarray, "*batch"]:
    """Shannon entropy in bits: 0 where one class has all, log2 C where all have the same.

    >>> entropy_per_utterance([[1, 0], [0.5, 0.5]])
    array([0., 1.])
    """
    p = to_float64(probabilities)
    # The positive sign of zero: -0.0 in a table looks like a mistake.
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1))).sum(-1) + 0.0)
