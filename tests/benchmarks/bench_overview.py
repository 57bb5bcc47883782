"""How long `amber corpus` takes on a made-up cache of MSP-Podcast's size, bootstrap and all.

200,000 utterances with 1.2 million votes of 12,000 raters (three to nine an utterance, half of them
for the utterance's own label), one embedding of 8 features; with --ratings also three ratings
beside half of the votes. The command runs in a process of its own, as a user's does.

Usage: python tests/benchmarks/bench_overview.py [--rounds 3] [--utterances 200000] [--ratings]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from amber_cache.records import LABELS  # noqa: E402
from amber_cache.store import (  # noqa: E402
    DONE,
    CacheContent,
    RatingTable,
    UtteranceTable,
    VoteTable,
    make_embedding,
    text_array,
    write_cache,
)

ROOT = Path(__file__).parents[2]


def made_cache(path: Path, *, number: int, has_ratings: bool) -> tuple[int, int]:
    """Write the cache; gives how many votes and ratings it has."""
    random = np.random.default_rng(0)
    each = random.integers(3, 10, number)
    utterance = np.repeat(np.arange(number), each).astype(np.int32)
    num_votes = len(utterance)
    lead = random.integers(8, size=number)[utterance]
    label = np.where(random.random(num_votes) < 0.5, lead, random.integers(11, size=num_votes))
    names = np.array([f"WORKER{i:08d}" for i in range(12_000)], dtype=object)
    rater = names[random.integers(len(names), size=num_votes)]
    rated = np.repeat(np.flatnonzero(random.random(num_votes) < 0.5 * has_ratings), 3)
    content = CacheContent(
        corpus="msp-podcast",
        protocol="msp-podcast-8",
        utterances=_utterances(random, number),
        votes=VoteTable(
            utterance=utterance,
            rater=rater,
            kind=text_array(["external"] * num_votes),
            label=label.astype(np.int16),
            primary=np.ones(num_votes, np.bool_),
            labels=LABELS,
        ),
        ratings=None
        if not has_ratings
        else RatingTable(
            utterance=utterance[rated],
            rater=rater[rated],
            kind=text_array(["external"] * len(rated)),
            dimension=text_array(["arousal", "dominance", "valence"] * (len(rated) // 3)),
            value=random.integers(1, 8, len(rated)).astype(np.float32),
        ),
        embeddings=(
            make_embedding(
                random.normal(size=(number, 8)).astype(np.float32),
                modality="audio",
                name="mel",
                status=np.full(number, DONE, np.uint8),
            ),
        ),
    )
    write_cache(path, content)
    return num_votes, len(rated)


def _utterances(random: np.random.Generator, number: int) -> UtteranceTable:
    def some(prefix: str, different: int) -> np.ndarray:
        values = np.array([f"{prefix}{i}" for i in range(different)], dtype=object)
        return values[random.integers(different, size=number)]

    ids = text_array([f"MSP-PODCAST_{i // 60:04d}_{i:07d}" for i in range(number)])
    blank = text_array([""] * number)
    return UtteranceTable(
        id=ids,
        speaker=some("", 2_000),
        gender=some("gender", 2),
        session=blank,
        dialogue=some("", 4_000),
        split=some("split", 5),
        style=blank,
        consensus=np.array(LABELS[:8], dtype=object)[random.integers(8, size=number)],
        text=some("some words, number ", 50_000),
        language=text_array(["en"] * number),
        start_s=np.full(number, np.nan, np.float32),
        duration_s=random.uniform(2, 11, number).astype(np.float32),
        audio_path=ids,
        audio_sha256=ids,
        audio_bytes=np.full(number, -1, np.int64),
    )


def main() -> None:
    """Make the cache, look at it several times, print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--utterances", type=int, default=200_000)
    parser.add_argument("--ratings", action="store_true", help="with ratings")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "cache.h5")
        num_votes, num_ratings = made_cache(
            cache, number=asked.utterances, has_ratings=asked.ratings
        )
        times_s = []
        for _ in range(asked.rounds):
            begun = time.perf_counter()
            command = [sys.executable, str(ROOT / "cli.py"), "corpus", str(cache), "--json"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            times_s.append(time.perf_counter() - begun)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = (used.ru_utime + used.ru_stime) / asked.rounds
    print(f"{asked.utterances} utterances, {num_votes} votes, {num_ratings} ratings: ", end="")
    print(f"{statistics.median(times_s):.1f} s (median of {asked.rounds}; ", end="")
    print(f"{min(times_s):.1f} to {max(times_s):.1f}), {cpu_s:.1f} s of one core, ", end="")
    print(f"peak {used.ru_maxrss / 2**20:.2f} GiB; the target is under 20 s")


if __name__ == "__main__":
    main()
