"""Entries whose vectors are read block by block, so that no matrix ever stands in memory whole.

An `Entry` is what an `Embedding` is, but for its vectors: it knows how to read any stretch of them,
from a cache, from the files of a job, or from several of these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt8, UInt32

from amber_cache.errors import CacheError
from amber_cache.storage import checks
from amber_cache.storage.files import Source, find, guarded, read_attributes
from amber_cache.storage.read import read_columns, require_digest, vector_dataset
from amber_cache.storage.schema import (
    DONE,
    EMBEDDING_COLUMNS,
    PENDING,
    Attribute,
    convert,
    row_crc32,
    text_array,
)
from amber_cache.storage.tables import Embedding

_VECTORS, *_OTHERS = EMBEDDING_COLUMNS
_BLOCK_BYTES = 1 << 23


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """An embedding whose vectors are read on demand.

    Attributes:
        width: Features of a vector.
        read: Rows from `start` up to `stop` as float32, NaN where they are not DONE.
    """

    modality: str
    name: str
    width: int
    status: UInt8[np.ndarray, " utterance"]
    crc32: UInt32[np.ndarray, " utterance"]
    error: Shaped[np.ndarray, " utterance"]
    read: Callable[[int, int], np.ndarray]
    attrs: Mapping[str, Attribute] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.status)

    @property
    def key(self) -> tuple[str, str]:
        """Modality and name."""
        return self.modality, self.name

    def blocks(self) -> Iterator[tuple[int, Float32[np.ndarray, "row feature"]]]:
        """All rows in order: where a block starts, and the block."""
        for start, stop in block_bounds(len(self), self.width):
            yield start, self.read(start, stop)


def block_bounds(num_rows: int, width: int) -> Iterator[tuple[int, int]]:
    """First row and end of blocks of some megabytes.

    >>> list(block_bounds(5, 1 << 20))
    [(0, 2), (2, 4), (4, 5)]
    """
    step = max(1, _BLOCK_BYTES // (4 * max(1, width)))
    for start in range(0, num_rows, step):
        yield start, min(start + step, num_rows)


def blank_crc32(width: int) -> int:
    """The CRC-32 of a row that is not DONE: all NaN."""
    return int(row_crc32(np.full((1, width), np.nan, np.float32))[0])


def read_entry(
    source: Source, *, modality: str, name: str, ids: Shaped[np.ndarray, " utterance"]
) -> Entry:
    """An entry of an open cache, every byte of it checked; the cache must stay open to read it.

    Raises:
        CacheError: It is damaged, or a row is not what was computed.
    """
    group = f"/embeddings/{modality}/{name}"
    columns = read_columns(source, group, tuple(_OTHERS), length=len(ids))
    with guarded(source.path, f"{group}/vectors"):
        dataset = vector_dataset(source, f"{group}/vectors", length=len(ids))
        has_crc32 = find(source, f"{group}/crc32") is not None
        entry = Entry(
            modality=modality,
            name=name,
            width=int(dataset.shape[1]),
            status=columns["status"],
            crc32=columns["crc32"] if has_crc32 else np.zeros(len(ids), np.uint32),
            error=columns["error"],
            read=_Reader(source, dataset, columns["status"]),
            attrs=read_attributes(source, group),
        )
        _check_vectors(source, dataset, entry, ids, has_crc32=has_crc32)
    return entry


def moved(entry: Entry, old_rows: Int64[np.ndarray, " utterance"]) -> Entry:
    """An entry on other rows: row i is the former row `old_rows[i]`, PENDING where that is -1.

    Rows that are not DONE have the checksum of a blank row, whatever they had.
    """
    kept = old_rows >= 0
    status = np.full(len(old_rows), PENDING, np.uint8)
    status[kept] = entry.status[old_rows[kept]]
    crc32 = np.full(len(old_rows), blank_crc32(entry.width), np.uint32)
    done = status == DONE
    crc32[done] = entry.crc32[old_rows[done]]
    error = text_array([""] * len(old_rows))
    error[kept] = entry.error[old_rows[kept]]

    def read(start: int, stop: int) -> np.ndarray:
        block = np.full((stop - start, entry.width), np.nan, np.float32)
        here = np.flatnonzero(done[start:stop])
        if len(here):
            block[here] = _rows(entry, old_rows[start:stop][here])
        return block

    return replace(entry, status=status, crc32=crc32, error=error, read=read)


def _rows(entry: Entry, wanted: Int64[np.ndarray, " row"]) -> Float32[np.ndarray, "row feature"]:
    """Some rows; they mostly lie close together."""
    first, end = int(wanted.min()), int(wanted.max()) + 1
    if end - first <= 2 * len(wanted) + 64:
        return np.asarray(entry.read(first, end)[wanted - first])
    return np.concatenate([entry.read(int(row), int(row) + 1) for row in wanted])


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads rows of a cache's dataset."""

    source: Source
    dataset: h5py.Dataset
    status: np.ndarray

    def __call__(self, start: int, stop: int) -> np.ndarray:
        with guarded(self.source.path, str(self.dataset.name)):
            block = convert(self.dataset[start:stop], _VECTORS)
        done = (self.status[start:stop] == DONE)[:, None]
        return np.asarray(np.where(done, block, np.float32(np.nan)))


def _check_vectors(
    source: Source, dataset: Any, entry: Entry, ids: np.ndarray, *, has_crc32: bool
) -> None:
    """Read all vectors once; row checksums that the file lacks are filled in."""
    sha256 = hashlib.sha256()
    problems: list[str] = []
    for start, stop in block_bounds(len(entry), entry.width):
        stored = dataset[start:stop]
        sha256.update(np.asarray(stored, stored.dtype.newbyteorder("<"), order="C").data)
        vectors = convert(stored, _VECTORS)
        if not has_crc32:
            entry.crc32[start:stop] = row_crc32(vectors)
        part = Embedding(
            modality=entry.modality,
            name=entry.name,
            vectors=vectors,
            status=entry.status[start:stop],
            crc32=entry.crc32[start:stop],
            error=entry.error[start:stop],
        )
        problems += checks.embedding_problems(part, ids=ids[start:stop])
    require_digest(source, str(dataset.name), sha256.hexdigest())
    for problem in problems:
        raise CacheError(f"{source.path}: {problem}")
