"""How much audio is decoded and resampled in a second, by threads and by processes.

Usage: python tests/benchmarks/bench_decode.py [--minutes 30] [--rounds 3] [--workers 1,2]

Clips of 4.5 s as `amber extract` reads them, each from its file's header to a waveform at 16 kHz:
16 kHz WAV, and 44.1 kHz FLAC and MP3, which are resampled. Threads share the waveform; from a
process it is sent over, as it would have to be to reach the encoder. The files are read once
before, so that the disk's speed is left out.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from amber_cache import audio

KINDS = {"16 kHz WAV": ("wav", 16_000), "44.1 kHz FLAC": ("flac", 44_100)}
KINDS |= {"44.1 kHz MP3": ("mp3", 44_100)}
CLIP_S = 4.5


def decoded(path: Path) -> np.ndarray:
    """One clip, as the encoder's input."""
    return audio.load(audio.locate(path), sampling_rate_hz=16_000)


def make_clips(folder: Path, kind: str, rate: int, number: int) -> list[Path]:
    """Clips of noise that rises and falls as syllables do."""
    random = np.random.default_rng(0)
    time_s = np.arange(int(CLIP_S * rate)) / rate
    paths = []
    for place in range(number):
        noise = np.cumsum(random.standard_normal(len(time_s)))
        noise -= np.linspace(noise[0], noise[-1], len(noise))
        syllables = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * time_s)
        path = folder / f"{place}.{kind}"
        soundfile.write(path, 0.3 * noise / np.abs(noise).max() * syllables, rate)
        paths.append(path)
    return paths


def speed(pool: Executor, paths: Sequence[Path]) -> float:
    """Hours of audio in a second."""
    began = time.perf_counter()
    for _ in pool.map(decoded, paths):
        pass
    return len(paths) * CLIP_S / 3600 / (time.perf_counter() - began)


def cpu_speed(paths: Sequence[Path]) -> float:
    """Seconds of audio in a second of one core: what else runs on the machine matters little."""
    began = time.process_time()
    for path in paths:
        decoded(path)
    return len(paths) * CLIP_S / (time.process_time() - began)


def main() -> None:
    """Measure every kind with every pool, in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", default=",".join(map(str, {1, os.cpu_count() or 1})))
    arguments = parser.parse_args()
    numbers = [int(one) for one in arguments.workers.split(",")]
    spawn = multiprocessing.get_context("spawn")
    for name, (kind, rate) in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = make_clips(Path(folder), kind, rate, int(60 * arguments.minutes / CLIP_S))
            cpu_speed(paths)
            print(f"{name}: {cpu_speed(paths):,.0f} s of audio a CPU second", flush=True)
            for number in numbers:
                pools: dict[str, Executor] = {
                    "threads": ThreadPoolExecutor(number),
                    "processes": ProcessPoolExecutor(number, mp_context=spawn),
                }
                found: dict[str, list[float]] = {one: [] for one in pools}
                for pool in pools.values():
                    speed(pool, paths)  # imports, and the files into memory
                for _ in range(arguments.rounds):
                    for one, pool in pools.items():
                        found[one].append(speed(pool, paths))
                told = ", ".join(
                    f"{one} {statistics.median(some):.2f} h/s" for one, some in found.items()
                )
                print(f"{name}, {number} at once: {told}", flush=True)
                for pool in pools.values():
                    pool.shutdown()


if __name__ == "__main__":
    main()
