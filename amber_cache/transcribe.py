"""What was said, by an automatic-speech-recognition model of transformers: a stand-in for text.

Each transcript is kept in a journal as soon as it is there, so that a command that was interrupted
goes on. A recording is known by its path, size, time of change and place in the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from amber_cache import audio
from amber_cache.asr_models import AsrModel, cant_be_loaded, find_asr_model
from amber_cache.encoders.hf_files import one_line, quiet, read_json
from amber_cache.errors import EncoderError, UtteranceError
from amber_cache.progress import Progress, no_progress
from amber_cache.records import Seconds, Utterance

#: Longer recordings are transcribed in overlapping pieces of this length.
CHUNK_S: Seconds = 30.0

#: What a processor is made of, one of each: its features, and the letters or words it writes.
_PROCESSOR_FILES = (
    ("preprocessor_config.json", "processor_config.json"),
    ("tokenizer_config.json", "tokenizer.json", "vocab.json"),
)


class Transcriber:
    """A speech-recognition model, loaded; it computes in float32.

    Attributes:
        asr: Which model it is.
        attrs: What a cache says of it beside its transcripts.
    """

    def __init__(self, model: str | AsrModel, *, device: str = "cpu") -> None:
        """Load a model from a local folder or the hub.

        Raises:
            EncoderError: It can't be had, or is no model that transcribes.
        """
        self.asr = find_asr_model(model) if isinstance(model, str) else model
        self._pipeline = _loaded(self.asr, device)
        self.sampling_rate_hz = int(self._pipeline.feature_extractor.sampling_rate)
        self.attrs: dict[str, Any] = {
            **self.asr.attrs,
            "sampling_rate_hz": self.sampling_rate_hz,
            "libraries": {name: metadata.version(name) for name in ("torch", "transformers")},
        }

    def transcribe(self, utterance: Utterance) -> str:
        """What is said in an utterance's audio; "" where the model hears nothing.

        Raises:
            UtteranceError: It can't be decoded, or the model can't take it.
        """
        assert utterance.audio is not None  # promised by the caller
        path = utterance.audio
        segment = audio.locate(path, start_s=utterance.start_s, end_s=utterance.end_s)
        waveform = audio.load(segment, sampling_rate_hz=self.sampling_rate_hz)
        try:
            return self.hear(waveform)
        except UtteranceError as error:
            raise UtteranceError(f"{path.name} {error}") from error

    def hear(self, waveform: Float32[np.ndarray, " samples"]) -> str:
        """What is said in a waveform at `sampling_rate_hz`; "" where the model hears nothing.

        Raises:
            UtteranceError: The model can't take it.
        """
        from amber_cache.encoders.hf_common import inference

        rate = self.sampling_rate_hz
        is_long = len(waveform) > CHUNK_S * rate
        pieces = {"chunk_length_s": CHUNK_S} if is_long else {}
        try:
            with quiet(), inference("float32"):
                found = self._pipeline({"raw": waveform, "sampling_rate": rate}, **pieces)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise UtteranceError(f"can't be transcribed: {one_line(error)}") from error
        return _plain(str(found["text"]))


def _loaded(asr: AsrModel, device: str) -> Any:
    """The pipeline of a model whose checkpoint was trained to transcribe.

    Raises:
        EncoderError: It can't be had, or lacks the layer that transcribes.
    """
    try:
        import torch
        from transformers import pipeline

        with quiet():
            made: Any = pipeline(
                "automatic-speech-recognition",
                model=str(asr.folder),
                device=device,
                dtype=torch.float32,
                trust_remote_code=False,
            )
        _ = int(made.feature_extractor.sampling_rate), made.tokenizer.get_vocab()
    except Exception as error:  # whatever a checkpoint's files make transformers raise
        raise cant_be_loaded(asr.model, _trouble(asr) or one_line(error)) from error
    # Its layer that gives letters would be random numbers where the checkpoint is of another kind.
    trained, kind = made.model.config.architectures or [], type(made.model).__name__
    if trained and kind not in trained:
        raise cant_be_loaded(asr.model, f"its weights are of {', '.join(trained)}, not of {kind}")
    return made


def _trouble(asr: AsrModel) -> str:
    """Why a model can't be loaded, where it is of no kind that transcribes or lacks a file."""
    from transformers.models.auto import modeling_auto as kinds

    try:
        kind = read_json(asr.folder / "config.json", encoder=asr.model).get("model_type")
    except EncoderError:
        return ""
    known = (kinds.MODEL_FOR_CTC_MAPPING_NAMES, kinds.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES)
    if not any(kind in some for some in known):
        return f"its config.json says model_type {kind!r}, which transcribes nothing"
    for names in _PROCESSOR_FILES:
        if not any((asr.folder / name).is_file() for name in names):
            return f"its folder has no {' or '.join(names)}; download the whole model"
    return ""


def _plain(text: str) -> str:
    """One line of text that a cache can hold."""
    kept = text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
    return " ".join(kept.split())


def transcribe_utterances(
    utterances: Sequence[Utterance],
    model: str,
    *,
    journal: Path,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> tuple[tuple[Utterance, ...], Mapping[str, str]]:
    """The same utterances, those with audio and without a text with what the model hears.

    Args:
        journal: Where transcripts are kept, a line each.

    Returns:
        The utterances, and by id why one could not be transcribed.

    Raises:
        EncoderError: As `Transcriber`; it is not loaded where all is in the journal.
    """
    lacking = [one for one in utterances if one.audio is not None and not one.text.strip()]
    if not lacking:
        return tuple(utterances), {}
    asr, kept = find_asr_model(model), _read(journal)
    keys = {one.id: _key(one, asr) for one in lacking}
    rest = [one for one in lacking if keys[one.id] not in kept]
    errors: dict[str, str] = {}
    if rest:
        transcriber = Transcriber(asr, device=device)
        journal.parent.mkdir(parents=True, exist_ok=True)
        with journal.open("a", encoding="utf-8") as file:
            file.write("\n")  # a line that was cut off in writing ends here
            for number, one in enumerate(rest, start=1):
                try:
                    kept[keys[one.id]] = transcriber.transcribe(one)
                    line = json.dumps({"of": keys[one.id], "text": kept[keys[one.id]]})
                    file.write(f"{line}\n")
                    file.flush()
                except UtteranceError as error:
                    errors[one.id] = str(error)
                progress(f"transcribing with {asr.id}", number, len(rest))
    texts = {one: kept[key] for one, key in keys.items() if key in kept}
    return tuple(replace(one, text=texts.get(one.id, one.text)) for one in utterances), errors


def _key(utterance: Utterance, asr: AsrModel) -> str:
    """What a transcript follows from, as text."""
    assert utterance.audio is not None
    path = os.path.abspath(utterance.audio)
    looks: list[int] = []
    with suppress(OSError):
        found = os.stat(path)
        looks = [found.st_size, found.st_mtime_ns]
    model = [asr.id, asr.weights_sha256, asr.settings_sha256]
    return json.dumps([*model, path, *looks, utterance.start_s, utterance.end_s])


def _read(journal: Path) -> dict[str, str]:
    """A journal's transcripts; a line that was cut off in writing is as if it were not there."""
    kept: dict[str, str] = {}
    with suppress(FileNotFoundError):
        for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                one = json.loads(line)
                kept[str(one["of"])] = str(one["text"])
    return kept
