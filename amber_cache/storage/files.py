"""One cache file as HDF5: opening it, finding what stands in it, its attributes and checksums.

A file is taken as untrusted: no link is followed, nothing is read before it is known what that
takes (files/safe_hdf5.py), and whatever h5py throws on a damaged file comes out as a CacheError of
one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from amber_cache.errors import AmberError, CacheError
from amber_cache.files.safe_files import parse_json
from amber_cache.files.safe_hdf5 import Guard, RefusedError, hard_linked, open_hdf5
from amber_cache.storage.schema import FORMAT, FORMAT_VERSION, Attribute, attribute_digest

#: What is looked at where it is no part of a file.
_WHOLE = "the file"


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An open cache file, of the right format and version.

    Attributes:
        checksums: "/votes/label" or "/votes/@labels" -> SHA-256, as listed in the root; empty for a
            file that another script wrote.
        guard: Admits what may be read.
    """

    path: Path
    file: h5py.File
    guard: Guard
    checksums: Mapping[str, str]

    def close(self) -> None:
        """Close the file; what was read from it stays."""
        with guarded(self.path, "closing"):
            self.file.close()


def open_source(path: str | Path) -> Source:
    """Open a cache file for reading, without a lock.

    Raises:
        CacheError: There is no such file, it is not a cache, is damaged, or of a newer version.
    """
    path = Path(path)
    require_file(path)
    with guarded(path, _WHOLE):
        file = open_hdf5(path)
    try:
        with guarded(path, "its attributes"):
            guard = Guard(file)
            _require_format(path, file, guard)
            listed = guard.attribute(file, "checksums")
            checksums = _listing([] if listed is None else _plain(listed))
    except BaseException:
        file.close()
        raise
    return Source(path, file, guard, checksums)


def require_file(path: Path) -> None:
    """Raise a CacheError unless there is a regular file that may be read."""
    if path.is_dir():
        raise CacheError(f"{path}: is a folder, wanted a cache file")
    if not path.exists():
        raise CacheError(f"{path}: no such file; `amber extract` makes a cache")
    if not path.is_file():
        raise CacheError(f"{path}: is no regular file")
    try:
        path.open("rb").close()
    except OSError as error:
        raise CacheError(f"{path}: can't be read: {error.strerror}") from error


def listing_problems(source: Source) -> Iterator[str]:
    """What the root's list of checksums names and the file lacks or has otherwise.

    The content of datasets is not read here, only their own `sha256` attribute.
    """
    for name, checksum in source.checksums.items():
        group, is_attribute, attribute = name.rpartition("/@")
        try:
            with guarded(source.path, name):
                if is_attribute:
                    found = _attribute_checksum(source, group, attribute)
                else:
                    found = stated_checksum(source, name)
        except CacheError as error:
            yield str(error).removeprefix(f"{source.path}: ")
            continue
        if found != checksum:
            state = "is missing" if found is None else "is not what was written"
            yield f"{name}: {state} (its checksum is {found}, the file lists {checksum})"


def find(source: Source, path: str) -> h5py.Group | h5py.Dataset | None:
    """What stands at a path of the file itself; None where nothing does.

    Raises:
        CacheError: A part of the path is a link to somewhere else, or can't be read.
    """
    with guarded(source.path, path):
        return hard_linked(source.file, path)


def children(source: Source, group: str) -> tuple[str, ...]:
    """Names of what stands in a group, sorted; none where there is no group.

    Raises:
        CacheError: A name is not printable, so that it can't be shown or typed.
    """
    node = find(source, group)
    names = sorted(node) if isinstance(node, h5py.Group) else []
    for name in names:
        if not name.isprintable():
            raise CacheError(f"{source.path}: {group}: has the name {name!a}, which is damaged")
    return tuple(names)


def read_attributes(source: Source, group: str) -> dict[str, Attribute]:
    """All attributes of a group but `checksums`, as plain Python values; `libraries` as a dict."""
    with guarded(source.path, f"{group}, attributes"):
        node = find(source, group)
        names = () if node is None else tuple(node.attrs)
        attributes = {name: _plain(source.guard.attribute(node, name)) for name in names}
        attributes.pop("checksums", None)
        with suppress(KeyError, AttributeError, ValueError):  # another script's own text stays text
            attributes["libraries"] = parse_json(attributes["libraries"].encode())
        return attributes


def stated_checksum(source: Source, path: str) -> str | None:
    """What a dataset's own `sha256` attribute says; None without dataset or attribute."""
    node = find(source, path)
    value = None if node is None else source.guard.attribute(node, "sha256")
    return None if value is None else ascii(str(_plain(value)).lower())[1:-1]


@contextmanager
def guarded(path: Path, what: str) -> Iterator[None]:
    """Turn whatever h5py throws on a damaged file into a CacheError that names file and place."""
    try:
        yield
    except AmberError:
        raise
    except RefusedError as error:
        place = path if what == _WHOLE else f"{path}: {what}"
        raise CacheError(f"{place}: {error}") from None
    # A damaged file makes h5py raise OSError, RuntimeError, KeyError, ValueError, TypeError,
    # UnicodeDecodeError, MemoryError and more, so none is listed.
    except Exception as error:
        reason = ascii(" ".join(str(error).split()))[1:-1] or type(error).__name__
        raise CacheError(f"{path}: {what}: is cut off or damaged ({reason})") from error


def _require_format(path: Path, file: h5py.File, guard: Guard) -> None:
    found = _plain(guard.attribute(file, "format"))
    if found != FORMAT:
        raise CacheError(f"{path}: is HDF5, but not of amber: its format is {found!a:.80}")
    version = _plain(guard.attribute(file, "format_version"))
    if not isinstance(version, int) or version < 1:
        raise CacheError(f"{path}: has format_version {version!a:.80}, wanted {FORMAT_VERSION}")
    if version > FORMAT_VERSION:
        raise CacheError(
            f"{path}: is of format_version {version}, this amber reads up to {FORMAT_VERSION}; "
            "a newer amber-ser reads it"
        )


def _attribute_checksum(source: Source, group: str, attribute: str) -> str | None:
    node = find(source, group)
    value = None if node is None else source.guard.attribute(node, attribute)
    return None if value is None else attribute_digest(_plain(value))


def _plain(value: object) -> Any:
    """An attribute as a plain Python value."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str):
        value.encode()  # h5py lets bytes that are not UTF-8 through as surrogates
    return value


def _listing(lines: list[str]) -> dict[str, str]:
    for line in lines:
        if not line.isprintable():  # it would break up the one line of an error
            raise ValueError(f"its list of checksums has {line!a}")
    return {name: checksum for checksum, name in (line.split(" ", 1) for line in lines)}
