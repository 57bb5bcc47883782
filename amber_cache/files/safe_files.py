"""Files that somebody else may have made: opened without waiting, read within bounds.

A FIFO keeps its reader waiting for ever, a device never ends, and a few megabytes of JSON can ask
for gigabytes of memory. What is read here is a regular file (a symbolic link to one will do), of a
size that is known to be bearable.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

#: What a JSON file may hold: a grid of thousands of configurations has a tenth of it. A value is
#: what stands behind "[", "{" or ","; it takes at most some 250 bytes of memory.
MOST_JSON_BYTES, MOST_JSON_VALUES = 1 << 28, 4_000_000


def require_regular(path: Path) -> int:
    """The size of a regular file in bytes; nothing is opened.

    Raises:
        OSError: There is none, or a chain of links leads nowhere.
        ValueError: It is a folder, a FIFO, a device or a socket.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is no regular file")
    return status.st_size


def read_bounded(path: Path, *, most_bytes: int) -> bytes:
    """All bytes of a regular file.

    Raises:
        OSError: It can't be read.
        ValueError: It is no regular file, or holds more than `most_bytes`.
    """
    require_regular(path)
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:  # once more: it may have been replaced since
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is no regular file")
        if status.st_size > most_bytes:
            raise ValueError(f"holds {status.st_size} bytes, more than {most_bytes}")
        return _all(descriptor, status.st_size)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> Any:
    """What a JSON file says, as `parse_json`.

    Raises:
        OSError: It can't be read.
        ValueError: It is not JSON, or not bearable; the message does not name the file.
    """
    return parse_json(read_bounded(path, most_bytes=MOST_JSON_BYTES))


def parse_json(data: bytes) -> Any:
    """What JSON says; stricter than the standard library.

    Raises:
        ValueError: It is no JSON in UTF-8, is nested too deeply, has more values than
            `MOST_JSON_VALUES`, a key twice in one object, or NaN or Infinity.

    Examples:
        >>> parse_json(b'{"kappa": 4}')
        {'kappa': 4}
        >>> parse_json(b'{"a": 1, "a": 2}')
        Traceback (most recent call last):
        ValueError: has the key 'a' twice
    """
    values = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    if values > MOST_JSON_VALUES:
        raise ValueError(f"has {values} values, more than {MOST_JSON_VALUES}")
    try:
        return json.loads(
            data.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_object
        )
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _all(descriptor: int, size: int) -> bytes:
    parts = []
    while size and (part := os.read(descriptor, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"has {text}, which JSON does not know")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"has the key {twice[:80]!a} twice")
    return found
