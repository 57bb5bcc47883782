"""How far the raters of a corpus agree: on labels, by kind of rater, on ratings; what they confuse.

The coefficients are reliability.py's; here it is said which votes each is of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from amber_cache.store import RatingTable, VoteTable
from amber_heads.overviews.vote_statistics import Labelled, numbered, rater_numbers
from amber_heads.statistics.reliability import (
    Coefficient,
    Units,
    alpha_interval,
    alpha_nominal,
    coincidences,
    expected_coincidences,
    fleiss_kappa,
    units_of_votes,
)

#: A share of all pairs up to here is what subtracting left of zero.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far raters agree on some votes.

    Attributes:
        votes: Which: "counted votes", "classes as kept", or a kind.
        num_labels: Labels, or classes, that these votes name.
    """

    votes: str
    num_labels: int
    alpha: Coefficient
    kappa: Coefficient


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingAgreement:
    """How far raters of a kind agree on a dimension, with the ratings' range and mean."""

    dimension: str
    kind: str
    ratings: int
    least: float
    mean: float
    most: float
    alpha: Coefficient


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two labels that two raters gave to one utterance; the same label twice where they agree.

    Attributes:
        observed: Share of all pairs of raters' values, each utterance's pairs weighing as many
            as it has raters.
        expected: The same if values were dealt to utterances at random.
    """

    label: str
    other: str
    observed: float
    expected: float


def agreements(
    votes: VoteTable,
    counted: Bool[np.ndarray, " vote"],
    labelled: Labelled | None,
    *,
    raters: Int[np.ndarray, " vote"],
    choices: str,
) -> tuple[tuple[Agreement, ...], tuple[Pair, ...]]:
    """Agreement on the counted votes, on the classes as kept and by kind; and the pairs of labels.

    Args:
        labelled: The votes under the policy; None where no classes can be made of them.
        raters: `rater_numbers` of the votes.
        choices: As `--choices` has it, for the kinds.
    """
    all_units = _units(votes, counted, raters, votes.label.astype(np.int64), len(votes.labels))
    found = [_agreement("counted votes", all_units)]
    if labelled is not None:
        class_of = _class_of(votes, labelled)
        inside = counted & labelled.kept[votes.utterance] & (class_of >= 0)
        num_classes = len(labelled.policy.classes)
        found.append(
            _agreement("classes as kept", _units(votes, inside, raters, class_of, num_classes))
        )
    for kind, of_kind in _kinds(votes, choices):
        if not np.array_equal(of_kind, counted):
            units = _units(votes, of_kind, raters, votes.label.astype(np.int64), len(votes.labels))
            found.append(_agreement(f"kind {kind}", units))
    return tuple(found), tuple(_pairs(all_units, votes.labels))


def rating_agreements(ratings: RatingTable | None) -> tuple[RatingAgreement, ...]:
    """Agreement on every dimension, by kind of rater."""
    if ratings is None or not len(ratings):
        return ()
    raters = rater_numbers(ratings.rater)
    kinds, kind_names = numbered(ratings.kind)
    dimensions, dimension_names = numbered(ratings.dimension)
    found = []
    for d, dimension in sorted(enumerate(dimension_names), key=lambda one: one[1]):
        for k, kind in sorted(enumerate(kind_names), key=lambda one: one[1]):
            mask = (dimensions == d) & (kinds == k)
            if mask.any():
                found.append(_rating_agreement(ratings, dimension, kind, mask, raters))
    return tuple(found)


def _rating_agreement(
    ratings: RatingTable,
    dimension: str,
    kind: str,
    mask: Bool[np.ndarray, " rating"],
    raters: Int[np.ndarray, " rating"],
) -> RatingAgreement:
    values = ratings.value[mask].astype(np.float64)
    return RatingAgreement(
        dimension=dimension,
        kind=kind,
        ratings=len(values),
        least=float(values.min()),
        mean=float(values.mean()),
        most=float(values.max()),
        alpha=alpha_interval(ratings.utterance[mask], raters[mask], values),
    )


def _kinds(votes: VoteTable, choices: str) -> Iterator[tuple[str, Bool[np.ndarray, " vote"]]]:
    """Each kind's votes, where there are several kinds."""
    codes, names = numbered(votes.kind)
    for code, name in sorted(enumerate(names), key=lambda one: one[1]):
        if len(names) > 1:
            of_kind = codes == code
            yield name, of_kind if choices == "all" else of_kind & votes.primary


def _class_of(votes: VoteTable, labelled: Labelled) -> Int[np.ndarray, " vote"]:
    """Each vote's class; -1 for none."""
    classes = enumerate(labelled.policy.classes)
    class_of = {label: c for c, labels in classes for label in labels}
    by_label = np.array([class_of.get(label, -1) for label in votes.labels] or [-1])
    return np.asarray(by_label[votes.label])


def _units(
    votes: VoteTable,
    mask: Bool[np.ndarray, " vote"],
    raters: Int[np.ndarray, " vote"],
    labels: Int[np.ndarray, " vote"],
    num_labels: int,
) -> Units:
    return units_of_votes(
        votes.utterance[mask], raters[mask], labels[mask], num_labels=max(num_labels, 1)
    )


def _agreement(votes: str, units: Units) -> Agreement:
    named = int((units.values.sum(axis=0) > 0).sum())
    return Agreement(
        votes=votes, num_labels=named, alpha=alpha_nominal(units), kappa=fleiss_kappa(units)
    )


def _pairs(units: Units, labels: tuple[str, ...]) -> Iterator[Pair]:
    """The pairs that occur, the most frequent first."""
    total = units.num_raters.sum()
    if not total:
        return
    observed, expected = coincidences(units) / total, expected_coincidences(units) / total
    rows, columns = np.nonzero(np.triu(observed) > _ROUNDING)
    times = np.where(rows == columns, 1, 2)  # c with k, and k with c
    shares = times * observed[rows, columns]
    for place in np.argsort(-shares, kind="stable").tolist():
        c, k = int(rows[place]), int(columns[place])
        yield Pair(
            label=labels[c],
            other=labels[k],
            observed=float(shares[place]),
            expected=float(times[place] * expected[c, k]),
        )
