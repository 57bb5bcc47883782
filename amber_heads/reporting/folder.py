"""A report's folder: written whole beside its place, then moved there.

What amber did not write is never thrown away: a folder that holds anything else is refused.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from amber_cache.errors import RunError
from amber_cache.store import read_json

FORMAT = "amber-report"

#: The file that says what else a report's folder holds.
MANIFEST = "data.json"


def refuse_strangers(folder: Path) -> None:
    """Before anything is computed.

    Raises:
        RunError: The place is no folder, holds what no report wrote, or can't be written to.
    """
    place = Path(os.path.realpath(folder))
    if place == Path.cwd() or place in Path.cwd().parents:
        raise RunError(f"--out {folder}: is the working folder or above it; name one inside it")
    if place.exists() and not place.is_dir():
        raise RunError(f"--out {folder}: is a file; name a folder for the report")
    if place.is_dir() and (strangers := _strangers(place)):
        raise RunError(
            f"--out {folder}: also holds {', '.join(strangers[:5])}, which no report wrote; name "
            "another folder"
        )
    parent = next(one for one in place.parents if one.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise RunError(f"--out {folder}: {parent} is no folder that can be written to")


def write_folder(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write a report in the place of one that stood there; names may have folders in them.

    Raises:
        RunError: The disk is full or the place not writable; nothing has changed then.
    """
    place = Path(os.path.realpath(folder))
    partial = place.with_name(f".{place.name}.partial-{os.getpid()}")
    try:
        for name, data in content.items():
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        _put_in_place(partial, place)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise RunError(
            f"--out {folder}: can't be written: {error.strerror or error}. Nothing has changed; "
            "make room or name another place with --out"
        ) from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _strangers(place: Path) -> list[str]:
    there = {one.relative_to(place).as_posix() for one in place.rglob("*") if not one.is_dir()}
    try:
        told = read_json(place / MANIFEST)
        known = set(told["files"]) if told["format"] == FORMAT else set()
    except (OSError, ValueError, KeyError, TypeError):
        known = set()
    return sorted(there - known)


def _put_in_place(partial: Path, place: Path) -> None:
    former = place.with_name(f".{place.name}.former-{os.getpid()}")
    try:
        if place.exists():
            place.rename(former)
        partial.rename(place)
    except BaseException:
        with contextlib.suppress(OSError):
            former.rename(place)
        raise
    shutil.rmtree(former, ignore_errors=True)
