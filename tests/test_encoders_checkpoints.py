"""Checkpoints on disk and on the hub: what loads, what is refused, and that loading is quiet."""

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from amber_cache.encoders import load_encoder
from amber_cache.errors import EncoderError
from tests.tiny_models import (
    edit_json,
    embed,
    save_audio_model,
    save_text_model,
    saver,
    speech_like,
)

CLIPS = [speech_like(length, seed=seed) for seed, length in enumerate((16_000, 400, 7_001))]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return saver(tmp_path_factory.mktemp("audio_models"), save_audio_model)


@pytest.fixture
def copied(checkpoint: Callable[[str], Path], tmp_path: Path) -> Path:
    """A checkpoint of this test's own, to be broken."""
    return Path(shutil.copytree(checkpoint("wav2vec2-group"), tmp_path / "w2v"))


def test_info_says_what_the_checkpoint_is(copied: Path) -> None:
    info = load_encoder("audio", str(copied)).info
    assert (info.encoder, info.modality, info.revision) == ("w2v", "audio", "")
    assert (info.dimension, info.num_layers, info.sampling_rate_hz) == (32, 2, 16_000)
    before = info.weights_sha256
    weights = load_file(copied / "model.safetensors")
    weights["feature_projection.projection.bias"][0] += 1
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert load_encoder("audio", str(copied)).info.weights_sha256 != before


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
    whole = embed(load_encoder("audio", str(copied)), CLIPS)
    del weights["masked_spec_embed"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert torch.equal(embed(load_encoder("audio", str(copied)), CLIPS), whole)
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
            name = name.replace(new_part, old_part)
        renamed[f"wav2vec2.{name}"] = tensor
    return renamed | {"quantizer.codevectors": torch.zeros(1, 4, 4)}


def test_a_bin_with_plain_weights_loads(copied: Path) -> None:
    wanted = embed(load_encoder("audio", str(copied)), CLIPS)
    weights = _as_published(load_file(copied / "model.safetensors"))
    (copied / "model.safetensors").unlink()
    torch.save(weights, copied / "pytorch_model.bin")
    assert torch.equal(embed(load_encoder("audio", str(copied)), CLIPS), wanted)


def test_float32_weights_stay_so_whatever_the_configuration_says(copied: Path) -> None:
    """By itself, transformers 5 would load them in the configuration's dtype."""
    wanted = embed(load_encoder("audio", str(copied)), CLIPS)
    edit_json(copied / "config.json", dtype="float16")
    assert torch.equal(embed(load_encoder("audio", str(copied)), CLIPS), wanted)


def test_shards_load_and_are_all_hashed(copied: Path) -> None:
    whole = load_encoder("audio", str(copied))
    model = AutoModel.from_pretrained(copied)
    (copied / "model.safetensors").unlink()
    model.save_pretrained(copied, max_shard_size="40KB")
    shards = sorted(copied.glob("model-*.safetensors"))
    sharded = load_encoder("audio", str(copied))
    assert len(shards) > 1
    assert torch.equal(embed(sharded, CLIPS), embed(whole, CLIPS))
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
    weights = copied / "pytorch_model.bin"
    (copied / "model.safetensors").unlink()
    if as_torch_file:
        torch.save(content, weights)
        torch.load(weights, weights_only=False)
    else:
        weights.write_bytes(pickle.dumps(content))
        pickle.loads(weights.read_bytes())
    assert victim.exists()  # so the file does harm where it is simply unpickled
    victim.unlink()
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


def test_importing_is_light_and_loading_is_silent(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    script = """
import sys
from amber_cache.encoders import load_encoder
for modality, name in (("audio", "mel"), ("text", "hash")):
    load_encoder(modality, name)
assert "transformers" not in sys.modules
import numpy as np
sources = {"audio": [np.ones(400, "f4"), np.ones(900, "f4")], "text": ["cat", "cat " * 99]}
for argument in sys.argv[1:]:
    modality, _, folder = argument.partition("=")
    encoder = load_encoder(modality, folder)
    encoder.encode([encoder.prepare(source) for source in sources[modality]])
"""
    folders = [f"audio={checkpoint(name)}" for name in ("wav2vec2-group", "wavlm-group")]
    text_folder = save_text_model(tmp_path / "bert", "bert")
    # The tokenizer's own limit: past it, transformers would log a warning.
    edit_json(text_folder / "tokenizer_config.json", model_max_length=20)
    folders.append(f"text={text_folder}")
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", script, *folders],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["x" * 300, "~nobody-of-that-name/model"])
def test_a_name_that_can_be_no_path_is_refused_as_any_other(
    name: str, unreachable_hub: Path
) -> None:
    with pytest.raises(EncoderError, match="use the built-in encoder 'mel'"):
        load_encoder("audio", name)


def test_a_folder_whose_name_no_cache_can_hold_is_refused_at_once(copied: Path) -> None:
    odd = copied.rename(copied.with_name(".tiny"))
    with pytest.raises(EncoderError, match="can't name an entry of a cache"):
        load_encoder("audio", str(odd))
