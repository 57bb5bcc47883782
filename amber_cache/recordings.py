"""What a user names to be predicted -> utterances: audio files, folders of them, manifests.

A manifest here needs no votes. A file or folder gives utterances without text, whose id is the path
as it was named. Nothing is decoded: what is no audio comes out when it is encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from amber_cache.corpora.base import check_ids
from amber_cache.corpora.manifest import read_manifest
from amber_cache.errors import CorpusError
from amber_cache.records import Utterance

#: What a folder is searched for; a file that is named by itself may be called anything.
AUDIO_SUFFIXES = frozenset(
    (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64", ".rf64")
)

_MANIFEST_SUFFIXES = (".csv", ".jsonl", ".parquet")


def find_recordings(places: Sequence[Path]) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    """Utterances sorted by id, their audio by paths that hold here, and what to tell of them.

    Raises:
        CorpusError: A place is missing, a folder holds no audio, a manifest can't be read, or an
            id stands twice.
    """
    found: list[Utterance] = []
    notes: list[str] = []
    for place in places:
        if place.suffix.lower() in _MANIFEST_SUFFIXES:
            corpus = read_manifest(place, with_votes=False)
            found += [_placed(one, corpus.root) for one in corpus.utterances]
            notes += corpus.warnings
        else:
            found += [_recording(path) for path in _files(place)]
    numbers = list(range(1, len(found) + 1))
    check_ids([one.id for one in found], place=Path("what is named"), lines=numbers, unit="item")
    return tuple(sorted(found, key=lambda one: one.id)), tuple(notes)


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        if not place.exists():
            raise CorpusError(f"{place}: there is no such file or folder")
        return [place]
    files = sorted(
        path
        for path in place.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")
    )
    if not files:
        raise CorpusError(
            f"{place}: holds no audio file ({', '.join(sorted(AUDIO_SUFFIXES))}); name files, a "
            "folder of them, or a manifest"
        )
    return files


def _recording(path: Path) -> Utterance:
    return Utterance(id=path.as_posix(), audio=path)


def _placed(utterance: Utterance, root: Path) -> Utterance:
    """With the audio's path from here, not from the manifest."""
    if utterance.audio is None:
        return utterance
    return replace(utterance, audio=root / utterance.audio)
