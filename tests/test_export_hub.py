"""A run as a folder for a model hub: it loads back, its card is sound, nothing private is in it."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard

from amber_cache.store import open_cache
from amber_heads.exports.hub import export_hub
from amber_heads.exports.model_card import licence_of
from amber_heads.using.loaded import load_run
from tests.commands import amber
from tests.exported_runs import exported_run, with_long_names
from tests.small_caches import small_cache, utterances


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    small_cache(folder / "data" / "cache.h5", with_long_names(utterances()))
    exported_run(folder, "audio", "text")
    assert export_hub(folder / "audio-text", folder / "hub").files.keys() == {
        "README.md",
        "config.json",
        "model.json",
        "model.safetensors",
    }
    return folder


def test_it_loads_back_and_answers_the_same(place: Path) -> None:
    first, second = load_run(place / "audio-text"), load_run(place / "hub")
    vectors = {m: np.ones((3, 6), np.float32) for m in ("audio", "text")}
    np.testing.assert_array_equal(
        first.predict_embeddings(vectors).distributions,
        second.predict_embeddings(vectors).distributions,
    )


def test_no_id_transcript_name_or_path_is_in_it(place: Path) -> None:
    with open_cache(place / "data" / "cache.h5") as cache:
        table = cache.utterances
        names = {*table.id, *table.speaker, *table.session, *table.dialogue, *table.text}
    names = (names - {"", "Unknown"}) | {str(place), "data/cache.h5"}
    for path in (place / "hub").iterdir():
        data = path.read_bytes()
        assert [name for name in names if name.encode() in data] == []


def test_the_card_has_the_runs_figures_and_floors(place: Path) -> None:
    card = (place / "hub" / "README.md").read_text(encoding="utf-8")
    summary = json.loads((place / "audio-text" / "summary.json").read_text(encoding="utf-8"))
    js = summary["selected"]["heads"]["fusion"]["test"]["js"]
    assert f"{js['mean']:.3f} ± {js['std']:.3f}" in card
    for said in ("training mean", "uniform", "over folds", "Intended use", "licence binds"):
        assert said in card


def test_the_front_matter_is_what_hubs_read(place: Path) -> None:
    text = (place / "hub" / "README.md").read_text(encoding="utf-8")
    told = yaml.safe_load(text.split("---\n")[1])
    assert (told["license"], told["library_name"]) == ("other", "amber-ser")
    card = ModelCard(text)
    summary = json.loads((place / "audio-text" / "summary.json").read_text(encoding="utf-8"))
    judged = summary["selected"]["judged"]["test"]
    found = {one.metric_type: one.metric_value for one in card.data.eval_results}
    assert found["js"] == round(judged["js"]["mean"], 4)


@pytest.mark.parametrize(
    ("corpus", "identifier", "said"),
    [
        ("demo", "cc0-1.0", "CC0"),
        ("crema-d", "odbl", "ODbL"),
        ("iemocap", "other", "Research only"),
        ("msp-podcast", "other", "Research only"),
        ("manifest", "other", "does not know"),
    ],
)
def test_the_licence_is_the_corpuss(corpus: str, identifier: str, said: str) -> None:
    assert licence_of(corpus).identifier == identifier
    assert said in licence_of(corpus).text


def test_the_same_again_changes_nothing(place: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (place / "hub").iterdir()}
    again = amber("export", "audio-text", "--hub", "hub", cwd=place)
    assert (again.status, "holds this already" in again.out) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in (place / "hub").iterdir()} == before


def test_what_no_export_wrote_stays(place: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine", encoding="utf-8")
    run = place / "audio-text"
    refused = amber("export", run, "--hub", tmp_path / "mine", "--overwrite")
    assert (refused.status, "no export wrote" in refused.err) == (2, True)
    refused = amber("export", run, "--hub", run, "--overwrite")
    assert (refused.status, "is a run directory" in refused.err) == (2, True)
    assert amber("export", run, "--hub", tmp_path / "hub").status == 0
    (tmp_path / "hub" / "notes.txt").write_text("mine", encoding="utf-8")
    refused = amber("export", run, "--hub", tmp_path / "hub", "--overwrite")
    assert (refused.status, "notes.txt" in refused.err) == (2, True)


def test_another_export_is_replaced_only_when_asked(place: Path, tmp_path: Path) -> None:
    run, out = place / "audio-text", tmp_path / "hub"
    assert amber("export", run, "--hub", out).status == 0
    (out / "README.md").write_text("changed", encoding="utf-8")
    assert amber("export", run, "--hub", out).status == 2
    assert amber("export", run, "--hub", out, "--overwrite").status == 0
    assert (out / "README.md").read_bytes() == (place / "hub" / "README.md").read_bytes()


def test_predictions_and_their_ids_are_left_out(place: Path) -> None:
    with h5py.File(place / "audio-text" / "predictions.h5") as file:
        assert "id" in file
    assert not (place / "hub" / "predictions.h5").exists()
