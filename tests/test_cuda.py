"""On a CUDA device the figures and transcripts are those of the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from amber_cache.transcribe import Transcriber
from tests.commands import amber
from tests.heard_corpora import save_whisper_model
from tests.small_caches import small_cache
from tests.tiny_models import save_ctc_model, speech_like

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

DEVICES = ("cpu", "cuda")
FAST = ("--epochs", 5, "--lr", 3e-3, "--hidden", 16, "--seeds", 2, "--quiet")
LAYERS = (("audio", "a@layer0"), ("audio", "a@layer1"), ("audio", "a"), ("text", "hash"))


@pytest.mark.parametrize(
    "command",
    [
        ("fit", "--kappa", 4),
        ("fit", "--layer", "weighted"),
        ("fit", "--loss", "cb-ce"),
        ("grid", "--grid", "kappa=2,8", "--grid", "lambda-mai=0,1"),
        ("compare", "--systems", "cb-ce,amber2,late-average"),
    ],
    ids=lambda command: " ".join(map(str, command)),
)
def test_figures_are_those_of_the_cpu(tmp_path: Path, command: Sequence[object]) -> None:
    layered = "weighted" in command
    small_cache(tmp_path / "data" / "cache.h5", entries=LAYERS if layered else LAYERS[2:])
    for number, device in enumerate(DEVICES):
        done = amber(*command, *FAST, "--device", device, "--out", f"on{number}", cwd=tmp_path)
        assert done.status == 0, done.err
    one, other = (_rows(tmp_path / f"on{number}" / "runs.csv") for number in range(2))
    assert one.keys() == other.keys()
    for key, figures in one.items():
        np.testing.assert_allclose(other[key], figures, atol=0.002, err_msg=str(key))


@pytest.mark.parametrize("save", [save_whisper_model, save_ctc_model])
def test_transcripts_are_those_of_the_cpu(tmp_path: Path, save: object) -> None:
    model = str(save(tmp_path / "asr"))  # type: ignore[operator]
    waveform = speech_like(20_000, seed=0)
    heard = [Transcriber(model, device=device).hear(waveform) for device in DEVICES]
    assert heard[0]
    assert heard[1] == heard[0]


def _rows(path: Path) -> dict[tuple[str, ...], list[float]]:
    """By run, head and split: js, bc and r2."""
    header, *lines = (line.split(",") for line in path.read_text().splitlines())
    keys = [header.index(name) for name in ("run", "head", "split")]
    wanted = [header.index(name) for name in ("js", "bc", "r2")]
    return {
        tuple(line[place] for place in keys): [float(line[place]) for place in wanted]
        for line in lines
    }
