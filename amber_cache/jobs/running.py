"""Encode what a job has planned and not yet recorded: an encoder's layers in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from amber_cache.errors import CacheError, CorpusError
from amber_cache.jobs.encoding import encoded_batches, threads
from amber_cache.jobs.interrupt import Stop
from amber_cache.jobs.job import Job
from amber_cache.jobs.journal import Journal
from amber_cache.jobs.loading import LoadedEntry
from amber_cache.jobs.memory import Limits
from amber_cache.jobs.recorder import Recorder
from amber_cache.progress import Progress
from amber_cache.sources import Inputs, Survey
from amber_cache.storage.write import disk_trouble


@dataclass(frozen=True, slots=True)
class Group:
    """Entries of one encoder and input whose batches are the same: one pass gives them all."""

    entries: tuple[LoadedEntry, ...]
    journals: tuple[Journal, ...]

    @property
    def input(self) -> str:
        """What is encoded: "audio", "text", "text@asr-NAME"."""
        return self.entries[0].wanted.input

    @property
    def missing(self) -> list[int]:
        """Numbers of the batches that an entry lacks, in order."""
        lacking = (one.batches.keys() - one.finished for one in self.journals)
        return sorted(set[int]().union(*lacking))

    @property
    def num_done(self) -> int:
        """Inputs of the batches that no entry lacks."""
        batches = self.journals[0].batches
        return len(self.journals[0].rows) - sum(len(batches[one]) for one in self.missing)

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
            mine = group.entries[0].encoder is one.encoder and group.input == one.wanted.input
            if mine and group.journals[0].batches == journal.batches:
                groups[place] = Group((*group.entries, one), (*group.journals, journal))
                break
        else:
            groups.append(Group((one,), (journal,)))
    return groups


def run_job(
    job: Job,
    loaded: Sequence[LoadedEntry],
    found: Survey,
    *,
    stop: Stop,
    progress: Progress,
    decoders: int | None = None,
) -> None:
    """Encode the batches that are missing, with the plan's threads, and record each.

    Raises:
        CacheError: The disk is full or gone; what is recorded stays.
        CorpusError: The corpus is gone or was changed meanwhile; so does it.
        Stopped: A signal came; the batch in flight was finished.
    """
    assert job.plan is not None
    with threads(job.plan.threads):
        for group in grouped(loaded, job.journals):
            inputs = found.sources[group.input]
            try:
                run_group(group, inputs, stop=stop, progress=progress, decoders=decoders)
            except DiskError as error:
                raise disk_full(job, group.journals, error.reason) from error
            except CorpusError as error:
                raise CorpusError(f"{error}; {job.kept}" if job.kept else str(error)) from error


class DiskError(Exception):
    """What is encoded can't be recorded."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def disk_full(job: Job, journals: Sequence[Journal], reason: OSError) -> CacheError:
    """What to tell where a job's journals can't be written."""
    size = sum(4 * len(one.rows) * one.width for one in journals)
    return CacheError(disk_trouble(job.cache, size, reason, kept=job.kept))


def run_group(
    group: Group, inputs: Inputs, *, stop: Stop, progress: Progress, decoders: int | None
) -> None:
    """Encode what one encoder's journals lack.

    Raises:
        DiskError: A journal can't be written.
        CorpusError: The corpus is gone or was changed meanwhile.
        Stopped: A signal came; the batch in flight was finished.
    """
    lacking = [journal.batches.keys() - journal.finished for journal in group.journals]
    rest = {number: group.journals[0].batches[number] for number in group.missing}
    done, total = group.num_done, len(group.journals[0].rows)
    if total and not rest:
        progress(group.title, done, total)
    first = group.entries[0]
    work = encoded_batches(
        rest,
        inputs,
        first.encoder,
        layers=[one.wanted.layer for one in group.entries],
        pooling=first.wanted.pooling,
        decoders=decoders,
        limits=_limits(group.journals),
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
        raise DiskError(error) from error


def _limits(journals: Sequence[Journal]) -> Limits:
    def keep(batch: int, most: int) -> None:
        for journal in journals:
            try:
                journal.limit(batch, most)
            except OSError as error:
                raise DiskError(error) from error

    return Limits([limit for journal in journals for limit in journal.limits], keep)
