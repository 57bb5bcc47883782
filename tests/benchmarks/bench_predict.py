"""How long one answer takes from Python, once a run is loaded: audio and text in, answer out.

Runs of 5 folds x 5 seeds, width 256, are trained for one epoch (their speed does not depend on what
they learnt), with the built-in encoders, and with wav2vec2-base and BERT-base of random weights.
The audio is an array at 16 kHz, of one, four and ten seconds; the text has twelve words.

Usage: python tests/benchmarks/bench_predict.py [--threads 2] [--repeats 50] [--skip-base]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

import amber_heads
from amber_heads.predictor import Predictor
from tests.benchmarks.base_models import save_base_models
from tests.commands import amber
from tests.spoken_corpus import BUILTIN, extract_corpus, write_corpus
from tests.tiny_models import speech_like

SECONDS = (1, 4, 10)
TEXT = "I really did not think that you would come back home today"


def main() -> None:
    """Train the runs, measure, print a table."""
    options = _options()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        manifest = write_corpus(place / "corpus")
        print(f"{options.threads} threads, torch {torch.__version__}, {options.repeats} repeats")
        print("encoders  audio  median ms  90th centile ms  CPU ms  of it the 25 models, ms")
        _measure("built-in", _run(place, manifest, BUILTIN, "built-in"), options.repeats)
        if not options.skip_base:
            encoders = {name: str(one) for name, one in save_base_models(place).items()}
            names = ("--audio-encoder", encoders["audio"], "--text-encoder", encoders["text"])
            run = _run(place, manifest, names, "base", encoders=encoders)
            _measure("base-size", run, max(3, options.repeats // 5))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--skip-base", action="store_true")
    return parser.parse_args()


def _run(
    place: Path,
    manifest: Path,
    names: Sequence[object],
    title: str,
    *,
    encoders: dict[str, str] | None = None,
) -> Predictor:
    cache = extract_corpus(manifest, place / f"{title}.h5", *names, "--check", 0)
    done = amber(
        *("fit", "--cache", cache, "--loss", "js", "--epochs", 1, "--quiet"),
        *("--out", place / title),
    )
    if done.status:
        raise SystemExit(done.err)
    return amber_heads.load(place / title, encoders=encoders)


def _measure(title: str, run: Predictor, repeats: int) -> None:
    vectors = {key: torch.zeros(1, one.dimension).numpy() for key, one in run.run.inputs.items()}
    models, _ = _times(lambda: run.predict_embeddings(vectors).entropy, repeats)
    for seconds in SECONDS:
        wave = speech_like(16_000 * seconds, seed=1)
        wall, cpu = _times(lambda wave=wave: run.predict(audio=wave, text=TEXT), repeats)
        print(
            f"{title:9} {seconds:3} s {statistics.median(wall):10.1f} "
            f"{sorted(wall)[int(0.9 * len(wall))]:16.1f} {statistics.median(cpu):7.1f} "
            f"{statistics.median(models):24.1f}"
        )


def _times(call: Callable[[], object], repeats: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each call, after three that warm up: on the clock, and of the CPU."""
    wall, cpu = [], []
    for number in range(repeats + 3):
        start, start_cpu = time.perf_counter(), time.process_time()
        call()
        if number >= 3:
            wall.append(1000 * (time.perf_counter() - start))
            cpu.append(1000 * (time.process_time() - start_cpu))
    return wall, cpu


if __name__ == "__main__":
    main()
