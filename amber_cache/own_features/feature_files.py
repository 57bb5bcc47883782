"""Files of features, one function a format: ids, and a matrix with a row for each.

Nothing is ever unpickled. What a header claims is held against the bytes that are there before
memory is asked for, and a cell that is no number is refused with its line.

    .npz      arrays `ids` (or `id`) and `vectors`, or one array of one axis for each id
    .npy      vectors; the ids in NAME.ids.txt, one a line, or NAME.ids.npy
    .csv      a column `id`, all others numbers; an empty cell is not a number (NaN)
    .parquet  a column `id` and columns of numbers, or one column of lists
"""

from __future__ import annotations

import csv
import math
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from amber_cache.corpora.rows import checked_lines, plain_name, refuse_ragged, refuse_twice
from amber_cache.errors import AmberError, CorpusError
from amber_cache.files.bounds import refuse_claim
from amber_cache.files.parquet import column_texts, guarded, read_parquet

#: Ids and a matrix of numbers as they stand in the file; not checked against each other yet.
Table: TypeAlias = tuple[Sequence[str], np.ndarray]

_HEADERS: dict[tuple[int, int], Callable[[Any], Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_ID_NAMES = ("ids", "id")


def read_npz(path: Path) -> Table:
    """Read a NumPy archive of both shapes.

    Raises:
        CorpusError: It is damaged, claims too much, or its arrays are not those that are wanted.
    """
    with _guarded(path, "NumPy archive"), zipfile.ZipFile(path) as archive:
        members = {one.filename.removesuffix(".npy"): one for one in archive.infolist()}
        refuse_claim(path, sum(one.file_size for one in archive.infolist()))
        if len(members) < len(archive.infolist()):
            raise CorpusError(f"{path}: holds an array of the same name twice")

        def array(name: str) -> np.ndarray:
            with archive.open(members[name]) as stream:
                return _read_array(stream, members[name].file_size, place=f"{path}: {name!a}")

        if "vectors" not in members:
            return list(members), _stacked(path, ((name, array(name)) for name in members))
        names = [name for name in _ID_NAMES if name in members]
        if len(names) != 1 or len(members) != 2:
            raise CorpusError(
                f"{path}: holds {', '.join(map(ascii, list(members)[:5]))}; wanted ids and "
                "vectors alone, or one vector for each id under its name"
            )
        return _texts(array(names[0]), place=f"{path}: {names[0]}"), array("vectors")


def read_npy(path: Path) -> Table:
    """Read an array of vectors, and the ids from the file beside it.

    Raises:
        CorpusError: There is no file of ids or there are two, or one of them is not what is wanted.
    """
    beside = [path.with_name(f"{path.stem}.ids{suffix}") for suffix in (".txt", ".npy")]
    there = [one for one in beside if one.is_file()]
    if len(there) != 1:
        state = "there is neither" if not there else "there are both"
        raise CorpusError(
            f"{path}: the ids of its rows stand beside it, in {beside[0].name} (one a line) or "
            f"in {beside[1].name}; {state}"
        )
    return _ids_beside(there[0]), _read_npy(path)


def read_csv(path: Path) -> Table:
    """Read a CSV with a column `id`, all others numbers.

    Raises:
        CorpusError: It is no CSV, has no column `id`, or has a cell that is no number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = checked_lines(path, csv.reader(file, strict=True))
            _, names = next(reader, (1, []))
            header = [plain_name(name) for name in names]
            refuse_twice(path, "line 1", header)
            column = _id_column(path, header, ", parted by commas")
            return _csv_table(path, reader, header, column)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: is no text in UTF-8 ({error.reason})") from None
    except OSError as error:
        raise CorpusError(f"{path}: can't be read: {error.strerror}") from None


def read_parquet_table(path: Path) -> Table:
    """Read a Parquet file with a column `id`, and columns of numbers or one of lists.

    Raises:
        CorpusError: It is damaged, pyarrow is missing, or a column is not what is wanted.
    """
    table = read_parquet(path)
    names = [plain_name(name) for name in table.column_names]
    refuse_twice(path, "its columns", names)
    id_column = _id_column(path, names, "")
    ids = [text.strip() for text in column_texts(path, "id", table.column(id_column))]
    with guarded(path):
        others = [
            (name, table.column(number)) for number, name in enumerate(names) if number != id_column
        ]
        if len(others) == 1 and _is_list(others[0][1].type):
            return ids, _from_lists(path, *others[0])
        columns = [_numbers(path, name, column) for name, column in others]
        return ids, np.stack(columns, axis=1) if columns else np.empty((len(ids), 0))


@contextmanager
def _guarded(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except AmberError:
        raise
    # A damaged file makes zipfile, zlib and NumPy raise BadZipFile, OSError, ValueError, KeyError,
    # SyntaxError, RuntimeError (encrypted), NotImplementedError, MemoryError and more.
    except Exception as error:
        told = isinstance(error, OSError) and error.strerror
        reason = told or " ".join(str(error).split()) or type(error).__name__
        raise CorpusError(f"{path}: is no {what}, or is damaged: {ascii(reason)[1:-1]}") from None


def _read_npy(path: Path) -> np.ndarray:
    with _guarded(path, "NumPy array"), path.open("rb") as stream:
        return _read_array(stream, path.stat().st_size, place=str(path))


def _read_array(stream: Any, size: int, *, place: str) -> np.ndarray:
    """One .npy, whose header is believed only where exactly its bytes follow."""
    read_header = _HEADERS.get(np.lib.format.read_magic(stream))
    if read_header is None:
        raise CorpusError(f"{place}: is an array of a kind that amber does not read")
    shape, by_column, dtype = read_header(stream)
    if dtype.hasobject or dtype.kind not in "fiuUS" or not dtype.itemsize:
        held = "Python objects, which are never unpickled" if dtype.hasobject else str(dtype)
        raise CorpusError(f"{place}: holds {held}; wanted plain numbers or text")
    there, claimed = size - stream.tell(), math.prod(shape) * dtype.itemsize
    if claimed != there or min(shape, default=1) < 0:
        raise CorpusError(
            f"{place}: its header claims the shape {shape} of {dtype}, {claimed} bytes, but "
            f"{there} follow"
        )
    order: Literal["F", "C"] = "F" if by_column else "C"
    return np.ndarray(shape, dtype, buffer=stream.read(claimed), order=order)


def _stacked(path: Path, named: Iterator[tuple[str, np.ndarray]]) -> np.ndarray:
    """The matrix of an archive that holds one vector for each id."""
    vectors: list[np.ndarray] = []
    for name, vector in named:
        if vector.ndim != 1 or vector.dtype.kind in "US":
            pool = "; pool over time first" if vector.ndim == 2 else ""
            raise CorpusError(
                f"{path}: {name!a} has shape {vector.shape} of {vector.dtype}; without arrays "
                f"ids and vectors, each array is the vector of the id that it is named by{pool}"
            )
        if vectors and len(vector) != len(vectors[0]):
            raise CorpusError(
                f"{path}: {name!a} has {len(vector)} features, those before it have "
                f"{len(vectors[0])}; all ids need as many"
            )
        vectors.append(vector)
    return np.stack(vectors) if vectors else np.empty((0, 0))


def _texts(array: np.ndarray, *, place: str) -> list[str]:
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise CorpusError(
            f"{place}: has shape {array.shape} of {array.dtype}; wanted the ids as texts, one axis"
        )
    if array.dtype.kind == "S":
        return [item.decode() for item in array.tolist()]
    return [str(item) for item in array.tolist()]


def _ids_beside(path: Path) -> list[str]:
    if path.suffix == ".npy":
        with _guarded(path, "NumPy array"):
            return _texts(_read_npy(path), place=str(path))
    with _guarded(path, "text in UTF-8"):
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    return [line.strip() for line in (lines[:-1] if lines[-1] == "" else lines)]


def _id_column(path: Path, names: Sequence[str], how: str) -> int:
    if "id" not in names:
        there = ", ".join(names[:5]) + ", ..." * (len(names) > 5)
        raise CorpusError(f"{path}: needs a column id{how}; it has {there or 'none'}")
    return list(names).index("id")


def _csv_table(
    path: Path, reader: Iterator[tuple[int, list[str]]], header: Sequence[str], id_column: int
) -> Table:
    ids: list[str] = []
    rows: list[np.ndarray] = []
    names = [name for column, name in enumerate(header) if column != id_column]
    for line, cells in reader:
        if not any(cells):
            continue
        refuse_ragged(path, line, cells, header)
        ids.append(cells.pop(id_column).strip())
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is told so
            rows.append(np.array(_floats(path, line, names, cells), dtype=np.float32))
    return ids, np.stack(rows) if rows else np.empty((0, len(names)))


def _floats(path: Path, line: int, names: Sequence[str], cells: Sequence[str]) -> list[float]:
    try:
        if "_" in "".join(cells):  # Python would read 1_5 as 15
            raise ValueError
        return [float(cell) if cell else math.nan for cell in cells]
    except ValueError:
        name, cell = next(
            (name, cell) for name, cell in zip(names, cells, strict=True) if not _is_number(cell)
        )
        raise CorpusError(
            f"{path}, line {line}: {name} is {cell[:40]!r}; every column but id must hold numbers"
        ) from None


def _is_number(cell: str) -> bool:
    try:
        float(cell or "0")
    except ValueError:
        return False
    return "_" not in cell


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    listed = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(kind) for is_kind in listed)


def _numbers(path: Path, name: str, column: Any) -> np.ndarray:
    import pyarrow as pa

    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        way = "; lists of features must stand in one column, the only one but id"
        raise CorpusError(
            f"{path}: the column {name!a} holds {'lists' if _is_list(kind) else kind}, wanted "
            f"numbers{way * _is_list(kind)}"
        )
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _from_lists(path: Path, name: str, column: Any) -> np.ndarray:
    """The matrix of a column of lists; a row that is null is not a number throughout."""
    import pyarrow as pa
    import pyarrow.compute as compute

    inner = column.type.value_type
    if not (pa.types.is_integer(inner) or pa.types.is_floating(inner)):
        pool = ": pool over time first" if _is_list(inner) else ""
        raise CorpusError(f"{path}: the column {name!a} holds lists of {inner}{pool}")
    lengths = sorted(set(compute.list_value_length(column).drop_null().to_pylist()))
    if len(lengths) > 1:
        raise CorpusError(
            f"{path}: the lists in the column {name!a} have {lengths[0]} to {lengths[-1]} "
            "features; all ids need as many"
        )
    matrix = np.full((len(column), lengths[0] if lengths else 0), np.nan)
    filled = column.is_valid().to_numpy()
    values = compute.list_flatten(column.drop_null()).cast(pa.float64(), safe=False)
    matrix[filled] = np.asarray(values.to_numpy()).reshape(-1, matrix.shape[1] or 1)
    return matrix
