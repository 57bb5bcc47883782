"""What there is to encode: every utterance's input by modality, looked at but not yet decoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from amber_cache import audio
from amber_cache.errors import CorpusError, UtteranceError
from amber_cache.mount import require_root
from amber_cache.progress import Progress
from amber_cache.records import Corpus, Utterance
from amber_cache.store import NO_TEXT, UtteranceTable, utterance_table


@dataclass(frozen=True, slots=True)
class Source:
    """One utterance's input for one modality: how to load it, and its length for the plan.

    Attributes:
        load: Gives the text, or the waveform at the sampling rate asked for.
        length: Milliseconds of audio, or characters of text.
    """

    load: Callable[[int], np.ndarray | str]
    length: int


# A file system's clock may stand still for so long.
_CLOCK_STEP_NS = 2_000_000_000

#: By row: the input, or why there is none.
Sources: TypeAlias = list[Source | UtteranceError]

#: Some rows' inputs.
Inputs: TypeAlias = Sources | Mapping[int, Source | UtteranceError]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """An audio file whose hash is known, as long as size and time are still these."""

    num_bytes: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A corpus as it stands on the disk.

    Attributes:
        table: Its utterances, with each audio file's length, size and hash.
        sources: What is encoded ("audio", "text") -> inputs, in the table's order.
        files: The audio files, by path as the corpus names it.
        notes: What the user should be told, one line each.
    """

    table: UtteranceTable
    sources: Mapping[str, Sources]
    files: Mapping[str, KnownFile] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class _MissingError(UtteranceError):
    """The audio file is not there."""


def survey(
    corpus: Corpus,
    former: UtteranceTable | None,
    progress: Progress,
    *,
    known: Mapping[str, KnownFile] | None = None,
) -> Survey:
    """Look at every input without decoding it.

    An audio file that was there when the `former` table was made, and is missing now, keeps its
    length and hash: what was made from it is still good.

    Args:
        corpus: What its reader found.
        former: The table of the cache that stands there; None where none does.
        progress: Told of every utterance.
        known: By path as the corpus names it: files that are not hashed if they look the same.

    Raises:
        CorpusError: The corpus's folder is gone.
    """
    # Whole paths, since a worker elsewhere may stand in another folder.
    corpus = replace(corpus, root=Path(os.path.abspath(corpus.root)))
    files = _Files(known or {})
    sources: dict[str, Sources] = {name: [] for name in corpus.modalities}
    before = _known_audio(former)
    durations, hashes, sizes, times = {}, {}, {}, {}
    kept: list[str] = []
    for number, one in enumerate(corpus.utterances, start=1):
        if "text" in sources:
            sources["text"].append(_text_source(one))
        if "audio" in sources:
            source: Source | UtteranceError
            path = "" if one.audio is None else one.audio.as_posix()
            try:
                segment = _segment(corpus, one)
                file = files.look(path, segment.path)
                hashes[one.id], sizes[one.id] = file.sha256, file.num_bytes
                times[one.id], durations[one.id] = file.mtime_ns, segment.duration_s
                load = partial(_load_audio, segment, file, corpus.root)
                source = Source(load, round(1000 * segment.duration_s))
            except UtteranceError as error:
                require_root(corpus.root)
                source = error
                place = (one.id, path)
                if isinstance(error, _MissingError) and place in before:
                    durations[one.id], hashes[one.id], sizes[one.id] = before[place]
                    kept.append(one.id)
            sources["audio"].append(source)
        progress("reading the corpus", number, len(corpus.utterances))
    table = utterance_table(
        corpus.utterances,
        duration_s=durations,
        audio_sha256=hashes,
        audio_bytes=sizes,
        audio_mtime_ns=times,
    )
    return Survey(table=table, sources=sources, files=files.seen, notes=_kept_note(kept))


def known_files(table: UtteranceTable, *, seen_ns: int) -> dict[str, KnownFile]:
    """The audio files of a cache's table whose size and time vouch for their hash.

    Args:
        table: Of a cache.
        seen_ns: When the files were looked at.
    """
    columns = (table.audio_path, table.audio_bytes, table.audio_mtime_ns, table.audio_sha256)
    files = {
        path: KnownFile(int(num_bytes), int(mtime_ns), sha256)
        for path, num_bytes, mtime_ns, sha256 in zip(*columns, strict=True)
        if sha256
    }
    return {path: one for path, one in files.items() if is_settled(one, seen_ns)}


def is_settled(file: KnownFile, seen_ns: int) -> bool:
    """Whether a file's size and time vouch for its hash, taken at `seen_ns`.

    One that was changed just before could have been changed again without another time.
    """
    return 0 <= file.mtime_ns < seen_ns - _CLOCK_STEP_NS


class _Files:
    """Hashes each file once, and none that is known."""

    def __init__(self, known: Mapping[str, KnownFile]) -> None:
        self._known = known
        self.seen: dict[str, KnownFile] = {}

    def look(self, name: str, path: Path) -> KnownFile:
        if name not in self.seen:
            found = path.stat()
            known = self._known.get(name)
            if known is None or (known.num_bytes, known.mtime_ns) != _looks(found):
                known = KnownFile(*_looks(found), audio.file_sha256(path))
            self.seen[name] = known
        return self.seen[name]


def _looks(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


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


def _load_audio(
    segment: audio.Segment, file: KnownFile, root: Path, sampling_rate_hz: int
) -> np.ndarray:
    """Decode a segment of a file that is still the one that was looked at.

    Raises:
        CorpusError: It is not: the corpus is being changed, or its disk is gone.
        UtteranceError: It can't be decoded.
    """
    try:
        return audio.load(segment, sampling_rate_hz=sampling_rate_hz)
    finally:
        try:
            looks = _looks(segment.path.stat())
        except OSError as error:
            require_root(root)
            raise CorpusError(
                f"{segment.path} was there when the corpus was read, and can't be had now: "
                f"{error.strerror}"
            ) from None
        if looks != (file.num_bytes, file.mtime_ns):
            raise CorpusError(f"{segment.path} was changed since the corpus was read")


def _text_source(utterance: Utterance) -> Source | UtteranceError:
    text = utterance.text
    return Source(partial(_given, text), len(text)) if text.strip() else UtteranceError(NO_TEXT)


def _given(text: str, _: int) -> str:
    return text
