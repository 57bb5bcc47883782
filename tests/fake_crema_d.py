"""Makes a folder with CREMA-D's layout, of any size, seeded; says what it put in, record by record.

Votes are random. `odd` adds rows that can't be read and files that don't belong, none of which
changes what a reader must find.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from amber_cache.records import Utterance, Vote
from tests.fake_iemocap import write_lines, write_noise

#: In the table's column order.
LETTERS = {"A": "angry", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad"}
SHOWN = (("1", "voice"), ("2", "face"), ("3", "multimodal"))
TEXTS = {
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
NUM_REAL_CLIPS, NUM_REAL_ACTORS = 7_442, 91

_ACTED = ("ANG", "DIS", "FEA", "HAP", "SAD")
_COLUMNS = ("", *LETTERS, "fileName", "numResponses", "agreement", "emoVote", "meanEmoResp")


@dataclass
class FakeCremaD:
    """What was made.

    Attributes:
        root: The release's folder.
        utterances: What a reader must find, sorted by id.
        winners: (clip, kind) -> the letters with most votes, as the table's emoVote has them.
        flaws: "file, line N" of everything that can't be read.
        unvoted: Audio files without votes, relative to the root.
        silent: Audio files that are not there though the clip has votes.
    """

    root: Path
    utterances: tuple[Utterance, ...] = ()
    winners: dict[tuple[str, str], str] = field(default_factory=dict)
    flaws: list[str] = field(default_factory=list)
    unvoted: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)


def make_crema_d(
    root: Path,
    *,
    actors: Sequence[int] = (1001, 1040, 1091),
    sentences: Sequence[str] = ("IEO", "ITH"),
    seed: int = 0,
    audio: bool = True,
    odd: bool = False,
    real_size: bool = False,
) -> FakeCremaD:
    """Make a release.

    Args:
        root: Where processedResults and its like are put; made if it isn't there.
        actors: Their numbers.
        sentences: What each says, as the clips' names have it.
        seed: Of everything random.
        audio: Write 50 ms of noise for each clip, or no audio at all.
        odd: Add everything that a reader has to read past; needs audio and actor 1001.
        real_size: The release's own counts instead of the ones above.
    """
    rng = random.Random(seed)
    made = FakeCremaD(root)
    if real_size:
        actors, sentences = range(1001, 1001 + NUM_REAL_ACTORS), tuple(TEXTS)
    clips = [clip for actor in actors for clip in _clips(actor, sentences)]
    clips = clips[:NUM_REAL_CLIPS] if real_size else clips
    sexes = {str(actor): ("Female", "Male")[actor % 2] for actor in actors}
    votes = {clip: {kind: _votes(rng) for _, kind in SHOWN} for clip in clips}
    made.utterances = tuple(_utterance(clip, votes[clip], sexes) for clip in sorted(clips))
    _write_table(made, clips, votes, odd=odd)
    names = [f'{number},"{clip}"' for number, clip in enumerate(clips, start=1)]
    write_lines(root / "SentenceFilenames.csv", ['"Stimulus_Number","Filename"', *names])
    people = [f'{actor},30,"{sex}","Unknown","Not Hispanic"' for actor, sex in sexes.items()]
    if odd:
        people = [line.replace("Unknown", "Créole") + "  " for line in people]
    ends = ("\r", "\r\n") if odd else ("\n",)
    encoding = "latin-1" if odd else "utf-8"
    write_lines(
        root / "VideoDemographics.csv",
        ["ActorID,Age,Sex,Race,Ethnicity", *people],
        ends=ends,
        encoding=encoding,
    )
    for one in made.utterances if audio else ():
        write_noise(root / str(one.audio), rng)
    if odd:
        _add_odd_files(made, rng)
    return made


def _clips(actor: int, sentences: Sequence[str]) -> Iterator[str]:
    """One sentence is acted at three levels, the others at one that is not named."""
    for sentence in sentences:
        yield f"{actor}_{sentence}_NEU_XX"
        for acted in _ACTED:
            for level in ("LO", "MD", "HI") if sentence == "IEO" else ("XX",):
                yield f"{actor}_{sentence}_{acted}_{level}"


def _votes(rng: random.Random) -> dict[str, int]:
    """Votes by letter, four to twelve in all."""
    cast = rng.choices(tuple(LETTERS), weights=[rng.random() ** 3 + 0.01 for _ in LETTERS], k=12)
    cast = cast[: rng.randint(4, 12)]
    return {letter: cast.count(letter) for letter in LETTERS}


def _winner(votes: dict[str, int]) -> str:
    return ":".join(letter for letter, n in votes.items() if n == max(votes.values()))


def _utterance(clip: str, votes: dict[str, dict[str, int]], sexes: dict[str, str]) -> Utterance:
    stem = "1040_ITH_SAD_X" if clip == "1040_ITH_SAD_XX" else clip
    return Utterance(
        id=clip,
        audio=Path("AudioWAV") / f"{stem}.wav",
        text=TEXTS[clip[5:8]],
        speaker=clip[:4],
        gender=sexes[clip[:4]].lower(),
        style="scripted",
        consensus=LETTERS.get(_winner(votes["multimodal"]), ""),
        language="en",
        votes=tuple(
            Vote("", label, kind)
            for _, kind in SHOWN
            for letter, label in LETTERS.items()
            for _ in range(votes[kind][letter])
        ),
    )


def _row(number: str, clip: str, votes: dict[str, int]) -> str:
    total = sum(votes.values())
    counts = ",".join(str(n) for n in votes.values())
    share = max(votes.values()) / total
    return f'"{number}",{counts},"{clip}",{total},{share},"{_winner(votes)}",51.5'


def _write_table(
    made: FakeCremaD,
    clips: Sequence[str],
    votes: dict[str, dict[str, dict[str, int]]],
    *,
    odd: bool,
) -> None:
    lines = [",".join(f'"{name}"' for name in _COLUMNS)]
    for digit, kind in SHOWN:
        for number, clip in enumerate(clips, start=1):
            made.winners[clip, kind] = _winner(votes[clip][kind])
            lines.append(_row(f"{digit}{number:05d}", clip, votes[clip][kind]))
    file = "processedResults/tabulatedVotes.csv"
    if odd:
        lines = ["\ufeff" + lines[0], *(f"{line} " for line in lines[1:]), " "]
        flawed = _flawed_rows(clips, votes)
        made.flaws += [f"{file}, line {len(lines) + place}" for place in range(1, len(flawed) + 1)]
        lines += flawed
    write_lines(made.root / file, lines, ends=("\r\n", "\n", "\r") if odd else ("\n",))


def _flawed_rows(
    clips: Sequence[str], votes: dict[str, dict[str, dict[str, int]]]
) -> tuple[str, ...]:
    """Rows that must not count: most would be a second row of a clip if they were read."""
    whole = _row("100001", clips[0], votes[clips[0]]["voice"])
    return (
        whole[: whole.index(clips[0]) + 6],
        whole.replace('"100001"', '"400001"'),
        _row("100002", clips[0], votes[clips[0]]["voice"]),
        f'"100001",0,0,1,0,0,0,"{clips[0]}",2,0.5,"F",51.5',
        f'"100001",0,0,some,0,0,0,"{clips[0]}",1,0.5,"F",51.5',
    )


def _add_odd_files(made: FakeCremaD, rng: random.Random) -> None:
    audio = made.root / "AudioWAV"
    (audio / f"._{made.utterances[0].id}.wav").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    made.unvoted.append("AudioWAV/1001_TSI_ANG_XX.wav")
    write_noise(made.root / made.unvoted[0], rng)
    made.silent.append(str(made.utterances[-1].audio))
    (made.root / made.silent[0]).unlink()
