"""Names as whole numbers, so that what is the same can be found without comparing texts again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Int

#: How corpora write that they do not know a speaker, in lower case.
UNKNOWN = ("", "unknown")


def integer_codes(values: Iterable[str]) -> tuple[Int[np.ndarray, " item"], int]:
    """Number names in the order of their first appearance; gives how many there are, too.

    >>> codes, number = integer_codes(["b", "a", "b"])
    >>> codes.tolist(), number
    ([0, 1, 0], 2)
    """
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(value, len(numbers)) for value in values]
    return np.array(codes, dtype=np.int64), len(numbers)


def is_unknown(values: Iterable[str]) -> Bool[np.ndarray, " item"]:
    """Where a name says that nobody knows: "" and "Unknown", in any case.

    >>> is_unknown(["anna", " UNKNOWN ", ""]).tolist()
    [False, True, True]
    """
    return np.array([value.strip().lower() in UNKNOWN for value in values], dtype=bool)
