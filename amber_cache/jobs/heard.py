"""What a job has transcribed so far: a log with a line an utterance, safe against a kill.

A line is written as soon as an utterance is heard, with a checksum, so that one that was torn in
writing is as if it were not there. It is not held back for a sync to the disk: what a power cut
takes is heard again.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from amber_cache.errors import UtteranceError
from amber_cache.jobs.assembly import write_at
from amber_cache.transcripts import Hearing

#: Its name in a job's folder, and in that of a worker's part.
HEARD = "heard.log"


class Heard:
    """A job's log of transcripts.

    Attributes:
        rows: The rows that it is for.
        found: Row -> what was heard, or why it could not be.
    """

    def __init__(self, folder: Path, rows: Collection[int]) -> None:
        self.path = folder / HEARD
        self.rows = frozenset(rows)
        self.found: dict[int, Hearing] = {}
        self._log, self._end = -1, 0

    @property
    def missing(self) -> list[int]:
        """The rows that are still to be heard, in order."""
        return sorted(self.rows - self.found.keys())

    def open(self) -> None:
        """Open the file, made where it is not yet; read what is recorded.

        Raises:
            OSError: It can't be had.
        """
        self._log = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        with open(self._log, "rb", closefd=False) as file:
            for row, outcome, size in _records(file):
                self._end += size
                if row in self.rows:
                    self.found[row] = outcome
        os.ftruncate(self._log, self._end)

    def close(self) -> None:
        """Sync and close the file."""
        if self._log >= 0:
            with suppress(OSError):  # what it holds will be read again, and checked
                os.fsync(self._log)
            os.close(self._log)
        self._log = -1

    def write(self, row: int, outcome: Hearing) -> None:
        """Record what became of one row.

        Raises:
            OSError: The disk is full or gone; what was recorded before stays so.
        """
        line = _line(row, outcome)
        write_at(self._log, memoryview(line), self._end)
        self._end += len(line)
        self.found[row] = outcome

    def take_in(self, other: Heard) -> None:
        """Record what another log holds of this one's rows, and this one lacks.

        Raises:
            OSError: The disk is full or gone.
        """
        for row in sorted((other.found.keys() & self.rows) - self.found.keys()):
            self.write(row, other.found[row])


def count_heard(log: Path, start: int) -> tuple[int, int]:
    """Rows that a log, perhaps still written to, speaks of behind a place; and where they end."""
    number = 0
    with suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(start)
        for _, _, size in _records(file):
            number, start = number + 1, start + size
    return number, start


def _records(lines: Iterator[bytes]) -> Iterator[tuple[int, Hearing, int]]:
    """Row, outcome and bytes of each line, up to the first that is torn."""
    for line in lines:
        try:
            row, text, error = json.loads(line[9:])
            outcome: Hearing = text if error is None else UtteranceError(error)
            if _line(row, outcome) != line:
                return
        except (ValueError, TypeError):
            return
        yield row, outcome, len(line)


def _line(row: int, outcome: Hearing) -> bytes:
    r"""A record as a line: its checksum, a blank, JSON.

    >>> _line(2, "so it is")[9:]
    b'[2,"so it is",null]\n'
    """
    is_error = isinstance(outcome, UtteranceError)
    content = [row, "", str(outcome)] if is_error else [row, outcome, None]
    text = json.dumps(content, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)
