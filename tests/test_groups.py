"""Groups that stay whole: unknown speakers go by their dialogue, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amber_cache.errors import ConfigError
from amber_heads.folds import absent_test_sets, make_folds
from amber_heads.policies.groups import group_by


def text(items: Sequence[str]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = list(items)
    return array


def columns(**given: Sequence[str]) -> dict[str, np.ndarray]:
    size = len(next(iter(given.values())))
    blank = dict.fromkeys(("speaker", "session", "dialogue", "split"), [""] * size)
    return {name: text(values) for name, values in (blank | given).items()}


def test_known_names_are_the_groups() -> None:
    groups = group_by("speaker", columns(speaker=["b", "a", "b"]))
    assert (groups.names.tolist(), groups.num_by_dialogue) == (["b", "a", "b"], 0)


@pytest.mark.parametrize("unknown", ["", "Unknown", "UNKNOWN", " unknown "])
def test_an_unknown_speaker_goes_with_who_is_heard_most_in_the_dialogue(unknown: str) -> None:
    rows = [
        ("ann", "d1", "ann"),
        ("bob", "d1", "bob"),
        ("bob", "d1", "bob"),
        (unknown, "d1", "bob"),
        ("ann", "d2", "ann"),
        ("eve", "d2", "eve"),
        (unknown, "d2", "ann"),  # of equals the first by name
        (unknown, "d3", "dialogue d3"),  # where nobody is known, they are a group
        (unknown, "d3", "dialogue d3"),
        (unknown, "d4", "dialogue d4"),
    ]
    speaker, dialogue, wanted = zip(*rows, strict=True)
    groups = group_by("speaker", columns(speaker=speaker, dialogue=dialogue))
    assert groups.names.tolist() == list(wanted)
    assert groups.num_by_dialogue == 5


def test_a_dialogue_does_not_bind_its_known_speakers_to_each_other() -> None:
    speaker = ["host", "guest1", "", "host", "guest2", "", "host", "guest3", ""]
    dialogue = ["d1"] * 3 + ["d2"] * 3 + ["d3"] * 3
    groups = group_by("speaker", columns(speaker=speaker, dialogue=dialogue))
    assert set(groups.names) == {"host", "guest1", "guest2", "guest3"}


def test_an_unknown_session_goes_by_its_dialogue_too() -> None:
    groups = group_by("session", columns(session=["1", "", "2"], dialogue=["d1", "d1", "d2"]))
    assert groups.names.tolist() == ["1", "1", "2"]


@pytest.mark.parametrize(
    ("kind", "given", "line"),
    [
        (
            "speaker",
            {"speaker": ["a", "Unknown", ""], "dialogue": ["d", "d", ""], "session": ["1"] * 3},
            "1 of 3 utterances have no speaker and no dialogue; use --folds session or",
        ),
        (
            "speaker",
            {"speaker": ["a", "Unknown", ""]},
            "2 of 3 utterances have no speaker; use --folds random",
        ),
        (
            "speaker",
            {"speaker": ["Unknown"] * 3, "dialogue": ["d1", "d2", "d3"]},
            "3 of 3 utterances have no speaker; use --folds dialogue or --folds random",
        ),
        (
            "session",
            {"session": [""] * 3, "speaker": ["a", "b", "c"], "dialogue": ["d"] * 3},
            "3 of 3 utterances have no session; use --folds speaker or --folds random",
        ),
        (
            "dialogue",
            {"dialogue": ["d", "", "d"], "speaker": ["a", "", "b"]},
            "1 of 3 utterances have no dialogue; use --folds random",
        ),
    ],
)
def test_who_can_be_put_nowhere_is_refused_with_a_way_out_that_works(
    kind: str, given: dict[str, list[str]], line: str
) -> None:
    with pytest.raises(ConfigError, match=f"--folds {kind}: {line}"):
        group_by(kind, columns(**given))


names = st.sampled_from(["", "Unknown", "ann", "bob", "eve", "kim", "lee"])


@given(rows=st.lists(st.tuples(names, st.sampled_from(["d1", "d2", "d3", "d4"])), min_size=20))
def test_no_known_speaker_and_no_dialogues_unknown_ones_are_torn_apart(
    rows: list[tuple[str, str]],
) -> None:
    speaker, dialogue = (list(one) for one in zip(*rows, strict=True))
    given = columns(speaker=speaker, dialogue=dialogue)
    unknown = np.array([one in ("", "Unknown") for one in speaker])
    if unknown.all():
        return
    found = group_by("speaker", given).names
    if len(set(found)) < 3:
        return
    folds = make_folds(
        "speaker",
        columns=given,
        ambiguity=np.zeros(len(rows)),
        num_folds=3,
        seed=0,
        validation="next",
    )
    fold_of = np.zeros(len(rows), dtype=int)
    for number, fold in enumerate(folds):
        fold_of[fold.tests["test"]] = number
    for one in set(given["speaker"][~unknown]):
        assert len(set(fold_of[given["speaker"] == one])) == 1
    for one in set(given["dialogue"]):
        mine = unknown & (given["dialogue"] == one)
        assert len(set(fold_of[mine])) <= 1
        known = ~unknown & (given["dialogue"] == one)
        if mine.any() and known.any():
            heard, times = np.unique(given["speaker"][known].astype(str), return_counts=True)
            homes = {fold_of[given["speaker"] == who][0] for who in heard[times == times.max()]}
            assert fold_of[mine][0] in homes


def test_official_test_sets_that_nobody_uses_are_counted() -> None:
    split = text(["Train", "Validation", "Test1", "Test3", "TEST3", "Unknown", ""])
    assert absent_test_sets(split, split[:3]) == {"test3": 2}
    assert absent_test_sets(split, split[:2]) == {"test1": 1, "test3": 2}
    assert absent_test_sets(split, split) == {}


def test_an_unknown_split_is_no_test_set() -> None:
    split = ["Train", "Validation", "Test1", "Unknown", ""] * 2
    (fold,) = make_folds(
        "official",
        columns=columns(split=split),
        ambiguity=np.zeros(10),
        num_folds=5,
        seed=0,
        validation="next",
    )
    assert list(fold.tests) == ["test1"]
