"""Transcripts on a corpus's rows: taken over, completed, put together. No model is loaded here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np
from jaxtyping import Int64

from amber_cache.errors import UtteranceError
from amber_cache.sources import Source, Sources
from amber_cache.store import (
    DONE,
    FAILED,
    NO_TEXT,
    PENDING,
    Attribute,
    Transcripts,
    text_array,
)

#: What became of an utterance: what was heard ("" for nothing), or why it could not be.
Hearing: TypeAlias = str | UtteranceError

#: Batches of texts that are not known yet are planned by the characters that speech of this length
#: may come to: a plan that shards share must not depend on what any of them has heard.
CHARACTERS_A_SECOND = 15


def blank(name: str, num_rows: int) -> Transcripts:
    """Transcripts of nothing yet."""
    empty = text_array([""] * num_rows)
    return Transcripts(
        name=name, text=empty, status=np.full(num_rows, PENDING, np.uint8), error=empty.copy()
    )


def moved_transcripts(one: Transcripts, old_rows: Int64[np.ndarray, " utterance"]) -> Transcripts:
    """On other rows: row i is the former row `old_rows[i]`, PENDING where that is -1."""
    new, kept = blank(one.name, len(old_rows)), old_rows >= 0
    for name in ("text", "status", "error"):
        getattr(new, name)[kept] = getattr(one, name)[old_rows[kept]]
    return replace(new, attrs=one.attrs)


def rows_to_hear(one: Transcripts, audio: Sources) -> list[int]:
    """The rows that have audio and no transcript yet."""
    return [
        row
        for row, source in enumerate(audio)
        if isinstance(source, Source) and one.status[row] != DONE
    ]


def completed_transcripts(
    one: Transcripts,
    audio: Sources,
    heard: Mapping[int, Hearing],
    attrs: Mapping[str, Attribute],
) -> Transcripts:
    """With what was heard; rows without a transcript are FAILED where there is no audio."""
    columns = {name: getattr(one, name).copy() for name in ("text", "status", "error")}
    for row in np.flatnonzero(one.status != DONE).tolist():
        source = audio[row]
        outcome = heard.get(row, source if isinstance(source, UtteranceError) else None)
        error = str(outcome) if isinstance(outcome, UtteranceError) else ""
        text = outcome if isinstance(outcome, str) else ""
        status = PENDING if outcome is None else FAILED if error else DONE
        for name, value in (("text", text), ("status", status), ("error", error)):
            columns[name][row] = value
    return Transcripts(name=one.name, **columns, attrs=attrs)


def combined_transcripts(parts: Sequence[Transcripts]) -> Transcripts:
    """One from parts that hold different rows: each row from the first that has it.

    Raises:
        ValueError: Two parts have a row, and not the same; the row's number.
    """
    first = parts[0]
    columns = {name: getattr(first, name).copy() for name in ("text", "status", "error")}
    for part in parts[1:]:
        there = part.status != PENDING
        both = there & (columns["status"] != PENDING)
        other = np.zeros(len(first), np.bool_)
        for name, column in columns.items():
            other |= column != getattr(part, name)
        if (both & other).any():
            raise ValueError(int(np.argmax(both & other)))
        for name, column in columns.items():
            column[there] = getattr(part, name)[there]
    return replace(first, **columns)


def unheard_sources(one: Transcripts, audio: Sources) -> Sources:
    """What an encoder of transcripts has to encode, as far as that is known before they are."""
    return [_unheard(one, row, source) for row, source in enumerate(audio)]


def heard_sources(sources: Sources, heard: Mapping[int, Hearing]) -> Sources:
    """The same rows, with what was heard: a row that was planned stays one that is encoded."""
    new = list(sources)
    for row, outcome in heard.items():
        if isinstance(source := sources[row], Source):
            new[row] = replace(source, load=partial(_told, outcome))
    return new


def _unheard(one: Transcripts, row: int, audio: Source | UtteranceError) -> Source | UtteranceError:
    if one.status[row] == DONE:
        text = str(one.text[row])
        length = _length(audio) if isinstance(audio, Source) else len(text)
        return Source(partial(_told, text), length) if text else UtteranceError(NO_TEXT)
    return Source(_too_early, _length(audio)) if isinstance(audio, Source) else audio


def _length(audio: Source) -> int:
    """Characters that so much speech may come to."""
    return max(1, audio.length * CHARACTERS_A_SECOND // 1000)


def _told(outcome: Hearing, _: int) -> str:
    """What was heard, for the encoder.

    Raises:
        UtteranceError: Nothing was, or it could not be.
    """
    if isinstance(outcome, UtteranceError):
        raise outcome
    if not outcome:
        raise UtteranceError(NO_TEXT)
    return outcome


def _too_early(_: int) -> str:
    raise AssertionError("a transcript is asked for before it is made")
