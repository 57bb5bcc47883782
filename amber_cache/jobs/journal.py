"""What a job has encoded so far: a matrix of rows and a log of batches, safe against a kill.

The matrix holds the planned rows in order, little-endian float32; the log has a line a batch, with
a checksum of the line and one of each row. A line is written after the rows it speaks of have
reached the disk, so that what the log says is true however the process ended; the rows are held to
their checksums all the same when the job goes on.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32

from amber_cache.errors import UtteranceError
from amber_cache.jobs.assembly import allocate, write_at
from amber_cache.storage.schema import DONE, FAILED, PENDING, text_array
from amber_cache.storage.write import sync_folder

#: A row, its vector or why there is none, and what the user should be told of it.
Outcome: TypeAlias = tuple[int, np.ndarray | UtteranceError, str]

#: From this batch on, so many padded units (samples, tokens) are encoded at once.
Limit: TypeAlias = tuple[int, int]

# What a row's share of the log's lines may take, so that it is set aside before work begins.
_LOG_BYTES_A_ROW = 64

# One sync for so many batches that come from another journal.
_BATCHES_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one batch: for each of its rows status, checksum, and texts by place."""

    batch: int
    rows: list[int]
    status: list[int]
    crc32: list[int]
    error: dict[str, str] = field(default_factory=dict)
    note: dict[str, str] = field(default_factory=dict)


class Journal:
    """One entry's matrix and log.

    Attributes:
        stem: Where its files stand, without their endings.
        rows: The rows that the journal is for, ascending; row `rows[i]` is row i of the matrix.
        status: Of these rows.
        crc32: Of these rows; what it says of rows that are not DONE means nothing.
        error: Of these rows.
        notes: Row -> what the user should be told of it.
        finished: Numbers of the batches that are recorded.
        limits: Where memory ran out, by batch.
    """

    def __init__(self, stem: Path, batches: Mapping[int, Sequence[int]], *, width: int) -> None:
        self.batches = batches
        self.width = width
        self.rows = np.sort(np.array([row for one in batches.values() for row in one], np.int64))
        self.status = np.full(len(self.rows), PENDING, np.uint8)
        self.crc32 = np.zeros(len(self.rows), np.uint32)
        self.error = text_array([""] * len(self.rows))
        self.notes: dict[int, str] = {}
        self.finished: set[int] = set()
        self.limits: list[Limit] = []
        self.stem = stem
        self._paths = stem.with_suffix(".f32"), log_path(stem)
        self._matrix, self._log, self._end = -1, -1, 0

    def open(self) -> None:
        """Open the files, made and set aside where they are not yet; read what is recorded.

        Raises:
            OSError: There is no room, or the files can't be had.
        """
        self._matrix, self._log = (os.open(p, os.O_RDWR | os.O_CREAT, 0o644) for p in self._paths)
        allocate(self._matrix, len(self.rows) * 4 * self.width)
        self._recall()
        os.ftruncate(self._log, self._end)
        allocate(self._log, max(self._end, _LOG_BYTES_A_ROW * len(self.rows)))
        os.fsync(self._log)
        with suppress(FileNotFoundError):
            text = self.stem.with_suffix(".limits").read_text(encoding="utf-8")
            self.limits = [(int(batch), int(most)) for batch, most in json.loads(text)]

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._matrix, self._log):
            if descriptor >= 0:
                os.close(descriptor)
        self._matrix, self._log = -1, -1

    def write(self, done: Sequence[tuple[int, Sequence[Outcome]]]) -> None:
        """Record batches: rows, sync, lines, sync.

        Raises:
            OSError: The disk is full or gone; what was recorded before stays so.
        """
        records = [self._put(batch, outcomes) for batch, outcomes in done]
        os.fsync(self._matrix)
        lines = b"".join(map(_line, records))
        write_at(self._log, memoryview(lines), self._end)
        os.fsync(self._log)
        self._end += len(lines)
        for record in records:
            self._note(record)

    def limit(self, batch: int, most: int) -> None:
        """Keep that from a batch on no more than so many units are encoded at once.

        Raises:
            OSError: The disk is full or gone.
        """
        self.limits = [*self.limits, (batch, most)]
        temporary = self.stem.with_suffix(".limits.part")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(self.limits, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.stem.with_suffix(".limits"))
        sync_folder(self.stem.parent)

    def take_in(self, other: Journal) -> None:
        """Record what another journal holds of this one's batches, and this one lacks; its limits.

        Raises:
            OSError: The disk is full or gone.
        """
        for batch, most in other.limits:
            if (batch, most) not in self.limits:
                self.limit(batch, most)
        found = sorted((other.finished & self.batches.keys()) - self.finished)
        for start in range(0, len(found), _BATCHES_AT_ONCE):
            numbers = found[start : start + _BATCHES_AT_ONCE]
            self.write([(number, list(other.outcomes(number))) for number in numbers])

    def outcomes(self, batch: int) -> Iterator[Outcome]:
        """What is recorded of a batch that is finished."""
        for row in self.batches[batch]:
            place = int(np.searchsorted(self.rows, row))
            outcome: np.ndarray | UtteranceError = self.read(place, place + 1)[0]
            if self.status[place] == FAILED:
                outcome = UtteranceError(self.error[place])
            yield row, outcome, self.notes.get(row, "")

    def read(self, first: int, end: int) -> Float32[np.ndarray, "row feature"]:
        """Some of the matrix's rows, whatever stands there."""
        size, place = (end - first) * 4 * self.width, first * 4 * self.width
        data = bytearray()
        while len(data) < size:
            part = os.pread(self._matrix, size - len(data), place + len(data))
            data += part or bytes(size - len(data))  # cut off: no row's checksum fits zeros
        return np.frombuffer(bytes(data), "<f4").reshape(end - first, self.width)

    def _put(self, batch: int, outcomes: Sequence[Outcome]) -> Record:
        record = Record(batch, [], [], [])
        for place, (row, outcome, note) in enumerate(sorted(outcomes, key=lambda one: one[0])):
            crc32 = 0
            if isinstance(outcome, UtteranceError):
                record.error[str(place)] = str(outcome)
            else:
                data = np.ascontiguousarray(outcome, dtype="<f4").tobytes()
                crc32 = zlib.crc32(data)
                place_in_file = int(np.searchsorted(self.rows, row)) * 4 * self.width
                write_at(self._matrix, memoryview(data), place_in_file)
            if note:
                record.note[str(place)] = note
            record.rows.append(row)
            record.status.append(FAILED if isinstance(outcome, UtteranceError) else DONE)
            record.crc32.append(crc32)
        return record

    def _recall(self) -> None:
        """Take in the log's lines up to the first that is torn."""
        with open(self._log, "rb", closefd=False) as file:
            for line in file:
                record = _parsed(line)
                if record is None:
                    break
                self._end += len(line)
                if self._is_true(record):
                    self._note(record)

    def _is_true(self, record: Record) -> bool:
        """Whether a record is of a planned batch, and its rows are in the matrix."""
        if sorted(self.batches.get(record.batch, ())) != record.rows:
            return False
        for row, status, crc32 in zip(record.rows, record.status, record.crc32, strict=True):
            place = int(np.searchsorted(self.rows, row))
            if status == DONE and zlib.crc32(self.read(place, place + 1).data) != crc32:
                return False
        return True

    def _note(self, record: Record) -> None:
        places = np.searchsorted(self.rows, record.rows)
        self.status[places], self.crc32[places] = record.status, record.crc32
        for number, place in enumerate(places):
            self.error[place] = record.error.get(str(number), "")
            if str(number) in record.note:
                self.notes[record.rows[number]] = record.note[str(number)]
        self.finished.add(record.batch)


def log_path(stem: Path) -> Path:
    """Where a journal's log stands."""
    return stem.with_suffix(".log")


def count_rows(log: Path, start: int) -> tuple[int, int]:
    """Rows that a log, perhaps still written to, speaks of behind a place; and where they end."""
    num_rows = 0
    with suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(start)
        for line in file:
            if (record := _parsed(line)) is None:
                break
            num_rows, start = num_rows + len(record.rows), start + len(line)
    return num_rows, start


def _line(record: Record) -> bytes:
    r"""A record as a line: its checksum, a blank, JSON.

    >>> _line(Record(0, [2], [1], [7]))[9:]
    b'[0,[2],[1],[7],{},{}]\n'
    """
    parts = [record.batch, record.rows, record.status, record.crc32, record.error, record.note]
    text = json.dumps(parts, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parsed(line: bytes) -> Record | None:
    """The record of a line; None for what is torn."""
    try:
        record = Record(*json.loads(line[9:]))
        return record if _line(record) == line else None
    except (ValueError, TypeError):
        return None
