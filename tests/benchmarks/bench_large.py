"""MSP-Podcast's size through `amber fit`: what one process takes, beside the data itself.

A random cache of 200,000 utterances, 768 + 768 features, eight classes and five votes an utterance
is written; then one `amber fit` trains five random folds and two seeds on it for an epoch, in a
process of its own, so that two stacks train at once. The data should stand in memory once.

Usage: python tests/benchmarks/bench_large.py [--utterances 200000] [--precision bfloat16]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FEATURES, VOTES = 768, 5
LABELS = ("neutral", "happy", "angry", "sad", "disgust", "fear", "surprise", "contempt")


def write(path: Path, utterances: int) -> None:
    """In a child: write the cache."""
    import numpy as np

    from amber_cache.records import Utterance, Vote
    from amber_cache.store import (
        DONE,
        CacheContent,
        make_embedding,
        utterance_table,
        votes_table,
        write_cache,
    )

    random = np.random.default_rng(0)
    raters = [[Vote(f"r{n}", label) for label in LABELS] for n in range(VOTES)]
    votes = random.integers(len(LABELS), size=(utterances, VOTES)).tolist()
    rows = [
        Utterance(
            id=f"u{i:06d}",
            speaker=f"p{i % 1500:04d}",
            votes=tuple(own[label] for own, label in zip(raters, labels, strict=True)),
        )
        for i, labels in enumerate(votes)
    ]
    entries = tuple(
        make_embedding(
            random.standard_normal((utterances, FEATURES), dtype=np.float32),
            modality=modality,
            name="random",
            status=np.full(utterances, DONE, dtype=np.uint8),
            error=[""] * utterances,
            attrs={"encoder": "random"},
        )
        for modality in ("audio", "text")
    )
    content = CacheContent(
        corpus="random",
        protocol="msp-podcast-8",
        utterances=utterance_table(rows),
        votes=votes_table(rows),
        ratings=None,
        embeddings=entries,
    )
    write_cache(path, content)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--utterances", type=int, default=200_000)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write, arguments.utterances)
        return
    with tempfile.TemporaryDirectory() as name:
        cache, out = Path(name) / "cache.h5", Path(name) / "runs" / "fit"
        size = ["--utterances", str(arguments.utterances)]
        subprocess.run([sys.executable, __file__, "--write", str(cache), *size], check=True)
        began = time.perf_counter()
        told = ["--seeds", "2", "--epochs", "1", "--precision", arguments.precision, "--quiet"]
        command = ["-m", "cli", "fit", "--cache", str(cache), "--out", str(out), *told]
        process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
        _, status, usage = _waited(process)
        data = arguments.utterances * 2 * FEATURES * 4 / 2**30
        print(f"exit {status}; {time.perf_counter() - began:.0f} s, 10 runs of one epoch")
        print(f"embeddings {data:.2f} GiB, peak {usage.ru_maxrss / 2**20:.2f} GiB")


def _waited(process: subprocess.Popen[bytes]) -> tuple[int, int, resource.struct_rusage]:
    import os

    return os.wait4(process.pid, 0)


if __name__ == "__main__":
    main()
