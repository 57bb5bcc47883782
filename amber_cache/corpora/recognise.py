"""Which reader a place is for, told by what stands there; nothing is read but names.

A release is known in its own folder or in one that holds it; a manifest and an audformat database
in their own folder only, or as the manifest or the header itself. The
demo is known by its place: a copy of its files elsewhere is a manifest like any other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from amber_cache.corpora.base import entries_by_name
from amber_cache.corpora.demo import is_demo
from amber_cache.errors import CorpusError

#: A manifest's name in a folder, and how one ends that is given by itself.
MANIFESTS = ("manifest.csv", "manifest.jsonl", "manifest.parquet")
MANIFEST_SUFFIXES = tuple(Path(name).suffix for name in MANIFESTS)

#: An audformat database's header in its folder, and how one ends that is given by itself.
HEADER = "db.yaml"
_HEADER_SUFFIXES = (".yaml", ".yml")

#: What is known in its own folder only.
_AT_HOME = frozenset({"manifest", "audformat"})

_SESSIONS = frozenset(f"session{number}" for number in range(1, 6))
_VOTE_TABLE = "tabulatedvotes.csv"
_LABEL_WORDS = ("labels_detailed.", "labels_consensus.", "labels_concensus.", "labels.")
_LABEL_KINDS = ("csv", "txt", "json")
_WAY_OUT = "name the reader with --corpus"


def recognise(place: Path) -> tuple[str, Path]:
    """The reader's name and the root that it takes.

    Raises:
        CorpusError: Nothing is there, or nothing that is known, or more than one corpus.
    """
    if is_demo(place):
        return "demo", place.parent if place.is_file() else place
    if place.is_file() and place.suffix.lower() in MANIFEST_SUFFIXES:
        return "manifest", place
    if place.is_file() and place.suffix.lower() in _HEADER_SUFFIXES:
        return "audformat", place
    if not place.is_dir():
        what = "is no cache (HDF5) and no manifest" if place.exists() else "no such file or folder"
        raise CorpusError(
            f"{place}: {what}; give a cache, a manifest ({', '.join(MANIFEST_SUFFIXES)}), an "
            f"audformat database ({HEADER}) or the folder of a corpus"
        )
    there = entries_by_name(place)
    found = (
        _found_in(place)
        or {name for inside in there.values() if inside.is_dir() for name in _found_in(inside)}
        - _AT_HOME
    )
    if len(found) == 1:
        (name,) = found
        return name, root_of(name, place)
    if found:
        raise CorpusError(f"{place}: may be of {' or '.join(sorted(found))}; {_WAY_OUT}")
    listed = ", ".join(one.name for one in list(there.values())[:8]) or "nothing"
    raise CorpusError(
        f"{place}: no corpus is known by what stands there ({listed}"
        f"{', ...' if len(there) > 8 else ''}): looked for {', '.join(MANIFESTS)}, Session1 to "
        "Session5 (iemocap), Labels/labels_*.csv (msp-podcast), processedResults/"
        f"tabulatedVotes.csv (crema-d) and {HEADER} (audformat); {_WAY_OUT}"
    )


def root_of(name: str, place: Path) -> Path:
    """The root that a reader takes: for a manifest in a folder, the manifest."""
    if name != "manifest" or not place.is_dir():
        return place
    there = entries_by_name(place)
    return next((there[one] for one in MANIFESTS if one in there), place)


def _found_in(folder: Path) -> set[str]:
    there = entries_by_name(folder)
    return {name for name, has_signs in _SIGNS.items() if has_signs(there)}


def _has_sessions(there: Mapping[str, Path]) -> bool:
    return any(there[name].is_dir() for name in _SESSIONS & there.keys())


def _has_label_files(there: Mapping[str, Path]) -> bool:
    """Label files by their own name, or by any that they may have in a folder Labels."""
    if any(_is_label_file(name, _LABEL_WORDS[:-1]) for name in there):
        return True
    folder = next((there[name] for name in ("labels", "label") if name in there), None)
    if folder is None:
        return False
    names = (name for _, _, files in os.walk(folder) for name in files)
    return any(_is_label_file(name.lower(), _LABEL_WORDS) for name in names)


def _is_label_file(name: str, words: Iterable[str]) -> bool:
    return any(name == word + kind for word in words for kind in _LABEL_KINDS)


def _has_vote_table(there: Mapping[str, Path]) -> bool:
    inside = there.get("processedresults")
    return _VOTE_TABLE in there or (inside is not None and _VOTE_TABLE in entries_by_name(inside))


def _has_manifest(there: Mapping[str, Path]) -> bool:
    return any(name in there for name in MANIFESTS)


_SIGNS: dict[str, Callable[[Mapping[str, Path]], bool]] = {
    "manifest": _has_manifest,
    "iemocap": _has_sessions,
    "msp-podcast": _has_label_files,
    "crema-d": _has_vote_table,
    "audformat": lambda there: HEADER in there,
}
