"""Which votes a coefficient is of: counted, in the kept classes, by kind; the pairs of labels."""

from __future__ import annotations

import numpy as np
import pytest

from amber_cache.records import Rating, Utterance, Vote
from amber_cache.store import ratings_table, votes_table
from amber_heads.overviews.vote_agreement import Agreement, Pair, agreements, rating_agreements
from amber_heads.overviews.vote_statistics import Labelled, rater_numbers
from amber_heads.statistics.reliability import alpha_nominal, units_of_counts
from tests.reference_cache import utterance
from tests.test_vote_statistics import labelled

SHOWN = [
    utterance("a", *(Vote(r, "sad", kind="voice") for r in ("x", "y")), Vote("x", "fear", "face")),
    utterance("b", *(Vote(r, "fear", kind="voice") for r in ("x", "y")), Vote("y", "sad", "face")),
    utterance("c", Vote("x", "sad", kind="voice"), Vote("y", "fear", kind="voice")),
]


def found(
    made: list[Utterance], policy: Labelled | None = None, *, kind: str = "", choices: str = "all"
) -> tuple[dict[str, Agreement], tuple[Pair, ...]]:
    votes = votes_table(made)
    counted = np.asarray(votes.kind == kind, bool) if kind else np.ones(len(votes), bool)
    raters = rater_numbers(votes.rater)
    several, pairs = agreements(votes, counted, policy, raters=raters, choices=choices)
    return {one.votes: one for one in several}, pairs


def test_each_kind_has_its_own_alpha_and_a_kind_that_is_counted_stands_once() -> None:
    by_votes, _ = found(SHOWN, kind="voice")
    assert list(by_votes) == ["counted votes", "kind face"]
    expected = alpha_nominal(units_of_counts(np.array([[2, 0], [0, 2], [1, 1]]))).value
    assert by_votes["counted votes"].alpha.value == pytest.approx(expected)
    assert by_votes["kind face"].alpha.why_not == "no two raters judged the same"
    by_votes, _ = found(SHOWN)
    assert list(by_votes) == ["counted votes", "kind face", "kind voice"]


def test_who_votes_under_two_kinds_makes_no_pair_with_herself() -> None:
    by_votes, pairs = found(SHOWN[:1])
    assert by_votes["counted votes"].alpha.num_values == 2  # x and y; x says sad and fear
    shares = {(one.label, one.other): one.observed for one in pairs}
    assert shares == pytest.approx({("sad", "sad"): 0.5, ("sad", "fear"): 0.5})


def test_classes_are_merged_and_of_the_kept_utterances_alone() -> None:
    made = [
        utterance("a", "happy", "excited", "excited"),
        utterance("b", "sad", "sad", "angry"),
        utterance("c", "sad", "other"),
        utterance("d", "neutral", "neutral"),
    ]
    by_votes, _ = found(made, labelled(made))
    classes = by_votes["classes as kept"]
    counts = [[0, 3, 0, 0], [0, 0, 1, 2], [2, 0, 0, 0]]  # c has a vote outside
    assert classes.alpha == alpha_nominal(units_of_counts(np.array(counts)))
    assert (classes.num_labels, classes.alpha.num_units) == (4, 3)
    assert by_votes["counted votes"].num_labels == 6
    renormalised, _ = found(made, labelled(made, keep="any-vote"))
    assert renormalised["classes as kept"].alpha.num_units == 3  # c has one vote left: no pair


def test_secondary_choices_count_for_kinds_where_they_count() -> None:
    made = [
        utterance("a", Vote("x", "sad"), Vote("x", "fear", primary=False), Vote("y", "sad")),
        utterance("b", Vote("x", "fear", kind="self"), Vote("y", "sad")),
    ]
    primary, _ = found(made, choices="primary")
    assert primary["kind external"].alpha.why_not == "all raters gave one and the same label"
    every, _ = found(made, choices="all")
    assert every["kind external"].alpha.value is not None


def test_pairs_are_shares_of_all_pairs_and_sum_to_one() -> None:
    made = [utterance("a", "sad", "sad", "fear"), utterance("b", "fear", "happy")]
    _, pairs = found(made)
    # a: pairs of values over 2: sad-sad 1, sad-fear 2 in both orders; b: happy-fear 2; of 5.
    observed = {(one.label, one.other): one.observed for one in pairs}
    assert observed == pytest.approx(
        {("sad", "fear"): 2 / 5, ("happy", "fear"): 2 / 5, ("sad", "sad"): 1 / 5}
    )
    expected = {(one.label, one.other): one.expected for one in pairs}
    assert expected[("sad", "fear")] == pytest.approx(2 * 2 * 2 / (5 * 4))
    assert expected[("sad", "sad")] == pytest.approx(2 * 1 / (5 * 4))
    assert [one.observed for one in pairs] == sorted(observed.values(), reverse=True)


def test_without_pairs_there_are_none() -> None:
    assert found([utterance("a", "sad")])[1] == ()
    by_votes, pairs = found([utterance("a")])
    assert pairs == ()
    assert by_votes["counted votes"].alpha.num_values == 0


def test_ratings_agree_by_dimension_and_kind() -> None:
    def rated(name: str, first: float, second: float) -> Utterance:
        ratings = tuple(
            Rating(rater, dimension, float(value))
            for dimension, shift in (("valence", 0), ("arousal", 1))
            for rater, value in (("r1", first + shift), ("r2", second - shift))
        )
        return Utterance(id=name, ratings=(*ratings, Rating("me", "arousal", 5.0, kind="self")))

    made = [rated("a", 1, 1), rated("b", 4, 4), rated("c", 2, 2)]
    outer, own, valence = rating_agreements(ratings_table(made))
    assert (valence.dimension, valence.kind, valence.alpha.value) == ("valence", "external", 1)
    assert (valence.least, valence.most, valence.ratings) == (1, 4, 6)
    assert valence.mean == pytest.approx(7 / 3)
    assert outer.alpha.value is not None
    assert outer.alpha.value < 1
    assert (own.kind, own.alpha.why_not) == ("self", "no two raters judged the same")
    assert rating_agreements(None) == ()
