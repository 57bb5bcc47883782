"""What a worker does: its part of a stored plan, in a process of its own, here or elsewhere.

A part is of utterances to be transcribed, or of batches to be encoded.

It gets all that it needs to know with the part, but the audio files, the encoders and the job's
folder, which it must find where the command finds them. It plans nothing and probes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amber_cache.errors import AmberError, CacheError
from amber_cache.jobs.encoding import threads
from amber_cache.jobs.heard import Heard
from amber_cache.jobs.hearing import hear_rows
from amber_cache.jobs.interrupt import Stop, Stopped, stop_signals
from amber_cache.jobs.journal import Journal, Limit
from amber_cache.jobs.loading import load_entries
from amber_cache.jobs.lock import take_lock
from amber_cache.jobs.memory import give_back
from amber_cache.jobs.parts import GO, part_journal
from amber_cache.jobs.plan import EntryPlan, HearingPlan
from amber_cache.jobs.planning import encoder_notes, transcriber_notes
from amber_cache.jobs.running import DiskError, grouped, run_group
from amber_cache.jobs.wanted import Wanted
from amber_cache.progress import no_progress
from amber_cache.sources import Source
from amber_cache.storage.write import disk_trouble, sync_folder
from amber_cache.transcribe import Transcriber


@dataclass(frozen=True, slots=True, kw_only=True)
class PartEntry:
    """What of an entry a worker encodes.

    Attributes:
        number: The entry's in the plan.
        wanted: Its encoder, by a path or name that means the same elsewhere.
        plan: With these batches alone.
        limits: Where memory ran out before.
    """

    number: int
    wanted: Wanted
    plan: EntryPlan
    batches: tuple[int, ...]
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What every worker is given.

    Attributes:
        place: Its number among the parts: where the device is "cuda", that of its GPU.
        folder: It stands already.
        cache: As the user named it.
    """

    place: int
    folder: Path
    cache: Path
    device: str
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingPart(Part):
    """What a worker is given to encode.

    Attributes:
        inputs: By what is encoded, the inputs of its rows.
    """

    decoders: int | None
    entries: tuple[PartEntry, ...]
    inputs: Mapping[str, Mapping[int, Source]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingPart(Part):
    """What a worker is given to transcribe.

    Attributes:
        model: By a path or name that means the same elsewhere.
        plan: The job's, without its batches.
        audio: The inputs of its rows, in the order in which they are to be heard.
    """

    model: str
    plan: HearingPlan
    audio: Mapping[int, Source]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker ended: notes for the user, and what kept it from its end, if anything did."""

    notes: tuple[str, ...] = ()
    error: AmberError | None = None


class _Call(Stop):
    """Stops where a signal came, and where nobody waits for the work any more."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._go = folder / GO

    def check(self) -> None:
        """Raise `Stopped` if so."""
        super().check()
        if not self._go.exists():
            raise Stopped


def do_part(part: Part) -> Ended:
    """Do a part; what is recorded stays, however it ends."""
    try:
        with ExitStack() as stack:
            stop = stack.enter_context(stop_signals(_Call(part.folder)))
            stop.check()
            return Ended(tuple(_do(part, stop, stack)))
    except Stopped:
        return Ended()
    except AmberError as error:
        return Ended(error=error)


def _do(part: Part, stop: Stop, stack: ExitStack) -> list[str]:
    lock = take_lock(part.folder / "lock", what=f"--cache {part.cache}")
    stack.callback(lock.release)
    stack.callback(give_back)
    if isinstance(part, HearingPart):
        return _hear(part, stop, stack)
    assert isinstance(part, EncodingPart)
    return _encode(part, stop, stack)


def _encode(part: EncodingPart, stop: Stop, stack: ExitStack) -> list[str]:
    wanted = [one.wanted for one in part.entries]
    loaded = load_entries(wanted, device=_device(part), stop=stop.check)
    notes = encoder_notes([one.plan for one in part.entries], loaded, place=_told(part))
    with _writing(part, stop):
        journals = [_opened(part, one, stack) for one in part.entries]
        sync_folder(part.folder)
        how: dict[str, Any] = {"progress": no_progress, "decoders": part.decoders}
        with threads(part.threads):
            for group in grouped(loaded, journals):
                run_group(group, part.inputs[group.input], stop=stop, **how)
    return notes


def _hear(part: HearingPart, stop: Stop, stack: ExitStack) -> list[str]:
    transcriber = Transcriber(part.model, device=_device(part))
    notes = transcriber_notes(part.plan, transcriber, place=_told(part))
    heard = Heard(part.folder, part.audio.keys())
    with _writing(part, stop):
        stack.callback(heard.close)
        heard.open()
        with threads(part.threads), stop.patient():
            for _ in hear_rows(part.audio, part.audio, transcriber, heard):
                stop.check()
    return notes


@contextmanager
def _writing(part: Part, stop: Stop) -> Iterator[None]:
    """Tell what keeps a worker from recording what it does."""
    try:
        yield
    except (DiskError, OSError) as error:
        stop.check()  # who made the folder may have taken it away
        reason = error.reason if isinstance(error, DiskError) else error
        raise CacheError(disk_trouble(part.cache, 0, reason)) from None


def _told(part: Part) -> str:
    return f"--cache {part.cache}: a worker"


def _opened(part: EncodingPart, one: PartEntry, stack: ExitStack) -> Journal:
    journal = part_journal(part.folder, one.number, one.plan, one.batches)
    stack.callback(journal.close)
    journal.open()
    journal.limits = sorted({*journal.limits, *one.limits})
    return journal


def _device(part: Part) -> str:
    """Where a worker's models run: each on a GPU of its own, as far as there are GPUs."""
    if part.device != "cuda":
        return part.device
    import torch

    return f"cuda:{part.place % max(1, torch.cuda.device_count())}"
