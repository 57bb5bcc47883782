"""Files and folders that are whole or not there: written beside their place, synced, moved there.

A symbolic link is followed, not replaced.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from amber_cache.errors import RunError
from amber_cache.store import sync_folder


def write_file(path: Path, data: bytes) -> None:
    """Write a file into a folder that is there.

    Raises:
        OSError: It can't be written; nothing has changed then.
    """
    target = Path(os.path.realpath(path))
    partial = _beside(target, "partial")
    try:
        _write_synced(partial, data)
        partial.replace(target)
    finally:
        with contextlib.suppress(OSError):  # moved by now, or never made
            partial.unlink()
    sync_folder(target.parent)


def write_folder(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write a folder in the place of one that stood there.

    Args:
        folder: Its place, as --out named it.
        content: Every file's bytes by name; names may have folders in them.

    Raises:
        RunError: The disk is full or the place not writable; nothing has changed then.
    """
    place = Path(os.path.realpath(folder))
    try:
        with _made_beside(place) as partial:
            paths = {partial / name: data for name, data in content.items()}
            for path, data in paths.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_synced(path, data)
            for parent in {path.parent for path in paths}:
                sync_folder(parent)
            _put_in_place(partial, place)
    except OSError as error:
        needed = sum(map(len, content.values()))
        raise RunError(
            f"--out {folder}: can't be written: {error.strerror or error}; it needs "
            f"{needed / 1e6:.1f} MB. Nothing has changed; make room or name another place with "
            "--out"
        ) from error


def refuse_unwritable(folder: Path) -> None:
    """Look whether a folder can be written, before what it shall hold is computed.

    Raises:
        RunError: It can't, or commands run in it.
    """
    place = Path(os.path.realpath(folder))
    if place in (Path.cwd(), *Path.cwd().parents):
        raise RunError(f"--out {folder}: is the working folder or above it; name one inside it")
    parent = next(one for one in place.parents if one.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise RunError(f"--out {folder}: {parent} is no folder that can be written to")


def _beside(place: Path, what: str) -> Path:
    """A hidden name of its own in the same folder, so that it can be moved to its place."""
    return place.with_name(f".{place.name}.{what}-{secrets.token_hex(4)}")


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _made_beside(folder: Path) -> Iterator[Path]:
    """An empty folder beside another's place; gone where that fails, as are parents made for it."""
    partial = _beside(folder, "partial")
    made = [parent for parent in folder.parents if not parent.exists()]
    try:
        partial.mkdir(parents=True)
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):
            for parent in made:
                parent.rmdir()
        raise


def _put_in_place(partial: Path, folder: Path) -> None:
    former = _beside(folder, "former")
    try:
        if folder.exists():
            folder.rename(former)
        partial.rename(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            former.rename(folder)
        raise
    sync_folder(folder.parent)
    shutil.rmtree(former, ignore_errors=True)
