"""How work tells how far it has come; it knows nothing of how that is shown."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Told how far a stage of the work has come."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """`done` of `total` units of `stage` are finished; a note tells what came out so far."""


def no_progress(stage: str, done: int, total: int, note: str = "") -> None:
    """A `Progress` that shows nothing."""
