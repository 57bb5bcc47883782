"""A small corpus of audio files, texts and votes, for what must go from a file to an answer."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile

from tests.commands import amber
from tests.tiny_models import speech_like

LABELS = ("neutral", "happy", "angry")
WORDS = ("the cat sat on the mat", "yes you are so happy", "no no it was me")

#: The built-in pair.
BUILTIN = ("--audio-encoder", "mel", "--text-encoder", "hash")


def write_corpus(folder: Path, *, number: int = 15) -> Path:
    """Utterances of five sessions, of unlike lengths; gives the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(5)
    rows, votes = [], []
    for i in range(number):
        name = f"clip{i:02d}"
        wave = speech_like(6_000 + 700 * (i % 4), seed=i % 3)
        soundfile.write(folder / f"{name}.wav", wave, 16_000, subtype="FLOAT")
        rows.append((name, f"{name}.wav", f"{WORDS[i % 3]} {i}", f"p{i % 5}", f"s{i % 5}"))
        lead = i // 5 % 3
        votes += [(name, f"r{r}", LABELS[(lead + int(random.integers(2))) % 3]) for r in range(3)]
    _write(folder / "manifest.csv", ("id", "audio", "text", "speaker", "session"), rows)
    _write(folder / "votes.csv", ("id", "rater", "label"), votes)
    return folder / "manifest.csv"


def extract_corpus(manifest: Path, cache: Path, *encoders: object) -> Path:
    """Extract it; gives the cache."""
    finished = amber(
        *("extract", "--quiet", "--corpus", "manifest", "--root", manifest, "--cache", cache),
        *encoders,
    )
    assert finished.status == 0, finished.err
    return cache


def _write(path: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
