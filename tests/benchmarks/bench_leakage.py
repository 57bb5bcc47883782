"""How long the leakage guard takes on a corpus of MSP-Podcast's size, in five folds.

The rival is the same count with plain Python sets, which normalises nothing but case.

Usage: python tests/benchmarks/bench_leakage.py [--utterances 200000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from amber_heads.folds import Fold, make_folds  # noqa: E402
from amber_heads.leakage import measure_leakage  # noqa: E402
from amber_heads.policies.groups import group_by  # noqa: E402


def made_columns(size: int) -> dict[str, np.ndarray]:
    """Random speakers (a tenth unknown), podcasts and sentences."""
    random = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(20_000)], dtype=object)
    speakers = random.integers(3000, size=size)
    columns = {
        "speaker": ["Unknown" if one < 300 else f"speaker {one}" for one in speakers],
        "session": [""] * size,
        "dialogue": [f"podcast {one}" for one in random.integers(5000, size=size)],
        "text": [
            " ".join(words[random.integers(20_000, size=length)]) + "."
            for length in random.integers(1, 30, size=size)
        ],
        "style": ["scripted" if one else "improvised" for one in random.integers(2, size=size)],
    }
    return {name: np.array(values, dtype=object) for name, values in columns.items()}


def with_sets(folds: Sequence[Fold], columns: Mapping[str, np.ndarray]) -> int:
    """Shared values of four columns, training against test."""
    found = 0
    for name in ("speaker", "session", "dialogue", "text"):
        values = [value.lower() for value in columns[name]]
        for fold in folds:
            seen = {values[i] for i in fold.train}
            found += sum(values[i] in seen for i in fold.tests["test"])
    return found


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Median of several calls."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    columns = made_columns(given.utterances)
    even = np.zeros(given.utterances)
    folds = make_folds(
        "random", columns=columns, ambiguity=even, num_folds=5, seed=0, validation="next"
    )
    print(f"guard: {seconds(lambda: measure_leakage(folds, columns), given.rounds):.2f} s")
    print(f"plain sets: {seconds(lambda: with_sets(folds, columns), given.rounds):.2f} s")
    print(f"grouping: {seconds(lambda: group_by('speaker', columns), given.rounds):.2f} s")


if __name__ == "__main__":
    main()
