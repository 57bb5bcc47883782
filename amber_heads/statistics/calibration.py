"""Whether probabilities mean what they say: reliability, Brier's parts, temperature, selection.

The outcome is first of all the raters' share of a class, not whether it won: a model that predicts
the raters' distribution is then calibrated, and by its top class being right it is not. Bins are
those of `ece_soft` and `ece_hard` in `amber_heads.metrics`. All take one set of predictions, a
seed's or an ensemble's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from amber_heads.formulas.agreement import Values
from amber_heads.formulas.classification import confidence_bins, top_classes
from amber_heads.metrics import check_rows
from amber_heads.statistics.temperature import apply_temperature, fit_temperature, scale_by_fold

__all__ = [
    "BrierParts",
    "Reliability",
    "RiskCoverage",
    "apply_temperature",
    "brier_decomposition",
    "class_reliability",
    "fit_temperature",
    "risk_coverage",
    "scale_by_fold",
    "top_reliability",
]

#: Uncertainties that differ by less are the same: rounding alone must not break a tie.
_DECIMALS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Confidence against outcome, bin by bin.

    Attributes:
        edges: (B + 1,) of the bins, each closed above.
        number: (B,) of values in a bin.
        predicted: (B,) their mean; NaN in an empty bin.
        observed: (B,) the mean outcome; NaN likewise.
        error: Expected calibration error: the mean gap, weighted by number.
    """

    edges: Float[np.ndarray, " edge"]
    number: Int[np.ndarray, " bin"]
    predicted: Float[np.ndarray, " bin"]
    observed: Float[np.ndarray, " bin"]
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BrierParts:
    """The Brier score, summed over classes, in parts.

    `brier` is `reliability - resolution + uncertainty + within_variance - within_covariance`,
    exactly; the last two are what a bin hides (Stephenson, Coelho and Jolliffe 2008, Two Extra
    Components in the Brier Score Decomposition).

    Attributes:
        reliability: Squared gap between prediction and outcome in a bin; 0 is calibrated.
        resolution: How far the bins' outcomes lie from the mean outcome; more is better.
        uncertainty: Variance of the raters' shares: the Brier score of their mean distribution.
        within_variance: Of predictions about their bin's mean.
        within_covariance: Twice that of predictions and outcomes within bins.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskCoverage:
    """What a system risks where it may abstain on the utterances it is least certain of.

    Attributes:
        coverage: (N,) share of utterances that are answered: 1/N, 2/N, ..., 1.
        risk: (N,) mean risk of these.
        area: The mean of `risk` over all coverages (AURC; Geifman and El-Yaniv 2017, Selective
            Classification for Deep Neural Networks).
        best_area: The same where the utterances are ordered by their own risk: no order does
            better. One that knows nothing has the mean risk, `risk[-1]`.
    """

    coverage: Float[np.ndarray, " utterance"]
    risk: Float[np.ndarray, " utterance"]
    area: float
    best_area: float


def class_reliability(
    target: Values, prediction: Values, bins: int = 10
) -> tuple[Reliability, ...]:
    """Each class's predicted probability against the raters' share of it, one curve a class.

    Raises:
        ValueError: As `amber_heads.metrics.evaluate` has it, or there is no bin.
    """
    y, p = check_rows(target, prediction)
    return tuple(_curve(p[:, c], y[:, c], num_bins=bins) for c in range(y.shape[1]))


def top_reliability(
    target: Values,
    prediction: Values,
    bins: int = 15,
    *,
    against: Literal["share", "agreement"] = "share",
) -> Reliability:
    """The top class's probability against what became of it.

    Args:
        against: "share": the raters' share of that class; the error is `ece_soft`. "agreement":
            whether it is the raters' top class, the first on a tie; with 5 or 15 bins the error
            is `ece_hard_5` or `ece_hard_15`.

    Raises:
        ValueError: As `amber_heads.metrics.evaluate` has it, there is no bin, or an unknown
            `against`.
    """
    y, p = check_rows(target, prediction)
    rows, top = np.arange(len(p)), p.argmax(-1)
    if against == "share":
        return _curve(p[rows, top], y[rows, top], num_bins=bins)
    if against == "agreement":
        right = (top == top_classes(y).argmax(-1)).astype(np.float64)
        return _curve(p[rows, top], right, num_bins=bins)
    raise ValueError(f"against is {against!r}; it must be 'share' or 'agreement'")


def brier_decomposition(target: Values, prediction: Values, bins: int = 10) -> BrierParts:
    """Take the Brier score apart, each class in bins of equal width, and sum over classes.

    Raises:
        ValueError: As `amber_heads.metrics.evaluate` has it, or there is no bin.
    """
    y, p = check_rows(target, prediction)
    reliability = resolution = variance = covariance = 0.0
    for one, share in zip(p.T, y.T, strict=True):
        curve = _curve(one, share, num_bins=bins)
        number = confidence_bins(one, num_bins=bins)
        expected, outcome = curve.predicted[number], curve.observed[number]
        reliability += float(((expected - outcome) ** 2).mean())
        resolution += float(((outcome - share.mean()) ** 2).mean())
        variance += float(((one - expected) ** 2).mean())
        covariance += 2 * float(((one - expected) * (share - outcome)).mean())
    return BrierParts(
        brier=float(((y - p) ** 2).sum(-1).mean()),
        reliability=reliability,
        resolution=resolution,
        uncertainty=float(y.var(axis=0).sum()),
        within_variance=variance,
        within_covariance=covariance,
    )


def risk_coverage(
    risk: Float[np.ndarray, " utterance"], uncertainty: Float[np.ndarray, " utterance"]
) -> RiskCoverage:
    """Order utterances by uncertainty, the most certain first, and follow the mean risk.

    Where several are as uncertain, the curve is the mean over all their orders: their risk
    is each time their mean risk. So nothing depends on the order of the rows.

    Args:
        risk: What an answer costs: the divergence of each utterance, or 1 where it is wrong.
        uncertainty: The entropy of the prediction, or the conflict between modalities.

    Raises:
        ValueError: There is no utterance, the lengths differ, or a value is not finite.

    >>> found = risk_coverage(np.array([0.0, 1.0, 0.5]), np.array([0.1, 0.9, 0.3]))
    >>> found.risk.tolist(), found.area
    ([0.0, 0.25, 0.5], 0.25)
    """
    if risk.shape != uncertainty.shape or not len(risk):
        raise ValueError(
            f"{len(risk)} risks and {len(uncertainty)} uncertainties; both need the same"
            " utterances, at least one"
        )
    for name, values in (("risk", risk), ("uncertainty", uncertainty)):
        if not np.isfinite(values).all():
            row = int((~np.isfinite(values)).argmax())
            raise ValueError(f"{name}: row {row} is {values[row]}; it must be finite")
    _, tie, number = np.unique(
        np.round(uncertainty, _DECIMALS), return_inverse=True, return_counts=True
    )
    by_tie = np.bincount(tie, weights=risk) / number
    answered = np.arange(1, len(risk) + 1)
    followed = np.cumsum(np.repeat(by_tie, number)) / answered
    return RiskCoverage(
        coverage=answered / len(risk),
        risk=followed,
        area=float(followed.mean()),
        best_area=float((np.cumsum(np.sort(risk)) / answered).mean()),
    )


def _curve(
    confidence: Float[np.ndarray, " value"],
    outcome: Float[np.ndarray, " value"],
    *,
    num_bins: int,
) -> Reliability:
    if num_bins < 1:
        raise ValueError(f"bins is {num_bins}; it must be at least 1")
    bins = confidence_bins(confidence, num_bins=num_bins)
    number = np.bincount(bins, minlength=num_bins)
    predicted, observed = (
        np.divide(
            np.bincount(bins, weights=values, minlength=num_bins),
            number,
            out=np.full(num_bins, np.nan),
            where=number > 0,
        )
        for values in (confidence, outcome)
    )
    gaps = np.where(number > 0, number * np.abs(predicted - observed), 0)
    return Reliability(
        edges=np.linspace(0, 1, num_bins + 1),
        number=number,
        predicted=predicted,
        observed=observed,
        error=float(gaps.sum() / len(confidence)),
    )
