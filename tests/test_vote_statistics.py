"""What votes look like under a policy: worked by hand, and never other than what fit would use."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amber_cache.errors import ConfigError
from amber_cache.records import Utterance, Vote
from amber_cache.store import utterance_table, votes_table
from amber_heads.data import counted_votes, label_policy
from amber_heads.overviews import vote_statistics as statistics
from tests.reference_cache import FOUR, load, utterance

MADE = [
    utterance("a", "neutral", "happy", "angry", "sad", consensus="neutral"),
    utterance("b", "happy", "happy", "other", consensus="happy"),
    utterance("c", "sad", "other", consensus="other"),
    utterance("d", "sad", "other", "fear", consensus="sad"),
    utterance("e", "other", "other", consensus="sad"),
    utterance("f", "angry", "excited", consensus=""),
    utterance("g", "excited", "excited", "fear", consensus="excited"),
    utterance("h", Vote("me", "sad", kind="self"), consensus="neutral"),
]


def labelled(
    made: list[Utterance], *, classes: str = FOUR, keep: str = "all-in", raters: str = "external"
) -> statistics.Labelled:
    votes = votes_table(made)
    counted = counted_votes(votes, raters=raters, choices="primary")
    policy = label_policy(
        votes, counted, classes=classes, keep=keep, raters=raters, choices="primary"
    )
    return statistics.label_votes(votes, counted, policy, utterance_table(made).consensus)


def test_every_policy_leaves_out_whom_it_must_and_says_why() -> None:
    found = {one.keep: one for one in statistics.count_keeps(labelled(MADE))}
    none = {"no counted vote": 1, "no vote in the classes": 1}  # h, e
    assert found["all-in"].left_out == {**none, "a vote outside": 4}  # b c d g
    assert found["majority-mass"].left_out == {**none, "half or more outside": 2}  # c d
    assert found["any-vote"].left_out == none
    assert found["consensus"].left_out == {**none, "no consensus": 1, "consensus outside": 1}
    assert {keep: one.kept for keep, one in found.items()} == {
        "all-in": 2,
        "majority-mass": 4,
        "any-vote": 6,
        "consensus": 4,
    }
    assert found["all-in"].entropy_mean == pytest.approx((2 + 1) / 2)  # a, f
    assert found["any-vote"].entropy_mean == pytest.approx(3 / 6)


def test_classes_by_votes_mass_arg_max_ties_and_consensus() -> None:
    neutral, happy, angry, sad = statistics.count_classes(labelled(MADE, keep="any-vote"))
    assert [one.name for one in (neutral, happy, angry, sad)] == FOUR.replace("+excited", "").split(
        ","
    )
    assert happy.labels == ("happy", "excited")
    assert (neutral.votes, happy.votes, angry.votes, sad.votes) == (1, 6, 2, 3)
    assert happy.mass == pytest.approx(0.25 + 1 + 0.5 + 1)
    assert neutral.mass + happy.mass + angry.mass + sad.mass == pytest.approx(6)
    assert [one.arg_max for one in (neutral, happy, angry, sad)] == [1, 3, 0, 2]
    assert [one.tied for one in (neutral, happy, angry, sad)] == [1, 1, 0, 0]  # a, f
    assert [one.consensus for one in (neutral, happy, angry, sad)] == [1, 2, 0, 1]


def test_entropies_lie_in_their_bins_upper_edge_included() -> None:
    found = statistics.count_entropies(labelled(MADE, keep="any-vote"))
    assert found is not None
    assert found.zero == 4  # b c d g
    assert found.edges == tuple(0.25 * number for number in range(9))
    assert found.counts == (0, 0, 0, 1, 0, 0, 0, 1)  # f has 1 bit, a has 2
    assert found.mean == pytest.approx(0.5)


def test_with_many_classes_bins_are_wide_and_reach_to_the_most_there_can_be() -> None:
    names = [f"label{number:02d}" for number in range(11)]
    found = statistics.count_entropies(labelled([utterance("a", *names)], classes=""))
    assert found is not None
    assert found.mean == pytest.approx(math.log2(11))
    assert found.edges == tuple(0.5 * number for number in range(8))
    assert found.counts == (0,) * 6 + (1,)


def test_where_nobody_is_kept_there_is_no_entropy_and_no_class_has_anything() -> None:
    found = labelled([utterance("a", "fear", "other")], keep="all-in")
    assert statistics.count_entropies(found) is None
    assert {(one.votes, one.mass, one.arg_max) for one in statistics.count_classes(found)} == {
        (0, 0, 0)
    }
    assert [one.entropy_mean for one in statistics.count_keeps(found)] == [None] * 4


votes = st.lists(
    st.sampled_from(["neutral", "happy", "excited", "angry", "sad", "other", "fear"]), max_size=5
)
consensus = st.sampled_from(["", "happy", "other"])


@settings(max_examples=40)
@given(st.lists(st.tuples(votes, consensus), min_size=1, max_size=8))
def test_kept_and_left_out_add_up_and_every_reason_is_found(
    rows: list[tuple[list[str], str]],
) -> None:
    base = [utterance("0", "neutral", "happy", "angry", "sad", consensus="sad")]
    made = base + [
        utterance(str(number + 1), *labels, consensus=label)
        for number, (labels, label) in enumerate(rows)
    ]
    for one in statistics.count_keeps(labelled(made)):
        assert one.kept + sum(one.left_out.values()) == len(made)
        mine = labelled(made, keep=one.keep)
        assert int(mine.kept.sum()) == one.kept
        found = statistics.count_entropies(mine)
        assert found is not None
        assert found.zero + sum(found.counts) == one.kept
        assert found.mean == one.entropy_mean


@pytest.mark.parametrize("keep", statistics.KEEPS)
def test_it_is_the_data_that_fit_trains_on(tmp_path: Path, keep: str) -> None:
    dataset = load(tmp_path, MADE, keep=keep)
    mine = labelled(MADE, keep=keep)
    np.testing.assert_array_equal(mine.counts[mine.kept], dataset.counts)
    masses = [one.mass for one in statistics.count_classes(mine)]
    np.testing.assert_allclose(masses, dataset.target.sum(axis=0))


def test_a_label_that_nobody_knows_is_refused_as_fit_refuses_it() -> None:
    with pytest.raises(ConfigError, match="no vote names the label exited; the votes name"):
        labelled(MADE, classes="neutral,exited")


def test_votes_of_each_kind_are_counted_with_and_without_names() -> None:
    made = [
        utterance(
            "a",
            Vote("r1", "sad"),
            Vote("r1", "fear"),
            Vote("r2", "sad"),
            Vote("r2", "other", primary=False),
            Vote("", "sad", kind="voice"),
            Vote("", "sad", kind="voice"),
        ),
        utterance("b", Vote("r1", "happy"), Vote("me", "sad", kind="self")),
    ]
    table = votes_table(made)
    raters = statistics.rater_numbers(table.rater)
    external, own, voice = statistics.count_kinds(table, raters)
    assert (external.kind, own.kind, voice.kind) == ("external", "self", "voice")
    assert (external.votes, external.secondary, external.raters) == (5, 1, 2)
    assert (external.unnamed, external.several, external.utterances) == (0, 2, 2)
    assert (voice.votes, voice.raters, voice.unnamed, voice.several) == (2, 0, 2, 0)
    assert statistics.count_kinds(votes_table([utterance("a")]), raters[:0]) == ()


def test_votes_per_utterance_count_those_without_too() -> None:
    table = votes_table(MADE)
    counted = counted_votes(table, raters="external", choices="primary")
    found = statistics.count_per_utterance(table, counted, num_utterances=len(MADE))
    assert found == {0: 1, 2: 3, 3: 3, 4: 1}
