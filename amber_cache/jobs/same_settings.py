"""Whether what a cache holds was made as what is to stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amber_cache.errors import CacheError
from amber_cache.store import ENTRY_SETTINGS, Embedding, Entry, Transcripts

# What must agree before transcripts of a cache may stand beside new ones.
_TRANSCRIBER = ("model", "revision", "weights_sha256", "settings_sha256")


def refuse_other_settings(path: Path, entry: Embedding | Entry, attrs: Mapping[str, Any]) -> None:
    """Refuse to put rows into an entry that was made otherwise.

    Raises:
        CacheError: As said, with both values.
    """
    place, way_out = f"{entry.modality}/{entry.name}", "name another file with --cache"
    _refuse_other(path, place, ENTRY_SETTINGS, entry.attrs, attrs, way_out=way_out)


def _refuse_other(
    path: Path,
    place: str,
    names: tuple[str, ...],
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    *,
    way_out: str,
) -> None:
    for name in names:
        if name in before and before[name] != now.get(name):
            raise CacheError(
                f"--cache {path}: its {place} was made with {name} {before[name]!r}, and this "
                f"would be {now.get(name)!r}; {way_out}"
            )


def refuse_other_transcriber(path: Path, one: Transcripts, attrs: Mapping[str, Any]) -> None:
    """Refuse to put transcripts beside those of another model of the same name.

    Raises:
        CacheError: As said, with both values.
    """
    way_out = "give the model's folder another name to have both, or name another file with --cache"
    _refuse_other(path, f"transcripts/{one.name}", _TRANSCRIBER, one.attrs, attrs, way_out=way_out)
