"""MSP-Podcast's label files: who chose and rated what, in every shape that a release brings.

A rater's line (msp_ballots.py) stands in labels.txt below its segment's line,

    MSP-PODCAST_0001_0139.wav; N; A:2.400000; V:4.000000; D:2.800000;
    WORKER00000001; Other-confused; Concerned,Confused; A:3.000000; V:3.000000; D:4.000000;

and in labels_detailed.csv as EmoDetail. That file may have a column for each field instead, and
labels_detailed.json is {file: {worker: {column: value}}}. What can't be read is told with its line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from amber_cache.corpora.msp_ballots import Answer, Ballots
from amber_cache.corpora.msp_text import Notes, csv_rows, json_pairs, text_lines
from amber_cache.corpora.msp_words import RUN_IN, label_of, segment_of
from amber_cache.errors import CorpusError

_SUMMARY = re.compile(r"\s*([^;\s]+\.wav)\s*(?:;[;\s]*([^;]*?)\s*(?:;.*)?)?", re.IGNORECASE)
_RATER_COLUMNS = ("workers", "workerid", "worker")
_ANSWER_FIELDS = ("EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom")
_ANSWER_COLUMNS = tuple(name.lower() for name in _ANSWER_FIELDS)


def read_ballots(path: Path, notes: Notes) -> Ballots:
    """Read every rater's votes and ratings from a label file.

    Raises:
        CorpusError: The file is of no known shape, or has no segment.
    """
    ballots = Ballots(path, notes)
    read = {".csv": _read_csv, ".json": _read_json}.get(path.suffix.lower(), _read_blocks)
    read(ballots)
    if not ballots.votes:
        raise CorpusError(f"{path}: has no votes that can be read; unpack the release again")
    _tell_twice(ballots)
    return ballots


def _read_blocks(ballots: Ballots) -> None:
    """labels.txt: a segment's line, its raters' lines, and a blank line that ends the block."""
    segment: str | None = None
    for line, text in text_lines(ballots.path):
        if not text or text.isspace():
            segment = None
        elif segment is not None and ballots.read_opinion(segment, text, line):
            pass
        elif (header := _SUMMARY.fullmatch(text)) and segment_of(header[1]):
            segment = segment_of(header[1])
            _open_block(ballots, segment, text[header.end(1) :], header[2] or "", line)
        else:
            below = "" if segment is not None else " below a segment's"
            told = f"{text[:60]!r} is no whole line of a rater{below}; it is left out"
            ballots.notes.add("unreadable lines", ballots.path, told, line=line)
            if not text.lstrip().upper().startswith("WORKER") or ".wav" in text.lower():
                segment = None  # perhaps a segment's line: what follows is not the last one's


def _open_block(ballots: Ballots, segment: str, rest: str, code: str, line: int) -> None:
    """A segment's line: its name is whole; tell what is wrong in the rest, which has the code."""
    told = []
    label = None if RUN_IN.search(rest) else label_of(code)
    if label is None:
        told.append(f"{segment}: {rest[:60]!r} has no consensus label; it has none")
    else:
        ballots.consensus[segment] = label
    if segment in ballots.first_line:
        first = ballots.first_line[segment]
        told.append(f"{segment} stands in line {first} already; the votes are added to those")
    for one in told:
        ballots.notes.add("odd segments", ballots.path, one, line=line)
    ballots.open(segment, line)


def _read_csv(ballots: Ballots) -> None:
    rows = csv_rows(ballots.path)
    _, header = next(rows, (0, []))
    names = [name.strip().lower() for name in header]
    rater = next((name for name in _RATER_COLUMNS if name in names), "")
    if "filename" not in names or not (
        "emodetail" in names or rater and _ANSWER_COLUMNS[0] in names
    ):
        raise CorpusError(
            f"{ballots.path}: needs the columns FileName and EmoDetail, or FileName, Workers and "
            f"EmoClass_Major; it has {', '.join(header)[:200] or 'nothing'}"
        )
    read = _line_reader(ballots, names) if "emodetail" in names else _row_reader(ballots, names)
    segments: dict[str, str] = {}
    for line, cells in rows:
        name = cells[names.index("filename")] if len(cells) >= len(names) else ""
        segment = segments.get(name) or segments.setdefault(name, segment_of(name))
        if not segment or not read(segment, cells, line):
            told = f"{','.join(cells)[:80]!r} is no whole line of a rater; it is left out"
            ballots.notes.add("unreadable lines", ballots.path, told, line=line)


def _line_reader(ballots: Ballots, names: list[str]) -> Callable[[str, list[str], int], bool]:
    """Reads a row whose last column is a rater's line, with quotes around its commas or not."""
    detail = names.index("emodetail")
    return lambda segment, cells, line: ballots.read_opinion(
        segment, ",".join(cells[detail:]), line
    )


def _row_reader(ballots: Ballots, names: list[str]) -> Callable[[str, list[str], int], bool]:
    """Reads a row that has a column for each thing that a rater says."""
    rater = next(names.index(name) for name in _RATER_COLUMNS if name in names)
    places = [names.index(name) if name in names else len(names) for name in _ANSWER_COLUMNS]

    def read(segment: str, cells: list[str], line: int) -> bool:
        if any(cells[len(names) :]) or not cells[rater].strip():
            return False
        cells = [cell.strip() for cell in cells[: len(names)]] + [""]
        ballots.add(segment, cells[rater], Answer(*(cells[place] for place in places)), line)
        return True

    return read


def _read_json(ballots: Ballots) -> None:
    share: dict[str, str] = {}

    def answer(pairs: list[tuple[str, Any]]) -> Any:
        """A rater's fields, each text kept once; else the pairs, so that no twin is lost."""
        cells = dict(pairs)
        if _ANSWER_FIELDS[0] not in cells:
            return tuple(pairs)
        texts = [_json_text(cells.get(name)) for name in _ANSWER_FIELDS]
        return Answer(*[share.setdefault(text, text) for text in texts])

    for name, raters in json_pairs(ballots.path, answer):
        segment = segment_of(name)
        if not segment or type(raters) is not tuple or not all(map(_is_answer, raters)):
            raise CorpusError(
                f"{ballots.path}: {name[:60]!r} is not {{worker: {{EmoClass_Major: ...}}}}; "
                "unpack the release again"
            )
        ballots.open(segment, 0)
        for rater, fields in raters:
            ballots.add(segment, rater.strip(), fields, 0)


def _json_text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return ",".join(map(_json_text, value))
    return "" if value is None else str(value)


def _is_answer(pair: Any) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Answer)


def _tell_twice(ballots: Ballots) -> None:
    for segment, votes in ballots.votes.items():
        raters = [vote.rater for vote in votes if vote.primary]
        if len(set(raters)) < len(raters):
            name, count = Counter(raters).most_common(1)[0]
            told = f"{segment}: {name} stands there {count} times; each is counted"
            place = ballots.first_line[segment]
            ballots.notes.add("raters that stand twice", ballots.path, told, line=place)
