"""What an extraction tells: counts, failures by id and reason, notes, and a last line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from amber_cache.entry_names import input_of
from amber_cache.jobs.provenance import Check
from amber_cache.records import Corpus
from amber_cache.store import FAILED, NO_TEXT, PENDING, Entry


@dataclass(frozen=True, slots=True)
class Failure:
    """An utterance that has no vector in a modality, or of its transcript, and why.

    Attributes:
        modality: "audio", "text"; "text@asr-NAME" of what was transcribed.
    """

    id: str
    modality: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardCount:
    """Transcripts of one model.

    Attributes:
        new: Made by this command, or by its job before it was interrupted.
        done: There by now, the new among them.
        empty: Of these, where the model heard nothing.
        failed: Utterances that could not be transcribed.
    """

    new: int
    done: int
    empty: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class CacheReport:
    """What all that write a cache tell alike.

    Attributes:
        failures: What was to be done and failed.
        num_without_votes: Utterances that nobody voted on.
        notes: What the user should be told, one line each.
        written: False when the cache already held all of it.
    """

    cache: Path
    corpus: str
    num_utterances: int
    failures: tuple[Failure, ...]
    num_without_votes: int
    notes: tuple[str, ...]
    written: bool

    def summed_up(self, new: Mapping[str, int], *further: str) -> str:
        """What was done and what failed, in a line; `new` counts rows by entry."""
        number = self.num_utterances
        parts = [f"{number} utterance{'s' * (number != 1)} of {self.corpus}"]
        parts += [", ".join(f"{count} new in {name}" for name, count in new.items()), *further]
        if self.num_without_votes:
            parts.append(f"{self.num_without_votes} without votes")
        parts.append(f"{len(self.failures)} failed")
        nothing = "nothing new" if self.failures else "nothing was missing"
        return f"{self.cache}: {'written' if self.written else nothing}: {', '.join(parts)}"


@dataclass(frozen=True, kw_only=True)
class ExtractReport(CacheReport):
    """What an extraction did; its failures are those for other reasons than an empty text.

    Attributes:
        encoded: New rows by entry, {"audio/mel": 300}; a job's that was interrupted, as one.
        transcribed: By the model's name; nothing without `--transcribe`.
        checked: What was computed again, alone and in float32, by entry.
        num_without_text: Utterances without text, in a corpus that has text.
    """

    encoded: Mapping[str, int]
    transcribed: Mapping[str, HeardCount]
    checked: Mapping[str, Check]
    num_without_text: int

    @property
    def last_line(self) -> str:
        """What was done and what failed, in a line."""
        parts = []
        for name, heard in self.transcribed.items():
            parts.append(f"{heard.new} newly transcribed by {name}")
            if heard.empty:
                parts.append(f"{heard.empty} transcripts empty")
        if self.num_without_text:
            parts.append(f"{self.num_without_text} without text")
        return self.summed_up(self.encoded, *parts)


def make_report(
    cache: Path,
    corpus: Corpus,
    entries: Sequence[Entry],
    *,
    encoded: Mapping[str, int],
    heard: Mapping[str, HeardCount],
    checked: Mapping[tuple[str, str], Check],
    notes: Sequence[str],
    written: bool,
) -> ExtractReport:
    """The report on the entries that a command was about."""
    return ExtractReport(
        cache=cache,
        corpus=corpus.name,
        num_utterances=len(corpus.utterances),
        encoded=dict(encoded),
        transcribed=dict(heard),
        checked={"/".join(key): check for key, check in checked.items()},
        failures=failures_of(entries, [one.id for one in corpus.utterances]),
        num_without_text=sum(
            "text" in corpus.modalities and not one.text.strip() for one in corpus.utterances
        ),
        num_without_votes=sum(not one.votes for one in corpus.utterances),
        notes=tuple(notes),
        written=written,
    )


def failures_of(entries: Sequence[Entry], ids: Sequence[str] | np.ndarray) -> tuple[Failure, ...]:
    """The rows that failed, for other reasons than an empty text; several entries' same as one."""
    failures = (
        Failure(ids[int(row)], input_of(*entry.key), str(entry.error[row]))
        for entry in entries
        for row in np.flatnonzero(entry.status == FAILED)
        if entry.error[row] != NO_TEXT
    )
    return tuple(dict.fromkeys(failures))


def pending_notes(entries: Iterable[Entry], *, is_shard: bool) -> list[str]:
    """What a command with other encoders, or for one shard, left to do."""
    return [
        f"{entry.modality}/{entry.name}: {count} utterances are {_rest(entry, is_shard)}"
        for entry in entries
        if (count := int(np.count_nonzero(entry.status == PENDING)))
    ]


def _rest(entry: Entry, is_shard: bool) -> str:
    if is_shard:
        return "left to the other shards; amber merge puts them together"
    way = "name that encoder"
    if "transcriber" in entry.attrs:
        way += f", and --transcribe {entry.attrs['transcriber']},"
    return f"new or changed and still to be encoded; {way} to do so"


def checked_note(key: tuple[str, str], check: Check) -> str:
    """What computing some of an entry's vectors again has shown."""
    return (
        f"{'/'.join(key)}: {check.num} vectors computed again, alone in float32: relative error at "
        f"most {check.max_relative_error:.1e}"
    )


def summed_notes(told: Mapping[tuple[str, str], Mapping[int, str]], ids: np.ndarray) -> list[str]:
    """One line for what was told of many utterances, and of several layers alike.

    Args:
        told: Row -> what was told, by entry.
        ids: Of the rows.
    """
    lines: dict[str, list[str]] = {}
    for key, notes in told.items():
        if notes:
            row = min(notes)
            line = f"{len(notes)} utterances, first {ids[row]!r}: {notes[row]}"
            lines.setdefault(line, []).append("/".join(key))
    return [f"{', '.join(names)}: {line}" for line, names in lines.items()]
