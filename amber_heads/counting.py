"""Counts as words."""

from __future__ import annotations


def counted(count: int, what: str, others: str = "") -> str:
    """A count with what is counted; `others` is the plural where it is no plain one.

    >>> counted(1, "fold"), counted(5, "fold"), counted(0, "run has", "runs have")
    ('1 fold', '5 folds', '0 runs have')
    """
    return f"{count} {what if count == 1 else others or what + 's'}"
