"""`amber extract` with several layers, and several encoders of one modality, in one command."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from amber_cache.encoders import load_encoder
from amber_cache.encoders.hf_audio import HfAudioEncoder
from amber_cache.jobs import encoding
from tests.commands import amber
from tests.made_corpora import (
    assert_refused,
    extract,
    make_corpus,
    read_cache,
    read_rows,
    reasons,
    vectors,
    voice,
    write_audio,
    write_table,
)
from tests.tiny_models import edit_json, embed, relative_error, save_audio_model, save_text_model


@pytest.fixture(scope="module")
def w2v(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_audio_model(tmp_path_factory.mktemp("m") / "w2v", "wav2vec2-group")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_audio_model(tmp_path_factory.mktemp("m") / "hub", "hubert-group", seed=1)


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six utterances in batches of one to three."""
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 1_200)
    return make_corpus(tmp_path / "corpus", num=6)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that a speech model was run over."""
    sizes: list[int] = []
    original = HfAudioEncoder.encode

    def counted(self: HfAudioEncoder, batch: list[object], **how: object) -> object:
        sizes.append(len(batch))
        return original(self, batch, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(HfAudioEncoder, "encode", counted)
    return sizes


def audio(model: Path | str) -> tuple[object, ...]:
    return "--audio-encoder", model, "--text-encoder", "hash"


def run(manifest: Path, model: Path | str, *options: object, cache: str = "cache.h5") -> object:
    place = "--cache", manifest.parent / cache
    finished = extract(manifest, *place, *options, encoders=audio(model))
    assert finished.status == 0, finished.err
    return finished


def rows(manifest: Path, entry: str, cache: str = "cache.h5") -> dict[str, bytes]:
    """An entry's datasets."""
    with h5py.File(manifest.parent / cache) as file:
        group = file[f"embeddings/audio/{entry}"]
        return {name: repr(group[name][()].tolist()).encode() for name in group}


def names(manifest: Path, cache: str = "cache.h5") -> list[str]:
    with h5py.File(manifest.parent / cache) as file:
        return sorted(file["embeddings/audio"])


def test_one_pass_of_the_encoder_gives_every_layer(
    manifest: Path, w2v: Path, passes: list[int]
) -> None:
    run(manifest, w2v, "--layer", "0,2,-1", "--check", "0")
    assert sum(passes) == 6
    content, encoder = read_cache(manifest), load_encoder("audio", str(w2v))
    assert names(manifest) == ["w2v", "w2v@layer0", "w2v@layer2"]
    for entry, layer in (("w2v", -1), ("w2v@layer0", 0), ("w2v@layer2", 2)):
        for number in (1, 6):
            clip = voice(3_000 + 1_500 * number, seed=number)
            wanted = embed(encoder, [clip], layer=layer)[0].numpy()
            found = vectors(content, f"audio/{entry}")[f"u{number}"]
            assert np.linalg.norm(found - wanted) <= 1e-5 * np.linalg.norm(wanted)
    with h5py.File(manifest.parent / "cache.h5") as file:
        assert file["embeddings/audio/w2v@layer2"].attrs["layer"] == 2


def test_all_layers_are_the_input_embedding_and_every_layer(manifest: Path, w2v: Path) -> None:
    run(manifest, w2v, "--layer", "all")
    run(manifest, w2v, cache="last.h5")
    assert names(manifest) == ["w2v@layer0", "w2v@layer1", "w2v@layer2"]
    assert rows(manifest, "w2v@layer2") == rows(manifest, "w2v", "last.h5")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_layer_alone_has_the_bytes_that_it_has_beside_others(
    manifest: Path, w2v: Path, precision: str
) -> None:
    mark = "" if precision == "float32" else f"~{precision}"
    run(manifest, w2v, "--layer", "all", "--precision", precision)
    for layer in range(3):
        run(manifest, w2v, "--layer", layer, "--precision", precision, cache=f"{layer}.h5")
        name = f"w2v@layer{layer}{mark}"
        assert rows(manifest, name) == rows(manifest, name, f"{layer}.h5")


def test_a_distilbert_says_how_many_layers_it_has_in_another_word(
    manifest: Path, tmp_path: Path
) -> None:
    model = save_text_model(tmp_path / "distil", "distilbert")
    encoders = "--audio-encoder", "mel", "--text-encoder", model
    finished = extract(manifest, "--layer", "all", encoders=encoders)
    assert finished.status == 0
    with h5py.File(manifest.parent / "cache.h5") as file:
        assert list(file["embeddings/text"]) == [f"distil@layer{n}" for n in range(3)]
    assert "mel is a built-in encoder: --layer all has no effect on it" in finished.err


def test_layers_that_are_there_are_not_encoded_again(
    manifest: Path, w2v: Path, passes: list[int]
) -> None:
    run(manifest, w2v, "--layer", "1", "--check", "0")
    before = rows(manifest, "w2v@layer1")
    passes.clear()
    finished = run(manifest, w2v, "--layer", "all", "--json", "--check", "0")
    encoded = json.loads(finished.out)["encoded"]  # type: ignore[attr-defined]
    assert [encoded[f"audio/w2v@layer{n}"] for n in range(3)] == [6, 0, 6]
    assert sum(passes) == 6  # both that were lacking in one pass
    assert rows(manifest, "w2v@layer1") == before
    passes.clear()
    finished = run(manifest, w2v, "--layer", "all")
    assert "nothing was missing" in finished.out  # type: ignore[attr-defined]
    assert passes == []


def test_a_new_utterance_goes_into_every_layer(
    manifest: Path, w2v: Path, passes: list[int]
) -> None:
    run(manifest, w2v, "--layer", "all")
    before = [vectors(read_cache(manifest), f"audio/w2v@layer{n}") for n in range(3)]
    write_audio(manifest.parent / "audio/a0.wav", voice(5_000, seed=9))
    new = {"id": "a0", "audio": "audio/a0.wav", "text": "new"}
    write_table(manifest, [*read_rows(manifest), new])
    passes.clear()
    run(manifest, w2v, "--layer", "all", "--check", "0")
    assert passes == [1]
    for layer, old in enumerate(before):
        found = vectors(read_cache(manifest), f"audio/w2v@layer{layer}")
        assert sorted(found) == ["a0", *old]
        for name, vector in old.items():
            np.testing.assert_array_equal(found[name], vector)


def test_a_failure_is_listed_once_and_kept_in_every_layer(manifest: Path, w2v: Path) -> None:
    write_audio(manifest.parent / "audio/u3.wav", voice(300))
    finished = extract(manifest, "--layer", "all", encoders=audio(w2v))
    assert (finished.status, finished.err.count("failed: u3 (audio)")) == (1, 1)
    assert finished.out.endswith(", 1 failed\n")
    for layer in range(3):
        assert list(reasons(read_cache(manifest), f"audio/w2v@layer{layer}")) == ["u3"]


def test_what_is_told_of_a_text_is_told_once_for_all_layers(manifest: Path, tmp_path: Path) -> None:
    model = save_text_model(tmp_path / "bert", "bert")
    table = read_rows(manifest)
    table[1]["text"] = "cat sat on " * 20
    write_table(manifest, table)
    encoders = "--audio-encoder", "mel", "--text-encoder", model
    finished = extract(manifest, "--layer", "0,1", encoders=encoders)
    told = "text/bert@layer0, text/bert@layer1: 1 utterances, first 'u2': truncated from 62 to 40"
    assert (finished.status, finished.err.count(told)) == (0, 1)


def test_a_job_that_was_ended_goes_on_to_the_same_bytes(
    manifest: Path, w2v: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(manifest, w2v, "--layer", "all", cache="clean.h5")
    stop_after(2, monkeypatch)
    first = extract(manifest, "--layer", "all", "--quiet", encoders=audio(w2v))
    assert first.status == 130
    refused = extract(manifest, "--layer", "1,2", encoders=audio(w2v))
    assert_refused(refused, "was begun with layer all, and this would be 1,2; --overwrite")
    run(manifest, w2v, "--layer", "all")
    for layer in range(3):
        name = f"w2v@layer{layer}"
        assert rows(manifest, name) == rows(manifest, name, "clean.h5")


def test_a_kill_between_the_records_of_two_layers_costs_nothing(
    manifest: Path, w2v: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(manifest, w2v, "--layer", "all", cache="clean.h5")
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        assert extract(manifest, "--layer", "all", "--quiet", encoders=audio(w2v)).status == 130
    log = manifest.parent / "cache.h5.job/1.log"
    lines = log.read_bytes().splitlines(keepends=True)[:3]
    log.write_bytes(b"".join(lines[:1]))  # the second layer lacks two batches of the first's three
    sizes: list[int] = []
    original: Callable[..., object] = encoding._encode_batch
    monkeypatch.setattr(
        encoding, "_encode_batch", lambda *a, **k: (sizes.append(len(a[0])), original(*a, **k))[1]
    )
    plan = json.loads((manifest.parent / "cache.h5.job/plan.json").read_text())
    run(manifest, w2v, "--layer", "all")
    assert len(sizes) == len(plan["entries"][0]["batches"]) - 1 + len(plan["entries"][3]["batches"])
    for layer in range(3):
        name = f"w2v@layer{layer}"
        assert rows(manifest, name) == rows(manifest, name, "clean.h5")


def stop_after(number: int, patch: pytest.MonkeyPatch) -> None:
    """End the next command when so many batches are encoded."""
    original, seen = encoding._encode_batch, [0]

    def counted(*arguments: object, **how: object) -> object:
        seen[0] += 1
        if seen[0] == number:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments, **how)  # type: ignore[arg-type]

    patch.setattr(encoding, "_encode_batch", counted)


def test_shards_of_several_layers_make_up_the_whole(manifest: Path, w2v: Path) -> None:
    run(manifest, w2v, "--layer", "all", cache="one.h5")
    parts = []
    for place in range(2):
        run(manifest, w2v, "--layer", "all", "--shard", f"{place}/2", cache=f"{place}.h5")
        parts.append(manifest.parent / f"{place}.h5")
    assert amber("merge", manifest.parent / "cache.h5", *parts).status == 0
    for layer in range(3):
        name = f"w2v@layer{layer}"
        assert rows(manifest, name) == rows(manifest, name, "one.h5")


def test_two_encoders_of_one_modality_stand_beside_each_other(
    manifest: Path, w2v: Path, other: Path
) -> None:
    pairs = [("--encoder", f"audio={one}") for one in (w2v, other, "mel")]
    flat = [word for pair in pairs for word in pair]
    finished = extract(manifest, encoders=[*flat, "--text-encoder", "hash"])
    assert finished.status == 0, finished.err
    assert "6 new in audio/w2v, 6 new in audio/hub, 6 new in audio/mel" in finished.out
    for model in (w2v, other):
        run(manifest, model, cache=f"{model.name}.h5")
        assert rows(manifest, model.name) == rows(manifest, model.name, f"{model.name}.h5")
    clip = voice(4_500, seed=1)
    wanted = embed(load_encoder("audio", str(other)), [clip])
    found = vectors(read_cache(manifest), "audio/hub")["u1"]
    assert relative_error(wanted, wanted.new_tensor(found[None])) < 1e-5


def test_several_encoders_may_stand_in_the_file_and_a_flag_takes_their_place(
    manifest: Path, w2v: Path
) -> None:
    folder = manifest.parent
    settings = ["corpus = 'manifest'", "root = 'manifest.csv'", "cache = 'c.h5'", "layer = [0, 1]"]
    settings += ["[encoder]", f"audio = ['{w2v}', 'mel']", "text = 'hash'"]
    (folder / "amber.toml").write_text("\n".join(settings))
    finished = amber("extract", cwd=folder)
    assert finished.status == 0, finished.err
    assert names(manifest, "c.h5") == ["mel", "w2v@layer0", "w2v@layer1"]
    finished = amber("extract", "--encoder", f"audio={w2v}", "--layer", "all", cwd=folder)
    assert "6 new in audio/w2v@layer2, 0 new in text/hash" in finished.out
    assert "audio/mel" not in finished.out


def test_two_folders_of_one_name_are_refused(manifest: Path, w2v: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(w2v, tmp_path / "copy" / "w2v")
    encoders = "--encoder", f"audio={w2v}", "--encoder", f"audio={copy}", "--text-encoder", "hash"
    refused = extract(manifest, encoders=encoders)
    assert_refused(refused, rf"audio={w2v} and audio={copy}: both would be audio/w2v in the cache")


@pytest.mark.parametrize(
    ("layer", "match"),
    [
        ("0,9", "layer 9 does not exist; it has 0 .* to 2, and -1"),
        ("1,1", "--layer: layer 1 is given twice"),
        ("", "--layer: no layer is named; give numbers, or all"),
        ("1,x", "--layer: 'x' is not a whole number"),
        ("most", "--layer: 'most' is not a whole number"),
    ],
)
def test_layers_that_are_none_are_refused(
    manifest: Path, w2v: Path, layer: str, match: str
) -> None:
    assert_refused(extract(manifest, "--layer", layer, encoders=audio(w2v)), match)
    assert not (manifest.parent / "cache.h5").exists()


def test_all_layers_are_refused_for_built_in_encoders_and_where_nobody_knows_how_many(
    manifest: Path, w2v: Path, tmp_path: Path
) -> None:
    assert_refused(extract(manifest, "--layer", "all"), r"--layer all has no effect on .*mel, hash")
    copy = Path(shutil.copytree(w2v, tmp_path / "copy"))
    edit_json(copy / "config.json", num_hidden_layers=None)
    refused = extract(manifest, "--layer", "all", encoders=audio(copy))
    assert_refused(refused, r"config.json does not say how many layers .*--layer 0,6,12")
