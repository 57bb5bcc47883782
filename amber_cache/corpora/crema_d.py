"""CREMA-D as its repository has it: 7,442 clips, and how often raters chose each label.

`processedResults/tabulatedVotes.csv` counts the labels A, D, F, H, N, S for each clip and what the
raters were shown, which the first digit of the row's id tells: 1 the voice, 2 the face, 3 both
(kinds "voice", "face", "multimodal"); the other digits are the clip's number in
`SentenceFilenames.csv`. Raters have no names. Clips are `AudioWAV/<clip>.wav`, named by actor,
sentence, acted emotion and level; the acted emotion is no vote and is not read. The consensus is
the table's own, `emoVote`, of those who saw and heard the clip; "" where that is a tie. Every text
is one of twelve sentences. `VideoDemographics.csv`, where it is there, has the actors' sex.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeAlias

from amber_cache.corpora.base import told
from amber_cache.errors import CorpusError
from amber_cache.records import Corpus, Utterance, Vote

#: What the full release holds.
NUM_CLIPS = 7_442

LABELS = {
    "A": "angry",
    "D": "disgust",
    "F": "fear",
    "H": "happy",
    "N": "neutral",
    "S": "sad",
}
KINDS = {"1": "voice", "2": "face", "3": "multimodal"}
SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}

_TABLE = "tabulatedVotes.csv"
_CLIP = re.compile(r"\d{4}_[A-Z]{3}_[A-Z]{3}_[A-Z]{1,2}")
_ROW = re.compile(r"([123])(\d+)")
_LINE_END = re.compile(r"\r*\n|\r")

#: The one clip whose audio file has another name in the release.
_AUDIO_NAMES = {"1040_ITH_SAD_XX": "1040_ITH_SAD_X"}

#: How many of a kind of warning are told in full, and the most votes a row may count.
_MOST_VOTES = 1_000


@dataclass(slots=True)
class _Clip:
    """What the table says of a clip: its votes by kind, and the winner where both were shown."""

    votes: dict[str, tuple[Vote, ...]] = field(default_factory=dict)
    consensus: str = ""


_Row: TypeAlias = dict[str, str]
#: What was read past, by kind.
_Notes: TypeAlias = dict[str, list[str]]


def read_crema_d(root: Path | None, *, votes_file: Path | None = None) -> Corpus:
    """Read the release at `root`, or the folder there that holds the table of votes.

    Raises:
        CorpusError: There is no such table, it lacks columns, has a clip's votes twice or none
            that can be read, or `votes_file` is given: the corpus brings its own votes.
    """
    if votes_file is not None:
        raise CorpusError("--votes-file: CREMA-D brings its own votes; use --corpus manifest")
    if root is None:
        raise CorpusError("--corpus crema-d needs --root with the folder of the release")
    table = _find_table(root)
    folder = table.parent.parent if table.parent.name == "processedResults" else table.parent
    notes: _Notes = defaultdict(list)
    clips = _read_votes(table, _read_names(folder / "SentenceFilenames.csv", notes), notes)
    sexes = _read_sexes(folder / "VideoDemographics.csv", notes)
    audio = _audio_files(folder / "AudioWAV")
    utterances = [_utterance(name, clips[name], audio, sexes) for name in sorted(clips)]
    _note_gaps(folder, utterances, clips, audio, notes)
    return Corpus(
        name="crema-d",
        protocol="crema-d-6",
        root=folder,
        utterances=tuple(utterances),
        modalities=("audio", "text") if audio else ("text",),
        warnings=tuple(told(notes)),
    )


def _find_table(root: Path) -> Path:
    """The table of votes: in the release, beside `root`'s other files, or one level below."""
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; wanted the folder of CREMA-D")
    try:
        there = sorted(one for one in root.iterdir() if not one.name.startswith("."))
    except OSError as error:
        raise CorpusError(f"{root}: can't be read: {error.strerror}") from None
    for folder in (root, *there):
        for table in (folder / "processedResults" / _TABLE, folder / _TABLE):
            if table.is_file():
                return table
    names = ", ".join(one.name for one in there[:8]) or "nothing"
    raise CorpusError(
        f"{root}: is no CREMA-D: looked for processedResults/{_TABLE} or {_TABLE} in it and one "
        f"level below, found {names}{', ...' if len(there) > 8 else ''}; wanted the release"
    )


def _rows(path: Path, columns: Sequence[str], notes: _Notes) -> Iterator[tuple[int, _Row]]:
    """A table's rows with their line; "" is the first column. Lines are read one by one.

    Raises:
        CorpusError: The file can't be read, or lacks one of the columns.
    """
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise CorpusError(f"{path}: can't be read: {error.strerror}") from None
    lines = [line.strip() for line in _LINE_END.split(data.decode("latin-1"))]
    header = _cells(lines[0])
    if missing := [name for name in columns if name not in header]:
        raise CorpusError(
            f"{path}: has no column {', '.join(missing)}; it begins with {lines[0][:60]!r} (where "
            "Git LFS has not fetched a file, a pointer stands in its place)"
        )
    for number, line in enumerate(lines[1:], start=2):
        cells = _cells(line)
        if len(cells) == len(header):
            yield number, {**dict(zip(header, cells, strict=True)), "": cells[0]}
        elif line:
            reason = f"{len(cells)} cells, but {len(header)} columns"
            notes["rows left out"].append(f"{path}, line {number}: {reason}; it is left out")


def _cells(line: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line]), [])]
    except csv.Error:  # a cell of more than 100,000 characters
        return []


def _read_votes(table: Path, names: Mapping[int, str], notes: _Notes) -> dict[str, _Clip]:
    clips: dict[str, _Clip] = defaultdict(_Clip)
    for number, row in _rows(table, (*LABELS, "fileName"), notes):
        try:
            kind, votes = _row_votes(row, names)
        except ValueError as error:
            notes["rows left out"].append(f"{table}, line {number}: {error}; it is left out")
            continue
        clip = clips[row["fileName"]]
        if kind in clip.votes:
            raise CorpusError(
                f"{table}, line {number}: the {kind} votes of {row['fileName']} stand above "
                "already; take out the wrong line"
            )
        clip.votes[kind] = votes
        if kind == "multimodal":
            clip.consensus = LABELS.get(row.get("emoVote", ""), "")
    if not clips:
        raise CorpusError(f"{table}: has no row that can be read; {next(told(notes), '')}")
    return clips


def _row_votes(row: _Row, names: Mapping[int, str]) -> tuple[str, tuple[Vote, ...]]:
    """The kind and the votes of a row.

    Raises:
        ValueError: With the reason why the row can't be trusted.
    """
    match, name = _ROW.fullmatch(row[""]), row["fileName"]
    if match is None:
        raise ValueError(f"the row's id {row['']!r} must be 1, 2 or 3 and the clip's number")
    if not _CLIP.fullmatch(name):
        raise ValueError(f"{name!r} is no clip's name, like 1001_IEO_NEU_XX")
    if names.get(int(match[2]), name) != name:
        called = names[int(match[2])]
        raise ValueError(f"clip {match[2]} is {called} in SentenceFilenames.csv, here {name}")
    counts = {label: _count(row[letter]) for letter, label in LABELS.items()}
    total = sum(counts.values())
    if "numResponses" in row and _count(row["numResponses"]) != total:
        raise ValueError(f"{total} votes, but numResponses is {row['numResponses']}")
    kind = KINDS[match[1]]
    return kind, tuple(vote for label, n in counts.items() for vote in n * [_vote(label, kind)])


@cache
def _vote(label: str, kind: str) -> Vote:
    return Vote(rater="", label=label, kind=kind)


def _count(text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _MOST_VOTES or value % 1:
        raise ValueError(f"{text!r} is no number of votes")
    return int(value)


def _read_names(path: Path, notes: _Notes) -> dict[int, str]:
    """The clips by number; nothing where the file is not there."""
    if not path.is_file():
        return {}
    rows = [row for _, row in _rows(path, ("Stimulus_Number", "Filename"), notes)]
    return {
        int(row["Stimulus_Number"]): row["Filename"]
        for row in rows
        if row["Stimulus_Number"].isdecimal()
    }


def _read_sexes(path: Path, notes: _Notes) -> dict[str, str]:
    """The actors' sex, "female" or "male"; nothing where the file is not there."""
    if not path.is_file():
        return {}
    rows = (row for _, row in _rows(path, ("ActorID", "Sex"), notes))
    sexes = {row["ActorID"]: row["Sex"].lower() for row in rows}
    return {actor: sex for actor, sex in sexes.items() if sex in ("female", "male")}


def _audio_files(folder: Path) -> dict[str, Path]:
    """Audio by clip, without what macOS leaves beside files (`._*`)."""
    if not folder.is_dir():
        return {}
    wavs = (path for path in folder.iterdir() if path.suffix.lower() == ".wav")
    return {path.stem: path for path in wavs if not path.name.startswith(".")}


def _utterance(
    name: str, clip: _Clip, audio: Mapping[str, Path], sexes: Mapping[str, str]
) -> Utterance:
    actor, sentence, _, _ = name.split("_")
    stem = name if name in audio else _AUDIO_NAMES.get(name, name)
    return Utterance(
        id=name,
        audio=Path("AudioWAV", audio[stem].name if stem in audio else f"{stem}.wav"),
        text=SENTENCES.get(sentence, ""),
        speaker=actor,
        gender=sexes.get(actor, ""),
        style="scripted",
        consensus=clip.consensus,
        language="en",
        votes=tuple(vote for kind in KINDS.values() for vote in clip.votes.get(kind, ())),
    )


def _note_gaps(
    folder: Path,
    utterances: Sequence[Utterance],
    clips: Mapping[str, _Clip],
    audio: Mapping[str, Path],
    notes: _Notes,
) -> None:
    """Tell what is missing, and which audio has no votes."""
    if not audio:
        notes["parts"].append(f"{folder}: has no AudioWAV/<clip>.wav; the corpus is read without")
    stems: set[str] = set()
    for one in utterances:
        stem = Path(str(one.audio)).stem
        stems.add(stem)
        for kind in (kind for kind in KINDS.values() if kind not in clips[one.id].votes):
            notes["clips without some votes"].append(f"{one.id}: has no {kind} votes")
        if not one.text:
            notes["sentences"].append(f"{one.id}: its sentence is none of the twelve; no text")
        if audio and stem not in audio:
            notes["clips without audio"].append(f"{one.audio}: missing; {one.id} has votes")
    for stem in sorted(audio.keys() - stems):
        notes["audio without votes"].append(f"AudioWAV/{audio[stem].name}: has no votes; left out")
    if len(utterances) != NUM_CLIPS:
        counted = f"{len(utterances)} clips; the full release has {NUM_CLIPS}"
        notes["counts"].append(f"{folder}: has {counted}")
