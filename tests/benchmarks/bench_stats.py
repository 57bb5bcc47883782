"""What the comparison of two systems costs at a corpus's size, on one thread.

Usage: OMP_NUM_THREADS=1 python tests/benchmarks/bench_stats.py [--utterances 10000] [--rounds 3]

The paper's six metrics, five seeds, 9999 permutations and 1999 bootstrap samples, by how many
clusters there are, in CPU seconds; and the one-rater reference and the noise floor on as many
utterances.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from amber_heads.metrics import HEADLINE
from amber_heads.statistics.noise import noise_floor, one_rater_reference
from amber_heads.stats import paired_differences


def median_s(function: Callable[[], object], *, rounds: int) -> float:
    """The median of several rounds' CPU seconds."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--utterances", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    num, random = options.utterances, np.random.default_rng(0)
    print("| what | CPU s |\n|---|---:|")
    for num_classes in (4, 8):
        votes = random.multinomial(5, random.dirichlet(np.ones(num_classes), size=num))
        one, other = random.dirichlet(np.ones(num_classes), size=(2, 5, num))
        for num_clusters in (10, 1000, num):
            taken = median_s(
                lambda one=one, other=other, votes=votes, num_clusters=num_clusters: (
                    paired_differences(
                        votes / 5,
                        one,
                        other,
                        metrics=HEADLINE,
                        clusters=np.arange(num) % num_clusters,
                    )
                ),
                rounds=options.rounds,
            )
            print(f"| a pair, {num_classes} classes, {num_clusters} clusters | {taken:.2f} |")
        taken = median_s(lambda votes=votes: one_rater_reference(votes), rounds=options.rounds)
        print(f"| one-rater reference, {num_classes} classes | {taken:.2f} |")
        taken = median_s(lambda votes=votes: noise_floor(votes), rounds=options.rounds)
        print(f"| noise floor, {num_classes} classes | {taken:.2f} |", flush=True)


if __name__ == "__main__":
    main()
