"""What a corpus is made of: utterances, the votes of their raters, and nothing computed from them.

Votes are the stored truth: class sets, merging and soft labels are chosen later, at fit time. All
text fields are "" where the corpus does not say; times are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NewType, TypeAlias

Seconds: TypeAlias = float
Hertz: TypeAlias = int

#: Several values in one text, parted by commas; a file may write them as a list.
Listing = NewType("Listing", str)

#: One vocabulary for all corpora, in class order; a manifest may bring more labels.
LABELS: tuple[str, ...] = (
    "neutral",
    "happy",
    "angry",
    "sad",
    "disgust",
    "fear",
    "surprise",
    "contempt",
    "excited",
    "frustrated",
    "other",
)

#: The text columns of an utterance that a cache keeps as they are.
TEXT_COLUMNS: tuple[str, ...] = (
    "speaker",
    "gender",
    "session",
    "dialogue",
    "split",
    "style",
    "consensus",
    "text",
    "language",
)


@dataclass(frozen=True, slots=True)
class Vote:
    """One label that one rater gave to one utterance.

    Attributes:
        rater: The rater's name; "" where the corpus gives counts only.
        label: The chosen label, in lower case.
        kind: "external", "self", or what the rater was shown ("voice", "face", "multimodal").
        primary: False for a secondary choice.
    """

    rater: str
    label: str
    kind: str = "external"
    primary: bool = True


@dataclass(frozen=True, slots=True)
class Rating:
    """One rater's rating of arousal, valence or dominance, on the corpus's own scale."""

    rater: str
    dimension: str
    value: float
    kind: str = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One utterance as its corpus describes it; nothing of it has been decoded yet.

    Attributes:
        id: Unique in its corpus.
        audio: Path of the audio file relative to the corpus root; None where there is none.
        start_s: Where the utterance starts in that file; None: at its beginning.
        end_s: Where it ends in that file; None: at its end.
        place_s: Where it starts in its dialogue; None where unknown.
        style: "scripted", "improvised" or "".
        consensus: The corpus's own consensus label; "" for none.
    """

    id: str
    audio: Path | None = None
    start_s: Seconds | None = None
    end_s: Seconds | None = None
    place_s: Seconds | None = None
    text: str = ""
    speaker: str = ""
    gender: str = ""
    session: str = ""
    dialogue: str = ""
    split: str = ""
    style: str = ""
    consensus: str = ""
    language: str = ""
    votes: tuple[Vote, ...] = ()
    ratings: tuple[Rating, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A corpus as its reader found it.

    Attributes:
        name: The reader's name, "demo", "iemocap", ...
        root: The folder that the utterances' audio paths are relative to.
        utterances: Sorted by id; ids are unique.
        protocol: The label protocol that this corpus is used with by default; "" for none.
        modalities: What it has at all, among "audio" and "text".
        encoders: (modality, name) pairs to use unless the user names others; () for amber's own.
        warnings: One line each for what was read past and the user should know.
    """

    name: str
    root: Path
    utterances: tuple[Utterance, ...]
    protocol: str = ""
    modalities: tuple[str, ...] = ("audio", "text")
    encoders: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
