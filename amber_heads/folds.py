"""Test, validation and training parts as index arrays: pure, and the same for the same input.

Folds are numbered; an utterance is in the test part of exactly one, except with official splits,
where there is one fold and as many named test sets as the corpus has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from amber_cache.errors import ConfigError
from amber_heads.counting import counted
from amber_heads.policies.codes import is_unknown
from amber_heads.policies.groups import GROUPED, group_by

__all__ = [
    "Fold",
    "absent_test_sets",
    "balanced_folds",
    "group_folds",
    "make_folds",
]

#: The words for the official parts, as corpora write them, in lower case.
_TRAIN_WORDS = ("train", "training")
_VALIDATION_WORDS = ("development", "validation", "dev", "val")

#: How many groups a fold's name lists; it counts more.
_MOST_NAMED = 4

#: The share of the training part that a random validation part takes.
RANDOM_VALIDATION_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One way to part the utterances.

    Attributes:
        name: What is tested: a session's or a speaker group's name, or a number.
        train: Indices, sorted, as are the others.
        validation: Indices.
        tests: Indices by the test set's name; one set "test", or the official ones.
    """

    name: str
    train: np.ndarray
    validation: np.ndarray
    tests: Mapping[str, np.ndarray]


def make_folds(
    kind: str,
    *,
    columns: Mapping[str, np.ndarray],
    ambiguity: np.ndarray,
    num_folds: int,
    seed: int,
    validation: str,
) -> tuple[Fold, ...]:
    """Part the utterances.

    Args:
        kind: session, speaker, dialogue, random or official.
        columns: (N,) strings by name; groups are those of `group_by`.
        ambiguity: (N,) entropy of the soft labels, by which random folds are balanced.
        seed: Of every random choice.
        validation: next (the fold after the test fold) or random (20% of the rest).

    Raises:
        ConfigError: An utterance has no group, there are fewer groups than folds, or a part is
            empty.
    """
    if kind == "official":
        return (_official(columns["split"]),)
    if kind in GROUPED:
        groups = group_by(kind, columns).names
        fold_of, names = group_folds(groups, kind=kind, num_folds=num_folds, seed=seed)
    else:
        fold_of = balanced_folds(ambiguity, num_folds=num_folds, seed=seed)
        names = tuple(str(number + 1) for number in range(num_folds))
    folds = tuple(
        _fold(number, names, fold_of, validation=validation, seed=seed)
        for number in range(num_folds)
    )
    for fold in folds:
        _refuse_empty(fold)
    return folds


def group_folds(
    groups: np.ndarray, *, kind: str, num_folds: int, seed: int
) -> tuple[Int[np.ndarray, " utterance"], tuple[str, ...]]:
    """Put whole groups into folds: one each, or several of like total size.

    Raises:
        ConfigError: There are fewer of them than folds.
    """
    names, member, sizes = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    if len(names) < num_folds:
        fewer = f"--num-folds {len(names)}" if len(names) >= 3 else "--folds random"
        raise ConfigError(
            f"--folds {kind}: there are {len(names)} {kind}s, fewer than {num_folds} folds; "
            f"use {fewer}"
        )
    if len(names) == num_folds:
        return member.astype(np.int64), tuple(str(name) for name in names)
    fold_of_group = _like_sizes(sizes, num_folds=num_folds, seed=seed)
    joined = tuple(
        _joined(names[fold_of_group == fold], kind, number=fold + 1) for fold in range(num_folds)
    )
    return fold_of_group[member], joined


def balanced_folds(
    ambiguity: np.ndarray, *, num_folds: int, seed: int
) -> Int[np.ndarray, " utterance"]:
    """Deal utterances, ordered by ambiguity, into folds of equal size and like ambiguity."""
    if len(ambiguity) < num_folds:
        are = counted(len(ambiguity), "utterance is", "utterances are")
        raise ConfigError(f"{are} fewer than {num_folds} folds")
    random = np.random.default_rng([seed, 0])
    order = np.lexsort((random.permutation(len(ambiguity)), ambiguity))
    rounds = -(-len(order) // num_folds)
    deal = np.concatenate([random.permutation(num_folds) for _ in range(rounds)])
    fold_of = np.empty(len(order), dtype=np.int64)
    fold_of[order] = deal[: len(order)]
    return fold_of


def absent_test_sets(split: np.ndarray, used: np.ndarray) -> dict[str, int]:
    """Official test sets of which no utterance is used, and their sizes.

    Args:
        split: Every utterance's official part.
        used: That of the utterances that have a soft label.
    """
    words, there = _split_words(split), set(_split_words(used))
    return {name: int((words == name).sum()) for name in _test_names(words) if name not in there}


def _joined(names: np.ndarray, kind: str, *, number: int) -> str:
    return "+".join(names) if len(names) <= _MOST_NAMED else f"{number} ({len(names)} {kind}s)"


def _like_sizes(sizes: np.ndarray, *, num_folds: int, seed: int) -> Int[np.ndarray, " group"]:
    """Greedy: the largest group goes to the fold that is emptiest so far, ties at random."""
    random = np.random.default_rng([seed, 1])
    order = np.lexsort((random.permutation(len(sizes)), -sizes))
    totals = np.zeros(num_folds)
    fold_of = np.empty(len(sizes), dtype=np.int64)
    for group in order:
        fold_of[group] = int(np.argmin(totals))
        totals[fold_of[group]] += sizes[group]
    return fold_of


def _fold(
    number: int, names: tuple[str, ...], fold_of: np.ndarray, *, validation: str, seed: int
) -> Fold:
    test = np.flatnonzero(fold_of == number)
    rest = np.flatnonzero(fold_of != number)
    if validation == "next":
        is_validation = fold_of[rest] == (number + 1) % len(names)
    else:
        random = np.random.default_rng([seed, 2, number])
        is_validation = np.zeros(len(rest), dtype=bool)
        size = round(RANDOM_VALIDATION_SHARE * len(rest))
        is_validation[random.permutation(len(rest))[:size]] = True
    return Fold(
        name=names[number],
        train=rest[~is_validation],
        validation=rest[is_validation],
        tests={"test": test},
    )


def _split_words(split: np.ndarray) -> np.ndarray:
    """The parts' names in lower case; "" where there is none."""
    words = np.array([word.strip().lower() for word in split], dtype=object)
    words[is_unknown(split)] = ""
    return words


def _test_names(words: np.ndarray) -> list[str]:
    return sorted(set(words) - {*_TRAIN_WORDS, *_VALIDATION_WORDS, ""})


def _official(split: np.ndarray) -> Fold:
    words = _split_words(split)
    train = np.flatnonzero(np.isin(words, _TRAIN_WORDS))
    validation = np.flatnonzero(np.isin(words, _VALIDATION_WORDS))
    names = _test_names(words)
    if not names:
        there = ", ".join(sorted(set(split) - {""})) or "no splits"
        raise ConfigError(f"--folds official: no test split is named; there are {there}")
    tests = {name: np.flatnonzero(words == name) for name in names}
    fold = Fold(name="official", train=train, validation=validation, tests=tests)
    _refuse_empty(fold)
    return fold


def _refuse_empty(fold: Fold) -> None:
    parts = {"training": fold.train, "validation": fold.validation, **fold.tests}
    if empty := [name for name, part in parts.items() if not len(part)]:
        raise ConfigError(
            f"fold {fold.name}: its {' and '.join(empty)} part has no utterance under this label "
            "policy; use other --folds, --num-folds or --keep"
        )
