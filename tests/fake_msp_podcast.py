"""Makes folders laid out as MSP-Podcast's releases are, of any size, and says what it put in.

Everything is drawn from the seed. With `odd` the files also hold what real copies hold: a
byte-order mark, mixed line ends, Latin-1 bytes, trailing spaces, doubled separators, lines cut off,
words that are no label, raters who stand twice, files that macOS left, gaps in every place.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

#: Code in the consensus file -> word in a rater's line, label.
CODES = {
    "A": ("Angry", "angry"),
    "S": ("Sad", "sad"),
    "H": ("Happy", "happy"),
    "U": ("Surprise", "surprise"),
    "F": ("Fear", "fear"),
    "D": ("Disgust", "disgust"),
    "C": ("Contempt", "contempt"),
    "N": ("Neutral", "neutral"),
}
WORDS = dict(CODES.values())
FREE_TEXTS = ("Other-confused", "OTHER-bored (tired)", "other", "Other-wry. Dry?")
SECONDARY = ("Amused", "Frustrated", "Depressed", "Concerned", "Disappointed", "Excited") + (
    "Confused",
    "Annoyed",
    "Other-relieved",
)
DIMENSIONS = ("arousal", "valence", "dominance")
ODD_SEGMENT = "MSP-PODCAST_9999_0001"


class Layout(NamedTuple):
    """How a release differs from the others."""

    labels: str = "Labels"
    consensus: str = "labels_consensus.csv"
    detailed: str = "lines"
    rater_column: str = "Workers"
    development: str = "Development"
    partitions: str = "Partitions.txt"
    has_transcripts: bool = True
    has_test3: bool = True


RELEASES = {
    "1.8": Layout(
        consensus="labels_concensus.csv",
        development="Validation",
        has_transcripts=False,
        has_test3=False,
    ),
    "1.9": Layout(labels="labels", consensus="labels_concensus.csv", has_test3=False),
    "1.10": Layout(has_transcripts=False, has_test3=False),
    "1.11": Layout(partitions="Partition.txt"),
    "1.12": Layout(),
    "2.0": Layout(detailed="columns", rater_column="WorkerID"),
}


class Opinion(NamedTuple):
    """A rater's line: what is written, and the labels it means."""

    rater: str
    primary: str
    secondary: str | None
    levels: tuple[str, str, str]
    labels: tuple[tuple[str, bool], ...]


@dataclass(slots=True)
class Segment:
    """What was put in for a segment; the fields are as the reader must give them."""

    id: str
    split: str
    speaker: str
    gender: str
    text: str = ""
    consensus: str = ""
    has_audio: bool = True
    is_listed: bool = True
    opinions: list[Opinion] = field(default_factory=list)

    @property
    def votes(self) -> list[tuple[str, str, bool]]:
        """(rater, label, is primary) in the order of the lines."""
        return [(one.rater, label, first) for one in self.opinions for label, first in one.labels]

    @property
    def ratings(self) -> list[tuple[str, str, float]]:
        """(rater, dimension, value) in the order of the lines, but the empty ones."""
        return [
            (one.rater, name, float(level))
            for one in self.opinions
            for name, level in zip(DIMENSIONS, one.levels, strict=True)
            if level not in ("", "NaN")
        ]


def make_msp_podcast(
    root: Path,
    *,
    release: str = "1.12",
    num_segments: int = 40,
    num_votes: int = 240,
    num_raters: int = 30,
    seed: int = 0,
    label_files: tuple[str, ...] = ("labels_detailed.csv", "labels.txt", "labels_detailed.json"),
    has_consensus: bool = True,
    detailed: str | None = None,
    nested: bool = False,
    odd: bool = False,
    has_media: bool = True,
) -> dict[str, Segment]:
    """Make a release, and give its segments by id.

    Args:
        num_votes: Primary votes; they are spread as evenly as they go, but over no Test3 segment.
        detailed: "lines" or "columns", the shape of labels_detailed.csv; None: the release's own.
        nested: Audio and transcripts lie one folder deeper.
        odd: With what real copies hold; needs 20 segments and 60 votes.
        has_media: With audio (empty files) and, where the release has them, transcripts.
    """
    layout = RELEASES[release]
    layout = layout._replace(detailed=detailed or layout.detailed)
    random = np.random.default_rng(seed)
    segments = _segments(random, layout, num_segments)
    _give_opinions(random, segments, num_votes, num_raters)
    if odd:
        _make_odd(segments)
    for one in segments:
        one.consensus = _consensus(one)
    labels = root / layout.labels
    labels.mkdir(parents=True)
    for name in label_files:
        if name.endswith(".json"):
            (labels / name).write_text(_json_labels(segments), encoding="utf-8")
        else:
            _write(labels / name, _label_lines(name, segments, layout, odd=odd), odd=odd)
    if has_consensus:
        _write(labels / layout.consensus, _consensus_lines(segments), odd=odd)
    _write(root / layout.partitions, _partition_lines(segments), odd=odd)
    _write(root / "Speaker_ids.txt", _speaker_lines(segments), odd=odd)
    if has_media:
        _write_media(root, layout, segments, nested=nested, odd=odd)
    if odd:
        segments.append(Segment(ODD_SEGMENT, split="", speaker="", gender=""))
    if label_files[:1] != ("labels.txt",):  # only labels.txt has a consensus of its own
        for one in segments:
            one.consensus *= has_consensus and one.is_listed
    return {one.id: one for one in segments}


def _segments(random: np.random.Generator, layout: Layout, number: int) -> list[Segment]:
    splits = ["Train", "Train", "Train", layout.development, "Test1", "Test2"]
    num_test3 = number // 20 if layout.has_test3 else 0
    speakers = random.integers(0, max(number // 40, 2), number)
    made = []
    for i, speaker in enumerate(speakers.tolist()):
        if i >= number - num_test3:
            made.append(Segment(_id(i), "Test3", "", ""))
        elif speaker == 0:
            made.append(Segment(_id(i), splits[i % 6], "", "", text=f"segment {i} says so."))
        else:
            gender = "female" if speaker % 2 else "male"
            text = f"Segment {i}, it's said, has words."
            made.append(Segment(_id(i), splits[i % 6], str(speaker), gender, text=text))
    if not layout.has_transcripts:
        made = [replace(one, text="") for one in made]
    return made


def _id(number: int) -> str:
    return f"MSP-PODCAST_{number // 60 + 1:04d}_{number % 60:04d}"


def _give_opinions(
    random: np.random.Generator, segments: list[Segment], num_votes: int, num_raters: int
) -> None:
    labelled = [one for one in segments if one.split != "Test3"]
    words = [*WORDS.items(), *((text, "other") for text in FREE_TEXTS)]
    second = [_secondary(random) for _ in range(500)]
    levels = [(f"{a}.000000", f"{v}.000000", f"{d}.000000") for a, v, d in np.ndindex(8, 8, 8)]
    raters = [f"WORKER{number:08d}" for number in range(1, num_raters + 1)]
    drawn = zip(
        random.integers(len(words), size=num_votes).tolist(),
        random.integers(len(second), size=num_votes).tolist(),
        random.integers(1, 8, size=(num_votes, 3)).tolist(),
        strict=True,
    )
    for number, (word, other, (a, v, d)) in enumerate(drawn):
        one = labelled[number * len(labelled) // num_votes]
        rater = raters[(7 * number) % num_raters]  # nobody comes twice within a segment
        (primary, label), (text, named) = words[word], second[other]
        level = levels[64 * a + 8 * v + d]
        one.opinions.append(Opinion(rater, primary, text, level, ((label, True), *named)))


def _secondary(random: np.random.Generator) -> tuple[str | None, tuple[tuple[str, bool], ...]]:
    """Some secondary choices, as written and as meant; the field may be missing."""
    words = [*WORDS, *SECONDARY]
    count = int(random.integers(-1, 4))
    if count < 0:
        return None, ()
    chosen = [words[i] for i in random.permutation(len(words))[:count]]
    meant = ("other" if one.startswith("Other") else one.lower() for one in chosen)
    return ",".join(chosen), tuple((label, False) for label in meant)


def _make_odd(segments: list[Segment]) -> None:
    """Some segments get what is wrong in single lines; more is added where lines are written."""
    one = segments[1].opinions[0]  # words that are no label
    labels = (("neutral", False),)
    odd = one._replace(primary="Bewildered", secondary="Neutral,Wistful", labels=labels)
    segments[1].opinions[0] = odd
    again = segments[2].opinions[0]  # a rater stands twice
    word, label = next(pair for pair in WORDS.items() if pair[1] != again.labels[0][0])
    segments[2].opinions.append(again._replace(primary=word, labels=((label, True),), secondary=""))
    one = segments[3].opinions[0]  # bytes that are no UTF-8
    labels = (("other", True),)
    segments[3].opinions[0] = one._replace(primary="Other-blasé", secondary="", labels=labels)
    segments[3].text = segments[3].text and "a café, naïve"
    segments[4].has_audio = False
    segments[5].is_listed = False
    segments[5].split = segments[5].speaker = segments[5].gender = ""
    one = segments[6].opinions[0]  # ratings that are none
    segments[6].opinions[0] = one._replace(levels=("NaN", "", one.levels[2]))
    segments[7].text = ""
    segments[8].speaker, segments[8].text = "NA", segments[8].text and "NA"
    segments[9].opinions.clear()


def _consensus(segment: Segment) -> str:
    counts = Counter(
        one.labels[0][0] for one in segment.opinions if one.labels and one.labels[0][1]
    ).most_common(2)
    return counts[0][0] if counts and (len(counts) == 1 or counts[0][1] > counts[1][1]) else ""


def _code(segment: Segment) -> str:
    codes = {label: code for code, (_, label) in CODES.items()}
    return {"": "X", "other": "O", **codes}[segment.consensus]


def _label_lines(name: str, segments: list[Segment], layout: Layout, *, odd: bool) -> Iterator[str]:
    labelled = [one for one in segments if one.split != "Test3"]
    if name == "labels.txt":
        for number, one in enumerate(labelled):
            yield f"{one.id}.wav; {_code(one)}; A:2.400000; V:4.000000; D:2.800000;"
            yield from _opinion_lines(one, number, odd=odd)
            yield ""
        if odd:
            yield from ("MSP-PODCAST_0001_00", *_opinion_lines(segments[0], 0, odd=False), "")
    elif layout.detailed == "lines":
        yield "FileName,EmoDetail"
        for number, one in enumerate(labelled):
            for text in _opinion_lines(one, number, odd=odd):
                yield f'{one.id}.wav,"{text}"' if "," in text else f"{one.id}.wav,{text}"
    else:
        names = ("EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom")
        yield ",".join(("FileName", layout.rater_column, *names))
        for number, one in enumerate(labelled):
            for rater, primary, second, level, _ in one.opinions:
                quoted = f'"{second}"' if second and "," in second else second or ""
                yield f"{one.id}.wav,{rater},{primary},{quoted},{','.join(level)}"
            if odd and number == 0:
                yield f"{one.id}.wav,WORKER00000044,Surp"


def _opinion_lines(segment: Segment, number: int, *, odd: bool) -> Iterator[str]:
    for i, (rater, primary, secondary, (a, v, d), _) in enumerate(segment.opinions):
        middle = primary if secondary is None else f"{primary}; {secondary}"
        line = f"{rater}; {middle}; A:{a}; V:{v}; D:{d};"
        if odd and number % 3 == 1:
            line = line.replace("; ", ";; ", 1 + i % 2)
        yield line + "  \t" * (odd and i % 2)
    if odd and number == 0:
        yield "WORKER00000044; Surp"


def _json_labels(segments: list[Segment]) -> str:
    """Written by hand, as a rater who stands twice has the same name twice."""
    files = []
    for one in segments:
        raters = []
        for rater, primary, secondary, (a, v, d), _ in one.opinions:
            said = {"EmoClass_Major": primary, "EmoClass_Second": secondary or ""}
            said |= {"EmoAct": a, "EmoVal": v, "EmoDom": d}
            raters.append(f'"{rater}": {json.dumps(said)}')
        if one.split != "Test3":
            files.append(f'"{one.id}.wav": {{{", ".join(raters)}}}')
    return "{" + ",\n".join(files) + "}"


def _consensus_lines(segments: list[Segment]) -> Iterator[str]:
    yield "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
    for one in segments:
        if one.is_listed and one.split != "Test3":
            who = f"{one.speaker or 'Unknown'},{one.gender.capitalize() or 'Unknown'}"
            yield f"{one.id}.wav,{_code(one)},2.4,4.0,2.8,{who},{one.split}"


def _partition_lines(segments: list[Segment]) -> Iterator[str]:
    return (f"{one.split}; {one.id}.wav" for one in segments if one.is_listed)


def _speaker_lines(segments: list[Segment]) -> Iterator[str]:
    listed = [one for one in segments if one.is_listed and one.split != "Test3"]
    for speaker, gender in sorted({(one.speaker, one.gender) for one in listed if one.gender}):
        yield f"Speaker_{speaker}; {gender.capitalize()}"
    yield ""
    yield from (f"{one.id}.wav; {one.speaker or 'Unknown'}" for one in listed)


def _write(path: Path, lines: Iterable[str], *, odd: bool) -> None:
    with path.open("wb") as file:
        file.write(b"\xef\xbb\xbf" * odd)
        for number, line in enumerate(lines):
            end = (b"\n", b"\r\n", b"\r")[number % 3] if odd else b"\n"
            line = line or " " * odd  # two ends beside each other could be one
            file.write(line.encode("latin-1" if odd else "utf-8") + end)


def _write_media(
    root: Path, layout: Layout, segments: list[Segment], *, nested: bool, odd: bool
) -> None:
    audio = root / "Audios" / ("Audio" if nested else "")
    texts = root / "Transcripts" / ("Transcripts" if nested else "")
    audio.mkdir(parents=True)
    names = [one.id for one in segments if one.has_audio]
    if odd:
        names += [ODD_SEGMENT, f"._{segments[0].id}"]
    for name in names:
        open(f"{audio}/{name}.wav", "wb").close()
    if not layout.has_transcripts:
        return
    texts.mkdir(parents=True)
    encoding = "latin-1" if odd else "utf-8"
    for one in segments:
        if one.text:
            with open(f"{texts}/{one.id}.txt", "wb") as file:
                file.write(one.text.replace(", ", ",\n").encode(encoding))
    if odd:
        (texts / "MSP-PODCAST_8888_0001.txt").write_text("nobody said that", encoding="utf-8")
        (texts / f"._{segments[0].id}.txt").write_bytes(b"\0\5\x16\7")
