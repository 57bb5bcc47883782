"""What the name of a cache's entry tells: whose vectors they are, and of what input.

`hash@asr-openai--whisper-small` is what `hash` makes of the transcripts that openai/whisper-small
wrote. Without such an ending an entry is of what the corpus itself brings: its reference. Other
parts of a name (layer, pooling, precision) stand before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath

#: What stands before the transcriber in an entry's name.
ASR = "@asr-"


def transcriber_of(name: str) -> str:
    """Who wrote the text that an entry is of; "" where it is of the corpus's own input.

    >>> transcriber_of("hash@asr-openai--whisper-small"), transcriber_of("bert@layer9")
    ('openai--whisper-small', '')
    """
    return name.partition(ASR)[2]


def reference_of(name: str) -> str:
    """The entry of the same encoder on the corpus's own input.

    >>> reference_of("bert@layer9+first@asr-tiny"), reference_of("bert@layer9")
    ('bert@layer9+first', 'bert@layer9')
    """
    return name.partition(ASR)[0] if transcriber_of(name) else name


def input_of(modality: str, name: str) -> str:
    """What an entry's encoder was given: its modality, or the transcripts of a model.

    >>> input_of("text", "hash@asr-tiny"), input_of("audio", "mel")
    ('text@asr-tiny', 'audio')
    """
    transcriber = transcriber_of(name)
    return f"{modality}{ASR}{transcriber}" if transcriber else modality


def preferred(names: Sequence[str]) -> tuple[str, ...]:
    """The entries that may be meant where none is named.

    An entry of transcripts may not where that of the reference is there too.

    >>> preferred(["hash", "hash@asr-tiny"]), preferred(["hash@asr-tiny"])
    (('hash',), ('hash@asr-tiny',))
    """
    return tuple(one for one in names if reference_of(one) == one or reference_of(one) not in names)


def without_folders(name: str) -> str:
    """An encoder's or entry's name: a hub id as it is, the last part of what looks like a path.

    >>> without_folders("facebook/wav2vec2-base"), without_folders("/models/mine/")
    ('facebook/wav2vec2-base', 'mine')
    >>> without_folders("facebook--wav2vec2-base@layer9"), without_folders("--models--mine@layer9")
    ('facebook--wav2vec2-base@layer9', 'mine@layer9')
    >>> without_folders("org--bert@asr-openai--whisper-small")
    'org--bert@asr-openai--whisper-small'
    """
    if transcriber := transcriber_of(name):
        return f"{without_folders(reference_of(name))}{ASR}{without_folders(transcriber)}"
    whole = name.replace("--", "/")
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind(whole)
        if path.anchor or whole.startswith(("~", ".")) or len(path.parts) > 2:
            return path.name
    return name
