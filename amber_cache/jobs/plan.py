"""The plan of an extraction: made once when a job starts, kept with it, followed to its end.

It holds whatever the vectors' bytes depend on: inputs, encoders, batches, device, threads. A job
that goes on, and shards on several machines, follow the one plan and probe nothing again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from amber_cache.encoders.hf_files import WEIGHT_FILES
from amber_cache.errors import CacheError
from amber_cache.sources import KnownFile

PLAN_FORMAT = "amber-job"
PLAN_VERSION = 1

#: A part of all batches: this one, of so many.
Shard: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPlan:
    """What is to be encoded for one entry.

    Attributes:
        attrs: The entry's attributes in the cache.
        width: Features of a vector.
        budget: Padded milliseconds or characters that a batch may have.
        batches: Rows of the utterance table, by batch.
    """

    modality: str
    name: str
    attrs: Mapping[str, Any]
    width: int
    budget: int
    batches: tuple[tuple[int, ...], ...]

    @property
    def key(self) -> tuple[str, str]:
        """Modality and name."""
        return self.modality, self.name

    def mine(self, shard: Shard | None) -> dict[int, tuple[int, ...]]:
        """Number -> rows of the batches that a shard does; of all of them without one."""
        return _mine(self.batches, shard)


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingPlan:
    """What is to be transcribed before its text is encoded.

    Attributes:
        name: The transcripts' in the cache.
        attrs: Likewise.
        batches: Rows of the utterance table, cut as those of the entries that are made of them, so
            that a shard hears what it encodes.
    """

    name: str
    attrs: Mapping[str, Any]
    batches: tuple[tuple[int, ...], ...]

    def mine(self, shard: Shard | None) -> tuple[int, ...]:
        """The rows that a shard does; all of them without one."""
        return tuple(row for rows in _mine(self.batches, shard).values() for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a job does.

    Attributes:
        settings: What the command asked for, as far as vectors depend on it.
        device: What the encoders run on.
        threads: Threads of a computation on the CPU.
        former: A digest of the cache that is added to; "" where there is none.
        ids: Of all utterances, in the table's order.
        inputs: By what is encoded, a digest of each utterance's input.
        files: The audio files as they were looked at.
        seen_ns: When that was.
        entries: By encoder.
        shard: The part of the plan that this job does; None for all of it.
        hearing: What is transcribed first; None for nothing.
    """

    settings: Mapping[str, Any]
    device: str
    threads: int
    former: str
    ids: tuple[str, ...]
    inputs: Mapping[str, tuple[str, ...]]
    entries: tuple[EntryPlan, ...]
    shard: Shard | None = None
    files: Mapping[str, KnownFile] = field(default_factory=dict)
    seen_ns: int = 0
    hearing: HearingPlan | None = None

    @property
    def parts(self) -> dict[str, str]:
        """What shards of one plan have in common, each part in a word or as a digest."""
        entries = {
            "/".join(one.key): _digest([one.width, one.budget, one.batches]) for one in self.entries
        }
        attributes = {"/".join(one.key): _everywhere(one.attrs) for one in self.entries}
        if self.hearing is not None:
            place = f"transcripts/{self.hearing.name}"
            entries[place] = _digest(self.hearing.batches)
            attributes[place] = _everywhere(self.hearing.attrs)
        return {
            "settings": settings_text(self.settings),
            "device": self.device,
            "threads": str(self.threads),
            "corpus": corpus_digest(self.ids, self.inputs),
            "former": self.former,
            "batches": json.dumps(entries, sort_keys=True),
            "attributes": json.dumps(attributes, sort_keys=True),
        }

    @property
    def stamp(self) -> dict[str, str]:
        """What a cache says of the plan it was made by."""
        parts = self.parts
        place = {} if self.shard is None else {"shard": "{}/{}".format(*self.shard)}
        return {"sha256": _digest(parts), **parts, **place}

    def to_json(self) -> str:
        """As it is kept in a job's folder."""
        content = {"format": PLAN_FORMAT, "format_version": PLAN_VERSION, **asdict(self)}
        return json.dumps(content, separators=(",", ":"), default=dict)


def read_plan(text: str, *, place: str) -> Plan:
    """A plan as `to_json` wrote it.

    Raises:
        CacheError: It is something else, or of a newer version.
    """
    try:
        content = json.loads(text)
        if content.pop("format") != PLAN_FORMAT:
            raise ValueError("it is no plan")
        if content.pop("format_version") != PLAN_VERSION:
            raise ValueError("another version of amber-ser wrote it")
        entries = [
            EntryPlan(**{**one, "batches": tuple(map(tuple, one["batches"]))})
            for one in content["entries"]
        ]
        content |= {
            "entries": tuple(entries),
            "ids": tuple(content["ids"]),
            "inputs": {name: tuple(one) for name, one in content["inputs"].items()},
            "files": {name: KnownFile(**one) for name, one in content["files"].items()},
            "shard": None if content["shard"] is None else tuple(content["shard"]),
            "hearing": _read_hearing(content.get("hearing")),
        }
        return Plan(**content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise CacheError(
            f"{place}: can't be followed: {reason}; --overwrite discards that job"
        ) from None


def corpus_digest(ids: Sequence[str], inputs: Mapping[str, Sequence[str]]) -> str:
    """One digest of all inputs."""
    return _digest([list(ids), {name: list(one) for name, one in inputs.items()}])


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as a cache keeps them."""
    return json.dumps(settings, sort_keys=True)


def settings_difference(planned: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """What differs, as "layer 1, and this would be -1"; "" for nothing.

    >>> settings_difference({"layer": 1, "pooling": "mean"}, {"layer": -1, "pooling": "mean"})
    'layer 1, and this would be -1'
    """
    names = [*planned, *(name for name in asked if name not in planned)]
    different = [name for name in names if planned.get(name) != asked.get(name)]
    return "; ".join(
        f"{name} {planned.get(name, 'none')}, and this would be {asked.get(name, 'none')}"
        for name in different
    )


def corpus_difference(plan: Plan, ids: Sequence[str], inputs: Mapping[str, Sequence[str]]) -> str:
    """How the corpus differs from the plan's, counted and with the first id; "" for nothing."""
    before = {one: [of[row] for of in plan.inputs.values()] for row, one in enumerate(plan.ids)}
    now = {one: [of[row] for of in inputs.values()] for row, one in enumerate(ids)}
    kinds = {
        "new": [one for one in now if one not in before],
        "gone": [one for one in before if one not in now],
        "changed": [one for one in now if one in before and now[one] != before[one]],
    }
    told = [f"{len(some)} {kind} (first {some[0]!r})" for kind, some in kinds.items() if some]
    return ", ".join(told)


def _read_hearing(content: dict[str, Any] | None) -> HearingPlan | None:
    if content is None:
        return None
    return HearingPlan(**{**content, "batches": tuple(map(tuple, content["batches"]))})


def _mine(batches: Sequence[tuple[int, ...]], shard: Shard | None) -> dict[int, tuple[int, ...]]:
    place, number = shard or (0, 1)
    return {i: batches[i] for i in range(place, len(batches), number)}


def _everywhere(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes without what differs from machine to machine."""
    return {key: value for key, value in attrs.items() if key != WEIGHT_FILES}


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
