"""The cache's schema: groups, columns, dtypes, and the checksums over them.

Numbers are stored little-endian in C order, text as variable-length UTF-8. A checksum is the
SHA-256 of a dataset's content: numbers as stored, a bool as one byte, each string ended by a zero
byte. The attribute `checksums` of the root lists the checksum of every dataset ("HEX /votes/label")
and attribute ("HEX /votes/@labels") that was written, since HDF5 itself guards neither the text of
an attribute nor the names.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Shaped, UInt32

FORMAT = "amber-cache"
FORMAT_VERSION = 1

#: Status of a row of an embedding, or of transcripts.
PENDING, DONE, FAILED = 0, 1, 2

#: What an attribute of the cache may be; `libraries` is stored as JSON.
Attribute: TypeAlias = str | int | float | list[str] | dict[str, str]


@dataclass(frozen=True, slots=True)
class Column:
    """One dataset of a group.

    Attributes:
        dtype: A NumPy dtype with its byte order, or "str".
        unknown: What an absent dataset is read as; None where it must be there.
        ndim: 2 for the vectors, else 1; the first axis is the group's rows.
    """

    name: str
    dtype: str
    unknown: str | int | float | None = None
    ndim: int = 1


UTTERANCE_COLUMNS: tuple[Column, ...] = (
    Column("id", "str"),
    Column("speaker", "str", ""),
    Column("gender", "str", ""),
    Column("session", "str", ""),
    Column("dialogue", "str", ""),
    Column("split", "str", ""),
    Column("style", "str", ""),
    Column("consensus", "str", ""),
    Column("text", "str", ""),
    Column("language", "str", ""),
    Column("start_s", "<f4", np.nan),
    Column("duration_s", "<f4", np.nan),
    Column("audio_path", "str", ""),
    Column("audio_sha256", "str", ""),
    Column("audio_bytes", "<i8", -1),
    Column("audio_mtime_ns", "<i8", -1),
)
VOTE_COLUMNS: tuple[Column, ...] = (
    Column("utterance", "<i4"),
    Column("rater", "str", ""),
    Column("kind", "str", "external"),
    Column("label", "<i2"),
    Column("primary", "|b1", True),
)
RATING_COLUMNS: tuple[Column, ...] = (
    Column("utterance", "<i4"),
    Column("rater", "str", ""),
    Column("kind", "str", "external"),
    Column("dimension", "str"),
    Column("value", "<f4"),
)
EMBEDDING_COLUMNS: tuple[Column, ...] = (
    Column("vectors", "<f4", ndim=2),
    Column("status", "|u1"),
    Column("crc32", "<u4", 0),  # where absent, the reader computes it
    Column("error", "str", ""),
)
TRANSCRIPT_COLUMNS: tuple[Column, ...] = (
    Column("text", "str"),
    Column("status", "|u1"),
    Column("error", "str", ""),
)

#: Why a row failed that has no text to be encoded: no failure of an encoder.
NO_TEXT = "empty text"

#: An entry's attributes that its vectors follow from, with the inputs.
ENTRY_SETTINGS: tuple[str, ...] = (
    "encoder",
    "revision",
    "weights_sha256",
    "layer",
    "pooling",
    "precision",
    "sampling_rate_hz",
    "transcriber",
    "transcriber_revision",
    "transcriber_sha256",
    "transcriber_settings_sha256",
)

#: What of its attributes may be passed on: how it was made, and nothing of whom or where.
PUBLIC_ENTRY_ATTRIBUTES = (*ENTRY_SETTINGS, "features_sha256", "resampler", "libraries")

# What may stand in for a dtype in a file that another script wrote: any number for a float, any
# whole number for an integer or a bool as long as its value fits.
_ACCEPTED_KINDS = {"f": "fiu", "i": "iub", "u": "iub", "b": "biu"}


def convert(values: Shaped[np.ndarray, " ..."], column: Column) -> Shaped[np.ndarray, " ..."]:
    """Bring values to a column's dtype, text to an object array of str.

    Raises:
        ValueError: The dtype can't stand for the column's, a value does not fit, or text is not
            UTF-8; the message has no name of the dataset.
    """
    if column.dtype == "str":
        if values.dtype.kind not in "OSU":
            raise ValueError(f"holds {values.dtype}, wanted text")
        return text_array(_texts(values))
    dtype = np.dtype(column.dtype)
    if values.dtype.kind not in _ACCEPTED_KINDS[dtype.kind]:
        raise ValueError(f"holds {values.dtype}, wanted {dtype}")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, found with the others
        converted = np.ascontiguousarray(values, dtype=dtype)
    if dtype.kind != "f" and not np.array_equal(converted, values):
        raise ValueError(f"holds {values[converted != values][0]}, which does not fit in {dtype}")
    return converted


def text_array(items: Sequence[str]) -> Shaped[np.ndarray, " item"]:
    """An object array of str, also of none.

    >>> text_array(["a", ""]).tolist()
    ['a', '']
    """
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _texts(values: Shaped[np.ndarray, " item"]) -> list[str]:
    try:
        return list(map(bytes.decode, values.tolist()))  # as HDF5 gives them
    except TypeError:
        return [_text(item) for item in values]


def _text(item: object) -> str:
    if isinstance(item, bytes):
        return item.decode()
    if not isinstance(item, str):
        raise ValueError(f"holds {item!r}, wanted text")
    return str(item)


def digest(values: Shaped[np.ndarray, " ..."]) -> str:
    r"""SHA-256 of an array's content, in hex: what a dataset's `sha256` attribute holds.

    Only content counts, not shape: ["a"] and "a" have one digest.

    >>> digest(np.array(["a", "é"])) == hashlib.sha256("a\0é\0".encode()).hexdigest()
    True
    >>> digest(np.array([1], ">i2")) == hashlib.sha256(bytes([1, 0])).hexdigest()
    True
    """
    sha256 = hashlib.sha256()
    if values.dtype.kind in "OSU":
        items = values.ravel().tolist()
        if not all(isinstance(item, bytes) for item in items):
            items = [item if isinstance(item, bytes) else str(item).encode() for item in items]
        sha256.update(b"\0".join([*items, b""]))
    else:
        sha256.update(np.asarray(values, values.dtype.newbyteorder("<"), order="C").data)
    return sha256.hexdigest()


def attribute_digest(value: Attribute) -> str:
    """SHA-256, in hex, of an attribute as stored: int64, float64, or text."""
    if isinstance(value, str | list):
        return digest(text_array([value] if isinstance(value, str) else value))
    return digest(np.asarray(value))


def data_hash(*arrays: Shaped[np.ndarray, " ..."]) -> str:
    """SHA-256, in hex, of the arrays that a run reads, in the order given.

    The order is ids, then the votes' utterance, label and primary, then each embedding's vectors
    by modality. Before each array's digest goes its kind and shape ("f 2 3", "text 4"), so that
    moving a value from one array to the next changes the hash; byte order and memory layout do not.

    >>> ids, votes = np.array(["u1", "u2"]), np.array([0, 1], np.int32)
    >>> data_hash(ids, votes) == data_hash(ids.astype(object), votes.astype(">i4"))
    True
    >>> data_hash(ids, votes) == data_hash(votes, ids)
    False
    """
    sha256 = hashlib.sha256()
    for array in arrays:
        kind = "text" if array.dtype.kind in "OSU" else f"{array.dtype.kind}{array.itemsize}"
        header = " ".join([kind, *map(str, array.shape)])
        sha256.update(f"{header}\n{digest(array)}\n".encode())
    return sha256.hexdigest()


def row_crc32(
    vectors: Float32[np.ndarray, "utterance feature"],
) -> UInt32[np.ndarray, " utterance"]:
    """CRC-32 (zlib's) of each row's little-endian float32 bytes.

    >>> int(row_crc32(np.zeros((1, 1), np.float32))[0]) == zlib.crc32(bytes(4))
    True
    """
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    return np.fromiter((zlib.crc32(row.data) for row in rows), dtype="<u4", count=len(rows))


def amber_version() -> str:
    """Version of the installed package; "unknown" where it runs from a bare folder."""
    try:
        return metadata.version("amber-ser")
    except metadata.PackageNotFoundError:
        return "unknown"
