"""MSP-Podcast, releases 1.8 to 2.0, as it unpacks: every rater's votes, partitions, transcripts.

`Audios/*.wav`, `Transcripts/*.txt` (one a segment; older releases have none), `Labels/` (its files:
msp_labels.py), `Partitions.txt` ("Train; NAME.wav") and `Speaker_ids.txt` ("NAME.wav; 127" and
"Speaker_127; Male"); audio and transcripts may lie in further folders. Votes and ratings come from
the label file with most detail; consensus, speaker, gender and split from the consensus file, and
where that is silent from labels.txt, Speaker_ids.txt and Partitions.txt.

An utterance is a segment, named as its file is without .wav; its dialogue is the podcast's number
in that name. The speaker "Unknown" becomes "", as many people share it: group by dialogue then.
"NA" is a name like any other. Segments that have no public labels (Test3) are kept without votes.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from amber_cache.corpora.msp_labels import (
    Ballots,
    Notes,
    csv_rows,
    decoded,
    json_pairs,
    label_of,
    read_ballots,
    segment_of,
    text_lines,
)
from amber_cache.errors import CorpusError
from amber_cache.records import Corpus, Utterance

_AUDIO_FOLDERS = ("audios", "audio")
_TEXT_FOLDERS = ("transcripts", "transcript")
_LABEL_FOLDERS = ("labels", "label")
#: Files with every rater's votes, and files with the outcome; the best first.
_VOTE_FILES = ("labels_detailed.csv", "labels.txt", "labels_detailed.json", "labels.json")
_CONSENSUS_FILES = tuple(
    f"labels_{word}.{kind}" for kind in ("csv", "json") for word in ("consensus", "concensus")
)
_SPLIT_FILES = ("partitions.txt", "partition.txt")
_SPEAKER_FILES = ("speaker_ids.txt", "speaker_id.txt")

_SPLITS = ("Train", "Development", "Validation", "Test", "Test1", "Test2", "Test3")
_SPLIT_NAMES = {name.lower(): name for name in _SPLITS}
_GENDERS = {"male": "male", "m": "male", "female": "female", "f": "female", "unknown": ""}
_PODCAST = re.compile(r"MSP-PODCAST_(\d+)_", re.IGNORECASE)
_SPEAKER = re.compile(r"(?:(?:speaker|spkr)[\s_:]*(?:id)?[\s_:]*)?(.*)", re.IGNORECASE)
_WAY_OUT = "give --root the folder of an unpacked MSP-Podcast release"


class _Facts(NamedTuple):
    """What is said of a segment besides the votes, and where it is named; "" for unknown.

    A consensus of None is unknown, of "" no agreement.
    """

    path: Path | None = None
    line: int = 0
    consensus: str | None = None
    speaker: str = ""
    gender: str = ""
    split: str = ""


#: What several files may say of a segment.
_SHARED = ("speaker", "gender", "split")


@dataclass(frozen=True, slots=True)
class _Release:
    """Where a release keeps what; None where it has no such thing."""

    root: Path
    audio: Path | None
    transcripts: Path | None
    votes: Path | None
    consensus: Path | None
    splits: Path | None
    speakers: Path | None


def read_msp_podcast(root: Path | None, *, votes_file: Path | None = None) -> Corpus:
    """Read the release at `root`: the folder with Audios and Labels, or the one above it.

    Raises:
        CorpusError: It is no such release or only a part of it, a file contradicts itself, labels
            and audio belong to different releases, or `votes_file` is given: the corpus brings
            its own votes.
    """
    if votes_file is not None:
        raise CorpusError("--votes-file: MSP-Podcast brings its own votes; use --corpus manifest")
    if root is None:
        raise CorpusError("--corpus msp-podcast needs --root with the release's folder")
    notes = Notes()
    release = _find_release(root)
    audio = _files(release, release.audio, ".wav", notes)
    transcripts = _files(release, release.transcripts, ".txt", notes)
    ballots = Ballots(release.root, notes)
    if release.votes is not None:
        ballots = read_ballots(release.votes, notes)
    facts = _gather_facts(release, ballots, notes)
    _compare(release, audio, ballots, facts, notes)
    texts = _read_texts(release, transcripts, audio.keys() | facts.keys(), notes)
    utterances = tuple(
        _utterance(name, release, audio, ballots, facts.get(name, _Facts()), texts)
        for name in sorted(audio.keys() | facts.keys())
    )
    modalities = tuple(name for name, has in (("audio", audio), ("text", texts)) if has)
    if not modalities:
        raise CorpusError(
            f"{root}: is only a part of a release: looked for Audios/*.wav and Transcripts/*.txt, "
            f"found {_listed(release.root)}; {_WAY_OUT}"
        )
    corpus = Corpus(
        name="msp-podcast",
        root=release.root,
        utterances=utterances,
        protocol="msp-podcast-8",
        modalities=modalities,
    )
    _count_gaps(release, corpus, notes)
    return replace(corpus, warnings=tuple(notes.told()))


def _utterance(
    name: str,
    release: _Release,
    audio: Mapping[str, str],
    ballots: Ballots,
    facts: _Facts,
    texts: Mapping[str, str],
) -> Utterance:
    podcast = _PODCAST.match(name)
    place = audio.get(name)
    if place is None and release.audio is not None:  # so that it is missed under its name
        place = (release.audio.relative_to(release.root) / f"{name}.wav").as_posix()
    return Utterance(
        id=name,
        audio=None if place is None else Path(place),
        text=texts.get(name, ""),
        speaker=facts.speaker,
        gender=facts.gender,
        dialogue=podcast[1] if podcast else "",
        split=facts.split,
        consensus=facts.consensus or "",
        language="en",
        votes=tuple(ballots.votes.pop(name, ())),
        ratings=tuple(ballots.ratings.pop(name, ())),
    )


def _find_release(root: Path) -> _Release:
    """The release in `root`, or in the only folder of `root` that holds one."""
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; {_WAY_OUT}")
    if release := _release_at(root):
        return release
    inside = [found for place in _entries(root).values() if (found := _release_at(place))]
    if len(inside) == 1:
        return inside[0]
    if inside:
        names = ", ".join(one.root.name for one in inside)
        raise CorpusError(f"{root}: several folders hold a release: {names}; name one with --root")
    raise CorpusError(
        f"{root}: has no label file: looked for {', '.join(_VOTE_FILES + _CONSENSUS_FILES[:2])} "
        f"in Labels, found {_listed(root)}; {_WAY_OUT}"
    )


def _release_at(folder: Path) -> _Release | None:
    """What stands where in a folder; None if it has no label file."""
    there = _entries(folder)

    def first(names: Iterable[str], places: Mapping[str, Path]) -> Path | None:
        return next((places[name] for name in names if name in places), None)

    labels = first(_LABEL_FOLDERS, there)
    files: dict[str, Path] = {}
    for place, folders, names in os.walk(labels) if labels is not None else ():
        folders.sort()
        for name in sorted(names):
            files.setdefault(name.lower(), Path(place, name))
    files = {**there, **files}
    votes, consensus = first(_VOTE_FILES, files), first(_CONSENSUS_FILES, files)
    if votes is None and consensus is None:
        return None
    return _Release(
        root=folder,
        audio=first(_AUDIO_FOLDERS, there),
        transcripts=first(_TEXT_FOLDERS, there),
        votes=votes,
        consensus=consensus,
        splits=first(_SPLIT_FILES, files),
        speakers=first(_SPEAKER_FILES, files),
    )


def _entries(folder: Path) -> dict[str, Path]:
    """What a folder holds, by name in lower case; not what macOS leaves there (`._*`)."""
    try:
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
    except OSError as error:
        raise CorpusError(f"{folder}: can't be read: {error.strerror}") from None
    return {name.lower(): folder / name for name in names if not name.startswith(".")}


def _listed(folder: Path) -> str:
    names = [place.name for place in _entries(folder).values()]
    return (", ".join(names[:8]) or "nothing") + (", ..." if len(names) > 8 else "")


def _files(release: _Release, top: Path | None, suffix: str, notes: Notes) -> dict[str, str]:
    """The files below a folder: name without suffix -> path relative to the release."""
    found: dict[str, str] = {}
    for folder, folders, names in os.walk(top) if top is not None else ():
        folders.sort()
        place = Path(folder).relative_to(release.root).as_posix()
        for name in sorted(names):
            stem, ending = name[: -len(suffix)], name[-len(suffix) :]
            if name.startswith(".") or ending.lower() != suffix:
                continue
            if stem in found:
                told = f"{place}/{name} stands as {found[stem]} already, which is the one used"
                notes.add("files that stand twice", release.root, told)
            elif not stem.isascii() and stem.encode(errors="ignore").decode() != stem:
                notes.add("names without meaning", release.root, f"{place}/{name!a} is left out")
            else:
                found[stem] = f"{place}/{name}"
    return found


def _gather_facts(release: _Release, ballots: Ballots, notes: Notes) -> dict[str, _Facts]:
    """What all files but the label file's raters say, by segment; the first that says it counts."""
    rows, splits = _read_consensus(release.consensus, notes), _read_splits(release.splits, notes)
    blocks = {
        name: _Facts(ballots.path, line, consensus=ballots.consensus.get(name))
        for name, line in ballots.first_line.items()
    }
    sources = (rows, blocks, splits, _read_speakers(release.speakers, notes))
    found = {}
    for name in sorted(set().union(*sources)):
        said = [source[name] for source in sources if name in source]
        speaker, gender, split = (_agreed(name, key, said, notes) for key in _SHARED)
        found[name] = _Facts(said[0].path, said[0].line, said[0].consensus, speaker, gender, split)
        if (rows or splits) and name not in rows and name not in splits:
            told = f"{name} stands in no consensus file and no partition; it is kept"
            notes.add("unlisted segments", f"{said[0].path}", told, line=said[0].line)
    return found


def _agreed(name: str, key: str, said: list[_Facts], notes: Notes) -> str:
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


def _read_consensus(path: Path | None, notes: Notes) -> dict[str, _Facts]:
    """The consensus file's rows by segment.

    Raises:
        CorpusError: It is of no known shape, or a segment stands in it twice.
    """
    found: dict[str, _Facts] = {}
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
        facts = _Facts(
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


def _read_splits(path: Path | None, notes: Notes) -> dict[str, _Facts]:
    """The partition's lines, "Train; NAME.wav", by segment."""
    found: dict[str, _Facts] = {}
    for line, fields in _fields(path) if path is not None else ():
        names = [one for one in fields if one.lower().endswith(".wav")]
        others = [one for one in fields if one not in names]
        if path is None or len(names) != 1 or len(others) != 1 or not segment_of(names[0]):
            _note_unreadable(path, line, fields, notes)
            continue
        facts = _Facts(path, line, split=_split(others[0], path, line, notes))
        _add_once(found, segment_of(names[0]), facts, facts.split)
    return found


def _read_speakers(path: Path | None, notes: Notes) -> dict[str, _Facts]:
    """The lines "NAME.wav; 127" by segment, with the genders of the lines "Speaker_127; Male"."""
    found: dict[str, _Facts] = {}
    genders: dict[str, str] = {}
    for line, fields in _fields(path) if path is not None else ():
        is_segment = fields[0].lower().endswith(".wav") and segment_of(fields[0])
        if is_segment and len(fields) in (2, 3):
            gender = _gender(fields[2]) if len(fields) == 3 else ""
            facts = _Facts(path, line, speaker=_speaker(fields[1]), gender=gender)
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


def _add_once(found: dict[str, _Facts], name: str, facts: _Facts, what: str) -> None:
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


def _compare(
    release: _Release,
    audio: Mapping[str, str],
    ballots: Ballots,
    facts: Mapping[str, _Facts],
    notes: Notes,
) -> None:
    """Tell where labels, audio and consensus do not fit each other.

    Raises:
        CorpusError: No segment that is labelled has audio, and there is audio.
    """
    if audio and facts.keys().isdisjoint(audio):
        some, other = min(audio), min(facts)
        raise CorpusError(
            f"{release.root}: no audio file belongs to a label ({some}.wav and {other}, for "
            "example): they are of different releases; unpack one release into one folder"
        )
    for name in sorted(facts.keys() - audio.keys()) if audio else ():
        place, line = facts[name].path, facts[name].line
        notes.add("audio files missing", f"{place}", f"{name} has no audio file", line=line)
    for name in sorted(audio.keys() - facts.keys()):
        told = f"{audio[name]} stands in no label file and no partition; it is kept without votes"
        notes.add("audio without labels", release.root, told)
    for name, votes in ballots.votes.items():
        counts = Counter(vote.label for vote in votes if vote.primary)
        winners = [label for label, count in counts.items() if count == max(counts.values())]
        consensus = facts[name].consensus
        if consensus is None or not winners or consensus in winners:
            continue
        if consensus or len(winners) == 1:
            told = f"{name}: the consensus is {consensus or 'none'}, the votes' {'/'.join(winners)}"
            notes.add("consensus against votes", f"{facts[name].path}", told, line=facts[name].line)


def _read_texts(
    release: _Release, places: Mapping[str, str], wanted: Collection[str], notes: Notes
) -> dict[str, str]:
    """The transcripts by segment, each in one line, but empty ones."""
    texts: dict[str, str] = {}
    for name, place in places.items():
        if name not in wanted:
            told = f"{place} belongs to no segment and is left out"
            notes.add("transcripts without segments", release.root, told)
            continue
        try:
            with open(f"{release.root}/{place}", "rb") as file:
                data = file.read()
        except OSError as error:
            told = f"{place} can't be read: {error.strerror}"
            notes.add("unreadable transcripts", release.root, told)
            continue
        if text := " ".join(decoded(data).split()):
            texts[name] = text
    return texts


def _count_gaps(release: _Release, corpus: Corpus, notes: Notes) -> None:
    """Tell in a line each what the release lacks, and what is missing from how many segments."""
    for name, folder in (("audio", "Audios/*.wav"), ("text", "Transcripts/*.txt")):
        if name not in corpus.modalities:
            notes.add(name, release.root, f"no {folder}; the corpus is read without {name}")
    if release.votes is None:
        told = f"no {', '.join(_VOTE_FILES)}; without raters' votes nothing can be trained on it"
        notes.add("votes", release.root, told)
    gaps = {
        "votes: they are for prediction": [one for one in corpus.utterances if not one.votes],
        "transcript": [one for one in corpus.utterances if not one.text],
        "known speaker: group them by dialogue": [
            one for one in corpus.utterances if not one.speaker
        ],
        "split": [one for one in corpus.utterances if not one.split],
    }
    if "text" not in corpus.modalities:
        del gaps["transcript"]
    for what, missing in gaps.items():
        if missing:
            counts = Counter(one.split or "no split" for one in missing).most_common()
            parts = ", ".join(f"{split} {count}" for split, count in counts)
            told = f"{len(missing)} of {len(corpus.utterances)} segments ({parts}) have no {what}"
            notes.add(what, release.root, told)
