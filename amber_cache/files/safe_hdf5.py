"""HDF5 that somebody else may have written: what a file asks for is bounded before it is read.

A file of a kilobyte can claim terabytes, inflate without end, name one long text a million times,
or lead to other files. `Guard` admits a dataset or an attribute once it is known what reading it
takes: at most 64 times the file's size and 64 MB, for all of the file's datasets together. Numbers
and text alone are read; the only filters are gzip, shuffle and fletcher32.

Text of variable length is stored as 16 bytes an item: its length (4), the address of the heap that
holds it (8), and its number there (4). The lengths are read as plain bytes and summed first.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from amber_cache.files.safe_files import require_regular

#: Datasets may claim so many times the file's size (they may be compressed), and so much besides.
MOST_TIMES, MOST_BESIDES_BYTES = 64, 64_000_000

#: Parts that a dataset may be cut into: each costs memory when it is looked for.
MOST_CHUNKS = 200_000

#: What all texts of an attribute may take.
MOST_ATTRIBUTE_BYTES = 1 << 28

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAP = b"GCOL\x01\0\0\0"
_TEXT_ITEM_BYTES, _FLETCHER_BYTES = 16, 4
_SCAN_BYTES = 1 << 23
_KINDS = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM)
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


class RefusedError(ValueError):
    """What a file asks for is not given; the message is one line without the file's name."""


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading, without a lock.

    Raises:
        RefusedError: It does not begin as HDF5 does, or its addresses are of an odd size.
        Exception: Whatever h5py throws on a damaged file.
    """
    if require_regular(path) < len(SIGNATURE) or _beginning(path) != SIGNATURE:
        raise RefusedError("is not an HDF5 file, or its beginning is damaged")
    file = h5py.File(path, "r", locking=False)
    try:
        if file.id.get_create_plist().get_sizes() != (8, 8):
            raise RefusedError("has addresses that are not of 8 bytes")
    except BaseException:
        file.close()
        raise
    return file


def hard_linked(file: h5py.File, path: str) -> h5py.Group | h5py.Dataset | None:
    """What stands at a path of the file itself; None where nothing does.

    Raises:
        RefusedError: A part of the path is a link to somewhere else, which is not followed.
    """
    node = file
    for part in path.strip("/").split("/") if path.strip("/") else ():
        links = node.id.links if isinstance(node, h5py.Group) else None
        if links is None or not links.exists(part.encode()):
            return None
        if links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
            raise RefusedError("is a link, which is not followed")
        node = node[part]
    return node


class Guard:
    """Admits what an open file may have read of it; every refusal is a `RefusedError`.

    Args:
        file: Opened by `open_hdf5`.
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._descriptor = int(file.id.get_vfd_handle())
        self._size = os.fstat(self._descriptor).st_size
        self._names: dict[int, str] = {}
        self._claimed = 0
        self._heap: int | None = None

    def read(self, path: str) -> Any:
        """All values of a dataset, as h5py gives them.

        Raises:
            RefusedError: There is none at this path, or as `admit`.
        """
        dataset = hard_linked(self._file, path)
        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
            raise RefusedError(f"has no dataset {path}")
        self.admit(path, dataset)
        return dataset[()]

    def admit(self, path: str, dataset: h5py.Dataset) -> None:
        """Let a dataset be read whole.

        Args:
            path: Its name; one dataset under two names is refused.

        Raises:
            RefusedError: It lies in another file, is no numbers or text, has another filter, or
                claims more than the file can hold.
        """
        self.refuse_elsewhere(dataset)
        kind = dataset.id.get_type()
        if kind.get_class() not in _KINDS:
            raise RefusedError(f"holds {str(dataset.dtype)[:80]}, wanted numbers or text")
        self._admit_size(path, dataset, kind.get_size())
        chunks = self._admitted_chunks(dataset)
        if _is_variable(kind):
            self._admit_texts(dataset, chunks)

    @staticmethod
    def refuse_elsewhere(dataset: h5py.Dataset) -> None:
        """Raise RefusedError where a dataset's values lie in another file, or in other datasets."""
        if dataset.external or dataset.is_virtual:
            raise RefusedError("lies in another file, which is not read")

    def attribute(self, node: h5py.Group | h5py.Dataset, name: str) -> Any:
        """An attribute's value, as h5py gives it; None where there is none.

        Raises:
            RefusedError: It is no number or text, or its texts claim more than the file can hold.
        """
        if name not in node.attrs:
            return None
        stored = node.attrs.get_id(name)
        kind = stored.get_type()
        if kind.get_class() not in _KINDS:
            raise RefusedError(f"attribute {name[:80]!a} is no number or text")
        number = int(stored.get_space().get_simple_extent_npoints())
        if number * kind.get_size() > self._size:
            raise RefusedError(f"attribute {name[:80]!a} claims more than the file can hold")
        if _is_variable(kind):
            self._admit_heap(number)
        return node.attrs[name]

    def _admit_size(self, path: str, dataset: h5py.Dataset, item_bytes: int) -> None:
        claimed = math.prod(dataset.shape or ()) * item_bytes
        address = h5py.h5o.get_info(dataset.id).addr
        if address in self._names:
            if self._names[address] != path:
                raise RefusedError(f"is {self._names[address]} under another name")
            return  # it is read once more, after what it was read for is forgotten
        if self._claimed + claimed > self._most_bytes:
            raise RefusedError(
                f"claims {claimed} bytes, beside {self._claimed} of others: more than the file can "
                "hold"
            )
        self._names[address] = path
        self._claimed += claimed

    @property
    def _most_bytes(self) -> int:
        return MOST_TIMES * self._size + MOST_BESIDES_BYTES

    def _admitted_chunks(self, dataset: h5py.Dataset) -> list[h5py.h5d.StoreInfo]:
        """The stored parts of a dataset, each known not to inflate; none if it is whole."""
        if dataset.chunks is None:
            return []
        chunk_bytes = math.prod(dataset.chunks) * dataset.id.get_type().get_size()
        number = math.prod(
            -(-size // one) for size, one in zip(dataset.shape, dataset.chunks, strict=True)
        )
        stored: list[h5py.h5d.StoreInfo] = []
        if number <= MOST_CHUNKS:
            dataset.id.chunk_iter(stored.append)
        if number > MOST_CHUNKS or len(stored) > number:
            raise RefusedError(f"is cut into {max(number, len(stored))} parts, more than it needs")
        if max(1, len(stored)) * chunk_bytes > self._most_bytes:
            raise RefusedError(f"has parts of {chunk_bytes} bytes, more than the file can hold")
        filters = _filters(dataset)
        for one in stored if filters else ():
            self._plain_part(one, filters, chunk_bytes)
        return stored

    def _plain_part(
        self, part: h5py.h5d.StoreInfo, filters: list[int], chunk_bytes: int, *, item_bytes: int = 1
    ) -> bytes:
        """A stored part's bytes with its filters taken off."""
        data = self._read(part.byte_offset, part.size)
        for place, one in reversed(list(enumerate(filters))):
            if part.filter_mask & (1 << place):
                continue
            if one == h5py.h5z.FILTER_DEFLATE:
                data = _inflated(data, chunk_bytes + _FLETCHER_BYTES)
            elif one == h5py.h5z.FILTER_FLETCHER32:
                data = data[:-_FLETCHER_BYTES]
            elif item_bytes > 1:
                data = np.frombuffer(data, np.uint8).reshape(item_bytes, -1).T.tobytes()
        return data

    def _admit_texts(self, dataset: h5py.Dataset, chunks: list[h5py.h5d.StoreInfo]) -> None:
        plist = dataset.id.get_create_plist()
        if plist.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED:
            raise RefusedError("has a text of its own in place of what is not there")
        if plist.get_layout() == h5py.h5d.COMPACT:
            self._admit_heap(dataset.size)
            return
        length = sum(int(_lengths(data).sum()) for data in self._descriptors(dataset, chunks))
        if length > self._size:
            raise RefusedError(f"claims {length} bytes of text, more than the file can hold")

    def _descriptors(
        self, dataset: h5py.Dataset, chunks: list[h5py.h5d.StoreInfo]
    ) -> Iterator[bytes]:
        """The bytes that say of each text how long it is and where."""
        if dataset.chunks is None:
            offset = dataset.id.get_offset()
            if offset is not None:
                yield self._read(offset, dataset.size * _TEXT_ITEM_BYTES)
            return
        chunk_bytes = math.prod(dataset.chunks) * _TEXT_ITEM_BYTES
        filters = _filters(dataset)
        for one in chunks:
            yield self._plain_part(one, filters, chunk_bytes, item_bytes=_TEXT_ITEM_BYTES)

    def _admit_heap(self, number: int) -> None:
        """Let so many texts be read whose lengths can't be known: none is longer than its heap."""
        if number * self._size <= MOST_ATTRIBUTE_BYTES:
            return
        if self._heap is None:
            self._heap = self._largest_heap()
        if number * self._heap > MOST_ATTRIBUTE_BYTES:
            raise RefusedError(f"claims {number} texts of up to {self._heap} bytes")

    def _largest_heap(self) -> int:
        """The greatest size of any heap of texts, wherever in the file it stands."""
        largest, place = 0, 0
        while place < self._size:
            block = os.pread(self._descriptor, _SCAN_BYTES + 2 * len(_HEAP), place)
            found = block.find(_HEAP)
            while found >= 0:
                size = block[found + len(_HEAP) : found + 2 * len(_HEAP)]
                largest = max(largest, min(int.from_bytes(size, "little"), self._size))
                found = block.find(_HEAP, found + 1)
            place += _SCAN_BYTES
        return largest

    def _read(self, offset: int, size: int) -> bytes:
        data = os.pread(self._descriptor, min(size, self._size), offset)
        if len(data) != size:
            raise RefusedError("ends behind the end of the file")
        return data


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(SIGNATURE))


def _filters(dataset: h5py.Dataset) -> list[int]:
    """The numbers of a dataset's filters, in the order that they were applied."""
    plist = dataset.id.get_create_plist()
    found = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
    if len(set(found)) < len(found) or set(found) - _FILTERS:
        raise RefusedError(
            f"is stored with the filters {found}; gzip, shuffle, fletcher32 are read"
        )
    return found


def _inflated(data: bytes, most_bytes: int) -> bytes:
    try:
        inflated = zlib.decompressobj().decompress(data, most_bytes + 1)
    except zlib.error as error:
        raise RefusedError(f"can't be inflated: {error}") from None
    if len(inflated) > most_bytes:
        raise RefusedError(f"inflates to more than the {most_bytes} bytes of a part")
    return inflated


def _is_variable(kind: h5py.h5t.TypeID) -> bool:
    return isinstance(kind, h5py.h5t.TypeStringID) and bool(kind.is_variable_str())


def _lengths(descriptors: bytes) -> np.ndarray:
    """The lengths in descriptors of text."""
    whole = len(descriptors) // _TEXT_ITEM_BYTES * _TEXT_ITEM_BYTES
    words = np.frombuffer(descriptors[:whole], "<u4").reshape(-1, _TEXT_ITEM_BYTES // 4)
    return words[:, 0].astype(np.int64)
