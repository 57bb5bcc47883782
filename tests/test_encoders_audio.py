"""Speech models: padding changes nothing, and what is broken is refused.

The reference is transformers' own model on the stock feature extractor's output for one clip alone.
"""

import io
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, Wav2Vec2FeatureExtractor

from amber_cache.encoders import Encoder, load_encoder
from amber_cache.encoders.hf_common import inference
from amber_cache.errors import EncoderError, UtteranceError
from amber_cache.pooling import masked_mean
from tests.tiny_models import (
    AUDIO_MODELS,
    edit_json,
    relative_error,
    save_audio_model,
    speech_like,
)

TOLERANCE = 1e-5
LENGTHS = (16_000, 400, 7_001, 24_123, 719)
CLIPS = [speech_like(length, seed=seed) for seed, length in enumerate(LENGTHS)]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("audio_models")

    def saved(name: str) -> Path:
        folder = root / name
        return folder if folder.is_dir() else save_audio_model(folder, name)

    return saved


@pytest.fixture
def copied(checkpoint: Callable[[str], Path], tmp_path: Path) -> Path:
    """A checkpoint of this test's own, to be broken."""
    return Path(shutil.copytree(checkpoint("wav2vec2-group"), tmp_path / "w2v"))


def embed(encoder: Encoder, clips: list[np.ndarray], *, layer: int = -1) -> torch.Tensor:
    encoded = encoder.encode([encoder.prepare(clip) for clip in clips], layers=[layer])
    return masked_mean(encoded.frames[0], encoded.mask)


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
def test_padded_batch_equals_each_clip_alone(
    name: str, checkpoint: Callable[[str], Path]
) -> None:
    folder = checkpoint(name)
    encoder = load_encoder("audio", str(folder))
    wanted = alone(folder, CLIPS)
    assert relative_error(embed(encoder, CLIPS), wanted) < TOLERANCE
    singles = torch.cat([embed(encoder, [clip]) for clip in CLIPS])
    assert relative_error(singles, wanted) < TOLERANCE


@pytest.mark.parametrize("name", AUDIO_MODELS)
def test_companions_and_order_change_nothing(
    name: str, checkpoint: Callable[[str], Path]
) -> None:
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
def test_attention_mask_by_itself_would_fail(
    name: str, checkpoint: Callable[[str], Path]
) -> None:
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


def test_info_says_what_the_checkpoint_is(copied: Path) -> None:
    info = load_encoder("audio", str(copied)).info
    assert (info.encoder, info.modality, info.revision) == ("w2v", "audio", "")
    assert (info.dimension, info.num_layers, info.sampling_rate_hz) == (32, 2, 16_000)
    before = info.weights_sha256
    weights = load_file(copied / "model.safetensors")
    weights["feature_projection.projection.bias"][0] += 1
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert load_encoder("audio", str(copied)).info.weights_sha256 != before


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "tf32"}, "tf32 needs a CUDA device, got cpu"),
        ({"precision": "int8"}, "precision 'int8' does not exist; use float32"),
        ({"device": "cuda:99"}, "device cuda:99 is not there: this machine has"),
        ({"device": "tpu"}, "device 'tpu' is not supported"),
    ],
)
def test_impossible_devices_and_precisions_are_refused(
    options: dict[str, str], message: str, checkpoint: Callable[[str], Path]
) -> None:
    with pytest.raises(EncoderError, match=message):
        load_encoder("audio", str(checkpoint("wav2vec2-group")), **options)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "has no config.json"),
        ("preprocessor_config.json", "has no preprocessor_config.json"),
        ("model.safetensors", r"has no weights \(model.safetensors or pytorch_model.bin"),
    ],
)
def test_a_missing_file_is_named(missing: str, message: str, copied: Path) -> None:
    (copied / missing).unlink()
    with pytest.raises(EncoderError, match=message):
        load_encoder("audio", str(copied))


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("preprocessor_config.json", {"do_normalize": None}, "do_normalize is None, wanted bool"),
        ("preprocessor_config.json", {"sampling_rate": "x"}, "sampling_rate is 'x', wanted int"),
        ("config.json", {"model_type": "whisper"}, "model_type 'whisper' is not supported"),
        ("config.json", {"add_adapter": True}, "add_adapter"),
        ("config.json", {"hidden_size": 64}, "can't be loaded"),
        ("config.json", {"num_hidden_layers": 3}, "lacks 16 weights .*encoder.layers.2"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    file: str, changes: dict[str, object], message: str, copied: Path
) -> None:
    edit_json(copied / file, **changes)
    with pytest.raises(EncoderError, match=message):
        load_encoder("audio", str(copied))


def test_broken_json_and_weights_are_refused_in_one_line(copied: Path) -> None:
    (copied / "model.safetensors").write_bytes(b"no weights here")
    with pytest.raises(EncoderError, match="model.safetensors can't be loaded") as broken:
        load_encoder("audio", str(copied))
    assert "\n" not in str(broken.value)
    (copied / "config.json").write_text("{")
    with pytest.raises(EncoderError, match="config.json can't be read"):
        load_encoder("audio", str(copied))


def test_only_weights_without_effect_may_be_missing(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    whole = embed(load_encoder("audio", str(copied)), CLIPS[:2])
    del weights["masked_spec_embed"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert torch.equal(embed(load_encoder("audio", str(copied)), CLIPS[:2]), whole)
    del weights["encoder.layer_norm.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"lacks 1 weights .*encoder.layer_norm.weight"):
        load_encoder("audio", str(copied))


def _as_published(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The names of wav2vec2-base's .bin: of a model with a head, and the old weight norm."""
    old = {"parametrizations.weight.original0": "weight_g"}
    old["parametrizations.weight.original1"] = "weight_v"
    renamed = {}
    for name, tensor in weights.items():
        for new_part, old_part in old.items():
            name = name.replace(new_part, old_part)  # noqa: PLW2901
        renamed[f"wav2vec2.{name}"] = tensor
    return renamed | {"quantizer.codevectors": torch.zeros(1, 4, 4)}


def test_a_bin_with_plain_weights_loads(copied: Path) -> None:
    wanted = embed(load_encoder("audio", str(copied)), CLIPS[:3])
    weights = _as_published(load_file(copied / "model.safetensors"))
    (copied / "model.safetensors").unlink()
    torch.save(weights, copied / "pytorch_model.bin")
    assert torch.equal(embed(load_encoder("audio", str(copied)), CLIPS[:3]), wanted)


def test_shards_load_and_are_all_hashed(copied: Path) -> None:
    whole = load_encoder("audio", str(copied))
    model = AutoModel.from_pretrained(copied)
    (copied / "model.safetensors").unlink()
    model.save_pretrained(copied, max_shard_size="40KB")
    shards = sorted(copied.glob("model-*.safetensors"))
    sharded = load_encoder("audio", str(copied))
    assert len(shards) > 1
    assert torch.equal(embed(sharded, CLIPS[:3]), embed(whole, CLIPS[:3]))
    shards[0].unlink()
    with pytest.raises(EncoderError, match=f"weight files that are missing: {shards[0].name}"):
        load_encoder("audio", str(copied))


class _Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.victim,)


@pytest.mark.parametrize("as_torch_file", [True, False])
def test_a_pickle_that_runs_code_is_refused(
    as_torch_file: bool, copied: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "was_here"
    content = {"encoder.layer_norm.weight": _Malicious(victim)}
    (copied / "model.safetensors").unlink()
    if as_torch_file:
        torch.save(content, copied / "pytorch_model.bin")
    else:
        buffer = io.BytesIO()
        pickle.dump(content, buffer)
        (copied / "pytorch_model.bin").write_bytes(buffer.getvalue())
    with pytest.raises(EncoderError, match="pytorch_model.bin can't be loaded"):
        load_encoder("audio", str(copied))
    assert not victim.exists()


@pytest.fixture
def unreachable_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No server answers there; an empty cache folder stands in for the user's."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.usefixtures("unreachable_hub")
@pytest.mark.parametrize("offline", [True, False])
def test_hub_out_of_reach_names_both_ways_out(
    offline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
    message = r"hub can't be reached .* give a local folder .* built-in encoder 'mel'"
    with pytest.raises(EncoderError, match=message) as refused:
        load_encoder("audio", "facebook/wav2vec2-base")
    assert "\n" not in str(refused.value)


def test_a_model_in_the_hubs_cache_needs_no_hub(
    unreachable_hub: Path, checkpoint: Callable[[str], Path]
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    kept = unreachable_hub / "models--some--model"
    shutil.copytree(checkpoint("wav2vec2-group"), kept / "snapshots" / commit)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)
    info = load_encoder("audio", "some/model").info
    assert (info.encoder, info.revision) == ("some/model", commit)


def test_a_path_that_is_not_there_is_refused() -> None:
    with pytest.raises(EncoderError, match="there is no such folder; give a local folder"):
        load_encoder("audio", "./models/some/where")


def test_importing_is_light_and_loading_is_silent(checkpoint: Callable[[str], Path]) -> None:
    script = """
import sys
from amber_cache.encoders import load_encoder
for modality, name in (("audio", "mel"), ("text", "hash")):
    load_encoder(modality, name)
assert "transformers" not in sys.modules
import numpy as np
for folder in sys.argv[1:]:
    encoder = load_encoder("audio", folder)
    encoder.encode([encoder.prepare(np.ones(n, np.float32)) for n in (400, 900)])
"""
    folders = [str(checkpoint(name)) for name in ("wav2vec2-group", "wavlm-group")]
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", script, *folders],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_saved_preprocessor_is_the_stock_one(checkpoint: Callable[[str], Path]) -> None:
    """The keys that the encoder reads are those that transformers writes."""
    path = checkpoint("wav2vec2-group") / "preprocessor_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert (content["do_normalize"], content["sampling_rate"]) == (True, 16_000)
