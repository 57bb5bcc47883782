"""MSP-Podcast's label files: who chose and rated what, in every shape that a release brings.

A rater's line stands in labels.txt below its segment's line, in labels_detailed.csv as EmoDetail:

    MSP-PODCAST_0001_0139.wav; N; A:2.400000; V:4.000000; D:2.800000;
    WORKER00000001; Other-confused; Concerned,Confused; A:3.000000; V:3.000000; D:4.000000;

that is: the rater, the primary choice, the secondary ones (may be missing), and arousal, valence
and dominance from 1 to 7. labels_detailed.csv may have a column for each instead, and
labels_detailed.json is {file: {worker: {column: value}}}. labels_consensus.csv (in older releases
labels_concensus.csv) or .json has a row a segment: consensus, speaker, gender, split.

Who stands twice below a segment is counted twice, as the release's own consensus does. Secondary
choices beyond the common vocabulary (amused, annoyed, concerned, confused, depressed, disappointed)
keep their own names; free text ("Other-...") is "other". What can't be read is told with its line.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from amber_cache.corpora.base import NUM_TOLD
from amber_cache.errors import CorpusError
from amber_cache.records import Rating, Vote

_WORDS = {
    "angry": ("a", "anger"),
    "sad": ("s", "sadness"),
    "happy": ("h", "happiness"),
    "surprise": ("u", "surprised"),
    "fear": ("f",),
    "disgust": ("d", "disgusted"),
    "contempt": ("c",),
    "neutral": ("n",),
    "other": ("o",),
    "excited": ("excitement",),
    "frustrated": ("frustration",),
    "amused": (),
    "annoyed": (),
    "concerned": (),
    "confused": (),
    "depressed": (),
    "disappointed": (),
    "": ("x", "no agreement"),
}
_LABELS = {word: label for label, words in _WORDS.items() for word in (label, *words) if word}
_OTHER = re.compile(r"others?(?![a-z])", re.IGNORECASE)

_DIMENSIONS = ("arousal", "valence", "dominance")
_LEVEL = r"\s*([^;]*?)\s*"
_OPINION = re.compile(
    rf"\s*([^;.\s]+)\s*;(.*);\s*A:{_LEVEL};[;\s]*V:{_LEVEL};[;\s]*D:{_LEVEL}[;\s]*", re.IGNORECASE
)
_SUMMARY = re.compile(r"\s*([^;\s]+\.wav)\s*(?:;[;\s]*([^;]*?)\s*(?:;.*)?)?", re.IGNORECASE)
#: Within a line: two lines have run into one, where the first was cut off.
_RUN_IN = re.compile(r"WORKER\d|MSP-PODCAST|\.wav", re.IGNORECASE)
_NO_RATER = re.compile(r"MSP-|.+WORKER\d", re.IGNORECASE)
_RATER_COLUMNS = ("workers", "workerid", "worker")
_ANSWER_FIELDS = ("EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom")
_ANSWER_COLUMNS = tuple(name.lower() for name in _ANSWER_FIELDS)


#: A label, and whether it is the primary choice.
_Choice: TypeAlias = tuple[str, bool]
#: What was chosen, and the words that are no label.
_Choices: TypeAlias = tuple[list[_Choice], list[str]]


class Answer(NamedTuple):
    """What a rater said of a segment, as it stands in the file."""

    primary: str
    secondary: str
    arousal: str
    valence: str
    dominance: str


@dataclass(slots=True)
class Notes:
    """What was read past: the first few of each kind in full, the others counted."""

    _told: dict[str, list[str]] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, place: Path | str, text: str, *, line: int = 0) -> None:
        """Note one; a line of 0 is no line."""
        self._counts[kind] += 1
        if self._counts[kind] <= NUM_TOLD:
            where = f"{place}, line {line}" if line else f"{place}"
            self._told.setdefault(kind, []).append(f"{where}: {text}")

    def told(self) -> Iterator[str]:
        """The lines to show."""
        for kind, lines in self._told.items():
            yield from lines
            if (count := self._counts[kind]) > NUM_TOLD:
                yield f"{kind}: {count - NUM_TOLD} more, {count} in all"


@dataclass(slots=True)
class _Rater:
    """A rater's name and all that he ever said, each once."""

    name: str
    votes: dict[_Choice, Vote] = field(default_factory=dict)
    ratings: tuple[dict[str, Rating], ...] = field(default_factory=lambda: ({}, {}, {}))


@dataclass(slots=True)
class Ballots:
    """Votes and ratings of one label file by segment; equal records are one object.

    Attributes:
        path: The file.
        consensus: By segment, where the file has it (labels.txt); "" for no agreement.
        first_line: By segment, where it first stands; 0 in a file without lines.
    """

    path: Path
    notes: Notes
    votes: dict[str, list[Vote]] = field(default_factory=dict)
    ratings: dict[str, list[Rating]] = field(default_factory=dict)
    consensus: dict[str, str] = field(default_factory=dict)
    first_line: dict[str, int] = field(default_factory=dict)
    _raters: dict[str, _Rater] = field(default_factory=dict)
    _choices: dict[str | tuple[str, str], _Choices | None] = field(default_factory=dict)

    def open(self, segment: str, line: int) -> None:
        """Make room for a segment that stands in `line`."""
        if segment not in self.votes:
            self.votes[segment], self.ratings[segment] = [], []
            self.first_line[segment] = line

    def read_opinion(self, segment: str, text: str, line: int) -> bool:
        """Take a rater's line; False if it is none, or is cut off."""
        match = _OPINION.fullmatch(text)
        if match is None:
            return False
        name, middle, *levels = match.groups()
        choices = self._choices.get(middle)
        if choices is None:
            halves = _halves(middle)
            choices = self._choices[middle] = _choices(*halves) if halves else None
        if choices is None or (name not in self._raters and _NO_RATER.match(name)):
            return False
        self._take(segment, name, choices, levels, line)
        return True

    def add(self, segment: str, name: str, answer: Answer, line: int) -> None:
        """Take what the rater of that name said."""
        primary, secondary, *levels = answer
        choices = self._choices.get((primary, secondary))
        if choices is None:
            choices = self._choices[primary, secondary] = _choices(primary, secondary)
        self._take(segment, name, choices, levels, line)

    def _take(
        self, segment: str, name: str, choices: _Choices, levels: Sequence[str], line: int
    ) -> None:
        votes = self.votes.get(segment)
        if votes is None:
            self.open(segment, line)
            votes = self.votes[segment]
        rater = self._raters.get(name) or self._raters.setdefault(name, _Rater(name))
        chosen, unknown = choices
        for choice in chosen:
            vote = rater.votes.get(choice)
            if vote is None:
                label, is_primary = choice
                vote = rater.votes[choice] = Vote(rater.name, label, primary=is_primary)
            votes.append(vote)
        for word in unknown:
            told = f"{segment}, {name}: {word[:60]!r} is no known label and is not counted"
            self.notes.add("unknown labels", self.path, told, line=line)
        ratings = self.ratings[segment]
        for dimension, known, text in zip(_DIMENSIONS, rater.ratings, levels, strict=True):
            rating = known.get(text) or _rating(rater.name, dimension, text)
            if rating is not None:
                ratings.append(known.setdefault(text, rating))
            else:
                told = f"{segment}, {name}: {dimension} is {text[:20]!r}, no number from 1 to 7"
                self.notes.add("ratings left out", self.path, told, line=line)


def label_of(word: str) -> str | None:
    """The label that a word or a code stands for; "" for no agreement, None if it is unknown.

    Examples:
        >>> label_of("N"), label_of("Surprise"), label_of("OTHER-confused"), label_of("X")
        ('neutral', 'surprise', 'other', '')
    """
    word = word.strip()
    return _LABELS.get(word.lower()) if not _OTHER.match(word) else "other"


def segment_of(name: str) -> str:
    """A segment's id: its file's name without .wav; "" where two lines have run into one."""
    name = name.strip().replace("\\", "/").rpartition("/")[2]
    name = name[:-4] if name.lower().endswith(".wav") else name
    return "" if _RUN_IN.search(name, 1) else name


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


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """A text file's lines by number, without their ends; what is no UTF-8 is taken as Latin-1.

    Raises:
        CorpusError: It can't be read.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            number = 0
            for text in file:
                text = text.rstrip("\r\n")
                if not text.isascii():
                    text = decoded(text.encode(errors="surrogateescape"), is_first=not number)
                for part in text.split("\r") if "\r" in text else (text,):
                    number += 1
                    yield number, part.replace("\0", "") if "\0" in part else part
    except OSError as error:
        raise CorpusError(f"{path}: can't be read: {error.strerror}") from None


def decoded(data: bytes, *, is_first: bool = True) -> str:
    """Bytes as text: UTF-8, else Latin-1; no zero bytes, which no cache can hold.

    Args:
        is_first: They are a file's first, where a byte-order mark may stand.
    """
    if is_first:
        data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\0", "")


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """A CSV file's rows by line, but blank ones; a row never goes on in the next line.

    Raises:
        CorpusError: It can't be read.
    """
    for line, text in text_lines(path):
        if not text or text.isspace():
            continue
        if '"' not in text or len(text) > csv.field_size_limit():
            yield line, text.split(",")
        else:
            yield line, next(csv.reader([text], skipinitialspace=True))


def json_pairs(path: Path, hook: Callable[[list[tuple[str, Any]]], Any]) -> tuple[Any, ...]:
    """A JSON file's (name, value) pairs, with the hook's result for each object.

    Raises:
        CorpusError: It can't be read, or is no JSON object.
    """
    try:
        text = decoded(path.read_bytes())
        pairs = json.loads(text, object_pairs_hook=hook)
    except OSError as error:
        raise CorpusError(f"{path}: can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path}: is no JSON: {error}; unpack the release again") from None
    if type(pairs) is not tuple:
        raise CorpusError(f"{path}: is no JSON object {{file: ...}}; unpack the release again")
    return pairs


def _halves(middle: str) -> tuple[str, str] | None:
    """What stands between rater and ratings: primary and secondary; None if lines ran together.

    Two separators with nothing between are one, since an empty field is written "; ;".
    """
    if _RUN_IN.search(middle):
        return None
    primary, *rest = re.sub(";+", ";", middle).strip(";").split(";")
    if len(rest) > 1 and label_of(primary) == "other":  # its free text has a semicolon
        rest = rest[-1:]
    return primary.strip(), ";".join(rest).strip()


def _choices(primary: str, secondary: str) -> _Choices:
    label = label_of(primary)
    chosen, unknown = ([(label, True)], []) if label else ([], [primary])
    in_free_text = False
    for word in filter(None, map(str.strip, secondary.split(","))):
        label = label_of(word)
        if label:
            chosen.append((label, False))
            in_free_text = label == "other"
        elif not in_free_text:
            unknown.append(word)
    return list(dict.fromkeys(chosen)), unknown


def _rating(rater: str, dimension: str, text: str) -> Rating | None:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    return Rating(rater, dimension, value) if 1 <= value <= 7 else None


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
    label = None if _RUN_IN.search(rest) else label_of(code)
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
