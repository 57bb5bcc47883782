"""What there is to encode: every utterance's input by modality, looked at but not yet decoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeAlias

import numpy as np

from amber_cache import audio
from amber_cache.errors import UtteranceError
from amber_cache.progress import Progress
from amber_cache.records import Corpus, Utterance
from amber_cache.store import UtteranceTable, utterance_table

#: The reason that is no failure: a text that isn't there can't be encoded.
NO_TEXT = "empty text"


@dataclass(frozen=True, slots=True)
class Source:
    """One utterance's input for one modality: how to load it, and its length for the plan.

    Attributes:
        load: Gives the text, or the waveform at the sampling rate asked for.
        length: Milliseconds of audio, or characters of text.
    """

    load: Callable[[int], np.ndarray | str]
    length: int


#: By row: the input, or why there is none.
Sources: TypeAlias = list[Source | UtteranceError]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A corpus as it stands on the disk.

    Attributes:
        table: Its utterances, with each audio file's length, size and hash.
        sources: Modality -> inputs, in the table's order.
        notes: What the user should be told, one line each.
    """

    table: UtteranceTable
    sources: Mapping[str, Sources]
    notes: tuple[str, ...] = ()


class _MissingError(UtteranceError):
    """The audio file is not there."""


def survey(corpus: Corpus, former: UtteranceTable | None, progress: Progress) -> Survey:
    """Look at every input without decoding it.

    An audio file that was there when the `former` table was made, and is missing now, keeps its
    length and hash: what was made from it is still good.
    """
    hashed = cache(audio.file_sha256)
    sources: dict[str, Sources] = {name: [] for name in corpus.modalities}
    known = _known_audio(former)
    durations, hashes, sizes = {}, {}, {}
    kept: list[str] = []
    for number, one in enumerate(corpus.utterances, start=1):
        if "text" in sources:
            sources["text"].append(_text_source(one))
        if "audio" in sources:
            source: Source | UtteranceError
            try:
                segment = _segment(corpus, one)
                hashes[one.id], sizes[one.id] = hashed(segment.path), segment.path.stat().st_size
                durations[one.id] = segment.duration_s
                source = Source(partial(_load_audio, segment), round(1000 * segment.duration_s))
            except UtteranceError as error:
                source = error
                place = (one.id, "" if one.audio is None else one.audio.as_posix())
                if isinstance(error, _MissingError) and place in known:
                    durations[one.id], hashes[one.id], sizes[one.id] = known[place]
                    kept.append(one.id)
            sources["audio"].append(source)
        progress("reading the corpus", number, len(corpus.utterances))
    table = utterance_table(
        corpus.utterances, duration_s=durations, audio_sha256=hashes, audio_bytes=sizes
    )
    return Survey(table=table, sources=sources, notes=_kept_note(kept))


def _known_audio(former: UtteranceTable | None) -> dict[tuple[str, str], tuple[float, str, int]]:
    """(id, path) -> length, hash and size of the audio files that a former table knows."""
    if former is None:
        return {}
    columns = (former.duration_s, former.audio_sha256, former.audio_bytes)
    return {
        (former.id[row], former.audio_path[row]): (float(duration_s), sha256, int(num_bytes))
        for row, (duration_s, sha256, num_bytes) in enumerate(zip(*columns, strict=True))
        if sha256
    }


def _kept_note(kept: list[str]) -> tuple[str, ...]:
    if not kept:
        return ()
    return (
        f"audio files missing: {len(kept)}, first that of {kept[0]!r}; what the cache holds of "
        "them is kept",
    )


def _segment(corpus: Corpus, utterance: Utterance) -> audio.Segment:
    if utterance.audio is None:
        raise UtteranceError("no audio file is named")
    path = corpus.root / utterance.audio
    if not os.path.exists(path):  # Path.exists raises where a name is too long
        raise _MissingError(f"{utterance.audio.as_posix()} is missing")
    return audio.locate(path, start_s=utterance.start_s, end_s=utterance.end_s)


def _load_audio(segment: audio.Segment, sampling_rate_hz: int) -> np.ndarray:
    return audio.load(segment, sampling_rate_hz=sampling_rate_hz)


def _text_source(utterance: Utterance) -> Source | UtteranceError:
    text = utterance.text
    return Source(lambda _: text, len(text)) if text.strip() else UtteranceError(NO_TEXT)
