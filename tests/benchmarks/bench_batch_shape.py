"""Which batches cost least on this machine's CPU: seconds of encoding by budget and precision.

Usage: python tests/benchmarks/bench_batch_shape.py [--clips 24] [--rounds 3] [--threads 2]

Base-size wav2vec2 and BERT with random weights over clips of IEMOCAP's lengths; budgets are taken
in turn in every round. Told are medians and extremes of the process's CPU seconds, which suffer
less than wall seconds from what else runs on the machine, and the padded share. A budget of 0 is
one clip at a time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from amber_cache.batching import padded_share, plan_batches
from amber_cache.encoders import Encoder, Prepared, load_encoder
from amber_cache.pooling import masked_mean
from tests.benchmarks.base_models import iemocap_lengths_s, save_base_models, spoken_text
from tests.tiny_models import speech_like

BUDGETS = {
    "audio": [0, 8_000, 16_000, 32_000],
    "text": [0, 500, 2_000, 8_000],
}


def measure(
    encoder: Encoder,
    sources: list[Prepared],
    plans: dict[int, tuple[tuple[int, ...], ...]],
    rounds: int,
) -> dict[int, list[float]]:
    """Seconds for all sources, by budget."""
    seconds: dict[int, list[float]] = {budget: [] for budget in plans}
    encoder.encode(sources[:1])
    for _ in range(rounds):
        for budget, batches in plans.items():
            began = time.process_time()
            for batch in batches:
                encoded = encoder.encode([sources[i] for i in batch])
                masked_mean(encoded.frames[0], encoded.mask)
            seconds[budget].append(time.process_time() - began)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--modalities", default="audio,text")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lengths_s = iemocap_lengths_s(arguments.clips)
    texts = [spoken_text(one, seed=i) for i, one in enumerate(lengths_s)]
    clips = [speech_like(int(16_000 * one), seed=i % 8) for i, one in enumerate(lengths_s)]
    costs = {"audio": [round(1000 * one) for one in lengths_s], "text": [len(t) for t in texts]}
    with tempfile.TemporaryDirectory() as folder:
        paths = save_base_models(Path(folder))
        for modality in arguments.modalities.split(","):
            cost = costs[modality]
            plans = {one: plan_batches(cost, budget=one or 1) for one in BUDGETS[modality]}
            for precision in ("float32", "bfloat16"):
                encoder = load_encoder(modality, str(paths[modality]), precision=precision)
                raw = clips if modality == "audio" else texts
                sources = [encoder.prepare(one) for one in raw]
                found = measure(encoder, sources, plans, arguments.rounds)
                for budget, seconds in found.items():
                    print(
                        f"{modality} {precision:8} budget {budget:6}: {median(seconds):6.2f} s "
                        f"({min(seconds):.2f} to {max(seconds):.2f}), "
                        f"padding {padded_share(cost, plans[budget]):.1%}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
