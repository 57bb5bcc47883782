"""What the demo corpus says, how it is spoken and what its raters vote: a pure plan.

Only the standard library is used, and all chance is `random.Random`, whose stream does not change
between Python versions: `make_plan` and `tables` give the same bytes everywhere. make_demo.py
has the plan spoken. How the raters decide stands in `choice_probabilities` and `draw_vote`.
"""

from __future__ import annotations

import csv
import io
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

EMOTIONS = ("neutral", "happy", "angry", "sad")
NUM_SESSIONS, NUM_DIALOGUES, GENDERS = 5, 6, "FM"


class Prosody(NamedTuple):
    """How an utterance is spoken, or how an emotion moves that away from neutral.

    `rate` is the log of a factor on words a minute; `pitch` and `range` are espeak-ng's units
    (0 to 99) and per cent; `level` is in dB; `tilt` > 0 makes the voice brighter, < 0 duller.
    """

    rate: float
    pitch: float
    range: float
    level: float
    tilt: float


#: What full expression of an emotion changes; a voice that shows it in part is nearer to neutral.
PROSODY = {
    "neutral": Prosody(0.0, 0.0, 0.0, 0.0, 0.0),
    "happy": Prosody(0.10, 20.0, 70.0, 2.0, 0.10),
    "angry": Prosody(0.20, 5.0, 10.0, 6.0, 0.50),
    "sad": Prosody(-0.25, -12.0, -60.0, -5.0, -0.40),
}
#: What one utterance differs from the next (standard deviations), so that emotions overlap.
JITTER = Prosody(0.06, 5.0, 20.0, 1.4, 0.10)


@dataclass(frozen=True, slots=True)
class Rater:
    """A simulated rater.

    Attributes:
        name: As in votes.csv.
        voice: Weight of the voice, in [0, 1]; the words have the rest.
        sensitivity: How sharply evidence becomes a choice (softmax scale); 0 would be guessing.
        slip: Probability of a label that has nothing to do with the utterance.
    """

    name: str
    voice: float
    sensitivity: float
    slip: float


RATERS = (
    Rater("R1", 0.74, 5.0, 0.02),
    Rater("R2", 0.64, 3.5, 0.03),
    Rater("R3", 0.60, 5.5, 0.02),
    Rater("R4", 0.52, 4.0, 0.04),
    Rater("R5", 0.46, 4.5, 0.03),
    Rater("R6", 0.36, 5.0, 0.02),
)
#: A rater who chose the emotion says one of these instead, with this probability.
OUTSIDE = {
    "neutral": {"other": 0.02},
    "happy": {"excited": 0.07, "surprise": 0.02},
    "angry": {"frustrated": 0.06},
    "sad": {"frustrated": 0.02, "other": 0.01},
}


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance of the plan: what is said, how, by whom, and what the raters made of it.

    Attributes:
        expression: How fully the voice shows its emotion, in [0.6, 1]; the rest is neutral.
    """

    id: str
    text: str
    speaker: str
    session: str
    dialogue: str
    voice: str
    words: str
    expression: float
    prosody: Prosody
    votes: tuple[str, ...]


def make_plan(sentences: Mapping[str, Sequence[str]], *, seed: int = 2026) -> list[Line]:
    """Deal out sentences, emotions, prosody and votes; sorted by id.

    Args:
        sentences: 75 lines for each of the four emotions of the words.
        seed: Of everything that is left to chance.
    """
    pool = {emotion: list(sentences[emotion]) for emotion in EMOTIONS}
    for emotion in EMOTIONS:
        random.Random(f"{seed} lines {emotion}").shuffle(pool[emotion])
    plan = []
    for session in range(1, NUM_SESSIONS + 1):
        for gender in GENDERS:
            pairs = emotion_pairs(session, gender)
            random.Random(f"{seed} pairs {session}{gender}").shuffle(pairs)
            for turn, (voice, words) in enumerate(pairs):
                plan.append(_line(session, gender, turn, voice, words, pool[words].pop(), seed))
    return sorted(plan, key=lambda line: line.id)


def emotion_pairs(session: int, gender: str) -> list[tuple[str, str]]:
    """Emotions of voice and words for a speaker's 30 utterances: 20 that agree, 10 that do not.

    A session's two speakers have each of the 12 pairs that disagree once, less two pairs each.
    The four pairs left out are a cyclic shift of the emotions, so that over a session every
    emotion is in the voice as often as in the words.
    """
    shift, count = 1 + session % 3, len(EMOTIONS)
    left_out = [(v, (v + shift) % count) for v in ((0, 1) if gender == "F" else (2, 3))]
    every = [(v, w) for v in range(count) for w in range(count) if v != w]
    pairs = [pair for pair in every if pair not in left_out]
    pairs += [(v, v) for v in range(count) for _ in range(5)]
    return [(EMOTIONS[v], EMOTIONS[w]) for v, w in pairs]


def _line(
    session: int, gender: str, turn: int, voice: str, words: str, text: str, seed: int
) -> Line:
    per_dialogue = 30 // NUM_DIALOGUES
    dialogue = 1 + turn // per_dialogue
    number = 1 + 2 * (turn % per_dialogue) + GENDERS.index(gender)  # the two take turns
    name = f"Demo{session:02d}{gender}_d{dialogue:02d}_{number:03d}"
    # One stream for each utterance and use: a change to the prosody leaves the votes as they are.
    expression = random.Random(f"{seed} expression {name}").uniform(0.6, 1.0)
    return Line(
        id=name,
        text=text,
        speaker=f"Demo{session:02d}{gender}",
        session=f"Demo{session:02d}",
        dialogue=f"Demo{session:02d}_d{dialogue:02d}",
        voice=voice,
        words=words,
        expression=expression,
        prosody=draw_prosody(voice, expression, random.Random(f"{seed} prosody {name}")),
        votes=tuple(
            draw_vote(rater, voice, words, expression, random.Random(f"{seed} {rater.name} {name}"))
            for rater in RATERS
        ),
    )


def draw_prosody(voice: str, expression: float, rng: random.Random) -> Prosody:
    """The emotion's prosody, as far as it is expressed, and one utterance's own deviation."""
    return Prosody(
        *(
            expression * shift + rng.gauss(0.0, jitter)
            for shift, jitter in zip(PROSODY[voice], JITTER, strict=True)
        )
    )


def choice_probabilities(
    rater: Rater, voice: str, words: str, expression: float
) -> dict[str, float]:
    """How probable it is that a rater who does not slip chooses each emotion; sums to one.

    The evidence for an emotion is the rater's weight of what speaks for it: the words, and the
    voice, whose unexpressed part counts as neutral. The choice is the softmax of sensitivity
    times evidence.

    >>> chances = choice_probabilities(RATERS[0], "angry", "happy", 1.0)
    >>> max(chances, key=chances.get)
    'angry'
    """
    evidence = dict.fromkeys(EMOTIONS, 0.0)
    evidence[words] += 1.0 - rater.voice
    evidence[voice] += rater.voice * expression
    evidence["neutral"] += rater.voice * (1.0 - expression)
    weights = {emotion: math.exp(rater.sensitivity * e) for emotion, e in evidence.items()}
    total = sum(weights.values())
    return {emotion: weight / total for emotion, weight in weights.items()}


def draw_vote(rater: Rater, voice: str, words: str, expression: float, rng: random.Random) -> str:
    """One rater's label: a slip, or an emotion by the rater's probabilities, and its wording."""
    if rng.random() < rater.slip:
        emotion = rng.choice(EMOTIONS)
    else:
        chances = choice_probabilities(rater, voice, words, expression)
        emotion = _draw(chances, rng)
    return _draw({**OUTSIDE[emotion], emotion: 1.0 - sum(OUTSIDE[emotion].values())}, rng)


def _draw(chances: Mapping[str, float], rng: random.Random) -> str:
    (label,) = rng.choices(list(chances), weights=list(chances.values()))
    return label


def consensus(votes: Sequence[str]) -> str:
    """The label that more than half of the votes bear, or "" for none.

    >>> consensus(["sad", "sad", "sad", "angry"]), consensus(["sad", "angry"])
    ('sad', '')
    """
    label, count = Counter(votes).most_common(1)[0]
    return label if 2 * count > len(votes) else ""


def tables(plan: Sequence[Line]) -> dict[str, str]:
    """File name -> content of the three tables (comma-separated, line feeds)."""
    manifest = [
        (x.id, f"audio/{x.id}.ogg", x.text, x.speaker, x.session, x.dialogue, consensus(x.votes))
        for x in plan
    ]
    votes = [
        (line.id, rater.name, vote, "external", "true")
        for line in plan
        for rater, vote in zip(RATERS, line.votes, strict=True)
    ]
    truth = [
        (x.id, x.voice, x.words, str(x.voice != x.words).lower(), f"{x.expression:.3f}")
        for x in plan
    ]
    return {
        "manifest.csv": _csv("id,audio,text,speaker,session,dialogue,consensus", manifest),
        "votes.csv": _csv("id,rater,label,kind,primary", votes),
        "truth.csv": _csv("id,voice_emotion,words_emotion,conflict,voice_expression", truth),
    }


def _csv(header: str, rows: Sequence[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header.split(","), *rows])
    return text.getvalue()
