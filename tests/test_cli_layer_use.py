"""Runs of `--layer weighted` used again: predict, eval, Python, ONNX, a hub's folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file

import amber_heads
from amber_cache.errors import RunError
from amber_cache.store import open_cache, write_cache
from amber_heads.using.loaded import LoadedRun, load_run
from tests.commands import amber
from tests.small_runs import small_run
from tests.spoken_corpus import extract_corpus, write_corpus
from tests.tiny_models import save_audio_model

NUM_LAYERS, WIDTH = 3, 32


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, all layers of a small model in `cache.h5`, and a run that weighs them."""
    place = tmp_path_factory.mktemp("layered")
    model = save_audio_model(place / "w2v", "wav2vec2-group")
    encoders = ("--audio-encoder", model, "--text-encoder", "hash", "--layer", "all")
    extract_corpus(write_corpus(place / "corpus"), place / "cache.h5", *encoders)
    learned = ("--loss", "js", "--layer", "weighted", "--epochs", 8, "--lr", 0.02)
    small_run(place / "cache.h5", place / "run", *learned)
    return place


@pytest.fixture(scope="module")
def vectors(place: Path) -> dict[str, np.ndarray]:
    """By modality; audio as (utterance, layer, feature)."""
    with open_cache(place / "cache.h5") as cache:
        layers = [
            cache.embeddings("audio", f"w2v@layer{number}").vectors for number in range(NUM_LAYERS)
        ]
        return {"audio": np.stack(layers, axis=1), "text": cache.embeddings("text").vectors}


def predicted(*arguments: object) -> dict[str, dict[str, Any]]:
    """What `amber predict` says of each item, by the file's name or the id."""
    done = amber("predict", *arguments, "--jsonl")
    assert done.status == 0, done.err
    lines = map(json.loads, done.out.splitlines())
    return {Path(one["id"]).stem: one["heads"][one["answer"]]["distribution"] for one in lines}


def assert_close(found: dict[str, dict[str, Any]], wanted: np.ndarray, atol: float) -> None:
    """Hold items in the order of their names against rows."""
    rows = [list(found[name].values()) for name in sorted(found)]
    np.testing.assert_allclose(rows, wanted, rtol=0, atol=atol)


def own_tests(run: LoadedRun, vectors: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Each fold's models on its test utterances, and what predictions.h5 has there."""
    with h5py.File(run.folder / "predictions.h5") as file:
        fold, wanted = file["fold"][:], file["test"][:].swapaxes(1, 2)  # (seed, row, head, class)
    found = np.full(wanted.shape, np.nan)
    for number in range(len(run.folds)):
        rows = fold == number
        own = {key: one[rows] for key, one in vectors.items()}
        members = [(number, seed) for seed in run.seeds]
        found[:, rows] = run.predict_embeddings(own, members=members).distributions
    return found, wanted


def test_the_folds_models_give_predictions_h5(place: Path, vectors: dict[str, np.ndarray]) -> None:
    run = load_run(place / "run")
    found, wanted = own_tests(run, vectors)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
    start, end = run.architecture(0).spans["audio.layers.scores"]
    assert run.member(0, 0)[start:end].abs().max() > 0.01, "the layers must weigh unlike"


def test_layers_may_stand_one_behind_the_other(place: Path, vectors: dict[str, np.ndarray]) -> None:
    run = load_run(place / "run")
    flat = {**vectors, "audio": vectors["audio"].reshape(len(vectors["audio"]), -1)}
    one, other = (run.predict_embeddings(some).mean for some in (vectors, flat))
    np.testing.assert_array_equal(one, other)
    assert run.inputs["audio"].shape == (NUM_LAYERS, WIDTH)
    swapped = {**vectors, "audio": vectors["audio"].swapaxes(1, 2)}
    with pytest.raises(ValueError, match=r"audio: vectors of \(15, 32, 3\), not \(15, 3, 32\)"):
        run.predict_embeddings(swapped)


def test_scores_on_another_scale_weigh_as_they_say(
    place: Path, vectors: dict[str, np.ndarray], tmp_path: Path
) -> None:
    other = edited(place, tmp_path, lambda audio: audio.update(scale=60))
    tensors = load_file(place / "run" / "model.safetensors")
    doubled = {n: 2 * one if n.endswith(".scores") else one for n, one in tensors.items()}
    shutil.copytree(place / "run", tmp_path / "doubled")
    save_file(doubled, tmp_path / "doubled" / "model.safetensors")
    found, wanted = (
        load_run(folder).predict_embeddings(vectors).mean
        for folder in (other, tmp_path / "doubled")
    )
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_predicting_the_cache_itself_is_by_the_models_that_have_not_seen_it(place: Path) -> None:
    with h5py.File(place / "run" / "predictions.h5") as file:
        wanted = file["test"][:, 2].mean(axis=0)  # of fusion
    assert_close(predicted(place / "run", place / "cache.h5"), wanted, 1e-6)


def test_files_are_answered_as_their_vectors(
    place: Path, vectors: dict[str, np.ndarray], tmp_path: Path
) -> None:
    wanted = load_run(place / "run").predict_embeddings(vectors).mean[:, 2]
    files = (place / "corpus" / "manifest.csv", "--encoder", f"audio={place / 'w2v'}")
    assert_close(predicted(place / "run", *files, "--out", tmp_path / "kept"), wanted, 1e-4)
    again = amber("predict", place / "run", *files, "--out", tmp_path / "kept")
    assert "w2v" not in again.err, "nothing is encoded again"
    loaded = amber_heads.load(place / "run", encoders={"audio": str(place / "w2v")})
    said = loaded.predict(audio=place / "corpus" / "clip03.wav", text="the cat sat on the mat 3")
    np.testing.assert_allclose(list(said.distribution.values()), wanted[3], rtol=0, atol=1e-4)
    alone = loaded.predict(text="the cat sat on the mat 3")
    assert (alone.answer, alone.missing) == ("text", ("audio",))


def test_one_pass_of_the_encoder_gives_all_layers(place: Path, tmp_path: Path) -> None:
    clips = [place / "corpus" / f"clip{number:02d}.wav" for number in range(3)]
    where = ("--encoder", f"audio={place / 'w2v'}", "--out", tmp_path / "kept")
    done = amber("predict", place / "run", *clips, *where)
    assert done.status == 0, done.err
    passes = {line.split(":")[0] for line in done.err.splitlines() if "audio/w2v" in line}
    assert passes == {"audio/w2v@layer0 and 2 more"}


def test_its_own_cache_gives_its_own_figures(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "eval"
    done = amber("eval", place / "run", "--cache", place / "cache.h5", "--out", out)
    assert done.status == 0, done.err
    found, wanted = (
        json.loads((folder / "summary.json").read_text())["selected"]["judged"]["test"]["js"]
        for folder in (out, place / "run")
    )
    assert found["mean"] == pytest.approx(wanted["mean"], abs=1e-7)


def test_another_cache_by_the_same_encoder_is_judged(place: Path, tmp_path: Path) -> None:
    """The same layers under the name that a copy of the model gave them, and one at a time."""
    other = renamed(place / "cache.h5", tmp_path / "other.h5", "copy")
    told = ("eval", place / "run", "--cache", other, "--out")
    for name, words in (("a", ()), ("b", ("--audio-encoder", "copy@layer0"))):
        done = amber(*told, tmp_path / name, *words)
        assert done.status == 0, done.err
    one, other = (tmp_path / name / "summary.json" for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_a_cache_that_lacks_a_layer_is_refused(place: Path, tmp_path: Path) -> None:
    few = renamed(place / "cache.h5", tmp_path / "few.h5", "w2v", without="@layer1")
    for command in (("predict", place / "run", few), ("eval", place / "run", "--cache", few)):
        done = amber(*command)
        assert done.status == 2
        assert "the run also weighs layer 1; `amber extract --layer` makes it" in done.err


def renamed(cache: Path, path: Path, name: str, *, without: str = "nothing") -> Path:
    """A copy whose audio entries bear another encoder's name."""
    with open_cache(cache) as opened:
        content = opened.content()
    entries = tuple(
        replace(one, name=one.name.replace("w2v", name), attrs={**one.attrs, "encoder": name})
        if one.modality == "audio"
        else one
        for one in content.embeddings
        if without not in one.name
    )
    write_cache(path, replace(content, embeddings=entries))
    return path


def test_onnx_gives_what_torch_gives(
    place: Path, vectors: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "run.onnx"
    done = amber("export", place / "run", "--onnx", path, "--json")
    assert done.status == 0, done.err
    random = np.random.default_rng(0)
    given = {
        "audio": random.normal(size=(200, NUM_LAYERS, WIDTH)).astype(np.float32),
        "text": random.normal(size=(200, vectors["text"].shape[1])).astype(np.float32),
    }
    wanted = load_run(place / "run").predict_embeddings(given)
    opened = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert opened.get_inputs()[0].shape == ["batch", NUM_LAYERS, WIDTH]
    names = [one.name for one in opened.get_outputs()]
    found = dict(zip(names, opened.run(None, given), strict=True))
    for number, head in enumerate(wanted.heads):
        members = wanted.distributions[:, :, number]
        np.testing.assert_allclose(found[f"{head}_members"], members, rtol=0, atol=1e-5)


def test_a_hubs_folder_is_used_like_the_run(
    place: Path, vectors: dict[str, np.ndarray], tmp_path: Path
) -> None:
    done = amber("export", place / "run", "--hub", tmp_path / "hub")
    assert done.status == 0, done.err
    one, other = (
        load_run(folder).predict_embeddings(vectors).mean
        for folder in (place / "run", tmp_path / "hub")
    )
    np.testing.assert_array_equal(one, other)
    assert "| 3 x 32 |" in (tmp_path / "hub" / "README.md").read_text()


def edited(place: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of the run with another audio entry in its model.json."""
    shutil.copytree(place / "run", folder / "run")
    path = folder / "run" / "model.json"
    model = json.loads(path.read_text())
    change(model["modalities"][0])
    path.write_text(json.dumps(model))
    return folder / "run"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda audio: audio.pop("layers"), "'layers' is missing"),
        (lambda audio: audio.update(layers=["w2v@layer0"]), "layers must be at least 2 texts"),
        (lambda audio: audio.update(layers=["w2v@layer0"] * 3), "each once"),
        (lambda audio: audio.update(layers=["a@layer0", "a@weighted"]), "names of single layers"),
        (lambda audio: audio.update(layers=["a" * 10**6, "b"]), "names of single layers"),
        (lambda audio: audio.update(layers=["a", "b"]), r"not F32 of \(2,\)"),
        (lambda audio: audio.update(layers=[f"l{i}" for i in range(9999)]), "not F32 of"),
        (lambda audio: audio.update(scale=0), "scale is '0'"),
        (lambda audio: audio.update(scale="30"), "scale is '30'"),
        (lambda audio: audio.update(dimension=96), r"not F32 of \(8, 96\)"),
    ],
)
def test_layers_that_do_not_fit_are_refused(
    place: Path, tmp_path: Path, change: Any, reason: str
) -> None:
    with pytest.raises(RunError, match=reason):
        load_run(edited(place, tmp_path, change))
