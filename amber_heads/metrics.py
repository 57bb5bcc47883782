"""Every metric that is reported, with its definition; float64 NumPy, without torch.

Rows are utterances, columns are classes; the raters' soft labels and the predictions are both
probabilities. All but F1, calibration and `r2_cod` are means over utterances, and none depends
on the order of the rows. Divergence and entropies are in bits; `js_aer` alone is in natural
logarithms. The definitions are those of AmbER2 (arXiv 2601.18010), of AER-LLM (arXiv 2409.18339:
`r2`, `js_aer`, `ece_hard_5`) and of EMO-SUPERB (`f1_multilabel`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from amber_heads.formulas.agreement import (
    ROUNDING,
    Values,
    bc_per_utterance,
    entropy_per_utterance,
    js_per_utterance,
    r2_per_utterance,
    to_float64,
)
from amber_heads.formulas.classification import (
    above_chance,
    calibration_error,
    f1_per_class,
    one_hot,
    top_classes,
)

__all__ = [
    "HEADLINE",
    "METRICS",
    "Metric",
    "bc_per_utterance",
    "check_rows",
    "entropy_per_utterance",
    "evaluate",
    "js_per_utterance",
    "r2_per_utterance",
]

#: How far from one the sum of a row may lie.
SUM_TOLERANCE = 1e-4


_UNIT = (0.0, 1.0)


@dataclass(frozen=True)
class Metric:
    """What a table says of a metric.

    Attributes:
        range: Lowest and highest value; infinite where it depends on the classes or utterances.
        direction: "min" or "max", whichever is better; "" where neither is.
    """

    description: str
    range: tuple[float, float]
    direction: Literal["min", "max", ""]


#: Every metric by its name, in the order of `evaluate` and of every table.
METRICS: dict[str, Metric] = {
    "js": Metric("Jensen-Shannon divergence, base 2", _UNIT, "min"),
    "bc": Metric("Bhattacharyya coefficient, sum_c sqrt(y_c p_c)", _UNIT, "max"),
    "r2": Metric(
        "squared Pearson correlation across the classes of an utterance, 0 where either is"
        " constant; NaN with two classes, where it is always 1 or 0",
        _UNIT,
        "max",
    ),
    "f1": Metric("macro F1 of the top class, over all classes", _UNIT, "max"),
    "wf1": Metric("F1 of the top class, weighted by the raters' top classes", _UNIT, "max"),
    "acc": Metric("top class is the raters', on a tie the first", _UNIT, "max"),
    "f1_multilabel": Metric("macro F1 of the classes above 1/C", _UNIT, "max"),
    "acc_tie": Metric("top class is any of the raters' tied top classes", _UNIT, "max"),
    "r2_cod": Metric(
        "coefficient of determination over all utterances and classes, about each class's mean;"
        " NaN where all targets are the same",
        (-math.inf, 1.0),
        "max",
    ),
    "js_aer": Metric(
        "Jensen-Shannon distance: natural logarithm, square root",
        (0.0, math.sqrt(math.log(2))),
        "min",
    ),
    "ece_hard_5": Metric("calibration error of the top class being right, 5 bins", _UNIT, "min"),
    "ece_hard_15": Metric("calibration error of the top class being right, 15 bins", _UNIT, "min"),
    "ece_soft": Metric(
        "calibration error against the raters' share of the top class, 15 bins", _UNIT, "min"
    ),
    "brier": Metric("squared error, summed over classes", (0.0, 2.0), "min"),
    "entropy_target": Metric("entropy of the raters in bits", (0.0, math.inf), ""),
    "entropy_prediction": Metric("entropy of the prediction in bits", (0.0, math.inf), ""),
    "n_ties": Metric("number of utterances whose raters tie", (0.0, math.inf), ""),
}

#: The metrics of the paper's tables.
HEADLINE = ("js", "bc", "r2", "f1", "wf1", "acc")


def evaluate(target: Values, prediction: Values) -> dict[str, float]:
    """Compute every metric of `METRICS` for predictions of soft labels.

    Args:
        target: The raters' soft labels, (utterance, class), as a NumPy array or torch tensor.
        prediction: Predicted probabilities, likewise. Rows of both are scaled to sum to one.

    Returns:
        One number a metric, in the order of `METRICS`; `r2` is NaN with two classes and `r2_cod`
        where all targets are the same.

    Raises:
        ValueError: The shapes differ, are empty or have fewer than two classes; or a row is no
            distribution: not finite, negative, or off one by more than 1e-4 in its sum.

    >>> scores = evaluate([[1, 0, 0], [0, 0.5, 0.5]], [[1, 0, 0], [0, 0.5, 0.5]])
    >>> [scores[name] for name in HEADLINE], scores["n_ties"]
    ([0.0, 1.0, 1.0, 0.6666666666666666, 1.0, 1.0], 1.0)
    """
    y, p = check_rows(target, prediction)
    js = js_per_utterance(y, p)
    values = {
        "js": js.mean(),
        "bc": bc_per_utterance(y, p).mean(),
        "r2": r2_per_utterance(y, p).mean(),
        **_classification(y, p),
        "r2_cod": _determination(y, p),
        "js_aer": np.sqrt(js * math.log(2)).mean(),
        **_calibration(y, p),
        "brier": ((y - p) ** 2).sum(-1).mean(),
        "entropy_target": entropy_per_utterance(y).mean(),
        "entropy_prediction": entropy_per_utterance(p).mean(),
        "n_ties": (top_classes(y).sum(-1) > 1).sum(),
    }
    return {name: float(value) for name, value in values.items()}


def _classification(
    y: Float[np.ndarray, "utterance class"], p: Float[np.ndarray, "utterance class"]
) -> dict[str, float]:
    """Accuracy and F1; a tie goes to the first class, as np.argmax has it."""
    tied, top = top_classes(y), p.argmax(-1)
    truth = one_hot(tied.argmax(-1), num_classes=y.shape[-1])
    guess = one_hot(top, num_classes=y.shape[-1])
    f1 = f1_per_class(truth, guess)
    return {
        "f1": f1.mean(),
        "wf1": f1 @ truth.mean(0),
        "acc": (truth & guess).any(-1).mean(),
        "f1_multilabel": f1_per_class(above_chance(y), above_chance(p)).mean(),
        "acc_tie": (tied & guess).any(-1).mean(),
    }


def _calibration(
    y: Float[np.ndarray, "utterance class"], p: Float[np.ndarray, "utterance class"]
) -> dict[str, float]:
    """How far the top probability is from being right, and from the raters' share of that class."""
    rows, top = np.arange(len(p)), p.argmax(-1)
    confidence, right = p[rows, top], top == top_classes(y).argmax(-1)
    return {
        "ece_hard_5": calibration_error(confidence, right, num_bins=5),
        "ece_hard_15": calibration_error(confidence, right, num_bins=15),
        "ece_soft": calibration_error(confidence, y[rows, top], num_bins=15),
    }


def _determination(
    y: Float[np.ndarray, "utterance class"], p: Float[np.ndarray, "utterance class"]
) -> float:
    """1 - SS_res / SS_tot over all values, SS_tot about each class's mean over utterances."""
    if (np.ptp(y, axis=0) <= ROUNDING).all():
        return math.nan
    total = ((y - y.mean(0)) ** 2).sum()
    return float(1 - ((y - p) ** 2).sum() / total)


def check_rows(target: Values, prediction: Values) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 rows that sum to one exactly, (utterance, class) each.

    Raises:
        ValueError: As `evaluate` says.
    """
    y, p = to_float64(target), to_float64(prediction)
    if y.shape != p.shape or y.ndim != 2 or len(y) < 1 or y.shape[1] < 2:
        raise ValueError(
            f"target has shape {y.shape} and prediction {p.shape}; both need the same"
            " (utterances, classes), with at least one utterance and two classes"
        )
    return _distributions("target", y), _distributions("prediction", p)


def _distributions(name: str, rows: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # infinities of both signs
        sums = rows.sum(-1)
    fits = np.isfinite(rows) & (rows >= 0)
    bad = ~(fits.all(-1) & (np.abs(sums - 1) <= SUM_TOLERANCE))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"{name}: row {row} is {rows[row].tolist()} and sums to {sums[row]:.6g}; it must"
            f" be finite, at least 0, and sum to one within {SUM_TOLERANCE}"
        )
    return np.asarray(rows / sums[:, None])
