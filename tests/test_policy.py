"""Which votes count, worked by hand: secondary choices, empty labels, ticks, merged classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amber_cache.errors import ConfigError
from amber_cache.records import Utterance, Vote
from amber_cache.store import votes_table
from amber_heads.policies.policy import LabelPolicy, counted_votes, parse_classes, vote_counts
from tests.reference_cache import FOUR, load, utterance

ALL_FOUR = utterance("a", "neutral", "happy", "angry", "sad")


def second(rater: str, label: str, kind: str = "external") -> Vote:
    return Vote(rater, label, kind=kind, primary=False)


def counts(*votes: Vote, choices: str = "all", raters: str = "all") -> list[float]:
    """Votes for neutral, happy (with excited), angry and sad, then those outside."""
    table = votes_table([utterance("u", *votes)])
    counted = counted_votes(table, raters=raters, choices=choices)
    policy = LabelPolicy(classes=parse_classes(FOUR))
    inside, outside = vote_counts(table, counted, policy, num_utterances=1)
    return [*inside[0].tolist(), float(outside[0])]


@pytest.mark.parametrize(
    ("votes", "wanted"),
    [
        # A label that a rater gave as primary and secondary is one vote, in whatever order.
        ([Vote("r1", "sad"), second("r1", "sad"), second("r1", "angry")], [0, 0, 1, 1, 0]),
        ([second("r1", "sad"), second("r1", "angry"), Vote("r1", "sad")], [0, 0, 1, 1, 0]),
        # Named twice as secondary, it is one vote too.
        ([Vote("r1", "sad"), second("r1", "angry"), second("r1", "angry")], [0, 0, 1, 1, 0]),
        # Two raters are two votes.
        ([Vote("r1", "sad"), Vote("r2", "angry"), second("r2", "sad")], [0, 0, 1, 2, 0]),
        # So are two raters of one name who were shown different things.
        ([Vote("r1", "sad", kind="voice"), second("r1", "sad", kind="face")], [0, 0, 0, 2, 0]),
        # Labels that a class merges are votes of their own, as several ticks are.
        ([Vote("r1", "happy"), second("r1", "excited")], [0, 2, 0, 0, 0]),
        # Raters without a name can't be told apart.
        ([Vote("", "sad"), second("", "sad")], [0, 0, 0, 2, 0]),
        # A secondary choice may lie outside the classes.
        ([Vote("r1", "sad"), second("r1", "fear")], [0, 0, 0, 1, 1]),
        # Primary ticks all count, also where a secondary choice repeats one.
        ([Vote("r1", "sad"), Vote("r1", "happy"), second("r1", "sad"), second("r2", "sad")],
         [0, 1, 0, 2, 0]),
    ],
)  # fmt: skip
def test_secondary_choices_count_once_a_label_and_rater(
    votes: list[Vote], wanted: list[float]
) -> None:
    assert counts(*votes) == wanted


def test_a_repeated_choice_of_another_utterance_is_none() -> None:
    table = votes_table(
        [utterance("u1", Vote("r1", "sad")), utterance("u2", second("r1", "sad"), "happy")]
    )
    assert counted_votes(table, raters="external", choices="all").all()


@pytest.mark.parametrize(
    "votes",
    [
        [Vote("r1", "sad"), Vote("r2", "angry")],
        [Vote("r1", "sad"), second("r1", "sad")],
        [Vote("r1", "sad"), second("me", "angry", kind="self")],
    ],
    ids=["none", "repeated only", "of others only"],
)
def test_secondary_choices_that_add_nothing_are_refused(votes: list[Vote]) -> None:
    with pytest.raises(
        ConfigError, match=r"--choices all has no effect: .* .--raters external. adds"
    ):
        counts(*votes, raters="external")


def test_an_empty_label_is_no_vote(tmp_path: Path) -> None:
    some = [
        ALL_FOUR,
        utterance("b", "", "sad", ""),
        utterance("c", "", ""),
        utterance("d", "", "fear"),
    ]
    dataset = load(tmp_path, some)
    assert dataset.ids.tolist() == ["a", "b"]
    np.testing.assert_array_equal(dataset.target[1], [0, 0, 0, 1])
    assert dataset.left_out == {"without a counted vote": 1, "not kept by all-in": 1}
    assert "" not in load(tmp_path, some, classes="").classes


LABELS = ("neutral", "happy", "excited", "angry", "sad", "other", "")
ballots = st.lists(
    st.builds(
        Vote,
        rater=st.sampled_from(["r1", "r2", ""]),
        label=st.sampled_from(LABELS),
        kind=st.sampled_from(["external", "self"]),
        primary=st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


def _by_hand(votes: list[Vote]) -> list[Vote]:
    """Primary votes, then each secondary one unless its rater has named the label already."""
    counted = [one for one in votes if one.primary and one.label]
    for one in votes:
        named = [(other.rater, other.kind, other.label) for other in counted]
        if not one.primary and one.label:
            if one.rater and (one.rater, one.kind, one.label) in named:
                continue
            counted.append(one)
    return counted


@given(votes=ballots, data=st.data())
def test_counting_all_choices_is_that_by_hand_in_any_order(
    votes: list[Vote], data: st.DataObject
) -> None:
    wanted = sorted(one.label for one in _by_hand(votes))
    turned = data.draw(st.permutations(votes))
    table = votes_table([Utterance(id="u", votes=tuple(turned))])
    if len(wanted) == sum(one.primary and bool(one.label) for one in votes):
        with pytest.raises(ConfigError, match="--choices all has no effect"):
            counted_votes(table, raters="all", choices="all")
        return
    counted = counted_votes(table, raters="all", choices="all")
    assert sorted(table.labels[i] for i in table.label[counted]) == wanted
    primary = counted_votes(table, raters="all", choices="primary")
    assert (primary <= counted).all()
