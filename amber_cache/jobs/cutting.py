"""Cut what a job lacks into parts for workers: utterances to be transcribed, batches to be encoded.

What is transcribed comes first: the encoders' workers get the transcripts as texts.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from amber_cache.encoders.hf_files import local_folder
from amber_cache.jobs.backends import Workers
from amber_cache.jobs.heard import HEARD, count_heard
from amber_cache.jobs.hearing import hearing_title
from amber_cache.jobs.interrupt import Stop
from amber_cache.jobs.job import Job
from amber_cache.jobs.journal import count_rows, log_path
from amber_cache.jobs.loading import LoadedEntry
from amber_cache.jobs.parts import make_part
from amber_cache.jobs.running import Group, grouped
from amber_cache.jobs.sharing import Stage, require_done, share
from amber_cache.jobs.task import Task
from amber_cache.jobs.wanted import Wanted
from amber_cache.jobs.worker import EncodingPart, HearingPart, Part, PartEntry
from amber_cache.progress import Progress
from amber_cache.sources import Source, Sources, Survey


def hear_shared(
    job: Job, task: Task, *, workers: Workers, stop: Stop, progress: Progress
) -> list[str]:
    """As `hearing.hear_job`, but workers transcribe; what to tell of them.

    Raises:
        AmberError: The workers can't be had, or one can't go on; what is recorded stays.
        Stopped: A signal came; the workers have finished what was in flight.
    """
    assert job.plan is not None
    heard, plan = job.heard, job.plan.hearing
    if heard is None or plan is None or not heard.missing:
        return []
    stage = Stage(
        title=hearing_title(plan),
        done=len(heard.found),
        total=len(heard.rows),
        count=count_heard,
    )

    def stages(parts: Sequence[Part]) -> list[Stage]:
        return [replace(stage, logs={part.folder / HEARD: 0 for part in parts})]

    notes = share(
        job, workers, lambda n: _cut_hearing(job, task, n), stages, stop=stop, progress=progress
    )
    require_done(job, workers, len(heard.missing), "utterances")
    return notes


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
    """As `running.run_job`, but workers encode; what to tell of them.

    Raises:
        AmberError: The workers can't be had, or one can't go on; what is recorded stays.
        Stopped: A signal came; the workers have finished their batches in flight.
    """
    assert job.plan is not None
    groups = grouped(loaded, job.journals)
    if not any(group.missing for group in groups):
        return []

    def stages(parts: Sequence[Part]) -> list[Stage]:
        return [_stage(group, parts) for group in groups]

    notes = share(
        job,
        workers,
        lambda number: _cut(job, groups, found, number, decoders),
        stages,
        stop=stop,
        progress=progress,
    )
    require_done(job, workers, sum(len(group.missing) for group in groups), "batches")
    return notes


def _cut_hearing(job: Job, task: Task, number: int) -> list[HearingPart]:
    """Every n-th of the missing utterances, the longest first; no part is empty."""
    assert job.plan is not None
    assert job.heard is not None
    assert task.asr is not None
    plan, sources = job.plan.hearing, task.found.sources["audio"]
    assert plan is not None
    missing, run = set(job.heard.missing), secrets.token_hex(4)
    rows = [row for row in plan.mine(job.plan.shard) if row in missing]
    parts = []
    for place in range(min(number, len(rows))):
        folder = Path(os.path.abspath(job.folder)) / f"part-{run}-{place}"
        make_part(folder, {})
        parts.append(
            HearingPart(
                place=place,
                folder=folder,
                cache=job.cache,
                device=job.plan.device,
                threads=job.plan.threads,
                model=_anywhere(task.asr.model),
                plan=replace(plan, batches=()),
                audio=_audio(rows[place::number], sources),
            )
        )
    return parts


def _audio(rows: Sequence[int], sources: Sources) -> dict[int, Source]:
    return {row: one for row in rows if isinstance(one := sources[row], Source)}


def _cut(
    job: Job, groups: Sequence[Group], found: Survey, number: int, decoders: int | None
) -> list[EncodingPart]:
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
) -> EncodingPart:
    assert job.plan is not None
    folder = Path(os.path.abspath(job.folder)) / name
    make_part(folder, {one.number: one.batches for one in entries})
    inputs: dict[str, dict[int, Source]] = {}
    for one in entries:
        name = one.wanted.input
        some, sources = inputs.setdefault(name, {}), found.sources[name]
        for batch in one.plan.batches:
            some |= {row: source for row in batch if isinstance(source := sources[row], Source)}
    return EncodingPart(
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
    return replace(wanted, encoder=_anywhere(wanted.encoder))


def _anywhere(name: str) -> str:
    return os.path.abspath(name) if local_folder(name) else name


def _stage(group: Group, parts: Sequence[Part]) -> Stage:
    """What to follow of a group: its last entry's log in each part."""
    key = group.entries[-1].key
    logs = {
        log_path(part.folder / str(one.number)): 0
        for part in parts
        if isinstance(part, EncodingPart)
        for one in part.entries
        if one.plan.key == key
    }
    total = len(group.journals[0].rows)
    return Stage(title=group.title, done=group.num_done, total=total, count=count_rows, logs=logs)
