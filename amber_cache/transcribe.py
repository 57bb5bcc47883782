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
from pathlib import Path
from typing import Any

from amber_cache import audio
from amber_cache.encoders.hf_files import encoder_id, one_line, quiet
from amber_cache.errors import EncoderError, UtteranceError
from amber_cache.progress import Progress, no_progress
from amber_cache.records import Seconds, Utterance

#: Longer recordings are transcribed in overlapping pieces of this length.
CHUNK_S: Seconds = 30.0


class Transcriber:
    """A speech-recognition model, loaded.

    Attributes:
        name: As an encoder's is kept: a hub id, or a folder's own name.
    """

    def __init__(self, model: str, *, device: str = "cpu") -> None:
        """Load a model from a local folder or the hub.

        Raises:
            EncoderError: It can't be had, or is no model that transcribes.
        """
        self.name = encoder_id(model)
        try:
            from transformers import pipeline

            with quiet():
                self._pipeline: Any = pipeline(
                    "automatic-speech-recognition",
                    model=model,
                    device=device,
                    trust_remote_code=False,
                )
            self.sampling_rate_hz = int(self._pipeline.feature_extractor.sampling_rate)
        except Exception as error:  # whatever a checkpoint's files make transformers raise
            raise EncoderError(
                f"--transcribe {model}: can't be loaded: {one_line(error)}; name a local folder or "
                "a hub id of a speech-recognition model, with its processor"
            ) from error

    def transcribe(self, utterance: Utterance) -> str:
        """What is said in an utterance's audio; "" where the model hears nothing.

        Raises:
            UtteranceError: It can't be decoded, or the model can't take it.
        """
        assert utterance.audio is not None  # promised by the caller
        path, rate = utterance.audio, self.sampling_rate_hz
        segment = audio.locate(path, start_s=utterance.start_s, end_s=utterance.end_s)
        waveform = audio.load(segment, sampling_rate_hz=rate)
        pieces = {"chunk_length_s": CHUNK_S} if segment.duration_s > CHUNK_S else {}
        try:
            with quiet():
                found = self._pipeline({"raw": waveform, "sampling_rate": rate}, **pieces)
        except (RuntimeError, ValueError) as error:
            raise UtteranceError(f"{path.name} can't be transcribed: {one_line(error)}") from error
        return " ".join(str(found["text"]).split())


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
    name, kept = encoder_id(model), _read(journal)
    lacking = [one for one in utterances if one.audio is not None and not one.text.strip()]
    keys = {one.id: _key(one, name) for one in lacking}
    rest = [one for one in lacking if keys[one.id] not in kept]
    errors: dict[str, str] = {}
    if rest:
        transcriber = Transcriber(model, device=device)
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
                progress(f"transcribing with {name}", number, len(rest))
    texts = {one: kept[key] for one, key in keys.items() if key in kept}
    return tuple(replace(one, text=texts.get(one.id, one.text)) for one in utterances), errors


def _key(utterance: Utterance, model: str) -> str:
    """What a transcript follows from, as text."""
    assert utterance.audio is not None
    path = os.path.abspath(utterance.audio)
    looks: list[int] = []
    with suppress(OSError):
        found = os.stat(path)
        looks = [found.st_size, found.st_mtime_ns]
    return json.dumps([model, path, *looks, utterance.start_s, utterance.end_s])


def _read(journal: Path) -> dict[str, str]:
    """A journal's transcripts; a line that was cut off in writing is as if it were not there."""
    kept: dict[str, str] = {}
    with suppress(FileNotFoundError):
        for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                one = json.loads(line)
                kept[str(one["of"])] = str(one["text"])
    return kept
