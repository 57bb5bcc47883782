"""Put a cache together from entries that are read block by block, in memory that they don't fill.

HDF5 lays the file out in a sparse file in memory and gives the place of each matrix; everything
goes to the disk by plain writes, since HDF5 crashes the process where one of its own fails. The
beginning of the file is written last and the whole is renamed into its place, so that a cache is
there whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from amber_cache.errors import CacheError
from amber_cache.storage import checks
from amber_cache.storage.schema import DONE, row_crc32
from amber_cache.storage.sparse import SparseFile
from amber_cache.storage.stream import Entry
from amber_cache.storage.tables import CacheContent
from amber_cache.storage.write import LIBVER, content_problems, fill, sync_folder

_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class _Layout:
    """A cache without its vectors, and where in the file each entry's begin and end."""

    file: SparseFile
    places: tuple[tuple[int, int], ...]


def needed_bytes(content: CacheContent, entries: Sequence[Entry]) -> int:
    """The size of the cache's file; errors that are not known yet are not counted."""
    return _layout(content, entries, [_NO_DIGEST] * len(entries)).file.size


def reserve(path: Path, size: int) -> None:
    """Have a file of at least a size whose bytes the disk has really set aside.

    Raises:
        OSError: There is no room.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        allocate(descriptor, size)
    finally:
        os.close(descriptor)


def allocate(descriptor: int, size: int) -> None:
    """Set a file's bytes aside; what stands in it stays."""
    if size <= 0:
        return
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    place = os.fstat(descriptor).st_size  # zeros, where the system can't do better
    while place < size:
        place += os.pwrite(descriptor, bytes(min(1 << 20, size - place)), place)


def assemble(part: Path, target: Path, content: CacheContent, entries: Sequence[Entry]) -> None:
    """Write a whole cache to `part`, and give it its name.

    Args:
        part: A file in the same file system; what it holds does not matter.
        target: The cache; one that stands there is replaced in one step.
        content: Everything but the entries; its embeddings are empty.
        entries: Read once each; every row is held to its checksum.

    Raises:
        CacheError: The content breaks the schema's rules, or a row is not what was computed.
        OSError: The disk is full or not to be written.
    """
    try:
        for problem in content_problems(content, entries):
            raise ValueError(problem)
        layout = _layout(content, entries, [_NO_DIGEST] * len(entries))
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.pwrite(descriptor, bytes(8), 0)  # no former part's beginning
            allocate(descriptor, layout.file.size)
            ids = content.utterances.id
            digests = [
                _write_vectors(descriptor, place, entry, ids)
                for entry, (place, _) in zip(entries, layout.places, strict=True)
            ]
            final = _layout(content, entries, digests)
            _write_rest(descriptor, final, layout)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except ValueError as error:
        raise CacheError(f"{target}: not written: {error}") from error
    part.replace(target)
    sync_folder(target.parent)


def _layout(content: CacheContent, entries: Sequence[Entry], digests: Sequence[str]) -> _Layout:
    memory = SparseFile()
    places: list[tuple[int, int]] = []
    with h5py.File(memory, "w", libver=LIBVER) as file:
        pairs = zip(entries, digests, strict=True)
        fill(file, content, [(entry, _putter(entry, sha256, places)) for entry, sha256 in pairs])
    return _Layout(memory, tuple(places))


def _putter(
    entry: Entry, sha256: str, places: list[tuple[int, int]]
) -> Callable[[h5py.Group], str]:
    def put(group: h5py.Group) -> str:
        dataset = _unwritten(group, (len(entry), entry.width))
        dataset.attrs["sha256"] = sha256
        place = dataset.id.get_offset() or 0  # None for a matrix of no rows
        places.append((place, place + 4 * len(entry) * entry.width))
        return sha256

    return put


def _unwritten(group: h5py.Group, shape: tuple[int, int]) -> h5py.Dataset:
    """A dataset `vectors` in one piece that has its place in the file, and no bytes there yet."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.CONTIGUOUS)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    creation.set_obj_track_times(False)  # the same content gives the same bytes
    space = h5py.h5s.create_simple(shape)
    kind = h5py.h5t.IEEE_F32LE
    return h5py.Dataset(h5py.h5d.create(group.id, b"vectors", kind, space, creation))


def _write_vectors(descriptor: int, place: int, entry: Entry, ids: np.ndarray) -> str:
    """Write an entry's matrix to its place; its SHA-256."""
    sha256 = hashlib.sha256()
    for start, block in entry.blocks():
        data = np.ascontiguousarray(block, dtype="<f4")
        _require_rows(entry, start, data, ids)
        sha256.update(data.data)
        write_at(descriptor, data.data.cast("B"), place + 4 * start * entry.width)
    return sha256.hexdigest()


def _require_rows(entry: Entry, start: int, block: np.ndarray, ids: np.ndarray) -> None:
    stop = start + len(block)
    wrong = row_crc32(block) != entry.crc32[start:stop]
    wrong |= (entry.status[start:stop] == DONE) & ~np.isfinite(block).all(axis=1)
    if wrong.any():
        row = start + int(np.argmax(wrong))
        raise ValueError(
            f"{checks.embedding_path(entry)}/vectors: the row of {ids[row]!r} is not the one that "
            "was computed: the disk gave back something else"
        )


def _write_rest(descriptor: int, final: _Layout, layout: _Layout) -> None:
    """Everything but the vectors, the beginning last."""
    if (final.places, final.file.size) != (layout.places, layout.file.size):
        raise AssertionError("a checksum has moved a dataset")
    os.ftruncate(descriptor, final.file.size)
    for offset, page in final.file.pages():
        end = min(offset + len(page), final.file.size)
        for start, stop in _outside(offset, end, final.places):
            write_at(descriptor, memoryview(page)[start - offset : stop - offset], start)


def _outside(start: int, stop: int, places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The parts of a stretch that belong to none of the places.

    >>> list(_outside(0, 10, [(2, 4), (8, 20)]))
    [(0, 2), (4, 8)]
    """
    for begin, end in sorted(places):
        if start < begin < stop:
            yield start, begin
        if begin < stop:
            start = max(start, end)
    if start < stop:
        yield start, stop


def write_at(descriptor: int, data: memoryview, place: int) -> None:
    """Write all bytes at a place of a file: the system may take fewer at a time."""
    while len(data):
        written = os.pwrite(descriptor, data, place)
        data, place = data[written:], place + written
