"""Features that somebody else computed: read from a file, checked, and joined by id."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from amber_cache.corpora.base import NUM_TOLD
from amber_cache.errors import CorpusError
from amber_cache.own_features.feature_files import (
    Table,
    read_csv,
    read_npy,
    read_npz,
    read_parquet_table,
)
from amber_cache.store import DONE, FAILED, Embedding, UtteranceTable, make_embedding

#: How a file of features is read, by the end of its name.
READERS: dict[str, Callable[[Path], Table]] = {
    ".npz": read_npz,
    ".npy": read_npy,
    ".csv": read_csv,
    ".parquet": read_parquet_table,
}


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What a file holds.

    Attributes:
        path: The file.
        row_of: Id -> row of `vectors`.
        vectors: As read; a row may hold values that are not finite.
        sha256: Of the file's bytes, in hex.
    """

    path: Path
    row_of: Mapping[str, int]
    vectors: Float32[np.ndarray, "row feature"]
    sha256: str


def read_features(path: Path) -> Features:
    """Read a file of features.

    Raises:
        CorpusError: It is missing, of another kind, damaged, claims more than it can hold, has no
            row, an id twice or none, or its vectors are not a matrix of numbers.
    """
    if not path.is_file():
        what = "is no regular file" if path.exists() else "no such file"
        raise CorpusError(f"{path}: {what}; wanted features as {', '.join(READERS)}")
    if path.suffix.lower() not in READERS:
        raise CorpusError(f"{path}: must be one of {', '.join(READERS)}")
    ids, vectors = READERS[path.suffix.lower()](path)
    _check_shape(path, ids, vectors)
    _check_ids(path, ids)
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is told so
        narrowed = np.ascontiguousarray(vectors, dtype=np.float32)
    row_of = {identifier: row for row, identifier in enumerate(ids)}
    return Features(path, row_of, narrowed, _sha256(path))


def refuse_strangers(features: Features, ids: Sequence[str]) -> None:
    """Refuse a file none of whose ids is an utterance's: it belongs to something else.

    Raises:
        CorpusError: As said, with ids of both.
    """
    if not any(one in features.row_of for one in ids):
        raise CorpusError(
            f"{features.path}: none of its {len(features.row_of)} ids is an utterance's: it has "
            f"{some_ids(tuple(features.row_of))}, and the corpus {some_ids(ids)}; they are "
            "joined by id"
        )


def joined(features: Features, table: UtteranceTable, *, modality: str, encoder: str) -> Embedding:
    """The features on the corpus's rows; a row that is missing or not finite has failed."""
    num, dimension = len(table), features.vectors.shape[1]
    vectors = np.full((num, dimension), np.nan, dtype=np.float32)
    status = np.full(num, FAILED, dtype=np.uint8)
    error = [f"no row in {features.path.name}"] * num
    for row, identifier in enumerate(table.id):
        place = features.row_of.get(identifier)
        if place is None:
            continue
        vector = features.vectors[place]
        num_odd = int(np.count_nonzero(~np.isfinite(vector)))
        if num_odd:
            error[row] = (
                f"{num_odd} of its {dimension} features in {features.path.name} are not finite"
            )
        else:
            vectors[row], status[row], error[row] = vector, DONE, ""
    attrs = {
        "encoder": encoder,
        "revision": "",
        "weights_sha256": "",
        "features_sha256": features.sha256,
    }
    name = encoder.replace("/", "--")
    return make_embedding(
        vectors, modality=modality, name=name, status=status, error=error, attrs=attrs
    )


def some_ids(ids: Sequence[str]) -> str:
    """The first few ids, as "'u1', 'u2', ..."."""
    return ", ".join([*map(repr, ids[:NUM_TOLD]), *["..."] * (len(ids) > NUM_TOLD)])


def _check_shape(path: Path, ids: Sequence[str], vectors: np.ndarray) -> None:
    if vectors.dtype.kind not in "fiu":
        raise CorpusError(f"{path}: its vectors are {vectors.dtype}, wanted numbers")
    if vectors.ndim != 2:
        pool = "; pool over time first, to one vector an id" if vectors.ndim == 3 else ""
        raise CorpusError(
            f"{path}: its vectors have shape {vectors.shape}, wanted (ids, features){pool}"
        )
    if len(ids) != len(vectors):
        raise CorpusError(f"{path}: has {len(ids)} ids for {len(vectors)} vectors")
    if not vectors.size:
        what = "features" if len(vectors) else "rows"
        raise CorpusError(f"{path}: has no {what}")


def _check_ids(path: Path, ids: Sequence[str]) -> None:
    first_row: dict[str, int] = {}
    for row, identifier in enumerate(ids, start=1):
        if not identifier:
            raise CorpusError(f"{path}, row {row}: the id is empty; every vector needs one")
        if identifier in first_row:
            raise CorpusError(
                f"{path}, row {row}: the id {identifier[:80]!r} stands in row "
                f"{first_row[identifier]} already; ids must be unique"
            )
        first_row[identifier] = row


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
