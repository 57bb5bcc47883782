"""Writes outcomes in a thread of its own, so that no sync to the disk stalls the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from queue import Empty, Full, Queue
from threading import Thread
from types import TracebackType
from typing import TypeAlias

from amber_cache.jobs.journal import Journal, Outcome

#: Batches that may wait to be written: all that is held of the results.
NUM_WAITING = 8

_Item: TypeAlias = tuple[int, Sequence[Outcome]] | None


class Recorder:
    """Records batches in a journal, in a `with` block; leaving it waits for what was given.

    `put` and leaving the block raise what writing met: an OSError where the disk is full or gone.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._queue: Queue[_Item] = Queue(NUM_WAITING)
        self.error: Exception | None = None
        self._thread = Thread(target=self._run, name="recorder", daemon=True)

    def put(self, batch: int, outcomes: Sequence[Outcome]) -> None:
        """Hand over a batch; waits while the queue is full."""
        self._send((batch, outcomes))

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.error is None:
            self._send(None, check=False)
        self._thread.join()
        if self.error is not None and error is None:
            raise self.error

    def _send(self, item: _Item, *, check: bool = True) -> None:
        while self._thread.is_alive():
            try:
                self._queue.put(item, timeout=0.5)
                break
            except Full:  # a slow disk; or the thread has met an error and ended
                continue
        if check and self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                waiting = [item]
                last = _drain(self._queue, waiting)
                self._journal.write(waiting)  # one sync for all that waited
                if last:
                    return
        except Exception as error:  # raised again where somebody hears it
            self.error = error


def _drain(queue: Queue[_Item], waiting: list[tuple[int, Sequence[Outcome]]]) -> bool:
    """Take what waits without waiting for more; whether the end was among it."""
    while True:
        try:
            item = queue.get_nowait()
        except Empty:
            return False
        if item is None:
            return True
        waiting.append(item)
