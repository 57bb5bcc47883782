"""An audformat database as it stands in its folder: the header and the tables, as plain text.

The format is read here and not by its library: that one loads the header with a YAML loader that
runs code, and prefers a pickle to a table wherever one stands beside it. Here the header is read
by the safe loader, tables from Parquet or CSV, and pickles are never opened.

A header names schemes (what values mean, perhaps with a list of labels), raters, and tables. A
table is a file NAME.TABLE.parquet or .csv with a row for each file, or each segment of one, and a
column of values for each of its columns; a misc table has rows for something else, as speakers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amber_cache.corpora.rows import Row, read_rows
from amber_cache.errors import CorpusError
from amber_cache.records import Seconds

_NANOSECONDS = 1_000_000_000
_TIME = re.compile(r"(?:(\d+) days? )?(\d+):(\d\d):(\d\d)(?:\.(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        scheme: Id of the scheme of its values; "" for none.
        rater: Id of who gave them; "" where nobody is named.
    """

    name: str
    scheme: str = ""
    rater: str = ""


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a column's values mean.

    Attributes:
        labels: The values that there are, each with what is said of it; None: any value.
        is_numeric: Whether values are numbers.
    """

    labels: Mapping[str, Any] | None
    is_numeric: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """A file, or a part of one: what a row of a table is about; times in nanoseconds."""

    file: str
    start_ns: int = 0
    end_ns: int | None = None

    @property
    def id(self) -> str:
        """The file, and its part as a media fragment: "a.wav#t=1.5,2.25"."""
        if self.is_whole:
            return self.file
        end = "" if self.end_ns is None else f",{_text_of(self.end_ns)}"
        return f"{self.file}#t={_text_of(self.start_ns)}{end}"

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the file."""
        return self.start_ns == 0 and self.end_ns is None

    @property
    def times_s(self) -> tuple[Seconds | None, Seconds | None]:
        """Start and end in seconds; None for the file's own."""
        end = None if self.end_ns is None else self.end_ns / _NANOSECONDS
        return (None if self.is_whole else self.start_ns / _NANOSECONDS), end


@dataclass(frozen=True, slots=True)
class Table:
    """A table of files or of segments.

    Attributes:
        split: Name of the official part that it is; "" for none.
        rows: Segment -> column -> value; "" where there is none.
    """

    name: str
    columns: tuple[Column, ...]
    split: str
    rows: Mapping[Segment, Row]
    is_segmented: bool


@dataclass(frozen=True, slots=True)
class Database:
    """A database as its header and tables have it.

    Attributes:
        raters: Id -> type: human, machine, other, ground truth, vote.
        language: The only language of the database; "" where there are several or none is named.
    """

    folder: Path
    tables: tuple[Table, ...]
    schemes: Mapping[str, Scheme]
    raters: Mapping[str, str]
    language: str = ""


@dataclass(frozen=True, slots=True)
class _Header:
    """The YAML file's content, and where the tables' files stand."""

    path: Path
    content: Mapping[str, Any] = field(default_factory=dict)

    def part(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        """One of its tables of contents: id -> description."""
        part = self.content.get(name) or {}
        if not isinstance(part, dict) or any(not isinstance(one, dict) for one in part.values()):
            raise CorpusError(f"{self.path}: its {name} are no table of names and settings")
        return {str(key): value for key, value in part.items()}


def read_database(root: Path) -> Database:
    """Read an audformat database.

    Args:
        root: Its folder, with db.yaml, or the path of its header.

    Raises:
        CorpusError: It is no such database, a table is missing or stands as a pickle only, or
            something in it can't be read.
    """
    header = _read_header(root / "db.yaml" if root.is_dir() else root)
    splits = {key: str(one.get("type", "other")) for key, one in header.part("splits").items()}
    languages = header.content.get("languages") or []
    return Database(
        folder=header.path.parent,
        tables=tuple(_read_table(header, name, splits) for name in header.part("tables")),
        schemes={name: _scheme(header, name) for name in header.part("schemes")},
        raters={key: str(one.get("type", "human")) for key, one in header.part("raters").items()},
        language=str(languages[0]) if len(languages) == 1 else "",
    )


def _read_header(path: Path) -> _Header:
    try:
        import yaml
    except ImportError:
        raise CorpusError(
            f'{path}: is read by PyYAML, which is missing: pip install "amber-ser[audformat]"'
        ) from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(path.read_bytes(), Loader=loader)
    except OSError as error:
        raise CorpusError(
            f"{path}: can't be read: {error.strerror}; wanted the folder of an audformat database"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise CorpusError(
            f"{path}: is no plain YAML, which is all that is read: {reason}"
        ) from None
    if not isinstance(content, dict) or "tables" not in content:
        raise CorpusError(f"{path}: is no header of an audformat database: it has no tables")
    return _Header(path, content)


def _scheme(header: _Header, name: str) -> Scheme:
    described = header.part("schemes")[name]
    labels, kind = described.get("labels"), str(described.get("dtype", "str"))
    if isinstance(labels, str):
        labels = _misc_table(header, labels)
    elif isinstance(labels, list):
        labels = dict.fromkeys(map(str, labels))
    elif labels is not None and not isinstance(labels, dict):
        raise CorpusError(f"{header.path}: the scheme {name!r} has labels that are no list")
    if labels is not None:
        labels = {str(key): value for key, value in labels.items()}
    return Scheme(labels, is_numeric=labels is None and kind in ("int", "float"))


def _misc_table(header: _Header, name: str) -> dict[str, dict[str, str]]:
    """A table of labels: each with its other columns."""
    described = header.part("misc_tables").get(name)
    levels = list((described or {}).get("levels") or ())
    if len(levels) != 1:
        raise CorpusError(f"{header.path}: there is no misc table {name!r} of one index column")
    rows = read_rows(_table_file(header, name), naming=str)
    return {row[str(levels[0])]: dict(row.cells) for row in rows}


def _read_table(header: _Header, name: str, splits: Mapping[str, str]) -> Table:
    described = header.part("tables")[name]
    split = str(described.get("split_id") or "")
    columns = {str(key): value or {} for key, value in (described.get("columns") or {}).items()}
    path = _table_file(header, name)
    kinds = {key: str(one.get("dtype", "str")) for key, one in header.part("schemes").items()}
    plain = [key for key, one in columns.items() if kinds.get(str(one.get("scheme_id"))) != "date"]
    rows = read_rows(path, known=["file", "start", "end", *plain], naming=str)
    wanted = ["file", *columns]
    if rows and (missing := [one for one in wanted if one not in rows[0].cells]):
        raise CorpusError(f"{path}: has no column {missing[0]!r}, which the header names")
    return Table(
        name=name,
        columns=tuple(
            Column(key, str(one.get("scheme_id") or ""), str(one.get("rater_id") or ""))
            for key, one in columns.items()
        ),
        split=_split_name(split, splits.get(split, "")),
        rows=dict(_segments(path, rows)),
        is_segmented=described.get("type") == "segmented",
    )


def _split_name(split: str, kind: str) -> str:
    """The official part's name: its kind, but test sets keep their own names."""
    return kind if kind in ("train", "dev") else split


def _table_file(header: _Header, name: str) -> Path:
    """Where a table stands; Parquet before CSV, as the format has it.

    Raises:
        CorpusError: It stands nowhere, or as a pickle only.
    """
    if not re.fullmatch(r"[\w.@+ -]+", name):
        raise CorpusError(f"{header.path}: {name!a} is no name of a table")
    base = header.path.with_name(f"{header.path.stem}.{name}")
    places = [base.with_name(f"{base.name}.{suffix}") for suffix in ("parquet", "csv")]
    if there := [place for place in places if place.is_file()]:
        return there[0]
    if base.with_name(f"{base.name}.pkl").exists():
        raise CorpusError(
            f"{base}.pkl: is a pickle, which could run code and is never read; save the database "
            'as tables: db.save(root, storage_format="parquet")'
        )
    raise CorpusError(f"{base}.parquet: no such file, nor .csv; the header names this table")


def _segments(path: Path, rows: Sequence[Row]) -> Iterator[tuple[Segment, Row]]:
    seen: set[Segment] = set()
    for row in rows:
        if not row["file"]:
            raise CorpusError(f"{path}, {row.where}: names no file")
        place = f"{path}, {row.where}"
        start, end = _nanoseconds(row["start"], place), _nanoseconds(row["end"], place)
        segment = Segment(row["file"], start or 0, end)
        if segment in seen:
            raise CorpusError(f"{place}: {segment.id!r} stands there twice")
        seen.add(segment)
        yield segment, row


def _nanoseconds(text: str, place: str) -> int | None:
    if text in ("", "NaT"):
        return None
    if re.fullmatch(r"\d+ns", text):
        return int(text[:-2])
    found = _TIME.fullmatch(text)
    if found is None:
        raise CorpusError(f"{place}: {text!r} is no time such as '0 days 00:00:01.5'")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:4])
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return whole * _NANOSECONDS + int((found[5] or "").ljust(9, "0"))


def _text_of(nanoseconds: int) -> str:
    """Seconds without needless zeros.

    >>> _text_of(1_500_000_000), _text_of(2_000_000_000), _text_of(1)
    ('1.5', '2', '0.000000001')
    """
    whole, rest = divmod(nanoseconds, _NANOSECONDS)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")
