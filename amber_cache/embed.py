"""Recordings and texts -> vectors, by the very encoder that made an entry of a cache.

This is the one door through which stage two reaches the encoders, to use on new material what was
trained on a cache; it is imported when it is needed, inside functions. An entry's attributes say
which encoder, layer, pooling and precision are meant, and the encoder that is found is held against
them by the hash of its weights: another one is refused. One recording is embedded as it is, many go
through the extraction's own engine, journal and bounds included, into a cache of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from amber_cache import audio
from amber_cache.config import EncoderName, ExtractConfig, Layer
from amber_cache.encoders import names as known
from amber_cache.errors import CacheError, UtteranceError
from amber_cache.extract import extract
from amber_cache.jobs.loading import LoadedEntry, load_entries, require_cuda
from amber_cache.jobs.wanted import Wanted
from amber_cache.progress import Progress, no_progress
from amber_cache.recordings import find_recordings
from amber_cache.records import Hertz, Seconds, Utterance
from amber_cache.same_encoder import (
    refuse_other_encoder,
    refuse_other_layers,
    refuse_other_transcriber,
    wanted_again,
)
from amber_cache.store import DONE, open_cache
from amber_cache.transcribe import transcribe_utterances

__all__ = [
    "Embedded",
    "Embedder",
    "embed_utterances",
    "find_recordings",
    "load_embedder",
    "recording_duration_s",
    "refuse_other_encoder",
    "refuse_other_transcriber",
    "transcribe_utterances",
]


@dataclass(frozen=True)
class Embedder:
    """An entry's encoder, loaded and known to be the same.

    Attributes:
        entries: One, or the layers of one encoder that are read together.
    """

    entries: tuple[LoadedEntry, ...]

    @property
    def entry(self) -> LoadedEntry:
        """The only one, or the first layer."""
        return self.entries[0]

    def embed(
        self, source: np.ndarray | Path | str, *, sampling_rate_hz: Hertz | None = None
    ) -> Float32[np.ndarray, " feature"]:
        """One vector, pooled as the entry's are; layers one behind the other.

        Args:
            source: A text; or a mono waveform (samples,) of floats, or an audio file's path.
            sampling_rate_hz: Of the waveform; None: what the encoder takes. A file says it itself.

        Raises:
            UtteranceError: It can't be encoded, with the reason.
        """
        import torch

        from amber_cache.jobs.encoding import threads
        from amber_cache.pooling import pool

        encoder, wanted = self.entry.encoder, self.entry.wanted
        given = source if wanted.modality == "text" else self._waveform(source, sampling_rate_hz)
        # A built-in encoder has so little to do that handing it out takes longer.
        number = 1 if known.is_builtin(wanted.encoder) else torch.get_num_threads()
        with torch.inference_mode(), threads(number):
            layers = [one.wanted.layer for one in self.entries]
            encoded = encoder.encode([encoder.prepare(given)], layers=layers)
            pooled = [pool(wanted.pooling, one, encoded.mask)[0] for one in encoded.frames]
            vector = np.asarray(torch.cat(pooled).float().cpu().numpy())
        if not np.isfinite(vector).all():
            raise UtteranceError("the encoder gave values that are not finite")
        return vector

    def _waveform(
        self, source: np.ndarray | Path | str, rate_hz: Hertz | None
    ) -> Float32[np.ndarray, " samples"]:
        wanted_hz = self.entry.encoder.info.sampling_rate_hz
        if isinstance(source, str | Path):
            return audio.load(audio.locate(Path(source)), sampling_rate_hz=wanted_hz)
        if source.ndim != 1 or source.dtype.kind != "f":
            raise UtteranceError(
                f"a waveform must be (samples,) of floats in [-1, 1], not {source.dtype} of shape "
                f"{source.shape}"
            )
        waveform = np.ascontiguousarray(source, dtype=np.float32)
        return audio.resampled(waveform, rate_hz or wanted_hz, wanted_hz)


@dataclass(frozen=True)
class Embedded:
    """What became of many inputs of one modality.

    Attributes:
        vectors: Rows in the order of the utterances, layers one behind the other; NaN where there
            is none.
        errors: By id, why.
        notes: What the user should be told.
    """

    vectors: Float[np.ndarray, "utterance feature"]
    errors: Mapping[str, str]
    notes: tuple[str, ...]


def load_embedder(
    modality: str,
    attrs: Mapping[str, Any],
    *,
    layers: Sequence[int] = (),
    encoder: str | None = None,
    device: str = "cpu",
) -> Embedder:
    """Load the encoder that an entry's attributes name, and make sure that it is the same.

    Args:
        modality: "audio" or "text".
        attrs: The entry's; of several layers what they have in common.
        layers: The numbers of those; () for the one that the attributes name.
        encoder: Where it is now: a local folder, a hub id; None: by the name in the attributes.
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        EncoderError: It can't be had, or is another one; what differs is named.
    """
    if device != "cpu":
        require_cuda(device, asked=f"--device {device}")
    wanted = wanted_again(modality, attrs, layers=layers, encoder=encoder)
    loaded = load_entries(wanted, device=device)
    refuse_other_layers(modality, attrs, layers, [one.attrs for one in loaded])
    return Embedder(tuple(loaded))


def embed_utterances(
    utterances: Sequence[Utterance],
    *,
    modality: str,
    attrs: Mapping[str, Any],
    layers: Sequence[int] = (),
    folder: Path,
    encoder: str | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Embedded:
    """Encode one modality of many utterances with an entry's encoder; a failure costs one row.

    The extraction's engine does it, so that what was interrupted goes on, and what stands in the
    folder from a former call is not encoded again.

    Args:
        utterances: Each with what the modality needs, audio by a path that holds here; their ids
            are unique.
        attrs: As in `load_embedder`.
        layers: Likewise; one pass of the encoder gives all.
        folder: Where the cache is kept.
        encoder: As in `load_embedder`.
        overwrite: Discard an unfinished job of other inputs.

    Raises:
        AmberError: The encoder is another one, or the folder can't be used.
    """
    # Before hours of work.
    embedder = load_embedder(modality, attrs, layers=layers, encoder=encoder, device=device)
    wanted = embedder.entry.wanted
    folder.mkdir(parents=True, exist_ok=True)
    cache = folder / f"{modality}-{wanted.name}{'-and-more' * (len(layers) > 1)}.h5"
    config = ExtractConfig(
        corpus="manifest",
        root=_write_manifest(folder / f"{modality}.jsonl", utterances, modality),
        votes_file=_write_no_votes(folder / "votes.csv"),
        cache=cache,
        encoder=((modality, EncoderName(wanted.encoder)),),
        layer=tuple(Layer(one.wanted.layer) for one in embedder.entries),
        pooling=wanted.pooling,  # type: ignore[arg-type]
        precision=wanted.precision,  # type: ignore[arg-type]
        check=0,
        device=device,
    )
    report = extract(config, overwrite=overwrite, progress=progress, loaded=embedder.entries)
    every, ids = [one.wanted for one in embedder.entries], [one.id for one in utterances]
    return Embedded(*_read(cache, every, attrs, layers, ids), tuple(report.notes))


def recording_duration_s(path: Path) -> Seconds:
    """Length of an audio file, from its header.

    Raises:
        UtteranceError: It is missing, damaged or no audio.
    """
    return audio.locate(path).duration_s


def _write_manifest(path: Path, utterances: Sequence[Utterance], modality: str) -> Path:
    """The utterances as a manifest with one modality alone; audio by its absolute path."""
    with path.open("w", encoding="utf-8") as file:
        for one in utterances:
            if modality == "text":
                told: dict[str, Any] = {"id": one.id, "text": one.text}
            else:
                assert one.audio is not None  # promised by the caller
                told = {"id": one.id, "audio": str(one.audio.absolute())}
                told |= {"start": one.start_s, "end": one.end_s}
            file.write(json.dumps(told) + "\n")
    return path


def _write_no_votes(path: Path) -> Path:
    path.write_text("id,rater,label\n", encoding="utf-8")
    return path


def _read(
    cache: Path,
    wanted: Sequence[Wanted],
    attrs: Mapping[str, Any],
    layers: Sequence[int],
    ids: Sequence[str],
) -> tuple[Float[np.ndarray, "utterance feature"], dict[str, str]]:
    """The rows of one entry, or of layers side by side, in the order of some ids; why one failed.

    Raises:
        CacheError: A row is not there.
        EncoderError: They were made by another encoder.
    """
    with open_cache(cache) as opened:
        entries = [opened.embeddings(*one.key) for one in wanted]
        place = {name: row for row, name in enumerate(opened.utterances.id)}
    refuse_other_layers(wanted[0].modality, attrs, layers, [one.attrs for one in entries])
    if missing := [one for one in ids if one not in place]:
        raise CacheError(f"{cache}: has no row for {missing[0]!r}; --overwrite makes it anew")
    rows = [place[one] for one in ids]
    errors = {
        ids[i]: str(entry.error[row])
        for entry in entries
        for i, row in enumerate(rows)
        if entry.status[row] != DONE
    }
    return np.concatenate([entry.vectors[rows] for entry in entries], axis=1), errors
