"""Whether what a cache holds was made as what is to stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amber_cache.errors import CacheError
from amber_cache.store import Embedding, Entry, Transcripts

# What must agree before rows of a stored entry may stand beside new ones.
_SETTINGS = (
    "encoder",
    "revision",
    "weights_sha256",
    "layer",
    "pooling",
    "precision",
    "sampling_rate_hz",
    "transcriber",
    "transcriber_revision",
    "transcriber_sha256",
)

# What must agree before transcripts of a cache may stand beside new ones.
_TRANSCRIBER = ("model", "revision", "weights_sha256")


def refuse_other_settings(path: Path, entry: Embedding | Entry, attrs: Mapping[str, Any]) -> None:
    """Refuse to put rows into an entry that was made otherwise.

    Raises:
        CacheError: As said, with both values.
    """
    _refuse_other(path, f"{entry.modality}/{entry.name}", _SETTINGS, entry.attrs, attrs)


def _refuse_other(
    path: Path,
    place: str,
    names: tuple[str, ...],
    before: Mapping[str, Any],
    now: Mapping[str, Any],
) -> None:
    for name in names:
        if name in before and before[name] != now.get(name):
            raise CacheError(
                f"--cache {path}: its {place} was made with {name} {before[name]!r}, and this "
                f"would be {now.get(name)!r}; name another file with --cache"
            )


def refuse_other_transcriber(path: Path, one: Transcripts, attrs: Mapping[str, Any]) -> None:
    """Refuse to put transcripts beside those of another model of the same name.

    Raises:
        CacheError: As said, with both values.
    """
    _refuse_other(path, f"transcripts/{one.name}", _TRANSCRIBER, one.attrs, attrs)
