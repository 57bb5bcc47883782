"""Let workers do what a job still lacks: parts are cut, followed, and taken in when they end.

A part is every n-th of the missing batches, as a shard is of all batches. The batches are the
plan's, and so are device and threads: what the parts hold together is what one process would have
recorded, bit for bit. How many workers there are is no part of the plan, and may be another each
time the command is given.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import joblib

from amber_cache.backends import Workers, opened
from amber_cache.encoders.hf_files import local_folder
from amber_cache.errors import AmberError
from amber_cache.interrupt import Stop
from amber_cache.job import Job
from amber_cache.journal import count_rows, log_path
from amber_cache.loading import LoadedEntry
from amber_cache.parts import GO, make_part
from amber_cache.progress import Progress
from amber_cache.running import Group, disk_full, grouped
from amber_cache.sources import Source, Survey
from amber_cache.wanted import Wanted
from amber_cache.worker import Ended, Part, PartEntry, do_part

#: Seconds between two looks at what workers have recorded, and for a signal.
INTERVAL_S = 0.2


def run_shared(
    job: Job,
    loaded: Sequence[LoadedEntry],
    found: Survey,
    *,
    workers: Workers,
    stop: Stop,
    progress: Progress,
    decoders: int | None = None,
) -> list[str]:
    """As `run_job`, but workers encode; what to tell of them.

    Raises:
        AmberError: The workers can't be had, or one can't go on; what is recorded stays.
        Stopped: A signal came; the workers have finished their batches in flight.
    """
    assert job.plan is not None
    groups = grouped(loaded, job.journals)
    if not any(group.missing for group in groups):
        return []
    with opened(workers) as number, stop.patient():
        try:
            parts = _cut(job, groups, found, number, decoders)
        except OSError as error:
            raise disk_full(job, job.journals, error) from error
        call = _Call(parts, workers.backend)
        _follow(call, groups, parts, stop, progress)
        job.take_in_parts()
    stop.check()
    _raise_first(job, workers, call)
    if undone := sum(len(group.missing) for group in groups):
        raise AmberError(
            f"--backend {workers.backend}: workers have left {undone} batches undone; {job.kept}; "
            "the same command goes on"
        )
    return list(dict.fromkeys(note for one in call.ended for note in one.notes))


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


def _cut(
    job: Job, groups: Sequence[Group], found: Survey, number: int, decoders: int | None
) -> list[Part]:
    """Every n-th of the missing batches, as parts whose folders stand; none is empty."""
    run = secrets.token_hex(4)
    parts = []
    for place in range(number):
        mine = [(group, group.missing[place::number]) for group in groups]
        entries = [one for group, some in mine if some for one in _entries(job, group, some)]
        if entries:
            parts.append(_part(job, found, f"part-{run}-{place}", place, entries, decoders))
    return parts


def _part(
    job: Job,
    found: Survey,
    name: str,
    place: int,
    entries: Sequence[PartEntry],
    decoders: int | None,
) -> Part:
    assert job.plan is not None
    folder = Path(os.path.abspath(job.folder)) / name
    make_part(folder, {one.number: one.batches for one in entries})
    inputs: dict[str, dict[int, Source]] = {}
    for one in entries:
        some, sources = inputs.setdefault(one.plan.modality, {}), found.sources[one.plan.modality]
        for batch in one.plan.batches:
            some |= {row: source for row in batch if isinstance(source := sources[row], Source)}
    return Part(
        place=place,
        folder=folder,
        cache=job.cache,
        device=job.plan.device,
        threads=job.plan.threads,
        decoders=decoders,
        entries=tuple(entries),
        inputs=inputs,
    )


def _entries(job: Job, group: Group, batches: Sequence[int]) -> list[PartEntry]:
    assert job.plan is not None
    made, chosen = [], set(batches)
    for entry, journal in zip(group.entries, group.journals, strict=True):
        number = next(i for i, one in enumerate(job.plan.entries) if one.key == entry.key)
        plan = job.plan.entries[number]
        rows = (one if i in chosen else () for i, one in enumerate(plan.batches))
        made.append(
            PartEntry(
                number=number,
                wanted=_everywhere(entry.wanted),
                plan=replace(plan, batches=tuple(rows)),
                batches=tuple(batches),
                limits=tuple(journal.limits),
            )
        )
    return made


def _everywhere(wanted: Wanted) -> Wanted:
    """With a whole path where the encoder is a folder."""
    is_folder = local_folder(wanted.encoder)
    return replace(wanted, encoder=os.path.abspath(wanted.encoder)) if is_folder else wanted


def _follow(
    call: _Call, groups: Sequence[Group], parts: Sequence[Part], stop: Stop, progress: Progress
) -> None:
    """Tell what all workers together have recorded, until they have ended."""
    logs = [_logs(group, parts) for group in groups]
    done = [group.num_done for group in groups]
    told = [-1] * len(groups)
    is_over = False
    while not is_over:
        is_over = call.is_over()
        for place, group in enumerate(groups):
            for log, seen in logs[place].items():
                new, logs[place][log] = count_rows(log, seen)
                done[place] += new
            if done[place] != told[place]:
                told[place] = done[place]
                progress(group.title, done[place], len(group.journals[0].rows))
        if stop.signum:
            call.call_off()


def _logs(group: Group, parts: Sequence[Part]) -> dict[Path, int]:
    """Log -> how far it is read, of a group's last entry in each part."""
    key = group.entries[-1].key
    return {
        log_path(part.folder / str(one.number)): 0
        for part in parts
        for one in part.entries
        if one.plan.key == key
    }


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
