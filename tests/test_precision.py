"""What lower precisions cost: every family against itself in float32, clip by clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from amber_cache.encoders import load_encoder
from amber_cache.jobs.checking import LIMITS
from amber_cache.pooling import masked_mean
from tests.tiny_models import (
    AUDIO_MODELS,
    TEXT_MODELS,
    relative_error,
    save_audio_model,
    save_text_model,
    saver,
    speech_like,
)

CLIPS = [speech_like(length, seed=seed) for seed, length in enumerate((6_000, 9_000, 14_000))]
TEXTS = ["the cat sat on the mat", "so happy", "no you me it is far away and angry"]
MODELS = [("audio", one) for one in AUDIO_MODELS] + [("text", one) for one in TEXT_MODELS]

#: Measured: 1.2e-2 and 1.7e-3 at most, over all layers (tests/benchmarks/RESULTS.md).
WORST = {"bfloat16": 2e-2, "float16": 3e-3}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def save(folder: Path, name: str) -> Path:
        is_audio = name in AUDIO_MODELS
        return save_audio_model(folder, name) if is_audio else save_text_model(folder, name)

    return saver(tmp_path_factory.mktemp("models"), save)


@pytest.mark.parametrize("precision", WORST)
@pytest.mark.parametrize(("modality", "name"), MODELS)
def test_half_precision_is_near_float32_in_every_layer(
    modality: str, name: str, precision: str, checkpoint: Callable[[str], Path]
) -> None:
    sources = CLIPS if modality == "audio" else TEXTS
    exact = load_encoder(modality, str(checkpoint(name)))
    low = load_encoder(modality, str(checkpoint(name)), precision=precision)
    layers = range(exact.info.num_layers + 1)
    found = low.encode([low.prepare(one) for one in sources], layers=layers)
    alone = [exact.encode([exact.prepare(one)], layers=layers) for one in sources]
    assert found.frames.dtype == getattr(torch, precision)
    for layer in layers:
        pooled = masked_mean(found.frames[layer], found.mask)
        assert pooled.dtype == torch.float32
        wanted = torch.cat([masked_mean(one.frames[layer], one.mask) for one in alone])
        error = relative_error(pooled, wanted)
        assert 0 < error < WORST[precision] < LIMITS[precision]


@pytest.mark.parametrize("precision", WORST)
def test_the_weights_themselves_are_of_the_precision(
    precision: str, checkpoint: Callable[[str], Path]
) -> None:
    for modality, name in (("audio", "wav2vec2-group"), ("text", "bert")):
        encoder = load_encoder(modality, str(checkpoint(name)), precision=precision)
        model = encoder._model  # type: ignore[attr-defined]
        kinds = {one.dtype for one in model.parameters() if one.is_floating_point()}
        assert kinds == {getattr(torch, precision)}
        assert not torch.is_autocast_enabled("cpu")
