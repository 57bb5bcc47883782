"""What only a CUDA device shows, in one call: correctness against the CPU, and throughput.

Usage: python tests/benchmarks/check_cuda.py [--device cuda] [--clips 64]

Encoders: base-size wav2vec2 (group norm) and BERT with random weights; pooled embeddings of padded
batches on the device against the CPU's, clip by clip, in each precision. Training: the demo corpus
through `amber fit` on both, figures side by side. Then the tests marked `gpu`, and the stack
against the plain loop.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from amber_cache.config import ExtractConfig
from amber_cache.encoders import Encoder, load_encoder
from amber_cache.extract import extract
from amber_cache.pooling import masked_mean
from amber_heads.configuration.settings import FitConfig
from amber_heads.experiment import run_experiment
from tests.benchmarks.base_models import WORDS, save_base_models
from tests.tiny_models import relative_error, speech_like

BATCH = 16


def embed(encoder: Encoder, sources: list[np.ndarray | str]) -> tuple[Tensor, float]:
    """Pooled embeddings in padded batches, and the seconds that encoding took."""
    items = [encoder.prepare(source) for source in sources]
    began, pooled = time.perf_counter(), []
    for start in range(0, len(items), BATCH):
        encoded = encoder.encode(items[start : start + BATCH])
        pooled.append(masked_mean(encoded.frames[0], encoded.mask).float().cpu())
    return torch.cat(pooled), time.perf_counter() - began


def check_encoders(device: str, num_clips: int) -> None:
    """Relative L2 error against the CPU clip by clip, and speed, in each precision."""
    random = np.random.default_rng(0)
    lengths = _lengths(random, num_clips)
    sources: dict[str, list[np.ndarray | str]] = {
        "audio": [speech_like(int(n), seed=i % 8) for i, n in enumerate(lengths)],
        "text": [" ".join(random.choice(WORDS, random.integers(3, 40))) for _ in lengths],
    }
    with tempfile.TemporaryDirectory() as folder:
        for modality, path in save_base_models(Path(folder)).items():
            reference = load_encoder(modality, str(path))
            few = sources[modality][:8]
            alone = torch.cat([embed(reference, [source])[0] for source in few])
            for precision in ("float32", "tf32", "bfloat16", "float16"):
                if device == "cpu" and precision in ("tf32", "float16"):  # not there, or hopeless
                    continue
                encoder = load_encoder(modality, str(path), device=device, precision=precision)
                error = relative_error(embed(encoder, few)[0], alone)
                embed(encoder, sources[modality][:BATCH])  # warm-up
                _, seconds = embed(encoder, sources[modality])
                rate = len(sources[modality]) / seconds
                print(f"{modality:6} {precision:9} error {error:.1e}  {rate:9.1f} utterances/s")


def _lengths(random: np.random.Generator, number: int) -> np.ndarray:
    """Samples of clips of IEMOCAP's kind: mean 4.5 s, 1 to 15 s."""
    return (16_000 * np.clip(random.gamma(2.2, 2.05, number), 1, 15)).astype(int)


def check_training(device: str) -> None:
    """The demo's figures on the device and on the CPU; they must be within 0.002."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache.h5"
        extract(ExtractConfig(cache=cache))
        for where in ("cpu", device):
            began = time.perf_counter()
            outcome = run_experiment(
                FitConfig(cache=cache, device=where), {}, out=Path(folder) / f"on-{where}"
            )
            fusion = outcome.summary["selected"]["heads"]["fusion"]["test"]
            figures = " ".join(f"{name} {fusion[name]['mean']:.4f}" for name in ("js", "bc", "r2"))
            print(f"fit on {where:7} {figures}  {time.perf_counter() - began:.1f} s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--clips", type=int, default=64)
    arguments = parser.parse_args()
    name = torch.cuda.get_device_name() if arguments.device != "cpu" else "no GPU"
    print(f"torch {torch.__version__}, {name}")
    check_encoders(arguments.device, arguments.clips)
    if arguments.device != "cpu":
        check_training(arguments.device)
        subprocess.run([sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests"], check=True)
    bench = Path(__file__).with_name("bench_grid.py")
    precisions = ("float32",) if arguments.device == "cpu" else ("float32", "tf32", "bfloat16")
    for corpus in ("iemocap", "msp"):
        for precision in precisions:
            how = ["--precision", precision, "--corpus", corpus, "--rivals", "loop,vmap"]
            command = [sys.executable, str(bench), "--device", arguments.device, *how]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
