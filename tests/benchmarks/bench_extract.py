"""`amber extract` against what a user would write: transformers, one clip at a time, in a loop.

Usage: python tests/benchmarks/bench_extract.py [--clips 200] [--rounds 3] [--threads 2]

Base-size wav2vec2 and BERT with random weights, clips of IEMOCAP's lengths with as many words as
are said in them, from audio files to a written file, models loaded anew each time. The loop,
float32 and bfloat16 take turns in each round; told are medians of wall seconds and of the process's
CPU seconds: the latter suffer less from what else runs on the machine. `forward` is the share of
wall time that passes in the models.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np
import soundfile
import torch

from amber_cache.config import EncoderName, ExtractConfig
from amber_cache.encoders import hf_audio, hf_common, hf_text
from amber_cache.extract import extract
from amber_cache.store import open_cache
from tests.benchmarks.base_models import iemocap_lengths_s, save_base_models, spoken_text
from tests.made_corpora import write_table
from tests.tiny_models import speech_like


@dataclass
class Took:
    """What one run took."""

    wall_s: float
    cpu_s: float
    forward_s: float = 0.0


def make_corpus(folder: Path, num: int) -> tuple[Path, float]:
    """Write clips and manifest; the manifest and the seconds of audio."""
    rows, lengths_s = [], iemocap_lengths_s(num)
    for number, length_s in enumerate(lengths_s):
        name = f"u{number:05d}"
        clip = speech_like(int(16_000 * length_s), seed=number % 8)
        (folder / "audio").mkdir(exist_ok=True)
        soundfile.write(folder / f"audio/{name}.wav", np.clip(clip, -1, 1), 16_000, "PCM_16")
        text = spoken_text(length_s, seed=number)
        rows.append({"id": name, "audio": f"audio/{name}.wav", "text": text})
    write_table(
        folder / "votes.csv", [{"id": row["id"], "rater": "r", "label": "sad"} for row in rows]
    )
    return write_table(folder / "manifest.csv", rows), float(lengths_s.sum())


def loop(manifest: Path, models: dict[str, Path], out: Path) -> None:
    """The rival: every clip and every text by itself, in float32, one file at the end."""
    from transformers import AutoFeatureExtractor, AutoModel, AutoTokenizer

    from tests.made_corpora import read_rows

    audio, text = (AutoModel.from_pretrained(models[one]).eval() for one in ("audio", "text"))
    extractor = AutoFeatureExtractor.from_pretrained(models["audio"])
    tokenizer = AutoTokenizer.from_pretrained(models["text"])
    spoken, written, ids = [], [], []
    with torch.inference_mode():
        for row in read_rows(manifest):
            samples, rate = soundfile.read(manifest.parent / row["audio"], dtype="float32")
            inputs = extractor(samples, sampling_rate=rate, return_tensors="pt")
            spoken.append(audio(**inputs).last_hidden_state.mean(dim=1)[0].numpy())
            inputs = tokenizer(row["text"], return_tensors="pt")
            written.append(text(**inputs).last_hidden_state.mean(dim=1)[0].numpy())
            ids.append(row["id"])
    with h5py.File(out, "w") as file:
        file["id"], file["audio"], file["text"] = ids, np.stack(spoken), np.stack(written)


def amber(manifest: Path, models: dict[str, Path], out: Path, precision: Any) -> None:
    """`amber extract`."""
    encoders = tuple((one, EncoderName(str(path))) for one, path in models.items())
    config = ExtractConfig(
        corpus="manifest", root=manifest, cache=out, encoder=encoders, precision=precision
    )
    report = extract(config)
    assert report.written
    assert not report.failures


def timed(work: Callable[[], None]) -> Took:
    """Wall, CPU and forward seconds of some work."""
    original, seconds = hf_common.hidden_states, [0.0]

    def counted(*arguments: Any, **how: Any) -> Any:
        began = time.perf_counter()
        result = original(*arguments, **how)
        seconds[0] += time.perf_counter() - began
        return result

    hf_audio.hidden_states = hf_text.hidden_states = counted  # type: ignore[attr-defined]
    began, cpu = time.perf_counter(), time.process_time()
    try:
        work()
    finally:
        hf_audio.hidden_states = hf_text.hidden_states = original  # type: ignore[attr-defined]
    return Took(time.perf_counter() - began, time.process_time() - cpu, seconds[0])


def agreement(cache: Path, reference: Path) -> str:
    """The greatest relative error against the loop's vectors, by modality."""
    told = []
    with open_cache(cache) as found, h5py.File(reference) as file:
        for modality in ("audio", "text"):
            wanted = file[modality][()].astype("f8")
            error = np.linalg.norm(found.embeddings(modality).vectors - wanted, axis=1)
            told.append(f"{modality} {(error / np.linalg.norm(wanted, axis=1)).max():.1e}")
    return ", ".join(told)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest, audio_s = make_corpus(folder, arguments.clips)
        models = save_base_models(folder / "models")
        out = {one: folder / f"{one}.h5" for one in ("loop", "float32", "bfloat16")}
        work: dict[str, Callable[[], None]] = {
            "loop": lambda: loop(manifest, models, out["loop"]),
            "float32": lambda: amber(manifest, models, out["float32"], "float32"),
            "bfloat16": lambda: amber(manifest, models, out["bfloat16"], "bfloat16"),
        }
        print(f"{arguments.clips} clips, {audio_s:.0f} s of audio, {arguments.threads} threads")
        took: dict[str, list[Took]] = {one: [] for one in work}
        for number in range(arguments.rounds):
            order = [*work][number % 3 :] + [*work][: number % 3]
            for one in order:
                out[one].unlink(missing_ok=True)
                shutil.rmtree(f"{out[one]}.job", ignore_errors=True)
                took[one].append(timed(work[one]))
                print(f"  round {number + 1} {one:8} {took[one][-1]}", flush=True)
        for one, every in took.items():
            share = median(run.forward_s / run.wall_s for run in every)
            ratios = [a.wall_s / b.wall_s for a, b in zip(took["loop"], every, strict=True)]
            cpus = [a.cpu_s / b.cpu_s for a, b in zip(took["loop"], every, strict=True)]
            told = "" if one == "loop" else agreement(out[one], out["loop"])
            print(
                f"{one:8} {median(run.wall_s for run in every):7.1f} s wall, "
                f"{median(run.cpu_s for run in every):7.1f} s CPU; the loop takes "
                f"{median(ratios):.2f} times the wall, {median(cpus):.2f} times the CPU; "
                f"forward {share:.0%}; off from the loop: {told}"
            )


if __name__ == "__main__":
    main()
