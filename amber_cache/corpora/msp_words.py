"""MSP-Podcast's words: labels and their codes, and the names of segments.

Secondary choices beyond the common vocabulary (amused, annoyed, concerned, confused, depressed,
disappointed) keep their own names; free text ("Other-...") is "other".
"""

from __future__ import annotations

import re

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

#: Within a line: two lines have run into one, where the first was cut off.
RUN_IN = re.compile(r"WORKER\d|MSP-PODCAST|\.wav", re.IGNORECASE)


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
    return "" if RUN_IN.search(name, 1) else name
