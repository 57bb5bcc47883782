"""Speech models: padding changes nothing, whatever the architecture.

The reference is transformers' own model on the stock feature extractor's output for one clip alone.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, Wav2Vec2FeatureExtractor

from amber_cache.encoders import load_encoder
from amber_cache.encoders.hf_common import inference
from amber_cache.errors import EncoderError, UtteranceError
from amber_cache.pooling import masked_mean
from tests.tiny_models import (
    AUDIO_MODELS,
    edit_json,
    embed,
    relative_error,
    save_audio_model,
    saver,
    speech_like,
)

TOLERANCE = 1e-5
LENGTHS = (16_000, 400, 7_001, 24_123, 719)
CLIPS = [speech_like(length, seed=seed) for seed, length in enumerate(LENGTHS)]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return saver(tmp_path_factory.mktemp("audio_models"), save_audio_model)


@pytest.fixture
def copied(checkpoint: Callable[[str], Path], tmp_path: Path) -> Path:
    """A checkpoint of this test's own, to be broken."""
    return Path(shutil.copytree(checkpoint("wav2vec2-group"), tmp_path / "w2v"))


def alone(folder: Path, clips: list[np.ndarray], *, layer: int | None = None) -> torch.Tensor:
    """Transformers' own mean over the frames of each clip by itself, without a mask."""
    model = AutoModel.from_pretrained(folder).eval()
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    rows = []
    for clip in clips:
        values = extractor(clip, sampling_rate=16_000, return_tensors="pt").input_values
        with torch.no_grad():
            output = model(values, output_hidden_states=layer is not None)
        frames = output.last_hidden_state if layer is None else output.hidden_states[layer]
        rows.append(frames[0].mean(dim=0))
    return torch.stack(rows)


@pytest.mark.parametrize("name", AUDIO_MODELS)
def test_padded_batch_equals_each_clip_alone(name: str, checkpoint: Callable[[str], Path]) -> None:
    folder = checkpoint(name)
    encoder = load_encoder("audio", str(folder))
    wanted = alone(folder, CLIPS)
    assert relative_error(embed(encoder, CLIPS), wanted) < TOLERANCE
    singles = torch.cat([embed(encoder, [clip]) for clip in CLIPS])
    assert relative_error(singles, wanted) < TOLERANCE


@pytest.mark.parametrize("name", AUDIO_MODELS)
def test_companions_and_order_change_nothing(name: str, checkpoint: Callable[[str], Path]) -> None:
    encoder = load_encoder("audio", str(checkpoint(name)))
    whole = embed(encoder, CLIPS)
    assert relative_error(embed(encoder, CLIPS[::-1]).flip(0), whole) < TOLERANCE
    loud = 50 * speech_like(40_000, seed=9)
    assert relative_error(embed(encoder, [loud, *CLIPS[1:3]])[1:], whole[1:3]) < TOLERANCE


@pytest.mark.parametrize("name", ["wav2vec2-group", "wavlm-layer", "data2vec-audio"])
@pytest.mark.parametrize("layer", [0, 1])
def test_inner_layers_equal_each_clip_alone(
    name: str, layer: int, checkpoint: Callable[[str], Path]
) -> None:
    folder = checkpoint(name)
    found = embed(load_encoder("audio", str(folder)), CLIPS, layer=layer)
    assert relative_error(found, alone(folder, CLIPS, layer=layer)) < TOLERANCE


@pytest.mark.parametrize("name", AUDIO_MODELS)
def test_highest_layer_is_the_last_hidden_state(
    name: str, checkpoint: Callable[[str], Path]
) -> None:
    """Also with do_stable_layer_norm, where transformers' own list ends before the final norm."""
    encoder = load_encoder("audio", str(checkpoint(name)))
    batch = [encoder.prepare(CLIPS[0])]
    encoded = encoder.encode(batch, layers=(2, -1, 0))
    assert encoder.info.num_layers == 2
    assert torch.equal(encoded.frames[0], encoded.frames[1])
    assert not torch.equal(encoded.frames[0], encoded.frames[2])


@pytest.mark.parametrize(
    "name",
    ["wav2vec2-group", "hubert-group", "wavlm-group", "hubert-batch-norm", "data2vec-audio"],
)
@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # WavLM
def test_attention_mask_by_itself_would_fail(name: str, checkpoint: Callable[[str], Path]) -> None:
    """The tests above can fail: the usual way, a mask and nothing else, is far off."""
    folder = checkpoint(name)
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    inputs = extractor(
        CLIPS, sampling_rate=16_000, padding=True, return_attention_mask=True, return_tensors="pt"
    )
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        frames = model(**inputs).last_hidden_state
    encoder = load_encoder("audio", str(folder))
    mask = encoder.encode([encoder.prepare(clip) for clip in CLIPS]).mask
    assert relative_error(masked_mean(frames, mask), alone(folder, CLIPS)) > 100 * TOLERANCE


@pytest.mark.parametrize("do_normalize", [True, False])
def test_waveform_is_normalised_as_the_stock_extractor_does(
    do_normalize: bool, copied: Path
) -> None:
    edit_json(copied / "preprocessor_config.json", do_normalize=do_normalize)
    stock = Wav2Vec2FeatureExtractor.from_pretrained(copied)
    wanted = stock(CLIPS[0], sampling_rate=16_000).input_values[0]
    prepared = load_encoder("audio", str(copied)).prepare(CLIPS[0])
    np.testing.assert_array_equal(prepared.values, wanted)


def test_frames_are_those_that_the_convolutions_give(checkpoint: Callable[[str], Path]) -> None:
    encoder = load_encoder("audio", str(checkpoint("wav2vec2-layer")))
    clips = [np.zeros(length, dtype=np.float32) for length in (32_000, 400, 719, 720)]
    mask = encoder.encode([encoder.prepare(clip) for clip in clips]).mask
    assert mask.sum(dim=1).tolist() == [99, 1, 1, 2]


def test_silence_is_finite(checkpoint: Callable[[str], Path]) -> None:
    encoder = load_encoder("audio", str(checkpoint("wav2vec2-group")))
    assert embed(encoder, [np.zeros(8_000, dtype=np.float32), CLIPS[0]]).isfinite().all()


def test_unusable_waveforms_are_refused_with_the_reason(
    checkpoint: Callable[[str], Path],
) -> None:
    encoder = load_encoder("audio", str(checkpoint("wav2vec2-group")))
    with pytest.raises(UtteranceError, match="has 399 samples; wav2vec2-group needs at least 400"):
        encoder.prepare(np.zeros(399, dtype=np.float32))
    for bad in (np.nan, np.inf):
        spoilt = CLIPS[0].copy()
        spoilt[5] = bad
        with pytest.raises(UtteranceError, match="1 of its 16000 samples are NaN or infinite"):
            encoder.prepare(spoilt)
    with pytest.raises(UtteranceError, match=r"one mono waveform, got shape \(2, 800\)"):
        encoder.prepare(np.zeros((2, 800), dtype=np.float32))


@pytest.mark.parametrize("layer", [3, -2])
def test_a_layer_that_is_not_there_is_refused(
    layer: int, checkpoint: Callable[[str], Path]
) -> None:
    encoder = load_encoder("audio", str(checkpoint("wav2vec2-group")))
    with pytest.raises(EncoderError, match=rf"layer {layer} does not exist; it has 0 .* to 2"):
        encoder.encode([encoder.prepare(CLIPS[1])], layers=[layer])


def test_low_precision_is_near_float32(checkpoint: Callable[[str], Path]) -> None:
    folder = str(checkpoint("wav2vec2-group"))
    exact = embed(load_encoder("audio", folder), CLIPS)
    for precision, tolerance in (("bfloat16", 0.1), ("float16", 0.02)):
        found = embed(load_encoder("audio", folder, precision=precision), CLIPS)
        assert found.dtype == torch.float32
        assert 1e-6 < relative_error(found, exact) < tolerance


def test_float32_turns_tf32_off_and_puts_it_back() -> None:
    owners = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [owner.fp32_precision for owner in owners]
    for precision, wanted in (("float32", "ieee"), ("tf32", "tf32")):
        with inference(precision):
            assert [owner.fp32_precision for owner in owners] == [wanted] * 2
    assert [owner.fp32_precision for owner in owners] == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", AUDIO_MODELS)
def test_cuda_equals_the_clip_alone_on_the_cpu(
    name: str, checkpoint: Callable[[str], Path]
) -> None:
    folder = checkpoint(name)
    found = embed(load_encoder("audio", str(folder), device="cuda"), CLIPS).cpu()
    assert relative_error(found, alone(folder, CLIPS)) < TOLERANCE
