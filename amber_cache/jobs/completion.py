"""An entry as a command leaves it: rows taken over, rows encoded, rows without an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from amber_cache.errors import UtteranceError
from amber_cache.jobs.journal import Journal
from amber_cache.jobs.plan import EntryPlan
from amber_cache.sources import Sources
from amber_cache.storage.stream import blank_crc32
from amber_cache.store import DONE, FAILED, PENDING, Attribute, Entry, text_array


def rows_to_encode(entry: Entry | None, inputs: Sources) -> list[int]:
    """The rows that have an input and no vector yet."""
    return [
        row
        for row, source in enumerate(inputs)
        if not isinstance(source, UtteranceError) and (entry is None or entry.status[row] != DONE)
    ]


def completed(
    plan: EntryPlan, *, carried: Entry | None, journal: Journal, inputs: Sources
) -> Entry:
    """An entry from what was taken over and what a job has recorded."""
    blank = _blank(plan.key, len(inputs), plan.width) if carried is None else carried
    entry = with_failures(blank, inputs, attrs=plan.attrs)
    entry.status[journal.rows] = journal.status
    entry.error[journal.rows] = journal.error
    done = np.zeros(len(inputs), np.bool_)
    done[journal.rows] = journal.status == DONE
    entry.crc32[done] = journal.crc32[journal.status == DONE]

    def read(start: int, stop: int) -> np.ndarray:
        block = np.array(blank.read(start, stop))
        first, end = np.searchsorted(journal.rows, (start, stop))
        rows = journal.rows[first:end]
        mine = done[rows]
        block[rows[mine] - start] = journal.read(int(first), int(end))[mine]
        return block

    return replace(entry, read=read)


def with_failures(
    entry: Entry, inputs: Sources, *, attrs: Mapping[str, Attribute] | None = None
) -> Entry:
    """An entry whose rows without a vector are FAILED where they have no input, else PENDING."""
    status, error = entry.status.copy(), entry.error.copy()
    for row in np.flatnonzero(status != DONE):
        source = inputs[row]
        is_failed = isinstance(source, UtteranceError)
        status[row], error[row] = (FAILED, str(source)) if is_failed else (PENDING, "")
    return Entry(
        modality=entry.modality,
        name=entry.name,
        width=entry.width,
        status=status,
        crc32=entry.crc32.copy(),
        error=error,
        read=entry.read,
        attrs=entry.attrs if attrs is None else attrs,
    )


def combined(parts: Sequence[Entry]) -> Entry:
    """One entry from parts that hold different rows: each row from the first that has it.

    Raises:
        ValueError: Two parts have a row, and not the same; the row's number.
    """
    first = parts[0]
    columns = {name: getattr(first, name).copy() for name in ("status", "crc32", "error")}
    whole = replace(first, **columns)
    owner = np.where(first.status == PENDING, -1, 0)
    for number, part in enumerate(parts[1:], start=1):
        both = (owner >= 0) & (part.status != PENDING)
        other = (part.status != whole.status) | (part.crc32 != whole.crc32)
        other |= part.error != whole.error
        if (both & other).any():
            raise ValueError(int(np.argmax(both & other)))
        new = (owner < 0) & (part.status != PENDING)
        owner[new] = number
        for name, column in columns.items():
            column[new] = getattr(part, name)[new]

    def read(start: int, stop: int) -> np.ndarray:
        block = np.full((stop - start, whole.width), np.nan, np.float32)
        for number, part in enumerate(parts):
            mine = owner[start:stop] == number
            if mine.any():
                block[mine] = part.read(start, stop)[mine]
        return block

    return replace(whole, read=read)


def _blank(key: tuple[str, str], num_rows: int, width: int) -> Entry:
    def read(start: int, stop: int) -> np.ndarray:
        return np.full((stop - start, width), np.nan, np.float32)

    return Entry(
        modality=key[0],
        name=key[1],
        width=width,
        status=np.full(num_rows, PENDING, np.uint8),
        crc32=np.full(num_rows, blank_crc32(width), np.uint32),
        error=text_array([""] * num_rows),
        read=read,
    )
