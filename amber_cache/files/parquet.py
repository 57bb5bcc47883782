"""Parquet files as pyarrow tables and as rows of text; pyarrow is imported when one is read.

A file is taken as untrusted: what it claims to hold is held against its size, and whatever pyarrow
throws on a damaged one comes out as an error of one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amber_cache.errors import AmberError, CorpusError
from amber_cache.files.bounds import refuse_claim

# What a value takes at least once it is read.
_VALUE_BYTES = 8


def read_parquet(path: Path) -> Any:
    """The file as a `pyarrow.Table`; columns of text are dictionaries of their different values.

    Raises:
        CorpusError: pyarrow is missing, or the file can't be read or claims too much.
    """
    try:
        import pyarrow.parquet as reader
    except ImportError:
        raise CorpusError(
            f"{path}: Parquet is read by pyarrow, which is missing: "
            'pip install "amber-ser[parquet]"'
        ) from None
    with guarded(path), path.open("rb") as file:
        described = reader.ParquetFile(file)
        refuse_claim(path, _VALUE_BYTES * _num_values(described.metadata))
        texts = [one.name for one in described.schema_arrow if _is_text(one.type)]
        file.seek(0)
        table = reader.ParquetFile(file, read_dictionary=texts).read()
        refuse_claim(path, sum(_text_bytes(column) for column in table.columns))
        return table


def column_texts(path: Path, name: str, column: Any) -> list[str]:
    """A column's values as a CSV would have them; "" for null, durations as "1500000000ns".

    Raises:
        CorpusError: The column holds neither text nor numbers, truth values or durations.
    """
    import pyarrow as pa

    with guarded(path):
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        kind = column.type
        if pa.types.is_null(kind):
            return [""] * len(column)
        if pa.types.is_duration(kind):
            counts = column.cast(pa.duration("ns")).cast(pa.int64()).to_pylist()
            return ["" if one is None else f"{one}ns" for one in counts]
        plain = (_is_text, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
        if not any(is_kind(kind) for is_kind in (*plain, pa.types.is_decimal)):
            raise CorpusError(
                f"{path}: the column {name!r} holds {kind}; it must hold text, numbers, or true "
                "and false"
            )
        return ["" if one is None else str(one) for one in column.to_pylist()]


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Turn whatever pyarrow throws on a damaged file into a CorpusError of one line."""
    try:
        yield
    except AmberError:
        raise
    # pyarrow's own errors, and UnicodeDecodeError, MemoryError, OverflowError and more besides.
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise CorpusError(f"{path}: can't be read: {error.strerror}") from None
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CorpusError(f"{path}: is no Parquet file, or is damaged: {reason}") from None


def _num_values(metadata: Any) -> int:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    return sum(column.num_values for column in columns)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _text_bytes(column: Any) -> int:
    """How many bytes a column of dictionaries takes when each row gets a text of its own."""
    import pyarrow as pa
    import pyarrow.compute as compute

    if not (pa.types.is_dictionary(column.type) and _is_text(column.type.value_type)):
        return 0
    lengths = [compute.binary_length(one.dictionary).take(one.indices) for one in column.chunks]
    return sum(compute.sum(one).as_py() or 0 for one in lengths)
