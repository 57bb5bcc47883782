"""Where a release of MSP-Podcast keeps what: its folders and files, found by name in any case.

Label files may lie anywhere below Labels; of several, the one with most detail is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from amber_cache.corpora.base import entries_by_name
from amber_cache.corpora.msp_text import Notes
from amber_cache.errors import CorpusError

_AUDIO_FOLDERS = ("audios", "audio")
_TEXT_FOLDERS = ("transcripts", "transcript")
_LABEL_FOLDERS = ("labels", "label")

#: Files with every rater's votes, and files with the outcome; the best first.
VOTE_FILES = ("labels_detailed.csv", "labels.txt", "labels_detailed.json", "labels.json")
_CONSENSUS_FILES = tuple(
    f"labels_{word}.{kind}" for kind in ("csv", "json") for word in ("consensus", "concensus")
)
_SPLIT_FILES = ("partitions.txt", "partition.txt")
_SPEAKER_FILES = ("speaker_ids.txt", "speaker_id.txt")

#: How an error ends.
WAY_OUT = "wanted the folder of an unpacked MSP-Podcast release"


@dataclass(frozen=True, slots=True)
class Release:
    """Where a release keeps what; None where it has no such thing."""

    root: Path
    audio: Path | None
    transcripts: Path | None
    votes: Path | None
    consensus: Path | None
    splits: Path | None
    speakers: Path | None


def find_release(root: Path) -> Release:
    """The release in `root`, or in the only folder of `root` that holds one."""
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; {WAY_OUT}")
    if release := _release_at(root):
        return release
    inside = [found for place in entries_by_name(root).values() if (found := _release_at(place))]
    if len(inside) == 1:
        return inside[0]
    if inside:
        names = ", ".join(one.root.name for one in inside)
        raise CorpusError(f"{root}: several folders hold a release: {names}; name one of them")
    raise CorpusError(
        f"{root}: has no label file: looked for {', '.join(VOTE_FILES + _CONSENSUS_FILES[:2])} "
        f"in Labels, found {listed(root)}; {WAY_OUT}"
    )


def files_below(release: Release, top: Path | None, suffix: str, notes: Notes) -> dict[str, str]:
    """The files below a folder: name without suffix -> path relative to the release."""
    found: dict[str, str] = {}
    for folder, folders, names in os.walk(top) if top is not None else ():
        folders.sort()
        place = Path(folder).relative_to(release.root).as_posix()
        for name in sorted(names):
            stem, ending = name[: -len(suffix)], name[-len(suffix) :]
            if name.startswith(".") or ending.lower() != suffix:
                continue
            if stem in found:
                told = f"{place}/{name} stands as {found[stem]} already, which is the one used"
                notes.add("files that stand twice", release.root, told)
            elif not stem.isascii() and stem.encode(errors="ignore").decode() != stem:
                notes.add("names without meaning", release.root, f"{place}/{name!a} is left out")
            else:
                found[stem] = f"{place}/{name}"
    return found


def listed(folder: Path) -> str:
    """What a folder holds, for an error: the first eight names."""
    names = [place.name for place in entries_by_name(folder).values()]
    return (", ".join(names[:8]) or "nothing") + (", ..." if len(names) > 8 else "")


def _release_at(folder: Path) -> Release | None:
    """What stands where in a folder; None if it has no label file."""
    there = entries_by_name(folder)

    def first(names: Iterable[str], places: Mapping[str, Path]) -> Path | None:
        return next((places[name] for name in names if name in places), None)

    labels = first(_LABEL_FOLDERS, there)
    files: dict[str, Path] = {}
    for place, folders, names in os.walk(labels) if labels is not None else ():
        folders.sort()
        for name in sorted(names):
            files.setdefault(name.lower(), Path(place, name))
    files = {**there, **files}
    votes, consensus = first(VOTE_FILES, files), first(_CONSENSUS_FILES, files)
    if votes is None and consensus is None:
        return None
    return Release(
        root=folder,
        audio=first(_AUDIO_FOLDERS, there),
        transcripts=first(_TEXT_FOLDERS, there),
        votes=votes,
        consensus=consensus,
        splits=first(_SPLIT_FILES, files),
        speakers=first(_SPEAKER_FILES, files),
    )
