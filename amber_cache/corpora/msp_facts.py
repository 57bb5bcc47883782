"""What MSP-Podcast's files say of a segment besides the votes: consensus, speaker, gender, split.

labels_consensus.csv (in older releases labels_concensus.csv) or .json has a row a segment,
`Partitions.txt` lines "Train; NAME.wav", `Speaker_ids.txt` lines "NAME.wav; 127" and
"Speaker_127; Male". The consensus file counts first, then labels.txt, then the two others; what
they say otherwise is told. "NA" is a name like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from amber_cache.corpora.msp_ballots import Ballots
from amber_cache.corpora.msp_release import Release
from amber_cache.corpora.msp_text import Notes, csv_rows, json_pairs, text_lines
from amber_cache.corpora.msp_words import label_of, segment_of
from amber_cache.errors import CorpusError

_SPLITS = ("Train", "Development", "Validation", "Test", "Test1", "Test2", "Test3")
_SPLIT_NAMES = {name.lower(): name for name in _SPLITS}
_GENDERS = {"male": "male", "m": "male", "female": "female", "f": "female", "unknown": ""}
_SPEAKER = re.compile(r"(?:(?:speaker|spkr)[\s_:]*(?:id)?[\s_:]*)?(.*)", re.IGNORECASE)

#: What several files may say of a segment.
_SHARED = ("speaker", "gender", "split")


class Facts(NamedTuple):
    """What is said of a segment besides the votes, and where it is named; "" for unknown.

    A consensus of None is unknown, of "" no agreement.
    """

    path: Path | None = None
    line: int = 0
    consensus: str | None = None
    speaker: str = ""
    gender: str = ""
    split: str = ""


def gather_facts(release: Release, ballots: Ballots, notes: Notes) -> dict[str, Facts]:
    """What all files but the label file's raters say, by segment; the first that says it counts."""
    rows, splits = _read_consensus(release.consensus, notes), _read_splits(release.splits, notes)
    blocks = {
        name: Facts(ballots.path, line, consensus=ballots.consensus.get(name))
        for name, line in ballots.first_line.items()
    }
    sources = (rows, blocks, splits, _read_speakers(release.speakers, notes))
    found = {}
    for name in sorted(set().union(*sources)):
        said = [source[name] for source in sources if name in source]
        speaker, gender, split = (_agreed(name, key, said, notes) for key in _SHARED)
        found[name] = Facts(said[0].path, said[0].line, said[0].consensus, speaker, gender, split)
        if (rows or splits) and name not in rows and name not in splits:
            told = f"{name} stands in no consensus file and no partition; it is kept"
            notes.add("unlisted segments", f"{said[0].path}", told, line=said[0].line)
    return found


def _agreed(name: str, key: str, said: list[Facts], notes: Notes) -> str:
    """The first that is said of a segment; what is said otherwise is told."""
    text = ""
    for facts in said:
        other = getattr(facts, key)
        if not text and other:
            text, first = other, facts
        elif other and other != text and {other, text} != {"Development", "Validation"}:
            there = f"{other} in {facts.path}, line {facts.line}"
            told = f"{name}: the {key} is {text}, and {there}; {text} counts"
            notes.add("contradictions", f"{first.path}", told, line=first.line)
    return text


def _read_consensus(path: Path | None, notes: Notes) -> dict[str, Facts]:
    """The consensus file's rows by segment.

    Raises:
        CorpusError: It is of no known shape, or a segment stands in it twice.
    """
    found: dict[str, Facts] = {}
    if path is None:
        return found
    read = _json_rows if path.suffix.lower() == ".json" else _csv_rows
    for line, cells in read(path, notes):
        name = segment_of(cells["filename"])
        code = cells.get("emoclass", "")
        label = label_of(code)
        if label is None and code:
            told = f"{name}: the consensus {code[:60]!r} is no known label; it has none"
            notes.add("unknown consensus", path, told, line=line)
        facts = Facts(
            path=path,
            line=line,
            consensus=label,
            speaker=_speaker(cells.get("spkrid", "")),
            gender=_gender(cells.get("gender", "")),
            split=_split(cells.get("split_set", ""), path, line, notes),
        )
        if name in found:
            where, first = (f", line {line}", f"in line {found[name].line}") if line else ("", "")
            raise CorpusError(
                f"{path}{where}: {name} stands there {first or 'once'} already; nobody can say "
                "which is right: unpack the release again"
            )
        found[name] = facts
    if not found:
        raise CorpusError(f"{path}: has no row that can be read; unpack the release again")
    return found


def _csv_rows(path: Path, notes: Notes) -> Iterator[tuple[int, Mapping[str, str]]]:
    rows = csv_rows(path)
    names = [name.strip().lower() for name in next(rows, (0, []))[1]]
    if not {"filename", "emoclass"} <= set(names):
        raise CorpusError(
            f"{path}: needs the columns FileName and EmoClass; it has {', '.join(names) or 'none'}"
        )
    file = names.index("filename")
    for line, cells in rows:
        cells = [cell.strip() for cell in cells]
        if len(cells) < len(names) or any(cells[len(names) :]) or not segment_of(cells[file]):
            told = f"{','.join(cells)[:80]!r} is no row of {len(names)} cells; it is left out"
            notes.add("unreadable lines", path, told, line=line)
        else:
            yield line, dict(zip(names, cells, strict=False))


def _json_rows(path: Path, notes: Notes) -> Iterator[tuple[int, Mapping[str, str]]]:
    """{file: {EmoClass: ...}}, which has no lines to name."""
    for name, pairs in json_pairs(path, tuple):
        names = {key.lower() for key, _ in pairs} if isinstance(pairs, tuple) else set()
        if "emoclass" not in names or not segment_of(name):
            raise CorpusError(f"{path}: {name[:60]!r} is not {{EmoClass: ...}}; unpack it again")
        cells = {key.lower(): str(value).strip() for key, value in pairs}
        yield 0, {**cells, "filename": name}


def _read_splits(path: Path | None, notes: Notes) -> dict[str, Facts]:
    """The partition's lines, "Train; NAME.wav", by segment."""
    found: dict[str, Facts] = {}
    for line, fields in _fields(path) if path is not None else ():
        names = [one for one in fields if one.lower().endswith(".wav")]
        others = [one for one in fields if one not in names]
        if path is None or len(names) != 1 or len(others) != 1 or not segment_of(names[0]):
            _note_unreadable(path, line, fields, notes)
            continue
        facts = Facts(path, line, split=_split(others[0], path, line, notes))
        _add_once(found, segment_of(names[0]), facts, facts.split)
    return found


def _read_speakers(path: Path | None, notes: Notes) -> dict[str, Facts]:
    """The lines "NAME.wav; 127" by segment, with the genders of the lines "Speaker_127; Male"."""
    found: dict[str, Facts] = {}
    genders: dict[str, str] = {}
    for line, fields in _fields(path) if path is not None else ():
        is_segment = fields[0].lower().endswith(".wav") and segment_of(fields[0])
        if is_segment and len(fields) in (2, 3):
            gender = _gender(fields[2]) if len(fields) == 3 else ""
            facts = Facts(path, line, speaker=_speaker(fields[1]), gender=gender)
            _add_once(found, segment_of(fields[0]), facts, facts.speaker)
        elif len(fields) == 2 and fields[1].lower() in _GENDERS:
            genders[_speaker(fields[0])] = _gender(fields[1])
        else:
            _note_unreadable(path, line, fields, notes)
    return {
        name: one if one.gender else one._replace(gender=genders.get(one.speaker, ""))
        for name, one in found.items()
    }


def _fields(path: Path) -> Iterator[tuple[int, list[str]]]:
    for line, text in text_lines(path):
        fields = [part.strip() for part in re.split("[;,\t]", text)]
        if any(fields):
            yield line, [one for one in fields if one]


def _note_unreadable(path: Path | None, line: int, fields: list[str], notes: Notes) -> None:
    told = f"{'; '.join(fields)[:60]!r} can't be read and is left out"
    notes.add("unreadable lines", f"{path}", told, line=line)


def _add_once(found: dict[str, Facts], name: str, facts: Facts, what: str) -> None:
    """Keep the first line of a segment.

    Raises:
        CorpusError: A later line says something else.
    """
    first = found.setdefault(name, facts)
    if first[2:] != facts[2:]:
        raise CorpusError(
            f"{facts.path}, line {facts.line}: {name} is {what!r}, but another in line "
            f"{first.line}; nobody can say which is right: unpack the release again"
        )


def _speaker(text: str) -> str:
    match = _SPEAKER.fullmatch(text)
    name = match[1] if match else text
    return "" if name.lower() == "unknown" else name


def _gender(text: str) -> str:
    return _GENDERS.get(text.lower(), text)


def _split(text: str, path: Path, line: int, notes: Notes) -> str:
    name = _SPLIT_NAMES.get(text.lower(), text)
    if name and name not in _SPLITS:
        notes.add("unknown splits", path, f"the split {name[:40]!r} is kept as it is", line=line)
    return name
