"""Several seeds of one system: their mean as one more system, and which of them count.

A run that diverged has NaN where it was to predict; it is left out, never replaced.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from amber_heads.formulas.agreement import Values, to_float64
from amber_heads.metrics import check_rows


def seed_ensemble(
    test: Float[np.ndarray, "seed utterance class"],
) -> Float[np.ndarray, "utterance class"]:
    """The mean of the seeds' distributions, row by row over the seeds that have one.

    A row that is NaN in every seed stays NaN: what no fold tests, or where all have diverged.

    Raises:
        ValueError: There is no seed.

    >>> seed_ensemble(np.array([[[1.0, 0.0]], [[0.5, 0.5]], [[np.nan, np.nan]]]))
    array([[0.75, 0.25]])
    """
    if not len(test):
        raise ValueError(
            f"predictions have shape {test.shape}; an ensemble needs at least one seed"
        )
    rows = test.astype(np.float64)
    sound = np.asarray(~np.isnan(rows).any(axis=-1))  # (seed, utterance)
    total = np.where(sound[..., None], rows, 0).sum(axis=0)
    number = sound.sum(axis=0)[:, None].astype(np.float64)
    mean = np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
    return np.asarray(mean)


def sound_seeds(
    test: Float[np.ndarray, "seed utterance class"],
) -> Float[np.ndarray, "sound utterance class"]:
    """The seeds without NaN: those that every fold trained to an end."""
    return np.asarray(test[~_diverged(test)])


def paired_seeds(
    target: Values, one: Values, other: Values
) -> tuple[
    Float[np.ndarray, "utterance class"],
    Float[np.ndarray, "sound utterance class"],
    Float[np.ndarray, "sound utterance class"],
]:
    """Targets, and the seeds that have diverged in neither system, as float64 distributions.

    Where one system has a single seed (an ensemble, a floor), it is repeated for each of the
    other's.

    Args:
        target: (N, C).
        one: (S, N, C).
        other: Likewise, paired by seed.

    Returns:
        The two systems with the same number of seeds, which may be 0.

    Raises:
        ValueError: The shapes do not match, or rows are no distributions.
    """
    y = check_rows(target, target)[0]
    first, second = to_float64(one), to_float64(other)
    for seeds in (first, second):
        if seeds.ndim != 3 or not len(seeds) or seeds.shape[1:] != y.shape:
            raise ValueError(
                f"predictions have shape {seeds.shape} for targets of {y.shape}; they need"
                " (seeds, utterances, classes), with at least one seed"
            )
    if len(first) != len(second) and 1 not in (len(first), len(second)):
        raise ValueError(
            f"predictions of {len(first)} and of {len(second)} seeds can't be paired; both need"
            " the same seeds, or one of them a single one"
        )
    sound = ~(_diverged(first) | _diverged(second))
    return y, _distributions(y, first, sound), _distributions(y, second, sound)


def _diverged(seeds: Float[np.ndarray, "seed utterance class"]) -> np.ndarray:
    return np.asarray(np.isnan(seeds).any(axis=(1, 2)))


def _distributions(
    y: Float[np.ndarray, "utterance class"], seeds: np.ndarray, sound: np.ndarray
) -> Float[np.ndarray, "sound utterance class"]:
    kept = np.broadcast_to(seeds, (len(sound), *y.shape))[sound]
    return np.stack([check_rows(y, rows)[1] for rows in kept]) if len(kept) else kept
