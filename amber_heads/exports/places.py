"""Where an export goes: whole or not at all, and never over what somebody else put there."""

from __future__ import annotations

from pathlib import Path

from amber_cache.errors import RunError
from amber_heads.files.whole_folders import write_file


def write_export(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a file; one that holds the same bytes already stays as it is.

    Raises:
        RunError: Something else stands there, or it can't be written; nothing has changed then.
    """
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise RunError(f"{path}: is no file that could be written; name another")
    if path.exists() and not overwrite:
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return
        raise RunError(f"{path}: is there already and not the same; --overwrite replaces it")
    try:
        write_file(path, data)
    except OSError as error:
        raise RunError(
            f"{path}: can't be written: {error.strerror or error}; it needs {len(data) / 1e6:.1f} "
            "MB. Nothing has changed; make room or name another place"
        ) from error
