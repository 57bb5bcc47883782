"""`--subset`: train and test on the utterances that have certain values in the cache's columns.

`style=improvised,scripted` asks for any of several values, several columns are and-ed, and a bare
`improvised` means the one column that has that value. Case makes no difference. An unknown value
("") is of no subset.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool

from amber_cache.errors import ConfigError
from amber_cache.records import TEXT_COLUMNS, Listing
from amber_cache.store import UtteranceTable

#: Columns and the values, as the cache spells them, of which an utterance must have one in each.
Subset: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]

#: The columns that a subset may name: all text but what was said.
SUBSET_COLUMNS = tuple(name for name in TEXT_COLUMNS if name != "text")

#: How many of a column's values an error lists; it counts more.
_MOST_NAMED = 6


def parse_subset(texts: Sequence[str], table: UtteranceTable) -> Subset:
    """Read `--subset` against the values that a cache has, columns in the cache's order.

    Raises:
        ConfigError: A column or value is not there, a bare value is of several columns, or a column
            is named twice.
    """
    if not texts:
        return ()
    values = {name: set(getattr(table, name)) - {""} for name in SUBSET_COLUMNS}
    found: dict[str, tuple[str, ...]] = {}
    for text in _conditions(texts):
        column, equals, listed = (part.strip() for part in text.partition("="))
        if not equals:
            column, listed = _column_of(text, values), text
        if column not in values:
            raise ConfigError(f"--subset {text}: no such column; {_told(values)}")
        if column in found:
            raise ConfigError(f"--subset {text}: {column} is named twice; write {column}=A,B")
        found[column] = _spelled(text, column, listed, values)
    return tuple((name, found[name]) for name in SUBSET_COLUMNS if name in found)


def subset_mask(subset: Subset, table: UtteranceTable) -> Bool[np.ndarray, " utterance"]:
    """Which utterances are in it.

    Raises:
        ConfigError: None is, or a part of it holds for every utterance and so has no effect.
    """
    mask = np.ones(len(table), dtype=bool)
    for column, wanted in subset:
        has = np.array([value in wanted for value in getattr(table, column)], dtype=bool)
        if has.all():
            text = ",".join(wanted)
            raise ConfigError(
                f"--subset {column}={text} has no effect: every utterance has it; leave it out"
            )
        mask &= has
    if not mask.any():
        raise ConfigError(f"--subset {' '.join(subset_texts(subset))}: no utterance has all of it")
    return mask


def subset_texts(subset: Subset) -> tuple[Listing, ...]:
    """As `parse_subset` reads them.

    >>> subset_texts((("style", ("improvised", "scripted")),))
    ('style=improvised,scripted',)
    """
    return tuple(Listing(f"{column}={','.join(wanted)}") for column, wanted in subset)


def _conditions(texts: Sequence[str]) -> Iterator[str]:
    """Each condition; in "style=a,b,gender=c" the comma before a name parts two."""
    for text in texts:
        for part in re.split(r",(?=\s*\w+\s*=)", text):
            if not part.strip(" ,|"):
                raise ConfigError(f"--subset {text!r}: is empty; write COLUMN=VALUE")
            yield part.strip()


def _column_of(text: str, values: Mapping[str, set[str]]) -> str:
    """The one column that has all of the bare values."""
    columns = [name for name in values if _matches(text, values[name])]
    if not columns:
        raise ConfigError(f"--subset {text}: no column has it; {_told(values)}")
    if len(columns) > 1:
        ways = " or ".join(f"{name}={text}" for name in columns)
        raise ConfigError(f"--subset {text}: {' and '.join(columns)} have it; write {ways}")
    return columns[0]


def _spelled(
    text: str, column: str, listed: str, values: Mapping[str, set[str]]
) -> tuple[str, ...]:
    if found := _matches(listed, values[column]):
        return found
    if not values[column]:
        raise ConfigError(f"--subset {text}: the {column} of no utterance is known")
    missing = [word for word in _words(listed) if not _same(word, values[column])] or [repr("")]
    raise ConfigError(
        f"--subset {text}: no utterance has the {column} {', '.join(missing)}; "
        f"there are {_few(values[column])}"
    )


def _matches(listed: str, values: set[str]) -> tuple[str, ...]:
    """The cache's spellings of every word listed; () unless all of them are there.

    A value that itself holds a comma is meant where the whole text names it.
    """
    words = [listed] if _same(listed, values) else _words(listed)
    found = [_same(word, values) for word in words]
    return tuple(sorted(set().union(*found))) if found and all(found) else ()


def _same(word: str, values: set[str]) -> set[str]:
    return {value for value in values if value.strip().lower() == word.strip().lower()}


def _words(listed: str) -> list[str]:
    return [word.strip() for word in re.split("[,|]", listed) if word.strip()]


def _told(values: Mapping[str, set[str]]) -> str:
    """Every column that says anything, with its values."""
    there = [f"{name} ({_few(some)})" for name, some in values.items() if some]
    return f"there are {'; '.join(there)}" if there else "the cache has no column with values"


def _few(values: set[str]) -> str:
    named = sorted(values)[:_MOST_NAMED]
    more = len(values) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
