"""What the extraction engine needs for a large corpus, apart from the encoder: time and memory.

Usage: python tests/benchmarks/bench_extract_memory.py [--num 2000000] [--rows 400000]

First a batch plan for `--num` utterances of known lengths. Then a job of `--rows` rows of 768
features: recorded batch by batch, read again as after a kill, and put together into a cache. Each
in a process of its own, so that the peak is its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WIDTH = 768


def lengths_ms(num: int) -> np.ndarray:
    """Lengths of utterances of a podcast's kind: 2.75 to 11 s."""
    return np.random.default_rng(0).integers(2_750, 11_000, num)


def plan(num: int) -> str:
    """Plan batches of 16 s."""
    from amber_cache.batching import plan_batches

    lengths = lengths_ms(num)
    began = time.perf_counter()
    batches = plan_batches(lengths, budget=16_000)
    return f"plan of {num} utterances, {len(batches)} batches: {time.perf_counter() - began:.1f} s"


def journal(num: int) -> str:
    """Record, read again, assemble."""
    from amber_cache.batching import plan_batches
    from amber_cache.jobs.assembly import assemble
    from amber_cache.jobs.completion import completed
    from amber_cache.jobs.journal import Journal
    from amber_cache.jobs.plan import EntryPlan
    from amber_cache.jobs.recorder import Recorder
    from amber_cache.records import Utterance
    from amber_cache.sources import Source
    from amber_cache.store import CacheContent, utterance_table, votes_table

    utterances = [Utterance(id=f"u{row:08d}") for row in range(num)]
    batches = plan_batches(lengths_ms(num), budget=320_000)
    entry = EntryPlan(
        modality="audio", name="made", attrs={}, width=WIDTH, budget=320_000, batches=batches
    )
    block = np.random.default_rng(0).normal(size=(1_000, WIDTH)).astype(np.float32)
    told = []
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        first = Journal(Path(folder) / "0", entry.mine(None), width=WIDTH)
        first.open()
        with Recorder(first) as recorder:
            for number, rows in first.batches.items():
                recorder.put(number, [(row, block[row % 1_000], "") for row in rows])
        first.close()
        told.append(f"{num} rows in {len(batches)} batches: recorded {_since(began)}")
        began = time.perf_counter()
        again = Journal(Path(folder) / "0", entry.mine(None), width=WIDTH)
        again.open()
        assert len(again.finished) == len(batches)
        told.append(f"read again {_since(began)}")
        began = time.perf_counter()
        content = CacheContent(
            corpus="made",
            protocol="",
            utterances=utterance_table(utterances),
            votes=votes_table(utterances),
            embeddings=(),
        )
        inputs = [Source(lambda _: "", 1)] * num
        whole = completed(entry, carried=None, journal=again, inputs=list(inputs))
        place = Path(folder) / "cache.h5"
        assemble(Path(folder) / "part", place, content, (whole,))
        size = place.stat().st_size / 1e9
        told.append(f"assembled {_since(began)}; the cache has {size:.2f} GB")
    return ", ".join(told)


def _since(began: float) -> str:
    return f"{time.perf_counter() - began:.1f} s"


def main() -> None:
    """Measure each part in a process of its own, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--num", type=int, default=2_000_000)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--part", choices=["plan", "journal"])
    arguments = parser.parse_args()
    if arguments.part is None:
        for part in ("plan", "journal"):
            sizes = ["--num", str(arguments.num), "--rows", str(arguments.rows)]
            subprocess.run([sys.executable, __file__, "--part", part, *sizes], check=True)
        return
    told = plan(arguments.num) if arguments.part == "plan" else journal(arguments.rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{told}; peak memory {peak:.2f} GB", flush=True)


if __name__ == "__main__":
    main()
