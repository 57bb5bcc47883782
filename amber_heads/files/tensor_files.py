"""safetensors that somebody else may have written: looked at before they are opened.

safetensors itself refuses offsets that overlap or leave holes, and shapes that do not fill them.
What is left: a FIFO in a file's place, which would keep the reader waiting; a header of a hundred
megabytes; keys that stand there twice, of which one would be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from amber_cache.store import parse_json, require_regular

#: A header takes about 120 bytes a tensor.
MOST_HEADER_BYTES = 1 << 24

_PREFIX_BYTES = 8


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """A file of safetensors, as NumPy arrays.

    Raises:
        OSError: It can't be read.
        ValueError: It is no regular file, damaged, or has an absurd header.
    """
    _header_bytes(path)
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def require_header(path: Path) -> None:
    """Refuse a header that is not plain: read as strictly as any JSON.

    Raises:
        OSError: It can't be read.
        ValueError: It is absurdly long, is no JSON object, or has a key twice.
    """
    length = _header_bytes(path)
    with path.open("rb") as file:
        file.seek(_PREFIX_BYTES)
        if not isinstance(parse_json(file.read(length)), dict):
            raise ValueError("its header is no object")


def _header_bytes(path: Path) -> int:
    size = require_regular(path)
    with path.open("rb") as file:
        prefix = file.read(_PREFIX_BYTES)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < _PREFIX_BYTES or length > min(MOST_HEADER_BYTES, size - _PREFIX_BYTES):
        raise ValueError(f"claims a header of {length} bytes; the file has {size}")
    return length
