"""Stage one: corpus -> encoder -> pool -> store.

The job is made of entries, one an encoder. An entry's rows that a former cache already holds for
the same input are taken over; the others are decoded, encoded in batches of like length, pooled
and written together. What fails is a row with its reason, never a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

import joblib
import numpy as np
import torch

from amber_cache import audio, encoders, pooling
from amber_cache.batching import plan_batches
from amber_cache.config import ExtractConfig
from amber_cache.corpora import read_corpus
from amber_cache.encoders.base import Encoder, Prepared
from amber_cache.errors import CacheError, ConfigError, EncoderError, UtteranceError
from amber_cache.progress import Progress, no_progress
from amber_cache.records import Corpus, Utterance
from amber_cache.store import (
    DONE,
    FAILED,
    PENDING,
    CacheContent,
    Embedding,
    UtteranceTable,
    make_embedding,
    open_cache,
    ratings_table,
    utterance_table,
    votes_table,
    write_cache,
)

#: Padded milliseconds of audio, and padded characters of text, in one batch. On a CPU padding costs
#: more than batching gains, so that batches are small there.
AUDIO_BUDGET_MS = {"cpu": 16_000, "cuda": 320_000}
TEXT_BUDGET = {"cpu": 2_000, "cuda": 60_000}

#: The reason that is no failure: a text that isn't there can't be encoded.
NO_TEXT = "empty text"

# What must agree before rows of a stored entry may stand beside new ones.
_SETTINGS = (
    "encoder",
    "revision",
    "weights_sha256",
    "layer",
    "pooling",
    "precision",
    "sampling_rate_hz",
)

# The columns that tell whether an utterance's input is still what a stored row was made from.
_INPUT_COLUMNS = {"audio": ("audio_sha256", "start_s", "duration_s"), "text": ("text",)}


@dataclass(frozen=True, slots=True)
class Failure:
    """An utterance that an encoder could not take."""

    id: str
    modality: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ExtractReport:
    """What an extraction did.

    Attributes:
        encoded: New rows by entry, {"audio/mel": 300}.
        failures: Rows that failed, for other reasons than an empty text.
        num_without_text: Utterances without text, in a corpus that has text.
        num_without_votes: Utterances that nobody voted on.
        notes: What the user should be told, one line each.
        written: False when the cache already held all of it.
    """

    cache: Path
    corpus: str
    num_utterances: int
    encoded: Mapping[str, int]
    failures: tuple[Failure, ...]
    num_without_text: int
    num_without_votes: int
    notes: tuple[str, ...]
    written: bool

    @property
    def last_line(self) -> str:
        """What was done and what failed, in a line."""
        new = ", ".join(f"{count} new in {name}" for name, count in self.encoded.items())
        parts = [f"{self.num_utterances} utterances of {self.corpus}", new]
        if self.num_without_text:
            parts.append(f"{self.num_without_text} without text")
        if self.num_without_votes:
            parts.append(f"{self.num_without_votes} without votes")
        parts.append(f"{len(self.failures)} failed")
        done = "written" if self.written else "nothing was missing"
        return f"{self.cache}: {done}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class _Source:
    """One utterance's input for one modality: how to load it, and its length for the plan."""

    load: Callable[[int], np.ndarray | str]
    length: int


_Sources: TypeAlias = list[_Source | UtteranceError]


def extract(config: ExtractConfig, *, progress: Progress = no_progress) -> ExtractReport:
    """Run the encoders over a corpus, and write or complete its cache.

    Raises:
        AmberError: The corpus, the encoders, the device or the cache can't be used; nothing is
            written then.
    """
    device = _device(config)
    corpus = read_corpus(config.corpus, config.root, votes_file=config.votes_file)
    names = _encoder_names(config, corpus)
    former = _former_content(config, corpus)
    table, sources = _survey(corpus, progress)
    notes = list(corpus.warnings)
    entries = {} if former is None else _taken_over(former, table)
    encoded: dict[str, int] = {}
    for modality, name in names.items():
        encoder = encoders.load_encoder(modality, name, device=device, precision=config.precision)
        if device != "cpu" and encoder.device == "cpu":
            notes.append(f"{name} is a built-in encoder and stays on the CPU")
        key = (modality, _entry_name(config, name))
        attrs = _attributes(encoder, config)
        if key in entries:
            _refuse_other_settings(config.cache, entries[key], attrs)
        entry, told, num_new = _fill(key, entries.get(key), attrs, encoder, sources, progress)
        entries[key], encoded["/".join(key)] = entry, num_new
        notes += told
    content = CacheContent(
        corpus=corpus.name,
        protocol=corpus.protocol,
        utterances=table,
        votes=votes_table(corpus.utterances),
        ratings=ratings_table(corpus.utterances),
        embeddings=tuple(entries.values()),
    )
    written = former is None or not _same(former, content)
    if written:
        write_cache(config.cache, content)
    used = [entries[modality, _entry_name(config, name)] for modality, name in names.items()]
    return _report(config, corpus, used, encoded, notes, written)


def _device(config: ExtractConfig) -> str:
    device = "cuda" if config.gpu and config.device == "cpu" else config.device
    if device.split(":")[0] not in AUDIO_BUDGET_MS:
        raise ConfigError(f"--device {device}: must be cpu, cuda or cuda:N")
    if device.startswith("cuda"):
        asked = "--gpu" if config.gpu else f"--device {device}"
        if not torch.cuda.is_available():
            raise EncoderError(
                f"{asked}: no CUDA device is available here; leave it out for the CPU"
            )
        index = int(device.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise EncoderError(f"{asked}: there are {torch.cuda.device_count()} CUDA devices")
    return device


def _encoder_names(config: ExtractConfig, corpus: Corpus) -> dict[str, str]:
    """The encoder of each modality: the corpus's or amber's own, but those that the user names."""
    given = dict(config.encoder)
    for modality, name in (("audio", config.audio_encoder), ("text", config.text_encoder)):
        if name is not None and given.setdefault(modality, name) != name:
            raise ConfigError(f"--{modality}-encoder and --encoder {modality}=... disagree")
    for modality in given:
        if modality not in corpus.modalities:
            raise ConfigError(
                f"--encoder {modality}=...: the corpus has {' and '.join(corpus.modalities)} only"
            )
    defaults = {**encoders.DEFAULT_ENCODERS, **dict(corpus.encoders)}
    return {name: given.get(name, defaults[name]) for name in corpus.modalities}


def _entry_name(config: ExtractConfig, name: str) -> str:
    return encoders.entry_name(
        name, layer=config.layer, pooling=config.pooling, precision=config.precision
    )


def _former_content(config: ExtractConfig, corpus: Corpus) -> CacheContent | None:
    """What the cache holds already; refused where that is another corpus.

    The same corpus may have grown, and its votes may have changed, but none of the utterances that
    the cache has may be gone.
    """
    if not config.cache.exists():
        return None
    with open_cache(config.cache) as cache:
        gone = set(cache.utterances.id) - {one.id for one in corpus.utterances}
        if cache.corpus != corpus.name or gone:
            why = f"{len(gone)} of its utterances are not" if gone else "that is not what was read"
            raise CacheError(
                f"--cache {config.cache}: holds the corpus {cache.corpus!r}; {why} in "
                f"{corpus.name!r} at {corpus.root}; name another file with --cache"
            )
        return cache.content()


def _survey(corpus: Corpus, progress: Progress) -> tuple[UtteranceTable, dict[str, _Sources]]:
    """Look at every input without decoding it: the utterance table, and what to load."""
    hashed = cache(audio.file_sha256)
    sources: dict[str, _Sources] = {name: [] for name in corpus.modalities}
    durations, hashes, sizes = {}, {}, {}
    for number, one in enumerate(corpus.utterances):
        if "text" in sources:
            sources["text"].append(_text_source(one))
        if "audio" in sources:
            source: _Source | UtteranceError
            try:
                segment = _segment(corpus, one)
                durations[one.id] = segment.duration_s
                hashes[one.id] = hashed(segment.path)
                sizes[one.id] = segment.path.stat().st_size
                source = _Source(partial(_load_audio, segment), round(1000 * segment.duration_s))
            except UtteranceError as error:
                source = error
            sources["audio"].append(source)
        progress("reading the corpus", number + 1, len(corpus.utterances))
    table = utterance_table(
        corpus.utterances, duration_s=durations, audio_sha256=hashes, audio_bytes=sizes
    )
    return table, sources


def _segment(corpus: Corpus, utterance: Utterance) -> audio.Segment:
    if utterance.audio is None:
        raise UtteranceError("no audio file is named")
    path = corpus.root / utterance.audio
    return audio.locate(path, start_s=utterance.start_s, end_s=utterance.end_s)


def _load_audio(segment: audio.Segment, sampling_rate_hz: int) -> np.ndarray:
    return audio.load(segment, sampling_rate_hz=sampling_rate_hz)


def _text_source(utterance: Utterance) -> _Source | UtteranceError:
    text = utterance.text
    return _Source(lambda _: text, len(text)) if text.strip() else UtteranceError(NO_TEXT)


def _taken_over(former: CacheContent, table: UtteranceTable) -> dict[tuple[str, str], Embedding]:
    """The former entries on the rows of the new table, PENDING where the input has changed."""
    old_row = {identifier: row for row, identifier in enumerate(former.utterances.id)}
    return {
        (entry.modality, entry.name): _moved(entry, former.utterances, table, old_row)
        for entry in former.embeddings
    }


def _moved(
    entry: Embedding, old: UtteranceTable, new: UtteranceTable, old_row: Mapping[str, int]
) -> Embedding:
    columns = _INPUT_COLUMNS.get(entry.modality, ())
    vectors = np.full((len(new), entry.vectors.shape[1]), np.nan, dtype=np.float32)
    status = np.full(len(new), PENDING, dtype=np.uint8)
    error = [""] * len(new)
    for row, identifier in enumerate(new.id):
        before = old_row.get(identifier)
        if before is not None and all(
            _equal(getattr(old, name)[before], getattr(new, name)[row]) for name in columns
        ):
            vectors[row], status[row] = entry.vectors[before], entry.status[before]
            error[row] = entry.error[before]
    return make_embedding(
        vectors,
        modality=entry.modality,
        name=entry.name,
        status=status,
        error=error,
        attrs=entry.attrs,
    )


def _attributes(encoder: Encoder, config: ExtractConfig) -> dict[str, Any]:
    info = encoder.info
    return {
        "encoder": info.encoder,
        "revision": info.revision,
        "weights_sha256": info.weights_sha256,
        "layer": config.layer,
        "pooling": config.pooling,
        "precision": config.precision,
        "sampling_rate_hz": info.sampling_rate_hz,
        "libraries": dict(info.libraries),
    }


def _refuse_other_settings(path: Path, entry: Embedding, attrs: Mapping[str, Any]) -> None:
    for name in _SETTINGS:
        if name in entry.attrs and entry.attrs[name] != attrs[name]:
            raise CacheError(
                f"--cache {path}: its {entry.modality}/{entry.name} was made with {name} "
                f"{entry.attrs[name]!r}, and this would be {attrs[name]!r}; name another file "
                "with --cache"
            )


def _fill(
    key: tuple[str, str],
    entry: Embedding | None,
    attrs: Mapping[str, Any],
    encoder: Encoder,
    sources: Mapping[str, _Sources],
    progress: Progress,
) -> tuple[Embedding, list[str], int]:
    """Encode the rows that an entry lacks: the whole entry, what to tell, and how many are new."""
    modality, name = key
    inputs = sources[modality]
    status = np.full(len(inputs), PENDING, dtype=np.uint8) if entry is None else entry.status.copy()
    vectors: dict[int, np.ndarray] = {}
    notes: list[str] = []
    error = [""] * len(inputs)
    todo = [row for row in range(len(inputs)) if status[row] != DONE]
    progress(f"{modality}/{name}", 0, len(todo))
    outcomes = _encoded_rows(todo, inputs, encoder, attrs)
    for number, (row, outcome, note) in enumerate(outcomes, start=1):
        if isinstance(outcome, UtteranceError):
            status[row], error[row] = FAILED, str(outcome)
        else:
            status[row], vectors[row] = DONE, outcome
        notes += [note] if note else []
        progress(f"{modality}/{name}", number, len(todo))
    size = len(next(iter(vectors.values()))) if vectors else encoder.info.dimension
    matrix = (
        np.full((len(inputs), size), np.nan, dtype=np.float32) if entry is None else entry.vectors
    )
    for row, vector in vectors.items():
        matrix[row] = vector
    whole = make_embedding(
        matrix, modality=modality, name=name, status=status, error=error, attrs=dict(attrs)
    )
    return whole, _summed(notes, modality), len(vectors)


def _encoded_rows(
    rows: Sequence[int], inputs: _Sources, encoder: Encoder, attrs: Mapping[str, Any]
) -> Iterator[tuple[int, np.ndarray | UtteranceError, str]]:
    """Each row's vector or its error, and a note, in the order of the batches."""
    for row in rows:
        source = inputs[row]
        if isinstance(source, UtteranceError):
            yield row, source, ""
    usable = {row: source for row in rows if isinstance(source := inputs[row], _Source)}
    order = list(usable)
    budgets = AUDIO_BUDGET_MS if encoder.info.modality == "audio" else TEXT_BUDGET
    plan = plan_batches(
        [usable[row].length for row in order], budget=budgets[encoder.device.split(":")[0]]
    )
    batches = [[order[i] for i in batch] for batch in plan]
    # Two threads decode ahead while the encoder works; the order stays that of the plan.
    ahead = joblib.Parallel(n_jobs=2, prefer="threads", return_as="generator")
    prepared = ahead(
        joblib.delayed(_prepare)([usable[row] for row in batch], encoder) for batch in batches
    )
    for batch, items in zip(batches, prepared, strict=True):
        yield from _encode_batch(batch, items, encoder, attrs)


def _prepare(sources: Sequence[_Source], encoder: Encoder) -> list[Prepared | UtteranceError]:
    items: list[Prepared | UtteranceError] = []
    for source in sources:
        try:
            items.append(encoder.prepare(source.load(encoder.info.sampling_rate_hz)))
        except UtteranceError as error:
            items.append(error)
    return items


def _encode_batch(
    rows: Sequence[int],
    items: Sequence[Prepared | UtteranceError],
    encoder: Encoder,
    attrs: Mapping[str, Any],
) -> Iterator[tuple[int, np.ndarray | UtteranceError, str]]:
    ready = [(row, item) for row, item in zip(rows, items, strict=True) if _is_ready(item)]
    for row, item in zip(rows, items, strict=True):
        if isinstance(item, UtteranceError):
            yield row, item, ""
    if not ready:
        return
    encoded = encoder.encode([item for _, item in ready], layers=(int(attrs["layer"]),))
    pooled = pooling.pool(str(attrs["pooling"]), encoded.frames[0], encoded.mask)
    vectors = pooled.float().cpu().numpy()
    for (row, item), vector in zip(ready, vectors, strict=True):
        if np.isfinite(vector).all():
            yield row, vector, item.note
        else:
            yield row, UtteranceError("the encoder gave values that are not finite"), ""


def _is_ready(item: Prepared | UtteranceError) -> TypeGuard[Prepared]:
    return isinstance(item, Prepared)


def _summed(notes: Sequence[str], modality: str) -> list[str]:
    """One line for what was told of many utterances."""
    return [f"{modality}: {len(notes)} utterances, for example: {notes[0]}"] if notes else []


def _report(
    config: ExtractConfig,
    corpus: Corpus,
    entries: Sequence[Embedding],
    encoded: Mapping[str, int],
    notes: Sequence[str],
    written: bool,
) -> ExtractReport:
    failures = tuple(
        Failure(corpus.utterances[row].id, entry.modality, str(entry.error[row]))
        for entry in entries
        for row in np.flatnonzero(entry.status == FAILED)
        if entry.error[row] != NO_TEXT
    )
    return ExtractReport(
        cache=config.cache,
        corpus=corpus.name,
        num_utterances=len(corpus.utterances),
        encoded=dict(encoded),
        failures=failures,
        num_without_text=sum(
            "text" in corpus.modalities and not one.text.strip() for one in corpus.utterances
        ),
        num_without_votes=sum(not one.votes for one in corpus.utterances),
        notes=tuple(notes),
        written=written,
    )


def _same(former: object, new: object) -> bool:
    """Whether two contents hold the same, column by column, whatever made them."""
    if isinstance(former, np.ndarray) and isinstance(new, np.ndarray):
        numbers = former.dtype.kind == "f"
        return former.shape == new.shape and np.array_equal(former, new, equal_nan=numbers)
    if is_dataclass(former) and is_dataclass(new):
        names = [one.name for one in fields(former) if one.name != "attrs"]
        return all(_same(getattr(former, name), getattr(new, name)) for name in names)
    if isinstance(former, tuple) and isinstance(new, tuple):
        return len(former) == len(new) and all(map(_same, former, new))
    return bool(former == new)


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other or (one != one and other != other))  # NaN equals NaN here
