"""How trained heads become a system's prediction: as they are, averaged, selected or corrected.

A rule sees one run: its heads' distributions for the validation and test parts of its fold, and the
soft labels of training and validation. No rule sees the raters of a test part. Where a head that it
needs has diverged, its prediction is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from amber_heads.configuration.systems import RuleName
from amber_heads.formulas.agreement import entropy_per_utterance, js_per_utterance
from amber_heads.formulas.balance import class_balanced_weights

#: How many thresholds of each kind late selection tries, besides "never".
NUM_THRESHOLDS = 33


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run's heads, and what a rule may know of its fold.

    Attributes:
        judged: The head that the run's settings are judged by.
        parts: Distributions (n, H, C) by part: "" for validation, else a test set's name.
    """

    modalities: tuple[str, ...]
    heads: tuple[str, ...]
    judged: str
    training_target: Float[np.ndarray, "training class"]
    validation_target: Float[np.ndarray, "validation class"]
    parts: Mapping[str, Float[np.ndarray, "_ head class"]]

    def head(self, name: str) -> dict[str, Float[np.ndarray, "_ class"]]:
        """One head's distributions, by part."""
        number = self.heads.index(name)
        return {part: rows[:, number] for part, rows in self.parts.items()}


#: VALIDATION among the parts.
VALIDATION = ""

#: A system's distributions by part, for one head of its own; "" where it is no head's.
Predicted = dict[str, dict[str, Float[np.ndarray, "_ class"]]]


class Thresholds(NamedTuple):
    """From where on a first prediction is too unsure, in bits and bits squared; both must be met.

    Infinite: never.
    """

    entropy: float
    varentropy: float


def varentropy(p: Float[np.ndarray, "*batch class"]) -> Float[np.ndarray, "*batch"]:
    """The variance of a draw's surprise, sum_c p_c (log2 1/p_c - H)^2, in bits squared.

    0 where one class has all, and where all have the same.

    >>> varentropy(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist()
    [0.0, 0.0]
    """
    rows = p.astype(np.float64)
    surprise = -np.log2(rows, out=np.zeros_like(rows), where=rows > 0)
    return np.asarray((rows * (surprise - entropy_per_utterance(rows)[..., None]) ** 2).sum(-1))


def late_average(
    p: Float[np.ndarray, "utterance head class"],
) -> Float[np.ndarray, "utterance class"]:
    """The mean of any number of distributions."""
    return np.asarray(p.astype(np.float64).mean(axis=1))


def choose_thresholds(
    first: Float[np.ndarray, "utterance class"],
    second: Float[np.ndarray, "utterance class"],
    target: Float[np.ndarray, "utterance class"],
) -> Thresholds:
    """The pair with the lowest mean js, of all pairs of quantiles; the rarest switch of equals.

    `first` is kept unless its entropy and its varentropy reach the thresholds.
    """
    gain = js_per_utterance(target, first) - js_per_utterance(target, second)
    entropies, varentropies = entropy_per_utterance(first), varentropy(first)
    high, wide = _candidates(entropies), _candidates(varentropies)
    # (threshold, threshold): what switching gains at each pair
    gained = (entropies[:, None] >= high).T @ (gain[:, None] * (varentropies[:, None] >= wide))
    best = np.unravel_index(np.argmax(gained > gained.max() - 1e-12), gained.shape)
    return Thresholds(float(high[best[0]]), float(wide[best[1]]))


def late_selection(
    first: Float[np.ndarray, "utterance class"],
    second: Float[np.ndarray, "utterance class"],
    thresholds: Thresholds,
) -> Float[np.ndarray, "utterance class"]:
    """The first prediction where it is sure enough, else the second."""
    unsure = entropy_per_utterance(first) >= thresholds.entropy
    unsure &= varentropy(first) >= thresholds.varentropy
    return np.where(unsure[:, None], second, first)


def weighted_prior(
    target: Float[np.ndarray, "utterance class"], class_weights: Float[np.ndarray, " class"]
) -> Float[np.ndarray, " class"]:
    """The class shares that weighted training sees: the mean of omega_i y_i, scaled to sum to one.

    omega_i = sum_c w_c y_ic is what CB-CE weighs an utterance with.
    """
    seen = ((target @ class_weights)[:, None] * target).mean(axis=0)
    return np.asarray(seen / seen.sum())


def prior_correction(
    p: Float[np.ndarray, "utterance class"],
    *,
    seen: Float[np.ndarray, " class"],
    true: Float[np.ndarray, " class"],
) -> Float[np.ndarray, "utterance class"]:
    """Distributions learnt under one prior, as another has them: p_c true_c / seen_c, scaled.

    A class that was not seen is left as it is.
    """
    factor = np.divide(true, seen, out=np.ones_like(true), where=seen > 0)
    corrected = p * factor
    return np.asarray(corrected / corrected.sum(axis=1, keepdims=True))


def _all_heads(case: Case) -> Predicted:
    return {name: case.head(name) for name in case.heads}


def _judged_head(case: Case) -> Predicted:
    return {case.judged: case.head(case.judged)}


def _audio_head(case: Case) -> Predicted:
    return {"audio": case.head("audio")}


def _late_average(case: Case) -> Predicted:
    number = len(case.modalities)
    return {"": {part: late_average(rows[:, :number]) for part, rows in case.parts.items()}}


def _late_selection(case: Case) -> Predicted:
    """Audio first, then the others in order; thresholds from the last pair to the first."""
    order = ["audio", *(one for one in case.modalities if one != "audio")]
    chosen = case.head(order[-1])
    for name in reversed(order[:-1]):
        chosen = _selected(case.head(name), chosen, case.validation_target)
    return {"": chosen}


def _selected(
    first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray], target: np.ndarray
) -> dict[str, np.ndarray]:
    if np.isnan(first[VALIDATION]).any() or np.isnan(second[VALIDATION]).any():
        return {part: np.full_like(rows, np.nan) for part, rows in first.items()}
    thresholds = choose_thresholds(first[VALIDATION], second[VALIDATION], target)
    return {part: late_selection(first[part], second[part], thresholds) for part in first}


def _prior_correction(case: Case) -> Predicted:
    target = case.training_target
    weights = class_balanced_weights(torch.from_numpy(target)).numpy()
    priors = {"seen": weighted_prior(target, weights), "true": target.mean(axis=0)}
    judged = case.head(case.judged)
    return {case.judged: {part: prior_correction(rows, **priors) for part, rows in judged.items()}}


#: Every rule by its name: from a run to distributions by the system's heads and parts.
RULES: dict[RuleName, Callable[[Case], Predicted]] = {
    "all heads": _all_heads,
    "judged head": _judged_head,
    "audio head": _audio_head,
    "late average": _late_average,
    "late selection": _late_selection,
    "prior correction": _prior_correction,
}


def _candidates(values: Float[np.ndarray, " utterance"]) -> Float[np.ndarray, " threshold"]:
    """Quantiles of what was found, highest first, and before them "never"."""
    quantiles = np.quantile(values, np.linspace(1, 0, NUM_THRESHOLDS))
    return np.concatenate([[np.inf], quantiles])


def judged_name(predicted: Sequence[str], *, judged: str) -> str:
    """Which of a system's heads it is compared by: the judged one, else its only one."""
    return judged if judged in predicted else predicted[0]
