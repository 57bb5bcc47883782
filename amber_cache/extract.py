"""Stage one: corpus -> encoder -> pool -> store.

The command is made of entries, one an encoder and its input: the corpus's own audio or text, or
what a speech-recognition model transcribes first. An entry's rows that the cache already holds for
the same input are taken over; the others are planned once, encoded in batches of like length and
kept in a job beside the cache, batch by batch; when all are there, the cache is put together and
takes its place in one step. However the process ends, the same command goes on where it was. What
fails is a row with its reason, never a vector. Whatever can be refused is refused before the first
utterance is encoded, and where nothing is to be done, no encoder is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from amber_cache.config import ExtractConfig
from amber_cache.errors import ConfigError, InterruptError
from amber_cache.jobs.backends import Workers
from amber_cache.jobs.finish import entries_of, finish
from amber_cache.jobs.interrupt import Stop, Stopped, stop_signals
from amber_cache.jobs.job import Job
from amber_cache.jobs.loading import LoadedEntry, chosen_device, load_entries
from amber_cache.jobs.planning import (
    make_plan,
    parse_shard,
    refuse_other_encoders,
    refuse_other_entries,
    refuse_other_job,
    refuse_other_shard,
    resumed_notes,
    took_its_place,
)
from amber_cache.jobs.report import ExtractReport
from amber_cache.jobs.task import Task, look, require_unchanged
from amber_cache.jobs.wanted import Wanted
from amber_cache.progress import Progress, no_progress
from amber_cache.transcribe import Transcriber

__all__ = ["ExtractReport", "extract"]


def extract(
    config: ExtractConfig,
    *,
    overwrite: bool = False,
    workers: Workers | None = None,
    loaded: Sequence[LoadedEntry] = (),
    progress: Progress = no_progress,
) -> ExtractReport:
    """Run the encoders over a corpus, and write or complete its cache.

    Args:
        config: What to do.
        overwrite: Discard a job that was left unfinished; a cache is never discarded.
        workers: Who encodes; None for this process.
        loaded: Entries whose encoders are at hand; they are loaded where these are not the ones.
        progress: Told how far it has come.

    Raises:
        AmberError: The corpus, the encoders, the device or the cache can't be used, or the disk is
            full; the cache is as it was then.
        InterruptError: Ctrl-C or SIGTERM came; what is encoded is kept.
    """
    job = Job(config.cache)
    with stop_signals() as stop:
        try:
            with ExitStack() as stack:
                how: dict[str, Any] = {"overwrite": overwrite, "crew": workers, "given": loaded}
                return _extract(config, job, stop, stack, progress, **how)
        except (Stopped, Exception):
            if not stop.signum:
                raise
            rest = f"{job.kept}; the same command goes on" if job.kept else ""
            line = f"interrupted; {rest or 'nothing half-written is left'}"
            raise InterruptError(line, status=stop.status) from None
        finally:
            job.leave()


def _extract(
    config: ExtractConfig,
    job: Job,
    stop: Stop,
    stack: ExitStack,
    progress: Progress,
    *,
    overwrite: bool,
    crew: Workers | None,
    given: Sequence[LoadedEntry],
) -> ExtractReport:
    device, shard = chosen_device(config), parse_shard(config.shard)
    _refuse_numbers(config)
    if job.stands():
        job.lock()
        if not overwrite:  # else it is cleared away when the new one begins
            job.load()
    task = look(config, device=device, shard=shard, plan=job.plan, progress=progress, stack=stack)
    if took_its_place(job, task) or (job.plan and not job.num_recorded):
        job.clear()
    if job.plan:
        refuse_other_job(job, task)
    elif task.shard and task.former:
        refuse_other_shard(task)
        return finish(task, job, stop, [], {}, is_settled=True)
    elif not task.needs_encoders():
        return finish(task, job, stop, _unchecked(config), {})
    return _done(task, job, stop, progress, crew=crew, given=given)


def _done(
    task: Task,
    job: Job,
    stop: Stop,
    progress: Progress,
    *,
    crew: Workers | None,
    given: Sequence[LoadedEntry],
) -> ExtractReport:
    """Load what is needed, do what the job lacks, finish."""
    with stop.patient():  # libraries take ill to being interrupted in their first imports
        import amber_cache.jobs.checking as checking
        import amber_cache.jobs.hearing as hearing
        import amber_cache.jobs.running as running

        if crew:
            import amber_cache.jobs.cutting as cutting
    stop.check()
    device = _device(job, task)
    loaded = _at_hand(given, task.wanted, device=device) or load_entries(
        task.wanted, device=device, stop=stop.check
    )
    transcriber = _transcriber(job, task, stop, device)
    num_sharing = crew.share if crew else 1
    notes = _begin(task, job, loaded, transcriber=transcriber, num_sharing=num_sharing)
    job.reserve(task.content(job.plan), entries_of(task, job, {}))
    told: dict[str, Any] = {"stop": stop, "progress": progress}
    how = {**told, "decoders": task.config.decoders}
    if crew is None:
        hearing.hear_job(job, transcriber, task.found, **told)
        del transcriber  # the encoders can have its memory
        found = hearing.with_heard(task.found, job)
        running.run_job(job, loaded, found, **how)
    else:
        del transcriber  # each worker loads its own
        notes += cutting.hear_shared(job, task, workers=crew, **told)
        found = hearing.with_heard(task.found, job)
        notes += cutting.run_shared(job, loaded, found, workers=crew, **how)
    checks = checking.check_job(job, loaded, found, number=task.config.check, stop=stop)
    return finish(task, job, stop, notes, checks)


def _refuse_numbers(config: ExtractConfig) -> None:
    if config.check < 0:
        raise ConfigError(f"--check {config.check}: must be 0 or more")
    if config.decoders is not None and config.decoders < 1:
        raise ConfigError(f"--decoders {config.decoders}: must be at least 1")


def _unchecked(config: ExtractConfig) -> list[str]:
    """What to tell where a check was asked for and nothing is encoded."""
    if config.check in (0, ExtractConfig.check):
        return []
    return [f"--check {config.check}: nothing was encoded, so nothing was checked"]


def _device(job: Job, task: Task) -> str:
    return task.device if job.plan is None else job.plan.device


def _transcriber(job: Job, task: Task, stop: Stop, device: str) -> Transcriber | None:
    """What transcribes, loaded where something is to be; refused before anything is encoded."""
    stop.check()
    missing = task.rows_to_hear if job.heard is None else job.heard.missing
    if task.asr is None or not missing:
        return None
    with stop.patient():
        transcriber = Transcriber(task.asr, device=device)
    stop.check()
    return transcriber


def _at_hand(
    given: Sequence[LoadedEntry], wanted: Sequence[Wanted], *, device: str
) -> list[LoadedEntry]:
    """The entries that are loaded already; none where they are not the ones, on the device."""
    same = [one.wanted for one in given] == list(wanted)
    return list(given) if same and all(one.encoder.device == device for one in given) else []


def _begin(
    task: Task,
    job: Job,
    loaded: list[LoadedEntry],
    *,
    transcriber: Transcriber | None,
    num_sharing: int,
) -> list[str]:
    """Make sure of a plan that fits; what to tell of it."""
    refuse_other_entries(task, loaded)
    if job.plan is not None:
        others = refuse_other_encoders(job, loaded, transcriber)
        return [*resumed_notes(job.plan, task), *others]
    job.lock()
    require_unchanged(task)
    job.clear()
    job.begin(make_plan(task, loaded, transcriber=transcriber, num_sharing=num_sharing))
    return []
