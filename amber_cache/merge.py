"""Put the shards of one plan together: the cache that one run over everything would have written.

Shards are of one plan if they say so themselves: the stamp in a cache's root names inputs,
settings, encoders, batches, device and threads. Nothing is computed here, no encoder is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from amber_cache.errors import CacheError, InterruptError
from amber_cache.files.safe_files import parse_json
from amber_cache.jobs.completion import combined
from amber_cache.jobs.former import is_same
from amber_cache.jobs.interrupt import Stopped, stop_signals
from amber_cache.jobs.job import Job
from amber_cache.jobs.provenance import merged_attrs
from amber_cache.jobs.report import Failure, failures_of
from amber_cache.jobs.stamps import PLAN_STAMP, SEEN_NS
from amber_cache.store import PENDING, CacheContent, Entry, Transcripts, open_cache
from amber_cache.transcripts import combined_transcripts

#: What of a stamp can be shown; of the rest it is said that it differs.
_SHOWN = ("settings", "device", "threads", "attributes")


@dataclass(frozen=True, kw_only=True)
class MergeReport:
    """What was put together.

    Attributes:
        num_pending: Rows that belong to shards that were left out, by entry, and of transcripts.
        failures: Rows that failed, for other reasons than an empty text.
    """

    cache: Path
    num_parts: int
    num_utterances: int
    num_pending: Mapping[str, int]
    failures: tuple[Failure, ...]

    @property
    def last_line(self) -> str:
        """What was done and what failed, in a line."""
        pending = [f"{n} pending in {name}" for name, n in self.num_pending.items() if n]
        counts = [f"{self.num_utterances} utterances of {self.num_parts} shards", *pending]
        counts.append(f"{len(self.failures)} failed")
        return f"{self.cache}: written: {', '.join(counts)}"


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    stamp: Mapping[str, str]
    content: CacheContent
    entries: tuple[Entry, ...]

    @property
    def shard(self) -> tuple[int, int]:
        place, _, number = self.stamp["shard"].partition("/")
        return int(place), int(number)


def merge(out: Path, parts: Sequence[Path], *, partial: bool = False) -> MergeReport:
    """Write the cache that the parts make up.

    Args:
        out: The cache to write; it must not be there.
        parts: What `amber extract --shard` wrote, in any order.
        partial: Leave the rows of missing shards PENDING instead of refusing.

    Raises:
        CacheError: The parts are not all shards of one plan, or do not agree, or one is missing,
            or the cache can't be written; nothing is written then.
        InterruptError: Ctrl-C or SIGTERM came.
    """
    job = Job(out)
    with stop_signals() as stop:
        try:
            with ExitStack() as stack:
                return _merge(job, [_open(path, stack) for path in parts], partial=partial)
        except (Stopped, Exception):
            if not stop.signum:
                raise
            line = "interrupted; nothing half-written is left"
            raise InterruptError(line, status=stop.status) from None
        finally:
            job.leave()


def _merge(job: Job, parts: Sequence[_Part], *, partial: bool) -> MergeReport:
    if os.path.lexists(job.target) or job.stands():
        raise CacheError(f"{job.cache}: is there already, or is being made; name another file")
    _refuse_other_plans(parts)
    _refuse_wrong_set(parts, partial=partial)
    entries = tuple(_combined(parts, number) for number in range(len(parts[0].entries)))
    content = _content(parts)
    job.lock()
    job.assemble(content, entries)
    job.discard()
    ids = content.utterances.id
    return MergeReport(
        cache=job.cache,
        num_parts=len(parts),
        num_utterances=len(ids),
        num_pending={
            name: int(np.count_nonzero(status == PENDING))
            for name, status in (
                *(("/".join(entry.key), entry.status) for entry in entries),
                *((f"transcripts/{one.name}", one.status) for one in content.transcripts),
            )
        },
        failures=failures_of(entries, ids),
    )


def _open(path: Path, stack: ExitStack) -> _Part:
    cache = stack.enter_context(open_cache(path))
    try:
        stamp = parse_json(str(cache.attrs[PLAN_STAMP]).encode())
        _ = [int(part) for part in stamp["shard"].split("/", 1)], stamp["sha256"]
    except (KeyError, ValueError, TypeError, AttributeError):
        raise CacheError(f"{path}: is no shard; `amber extract --shard K/N` writes one") from None
    names = [(one, name) for one in cache.modalities for name in cache.encoders(one)]
    return _Part(path, stamp, cache.tables(), tuple(cache.entry(*name) for name in names))


def _refuse_other_plans(parts: Sequence[_Part]) -> None:
    first = parts[0]
    for part in parts[1:]:
        if part.stamp["sha256"] != first.stamp["sha256"]:
            raise CacheError(
                f"{part.path}: is of another plan than {first.path}: "
                f"{_difference(first.stamp, part.stamp)}; make it again as the first was made"
            )
        keys = [[entry.key for entry in one.entries] for one in (first, part)]
        names = [[heard.name for heard in one.content.transcripts] for one in (first, part)]
        tables = (replace(one.content, transcripts=()) for one in (first, part))
        if not is_same(*tables) or keys[0] != keys[1] or names[0] != names[1]:
            raise CacheError(
                f"{part.path}: its utterances, votes or entries are not those of {first.path}"
            )


def _difference(first: Mapping[str, str], other: Mapping[str, str]) -> str:
    names = [one for one in sorted(first, key=_rank) if one not in ("sha256", "shard")]
    names = [name for name in names if first[name] != other.get(name)]
    told = [_told(name, first[name], other.get(name, "")) for name in names]
    return "; ".join(told) or "it is damaged"


def _rank(name: str) -> int:
    """What the user asked for stands before what follows from it."""
    return _SHOWN.index(name) if name in _SHOWN else len(_SHOWN)


def _told(name: str, first: str, other: str) -> str:
    """One part of two stamps; of what was asked for, and of entries, only what differs."""
    if name not in _SHOWN:
        return f"another {name}"
    try:
        before, now = (parse_json(one.encode()) for one in (first, other))
        keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        told = [_pair(key, before.get(key), now.get(key)) for key in keys]
    except (ValueError, AttributeError, TypeError):  # a word, or what another script wrote
        return f"{name} {other}, not {first}"
    return ", ".join(told)


def _pair(key: str, before: object, now: object) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        inner = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        return ", ".join(f"{key}: {_pair(one, before.get(one), now.get(one))}" for one in inner)
    if isinstance(before, dict) or isinstance(now, dict):
        return f"{'no' if now is None else 'a further'} {key}"
    return f"{key} {_value(now)}, not {_value(before)}"


def _value(value: object) -> str:
    return "none" if value is None else str(value)


def _refuse_wrong_set(parts: Sequence[_Part], *, partial: bool) -> None:
    places: dict[int, Path] = {}
    _, number = parts[0].shard
    for part in parts:
        place, of = part.shard
        if of != number:
            raise CacheError(f"{part.path}: is one of {of} shards, {parts[0].path} of {number}")
        if place in places:
            raise CacheError(f"{part.path}: shard {place}/{number} is {places[place]} already")
        places[place] = part.path
    missing = [f"{place}/{number}" for place in range(number) if place not in places]
    if missing and not partial:
        raise CacheError(
            f"shards are missing: {', '.join(missing)}; give them too, or --partial to leave their "
            "rows pending"
        )


def _combined(parts: Sequence[_Part], number: int) -> Entry:
    entries = [part.entries[number] for part in parts]
    try:
        whole = combined(entries)
        table = parts[0].content.utterances
        return replace(whole, attrs=merged_attrs(whole, table, [one.attrs for one in entries]))
    except ValueError as error:
        identifier = parts[0].content.utterances.id[int(str(error))]
        raise CacheError(
            f"{'/'.join(entries[0].key)}: two shards hold {identifier!r}, and not the same"
        ) from None


def _content(parts: Sequence[_Part]) -> CacheContent:
    stamp = {name: value for name, value in parts[0].stamp.items() if name != "shard"}
    seen: list[Any] = [one.content.attrs.get(SEEN_NS, 0) for one in parts]
    first = parts[0].content
    heard = tuple(_combined_transcripts(parts, i) for i in range(len(first.transcripts)))
    return replace(first, transcripts=heard, attrs={PLAN_STAMP: stamp, SEEN_NS: min(seen)})


def _combined_transcripts(parts: Sequence[_Part], number: int) -> Transcripts:
    every = [part.content.transcripts[number] for part in parts]
    try:
        return combined_transcripts(every)
    except ValueError as error:
        identifier = parts[0].content.utterances.id[int(str(error))]
        raise CacheError(
            f"transcripts/{every[0].name}: two shards hold {identifier!r}, and not the same"
        ) from None
