"""Encode what a job has planned and not yet recorded."""

from __future__ import annotations

from collections.abc import Sequence

from amber_cache.encoding import encoded_batches, threads
from amber_cache.errors import CacheError
from amber_cache.interrupt import Stop
from amber_cache.job import Job
from amber_cache.journal import Journal
from amber_cache.loading import LoadedEntry
from amber_cache.progress import Progress
from amber_cache.recorder import Recorder
from amber_cache.sources import Sources, Survey
from amber_cache.store_write import disk_trouble


def run_job(
    job: Job, loaded: Sequence[LoadedEntry], found: Survey, *, stop: Stop, progress: Progress
) -> None:
    """Encode the batches that are missing, with the plan's threads, and record each.

    Raises:
        CacheError: The disk is full or gone; what is recorded stays.
        Stopped: A signal came; the batch in flight was finished.
    """
    assert job.plan is not None
    with threads(job.plan.threads):
        for one, journal in zip(loaded, job.journals, strict=True):
            _run(job, one, journal, found.sources[one.modality], stop, progress)


def _run(
    job: Job,
    one: LoadedEntry,
    journal: Journal,
    inputs: Sources,
    stop: Stop,
    progress: Progress,
) -> None:
    rest = {n: rows for n, rows in journal.batches.items() if n not in journal.finished}
    total = len(journal.rows)
    done = total - sum(map(len, rest.values()))
    if total and not rest:
        progress("/".join(one.key), done, total)
    how = {"layer": one.attrs["layer"], "pooling": one.attrs["pooling"]}
    recorder = Recorder(journal)
    try:
        with recorder, stop.patient():
            for number, outcomes in encoded_batches(rest, inputs, one.encoder, **how):
                recorder.put(number, outcomes)
                done += len(outcomes)
                progress("/".join(one.key), done, total)
                stop.check()
    except OSError as error:
        if error is not recorder.error:
            raise
        size = 4 * total * journal.width
        raise CacheError(disk_trouble(job.cache, size, error, kept=job.kept)) from error
