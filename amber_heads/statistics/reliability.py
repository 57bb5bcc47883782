"""How far raters agree beyond chance: Krippendorff's alpha and Fleiss' kappa, from vote counts.

Alpha is 1 - D_o / D_e, the disagreement within units over that expected if values were dealt to
units at random (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability): 1 where all agree,
0 at chance, below where raters disagree by system. A value is what one rater says of one unit; a
unit that only one rater judged has no pair and does not count.

Who gives a unit several labels has one value all the same, shared evenly by the labels, and pairs
are of different raters only. So D_o and D_e are what they are on average where each rater's labels
are replaced by one of them, drawn at random; with one label each it is alpha as published. A
coefficient that compares the sets themselves is Krippendorff and Craggs 2016's (The Reliability of
Multi-Valued Coding of Data); it is not this one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int, Shaped

from amber_heads.statistics.resampling import resampled_totals

#: Bootstrap samples of an interval, and the share of them that lies in it.
NUM_RESAMPLES, LEVEL = 1000, 0.95

#: An expected disagreement up to here, as a share of the values, is rounding.
_ROUNDING = 1e-12

#: What a resample is judged by: per-unit figures summed over the units, a row a resample.
_Totals: TypeAlias = Float[np.ndarray, "resample figure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The units that several raters judged, summed up over their raters.

    Attributes:
        values: Votes by label; a rater's several labels have shares of one vote.
        num_raters: At least 2, the rows' sums.
        own: Sum over raters of their squared shares, what each has in common with herself.
        own_pairs: Sum over raters of the products of their shares, label by label.
        own_coincidences: The same, each over its unit's number of raters less 1.
        num_alone: Units that only one rater judged, which are left out above.
    """

    values: Float[np.ndarray, "unit label"]
    num_raters: Float[np.ndarray, " unit"]
    own: Float[np.ndarray, " unit"]
    own_pairs: Float[np.ndarray, "label label"]
    own_coincidences: Float[np.ndarray, "label label"]
    num_alone: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """A coefficient of agreement with its bootstrap interval over units.

    Attributes:
        value: None where it is not defined, for the reason in `why_not`.
        low: Of the interval; None where there are fewer than two units to draw from.
        num_units: Units that at least two raters judged.
        num_values: Raters' values in them.
        num_undefined: Resamples in which it is not defined; they are left out of the interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    num_units: int = 0
    num_values: int = 0
    num_undefined: int = 0
    why_not: str = ""


def units_of_counts(counts: Shaped[np.ndarray, "unit label"]) -> Units:
    """Units from how many raters gave each label; every vote is another rater's.

    >>> units_of_counts(np.array([[2, 1], [1, 0]])).num_raters
    array([3.])
    """
    counts = np.asarray(counts, dtype=np.float64)
    num_raters = counts.sum(axis=1)
    several = num_raters > 1
    values, num = counts[several], num_raters[several]
    return Units(
        values=values,
        num_raters=num,
        own=num,
        own_pairs=np.diag(values.sum(axis=0)),
        own_coincidences=np.diag((values / (num - 1)[:, None]).sum(axis=0)),
        num_alone=int((num_raters == 1).sum()),
    )


def units_of_votes(
    unit: Int[np.ndarray, " vote"],
    rater: Int[np.ndarray, " vote"],
    label: Int[np.ndarray, " vote"],
    *,
    num_labels: int,
) -> Units:
    """Units from single votes; what one rater says of one unit is one value, shared by its labels.

    Args:
        rater: A number for each rater; the same in all units.
    """
    shares, unit_of = _shares(unit, rater, label, num_labels)
    first = np.flatnonzero(np.diff(unit_of, prepend=-1))
    num_raters = np.diff(first, append=len(unit_of)).astype(np.float64)
    several = num_raters > 1
    squares = (shares**2).sum(axis=1)
    values = np.add.reduceat(shares, first) if len(first) else shares
    own = np.add.reduceat(squares, first) if len(first) else squares
    weight = np.repeat(1 / np.maximum(num_raters - 1, 1), num_raters.astype(int))[:, None]
    paired = np.repeat(several, num_raters.astype(int))
    shares, weight = shares[paired], weight[paired]
    return Units(
        values=values[several],
        num_raters=num_raters[several],
        own=own[several],
        own_pairs=shares.T @ shares,
        own_coincidences=shares.T @ (shares * weight),
        num_alone=int((~several).sum()),
    )


def coincidences(units: Units) -> Float[np.ndarray, "label label"]:
    """Observed coincidences `o_ck`: pairs of labels within units, each unit's over m_u - 1.

    Symmetric; all cells sum to the number of values.
    """
    values = units.values
    pairs = values.T @ (values / (units.num_raters - 1)[:, None])
    return np.asarray(pairs - units.own_coincidences)


def expected_coincidences(units: Units) -> Float[np.ndarray, "label label"]:
    """Coincidences `e_ck` by chance: pairs of values drawn from all units without replacement."""
    totals = units.values.sum(axis=0)
    pairs = np.outer(totals, totals) - units.own_pairs
    return np.asarray(pairs / max(totals.sum() - 1, 1))


def alpha_nominal(
    units: Units, *, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Coefficient:
    """Krippendorff's alpha where labels are the same or not, with its interval.

    >>> alpha_nominal(units_of_counts(np.array([[2, 0], [0, 2], [1, 1]]))).value
    0.4444444444444444
    """
    agreement = ((units.values**2).sum(axis=1) - units.own) / (units.num_raters - 1)
    figures = np.column_stack([units.num_raters, agreement, units.own, units.values])
    found = _with_interval(figures, _alpha_nominal, num_resamples=num_resamples, seed=seed)
    if found.num_units and found.value is None:
        return replace(found, why_not="all raters gave one and the same label")
    return found


def alpha_interval(
    unit: Int[np.ndarray, " rating"],
    rater: Int[np.ndarray, " rating"],
    value: Float[np.ndarray, " rating"],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Coefficient:
    """Krippendorff's alpha of ratings, where a disagreement is a squared difference.

    A rater's several ratings of one unit count as their mean.
    """
    rated, row, times = _judged(unit, rater)
    centred = value.astype(np.float64) - (float(value[0]) if len(value) else 0.0)
    means = np.bincount(row, weights=centred) / times
    _, unit_of, num = np.unique(rated, return_inverse=True, return_counts=True)
    total = np.bincount(unit_of, weights=means)
    squares = np.bincount(unit_of, weights=means**2)
    disagreement = 2 * (num * squares - total**2) / np.maximum(num - 1, 1)
    figures = np.column_stack([num, disagreement, squares, total])[num > 1]
    found = _with_interval(figures, _alpha_interval, num_resamples=num_resamples, seed=seed)
    if found.num_units and found.value is None:
        return replace(found, why_not="all ratings are the same")
    return found


def fleiss_kappa(units: Units) -> Coefficient:
    """Fleiss' kappa (1971), where every unit has the same number of raters with one label each."""
    num = units.num_raters
    found = Coefficient(value=None, num_units=len(num), num_values=int(num.sum()))
    if not len(num):
        return replace(found, why_not="no two raters judged the same")
    if units.num_alone or (num != num[0]).any():
        least = 1 if units.num_alone else int(num.min())
        return replace(found, why_not=f"raters: {least} to {int(num.max())}, not always as many")
    if not np.array_equal(units.own, num):
        return replace(found, why_not="some raters gave several labels")
    n = num[0]
    observed = float((((units.values**2).sum(axis=1) - n) / (n * (n - 1))).mean())
    expected = float(((units.values.sum(axis=0) / num.sum()) ** 2).sum())
    if 1 - expected < _ROUNDING:
        return replace(found, why_not="all raters gave one and the same label")
    return replace(found, value=(observed - expected) / (1 - expected))


def _judged(
    unit: Int[np.ndarray, " vote"], rater: Int[np.ndarray, " vote"]
) -> tuple[Int[np.ndarray, " value"], Int[np.ndarray, " vote"], Int[np.ndarray, " value"]]:
    """What raters judged: the unit of each value, sorted; each vote's value; votes a value."""
    num_raters = int(rater.max(initial=0)) + 1
    keys, row, times = np.unique(
        unit.astype(np.int64) * num_raters + rater, return_inverse=True, return_counts=True
    )
    return keys // num_raters, row, times


def _shares(
    unit: Int[np.ndarray, " vote"],
    rater: Int[np.ndarray, " vote"],
    label: Int[np.ndarray, " vote"],
    num_labels: int,
) -> tuple[Float[np.ndarray, "value label"], Int[np.ndarray, " value"]]:
    """A row for each unit and rater, sorted by unit: her labels' shares; and the unit."""
    unit_of, row, times = _judged(unit, rater)
    ticks = np.bincount(row * num_labels + label, minlength=len(unit_of) * num_labels)
    return ticks.reshape(len(unit_of), num_labels) / times[:, None], unit_of


def _alpha_nominal(totals: _Totals) -> Float[np.ndarray, " resample"]:
    num, agreement, own = totals[:, 0], totals[:, 1], totals[:, 2]
    by_chance = ((totals[:, 3:] ** 2).sum(axis=1) - own) / np.maximum(num - 1, 1)
    return _one_less(num - agreement, num - by_chance, num)


def _alpha_interval(totals: _Totals) -> Float[np.ndarray, " resample"]:
    num, disagreement, squares, total = totals.T
    expected = 2 * (num * squares - total**2) / np.maximum(num - 1, 1)
    return _one_less(disagreement, expected, squares)


def _one_less(
    observed: Float[np.ndarray, " resample"],
    expected: Float[np.ndarray, " resample"],
    scale: Float[np.ndarray, " resample"],
) -> Float[np.ndarray, " resample"]:
    """1 - observed / expected; NaN where nothing but rounding is expected."""
    defined = expected > _ROUNDING * scale
    return np.where(defined, 1 - observed / np.where(defined, expected, 1), np.nan)


def _with_interval(
    figures: Float[np.ndarray, "unit figure"],
    coefficient: Callable[[_Totals], Float[np.ndarray, " resample"]],
    *,
    num_resamples: int,
    seed: int,
) -> Coefficient:
    """A coefficient of summed figures, the first of which is the number of values."""
    num_units, num_values = len(figures), int(figures[:, 0].sum())
    found = Coefficient(value=None, num_units=num_units, num_values=num_values)
    if num_units == 0:
        return replace(found, why_not="no two raters judged the same")
    value = float(coefficient(figures.sum(axis=0, keepdims=True))[0])
    if np.isnan(value):
        return found
    if num_units == 1:
        return replace(found, value=value)
    drawn = coefficient(resampled_totals(figures, num_resamples=num_resamples, seed=seed))
    defined = drawn[~np.isnan(drawn)]
    found = replace(found, value=value, num_undefined=num_resamples - len(defined))
    if not len(defined):
        return found
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return replace(found, low=float(low), high=float(high))
