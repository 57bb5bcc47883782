"""Transcribe what a job has planned and not yet recorded, before its text is encoded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from amber_cache.entry_names import ASR
from amber_cache.errors import CorpusError, UtteranceError
from amber_cache.jobs.encoding import threads
from amber_cache.jobs.heard import Heard
from amber_cache.jobs.interrupt import Stop
from amber_cache.jobs.job import Job
from amber_cache.jobs.plan import HearingPlan
from amber_cache.jobs.running import DiskError, disk_full
from amber_cache.progress import Progress
from amber_cache.sources import Inputs, Source, Survey
from amber_cache.transcribe import Transcriber
from amber_cache.transcripts import Hearing, heard_sources


def hear_job(
    job: Job, transcriber: Transcriber | None, found: Survey, *, stop: Stop, progress: Progress
) -> None:
    """Transcribe the utterances that are missing, one by one, and record each.

    Args:
        job: Its plan says which.
        transcriber: May be left out where none is missing.
        found: The audio.

    Raises:
        CacheError: The disk is full or gone; what is recorded stays.
        CorpusError: The corpus is gone or was changed meanwhile; so does it.
        Stopped: A signal came; the utterance in flight was finished.
    """
    assert job.plan is not None
    heard, plan = job.heard, job.plan.hearing
    if heard is None or plan is None or not heard.missing:
        return
    assert transcriber is not None
    total, title = len(heard.rows), hearing_title(plan)
    try:
        with threads(job.plan.threads), stop.patient():
            for _ in hear_rows(heard.missing, found.sources["audio"], transcriber, heard):
                progress(title, len(heard.found), total)
                stop.check()
    except DiskError as error:
        raise disk_full(job, job.journals, error.reason) from error
    except CorpusError as error:
        raise CorpusError(f"{error}; {job.kept}" if job.kept else str(error)) from error


def hear_rows(
    rows: Iterable[int], audio: Inputs, transcriber: Transcriber, heard: Heard
) -> Iterable[int]:
    """Each row, when it is heard and recorded.

    Raises:
        DiskError: It can't be recorded.
        CorpusError: The corpus is gone or was changed meanwhile.
    """
    for row in rows:
        outcome = _heard(audio[row], transcriber)
        try:
            heard.write(row, outcome)
        except OSError as error:
            raise DiskError(error) from error
        yield row


def with_heard(found: Survey, job: Job) -> Survey:
    """What there is to encode when everything is heard."""
    assert job.plan is not None
    heard, plan = job.heard, job.plan.hearing
    if heard is None or plan is None:
        return found
    name = f"text{ASR}{plan.name}"
    sources = heard_sources(found.sources[name], heard.found)
    return replace(found, sources={**found.sources, name: sources})


def hearing_title(plan: HearingPlan) -> str:
    """What a progress line calls it."""
    return f"transcribing with {plan.name}"


def _heard(source: Source | UtteranceError, transcriber: Transcriber) -> Hearing:
    assert isinstance(source, Source)  # the others are not planned
    try:
        waveform = source.load(transcriber.sampling_rate_hz)
        assert not isinstance(waveform, str)
        return transcriber.hear(waveform)
    except UtteranceError as error:
        return error
