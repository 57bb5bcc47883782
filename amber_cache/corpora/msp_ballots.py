"""What MSP-Podcast's raters said: votes and ratings by segment, from a rater's line or its fields.

A rater's line is, in labels.txt and in labels_detailed.csv,

    WORKER00000001; Other-confused; Concerned,Confused; A:3.000000; V:3.000000; D:4.000000;

that is: the rater, the primary choice, the secondary ones (may be missing), and arousal, valence
and dominance from 1 to 7. Who stands twice below a segment is counted twice, as the release's own
consensus does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

from amber_cache.corpora.msp_text import Notes
from amber_cache.corpora.msp_words import RUN_IN, label_of
from amber_cache.records import Rating, Vote

_DIMENSIONS = ("arousal", "valence", "dominance")
_LEVEL = r"\s*([^;]*?)\s*"
_OPINION = re.compile(
    rf"\s*([^;.\s]+)\s*;(.*);\s*A:{_LEVEL};[;\s]*V:{_LEVEL};[;\s]*D:{_LEVEL}[;\s]*", re.IGNORECASE
)
_NO_RATER = re.compile(r"MSP-|.+WORKER\d", re.IGNORECASE)

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


def _halves(middle: str) -> tuple[str, str] | None:
    """What stands between rater and ratings: primary and secondary; None if lines ran together.

    Two separators with nothing between are one, since an empty field is written "; ;".
    """
    if RUN_IN.search(middle):
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
