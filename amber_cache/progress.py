"""Progress on stderr: bars with rate and time left in a terminal, plain lines elsewhere.

Work reports through a `Progress` callback and knows nothing of how it is shown.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

#: Seconds between two plain lines of one stage.
PLAIN_INTERVAL_S = 5.0


@runtime_checkable
class Progress(Protocol):
    """Told how far a stage of the work has come."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """`done` of `total` units of `stage` are finished; 0 opens it, `total` closes it.

        A note tells what came out so far, in a few words.
        """


def no_progress(stage: str, done: int, total: int, note: str = "") -> None:
    """A `Progress` that shows nothing."""


@contextmanager
def show_progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Give a `Progress` that fits stderr, for as long as the context lasts."""
    if quiet:
        yield no_progress
    elif sys.stderr.isatty():
        with _bars() as progress:
            yield progress
    else:
        yield _PlainLines()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as rich:
        tasks: dict[str, tuple[TaskID, float]] = {}

        def progress(stage: str, done: int, total: int, note: str = "") -> None:
            if stage not in tasks:
                task = rich.add_task(stage, total=total, rate="", note="")
                tasks[stage] = (task, time.monotonic())
            task, began = tasks[stage]
            rich.update(task, completed=done, total=total, rate=_rate(done, began), note=note)
            if done >= total:  # a later stage of the same name is another bar
                del tasks[stage]

        yield progress


class _PlainLines:
    """One line when a stage ends, and one every few seconds until then."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        began = self._began.setdefault(stage, now)
        if done < total and now - self._last.setdefault(stage, now) < PLAIN_INTERVAL_S:
            return
        self._last[stage] = now
        if done >= total:  # a later stage of the same name starts its own clock
            del self._began[stage], self._last[stage]
        left = (now - began) / done * (total - done) if done else 0.0
        rest = f", {left:.0f} s left" if done < total else f" in {now - began:.1f} s"
        told = f"{stage}: {done}/{total}{_rate(done, began)}{rest}{note and f'; {note}'}"
        print(told, file=sys.stderr, flush=True)


def _rate(done: int, began: float) -> str:
    elapsed = time.monotonic() - began
    return f" ({done / elapsed:.3g}/s)" if done and elapsed > 0.05 else ""
