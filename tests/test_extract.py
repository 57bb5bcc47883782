"""`amber extract` through models with weights, and how much of a corpus it holds at a time."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from amber_cache.encoders import load_encoder
from amber_cache.errors import UtteranceError
from amber_cache.jobs import encoding
from amber_cache.sources import Source
from tests.commands import ROOT, amber
from tests.made_corpora import (
    BUILTIN,
    assert_refused,
    extract,
    files_under,
    make_corpus,
    read_cache,
    read_rows,
    reasons,
    vectors,
    voice,
    write_audio,
    write_table,
)
from tests.tiny_models import embed, save_audio_model, save_text_model


@pytest.fixture(scope="module")
def w2v(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_audio_model(tmp_path_factory.mktemp("m") / "w2v", "wav2vec2-group")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_text_model(tmp_path_factory.mktemp("m") / "tiny-bert", "bert")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "corpus", num=4)


def models(audio: Path | str = "mel", text: Path | str = "hash") -> tuple[object, ...]:
    return "--audio-encoder", audio, "--text-encoder", text


def test_a_model_named_by_folder_adds_its_entry_beside_the_built_in_one(
    manifest: Path, w2v: Path, bert: Path
) -> None:
    assert extract(manifest).status == 0
    before = vectors(read_cache(manifest))
    assert extract(manifest, encoders=models(w2v, bert)).status == 0
    content = read_cache(manifest)
    for name, vector in before.items():
        np.testing.assert_array_equal(vectors(content)[name], vector)
    audio, text = load_encoder("audio", str(w2v)), load_encoder("text", str(bert))
    for number, row in enumerate(read_rows(manifest), start=1):
        clip = voice(3_000 + 1_500 * number, seed=number)
        for entry, wanted in (
            ("audio/w2v", embed(audio, [clip])[0]),
            ("text/tiny-bert", embed(text, [row["text"]])[0]),
        ):
            found = vectors(content, entry)[row["id"]]
            assert np.linalg.norm(found - wanted.numpy()) <= 1e-5 * np.linalg.norm(wanted.numpy())


def test_the_entrys_attributes_say_what_made_it(manifest: Path, w2v: Path) -> None:
    extract(manifest, "--layer", "1", encoders=models(w2v))
    with h5py.File(manifest.parent / "cache.h5") as file:
        attrs = dict(file["embeddings/audio/w2v@layer1"].attrs)
        assert file["embeddings/text/hash"].attrs["layer"] == -1
    assert (attrs["encoder"], attrs["layer"], attrs["pooling"]) == ("w2v", 1, "mean")
    assert (attrs["precision"], attrs["sampling_rate_hz"]) == ("float32", 16_000)
    assert attrs["weights_sha256"] == load_encoder("audio", str(w2v)).info.weights_sha256
    assert str(w2v.parent).encode() not in (manifest.parent / "cache.h5").read_bytes()


def test_an_inner_layer_has_an_entry_of_its_own(manifest: Path, w2v: Path) -> None:
    extract(manifest, encoders=models(w2v))
    finished = extract(manifest, "--layer", "1", encoders=models(w2v))
    assert finished.status == 0
    assert "hash is a built-in encoder: --layer 1 has no effect on it" in finished.err
    content = read_cache(manifest)
    clip = voice(4_500, seed=1)
    for entry, layer in (("audio/w2v", -1), ("audio/w2v@layer1", 1)):
        wanted = embed(load_encoder("audio", str(w2v)), [clip], layer=layer)[0].numpy()
        np.testing.assert_allclose(vectors(content, entry)["u1"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", ["3", "-2", "99"])
def test_a_layer_that_the_model_lacks_is_refused_before_encoding(
    manifest: Path, w2v: Path, layer: str
) -> None:
    finished = extract(manifest, "--layer", layer, encoders=models(w2v))
    assert_refused(
        finished, rf"encoder w2v: layer {layer} does not exist; it has 0 .* to 2, and -1"
    )
    assert not (manifest.parent / "cache.h5").exists()


@pytest.mark.parametrize("option", [("--layer", "1"), ("--layer", "0"), ("--precision", "float16")])
def test_an_option_for_models_is_refused_for_built_in_encoders(
    manifest: Path, option: tuple[str, str]
) -> None:
    match = (
        rf"{' '.join(option)} has no effect on the built-in encoders \(mel, hash\).*leave it out"
    )
    assert_refused(extract(manifest, *option), match)
    assert not (manifest.parent / "cache.h5").exists()


def test_other_weights_of_the_same_name_are_refused_with_both_hashes(
    manifest: Path, w2v: Path, tmp_path: Path
) -> None:
    extract(manifest, encoders=models(w2v))
    before = files_under(manifest.parent)
    other = Path(shutil.copytree(w2v, tmp_path / "other" / "w2v"))
    weights = load_file(other / "model.safetensors")
    weights["feature_projection.projection.bias"][0] += 1
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    one, two = (load_encoder("audio", str(path)).info.weights_sha256 for path in (w2v, other))
    match = rf"audio/w2v was made with weights_sha256 '{one}', and this would be '{two}'; .*--cache"
    assert_refused(extract(manifest, encoders=models(other)), match)
    assert files_under(manifest.parent) == before


def test_a_clip_shorter_than_the_receptive_field_is_left_out(manifest: Path, w2v: Path) -> None:
    write_audio(manifest.parent / "audio/u2.wav", voice(399))
    write_audio(manifest.parent / "audio/u3.wav", voice(400))
    finished = extract(manifest, encoders=models(w2v))
    assert finished.status == 1
    content = read_cache(manifest)
    wanted = "has 399 samples; w2v needs at least 400 for one frame"
    assert reasons(content, "audio/w2v") == {"u2": wanted}
    assert sorted(vectors(content, "audio/w2v")) == ["u1", "u3", "u4"]


def test_a_text_beyond_the_models_limit_is_cut_counted_and_told(manifest: Path, bert: Path) -> None:
    rows = read_rows(manifest)
    rows[1]["text"], rows[3]["text"] = "cat sat on " * 20, "so happy " * 30
    write_table(manifest, rows)
    finished = extract(manifest, encoders=models(text=bert))
    assert finished.status == 0
    told = "text/tiny-bert: 2 utterances, first 'u2': truncated from 62 to 40 tokens\n"
    assert told in finished.err
    cut = embed(load_encoder("text", str(bert)), ["cat sat on " * 12 + "cat sat"])[0].numpy()
    found = vectors(read_cache(manifest), "text/tiny-bert")["u2"]
    np.testing.assert_allclose(found, cut, rtol=1e-4, atol=1e-5)


def test_an_encoder_that_cant_be_had_ends_the_command_before_any_encoding(
    manifest: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    before = files_under(manifest.parent)
    finished = extract(manifest, encoders=models(text=tmp_path / "empty"))
    assert_refused(finished, r"encoder .*empty: its folder has no config\.json")
    assert "audio/mel" not in finished.err
    assert files_under(manifest.parent) == before


def test_a_hub_out_of_reach_is_one_line_with_both_ways_out(manifest: Path) -> None:
    command = ["extract", "--corpus", "manifest", "--root", str(manifest), "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "cli", *command, "--cache", str(manifest.parent / "cache.h5")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(manifest.parent), "PATH": ""},
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    wanted = (
        "encoder facebook/wav2vec2-base: there is no such folder here, the hub can't be reached"
    )
    assert wanted in done.stderr
    assert "give a local folder" in done.stderr
    assert "or use the built-in encoder 'mel'" in done.stderr
    assert not (manifest.parent / "cache.h5").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("options", [["--gpu"], ["--device", "cuda"], ["--device", "cuda:1"]])
def test_a_gpu_where_there_is_none_is_refused(tmp_path: Path, options: list[str]) -> None:
    asked = " ".join(options)
    finished = amber("extract", *options, cwd=tmp_path)
    assert_refused(finished, f"{asked}: no CUDA device is available here; leave it out for the CPU")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_vectors_are_those_of_the_cpu(manifest: Path, w2v: Path) -> None:
    finished = extract(manifest, "--gpu", encoders=models(w2v))
    assert finished.status == 0
    assert "hash is a built-in encoder: stays on the CPU" in finished.err
    found = vectors(read_cache(manifest), "audio/w2v")["u1"]
    wanted = embed(load_encoder("audio", str(w2v)), [voice(4_500, seed=1)])[0].numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


class Counted:
    """Sources that count how many waveforms are out and not yet encoded."""

    def __init__(self, num: int, num_samples: int) -> None:
        self.loaded = 0
        self.sources: list[Source | UtteranceError] = [
            Source(self._load, 1_000) for _ in range(num)
        ]
        self._num_samples = num_samples

    def _load(self, _: int) -> np.ndarray:
        self.loaded += 1
        return voice(self._num_samples)


def rows_of(counted: Counted) -> Iterator[encoding.Outcome]:
    encoder = load_encoder("audio", "mel")
    rows = range(len(counted.sources))
    return encoding.encoded_rows(rows, counted.sources, encoder, layer=-1, pooling="mean")


def test_only_a_few_batches_are_decoded_ahead_of_the_encoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 2_000)  # two utterances a batch
    counted = Counted(40, 800)
    for encoded, _ in enumerate(rows_of(counted), start=1):
        assert counted.loaded <= encoded + 2 * (encoding.NUM_AHEAD + 1)
    assert counted.loaded == 40


def test_memory_does_not_grow_with_the_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 1_000)
    peaks = []
    for num in (8, 64):
        tracemalloc.start()
        for _ in rows_of(Counted(num, 16_000)):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # How many are decoded at the peak is a matter of timing; eight times as many it is not.
    assert peaks[1] < 3 * peaks[0]


def test_what_goes_wrong_in_the_middle_stops_the_decoding() -> None:
    counted = Counted(40, 800)
    outcomes = rows_of(counted)
    next(outcomes)
    outcomes.close()  # as an error in whoever reads them would
    assert counted.loaded <= 16 * (encoding.NUM_AHEAD + 1)


def test_built_in_encoders_are_named_by_the_general_option_too(manifest: Path) -> None:
    pairs = ("--encoder", "audio=mel", "--encoder", "text=hash")
    assert extract(manifest, encoders=pairs).status == 0
    assert "nothing was missing" in extract(manifest, encoders=BUILTIN).out
