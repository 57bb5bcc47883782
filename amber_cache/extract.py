"""Stage one: corpus -> encoder -> pool -> store.

The command is made of entries, one an encoder. An entry's rows that the cache already holds for the
same input are taken over; the others are planned once, encoded in batches of like length and kept
in a job beside the cache, batch by batch; when all are there, the cache is put together and takes
its place in one step. However the process ends, the same command goes on where it was. What fails
is a row with its reason, never a vector. Whatever can be refused is refused before the first
utterance is encoded, and where nothing is to be done, no encoder is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from amber_cache.backends import Workers
from amber_cache.completion import completed, with_failures
from amber_cache.config import ExtractConfig
from amber_cache.errors import ConfigError, InterruptError
from amber_cache.former import is_same
from amber_cache.interrupt import Stop, Stopped, stop_signals
from amber_cache.job import Job
from amber_cache.loading import LoadedEntry, chosen_device, load_entries
from amber_cache.planning import (
    make_plan,
    parse_shard,
    refuse_other_encoders,
    refuse_other_entries,
    refuse_other_job,
    refuse_other_shard,
    resumed_notes,
    took_its_place,
)
from amber_cache.progress import Progress, no_progress
from amber_cache.provenance import Check, described
from amber_cache.report import (
    ExtractReport,
    checked_note,
    make_report,
    pending_notes,
    summed_notes,
)
from amber_cache.store import DONE, Entry
from amber_cache.task import Task, look, require_unchanged
from amber_cache.wanted import Wanted, builtin_notes

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
    if config.check < 0:
        raise ConfigError(f"--check {config.check}: must be 0 or more")
    if config.decoders is not None and config.decoders < 1:
        raise ConfigError(f"--decoders {config.decoders}: must be at least 1")
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
        return _finish(task, job, stop, [], {}, is_settled=True)
    elif not task.needs_encoders():
        return _finish(task, job, stop, _unchecked(config), {})
    with stop.patient():  # libraries take ill to being interrupted in their first imports
        import amber_cache.checking as checking
        import amber_cache.running as running

        if crew:
            import amber_cache.sharing as sharing
    stop.check()
    loaded = _at_hand(given, task.wanted, device=_device(job, task)) or load_entries(
        task.wanted, device=_device(job, task), stop=stop.check
    )
    stop.check()
    notes = _begin(task, job, loaded, num_sharing=crew.share if crew else 1)
    job.reserve(task.content(job.plan), _entries(task, job, {}))
    how: dict[str, Any] = {"stop": stop, "progress": progress, "decoders": config.decoders}
    if crew is None:
        running.run_job(job, loaded, task.found, **how)
    else:
        notes += sharing.run_shared(job, loaded, task.found, workers=crew, **how)
    checks = checking.check_job(job, loaded, task.found, number=config.check, stop=stop)
    return _finish(task, job, stop, notes, checks)


def _unchecked(config: ExtractConfig) -> list[str]:
    """What to tell where a check was asked for and nothing is encoded."""
    if config.check in (0, ExtractConfig.check):
        return []
    return [f"--check {config.check}: nothing was encoded, so nothing was checked"]


def _device(job: Job, task: Task) -> str:
    return task.device if job.plan is None else job.plan.device


def _at_hand(
    given: Sequence[LoadedEntry], wanted: Sequence[Wanted], *, device: str
) -> list[LoadedEntry]:
    """The entries that are loaded already; none where they are not the ones, on the device."""
    same = [one.wanted for one in given] == list(wanted)
    return list(given) if same and all(one.encoder.device == device for one in given) else []


def _begin(task: Task, job: Job, loaded: list[LoadedEntry], *, num_sharing: int) -> list[str]:
    """Make sure of a plan that fits; what to tell of it."""
    refuse_other_entries(task, loaded)
    if job.plan is not None:
        return [*resumed_notes(job.plan, task), *refuse_other_encoders(job, loaded)]
    job.lock()
    require_unchanged(task)
    job.clear()
    job.begin(make_plan(task, loaded, num_sharing=num_sharing))
    return []


def _entries(task: Task, job: Job, checks: Mapping[tuple[str, str], Check]) -> tuple[Entry, ...]:
    """All entries of the cache to be, as far as they are there."""
    entries = dict(task.carried)
    if job.plan is None:
        for one in task.wanted:
            entries[one.key] = with_failures(entries[one.key], task.found.sources[one.modality])
    else:
        for plan, journal in zip(job.plan.entries, job.journals, strict=True):
            inputs, carried = task.found.sources[plan.modality], task.carried.get(plan.key)
            entry = completed(plan, carried=carried, journal=journal, inputs=inputs)
            entries[plan.key] = entry
    for one in task.wanted:
        entries[one.key] = described(
            entries[one.key],
            task.found.table,
            inputs=task.inputs[one.modality],
            check=checks.get(one.key, Check()),
            former=task.carried.get(one.key),
        )
    return tuple(entries.values())


def _finish(
    task: Task,
    job: Job,
    stop: Stop,
    notes: list[str],
    checks: Mapping[tuple[str, str], Check],
    *,
    is_settled: bool = False,
) -> ExtractReport:
    """Put the cache together if it is another than the one that is there."""
    entries = tuple(task.carried.values()) if is_settled else _entries(task, job, checks)
    content, former = task.content(job.plan), task.former
    is_written = not is_settled and (
        former is None or not is_same((former.content, former.entries), (content, entries))
    )
    encoded = {"/".join(one.key): 0 for one in task.wanted}
    told_of = {}
    for plan, journal in zip(job.plan.entries if job.plan else (), job.journals, strict=True):
        encoded["/".join(plan.key)] = int((journal.status == DONE).sum())
        told_of[plan.key] = journal.notes
        if plan.key in checks and plan.attrs["weights_sha256"]:
            notes.append(checked_note(plan.key, checks[plan.key]))
    notes += summed_notes(told_of, task.found.table.id)
    if is_written:
        job.lock()
        require_unchanged(task)
        job.assemble(content, entries)
    with stop.patient():
        job.discard()
    told = [
        *task.corpus.warnings,
        *task.found.notes,
        *builtin_notes(task.config, task.names, task.device),
        *notes,
        *pending_notes(entries, is_shard=task.shard is not None),
    ]
    keys = [one.key for one in task.wanted]
    return make_report(
        task.config.cache,
        task.corpus,
        [entry for entry in entries if entry.key in keys],
        encoded=encoded,
        checked=checks,
        notes=told,
        written=is_written,
    )
