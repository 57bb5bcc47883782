"""Stage one: corpus -> encoder -> pool -> store.

The job is made of entries, one an encoder. An entry's rows that a former cache already holds for
the same input are taken over; the others are decoded, encoded in batches of like length, pooled
and written together. What fails is a row with its reason, never a vector. Whatever can be refused
is refused before the first utterance is encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from amber_cache import encoders, pooling
from amber_cache.config import ExtractConfig
from amber_cache.corpora import read_corpus
from amber_cache.encoders.base import Encoder
from amber_cache.encoders.hf_common import check_layers
from amber_cache.encoding import encoded_rows
from amber_cache.errors import ConfigError, EncoderError, UtteranceError
from amber_cache.former import former_content, is_same, refuse_other_settings, taken_over
from amber_cache.progress import Progress, no_progress
from amber_cache.records import Corpus
from amber_cache.sources import NO_TEXT, Survey, survey
from amber_cache.store import (
    DONE,
    FAILED,
    PENDING,
    CacheContent,
    Embedding,
    make_embedding,
    ratings_table,
    votes_table,
    write_cache,
)


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
        nothing = "nothing new" if self.failures else "nothing was missing"
        done = "written" if self.written else nothing
        return f"{self.cache}: {done}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One encoder's part: what it is, and its entry's name and attributes."""

    modality: str
    name: str
    encoder: Encoder
    attrs: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return self.modality, self.name


def extract(config: ExtractConfig, *, progress: Progress = no_progress) -> ExtractReport:
    """Run the encoders over a corpus, and write or complete its cache.

    Raises:
        AmberError: The corpus, the encoders, the device or the cache can't be used; nothing is
            written then.
    """
    device = _device(config)
    corpus = read_corpus(config.corpus, config.root, votes_file=config.votes_file)
    names = _encoder_names(config, corpus)
    former = former_content(config.cache, corpus)
    jobs = [_job(config, modality, name, device=device) for modality, name in names.items()]
    for entry in () if former is None else former.embeddings:
        for job in jobs:
            if job.key == (entry.modality, entry.name):
                refuse_other_settings(config.cache, entry, job.attrs)
    found = survey(corpus, None if former is None else former.utterances, progress)
    notes = [*corpus.warnings, *found.notes, *_builtin_notes(config, names, device)]
    entries = {} if former is None else taken_over(former, found.table)
    encoded: dict[str, int] = {}
    for job in jobs:
        entry, told, encoded["/".join(job.key)] = _fill(job, entries.get(job.key), found, progress)
        entries[job.key] = entry
        notes += told
    content = CacheContent(
        corpus=corpus.name,
        protocol=corpus.protocol,
        utterances=found.table,
        votes=votes_table(corpus.utterances),
        ratings=ratings_table(corpus.utterances),
        embeddings=tuple(entries.values()),
    )
    written = former is None or not is_same(former, content)
    if written:
        write_cache(config.cache, content)
    used = [entries[job.key] for job in jobs]
    notes += _pending_notes(entries.values())
    return _report(config, corpus, used, encoded, notes, written)


def _device(config: ExtractConfig) -> str:
    device = "cuda" if config.gpu and config.device == "cpu" else config.device
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
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
    names = {name: given.get(name, defaults[name]) for name in corpus.modalities}
    if all(map(_is_builtin, names.values())) and (flags := _model_flags(config)):
        raise ConfigError(
            f"{flags[0]} has no effect on the built-in encoders ({', '.join(names.values())}), "
            "which have one output, in float32; leave it out"
        )
    return names


def _job(config: ExtractConfig, modality: str, name: str, *, device: str) -> _Job:
    """Load an encoder.

    Raises:
        EncoderError: It can't be had, or does not have the layer.
    """
    if _is_builtin(name):  # it has one output, in float32
        config = replace(config, layer=-1, precision="float32")
    encoder = encoders.load_encoder(modality, name, device=device, precision=config.precision)
    check_layers([config.layer], info=encoder.info)
    info = encoder.info
    attrs = {
        "encoder": info.encoder,
        "revision": info.revision,
        "weights_sha256": info.weights_sha256,
        "layer": config.layer,
        "pooling": config.pooling,
        "precision": config.precision,
        "sampling_rate_hz": info.sampling_rate_hz,
        "libraries": dict(info.libraries),
    }
    entry_name = encoders.entry_name(
        name, layer=config.layer, pooling=config.pooling, precision=config.precision
    )
    return _Job(modality=modality, name=entry_name, encoder=encoder, attrs=attrs)


def _is_builtin(name: str) -> bool:
    return name in encoders.BUILTIN_ENCODERS.values()


def _builtin_notes(config: ExtractConfig, names: Mapping[str, str], device: str) -> list[str]:
    """What does not move a built-in encoder."""
    reasons = ["stays on the CPU"] if device != "cpu" else []
    reasons += [f"{flag} has no effect on it" for flag in _model_flags(config)]
    return [
        f"{name} is a built-in encoder: {reason}"
        for name in names.values()
        if _is_builtin(name)
        for reason in reasons
    ]


def _model_flags(config: ExtractConfig) -> list[str]:
    """The given options that only an encoder with weights listens to."""
    flags = [f"--layer {config.layer}"] if config.layer != -1 else []
    return flags + ([f"--precision {config.precision}"] if config.precision != "float32" else [])


def _fill(
    job: _Job, entry: Embedding | None, found: Survey, progress: Progress
) -> tuple[Embedding, list[str], int]:
    """Encode the rows that an entry lacks: the whole entry, what to tell, and how many are new."""
    inputs = found.sources[job.modality]
    if entry is None:
        status = np.full(len(inputs), PENDING, dtype=np.uint8)
        matrix = np.full((len(inputs), _width(job)), np.nan, dtype=np.float32)
    else:
        status, matrix = entry.status.copy(), entry.vectors.copy()
    error = [""] * len(inputs)
    notes: dict[int, str] = {}
    num_new = 0
    todo = [row for row in range(len(inputs)) if status[row] != DONE]
    outcomes = encoded_rows(
        todo, inputs, job.encoder, layer=job.attrs["layer"], pooling=job.attrs["pooling"]
    )
    for number, (row, outcome, note) in enumerate(outcomes, start=1):
        if isinstance(outcome, UtteranceError):
            status[row], error[row] = FAILED, str(outcome)
        else:
            status[row], matrix[row] = DONE, outcome
            num_new += 1
        if note:
            notes[row] = note
        progress("/".join(job.key), number, len(todo))
    whole = make_embedding(
        matrix, modality=job.modality, name=job.name, status=status, error=error, attrs=job.attrs
    )
    return whole, _summed(job, notes, found), num_new


def _width(job: _Job) -> int:
    """Features of a pooled vector."""
    frames = torch.zeros(1, 1, job.encoder.info.dimension)
    pooled = pooling.pool(job.attrs["pooling"], frames, torch.ones(1, 1, dtype=torch.bool))
    return pooled.shape[-1]


def _summed(job: _Job, notes: Mapping[int, str], found: Survey) -> list[str]:
    """One line for what was told of many utterances."""
    if not notes:
        return []
    row = min(notes)
    return [
        f"{'/'.join(job.key)}: {len(notes)} utterances, first {found.table.id[row]!r}: {notes[row]}"
    ]


def _pending_notes(entries: Iterable[Embedding]) -> list[str]:
    """What a command with other encoders left to do."""
    return [
        f"{entry.modality}/{entry.name}: {count} utterances are new or changed and still to be "
        "encoded; name that encoder to do so"
        for entry in entries
        if (count := int(np.count_nonzero(entry.status == PENDING)))
    ]


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
