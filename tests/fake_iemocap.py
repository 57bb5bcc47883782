"""Makes a folder with IEMOCAP's layout, of any size, seeded; says what it put in, record by record.

Words, votes, ratings and times are random. `odd` adds to the first session what copies of the
release suffer from; a reader must find the same as without, and name the lines it can't read.
"""

from __future__ import annotations

import random
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, cycle, islice, product
from pathlib import Path

from amber_cache.records import Rating, Utterance, Vote

#: The full release: dialogues and utterances of each session.
REAL_SIZES = ((28, 1819), (30, 1811), (32, 2136), (30, 2103), (31, 2170))

#: (the raters' word, the label it stands for, the consensus code)
WORDS = (
    ("Neutral", "neutral", "neu"),
    ("Neutral state", "neutral", "neu"),
    ("Frustration", "frustrated", "fru"),
    ("Excited", "excited", "exc"),
    ("Happiness", "happy", "hap"),
    ("Anger", "angry", "ang"),
    ("Sadness", "sad", "sad"),
    ("Other", "other", "oth"),
    ("Surprise", "surprise", "sur"),
    ("Fear", "fear", "fea"),
    ("Disgust", "disgust", "dis"),
)
LABELS = tuple(sorted({label for _, label, _ in WORDS}))

_SCENES = ("impro01", "script01_1", "impro05a", "script03_2", "impro02", "script01_1b")
_SPEECH = ("well", "yes", "no", "it's", "Café", "...", "tell", "me:", "about", "(laughs)", "[what]")
_DIMENSIONS = (("val", "valence"), ("act", "arousal"), ("dom", "dominance"))
_ODD_LINE_ENDS = (("\r\n", "\n"), ("\r",), ("\r\r\n",), ("\n", "\r", "\r\n"))


@dataclass
class FakeIemocap:
    """What was made.

    Attributes:
        root: The folder with the sessions.
        utterances: What a reader must find, sorted by id.
        flaws: "file, line N" of everything that can't be read; the file relative to the root.
        unlabelled: Audio files without labels, relative to the root.
        silent: Audio files that are not there though the utterance has labels.
    """

    root: Path
    utterances: tuple[Utterance, ...] = ()
    flaws: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)


def make_iemocap(
    root: Path,
    *,
    dialogues: int = 2,
    utterances: int = 4,
    sessions: Sequence[int] = (1, 2, 3, 4, 5),
    seed: int = 0,
    audio: bool = True,
    odd: bool = False,
    real_size: bool = False,
) -> FakeIemocap:
    """Make a release.

    Args:
        root: Where Session1 and its like are put; made if it isn't there.
        dialogues: Of each session.
        utterances: Of each dialogue.
        sessions: Their numbers.
        seed: Of everything random.
        audio: Write 50 ms of noise for each utterance, or no audio at all.
        odd: Add everything that a reader has to read past; needs two dialogues and audio.
        real_size: The release's own counts instead of the ones above.
    """
    rng = random.Random(seed)
    made = FakeIemocap(root)
    plan: list[Utterance] = []
    for place, session in enumerate(sessions):
        parts, total = REAL_SIZES[session - 1] if real_size else (dialogues, dialogues * utterances)
        for number, name in enumerate(islice(_dialogue_names(session), parts)):
            size = total // parts + (number < total % parts)
            talk = list(_dialogue(name, session, size, rng))
            ends = _ODD_LINE_ENDS[number % 4] if odd and place == 0 else ("\n",)
            _write_labels(made, talk, rng, ends=ends, odd=odd and place == 0)
            _write_texts(made, talk, ends=ends, odd=odd and place == 0)
            for one in talk if audio else ():
                write_noise(root / str(one.audio), rng)
            plan += talk
    if odd:
        plan = _make_odd(made, plan, rng)
    made.utterances = tuple(sorted(plan, key=lambda one: one.id))
    return made


def write_noise(path: Path, rng: random.Random, *, num_samples: int = 800) -> None:
    """Write a WAV file: mono, 16 kHz, 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(rng.randbytes(2 * num_samples))


def write_lines(
    path: Path, lines: Sequence[str], *, ends: Sequence[str] = ("\n",), encoding: str = "utf-8"
) -> None:
    """Write lines that end in one of `ends` by turns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(line + end for line, end in zip(lines, cycle(ends), strict=False))
    path.write_bytes(text.encode(encoding))


def _dialogue_names(session: int) -> Iterator[str]:
    """Improvised and scripted, with F and M in motion capture by turns, without end."""
    for scene, sex in product((*_SCENES, *(f"impro{n:02d}" for n in range(6, 99))), "FM"):
        yield f"Ses0{session}{sex}_{scene}"


def _dialogue(name: str, session: int, size: int, rng: random.Random) -> Iterator[Utterance]:
    number = {"F": count(), "M": count()}
    place_s = 0.0
    for sex in islice(cycle("FM"), size):
        place_s = round(place_s + rng.uniform(1, 9), 4)
        identifier = f"{name}_{sex}{next(number[sex]):03d}"
        yield Utterance(
            id=identifier,
            audio=Path(f"Session{session}/sentences/wav/{name}/{identifier}.wav"),
            place_s=place_s,
            text=" ".join(rng.choices(_SPEECH, k=rng.randint(1, 9))),
            speaker=f"Ses0{session}{sex}",
            gender={"F": "female", "M": "male"}[sex],
            session=f"Session{session}",
            dialogue=name,
            style="improvised" if "impro" in name else "scripted",
            consensus=rng.choice(["", *LABELS]),
            language="en",
            votes=tuple(_votes(session, sex, rng)),
            ratings=tuple(_ratings(session, sex, rng)),
        )


def _raters(session: int, sex: str) -> tuple[tuple[str, str], ...]:
    return *((name, "external") for name in ("E2", "E3", "E4")), (f"{sex}{session}", "self")


def _votes(session: int, sex: str, rng: random.Random) -> Iterator[Vote]:
    for rater, kind in _raters(session, sex):
        for label in rng.sample(LABELS, rng.choice([0, 1, 1, 1, 1, 2, 3])):
            yield Vote(rater, label, kind)


def _ratings(session: int, sex: str, rng: random.Random) -> Iterator[Rating]:
    for rater, kind in _raters(session, sex)[1:]:
        for _, dimension in _DIMENSIONS:
            if rng.random() < 0.95:
                yield Rating(rater, dimension, float(rng.randint(1, 5)), kind)


def _block(
    one: Utterance, rng: random.Random, *, tab: str = "\t", comment: str = "()"
) -> list[str]:
    """An utterance's lines in an evaluation file; raters who said nothing have blanks."""
    code = next((code for _, label, code in WORDS if label == one.consensus), "xxx")
    start_s = one.place_s or 0.0
    times = f"[{start_s:.4f} - {start_s + 1:.4f}]"
    lines = [f"{times}{tab}{one.id}{tab}{code}{tab}[2.5000, 2.5000, 2.5000]"]
    raters = _raters(int(one.session[-1]), one.speaker[-1])
    for name, _ in raters:
        labels = [vote.label for vote in one.votes if vote.rater == name]
        words = [rng.choice([w for w, label, _ in WORDS if label == mine]) for mine in labels]
        marks = " ".join(f"{word};" for word in words) or rng.choice(["", ";"])
        lines.append(f"C-{name}:{tab}{marks}{tab}{comment}")
    for name, _ in raters[1:]:
        values = {r.dimension: f"{r.value:.0f}" for r in one.ratings if r.rater == name}
        marks = " ".join(f"{short} {values.get(long, '')};" for short, long in _DIMENSIONS)
        lines.append(f"A-{name}:{tab}{marks}{tab}{comment}")
    return lines


def _write_labels(
    made: FakeIemocap,
    talk: Sequence[Utterance],
    rng: random.Random,
    *,
    ends: Sequence[str],
    odd: bool,
) -> None:
    file = f"{talk[0].session}/dialog/EmoEvaluation/{talk[0].dialogue}.txt"
    head = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"
    lines = ["\ufeff" + head if odd and ends[0] == "\r\n" else head, " "]
    for number, one in enumerate(talk):
        if not odd:
            lines += [*_block(one, rng), ""]
            continue
        lines += [
            f"{line}  " for line in _block(one, rng, tab="\t\t", comment="(caf\xe9 (so;) \x85)")
        ]
        if number == 0:
            lines += _flawed_lines(made, one, file, first=len(lines) + 1)
        lines.append(" ")
    encoding = "utf-8" if lines[0].startswith("\ufeff") or not odd else "latin-1"
    write_lines(made.root / file, lines, ends=ends, encoding=encoding)


def _flawed_lines(made: FakeIemocap, one: Utterance, file: str, *, first: int) -> list[str]:
    """What can't be read, at the end of an utterance's block: none of it may count anywhere."""
    stranger = replace(one, id=f"Ses0{int(one.session[-1]) % 5 + 1}F_impro01_F900")
    lines = [
        "C-E5:\tBored;\t()",
        "C-E6:\tAng",
        "A-E",
        " ",
        f"[12.3400 - 15.67\t{one.dialogue}_F901\tneu\t[2.5000, 2.5000, 2.5000]",
        "C-E2:\tFear;\t()",
        "C-E3:\tFear;\t()",
        " ",
        *_block(stranger, random.Random(0)),
    ]
    made.flaws += [f"{file}, line {first + place}" for place in (0, 1, 2, 4, 8)]
    return lines


def _write_texts(
    made: FakeIemocap, talk: Sequence[Utterance], *, ends: Sequence[str], odd: bool
) -> None:
    place = made.root / talk[0].session / "dialog" / "transcriptions" / f"{talk[0].dialogue}.txt"
    lines = ["M: [no utterance's line]"]
    for one in talk:
        start_s = one.place_s or 0.0
        lines.append(f"{one.id} [{start_s:08.4f}-{start_s + 1:08.4f}]: {one.text}" + "  " * odd)
    lines.append(f"{talk[0].dialogue}_MXX0 [000.1000-000.2000]: Not evaluated.")
    write_lines(place, lines, ends=ends, encoding="latin-1" if odd else "utf-8")


def _make_odd(made: FakeIemocap, plan: list[Utterance], rng: random.Random) -> list[Utterance]:
    """What is there and does not belong, and what is missing."""
    session = plan[0].session
    labels = made.root / session / "dialog" / "EmoEvaluation"
    texts = made.root / session / "dialog" / "transcriptions"
    for part, kind in (
        ("Categorical", "e2_cat"),
        ("Attribute", "e2_atr"),
        ("Self-evaluation", "f1"),
    ):
        write_lines(labels / part / f"{plan[0].dialogue}_{kind}.txt", [f"{plan[0].id} :Fear; ()"])
        write_lines(labels / part / f"{plan[0].dialogue}.txt", _block(plan[0], rng))
    for folder in (labels, texts):
        (folder / f"._{plan[0].dialogue}.txt").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    wav = made.root / str(plan[0].audio)
    wav.with_name(f"._{wav.name}").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    extra = f"{session}/sentences/wav/{plan[0].dialogue}/{plan[0].dialogue}_F999.wav"
    write_noise(made.root / extra, rng)
    made.unlabelled.append(extra)
    made.silent.append(str(plan[1].audio))
    (made.root / made.silent[0]).unlink()
    lost = [one for one in plan if one.session == session][-1].dialogue
    (texts / f"{lost}.txt").unlink()
    return [replace(one, text="") if one.dialogue == lost else one for one in plan]
