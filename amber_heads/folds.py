"""Test, validation and training parts as index arrays: pure, and the same for the same input.

Folds are numbered; an utterance is in the test part of exactly one, except with official splits,
where there is one fold and as many named test sets as the corpus has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from amber_cache.errors import ConfigError

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
        kind: session, speaker, random or official.
        columns: (N,) strings by name; the column of that kind must be filled in.
        ambiguity: (N,) entropy of the soft labels, by which random folds are balanced.
        seed: Of every random choice.
        validation: next (the fold after the test fold) or random (20% of the rest).

    Raises:
        ConfigError: A column is empty, there are fewer groups than folds, or a part is empty.
    """
    if kind == "official":
        return (_official(columns["split"]),)
    if kind == "random":
        fold_of = balanced_folds(ambiguity, num_folds=num_folds, seed=seed)
        names = tuple(str(number + 1) for number in range(num_folds))
    else:
        fold_of, names = group_folds(columns[kind], kind=kind, num_folds=num_folds, seed=seed)
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
    """Put whole sessions or speakers into folds: one each, or several of like total size.

    Raises:
        ConfigError: An utterance has none, or there are fewer of them than folds.
    """
    if missing := int((groups == "").sum()):
        other = "speaker" if kind == "session" else "session"
        raise ConfigError(
            f"--folds {kind}: {missing} of {len(groups)} utterances have no {kind}; "
            f"use --folds {other} or --folds random"
        )
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
        raise ConfigError(f"{len(ambiguity)} utterances are fewer than {num_folds} folds")
    random = np.random.default_rng([seed, 0])
    order = np.lexsort((random.permutation(len(ambiguity)), ambiguity))
    rounds = -(-len(order) // num_folds)
    deal = np.concatenate([random.permutation(num_folds) for _ in range(rounds)])
    fold_of = np.empty(len(order), dtype=np.int64)
    fold_of[order] = deal[: len(order)]
    return fold_of


def leakage(folds: Sequence[Fold], columns: Mapping[str, np.ndarray]) -> dict[str, dict[str, int]]:
    """What training shares with test: by column, shared values and the test utterances they touch.

    Only columns that share anything are listed; the counts are summed over folds.
    """
    found: dict[str, dict[str, int]] = {}
    for name in ("speaker", "session", "dialogue", "text"):
        values = np.array([_folded(value) for value in columns[name]], dtype=object)
        shared, touched = 0, 0
        for fold in folds:
            seen = set(values[fold.train]) - {""}
            for test in fold.tests.values():
                hits = [value for value in values[test] if value in seen]
                shared, touched = shared + len(set(hits)), touched + len(hits)
        if touched:
            found[name] = {"values": shared, "test_utterances": touched}
    return found


def _joined(names: np.ndarray, kind: str, *, number: int) -> str:
    return "+".join(names) if len(names) <= _MOST_NAMED else f"{number} ({len(names)} {kind}s)"


def _folded(value: str) -> str:
    return " ".join(value.lower().split())


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


def _official(split: np.ndarray) -> Fold:
    words = np.array([word.lower() for word in split], dtype=object)
    train = np.flatnonzero(np.isin(words, _TRAIN_WORDS))
    validation = np.flatnonzero(np.isin(words, _VALIDATION_WORDS))
    names = sorted(set(words) - {*_TRAIN_WORDS, *_VALIDATION_WORDS, ""})
    if not names:
        there = ", ".join(sorted(set(split) - {""})) or "no splits"
        raise ConfigError(f"--folds official: the cache names no test split; it has {there}")
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
