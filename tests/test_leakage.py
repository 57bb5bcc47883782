"""What training shares with test: counted by hand, against plain sets, and said in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amber_heads.folds import Fold, make_folds
from amber_heads.leakage import KINDS, LONG_TEXT, measure_leakage, normalized, shared_only
from amber_heads.leakage_words import leakage_block, leakage_warnings


def text(items: Sequence[str]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = list(items)
    return array


def columns(**given: Sequence[str]) -> dict[str, np.ndarray]:
    size = len(next(iter(given.values())))
    blank = dict.fromkeys(("speaker", "session", "dialogue", "text", "style", "split"), [""] * size)
    return {name: text(values) for name, values in (blank | given).items()}


def fold(train: list[int], validation: list[int], name: str = "a", **tests: list[int]) -> Fold:
    return Fold(
        name=name,
        train=np.array(train, dtype=np.int64),
        validation=np.array(validation, dtype=np.int64),
        tests={test: np.array(index, dtype=np.int64) for test, index in tests.items()},
    )


def counts(one: dict[str, Any]) -> tuple[int, int, int]:
    return one["values"], one["test_utterances"], one["known"]


def test_what_training_and_validation_share_with_test_worked_by_hand() -> None:
    shared = columns(
        speaker=["ann", "bob", "ann", "eve", "", ""],
        session=["1", "1", "2", "2", "3", "3"],
        dialogue=["d"] * 6,
        text=["Yes.", "no", "  YES! ", "hm", "hm", "yes."],
    )
    folds = (
        fold([0, 1], [3], test=[2, 4]),
        fold([2, 4], [3], name="b", one=[0, 1], two=[5]),
    )
    found = measure_leakage(folds, shared)
    # Fold a: ann and "yes" in utterance 2. Fold b: ann and "yes" in 0; in 5 session 3 and "yes".
    assert {kind: counts(one) for kind, one in found.items()} == {
        "speaker": (2, 2, 3),
        "session": (1, 1, 5),
        "dialogue": (3, 5, 5),
        "text": (3, 3, 5),
        LONG_TEXT: (0, 0, 0),
    }
    # With validation, utterance 3: session 2 in 2, the dialogue everywhere, and "hm" in 4.
    assert {kind: counts(one["validation"]) for kind, one in found.items()} == {
        "speaker": (0, 0, 3),
        "session": (1, 1, 5),
        "dialogue": (3, 5, 5),
        "text": (1, 1, 5),
        LONG_TEXT: (0, 0, 0),
    }
    assert found["text"]["share"] == 3 / 5
    rows = found["speaker"]["per_fold"]
    assert [(row["fold"], row["test"], *counts(row), row["share"]) for row in rows] == [
        ("a", "test", 1, 1, 1, 1.0),
        ("b", "one", 1, 1, 2, 0.5),
        ("b", "two", 0, 0, 0, 0.0),
    ]


def test_what_nobody_knows_is_shared_by_nobody() -> None:
    unknown = ["", "Unknown", "UNKNOWN ", " unknown"]
    blank = columns(speaker=unknown, session=unknown, dialogue=unknown, text=["", " ", "...", "?!"])
    found = measure_leakage([fold([0, 1], [2], test=[2, 3])], blank)
    assert all(counts(one) == (0, 0, 0) and one["share"] == 0 for one in found.values())
    assert shared_only(found) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I can't believe it.", "i CAN'T  believe\tit"),
        ("Don\u2019t you go", "dont you go"),
        ("Well - no \u2026 never!", "well, no; never"),
        ("well-known", "well known"),
        ("caf\u00e9", "cafe\u0301"),
        ("\u00bfQu\u00e9?", "qu\u00e9"),
    ],
)
def test_case_punctuation_and_spacing_make_no_other_transcript(one: str, other: str) -> None:
    assert normalized(one) == normalized(other) != ""


@pytest.mark.parametrize(
    ("one", "other"), [("no", "know"), ("we are", "were"), ("5", "6"), ("a b", "ab"), ("", "a")]
)
def test_other_words_are_another_transcript(one: str, other: str) -> None:
    assert normalized(one) != normalized(other)


def test_transcripts_of_four_words_are_counted_apart_and_by_style() -> None:
    lines = ["Oh, I see!", "oh, I see that", "it's what you said", "yes", "Oh I see that."]
    given = columns(
        text=[*lines, "it's what you said!", "Oh I see", "yes", "new words of mine"],
        style=["scripted", "scripted", "improvised", "", *["scripted", "improvised", "scripted"]]
        + ["", "improvised"],
    )
    found = measure_leakage([fold([0, 1, 2], [3], test=[4, 5, 6, 7, 8])], given)
    assert counts(found["text"]) == (3, 3, 5)
    assert counts(found[LONG_TEXT]) == (2, 2, 3)
    by_style = {style: counts(one) for style, one in found[LONG_TEXT]["by_style"].items()}
    assert by_style == {"improvised": (1, 1, 2), "scripted": (1, 1, 1)}
    assert counts(found["text"]["validation"]) == (1, 1, 5)


def test_one_style_is_not_counted_apart() -> None:
    given = columns(text=["a b c d"] * 3, style=["scripted", "", "scripted"])
    assert "by_style" not in measure_leakage([fold([0], [1], test=[2])], given)[LONG_TEXT]


names = st.sampled_from(["", "Unknown", "ann", "ANN", "bob", "so it is now", "So, it is now!"])


@settings(max_examples=50)
@given(
    values=st.lists(names, min_size=12, max_size=30),
    parts=st.lists(st.integers(0, 2), min_size=30, max_size=30),
)
def test_counts_are_those_of_plain_sets(values: list[str], parts: list[int]) -> None:
    part = np.array(parts[: len(values)])
    train, validation, test = (np.flatnonzero(part == p).tolist() for p in range(3))
    one = fold(train, validation, test=test)
    found = measure_leakage([one], columns(speaker=values, text=values))
    for kind, same in (
        ("speaker", str.lower),
        ("text", lambda v: v.lower().replace(",", "").strip("!")),
    ):
        mine = ["" if v in ("", "Unknown") else same(v) for v in values]
        for index, got in ((one.train, found[kind]), (one.validation, found[kind]["validation"])):
            seen = {mine[i] for i in index} - {""}
            hits = [mine[i] for i in one.tests["test"] if mine[i] in seen]
            known = sum(bool(mine[i]) for i in one.tests["test"])
            assert counts(got) == (len(set(hits)), len(hits), known)


def test_grouped_folds_share_none_of_their_groups_and_random_ones_do() -> None:
    random = np.random.default_rng(0)
    given = columns(
        speaker=[f"s{i}" for i in random.integers(12, size=200)],
        session=[f"{i}" for i in random.integers(8, size=200)],
        dialogue=[f"d{i}" for i in random.integers(20, size=200)],
    )
    told = {"columns": given, "ambiguity": np.zeros(200), "num_folds": 4, "seed": 0}
    for kind in ("speaker", "session", "dialogue"):
        found = measure_leakage(make_folds(kind, validation="next", **told), given)
        assert counts(found[kind]) == (0, 0, 200)
        assert counts(found[kind]["validation"]) == (0, 0, 200)
    found = measure_leakage(make_folds("random", validation="next", **told), given)
    assert found["speaker"]["share"] == 1
    assert shared_only(found).keys() == {"speaker", "session", "dialogue"}


def _leakage(**shares: float) -> dict[str, Any]:
    """Made counts: of 1,000 test utterances, some share of each kind."""
    found = {}
    for kind in KINDS:
        share = shares.get(kind, 0.0)
        one = {"values": 3, "test_utterances": round(1000 * share), "known": 1000, "share": share}
        row = {"fold": "a", "test": "test", **one}
        found[kind] = {**one, "validation": {**one, "test_utterances": 0}, "per_fold": [row]}
    return found


def warned(folds: str, modalities: Sequence[str] = ("audio", "text"), **shares: float) -> list[str]:
    return leakage_warnings(_leakage(**shares), folds=folds, modalities=modalities)


@pytest.mark.parametrize("folds", ["speaker", "official", "session"])
def test_shared_speakers_are_a_loud_warning_where_folds_should_keep_them_apart(folds: str) -> None:
    (line,) = warned(folds, speaker=0.03)
    assert line == (
        f"WARNING: --folds {folds} does not keep speakers apart here: training has the speaker of "
        "30 of 1000 test utterances (3%)"
    )
    assert warned(folds) == []


def test_random_folds_say_that_they_share_speakers_and_dialogue_folds_promise_none() -> None:
    (line,) = warned("random", speaker=1.0)
    assert line.startswith("--folds random keeps no speakers apart: training has the speaker of 10")
    assert warned("random", session=1.0, dialogue=1.0) == []
    assert warned("dialogue", speaker=1.0) == []
    assert "does not keep dialogues apart" in warned("dialogue", dialogue=0.001)[0]


def test_test_sets_that_are_touched_are_named() -> None:
    leakage = _leakage(speaker=0.5)
    row = leakage["speaker"]["per_fold"][0]
    rows = [{**row, "test": "test1"}, {**row, "test": "test2", "test_utterances": 0}]
    leakage["speaker"]["per_fold"] = rows
    (line,) = leakage_warnings(leakage, folds="official", modalities=["audio"])
    assert line.endswith("500 of 1000 test utterances (50%) in test1")


def test_transcripts_that_a_text_head_can_learn_by_heart_are_a_warning() -> None:
    (line,) = warned("speaker", text=0.51, **{LONG_TEXT: 0.3})
    assert line.startswith("WARNING: training has the transcript of 510 of 1000 test utterances")
    assert "learn them by heart" in line
    assert warned("speaker", text=0.5) == []  # "yeah" and "okay" stand everywhere
    assert warned("speaker", ("audio",), text=1.0) == []  # where no head reads


def test_lines_that_recur_are_told_with_the_style_that_is_free_of_them() -> None:
    assert warned("session", **{LONG_TEXT: 0.05}) == []
    (line,) = warned("session", **{LONG_TEXT: 0.12})
    assert "120 of 1000 test utterances (12%), counting 4 words or more" in line
    assert "--subset" not in line
    leakage = _leakage(**{LONG_TEXT: 0.12})
    leakage[LONG_TEXT]["by_style"] = {
        style: {"values": 1, "test_utterances": 1, "known": 100, "share": share}
        for style, share in (("improvised", 0.007), ("scripted", 0.3))
    }
    (line,) = leakage_warnings(leakage, folds="session", modalities=["text"])
    assert "(improvised under 1%, scripted 30%; --subset style=improvised is without them)" in line


def test_the_block_says_what_is_shared_what_is_not_and_what_nobody_knows() -> None:
    leakage = _leakage(speaker=0.25)
    leakage["session"] |= {"known": 0}
    leakage["dialogue"] |= {"known": 990}
    leakage["text"]["validation"]["test_utterances"] = 7
    assert leakage_block(leakage, num_test=1000) == [
        "leakage: of 1000 test utterances, how many share with training ...",
        "  their speaker: 250 of 1000 (25%), 3 shared",
        "  their session: unknown for all of them",
        "  their dialogue: none; unknown for 10",
        "  their transcript: none; with validation: 7",
        "  their transcript of 4 words or more: none",
    ]
