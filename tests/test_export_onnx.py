"""A run as ONNX: ONNX Runtime against torch, what the file says of itself, what is refused."""

from __future__ import annotations

import builtins
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file

from amber_cache.errors import RunError
from amber_heads.exports.onnx_file import export_onnx
from amber_heads.using.loaded import load_run
from tests.commands import amber
from tests.exported_runs import ENTRIES, exported_run
from tests.small_caches import small_cache

SETS = [("audio",), ("audio", "text"), ("audio", "text", "face")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_run(tmp_path_factory.mktemp("run"), "audio", "text")


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def rows(folder: Path, number: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    entries = load_run(folder).inputs.items()
    return {
        key: random.normal(scale=3, size=(number, one.dimension)).astype(np.float32)
        for key, one in entries
    }


def assert_same_as_torch(folder: Path, path: Path, number: int) -> None:
    given = rows(folder, number)
    answers = load_run(folder).predict_embeddings(given)
    opened = session(path)
    found = dict(zip([o.name for o in opened.get_outputs()], opened.run(None, given), strict=True))
    for place, head in enumerate(answers.heads):
        wanted = answers.distributions[:, :, place]
        np.testing.assert_allclose(found[f"{head}_members"], wanted, rtol=0, atol=1e-5)
        mean = answers.mean[:, place]
        np.testing.assert_allclose(found[f"{head}_distribution"], mean, rtol=0, atol=1e-5)


@pytest.mark.parametrize("modalities", SETS, ids=len)
def test_a_thousand_rows_are_answered_as_torch_answers_them(
    place: Path, modalities: tuple[str, ...]
) -> None:
    folder = exported_run(place, *modalities, more=("--dropout", 0.3))
    path = export_onnx(folder, place / f"{len(modalities)}.onnx").path
    assert_same_as_torch(folder, path, 1000)
    assert_same_as_torch(folder, path, 1)


def test_folds_of_unlike_width_share_one_file(place: Path, tmp_path: Path) -> None:
    grid = ("grid", "--grid", "hidden=3,6", "--epochs", 2, "--seeds", 2, "--num-folds", 3)
    names = ("--modalities", "audio,text,face", "--lr", 0.03, "--quiet")
    small_cache(tmp_path / "data" / "cache.h5", entries=ENTRIES)
    finished = amber(*grid, *names, "--out", "grid", cwd=tmp_path)
    assert finished.status == 0, finished.err
    widths = {one["hidden"] for one in load_run(tmp_path / "grid").settings}
    path = export_onnx(tmp_path / "grid", tmp_path / "grid.onnx").path
    assert_same_as_torch(tmp_path / "grid", path, 50)
    assert widths == {3, 6}


def test_the_file_says_what_it_is(run: Path, tmp_path: Path) -> None:
    path = export_onnx(run, tmp_path / "run.onnx").path
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17
    told = {one.key: one.value for one in model.metadata_props}
    assert json.loads(told["classes"]) == ["neutral", "happy", "angry", "sad"]
    assert json.loads(told["heads"]) == ["audio", "text", "fusion"]
    assert json.loads(told["inputs"])[0]["encoder"] == "mel"
    assert len(json.loads(told["members"])) == 6
    assert told["amber_version"]
    assert str(run.parent) not in path.read_bytes().decode("latin-1")


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    first, second = (export_onnx(run, tmp_path / name).path for name in ("a.onnx", "b.onnx"))
    assert first.read_bytes() == second.read_bytes()
    assert amber("export", run, "--onnx", first).status == 0


def test_a_diverged_model_is_left_out(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "diverged"
    shutil.copytree(run, folder)
    tensors = load_file(folder / "model.safetensors")
    for name, values in tensors.items():
        if name.startswith("fold1/seed0/"):
            values[:] = np.nan
    save_file(tensors, folder / "model.safetensors")
    report = export_onnx(folder, tmp_path / "run.onnx")
    assert (report.num_members, report.notes[0]) == (5, "1 model diverged and is left out")
    assert_same_as_torch(folder, report.path, 10)


def test_what_stands_there_is_not_written_over(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine", encoding="utf-8")
    refused = amber("export", run, "--onnx", path)
    assert (refused.status, path.read_text(encoding="utf-8")) == (2, "mine")
    assert "--overwrite replaces it" in refused.err
    assert amber("export", run, "--onnx", path, "--overwrite").status == 0
    assert amber("export", run, "--onnx", tmp_path).status == 2


def test_folds_of_different_encoders_are_refused(run: Path, tmp_path: Path) -> None:
    model = json.loads((run / "model.json").read_text(encoding="utf-8"))
    audio, text = model["modalities"]
    model["modalities"] = [[audio, text], [audio, text], [{**audio, "entry": "other"}, text]]
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name in ("config.json", "model.safetensors"):
        (mixed / name).write_bytes((run / name).read_bytes())
    (mixed / "model.json").write_text(json.dumps(model), encoding="utf-8")
    with pytest.raises(RunError, match="its folds chose different encoders"):
        export_onnx(mixed, tmp_path / "run.onnx")


def test_a_missing_package_is_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *given: Any, **named: Any) -> Any:
        if name == "onnx":
            raise ImportError(name)
        return real(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(RunError, match=r"pip install \"amber-ser\[onnx\]\""):
        export_onnx(run, tmp_path / "run.onnx")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing is asked for"),
        (("RUN",), "nothing is asked for"),
        (("--onnx", "x.onnx"), "nothing is asked for"),
        (("RUN", "--cache", "c.h5"), "--cache has no effect with RUN"),
        (("--cache", "c.h5"), "--cache CACHE --out FILE"),
        (("RUN", "--onnx", "x.onnx", "--votes", "aggregated"), "--votes has no effect with RUN"),
        (("gone", "--onnx", "x.onnx"), "gone: is no run directory"),
    ],
)
def test_options_that_can_not_be_meant_are_refused(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    refused = amber("export", *arguments, cwd=tmp_path)
    assert refused.status == 2
    assert message in refused.err
