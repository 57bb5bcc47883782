"""What is to be predicted -> vectors by the run's own encoders: from a cache, or from files.

The encoders stand behind `amber_cache.embed`, which is imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from amber_cache.errors import ConfigError, UtteranceError
from amber_cache.records import Utterance
from amber_cache.store import DONE, NO_TEXT, Cache
from amber_heads.counting import counted
from amber_heads.progress import Progress
from amber_heads.using.cached_inputs import InPlace, in_place_of
from amber_heads.using.forecast import Failure, Item
from amber_heads.using.loaded import InputEntry, LoadedRun
from amber_heads.using.members import Gathered, refuse_unanswerable
from amber_heads.using.windows import windows


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """How files become vectors.

    Attributes:
        encoders: By modality, where the run's encoder is now.
        folder: Where vectors and transcripts are kept, so that an interrupted command goes on.
        window: Length and step in seconds; None for whole recordings.
        transcribe: A speech-recognition model for what has no transcript.
        overwrite: Discard an unfinished job of other files.
    """

    encoders: Mapping[str, str]
    device: str
    folder: Path
    window: tuple[float, float] | None = None
    transcribe: str | None = None
    overwrite: bool = False


def gather_cache(run: LoadedRun, cache: Cache, encoders: Mapping[str, str]) -> Gathered:
    """All utterances of a cache, through the entries that the run reads.

    A modality that the cache has nothing of is missing. An utterance whose encoder failed is a
    failure; one without text, or without audio, lacks that modality.

    Args:
        encoders: By modality, an entry's name, where it is not the run's.

    Raises:
        EncoderError: An entry was made by another encoder; what differs is named.
        CacheError: There is no such entry, or the cache is damaged.
        ConfigError: Not one utterance can be answered.
    """
    ids = [str(one) for one in cache.utterances.id]
    vectors: dict[str, np.ndarray] = {}
    failed: dict[str, str] = {}
    for key, entry in run.inputs.items():
        found = _entry_of(cache, entry, encoders.get(entry.modality))
        if found is None:
            vectors[key] = np.full((len(ids), entry.width), np.nan, dtype=np.float32)
            continue
        vectors[key] = found.vectors
        failed |= _failed_rows(cache, found, ids)
    kept = [row for row, one in enumerate(ids) if one not in failed]
    vectors = {key: one[kept] for key, one in vectors.items()}
    gathered = Gathered(
        ids=tuple(ids[row] for row in kept),
        items=tuple(Item(id=ids[row]) for row in kept),
        vectors=vectors,
        failures=tuple(Failure(one, reason) for one, reason in failed.items()),
    )
    refuse_unanswerable(run, _lacking(run, vectors))
    return gathered


def gather_files(
    run: LoadedRun, places: Sequence[Path], options: FileOptions, *, progress: Progress
) -> Gathered:
    """Recordings and texts, encoded through the extraction's engine.

    Raises:
        AmberError: A place, an encoder or the speech recognition can't be used, or not one item
            can be answered.
    """
    from amber_cache import embed

    utterances, notes = embed.find_recordings(places)
    cut = _cut(utterances, options.window)
    failed, told = dict(cut.failed), [*notes, *cut.notes]
    rest = cut.utterances
    heard: set[str] = set()
    if options.transcribe is not None:
        for entry in run.inputs.values():
            embed.refuse_other_transcriber(entry.attrs, options.transcribe)
        rest, errors = embed.transcribe_utterances(
            rest,
            options.transcribe,
            journal=options.folder / "transcripts.jsonl",
            device=options.device,
            progress=progress,
        )
        failed |= errors
        before = {one.id: one.text for one in cut.utterances}
        heard = {one.id for one in rest if one.text != before[one.id]}
    told += _given_notes(run, cut.utterances)
    refuse_unanswerable(run, [_missing(run, one) for one in rest if one.id not in failed])
    vectors: dict[str, np.ndarray] = {}
    for key, entry in run.inputs.items():
        vectors[key], errors, more = _encoded(entry, rest, options, progress)
        told += more
        failed |= {one: reason for one, reason in errors.items() if one not in failed}
    kept = [row for row, one in enumerate(rest) if one.id not in failed]
    items = [replace(cut.items[one.id], is_transcribed=one.id in heard) for one in rest]
    return Gathered(
        ids=tuple(rest[row].id for row in kept),
        items=tuple(items[row] for row in kept),
        vectors={key: one[kept] for key, one in vectors.items()},
        failures=tuple(Failure(one, reason) for one, reason in failed.items()),
        notes=tuple(told),
    )


def _given_notes(run: LoadedRun, utterances: Sequence[Utterance]) -> list[str]:
    """What to tell where text that was given stands in for what a model heard in training."""
    number = sum(bool(one.text.strip()) for one in utterances)
    entries = (one.attrs for one in run.inputs.values() if one.modality == "text")
    heard = next((one["transcriber"] for one in entries if "transcriber" in one), None)
    if heard is None or not number:
        return []
    are = counted(number, "transcript is", "transcripts are")
    return [f"{are} taken as given: the run was trained on what {heard} transcribed"]


@dataclass(frozen=True)
class Cut:
    """Utterances, whole or in windows.

    Attributes:
        items: By the utterance's id, what it is called outside.
    """

    utterances: tuple[Utterance, ...]
    items: Mapping[str, Item]
    failed: Mapping[str, str]
    notes: tuple[str, ...]


def _cut(utterances: Sequence[Utterance], window: tuple[float, float] | None) -> Cut:
    """Each recording's windows, without its text: nobody knows which words fall into which."""
    if window is None:
        return Cut(tuple(utterances), {one.id: Item(id=one.id) for one in utterances}, {}, ())
    from amber_cache import embed

    made: list[Utterance] = []
    items, failed = {}, {}
    for one in utterances:
        if one.audio is None:
            failed[one.id] = "has no audio to be cut into windows"
            continue
        try:
            first, last = one.start_s or 0.0, one.end_s
            end = embed.recording_duration_s(one.audio) if last is None else last
        except UtteranceError as error:
            failed[one.id] = str(error)
            continue
        for start_s, end_s in windows(end - first, window_s=window[0], step_s=window[1]):
            span = (first + start_s, first + end_s)
            part = replace(
                one, id=f"{one.id} @{span[0]:.3f}", start_s=span[0], end_s=span[1], text=""
            )
            made.append(part)
            items[part.id] = Item(id=one.id, start_s=span[0], end_s=span[1])
    texts = sum(bool(one.text.strip()) for one in utterances)
    are = counted(texts, "transcript is", "transcripts are")
    note = f"{are} left out: --window can't tell which words fall into which"
    return Cut(tuple(made), items, failed, (note,) * bool(texts))


def _missing(run: LoadedRun, utterance: Utterance) -> frozenset[str]:
    """The modalities that an utterance has nothing of."""
    there = {"audio": utterance.audio is not None, "text": bool(utterance.text.strip())}
    return frozenset(m for m in run.heads if m in _modalities(run) and not there.get(m, True))


def _encoded(
    entry: InputEntry,
    utterances: Sequence[Utterance],
    options: FileOptions,
    progress: Progress,
) -> tuple[Float[np.ndarray, "utterance _"], dict[str, str], tuple[str, ...]]:
    """One entry's vectors of all utterances, NaN where there is nothing to encode."""
    from amber_cache import embed

    vectors = np.full((len(utterances), entry.width), np.nan, dtype=np.float32)
    rows = [
        row
        for row, one in enumerate(utterances)
        if (one.audio is not None if entry.modality == "audio" else one.text.strip())
    ]
    if not rows:
        return vectors, {}, ()
    found = embed.embed_utterances(
        [utterances[row] for row in rows],
        modality=entry.modality,
        attrs=entry.attrs,
        layers=entry.layer_numbers,
        folder=options.folder,
        encoder=options.encoders.get(entry.modality),
        device=options.device,
        overwrite=options.overwrite,
        progress=progress,
    )
    vectors[rows] = found.vectors
    errors = {one: f"{entry.modality}: {reason}" for one, reason in found.errors.items()}
    return vectors, errors, found.notes


def _entry_of(cache: Cache, entry: InputEntry, name: str | None) -> InPlace | None:
    """The cache's vectors in the place of the run's; None where it has none of that modality."""
    names = cache.encoders(entry.modality)
    if not names and name is None:
        return None
    return in_place_of(cache, entry, name)


def _failed_rows(cache: Cache, found: InPlace, ids: Sequence[str]) -> dict[str, str]:
    """By id, why an encoder gave no vector where there was something to encode."""
    table = cache.utterances
    given = "audio" if found.is_heard else found.modality
    inputs = {"audio": table.audio_path, "text": table.text}.get(given)
    return {
        ids[row]: f"{found.modality}: {found.error[row] or 'is not encoded yet'}"
        for row in np.flatnonzero(found.status != DONE).tolist()
        if inputs is not None and str(inputs[row]).strip() and found.error[row] != NO_TEXT
    }


def _lacking(run: LoadedRun, vectors: Mapping[str, Any]) -> set[frozenset[str]]:
    """Every set of modalities that some utterance lacks."""
    names = [run.inputs[key].modality for key in vectors]
    missing = np.stack([np.isnan(one).any(axis=1) for one in vectors.values()], axis=1)
    return {
        frozenset(name for name, lacks in zip(names, row, strict=True) if lacks)
        for row in np.unique(missing, axis=0)
    }


def _modalities(run: LoadedRun) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.modality for one in run.inputs.values()))


def parse_encoders(
    pairs: Sequence[tuple[str, str]], *, audio: str | None, text: str | None, run: LoadedRun
) -> dict[str, str]:
    """`--encoder` and its short forms, by modality.

    Raises:
        ConfigError: The run does not read that modality, or two of them disagree.
    """
    found: dict[str, str] = {}
    short = [("audio", audio), ("text", text)]
    for modality, name in [*pairs, *((m, one) for m, one in short if one is not None)]:
        if modality not in _modalities(run):
            raise ConfigError(
                f"--encoder {modality}=...: the run reads {', '.join(_modalities(run))}"
            )
        if found.setdefault(modality, str(name)) != name:
            raise ConfigError(f"--encoder names {found[modality]} and {name} for {modality}")
    return found
