"""Small corpora of one's own, as the `manifest` reader takes them, and `amber extract` on them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from amber_cache.store import DONE, CacheContent, open_cache
from tests.commands import Finished, amber

RATE = 16_000
BUILTIN = ("--audio-encoder", "mel", "--text-encoder", "hash")


def voice(num_samples: int = 4_000, *, seed: int = 0, sampling_rate_hz: int = RATE) -> np.ndarray:
    """A vowel-like sound whose pitch, loudness and noise depend on the seed."""
    random = np.random.default_rng(seed)
    time = np.arange(num_samples) / sampling_rate_hz
    tone = sum(np.sin(2 * np.pi * (120 + 15 * seed) * k * time) / k for k in (1, 2, 3))
    return (0.1 * tone * np.exp(-time) + 0.01 * random.standard_normal(num_samples)).astype("f4")


def write_audio(path: Path, samples: np.ndarray, *, sampling_rate_hz: int = RATE) -> Path:
    """Write an audio file of the kind that the suffix names; WAV in float32."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subtype = "FLOAT" if path.suffix == ".wav" else None
    soundfile.write(path, samples, sampling_rate_hz, subtype=subtype)
    return path


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write a table as CSV or JSON lines; the first row names the columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def make_corpus(folder: Path, *, num: int = 3, kind: str = "wav") -> Path:
    """Write `num` utterances u1, u2, ... of unlike length and their votes; give the manifest."""
    rows = []
    for number in range(1, num + 1):
        name = f"audio/u{number}.{kind}"
        write_audio(folder / name, voice(3_000 + 1_500 * number, seed=number))
        rows.append({"id": f"u{number}", "audio": name, "text": "so " * number + "it is"})
    votes = [
        {"id": row["id"], "rater": rater, "label": label}
        for row in rows
        for rater, label in (("r1", "happy"), ("r2", "sad"))
    ]
    write_table(folder / "votes.csv", votes)
    return write_table(folder / "manifest.csv", rows)


def read_rows(manifest: Path) -> list[dict[str, str]]:
    """The rows of a CSV."""
    with manifest.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def extract(manifest: Path, *options: object, encoders: Sequence[object] = BUILTIN) -> Finished:
    """Run `amber extract` on a manifest; the cache is cache.h5 beside it unless options say so."""
    place = () if "--cache" in options else ("--cache", manifest.parent / "cache.h5")
    corpus = ("--corpus", "manifest", "--root", manifest)
    return amber("extract", *corpus, *encoders, *place, *options, cwd=manifest.parent)


def read_cache(manifest: Path) -> CacheContent:
    """The cache beside a manifest."""
    with open_cache(manifest.parent / "cache.h5") as cache:
        return cache.content()


def vectors(content: CacheContent, entry: str = "audio/mel") -> dict[str, np.ndarray]:
    """Id -> vector of the rows that are done."""
    modality, name = entry.split("/")
    found = next(e for e in content.embeddings if (e.modality, e.name) == (modality, name))
    ids = content.utterances.id
    return {ids[row]: found.vectors[row] for row in np.flatnonzero(found.status == DONE)}


def reasons(content: CacheContent, entry: str = "audio/mel") -> dict[str, str]:
    """Id -> why its row failed."""
    modality, name = entry.split("/")
    found = next(e for e in content.embeddings if (e.modality, e.name) == (modality, name))
    return {i: error for i, error in zip(content.utterances.id, found.error, strict=True) if error}


def files_under(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_refused(finished: Finished, match: str) -> None:
    """Exit status 2, nothing on stdout, and one line on stderr that says why."""
    lines = [
        line for line in finished.err.splitlines() if not line.startswith("reading the corpus")
    ]
    assert finished.status == 2, finished
    assert finished.out == ""
    assert len(lines) == 1, finished.err
    assert lines[0].startswith("amber: ")
    assert re.search(match, lines[0]), lines[0]
