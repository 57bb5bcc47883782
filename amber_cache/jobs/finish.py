"""What a command leaves: entries and transcripts completed, the cache put together, a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from amber_cache.entry_names import input_of
from amber_cache.jobs.completion import completed, with_failures
from amber_cache.jobs.former import is_same
from amber_cache.jobs.interrupt import Stop
from amber_cache.jobs.job import Job
from amber_cache.jobs.provenance import Check, described
from amber_cache.jobs.report import (
    ExtractReport,
    HeardCount,
    checked_note,
    make_report,
    pending_notes,
    summed_notes,
)
from amber_cache.jobs.task import Task, require_unchanged
from amber_cache.jobs.wanted import builtin_notes
from amber_cache.store import DONE, FAILED, Entry, Transcripts
from amber_cache.transcripts import completed_transcripts


def entries_of(task: Task, job: Job, checks: Mapping[tuple[str, str], Check]) -> tuple[Entry, ...]:
    """All entries of the cache to be, as far as they are there."""
    entries = dict(task.carried)
    if job.plan is None:
        for one in task.wanted:
            entries[one.key] = with_failures(entries[one.key], task.found.sources[one.input])
    else:
        for plan, journal in zip(job.plan.entries, job.journals, strict=True):
            inputs = task.found.sources[input_of(*plan.key)]
            carried = task.carried.get(plan.key)
            entry = completed(plan, carried=carried, journal=journal, inputs=inputs)
            entries[plan.key] = entry
    for one in task.wanted:
        entries[one.key] = described(
            entries[one.key],
            task.found.table,
            inputs=task.inputs[one.input],
            check=checks.get(one.key, Check()),
            former=task.carried.get(one.key),
        )
    return tuple(entries.values())


def transcripts_of(task: Task, job: Job) -> tuple[Transcripts, ...]:
    """All transcripts of the cache to be, as far as they are there."""
    found = dict(task.transcripts)
    if task.asr is not None:
        mine = found[task.asr.name]
        hearing = None if job.plan is None else job.plan.hearing
        attrs = mine.attrs or task.asr.attrs if hearing is None else hearing.attrs
        heard = {} if job.heard is None else job.heard.found
        audio = task.found.sources["audio"]
        found[mine.name] = completed_transcripts(mine, audio, heard, attrs)
    return tuple(found.values())


def finish(
    task: Task,
    job: Job,
    stop: Stop,
    notes: list[str],
    checks: Mapping[tuple[str, str], Check],
    *,
    is_settled: bool = False,
) -> ExtractReport:
    """Put the cache together if it is another than the one that is there."""
    entries = tuple(task.carried.values()) if is_settled else entries_of(task, job, checks)
    transcripts = tuple(task.transcripts.values()) if is_settled else transcripts_of(task, job)
    content, former = task.content(job.plan, transcripts), task.former
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
    heard = _heard_counts(task, job, transcripts)
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
        heard=heard,
        checked=checks,
        notes=told,
        written=is_written,
    )


def _heard_counts(
    task: Task, job: Job, transcripts: Sequence[Transcripts]
) -> Mapping[str, HeardCount]:
    """What of the command's transcripts is new, and what is there."""
    new = {} if job.heard is None else job.heard.found
    return {
        one.name: HeardCount(
            new=sum(isinstance(outcome, str) for outcome in new.values()),
            done=int((one.status == DONE).sum()),
            empty=int(((one.status == DONE) & (one.text == "")).sum()),
            failed=int((one.status == FAILED).sum()),
        )
        for one in transcripts
        if task.asr is not None and one.name == task.asr.name
    }
