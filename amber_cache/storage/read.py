"""Read the columns of a cache, each checked against its checksum before it is used.

Only plain datasets of the file itself are read, and only what files/safe_hdf5.py admits.
"""

from __future__ import annotations

from collections.abc import Mapping

import h5py
import numpy as np
from jaxtyping import Shaped, UInt8

from amber_cache.errors import CacheError
from amber_cache.storage.files import (
    Source,
    children,
    find,
    guarded,
    read_attributes,
    stated_checksum,
)
from amber_cache.storage.schema import (
    EMBEDDING_COLUMNS,
    TRANSCRIPT_COLUMNS,
    Column,
    convert,
    digest,
    row_crc32,
)
from amber_cache.storage.tables import Embedding, Transcripts


def read_columns(
    source: Source,
    group: str,
    columns: tuple[Column, ...],
    *,
    length: int | None = None,
    problems: list[str] | None = None,
) -> dict[str, Shaped[np.ndarray, " ..."]]:
    """Read the columns of a group; what is absent and may be is filled with its unknown value.

    Args:
        source: The open file.
        group: Its path, "/votes".
        columns: The first must be there, and gives the length where none is given.
        length: How many rows each column must have.
        problems: Where given, troubles are appended here, a line each, and their columns left out
            of what is returned.

    Raises:
        CacheError: A column is damaged, missing, or of the wrong dtype or length.
    """
    result: dict[str, np.ndarray] = {}
    for column in columns:
        try:
            values = _read_column(source, f"{group}/{column.name}", column, length)
        except CacheError as error:
            if problems is None:
                raise
            problems.append(str(error).removeprefix(f"{source.path}: "))
            continue
        length = len(values) if length is None else length
        result[column.name] = values
    return result


def read_labels(source: Source) -> tuple[str, ...]:
    """The votes' vocabulary.

    Raises:
        CacheError: The attribute is missing or not a list of text.
    """
    labels = read_attributes(source, "/votes").get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise CacheError(f"{source.path}: /votes, attribute labels: {labels!r}, wanted the labels")
    return tuple(labels)


def assemble_embedding(
    source: Source, *, modality: str, name: str, columns: Mapping[str, Shaped[np.ndarray, " ..."]]
) -> Embedding:
    """An embedding from its columns; row checksums that the file lacks are computed."""
    group = f"/embeddings/{modality}/{name}"
    has_crc32 = find(source, f"{group}/crc32") is not None
    return Embedding(
        modality=modality,
        name=name,
        vectors=columns["vectors"],
        status=columns["status"],
        crc32=columns["crc32"] if has_crc32 else row_crc32(columns["vectors"]),
        error=columns["error"],
        attrs=read_attributes(source, group),
    )


def read_status(
    source: Source, *, modality: str, name: str, length: int
) -> tuple[UInt8[np.ndarray, " utterance"], int]:
    """An embedding's status by row, and its number of features; the vectors are not read.

    Raises:
        CacheError: Either is missing, or the status is damaged.
    """
    group = f"/embeddings/{modality}/{name}"
    vectors, status = EMBEDDING_COLUMNS[:2]
    values = read_columns(source, group, (status,), length=length)["status"]
    with guarded(source.path, f"{group}/vectors"):
        dataset = find(source, f"{group}/vectors")
        if dataset is None:
            raise CacheError(f"{source.path}: {group}/vectors: is missing")
        _require_plain(source, f"{group}/vectors", dataset, vectors)
        return values, int(dataset.shape[1])


def embedding_names(source: Source) -> dict[str, tuple[str, ...]]:
    """Modality -> names of its embeddings; audio and text first, then by name."""
    found: dict[str, tuple[str, ...]] = {}
    with guarded(source.path, "/embeddings"):
        for modality in children(source, "/embeddings"):
            group = f"/embeddings/{modality}"
            required = [column.name for column in EMBEDDING_COLUMNS if column.unknown is None]
            names = tuple(
                name
                for name in children(source, group)
                if any(find(source, f"{group}/{name}/{column}") is not None for column in required)
            )
            if names:
                found[modality] = names
    order = {"audio": 0, "text": 1}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], 2), item[0])))


def transcript_names(source: Source) -> tuple[str, ...]:
    """The models whose transcripts the file holds, by name.

    Raises:
        CacheError: What stands there is no group.
    """
    with guarded(source.path, "/transcripts"):
        if isinstance(find(source, "/transcripts"), h5py.Dataset):
            raise CacheError(f"{source.path}: /transcripts: is no group")
        return children(source, "/transcripts")


def read_transcripts(
    source: Source, name: str, *, length: int | None, problems: list[str] | None = None
) -> Transcripts | None:
    """One model's transcripts; None where there are problems, and a list to take them.

    Raises:
        CacheError: A column is damaged, missing, or of the wrong dtype or length.
    """
    group = f"/transcripts/{name}"
    columns = read_columns(source, group, TRANSCRIPT_COLUMNS, length=length, problems=problems)
    if len(columns) < len(TRANSCRIPT_COLUMNS):
        return None
    return Transcripts(name=name, **columns, attrs=read_attributes(source, group))


def vector_dataset(source: Source, path: str, *, length: int) -> h5py.Dataset:
    """An entry's vectors, not read yet; their checksum is left to whoever reads them.

    Raises:
        CacheError: They are missing, lie elsewhere, or are of another shape or kind.
    """
    dataset, column = find(source, path), EMBEDDING_COLUMNS[0]
    if dataset is None:
        raise CacheError(f"{source.path}: {path}: is missing")
    _require_plain(source, path, dataset, column)
    if len(dataset) != length:
        raise CacheError(f"{source.path}: {path}: has {len(dataset)} rows, wanted {length}")
    try:
        convert(np.empty(0, dataset.dtype), column)
    except ValueError as error:
        raise CacheError(f"{source.path}: {path}: {error}") from error
    return dataset


def require_digest(source: Source, path: str, found: str) -> None:
    """Raise unless a dataset's content has the checksum that the file states.

    Raises:
        CacheError: As said; a dataset without one (another script's) passes.
    """
    stated = stated_checksum(source, path)
    wanted = {stated, source.checksums.get(path, stated)}
    if wanted == {None}:
        return  # `verify` names it as unprotected
    if wanted != {found}:
        raise CacheError(
            f"{source.path}: {path}: is damaged: its checksum is {found}, "
            f"wanted {' and '.join(sorted(map(str, wanted)))}"
        )


def _read_column(
    source: Source, path: str, column: Column, length: int | None
) -> Shaped[np.ndarray, " ..."]:
    with guarded(source.path, path):
        dataset = find(source, path)
        if dataset is None and column.unknown is not None and path not in source.checksums:
            dtype = object if column.dtype == "str" else column.dtype
            return np.full(length or 0, column.unknown, dtype=dtype)
        if dataset is None:
            raise CacheError(f"{source.path}: {path}: is missing")
        _require_plain(source, path, dataset, column)
        if length is not None and len(dataset) != length:
            raise CacheError(f"{source.path}: {path}: has {len(dataset)} rows, wanted {length}")
        values = dataset[()]
        require_digest(source, path, digest(values))
        try:
            return convert(values, column)
        except ValueError as error:  # UnicodeDecodeError is one
            raise CacheError(f"{source.path}: {path}: {error}") from error


def _require_plain(source: Source, path: str, dataset: object, column: Column) -> None:
    """Raise unless it is a dataset in this very file, of as many dimensions as it should have."""
    if not isinstance(dataset, h5py.Dataset):
        raise CacheError(f"{source.path}: {path}: is no dataset")
    with guarded(source.path, path):
        source.guard.refuse_elsewhere(dataset)
        shape = dataset.shape
        if shape is None or len(shape) != column.ndim:
            raise CacheError(f"{source.path}: {path}: has shape {shape}, wanted {column.ndim} axes")
        source.guard.admit(path, dataset)
