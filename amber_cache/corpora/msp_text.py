"""MSP-Podcast's files as text: lines with their numbers, rows, JSON pairs.

Copies of a release mix line ends, encodings and byte-order marks; a line here is a line whatever
ends it, and a row of a CSV never goes on in the next.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amber_cache.corpora.base import NUM_TOLD
from amber_cache.errors import CorpusError


@dataclass(slots=True)
class Notes:
    """What was read past: the first few of each kind in full, the others counted."""

    _told: dict[str, list[str]] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, place: Path | str, text: str, *, line: int = 0) -> None:
        """Note one; a line of 0 is no line."""
        self._counts[kind] += 1
        if self._counts[kind] <= NUM_TOLD:
            where = f"{place}, line {line}" if line else f"{place}"
            self._told.setdefault(kind, []).append(f"{where}: {text}")

    def told(self) -> Iterator[str]:
        """The lines to show."""
        for kind, lines in self._told.items():
            yield from lines
            if (count := self._counts[kind]) > NUM_TOLD:
                yield f"{kind}: {count - NUM_TOLD} more, {count} in all"


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """A text file's lines by number, without their ends; what is no UTF-8 is taken as Latin-1.

    Raises:
        CorpusError: It can't be read.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            number = 0
            for text in file:
                text = text.rstrip("\r\n")
                if not text.isascii():
                    text = decoded(text.encode(errors="surrogateescape"), is_first=not number)
                for part in text.split("\r") if "\r" in text else (text,):
                    number += 1
                    yield number, part.replace("\0", "") if "\0" in part else part
    except OSError as error:
        raise CorpusError(f"{path}: can't be read: {error.strerror}") from None


def decoded(data: bytes, *, is_first: bool = True) -> str:
    """Bytes as text: UTF-8, else Latin-1; no zero bytes, which no cache can hold.

    Args:
        is_first: They are a file's first, where a byte-order mark may stand.
    """
    if is_first:
        data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\0", "")


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """A CSV file's rows by line, but blank ones; a row never goes on in the next line.

    Raises:
        CorpusError: It can't be read.
    """
    for line, text in text_lines(path):
        if not text or text.isspace():
            continue
        if '"' not in text or len(text) > csv.field_size_limit():
            yield line, text.split(",")
        else:
            yield line, next(csv.reader([text], skipinitialspace=True))


def json_pairs(path: Path, hook: Callable[[list[tuple[str, Any]]], Any]) -> tuple[Any, ...]:
    """A JSON file's (name, value) pairs, with the hook's result for each object.

    Raises:
        CorpusError: It can't be read, or is no JSON object.
    """
    try:
        text = decoded(path.read_bytes())
        pairs = json.loads(text, object_pairs_hook=hook)
    except OSError as error:
        raise CorpusError(f"{path}: can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path}: is no JSON: {error}; unpack the release again") from None
    if type(pairs) is not tuple:
        raise CorpusError(f"{path}: is no JSON object {{file: ...}}; unpack the release again")
    return pairs
