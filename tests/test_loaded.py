"""A run directory's models read back: they answer as they did in training, and are held in bounds.

The reference is predictions.h5, which the training wrote.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from amber_cache.errors import RunError
from amber_cache.store import open_cache
from amber_heads.using.loaded import LoadedRun, load_run
from tests.small_caches import small_cache
from tests.small_runs import small_run

HEADS = ("audio", "text", "fusion")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("loaded")
    small_run(small_cache(place / "cache.h5"), place / "run", "--loss", "js")
    return place


@pytest.fixture
def copy(place: Path, tmp_path: Path) -> Path:
    shutil.copytree(place / "run", tmp_path / "run")
    return tmp_path / "run"


def _vectors(run: LoadedRun, cache: Path) -> dict[str, np.ndarray]:
    with open_cache(cache) as opened:
        return {
            key: opened.embeddings(one.modality, one.entry).vectors
            for key, one in run.inputs.items()
        }


def _largest_difference(run: LoadedRun, cache: Path) -> float:
    """Of each fold's models on its test utterances, to what the training predicted."""
    vectors = _vectors(run, cache)
    with h5py.File(run.folder / "predictions.h5") as file:
        fold, test = file["fold"][:], file["test"][:]  # (seed, head, utterance, class)
    worst = 0.0
    for number in range(len(run.folds)):
        rows = np.flatnonzero(fold == number)
        members = [(number, seed) for seed in run.seeds]
        answers = run.predict_embeddings(
            {key: one[rows] for key, one in vectors.items()}, members=members
        )
        wanted = test[:, :, rows].swapaxes(1, 2)
        worst = max(worst, float(np.abs(answers.distributions - wanted).max()))
    return worst


def test_the_folds_models_give_predictions_h5(place: Path) -> None:
    assert _largest_difference(load_run(place / "run"), place / "cache.h5") < 1e-6


@pytest.mark.parametrize(
    "options",
    [
        ("--loss", "js", "--precision", "bfloat16"),
        ("--student", "audio", "--no-standardize"),
        ("--modalities", "text", "--loss", "kl"),
    ],
)
def test_so_they_do_however_they_were_trained(place: Path, options: Any, tmp_path: Path) -> None:
    run = load_run(small_run(place / "cache.h5", tmp_path / "run", *options))
    assert _largest_difference(run, place / "cache.h5") < 1e-6


def test_folds_that_chose_other_encoders_read_each_its_own(tmp_path: Path) -> None:
    entries = [("audio", "mel"), ("audio", "other"), ("text", "hash")]
    cache = small_cache(tmp_path / "cache.h5", entries=entries)
    axis = ("--grid", "audio-encoder=mel,other", "--loss", "js")
    run = load_run(small_run(cache, tmp_path / "run", *axis, command="grid"))
    chosen = {fold[0].entry for fold in run.modalities}
    assert chosen == {"mel", "other"}, "the data must make the folds choose apart"
    assert set(run.inputs) == {"audio/mel", "audio/other", "text"}
    assert _largest_difference(run, cache) < 1e-6


def test_it_says_what_it_is(place: Path) -> None:
    run = load_run(place / "run")
    assert (run.heads, run.classes) == (HEADS, ("neutral", "happy", "angry", "sad"))
    assert (run.seeds, len(run.folds)) == ((0, 1), 5)
    assert run.modalities[3][1].attrs["pooling"] == "mean"
    assert run.settings[0]["hidden"] == 8
    assert run.members == tuple((fold, seed) for fold in range(5) for seed in (0, 1))


def test_a_member_is_the_row_of_its_tensors(place: Path) -> None:
    run = load_run(place / "run")
    tensors = load_file(place / "run" / "model.safetensors")
    start, end = run.architecture(2).spans["fusion.gate.text.weight"]
    found = run.member(2, 1)[start:end].reshape(8, 6)
    np.testing.assert_array_equal(found.numpy(), tensors["fold2/seed1/fusion.gate.text.weight"])


def test_a_missing_modality_silences_the_heads_that_read_it_and_no_other(place: Path) -> None:
    run = load_run(place / "run")
    vectors = _vectors(run, place / "cache.h5")
    whole = run.predict_embeddings(vectors).mean
    vectors["text"][3] = np.nan
    found = run.predict_embeddings(vectors).mean
    assert np.isnan(found[3, 1:]).all()
    np.testing.assert_allclose(found[3, 0], whole[3, 0], atol=1e-6)
    others = np.delete(np.arange(len(whole)), 3)
    np.testing.assert_allclose(found[others], whole[others], atol=1e-6)


def test_blocks_make_no_difference(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run(place / "run")
    vectors = _vectors(run, place / "cache.h5")
    whole = run.predict_embeddings(vectors).distributions
    monkeypatch.setattr("amber_heads.using.loaded.PREDICTION_ROWS", 7)
    np.testing.assert_allclose(run.predict_embeddings(vectors).distributions, whole, atol=1e-6)


def test_a_diverged_model_is_left_out(copy: Path) -> None:
    tensors = load_file(copy / "model.safetensors")
    tensors["fold1/seed0/audio.output.bias"][:] = np.nan
    save_file(tensors, copy / "model.safetensors")
    run = load_run(copy)
    assert run.diverged == ((1, 0),)
    vectors = {key: np.zeros((1, 6), np.float32) for key in run.inputs}
    assert np.isfinite(run.predict_embeddings(vectors).mean).all()


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"audio": (2, 6)}, "the run reads audio, text; given were audio"),
        ({"audio": (2, 6), "text": (2, 6), "face": (2, 6)}, "given were audio, text, face"),
        ({"audio": (2, 6), "text": (2, 5)}, r"text: vectors of \(2, 5\), not \(2, 6\)"),
        ({"audio": (2, 6), "text": (3, 6)}, r"text: vectors of \(3, 6\), not \(2, 6\)"),
    ],
)
def test_other_vectors_are_refused(place: Path, inputs: Any, reason: str) -> None:
    vectors = {key: np.zeros(shape, np.float32) for key, shape in inputs.items()}
    with pytest.raises(ValueError, match=reason):
        load_run(place / "run").predict_embeddings(vectors)


def _edited(copy: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    model = json.loads((copy / "model.json").read_text())
    change(model)
    (copy / "model.json").write_text(json.dumps(model))
    return copy


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.pop("classes"), "'classes' is missing"),
        (lambda m: m.update(classes=["sad"]), "classes must be at least 2 texts"),
        (lambda m: m.update(classes=m["classes"] + ["fear"]), r"not F32 of \(5, 8\)"),
        (lambda m: m.update(heads=["audio"]), r"its heads are \['audio'\]"),
        (lambda m: m.update(seeds=[0, 0]), "each seed once"),
        (lambda m: m.update(seeds=[0, True]), "a seed is 'True'"),
        (lambda m: m.update(seeds=[0, 7]), "seed7/.* is missing"),
        (lambda m: m.update(folds=["a"] * 10_001), "folds must be a list of 1 to 10000"),
        (lambda m: m.update(seeds=list(range(9_999))), "tensors are none of 49995 models"),
        (lambda m: m["settings"][0].update(hidden=10**15), r"not F32 of \(10{15}, 6\)"),
        (lambda m: m["settings"][0].update(hidden="8"), "hidden is '8'"),
        (lambda m: m["settings"].pop(), "settings for each fold"),
        (lambda m: m["modalities"][0].update(dimension=-6), "dimension is '-6'"),
        (lambda m: m["modalities"][0].update(name="fusion"), "can be named 'fusion'"),
        (lambda m: m["modalities"][0].update(name="../a"), "can be named"),
        (lambda m: m.update(modalities=[m["modalities"]]), "modalities for 1 folds, not 5"),
        (lambda m: m.update(format_version=99), "newer amber"),
        (lambda m: m.update(format="other"), "is not of an amber run"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(copy: Path, change: Any, reason: str) -> None:
    with pytest.raises(RunError, match=reason):
        load_run(_edited(copy, change))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("fold0/audio.scale", np.zeros(6), "scale of fold 0 is not positive"),
        ("fold0/audio.mean", np.full(6, np.inf), "mean of fold 0 is not finite"),
        ("fold0/audio.mean", np.zeros(6, np.float32), "not F64"),
        ("fold0/seed0/audio.hidden.bias", np.zeros(9, np.float32), r"not F32 of \(8,\)"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    copy: Path, name: str, value: np.ndarray, reason: str
) -> None:
    tensors = load_file(copy / "model.safetensors")
    assert name in tensors
    save_file({**tensors, name: value}, copy / "model.safetensors")
    with pytest.raises(RunError, match=reason):
        load_run(copy)


def test_a_file_that_is_cut_off_or_no_safetensors_is_refused(copy: Path) -> None:
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[:-1])
    with pytest.raises(RunError, match="does not hold the models"):
        load_run(copy)
    torch.save({"weight": torch.zeros(2)}, copy / "model.safetensors")
    with pytest.raises(RunError, match="does not hold the models"):
        load_run(copy)


@pytest.mark.parametrize("name", ["config.json", "model.json", "model.safetensors"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(RunError, match=f"{name}: is missing"):
        load_run(copy)


def test_a_file_of_no_sensible_size_is_not_read(copy: Path) -> None:
    with (copy / "model.json").open("r+b") as file:
        file.truncate(20_000_000)
    with pytest.raises(RunError, match="has 20000000 bytes"):
        load_run(copy)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no run directory"):
        load_run(tmp_path / "nothing")
