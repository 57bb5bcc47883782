"""Write a cache: built in memory, checked, and put in its place whole or not at all.

HDF5 crashes the process at exit when a disk fills under an open file. So the file is built with
the core driver, which never touches the disk, and its image is written as plain bytes. The same
content with the same `created_utc` gives the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np
from jaxtyping import Shaped

from amber_cache.errors import CacheError
from amber_cache.storage import checks
from amber_cache.storage.schema import (
    EMBEDDING_COLUMNS,
    FORMAT,
    FORMAT_VERSION,
    RATING_COLUMNS,
    TRANSCRIPT_COLUMNS,
    UTTERANCE_COLUMNS,
    VOTE_COLUMNS,
    Attribute,
    Column,
    amber_version,
    attribute_digest,
    convert,
    digest,
    text_array,
)
from amber_cache.storage.stream import Entry
from amber_cache.storage.tables import CacheContent, Embedding

# HDF5 1.10's format: its metadata carries checksums of its own, which older formats lack.
LIBVER = ("v110", "v110")
_GROWTH_BYTES = 1 << 22

#: What most files are that are written whole, in messages; --cache names another place for it.
CACHE = "the cache"

#: An entry, and what puts its vectors' dataset into the entry's group and gives the checksum.
FurtherEntry: TypeAlias = tuple[Entry, Callable[[h5py.Group], str]]


def write_cache(path: str | Path, content: CacheContent) -> None:
    """Write a whole cache; a file that stands there is replaced in one step, or left as it is.

    Needs memory for about twice the file beside the content.

    Raises:
        CacheError: The content breaks the schema's rules, or the disk is full or not writable.
    """
    try:
        for problem in content_problems(content):
            raise ValueError(problem)
        image = cache_image(content)
    except ValueError as error:
        raise CacheError(f"{path}: not written: {error}") from error
    write_whole(path, image, what=CACHE)


def cache_image(content: CacheContent) -> bytes:
    """The bytes of the cache's file.

    Raises:
        ValueError: A column has a wrong length, a value that does not fit, or text that HDF5
            can't hold (a zero byte, a lone surrogate).
    """
    name = f"amber-cache-{secrets.token_hex(8)}"  # HDF5 refuses a name that it has open elsewhere
    with h5py.File(
        name, "w", driver="core", backing_store=False, block_size=_GROWTH_BYTES, libver=LIBVER
    ) as file:
        fill(file, content)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def write_whole(path: str | Path, data: bytes, *, what: str = "the file") -> None:
    """Write a file through a temporary one beside it, synced, so that no half of it ever stands.

    The folder is made if it is missing; a symbolic link is followed, not replaced.

    Args:
        path: Where it goes.
        data: All of it.
        what: What it is, for the message.

    Raises:
        CacheError: The disk is full or the place not writable; nothing has changed then.
    """
    target = Path(os.path.realpath(path))
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    made = [folder for folder in target.parents if not folder.exists()]  # the innermost first
    try:
        if target.is_dir():
            raise IsADirectoryError("it is a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise CacheError(disk_trouble(path, len(data), error, what=what)) from error
    finally:
        for tidy in (partial.unlink, *(folder.rmdir for folder in made)):
            with contextlib.suppress(OSError):  # not there, or it holds the file
                tidy()


def fill(file: h5py.File, content: CacheContent, further: Sequence[FurtherEntry] = ()) -> None:
    """Write a content, and entries that see to their vectors themselves, to an open HDF5 file.

    Raises:
        ValueError: As `cache_image`.
    """
    checksums: list[str] = []
    root = {
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        **content.attrs,
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "corpus": content.corpus,
        "protocol": content.protocol,
        "amber_version": amber_version(),
    }
    _write_attributes(file, root, checksums)
    group = file.create_group("utterances")
    _write_columns(group, content.utterances, UTTERANCE_COLUMNS, checksums)
    group = file.create_group("votes")
    _write_attributes(group, {"labels": list(content.votes.labels)}, checksums)
    _write_columns(group, content.votes, VOTE_COLUMNS, checksums)
    if content.ratings is not None:
        _write_columns(file.create_group("ratings"), content.ratings, RATING_COLUMNS, checksums)
    length = len(content.utterances)
    for one in content.transcripts:
        group = file.create_group(checks.transcripts_path(one.name))
        _write_attributes(group, one.attrs, checksums)
        _write_columns(group, one, TRANSCRIPT_COLUMNS, checksums, length=length)
    for embedding in content.embeddings:
        group = file.create_group(checks.embedding_path(embedding))
        _write_attributes(group, embedding.attrs, checksums)
        _write_columns(group, embedding, EMBEDDING_COLUMNS, checksums, length=length)
    for entry, put_vectors in further:
        group = file.create_group(checks.embedding_path(entry))
        _write_attributes(group, entry.attrs, checksums)
        checksums.append(f"{put_vectors(group)} {group.name}/vectors")
        _write_columns(group, entry, EMBEDDING_COLUMNS[1:], checksums, length=length)
    file.attrs["checksums"] = checksums


def _write_columns(
    group: h5py.Group,
    table: object,
    columns: tuple[Column, ...],
    checksums: list[str],
    *,
    length: int | None = None,
) -> None:
    for column in columns:
        path = f"{group.name}/{column.name}"
        values: np.ndarray = getattr(table, column.name)
        length = len(values) if length is None else length
        if values.ndim != column.ndim or len(values) != length:
            raise ValueError(f"{path}: has shape {values.shape}, wanted {length} rows")
        try:
            stored = convert(values, column)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        is_text = column.dtype == "str"
        dataset = group.create_dataset(
            column.name,
            data=_encoded(path, stored) if is_text else stored,
            dtype=h5py.string_dtype() if is_text else column.dtype,
        )
        dataset.attrs["sha256"] = digest(stored)
        checksums.append(f"{dataset.attrs['sha256']} {path}")


def _encoded(path: str, texts: Shaped[np.ndarray, " row"]) -> Shaped[np.ndarray, " row"]:
    encoded = np.empty(len(texts), dtype=object)
    for row, text in enumerate(texts):
        try:
            encoded[row] = text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{path}: row {row}, {text!a}, is not text in UTF-8") from error
        if "\0" in text:
            raise ValueError(f"{path}: row {row}, {text!a}, has a zero byte, which ends text")
    return encoded


def _write_attributes(
    group: h5py.Group, attributes: Mapping[str, Attribute], checksums: list[str]
) -> None:
    for name, value in attributes.items():
        stored = json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
        if not name.isprintable():
            raise ValueError(f"{group.name}, attribute {name!a}: its name is not printable")
        if not isinstance(stored, str | int | float | list):
            raise ValueError(f"{group.name}, attribute {name}: {value!r} is no text or number")
        if isinstance(stored, list):
            text = text_array([str(item) for item in stored])
            group.attrs.create(name, text, dtype=h5py.string_dtype())
        else:
            group.attrs[name] = stored
        checksums.append(f"{attribute_digest(stored)} {group.name.rstrip('/')}/@{name}")


def content_problems(content: CacheContent, further: Sequence[Entry] = ()) -> Iterator[str]:
    """What must not be written: one line each; the vectors of further entries are not read."""
    ids, num_utterances = content.utterances.id, len(content.utterances)
    yield from checks.id_problems(ids)
    yield from checks.order_problems(content.utterances)
    yield from checks.vote_problems(content.votes, num_utterances=num_utterances)
    if content.ratings is not None:
        yield from checks.rating_problems(content.ratings, num_utterances=num_utterances)
    for one in content.transcripts:
        yield from _name_problems("transcripts", one.name)
        if len(one) == num_utterances == len(one.text):
            yield from checks.transcript_problems(one, ids=ids)
    yield from _entry_problems((*content.embeddings, *further))
    for embedding in content.embeddings:
        if len(embedding.vectors) != num_utterances or len(embedding) != num_utterances:
            path = checks.embedding_path(embedding)
            yield f"{path}: has {len(embedding)} rows, wanted {num_utterances}, one an utterance"
        yield from chain(
            checks.embedding_problems(embedding, ids=ids),
            checks.leftover_problems(embedding, ids=ids),
        )


def _entry_problems(entries: Sequence[Embedding | Entry]) -> Iterator[str]:
    if not entries:
        yield "a cache needs at least one embedding"
    for entry in entries:
        yield from _name_problems("embedding", entry.modality, entry.name)
    names = [checks.embedding_path(entry) for entry in entries]
    yield from (f"{name}: stands there twice" for name in names if names.count(name) > 1)


def _name_problems(what: str, *names: str) -> Iterator[str]:
    for name in names:
        if not name.isprintable() or "/" in name or name.strip(".@") != name or not name:
            yield f"{what} {name!a}: a name is printable, without / and . or @ at its ends"


def disk_trouble(
    path: str | Path, size: int, error: OSError, *, kept: str = "", what: str = CACHE
) -> str:
    """A line on a cache, or another file, that could not be written.

    Args:
        path: The file, as the user named it.
        size: Bytes that it needs.
        error: What happened.
        kept: What has been kept; "" where nothing has changed.
        what: What it is; of a cache the line names the option.
    """
    target = Path(os.path.realpath(path))
    folder = next((parent for parent in target.parents if os.path.exists(parent)), Path("/"))
    free = ""
    with contextlib.suppress(OSError):  # a mount that is lost
        free = f", {shutil.disk_usage(folder).free / 1e6:.1f} MB are free there"
    return (
        f"{path}: {what} could not be written: {error.strerror or error}; it needs "
        f"{size / 1e6:.1f} MB{free}. {kept or 'Nothing has changed'}; "
        f"make room or name another place{' with --cache' if what == CACHE else ''}"
    )


def sync_folder(folder: Path) -> None:
    """Have a folder's names outlive a power cut, where the file system can."""
    # So that the new name outlives a power cut. Not every file system lets a folder be synced, and
    # the file is in its place by now, so that an error here says nothing about it.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
