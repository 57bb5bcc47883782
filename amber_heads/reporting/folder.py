"""Whether a folder may become a report's: what amber did not write is never thrown away."""

from __future__ import annotations

import os
from pathlib import Path

from amber_cache.errors import RunError
from amber_cache.store import read_json
from amber_heads.files.whole_folders import refuse_unwritable

FORMAT = "amber-report"

#: The file that says what else a report's folder holds.
MANIFEST = "data.json"


def refuse_strangers(folder: Path) -> None:
    """Before anything is computed.

    Raises:
        RunError: The place is no folder, holds what no report wrote, or can't be written to.
    """
    place = Path(os.path.realpath(folder))
    refuse_unwritable(folder)
    if place.exists() and not place.is_dir():
        raise RunError(f"--out {folder}: is a file; name a folder for the report")
    if place.is_dir() and (strangers := _strangers(place)):
        raise RunError(
            f"--out {folder}: also holds {', '.join(strangers[:5])}, which no report wrote; name "
            "another folder"
        )


def _strangers(place: Path) -> list[str]:
    there = {one.relative_to(place).as_posix() for one in place.rglob("*") if not one.is_dir()}
    try:
        told = read_json(place / MANIFEST)
        known = set(told["files"]) if told["format"] == FORMAT else set()
    except (OSError, ValueError, KeyError, TypeError):
        known = set()
    return sorted(there - known)
