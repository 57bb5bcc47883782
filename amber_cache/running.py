"""Encode what a job has planned and not yet recorded: an encoder's layers in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Group:
    """Entries of one encoder whose batches are the same: one pass gives them all."""

    entries: tuple[LoadedEntry, ...]
    journals: tuple[Journal, ...]

    @property
    def title(self) -> str:
        """What a progress line calls it."""
        name = "/".join(self.entries[0].key)
        more = len(self.entries) - 1
        return f"{name} and {more} more" if more else name


def grouped(loaded: Sequence[LoadedEntry], journals: Sequence[Journal]) -> list[Group]:
    """Entries that can be encoded together; layers that lack other rows go by themselves."""
    groups: list[Group] = []
    for one, journal in zip(loaded, journals, strict=True):
        for place, group in enumerate(groups):
            mine = group.entries[0].encoder is one.encoder
            if mine and group.journals[0].batches == journal.batches:
                groups[place] = Group((*group.entries, one), (*group.journals, journal))
                break
        else:
            groups.append(Group((one,), (journal,)))
    return groups


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
        for group in grouped(loaded, job.journals):
            _run(job, group, found.sources[group.entries[0].modality], stop, progress)


def _run(job: Job, group: Group, inputs: Sources, stop: Stop, progress: Progress) -> None:
    lacking = [journal.batches.keys() - journal.finished for journal in group.journals]
    missing = set().union(*lacking)
    batches = group.journals[0].batches
    rest = {number: rows for number, rows in batches.items() if number in missing}
    total = len(group.journals[0].rows)
    done = total - sum(map(len, rest.values()))
    if total and not rest:
        progress(group.title, done, total)
    first = group.entries[0]
    work = encoded_batches(
        rest,
        inputs,
        first.encoder,
        layers=[one.wanted.layer for one in group.entries],
        pooling=first.wanted.pooling,
    )
    recorders = [Recorder(journal) for journal in group.journals]
    try:
        with ExitStack() as stack, stop.patient():
            for recorder in recorders:
                stack.enter_context(recorder)
            stack.enter_context(closing(work))
            for number, outcomes in work:
                for recorder, mine, some in zip(recorders, lacking, outcomes, strict=True):
                    if number in mine:  # a kill may have come between two layers' records
                        recorder.put(number, some)
                done += len(rest[number])
                progress(group.title, done, total)
                stop.check()
    except OSError as error:
        if not any(error is recorder.error for recorder in recorders):
            raise
        size = sum(4 * total * journal.width for journal in group.journals)
        raise CacheError(disk_trouble(job.cache, size, error, kept=job.kept)) from error
