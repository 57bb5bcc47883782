"""Let workers do what a job still lacks: they get parts, are followed, and taken in at their end.

A part is every n-th of what is missing, as a shard is of all of it. What is to be done is the
plan's, and so are device and threads: what the parts hold together is what one process would have
recorded, bit for bit. How many workers there are is no part of the plan, and may be another each
time the command is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

import joblib

from amber_cache.errors import AmberError
from amber_cache.jobs.backends import Workers, opened
from amber_cache.jobs.interrupt import Stop
from amber_cache.jobs.job import Job
from amber_cache.jobs.parts import GO
from amber_cache.jobs.running import disk_full
from amber_cache.jobs.worker import Ended, Part, do_part
from amber_cache.progress import Progress

#: Seconds between two looks at what workers have recorded, and for a signal.
INTERVAL_S = 0.2

#: Rows that a log speaks of behind a place, and where they end.
Count: TypeAlias = Callable[[Path, int], tuple[int, int]]


@dataclass(slots=True, kw_only=True)
class Stage:
    """What a progress line tells of.

    Attributes:
        done: Inputs that are recorded, of `total`.
        logs: Log -> how far it is read.
        count: Reads on in a log.
    """

    title: str
    done: int
    total: int
    count: Count
    logs: dict[Path, int] = field(default_factory=dict)


def share(
    job: Job,
    workers: Workers,
    cut: Callable[[int], Sequence[Part]],
    stages: Callable[[Sequence[Part]], Sequence[Stage]],
    *,
    stop: Stop,
    progress: Progress,
) -> list[str]:
    """Have workers do parts, and take in what they record; what to tell of them.

    Args:
        cut: Gives the parts for so many workers; their folders stand then.
        stages: What to follow of them.

    Raises:
        AmberError: The workers can't be had, or one can't go on; what is recorded stays.
        Stopped: A signal came; the workers have finished what was in flight.
    """
    with opened(workers) as number, stop.patient():
        try:
            parts = cut(number)
        except OSError as error:
            raise disk_full(job, job.journals, error) from error
        call = _Call(parts, workers.backend)
        _follow(call, stages(parts), stop, progress)
        job.take_in_parts()
    stop.check()
    _raise_first(job, workers, call)
    return list(dict.fromkeys(note for one in call.ended for note in one.notes))


def require_done(job: Job, workers: Workers, undone: int, what: str) -> None:
    """Raise where workers have ended without a word, and something is left.

    Raises:
        AmberError: As said.
    """
    if undone:
        raise AmberError(
            f"--backend {workers.backend}: workers have left {undone} {what} undone; {job.kept}; "
            "the same command goes on"
        )


class _Call:
    """A call of all workers, in a thread: this one hears signals and tells of progress.

    Attributes:
        ended: Of the parts, when it has ended.
        error: What joblib raised in place of them.
    """

    def __init__(self, parts: Sequence[Part], backend: str) -> None:
        self.ended: list[Ended] = []
        self.error: Exception | None = None
        self._parts, self._backend = parts, backend
        self._thread = Thread(target=self._run, name="workers", daemon=True)
        self._thread.start()

    def is_over(self) -> bool:
        """Whether it has ended; waits a moment for that."""
        self._thread.join(INTERVAL_S)
        return not self._thread.is_alive()

    def call_off(self) -> None:
        """Have the workers end when their batches in flight are recorded."""
        for part in self._parts:
            (part.folder / GO).unlink(missing_ok=True)

    def _run(self) -> None:
        how: dict[str, Any] = {"n_jobs": len(self._parts), "batch_size": 1, "pre_dispatch": "all"}
        try:
            with joblib.parallel_config(self._backend):
                jobs = [joblib.delayed(do_part)(part) for part in self._parts]
                self.ended = list(joblib.Parallel(**how)(jobs))
        except Exception as error:  # raised again where somebody hears it
            self.error = error


def _follow(call: _Call, stages: Sequence[Stage], stop: Stop, progress: Progress) -> None:
    """Tell what all workers together have recorded, until they have ended."""
    told = [-1] * len(stages)
    is_over = False
    while not is_over:
        is_over = call.is_over()
        for place, stage in enumerate(stages):
            for log, seen in stage.logs.items():
                new, stage.logs[log] = stage.count(log, seen)
                stage.done += new
            if stage.done != told[place]:
                told[place] = stage.done
                progress(stage.title, stage.done, stage.total)
        if stop.signum:
            call.call_off()


def _raise_first(job: Job, workers: Workers, call: _Call) -> None:
    """Raise what kept workers from their end; the others have come to theirs."""
    errors = [one.error for one in call.ended if one.error is not None]
    kept = f"; {job.kept}; the same command goes on" if job.kept else ""
    if errors:
        others = f" (and {len(errors) - 1} workers more)" if len(errors) > 1 else ""
        raise type(errors[0])(f"{errors[0]}{others}{kept}")
    if isinstance(call.error, BrokenExecutor) or type(call.error).__name__ == "KilledWorker":
        raise AmberError(
            f"--backend {workers.backend}: a worker was killed, perhaps for want of memory{kept}"
        ) from call.error
    if call.error is not None:
        raise call.error
