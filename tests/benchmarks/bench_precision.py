"""What bfloat16 products do to the figures: against float32, beside the spread of the seeds.

The demo corpus through `mel` and `hash`, and a synthetic corpus of IEMOCAP's size (4,420 x
(768 + 768), five sessions): each utterance has a distribution over four classes drawn from a
Dirichlet, three raters vote from it, and each modality's embedding is a random map of its noisy
logits among other directions of noise. Both through `amber fit`, AmbER2, five seeds.

Usage: python tests/benchmarks/bench_precision.py [--epochs 30] [--seeds 5]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from amber_cache.config import ExtractConfig
from amber_cache.extract import extract
from amber_cache.records import Listing, Utterance, Vote
from amber_cache.store import (
    DONE,
    CacheContent,
    make_embedding,
    utterance_table,
    votes_table,
    write_cache,
)
from amber_heads.configuration.settings import FitConfig
from amber_heads.experiment import run_experiment

LABELS = ("neutral", "happy", "angry", "sad")
NUM, FEATURES = 4_420, 768


def synthetic(path: Path) -> Path:
    """Write the synthetic cache."""
    random = np.random.default_rng(0)
    shares = random.dirichlet([0.6] * 4, size=NUM)
    votes = [random.multinomial(3, one) for one in shares]
    utterances = [
        Utterance(
            id=f"u{i:05d}",
            session=f"s{i % 5}",
            speaker=f"p{i % 10}",
            votes=tuple(
                Vote(f"r{n}", label) for n, label in enumerate(np.repeat(LABELS, votes[i]).tolist())
            ),
        )
        for i in range(NUM)
    ]
    logits = np.log(shares + 0.05)
    entries = []
    for modality, noise in (("audio", 2.0), ("text", 1.2)):
        seen = logits + noise * random.normal(size=logits.shape)
        nuisance = random.normal(size=(NUM, 60))
        mixed = np.hstack([seen, nuisance]) @ random.normal(size=(64, FEATURES))
        vectors = np.tanh(0.1 * mixed).astype(np.float32)
        status = np.full(NUM, DONE, dtype=np.uint8)
        attrs = {"encoder": "synthetic"}
        entries.append(
            make_embedding(
                vectors,
                modality=modality,
                name="synthetic",
                status=status,
                error=[""] * NUM,
                attrs=attrs,
            )
        )
    content = CacheContent(
        corpus="synthetic",
        protocol="iemocap-4",
        utterances=utterance_table(utterances),
        votes=votes_table(utterances),
        ratings=None,
        embeddings=tuple(entries),
    )
    write_cache(path, content)
    return path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", default="5")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        extract(ExtractConfig(cache=place / "demo.h5"))
        caches = {"demo": place / "demo.h5", "synthetic": synthetic(place / "synthetic.h5")}
        print("corpus, head, metric | float32 | bfloat16 | difference | std over seeds")
        for name, cache in caches.items():
            found = {}
            for precision in ("float32", "bfloat16"):
                config = FitConfig(
                    cache=cache,
                    precision=precision,  # type: ignore[arg-type]
                    epochs=arguments.epochs,
                    seeds=Listing(arguments.seeds),
                )
                outcome = run_experiment(config, {}, out=place / f"{name}-{precision}")
                found[precision] = outcome.summary["selected"]["heads"]
            for head in found["float32"]:
                for metric in ("js", "bc", "r2", "acc"):
                    exact, low = (found[p][head]["test"][metric] for p in found)
                    print(
                        f"{name}, {head}, {metric} | {exact['mean']:.4f} | {low['mean']:.4f} | "
                        f"{low['mean'] - exact['mean']:+.4f} | {exact['std']:.4f}"
                    )


if __name__ == "__main__":
    main()
