"""Transcripts and sound for the list of utterances: only where asked for, since licences differ.

Sound is cut from the corpus's own files, mixed to mono and embedded as Ogg Vorbis, the most
ambiguous utterances first, until the budget is spent: a page is to be opened, not a corpus to be
passed on.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable
from pathlib import Path

from amber_cache.errors import ConfigError, RunError
from amber_cache.store import open_cache

#: How much sound a page may hold, as text; and how much of one utterance.
AUDIO_BYTES, CLIP_S = 8_000_000, 15.0


def read_texts(cache: Path, ids: Iterable[str]) -> dict[str, str]:
    """Transcripts by id; "" where the cache has none.

    Raises:
        AmberError: The cache can't be read, or is of other utterances.
    """
    with open_cache(cache) as opened:
        texts = dict(zip(opened.utterances.id, opened.utterances.text, strict=True))
    wanted = list(ids)
    missing = [one for one in wanted if one not in texts]
    if missing:
        raise RunError(
            f"--cache {cache}: lacks {len(missing)} of the runs' {len(wanted)} utterances, "
            f"{missing[0]!r} for one; name the cache that they were trained on"
        )
    return {one: str(texts[one]) for one in wanted}


def read_audio(
    cache: Path, root: Path, ids: Iterable[str], *, budget: int = AUDIO_BYTES
) -> dict[str, str]:
    """Data URIs by id, in the order of the ids, as many as the budget holds.

    Args:
        root: The folder that the cache's audio paths are relative to.

    Raises:
        AmberError: The cache can't be read, or not one file can.
    """
    with open_cache(cache) as opened:
        table = opened.utterances
        rows = {name: i for i, name in enumerate(table.id)}
        found: dict[str, str] = {}
        spent, tried = 0, 0
        for name in (one for one in ids if one in rows and table.audio_path[rows[one]]):
            row, tried = rows[name], tried + 1
            path = _inside(root, str(table.audio_path[row]))
            clip = path and _clip(path, float(table.start_s[row]), float(table.duration_s[row]))
            if not clip:
                continue
            spent += len(clip)
            if spent > budget:
                break
            found[name] = clip
    if tried and not found:
        raise ConfigError(
            f"--with-audio: none of {tried} audio files could be read under {root}; name the "
            "corpus's folder with --root"
        )
    return found


def _inside(root: Path, relative: str) -> Path | None:
    """The file below the root; None where the cache's path leads out of it."""
    path = (root / relative).resolve()
    return path if path.is_relative_to(root.resolve()) and path.is_file() else None


def _clip(path: Path, start_s: float, duration_s: float) -> str:
    """A data URI of mono sound; "" where the file can't be decoded."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            if math.isfinite(start_s):
                file.seek(min(int(start_s * rate), file.frames))
            length = duration_s if math.isfinite(duration_s) else CLIP_S
            samples = file.read(int(min(length, CLIP_S) * rate), dtype="float32", always_2d=True)
        data = io.BytesIO()
        soundfile.write(data, samples.mean(axis=1), rate, format="OGG", subtype="VORBIS")
    except (OSError, RuntimeError, ValueError):
        return ""
    return "data:audio/ogg;base64," + base64.b64encode(data.getvalue()).decode()
