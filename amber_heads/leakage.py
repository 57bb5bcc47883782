"""What a fold's training and validation parts share with its test parts: counts alone, pure.

A speaker, session, dialogue or transcript that stands in both parts can be recognised rather than
understood. Transcripts are compared without case, punctuation and spacing, names without case and
spacing; "" and "Unknown" are shared by nobody. Transcripts of at least four words are counted apart
too, since "yeah" stands everywhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from amber_heads.folds import Fold
from amber_heads.policies.codes import UNKNOWN, integer_codes

#: A transcript of as many words is long; languages written without spaces have hardly any.
LONG_WORDS = 4

#: The name under which long transcripts are counted.
LONG_TEXT = "text_of_4_words"

#: What is looked at, in the order that it is told.
KINDS = ("speaker", "session", "dialogue", "text", LONG_TEXT)


@dataclass(frozen=True)
class _Values:
    """One kind of value: a number for each utterance's, and where it is known."""

    codes: Int[np.ndarray, " utterance"]
    number: int
    known: Bool[np.ndarray, " utterance"]


def measure_leakage(
    folds: Sequence[Fold], columns: Mapping[str, np.ndarray]
) -> dict[str, dict[str, Any]]:
    """Count, by kind of value, what training and validation share with test.

    Args:
        folds: Parts as indices into the columns.
        columns: (N,) strings: speaker, session, dialogue, text and style.

    Returns:
        By kind: `values` that training shares with test, `test_utterances` that have such a value,
        how many test utterances have a `known` one, and the `share` of them that is touched; the
        same under `validation` for what validation shares with test. All are sums over folds and
        test sets, which stand one by one under `per_fold`. Where there are several styles, the
        long transcripts are also counted `by_style`.
    """
    found, by_kind = {}, _values(columns)
    for kind, values in by_kind.items():
        rows = [_row(fold, test, values) for fold in folds for test in fold.tests]
        validation = _total([row["validation"] for row in rows])
        found[kind] = {**_total(rows), "validation": validation, "per_fold": rows}
    if by_style := _by_style(folds, by_kind[LONG_TEXT], columns["style"]):
        found[LONG_TEXT]["by_style"] = by_style
    return found


def shared_only(leakage: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The kinds of which anything is shared."""
    return {
        kind: one
        for kind, one in leakage.items()
        if one["test_utterances"] or one["validation"]["test_utterances"]
    }


def normalized(text: str) -> str:
    """A transcript without case, punctuation and spacing.

    >>> normalized("  Don't!  Not NOW - please. ")
    'dont not now please'
    """
    return " ".join(unicodedata.normalize("NFKC", text).lower().translate(_PLAIN).split())


class _Plain(dict[int, int | str | None]):
    """What stands for a character: nothing for an apostrophe, a space for other punctuation."""

    def __missing__(self, code: int) -> int | str | None:
        is_mark = unicodedata.category(chr(code))[0] in "PS"
        stands_in: int | str | None = " " if is_mark else code
        if chr(code) in "'\u2019\u02bc":
            stands_in = None
        self[code] = stands_in
        return stands_in


_PLAIN = _Plain()


def _values(columns: Mapping[str, np.ndarray]) -> dict[str, _Values]:
    found = {}
    for kind in KINDS[:3]:
        names = [" ".join(value.lower().split()) for value in columns[kind]]
        found[kind] = _coded(names)
    texts = [normalized(text) for text in columns["text"]]
    plain = found["text"] = _coded(texts)
    is_long = np.array([text.count(" ") >= LONG_WORDS - 1 for text in texts], dtype=bool)
    found[LONG_TEXT] = _Values(plain.codes, plain.number, plain.known & is_long)
    return found


def _coded(names: Iterable[str]) -> _Values:
    names = list(names)
    codes, number = integer_codes(names)
    return _Values(codes, number, np.array([name not in UNKNOWN for name in names], dtype=bool))


def _row(fold: Fold, test: str, values: _Values) -> dict[str, Any]:
    """One test set of one fold."""
    index = fold.tests[test]
    validation = _counts(_touched(fold.validation, index, values), index, values)
    training = _counts(_touched(fold.train, index, values), index, values)
    return {"fold": fold.name, "test": test, **training, "validation": validation}


def _touched(
    part: Int[np.ndarray, " part"], test: Int[np.ndarray, " test"], values: _Values
) -> Bool[np.ndarray, " test"]:
    """Which test utterances have a value that stands in another part."""
    stands = np.zeros(values.number, dtype=bool)
    stands[values.codes[part[values.known[part]]]] = True
    return np.asarray(stands[values.codes[test]] & values.known[test], dtype=bool)


def _counts(
    touched: Bool[np.ndarray, " test"], test: Int[np.ndarray, " test"], values: _Values
) -> dict[str, Any]:
    distinct = np.unique(values.codes[test[touched]])
    return _counted(len(distinct), int(touched.sum()), int(values.known[test].sum()))


def _counted(values: int, touched: int, known: int) -> dict[str, Any]:
    share = touched / known if known else 0.0
    return {"values": values, "test_utterances": touched, "known": known, "share": share}


def _total(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    sums = (sum(row[name] for row in rows) for name in ("values", "test_utterances", "known"))
    return _counted(*sums)


def _by_style(
    folds: Sequence[Fold], texts: _Values, styles: np.ndarray
) -> dict[str, dict[str, Any]]:
    """What training shares with test, by the test utterance's style; {} where there is one only."""
    names = sorted(set(styles) - {""})
    if len(names) < 2:
        return {}
    parts = [
        (test, _touched(fold.train, test, texts)) for fold in folds for test in fold.tests.values()
    ]
    found = {}
    for name in names:
        of_style = replace(texts, known=texts.known & (styles == name))
        rows = [_counts(touched & of_style.known[test], test, of_style) for test, touched in parts]
        found[name] = _total(rows)
    return found
