"""What half precision costs on tiny models of every family, as a table in Markdown.

Usage: python tests/benchmarks/check_precision.py

The greatest relative L2 error, over all layers and a few clips or texts, of the pooled embedding in
a padded batch against the clip or text alone in float32; by pooling.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from amber_cache.encoders import load_encoder
from amber_cache.pooling import POOLINGS, pool
from tests.tiny_models import (
    AUDIO_MODELS,
    TEXT_MODELS,
    relative_error,
    save_audio_model,
    save_text_model,
    speech_like,
)

CLIPS = [speech_like(n, seed=seed) for seed, n in enumerate((6_000, 9_000, 14_000, 30_000))]
TEXTS = ["the cat sat on the mat", "so happy", "no you me it is far away and angry", "a dog"]


def worst(modality: str, folder: Path, precision: str, pooling: str) -> float:
    """The greatest error of one model."""
    sources = CLIPS if modality == "audio" else TEXTS
    exact = load_encoder(modality, str(folder))
    low = load_encoder(modality, str(folder), precision=precision)
    layers = range(exact.info.num_layers + 1)
    found = low.encode([low.prepare(one) for one in sources], layers=layers)
    alone = [exact.encode([exact.prepare(one)], layers=layers) for one in sources]
    errors = []
    for layer in layers:
        wanted = torch.cat([pool(pooling, one.frames[layer], one.mask) for one in alone])
        errors.append(relative_error(pool(pooling, found.frames[layer], found.mask), wanted))
    return max(errors)


def main() -> None:
    """Measure and print."""
    print("| model | " + " | ".join(f"{p} {q}" for p in ("bfloat16", "float16") for q in POOLINGS))
    with tempfile.TemporaryDirectory() as name:
        for modality, models in (("audio", AUDIO_MODELS), ("text", TEXT_MODELS)):
            for model in models:
                folder = Path(name) / model
                save = save_audio_model if modality == "audio" else save_text_model
                save(folder, model)
                errors = [
                    f"{worst(modality, folder, precision, pooling):.1e}"
                    for precision in ("bfloat16", "float16")
                    for pooling in POOLINGS
                ]
                print(f"| {model} | {' | '.join(errors)} |", flush=True)


if __name__ == "__main__":
    main()
