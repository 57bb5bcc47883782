"""How often the tests call two equal systems different, as a table in Markdown.

Usage: python tests/benchmarks/check_tests_size.py [--simulations 2000] [--utterances 30]

Two made-up systems err alike: each predicts the raters' soft labels, off by what it makes of a
speaker and by what it makes of an utterance, drawn anew for each system and seed from one and the
same distribution. At a level of 5% a sound test calls about 5% of such pairs different; a naive
one, which takes each utterance for a cluster of its own, as many as speakers matter. And how often
the 95% bootstrap interval leaves out the true difference, 0.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np

from amber_heads.stats import paired_differences

METRICS = ("js", "f1", "acc")


@dataclass(frozen=True)
class Null:
    """Two systems' predictions of the same utterances, equal but for chance."""

    target: np.ndarray
    one: np.ndarray
    other: np.ndarray
    speaker: np.ndarray


def simulate(
    *,
    seed: int,
    num_speakers: int,
    num_utterances: int,
    clustered: float = 0.7,
    num_seeds: int = 2,
    num_classes: int = 4,
) -> Null:
    """Draw a pair; `clustered` is the spread of a speaker's share of the error, in logits."""
    random = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(num_speakers), num_utterances)
    true = random.dirichlet(np.ones(num_classes), size=len(speaker))
    votes = random.multinomial(5, true)

    def system() -> np.ndarray:
        by_speaker = random.normal(0, clustered, (num_speakers, num_classes))[speaker]
        own = random.normal(0, 0.5, (num_seeds, len(speaker), num_classes))
        logits = np.log(true + 0.02) + by_speaker + own
        p = np.exp(logits)
        return np.asarray(p / p.sum(axis=-1, keepdims=True))

    return Null(votes / 5, system(), system(), speaker)


def rejected(
    *,
    num_simulations: int,
    num_speakers: int,
    num_utterances: int,
    naive: bool,
    metrics: tuple[str, ...] = METRICS,
    num_bootstrap: int = 1,
    clustered: float = 0.7,
) -> dict[str, tuple[float, float]]:
    """By metric, the share of tests with p <= 0.05, and of intervals that leave out 0."""
    counts = np.zeros((2, len(metrics)))
    for seed in range(num_simulations):
        null = simulate(
            seed=seed,
            num_speakers=num_speakers,
            num_utterances=num_utterances,
            clustered=clustered,
        )
        found = paired_differences(
            null.target,
            null.one,
            null.other,
            metrics=metrics,
            clusters=np.arange(len(null.speaker)) if naive else null.speaker,
            seed=seed,
            num_permutations=1023 if num_speakers != 10 else 1024,
            num_bootstrap=num_bootstrap,
        )
        counts[0] += [found[name].p <= 0.05 for name in metrics]
        counts[1] += [not found[name].low <= 0 <= found[name].high for name in metrics]
    shares = (counts / num_simulations).T.tolist()
    return {name: (one[0], one[1]) for name, one in zip(metrics, shares, strict=True)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--utterances", type=int, default=30, help="of each speaker")
    options = parser.parse_args()
    print(
        "| speakers | clusters | "
        + " | ".join(f"{name}: p <= 0.05 | {name}: 0 outside interval" for name in METRICS)
        + " |"
    )
    start = time.perf_counter()
    for num_speakers in (6, 10, 40):
        for naive in (False, True):
            shares = rejected(
                num_simulations=options.simulations,
                num_speakers=num_speakers,
                num_utterances=options.utterances,
                naive=naive,
                num_bootstrap=499,
            )
            cells = [f"{share:.1%}" for name in METRICS for share in shares[name]]
            print(
                f"| {num_speakers} | {'each utterance' if naive else 'speakers'} | "
                f"{' | '.join(cells)} |",
                flush=True,
            )
    print(f"\n{options.simulations} simulations a row, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
