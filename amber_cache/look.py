"""What stands in a cache or in a corpus, as the same tables; nothing is encoded.

A cache knows lengths and hashes from when it was made. Of a corpus the descriptions are read, and
the headers of its audio files for their lengths, unless that is left out.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from amber_cache import audio
from amber_cache.corpora import read_corpus
from amber_cache.corpora.base import told
from amber_cache.corpora.recognise import recognise, root_of
from amber_cache.errors import ConfigError, UtteranceError
from amber_cache.progress import Progress, no_progress
from amber_cache.records import Corpus, Utterance
from amber_cache.store import (
    EmbeddingCount,
    RatingTable,
    Transcripts,
    UtteranceTable,
    VoteTable,
    open_cache,
    ratings_table,
    text_array,
    utterance_table,
    votes_table,
)

#: What is wrong with an utterance's audio, beside "".
NOT_NAMED = "audio file not named"
NOT_THERE = "audio file not there"
NOT_READABLE = "audio file not readable"
NOT_HASHED = "audio file not read by extract"

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_HDF5_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """A cache's or a corpus's tables.

    Attributes:
        corpus: The reader's name; "" where a cache does not say.
        protocol: The label protocol it is used with by default; "" for none.
        entries: How far a cache's embeddings are; none of a corpus.
        transcripts: What speech-recognition models heard; likewise.
        audio: By utterance, what is wrong with its audio file; "" for nothing.
        notes: What the user should be told, one line each.
    """

    place: Path
    is_cache: bool
    corpus: str
    protocol: str
    utterances: UtteranceTable
    votes: VoteTable
    ratings: RatingTable | None
    entries: tuple[EmbeddingCount, ...]
    transcripts: tuple[Transcripts, ...]
    audio: Shaped[np.ndarray, " utterance"]
    notes: tuple[str, ...] = ()


def look(
    place: Path,
    *,
    corpus: str | None = None,
    votes_file: Path | None = None,
    durations: bool = True,
    flags: Collection[str] = (),
    progress: Progress = no_progress,
) -> Look:
    """Read the tables of what stands at a place.

    Args:
        place: A cache, a manifest, or a corpus's folder.
        corpus: The reader; None: found by what stands there.
        votes_file: A manifest's votes, where they are elsewhere.
        durations: Read the headers of audio files for their lengths.
        flags: Which of these three the user gave by a flag: a cache listens to none.

    Raises:
        ConfigError: A flag has no effect on a cache.
        CacheError: The cache is damaged.
        CorpusError: The corpus is not known, or can't be read.
    """
    if _is_cache(place):
        given = "durations" if durations else "no-durations"
        for name, option in (("corpus",) * 2, ("votes_file", "votes-file"), ("durations", given)):
            if name in flags:
                raise ConfigError(f"--{option} has no effect on a cache ({place}); leave it out")
        return _look_at_cache(place)
    name, root = recognise(place) if corpus is None else (corpus, root_of(corpus, place))
    return _look_at_corpus(
        place,
        read_corpus(name, root, votes_file=votes_file, needs_input=False),
        durations,
        progress,
    )


def _is_cache(place: Path) -> bool:
    if not place.is_file():
        return place.suffix.lower() in _HDF5_SUFFIXES and not place.is_dir()
    if place.suffix.lower() in _HDF5_SUFFIXES:
        return True
    try:
        with place.open("rb") as file:
            return file.read(len(_HDF5_MAGIC)) == _HDF5_MAGIC
    except OSError:
        return False


def _look_at_cache(place: Path) -> Look:
    with open_cache(place) as cache:
        table = cache.utterances
        return Look(
            place=place,
            is_cache=True,
            corpus=cache.corpus,
            protocol=cache.protocol,
            utterances=table,
            votes=cache.votes,
            ratings=cache.ratings,
            entries=cache.counts(),
            transcripts=tuple(cache.transcripts.values()),
            audio=text_array(
                [
                    "" if sha256 else NOT_HASHED if path else NOT_NAMED
                    for path, sha256 in zip(table.audio_path, table.audio_sha256, strict=True)
                ]
            ),
        )


def _look_at_corpus(place: Path, corpus: Corpus, durations: bool, progress: Progress) -> Look:
    lengths: dict[str, float] = {}
    states: list[str] = []
    unreadable: list[str] = []
    for number, one in enumerate(corpus.utterances, start=1):
        try:
            states.append(_audio_state(corpus, one))
            if durations and not states[-1]:
                lengths[one.id] = _length(corpus, one)
        except UtteranceError as error:
            states[-1] = NOT_READABLE
            unreadable.append(f"{one.id}: {error}")
        if durations:
            progress("reading audio headers", number, len(corpus.utterances))
    return Look(
        place=place,
        is_cache=False,
        corpus=corpus.name,
        protocol=corpus.protocol,
        utterances=utterance_table(corpus.utterances, duration_s=lengths),
        votes=votes_table(corpus.utterances),
        ratings=ratings_table(corpus.utterances),
        entries=(),
        transcripts=(),
        audio=text_array(states),
        notes=(*corpus.warnings, *told({NOT_READABLE: unreadable})),
    )


def _audio_state(corpus: Corpus, utterance: Utterance) -> str:
    if utterance.audio is None:
        return NOT_NAMED
    there = os.path.exists(corpus.root / utterance.audio)  # Path.exists raises on a long name
    return "" if there else NOT_THERE


def _length(corpus: Corpus, utterance: Utterance) -> float:
    path = corpus.root / str(utterance.audio)
    return audio.locate(path, start_s=utterance.start_s, end_s=utterance.end_s).duration_s
