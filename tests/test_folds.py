"""Splits: every utterance tested once, parts apart, groups whole, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amber_cache.errors import ConfigError
from amber_heads.folds import Fold, balanced_folds, group_folds, make_folds

RANDOM = np.random.default_rng(0)
SIZE = 240
AMBIGUITY = RANDOM.choice([0.0, 0.65, 0.918, 1.0, 1.5], size=SIZE)


def text(items: Sequence[str]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = list(items)
    return array


def columns(**changed: Sequence[str]) -> dict[str, np.ndarray]:
    speakers = [f"s{number}" for number in RANDOM.integers(12, size=SIZE)]
    sessions = [f"Ses0{1 + int(one[1:]) % 5}" for one in speakers]
    blank = [""] * SIZE
    given = {"speaker": speakers, "session": sessions, "split": blank}
    given |= {"dialogue": blank, "text": blank, **changed}
    return {name: text(values) for name, values in given.items()}


COLUMNS = columns()


def folds_of(kind: str, **changed: object) -> tuple[Fold, ...]:
    arguments = {"columns": COLUMNS, "ambiguity": AMBIGUITY, "num_folds": 5, "seed": 0}
    return make_folds(kind, **{**arguments, "validation": "next", **changed})  # type: ignore[arg-type]


def parts(fold: Fold) -> list[np.ndarray]:
    return [fold.train, fold.validation, *fold.tests.values()]


@pytest.mark.parametrize("kind", ["session", "speaker", "random"])
@pytest.mark.parametrize("validation", ["next", "random"])
def test_every_utterance_is_tested_once_and_stands_in_one_part_of_each_fold(
    kind: str, validation: str
) -> None:
    folds = folds_of(kind, validation=validation)
    tested = np.concatenate([fold.tests["test"] for fold in folds])
    np.testing.assert_array_equal(np.sort(tested), np.arange(SIZE))
    for fold in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate(parts(fold))), np.arange(SIZE))
        assert all(len(part) and (np.diff(part) > 0).all() for part in parts(fold))


@pytest.mark.parametrize("kind", ["session", "speaker"])
def test_training_validation_and_test_share_no_group(kind: str) -> None:
    for fold in folds_of(kind):
        groups = [set(COLUMNS[kind][part]) for part in parts(fold)]
        assert sum(len(group) for group in groups) == len(set.union(*groups))


@pytest.mark.parametrize("kind", ["session", "speaker"])
def test_a_random_validation_part_shares_no_group_with_test(kind: str) -> None:
    for fold in folds_of(kind, validation="random"):
        rest = np.concatenate([fold.train, fold.validation])
        assert not set(COLUMNS[kind][rest]) & set(COLUMNS[kind][fold.tests["test"]])
        assert len(fold.validation) == round(0.2 * len(rest))


@pytest.mark.parametrize("kind", ["session", "speaker", "random"])
def test_validation_is_the_next_folds_test_part_and_the_last_folds_the_first(kind: str) -> None:
    folds = folds_of(kind)
    for number, fold in enumerate(folds):
        following = folds[(number + 1) % 5]
        np.testing.assert_array_equal(fold.validation, following.tests["test"])


def test_sessions_are_tested_in_the_order_of_their_names() -> None:
    folds = folds_of("session")
    assert [fold.name for fold in folds] == ["Ses01", "Ses02", "Ses03", "Ses04", "Ses05"]
    for fold in folds:
        assert set(COLUMNS["session"][fold.tests["test"]]) == {fold.name}


def test_more_speakers_than_folds_are_joined_into_folds_of_like_size() -> None:
    fold_of, names = group_folds(COLUMNS["speaker"], kind="speaker", num_folds=5, seed=0)
    sizes = np.bincount(fold_of, minlength=5)
    largest = max(np.unique(COLUMNS["speaker"].astype(str), return_counts=True)[1])
    assert sizes.max() - sizes.min() <= largest
    for fold, name in enumerate(names):
        assert set(COLUMNS["speaker"][fold_of == fold]) == set(name.split("+"))


def test_a_fold_of_many_speakers_is_named_by_its_number() -> None:
    crowd = text([f"s{number:03d}" for number in range(30)])
    _, names = group_folds(crowd, kind="speaker", num_folds=3, seed=0)
    assert names == ("1 (10 speakers)", "2 (10 speakers)", "3 (10 speakers)")


def test_joining_is_greedy_from_the_largest_group() -> None:
    groups = text(["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d"] * 2)
    fold_of, names = group_folds(groups, kind="speaker", num_folds=2, seed=0)
    assert names == ("a+d", "b+c")
    np.testing.assert_array_equal(np.bincount(fold_of), [7, 7])


@given(
    ambiguity=st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=3, max_size=60),
    num_folds=st.integers(2, 6),
    seed=st.integers(0, 5),
)
def test_random_folds_have_equal_sizes_and_like_ambiguity(
    ambiguity: list[float], num_folds: int, seed: int
) -> None:
    values = np.array(ambiguity)
    if len(values) < num_folds:
        with pytest.raises(ConfigError, match=f"fewer than {num_folds} folds"):
            balanced_folds(values, num_folds=num_folds, seed=seed)
        return
    fold_of = balanced_folds(values, num_folds=num_folds, seed=seed)
    sizes = np.bincount(fold_of, minlength=num_folds)
    assert sizes.max() - sizes.min() <= 1
    # Dealt in rounds along the order: two folds' sums differ by one value's range at most.
    sums = np.bincount(fold_of, weights=values, minlength=num_folds)
    assert sums.max() - sums.min() <= 2 * values.max() + 1e-9


def test_random_folds_are_as_ambiguous_as_each_other() -> None:
    fold_of = balanced_folds(AMBIGUITY, num_folds=5, seed=0)
    means = [AMBIGUITY[fold_of == fold].mean() for fold in range(5)]
    assert max(means) - min(means) < 0.03
    assert np.bincount(fold_of).tolist() == [48] * 5


@pytest.mark.parametrize("kind", ["random", "speaker"])
def test_a_seed_gives_its_own_folds_again_and_another_seed_others(kind: str) -> None:
    first, again, other = (
        [fold.tests["test"].tolist() for fold in folds_of(kind, seed=seed)] for seed in (1, 1, 2)
    )
    assert first == again
    if kind == "random":
        assert first != other


def test_official_splits_are_one_fold_with_every_named_test_set() -> None:
    words = ["Train", "training", "TRAIN", "Development", "dev", "Validation", "Test1", "test2"]
    split = [words[number % 8] for number in range(SIZE - 10)] + [""] * 5 + ["TEST1"] * 5
    (fold,) = folds_of("official", columns=columns(split=split))
    lower = text([word.lower() for word in split])
    assert set(lower[fold.train]) == {"train", "training"}
    assert set(lower[fold.validation]) == {"development", "dev", "validation"}
    assert list(fold.tests) == ["test1", "test2"]
    assert set(lower[fold.tests["test1"]]) == {"test1"}
    assert set(lower[fold.tests["test2"]]) == {"test2"}
    assert sum(len(part) for part in parts(fold)) == SIZE - 5


def test_official_splits_without_a_test_set_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no test split is named; there are Train, dev$"):
        folds_of("official", columns=columns(split=["Train", "dev"] * (SIZE // 2)))
    with pytest.raises(ConfigError, match=r"no test split is named; there are no splits$"):
        folds_of("official")


@pytest.mark.parametrize(
    ("words", "part"), [(("Test", "dev"), "training"), (("train", "test"), "validation")]
)
def test_official_splits_without_a_part_are_refused(words: tuple[str, str], part: str) -> None:
    with pytest.raises(ConfigError, match=f"fold official: its {part} part has no utterance"):
        folds_of("official", columns=columns(split=list(words) * (SIZE // 2)))


@pytest.mark.parametrize(("kind", "other"), [("session", "speaker"), ("speaker", "session")])
def test_a_column_with_gaps_is_refused_with_the_way_out(kind: str, other: str) -> None:
    gaps = COLUMNS[kind].copy()
    gaps[:3] = ""
    with pytest.raises(
        ConfigError,
        match=f"--folds {kind}: 3 of 240 utterances have no {kind}; use --folds {other} or",
    ):
        folds_of(kind, columns={**COLUMNS, kind: gaps})


@pytest.mark.parametrize(("sessions", "way_out"), [(4, "--num-folds 4"), (2, "--folds random")])
def test_fewer_groups_than_folds_are_refused_with_a_way_out_that_works(
    sessions: int, way_out: str
) -> None:
    few = columns(session=[f"Ses{number % sessions}" for number in range(SIZE)])
    with pytest.raises(ConfigError, match=f"there are {sessions} sessions.*use {way_out}$"):
        folds_of("session", columns=few)


def test_a_training_part_without_utterances_is_refused() -> None:
    two = columns(session=["a", "b"] * (SIZE // 2))
    with pytest.raises(ConfigError, match="fold a: its training part has no utterance"):
        folds_of("session", columns=two, num_folds=2)
