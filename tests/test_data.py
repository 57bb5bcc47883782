"""From votes to soft labels: label policies worked by hand, and what holds for any votes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amber_cache.errors import CacheError, ConfigError
from amber_cache.records import Utterance, Vote
from amber_heads.data import Dataset, parse_classes
from tests.reference_cache import load, utterance


def votes_of(dataset: Dataset) -> dict[str, list[float]]:
    return dict(zip(dataset.ids.tolist(), dataset.counts.tolist(), strict=True))


#: Every class has a vote, so that none is refused.
ALL_FOUR = utterance("a", "neutral", "happy", "angry", "sad")


def test_a_soft_label_is_the_share_of_votes(tmp_path: Path) -> None:
    dataset = load(tmp_path, [ALL_FOUR, utterance("b", "sad", "neutral", "sad", "sad")])
    np.testing.assert_array_equal(dataset.target, [[0.25] * 4, [0.25, 0, 0, 0.75]])
    assert dataset.classes == ("neutral", "happy", "angry", "sad")


def test_merged_labels_add_their_votes_and_ties_stay(tmp_path: Path) -> None:
    dataset = load(tmp_path, [ALL_FOUR, utterance("b", "excited", "happy", "angry", "angry")])
    np.testing.assert_array_equal(dataset.target[1], [0, 0.5, 0.5, 0])


def test_several_ticks_of_one_rater_are_a_vote_each(tmp_path: Path) -> None:
    ticked = utterance("b", Vote("r0", "angry"), Vote("r0", "sad"), Vote("r1", "angry"))
    assert votes_of(load(tmp_path, [ALL_FOUR, ticked]))["b"] == [0, 0, 2, 1]


def test_secondary_choices_count_where_asked_for(tmp_path: Path) -> None:
    second = utterance("b", Vote("r0", "angry"), Vote("r0", "other", primary=False))
    third = utterance("c", Vote("r0", "sad"), Vote("r0", "happy", primary=False))
    primary = load(tmp_path, [ALL_FOUR, second, third])
    assert votes_of(primary)["b"] == [0, 0, 1, 0]
    assert votes_of(primary)["c"] == [0, 0, 0, 1]
    every = load(tmp_path, [ALL_FOUR, second, third], choices="all")
    assert "b" not in votes_of(every)  # "other" is now counted, and lies in no class
    assert votes_of(every)["c"] == [0, 1, 0, 1]


RATED = [
    ALL_FOUR,
    utterance("b", Vote("r0", "happy"), Vote("me", "sad", kind="self")),
    utterance("c", Vote("r0", "angry", kind="voice"), Vote("r1", "sad", kind="face")),
    utterance("d", Vote("me", "sad", kind="self")),
]


def test_self_raters_count_only_where_asked_for(tmp_path: Path) -> None:
    external, every = load(tmp_path, RATED), load(tmp_path, RATED, raters="all")
    assert votes_of(external) == {"a": [1, 1, 1, 1], "b": [0, 1, 0, 0], "c": [0, 0, 1, 1]}
    assert external.left_out == {"without a counted vote": 1}
    assert votes_of(every)["b"] == [0, 1, 0, 1]
    assert votes_of(every)["d"] == [0, 0, 0, 1]


def test_raters_of_one_kind_can_be_asked_for(tmp_path: Path) -> None:
    spoken = utterance("e", Vote("r0", "sad", kind="voice"))
    dataset = load(tmp_path, [RATED[2], spoken], raters="voice", classes="angry,sad")
    assert votes_of(dataset) == {"c": [1, 0], "e": [0, 1]}


POLICIES = [
    utterance("a", "neutral", "happy", "angry", "sad", consensus="neutral"),
    utterance("b", "happy", "happy", "other", consensus="happy"),
    utterance("c", "sad", "other", consensus="other"),
    utterance("d", "sad", "other", "fear", consensus="sad"),
    utterance("e", "other", "other", consensus="sad"),
    utterance("f", "angry", "excited", consensus=""),
    utterance("g", "excited", "excited", "fear", consensus="excited"),
    utterance("h", consensus="neutral"),
]


@pytest.mark.parametrize(
    ("keep", "ids"),
    [
        ("all-in", "af"),
        ("any-vote", "abcdfg"),
        ("majority-mass", "abfg"),
        ("consensus", "abdg"),
    ],
)
def test_a_keep_policy_lets_in_what_it_says(tmp_path: Path, keep: str, ids: str) -> None:
    dataset = load(tmp_path, POLICIES, keep=keep)
    assert "".join(dataset.ids) == ids
    np.testing.assert_allclose(dataset.target.sum(axis=1), 1, atol=1e-15)
    assert dataset.left_out == {"without a counted vote": 1, f"not kept by {keep}": 7 - len(ids)}


def test_votes_outside_the_classes_are_renormalised_away(tmp_path: Path) -> None:
    dataset = load(tmp_path, POLICIES, keep="any-vote")
    by_id = dict(zip(dataset.ids, dataset.target.tolist(), strict=True))
    assert by_id["d"] == [0, 0, 0, 1]
    assert by_id["g"] == [0, 1, 0, 0]


def test_incomplete_utterances_are_left_out_each_under_its_first_reason(tmp_path: Path) -> None:
    failed = {"audio": ["b", "h"], "text": ["a", "b", "f"]}
    more = [*POLICIES, utterance("i", "sad", "sad")]
    dataset = load(tmp_path, more, failed=failed, keep="any-vote")
    assert "".join(dataset.ids) == "cdgi"
    assert dataset.left_out == {
        "without a counted vote": 1,
        "not kept by any-vote": 1,
        "without audio": 1,
        "without text": 2,
    }
    assert len(dataset) + sum(dataset.left_out.values()) == len(more)
    audio_only = load(tmp_path, more, failed=failed, keep="any-vote", modalities=["audio"])
    assert "".join(audio_only.ids) == "acdfgi"


def test_vectors_votes_and_columns_stay_with_their_utterance(tmp_path: Path) -> None:
    some = [
        utterance("a", "neutral", "happy", "angry", "sad", speaker="s1"),
        utterance("b", "sad", speaker="s2", session="1"),
        utterance("c", "other", speaker="s3"),
        utterance("d", "angry", speaker="s4", text="hello"),
    ]
    dataset = load(tmp_path, some, failed={"text": ["b"]})
    assert dataset.ids.tolist() == ["a", "d"]
    np.testing.assert_array_equal(dataset.inputs["audio"], [[0, 1, 2], [9, 10, 11]])
    np.testing.assert_array_equal(dataset.inputs["text"], [[100, 101, 102], [109, 110, 111]])
    assert dataset.columns["speaker"].tolist() == ["s1", "s4"]
    assert dataset.columns["text"].tolist() == ["", "hello"]
    assert dataset.encoders == {"audio": "audio-encoder", "text": "text-encoder"}


def test_without_classes_every_voted_label_is_one_in_class_order_then_by_name(
    tmp_path: Path,
) -> None:
    some = [utterance("a", "zeal", "sad", "contempt", "bored"), utterance("b", "fear", "neutral")]
    dataset = load(tmp_path, some, classes="")
    assert dataset.classes == ("neutral", "sad", "fear", "contempt", "bored", "zeal")
    assert dataset.counts.sum(axis=0).tolist() == [1] * 6


def test_labels_that_no_counted_vote_names_are_no_class_of_their_own(tmp_path: Path) -> None:
    some = [utterance("a", "sad", "angry", Vote("me", "fear", kind="self"))]
    assert load(tmp_path, some, classes="").classes == ("angry", "sad")
    assert load(tmp_path, some, classes="", raters="all").classes == ("angry", "sad", "fear")


def refused(*utterances: Utterance, **policy: Any) -> Callable[[Path], Dataset]:
    return lambda path: load(path, utterances, **policy)


@pytest.mark.parametrize(
    ("loading", "message"),
    [
        (
            refused(utterance("a", "neutral", "happy")),
            "no counted vote names the class angry, sad; --classes may name neutral, happy",
        ),
        (
            refused(ALL_FOUR, Utterance(id="b", votes=(Vote("m", "fear", kind="self"),)),
                    classes="angry,fear"),
            "no counted vote names the class fear",
        ),
        (refused(ALL_FOUR, raters="face"), "--raters face: no such kind of rater; .* external"),
        (refused(utterance("a", "sad"), classes=""), "name sad; at least two classes are needed"),
        (refused(utterance("a"), classes=""), "name no label; at least two classes are needed"),
        (
            refused(ALL_FOUR, failed={"audio": "a"}),
            "no utterance is left to train on: 1 without audio",
        ),
        (
            refused(utterance("a", "sad", "happy", "fear"), classes="sad,happy"),
            "no utterance is left to train on: 1 not kept by all-in",
        ),
    ],
)  # fmt: skip
def test_what_gives_no_soft_label_is_refused(
    tmp_path: Path, loading: Callable[[Path], Dataset], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        loading(tmp_path)


def test_a_modality_that_the_cache_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="has no face embeddings; there are: audio, text"):
        load(tmp_path, [ALL_FOUR], modalities=["audio", "face"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("neutral", "at least two classes"),
        ("neutral,,sad", "none of them empty"),
        ("neutral,happy+", "none of them empty"),
        ("neutral,happy+sad,Sad", "sad stands in it twice"),
    ],
)
def test_a_class_list_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_classes(text)


def test_class_names_are_read_in_any_case_and_spacing() -> None:
    assert parse_classes(" Neutral , HAPPY + excited") == (("neutral",), ("happy", "excited"))


def test_the_fingerprint_follows_ids_votes_vectors_and_classes(tmp_path: Path) -> None:
    base = [ALL_FOUR, utterance("b", "sad", speaker="s1")]

    def fingerprint(*some: Utterance, **policy: Any) -> str:
        return load(tmp_path, some, **policy).fingerprint

    same = fingerprint(*base)
    assert fingerprint(*base) == same
    assert fingerprint(*base, utterance("c", "other")) == same  # left out, so not read
    others = [
        fingerprint(ALL_FOUR, utterance("b", "angry", speaker="s1")),
        fingerprint(ALL_FOUR, utterance("b2", "sad", speaker="s1")),
        fingerprint(ALL_FOUR, utterance("b", "sad", speaker="s2")),
        fingerprint(ALL_FOUR, utterance("b", "sad", "sad", speaker="s1")),
        fingerprint(*base, modalities=["audio"]),
    ]
    assert len({same, *others}) == 6


def test_other_labels_with_the_same_votes_have_another_fingerprint(tmp_path: Path) -> None:
    glad, cross = (
        load(tmp_path, [utterance("a", *labels)], classes="").fingerprint
        for labels in (("neutral", "happy"), ("angry", "sad"))
    )
    assert glad != cross
