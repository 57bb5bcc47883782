"""Make a job's plan, or go on with the one that is there; refuse what does not fit it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from amber_cache.errors import CacheError, ConfigError, EncoderError
from amber_cache.jobs.completion import rows_to_encode
from amber_cache.jobs.job import Job
from amber_cache.jobs.loading import LoadedEntry, is_unchanged, require_cuda
from amber_cache.jobs.plan import (
    EntryPlan,
    HearingPlan,
    Plan,
    Shard,
    corpus_difference,
    corpus_digest,
    settings_difference,
    settings_text,
)
from amber_cache.jobs.same_settings import refuse_other_settings
from amber_cache.jobs.stamps import stamp_of
from amber_cache.jobs.task import Task
from amber_cache.transcribe import Transcriber


def parse_shard(text: str | None) -> Shard | None:
    """Read "K/N", counted from 0.

    Raises:
        ConfigError: It is something else.

    >>> parse_shard("0/4")
    (0, 4)
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    place, number = (int(one) for one in found.groups()) if found else (0, 0)
    if place >= number:
        raise ConfigError(f"--shard {text}: must be K/N with K from 0 to N - 1, as 0/4 to 3/4")
    return place, number


def make_plan(
    task: Task,
    loaded: Sequence[LoadedEntry],
    *,
    transcriber: Transcriber | None = None,
    num_sharing: int = 1,
) -> Plan:
    """Plan all that is to be transcribed and encoded.

    Args:
        task: What there is to encode.
        loaded: Through which encoders.
        transcriber: What is missing of its transcripts is made first; None where nothing is.
        num_sharing: Processes that share this machine's cores.
    """
    import torch

    from amber_cache.jobs.encoding import plan_rows, plan_unheard, pooled_width

    entries = []
    planned: dict[tuple[object, ...], tuple[int, tuple[tuple[int, ...], ...]]] = {}
    for one in loaded:
        source = one.wanted.input
        inputs = task.found.sources[source]
        rows = rows_to_encode(task.carried.get(one.key), inputs)
        same = id(one.encoder), source, tuple(rows)  # layers mostly lack the same rows
        if same not in planned and one.wanted.asr is not None:
            planned[same] = plan_unheard(rows, inputs, device=task.device)
        elif same not in planned:
            alike = [x for x in loaded if x.encoder is one.encoder and x.wanted.input == source]
            layers = [other.wanted.layer for other in alike]
            planned[same] = plan_rows(rows, inputs, one.encoder, layers)
        budget, batches = planned[same]
        entries.append(
            EntryPlan(
                modality=one.modality,
                name=one.wanted.name,
                attrs=one.attrs,
                width=pooled_width(one.encoder, one.wanted.pooling),
                budget=budget,
                batches=batches,
            )
        )
    return Plan(
        settings=task.settings,
        device=task.device,
        threads=max(1, torch.get_num_threads() // num_sharing),
        former=task.former_digest,
        ids=task.ids,
        inputs=task.inputs,
        entries=tuple(entries),
        shard=task.shard,
        files=task.found.files,
        seen_ns=task.seen_ns,
        hearing=None if transcriber is None else _hearing_plan(task, transcriber),
    )


def _hearing_plan(task: Task, transcriber: Transcriber) -> HearingPlan:
    from amber_cache.jobs.encoding import plan_unheard

    assert task.asr is not None
    inputs = task.found.sources[task.heard_input]
    _, batches = plan_unheard(task.rows_to_hear, inputs, device=task.device)
    return HearingPlan(name=task.asr.name, attrs=transcriber.attrs, batches=batches)


def refuse_other_job(job: Job, task: Task) -> None:
    """Refuse a command that is not the one whose job is unfinished.

    Raises:
        CacheError: Settings, corpus or cache differ, with what does and the way out.
        EncoderError: The device that the job runs on is not here.
    """
    plan = job.plan
    assert plan is not None
    way_out = f"--overwrite discards that job ({job.told} in it)"
    place = f"--cache {job.cache}: its unfinished job"
    asked = {**task.settings, "shard": task.shard and "{}/{}".format(*task.shard)}
    planned = {**plan.settings, "shard": plan.shard and "{}/{}".format(*plan.shard)}
    if difference := settings_difference(planned, asked):
        raise CacheError(f"{place} was begun with {difference}; {way_out}")
    if plan.hearing is not None and task.asr is not None:
        _refuse_other_asr(plan.hearing, task.asr.attrs, place=place)
    if difference := corpus_difference(plan, task.ids, task.inputs):
        raise CacheError(
            f"{place} was begun with another corpus; of its utterances are now {difference}; put "
            f"them back to go on, or {way_out}"
        )
    if plan.former != task.former_digest:
        raise CacheError(f"{place} was begun with another cache in this place; {way_out}")
    if plan.device != "cpu":
        try:
            require_cuda(plan.device, asked=plan.device)
        except EncoderError as error:
            raise EncoderError(f"{place} runs on a device that is not here: {error}") from None


def refuse_other_encoders(
    job: Job, loaded: Sequence[LoadedEntry], transcriber: Transcriber | None = None
) -> list[str]:
    """Refuse models that are not the plan's; what to tell where only libraries differ.

    Raises:
        CacheError: Revision or weights differ.
    """
    assert job.plan is not None
    place = f"--cache {job.cache}: its unfinished job"
    hearing, notes = job.plan.hearing, []
    if hearing is not None and transcriber is not None:
        notes = transcriber_notes(hearing, transcriber, place=place)
    return notes + encoder_notes(job.plan.entries, loaded, place=place)


def transcriber_notes(plan: HearingPlan, transcriber: Transcriber, *, place: str) -> list[str]:
    """As `refuse_other_encoders`, for what transcribes.

    Raises:
        CacheError: Revision or weights differ.
    """
    _refuse_other_asr(plan, transcriber.attrs, place=place)
    return _library_notes(f"transcripts/{plan.name}", plan.attrs, transcriber.attrs)


def _refuse_other_asr(plan: HearingPlan, attrs: Mapping[str, Any], *, place: str) -> None:
    for name in ("revision", "weights_sha256", "settings_sha256"):
        if (planned := plan.attrs.get(name)) != attrs[name]:
            raise CacheError(
                f"{place} transcribes with {plan.attrs['model']} of {name} {planned!r}, "
                f"and this would be {attrs[name]!r}; --overwrite discards that job"
            )


def _library_notes(place: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    before = dict(then["libraries"])
    return [
        f"{place}: was begun with {name} {before.get(name)}, goes on with {version}"
        for name, version in dict(now["libraries"]).items()
        if before.get(name) != version
    ]


def encoder_notes(
    entries: Sequence[EntryPlan], loaded: Sequence[LoadedEntry], *, place: str
) -> list[str]:
    """As `refuse_other_encoders`, for some entries of a plan.

    Raises:
        CacheError: Revision or weights differ.
    """
    notes = []
    for planned, one in zip(entries, loaded, strict=True):
        for name in ("revision", "weights_sha256", "sampling_rate_hz"):
            if planned.attrs[name] != one.attrs[name]:
                raise CacheError(
                    f"{place} encodes {'/'.join(one.key)} with {name} {planned.attrs[name]!r}, and "
                    f"this would be {one.attrs[name]!r}; --overwrite discards that job"
                )
        notes += _library_notes("/".join(one.key), planned.attrs, one.attrs)
    return notes


def refuse_other_entries(task: Task, loaded: Sequence[LoadedEntry]) -> None:
    """Refuse to put rows into an entry that was made otherwise.

    Raises:
        CacheError: As said, with both values.
    """
    for one in loaded:
        if one.key in task.carried:
            refuse_other_settings(task.config.cache, task.carried[one.key], one.attrs)


def refuse_other_shard(task: Task) -> None:
    """Refuse a shard's cache that is not finished for the very shard that is asked for.

    Raises:
        CacheError: As said.
    """
    assert task.shard is not None
    stamp = stamp_of(task.former)
    wanted = {
        "shard": "{}/{}".format(*task.shard),
        "settings": settings_text(task.settings),
        "corpus": corpus_digest(task.ids, task.inputs),
    }
    made = all(stamp.get(name) == value for name, value in wanted.items())
    if not made or not all(
        one.key in task.carried and is_unchanged(one, task.carried[one.key].attrs)
        for one in task.wanted
    ):
        raise CacheError(
            f"--cache {task.config.cache}: holds something else than shard {wanted['shard']} of "
            "this; delete it, or name another file with --cache"
        )


def took_its_place(job: Job, task: Task) -> bool:
    """Whether the cache is the one that the job has made: only tidying up is left."""
    return job.plan is not None and stamp_of(task.former) == job.plan.stamp


def resumed_notes(plan: Plan, task: Task) -> list[str]:
    """What the command asks for, and an unfinished job does not follow."""
    if plan.device == task.device:
        return []
    return [
        f"the unfinished job was begun on {plan.device} and goes on there, not on {task.device}"
    ]
