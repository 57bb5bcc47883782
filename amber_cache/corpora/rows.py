"""Rows of a table in a file, every cell as text: CSV, JSON lines or Parquet.

A column's name is stripped and lower-cased unless the reader says otherwise, a cell is stripped,
and "" stands for what is empty or null. The three formats give the same rows for the same content.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from amber_cache.errors import CorpusError
from amber_cache.files.parquet import column_texts, read_parquet

#: From a column's name as it stands in the file to the one that is used.
Naming: TypeAlias = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: where it stands, and its cells by column; "" where it has none.

    Attributes:
        line: The line it ends in; in a Parquet file, its number among the rows.
        unit: "line" or "row".
    """

    line: int
    cells: Mapping[str, str]
    unit: str = "line"

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    @property
    def where(self) -> str:
        """Its place in the file, "line 3"."""
        return f"{self.unit} {self.line}"


def plain_name(name: str) -> str:
    """A column's name without spaces around it, in lower case."""
    return name.strip().lower()


def read_table(path: Path, known: Sequence[str]) -> tuple[list[str], list[Row], list[str]]:
    """The table's known columns, its rows, and a warning that names the unknown columns.

    Raises:
        CorpusError: The file is missing, unreadable, of another kind, or holds odd text.
    """
    rows = read_rows(path, known=known)
    columns = list(dict.fromkeys(name for row in rows for name in row.cells))
    unknown = [name for name in columns if name not in known]
    warnings = [f"{path}: unknown columns are left out: {listed(unknown)}"] if unknown else []
    return [name for name in columns if name in known], rows, warnings


def _usual_names(folder: Path) -> Iterator[Path]:
    """Where a manifest stands in its folder, if it bears the usual name."""
    return (folder / f"manifest{suffix}" for suffix in (".csv", ".jsonl", ".parquet"))


def read_rows(
    path: Path, *, known: Sequence[str] | None = None, naming: Naming = plain_name
) -> list[Row]:
    """All rows of a table that have a cell which is not empty.

    Args:
        known: The columns whose content matters; None: all. Of other columns, a Parquet file's
            need not be text, numbers or truth values; they are given as empty.
        naming: What makes a column's name of what the file calls it.

    Raises:
        CorpusError: As `read_table` says.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".jsonl", ".parquet"):
        found = next((one for one in _usual_names(path) if one.is_file()), None)
        way_out = f"; it holds {found}: name that file" if found else ""
        raise CorpusError(f"{path}: must be a .csv or .jsonl file, or a .parquet{way_out}")
    if suffix == ".parquet":
        rows = list(_parquet_rows(path, known, naming))
    else:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                read = _csv_rows if suffix == ".csv" else _json_rows
                rows = list(read(path, file, naming))
        except OSError as error:
            raise CorpusError(f"{path}: can't be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{path}: is no text in UTF-8 ({error.reason}); save it as such"
            ) from None
    for row in rows:
        _refuse_odd_text(path, row)
    return rows


def listed(names: Iterable[str]) -> str:
    """Columns' names for an error, as "id, text"."""
    return ", ".join(name or "one without a name" for name in names)


def refuse_twice(path: Path, place: str, names: Sequence[str]) -> None:
    """Refuse a column that stands twice.

    Raises:
        CorpusError: As said.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise CorpusError(f"{path}, {place}: the column {twice[0]!r} stands twice")


def checked_lines(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """A CSV reader's rows, each with the line that it ends in.

    Raises:
        CorpusError: What stands there is no CSV.
    """
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise CorpusError(
            f"{path}, line {reader.line_num}: is no CSV: {error}; a text with quotes must stand "
            "in quotes, each of its own quotes doubled"
        ) from None


def refuse_ragged(path: Path, line: int, cells: Sequence[str], header: Sequence[str]) -> None:
    """Refuse a row of a CSV that has more or fewer cells than there are columns.

    Raises:
        CorpusError: As said.
    """
    if len(cells) != len(header):
        raise CorpusError(
            f"{path}, line {line}: {len(cells)} cells, but {len(header)} columns; "
            "a text with a comma must stand in quotes"
        )


def _csv_rows(path: Path, file: Iterator[str], naming: Naming) -> Iterator[Row]:
    reader = checked_lines(path, csv.reader(file, strict=True))
    _, names = next(reader, (1, []))
    header = [naming(name) for name in names]
    refuse_twice(path, "line 1", header)
    for line, cells in reader:
        if any(cells):
            refuse_ragged(path, line, cells, header)
            yield Row(line, dict(zip(header, (cell.strip() for cell in cells), strict=True)))


def _json_rows(path: Path, file: Iterator[str], naming: Naming) -> Iterator[Row]:
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            pairs = json.loads(text, object_pairs_hook=tuple)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{path}, line {line}: not JSON: {error}") from None
        if not isinstance(pairs, tuple):
            raise CorpusError(f"{path}, line {line}: not a JSON object")
        names = [naming(name) for name, _ in pairs]
        refuse_twice(path, f"line {line}", names)
        cells = (_cell(path, line, name, value) for name, value in pairs)
        yield Row(line, dict(zip(names, cells, strict=True)))


def _parquet_rows(path: Path, known: Sequence[str] | None, naming: Naming) -> Iterator[Row]:
    table = read_parquet(path)
    names = [naming(name) for name in table.column_names]
    refuse_twice(path, "its columns", names)
    columns = [
        column_texts(path, name, column)
        if known is None or name in known
        else [""] * table.num_rows
        for name, column in zip(names, table.columns, strict=True)
    ]
    for number, cells in enumerate(zip(*columns, strict=True), start=1):
        if any(cells):
            stripped = (cell.strip() for cell in cells)
            yield Row(number, dict(zip(names, stripped, strict=True)), unit="row")


def _cell(path: Path, line: int, column: str, value: object) -> str:
    if isinstance(value, tuple | list):
        raise CorpusError(f"{path}, line {line}: {column} is no plain value")
    return "" if value is None else str(value).strip()


def _refuse_odd_text(path: Path, row: Row) -> None:
    """Refuse what no cache can hold: zero bytes, and halves of UTF-16 pairs (JSON lets both by)."""
    for column, text in row.cells.items():
        if "\0" in text or not text.isascii() and text.encode(errors="ignore").decode() != text:
            raise CorpusError(
                f"{path}, {row.where}: {column} is {text[:40]!a}, which has a zero byte or "
                "half a character"
            )
