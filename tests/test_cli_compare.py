"""`amber compare` as typed: all systems on the same folds and seeds, its folder, its refusals."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors import safe_open
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import f1_score

from amber_heads.configuration.systems import systems_of
from amber_heads.reading.evidence import read_evidence
from amber_heads.reporting.paper_rows import rows_of_part
from amber_heads.reporting.parts import make_part
from amber_heads.tabular.scores import scores_of_summary
from tests.commands import Finished, amber
from tests.small_caches import changed, small_cache, utterances

QUICK = ("--epochs", 2, "--lr", 3e-2, "--hidden", 4, "--seeds", 2)
FAST = (*QUICK, "--num-folds", 3)
FLOORS = ("training mean", "random draw", "uniform")
SOME = ("--systems", "cb-ce,js,amber2")


@dataclass(frozen=True)
class Comparison:
    folder: Path
    finished: Finished

    @property
    def summary(self) -> Any:
        return json.loads((self.folder / "summary.json").read_text())

    def predictions(self, label: str) -> tuple[np.ndarray, np.ndarray]:
        """(N, C) targets and (S, N, C) predictions."""
        with h5py.File(self.folder / "predictions.h5", "r") as file:
            number = list(file.attrs["heads"]).index(label)
            return file["target"][()], file["test"][:, number]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("compare")
    small_cache(place / "data" / "cache.h5")
    return place


def _compare(place: Path, name: str, *arguments: object) -> Comparison:
    finished = amber("compare", *FAST, "--out", name, *arguments, cwd=place)
    assert finished.status == 0, finished.err
    return Comparison(place / name, finished)


@pytest.fixture(scope="module")
def whole(place: Path) -> Comparison:
    return _compare(place, "whole")


def _fit(place: Path, name: str, *arguments: object) -> Path:
    finished = amber("fit", *FAST, "--out", name, "--quiet", *arguments, cwd=place)
    assert finished.status == 0, finished.err
    return place / name


def test_every_system_is_there_with_its_judged_head_and_source(whole: Comparison) -> None:
    systems = whole.summary["systems"]
    assert list(systems) == list(systems_of(("audio", "text")))
    assert all(one["source"] and one["description"] for one in systems.values())
    assert {name: systems[name]["judged_by"] for name in ("cb-ce", "speech alone")} == {
        "cb-ce": "fusion",
        "speech alone": "audio",
    }
    assert systems["amber2 student text"]["judged_by"] == "text"
    assert systems["late average"]["judged_by"] == ""


def test_a_cell_is_trained_once_however_many_systems_use_it(whole: Comparison) -> None:
    with (whole.folder / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["run"] for row in rows}) == 21 * 3 * 2
    (shared,) = [c for c in whole.summary["configurations"] if "late selection" in c["systems"]]
    assert shared["systems"] == ["cb-ce", "late selection", "cb-ce prior-corrected"]


def test_predictions_hold_every_system_by_name_and_head_and_the_floors(whole: Comparison) -> None:
    with h5py.File(whole.folder / "predictions.h5", "r") as file:
        heads = list(file.attrs["heads"])
        assert file["test"].shape == (2, len(heads), 40, 4)
        assert file["validation"].shape == (3, 2, len(heads), 40, 4)
        assert not np.isnan(file["test"][()]).any()
        by_fold = ~np.isnan(file["validation"][()]).any(axis=(1, 2, 4))
    assert by_fold.sum(axis=0).tolist() == [1] * 40  # next fold validates: each utterance once
    assert heads[:3] == ["cb-ce/audio", "cb-ce/text", "cb-ce/fusion"]
    assert "late average/" in heads
    assert heads[-3:] == [f"{name}/" for name in FLOORS]


def test_figures_are_those_of_the_predictions(whole: Comparison) -> None:
    for name, head in (("amber2", "fusion"), ("late selection", ""), ("amber2 tuned", "fusion")):
        y, p = whole.predictions(f"{name}/{head}")
        told = whole.summary["systems"][name]
        js = [np.mean(jensenshannon(y, seed, base=2, axis=1) ** 2) for seed in p]
        assert told["heads"][head]["test"]["js"]["per_seed"] == pytest.approx(js, abs=1e-6)
        ensemble = f1_score(
            y.argmax(1), p.mean(0).argmax(1), average="macro", labels=range(4), zero_division=0
        )
        assert told["ensemble"][head]["test"]["f1"]["mean"] == pytest.approx(ensemble)
        assert told["ensemble"][head]["test"]["f1"]["std"] is None


def test_differences_are_those_of_the_means(whole: Comparison) -> None:
    systems = whole.summary["systems"]
    js = {
        name: one["heads"][one["judged_by"]]["test"]["js"]["mean"] for name, one in systems.items()
    }
    tested = whole.summary["differences"]["test"]
    assert list(tested) == [name for name in systems if name != "cb-ce"]
    for name, one in tested.items():
        assert one["mean"] == pytest.approx(js[name] - js["cb-ce"], abs=1e-9)
        if name not in whole.summary["twins"]:
            assert one["p"] <= one["p_adjusted"] <= 1
        assert one["num_clusters"] == 10


def test_one_training_under_two_names_counts_once_for_holm(whole: Comparison) -> None:
    twins = whole.summary["twins"]
    assert twins == {"kl": "soft-ce", "amber2 without MAI": "js"}
    for one, other in twins.items():
        _, first = whole.predictions(f"{one}/fusion")
        _, second = whole.predictions(f"{other}/fusion")
        np.testing.assert_allclose(first, second, atol=1e-3)
    tested = whole.summary["differences"]["test"]
    assert {name for name, one in tested.items() if one["p_adjusted"] is None} == set(twins)
    p = sorted(one["p"] for name, one in tested.items() if name not in twins)
    assert min(one["p_adjusted"] or 1 for one in tested.values()) == pytest.approx(
        min(1, p[0] * (len(tested) - 2))
    )
    for name in ("differences.md", "table.md"):
        assert "kl trains as soft-ce" in (whole.folder / name).read_text()


def test_training_parts_are_told_and_no_more(whole: Comparison) -> None:
    with h5py.File(whole.folder / "predictions.h5", "r") as file:
        training, fold = file["training"][()], file["fold"][()]
        validated = ~np.isnan(file["validation"][:, 0, 0, :, 0])
    assert training.dtype == bool
    tested = fold == np.arange(3)[:, None]
    np.testing.assert_array_equal(training, ~tested & ~validated)


def test_validation_predictions_that_would_be_too_large_are_left_out(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amber_heads.compare.MOST_VALIDATION", 1000)
    found = _compare(place, "without-validation", *SOME)
    with h5py.File(found.folder / "predictions.h5", "r") as file:
        assert "validation" not in file
    assert any("is without /validation" in one for one in found.summary["notes"])
    evidence, floors = read_evidence([found.folder]), found.summary["floors"]
    js = np.mean(jensenshannon(evidence.target, evidence.training_mean, base=2, axis=1) ** 2)
    assert floors["training mean"]["test"]["js"]["mean"] == pytest.approx(js, abs=1e-9)


def test_the_steps_of_the_anatomy_add_up_to_the_whole_gain(whole: Comparison) -> None:
    found, systems = whole.summary["anatomy"]["test"], whole.summary["systems"]
    assert len(found["steps"]) == 5
    assert sum(one["mean"] for one in found["steps"]) == pytest.approx(found["whole"]["mean"])
    gain = (
        systems["amber2"]["ensemble"]["fusion"]["test"]["js"]["mean"]
        - systems["cb-ce"]["heads"]["fusion"]["test"]["js"]["mean"]
    )
    assert found["whole"]["mean"] == pytest.approx(gain, abs=1e-9)
    assert whole.finished.out.rstrip().splitlines()[-1].startswith("Results: ")
    assert "Anatomy of the gain over CB-CE" in whole.finished.out.split("Table 5")[1]


def test_floors_stand_in_every_table_of_systems(whole: Comparison) -> None:
    for name in ("table", "table1", "table2", "table3", "table4", "table5"):
        for suffix in ("csv", "md", "tex"):
            text = (whole.folder / f"{name}.{suffix}").read_text()
            assert all(floor in text for floor in FLOORS)


def test_plain_js_is_amber2_without_mai_for_the_fusion_head(whole: Comparison) -> None:
    _, plain = whole.predictions("js/fusion")
    _, without = whole.predictions("amber2 without MAI/fusion")
    np.testing.assert_allclose(plain, without, atol=1e-6)


def test_speech_alone_is_a_fit_of_the_audio_alone(whole: Comparison, place: Path) -> None:
    options = ("--modalities", "audio", "--loss", "cb-ce", "--smoothing", 0.05)
    folder = _fit(place, "audio alone", *options)
    with h5py.File(folder / "predictions.h5", "r") as file:
        alone = file["test"][:, 0]
    _, found = whole.predictions("speech alone/audio")
    np.testing.assert_allclose(found, alone, atol=1e-6)


def test_a_summary_and_the_predictions_tell_the_same(whole: Comparison) -> None:
    part = make_part(read_evidence([whole.folder]).of_test_set("test"))
    told = {(o.name, o.head, o.kind): o for o in scores_of_summary(whole.summary, "test")}
    found = {(o.name, o.head, o.kind): o for o in rows_of_part(part)}
    assert told.keys() == found.keys()
    for key, one in found.items():
        assert told[key].paper == one.paper
        assert told[key].is_judged == one.is_judged
        for metric in ("js", "f1", "acc", "f1_multilabel"):
            assert told[key].figures[metric] == pytest.approx(
                one.figures[metric], abs=1e-6, nan_ok=True
            )


def test_no_weights_are_kept(whole: Comparison, tmp_path: Path) -> None:
    assert not (whole.folder / "model.safetensors").exists()
    small_cache(tmp_path / "data" / "cache.h5")
    _compare(tmp_path, "alone", "--systems", "cb-ce,js")
    kept = list((tmp_path / ".trained").rglob("*.safetensors"))
    assert kept
    for path in kept:
        with safe_open(path, framework="numpy") as file:
            assert not [name for name in file.keys() if name.endswith("/parameters")]  # noqa: SIM118


def test_what_is_trained_is_not_trained_again(whole: Comparison, place: Path) -> None:
    fewer = _compare(place, "fewer", *SOME, "--reference", "js")
    assert "training (" not in fewer.finished.err
    for label in ("cb-ce/fusion", "amber2/audio"):
        np.testing.assert_array_equal(fewer.predictions(label)[1], whole.predictions(label)[1])
    assert list(fewer.summary["differences"]["test"]) == ["cb-ce", "amber2"]


def test_the_same_again_is_the_stored_result(place: Path, whole: Comparison) -> None:
    again = amber("compare", *FAST, "--out", "whole", cwd=place)
    assert again.out.startswith("whole holds this run already")
    assert again.out.split("\n", 1)[1] == whole.finished.out


def test_its_config_gives_the_same_bytes(place: Path) -> None:
    first = _compare(place, "first", *SOME)
    rerun = amber("compare", "--config", "first/config.json", "--out", "rerun", cwd=place)
    assert rerun.status == 0, rerun.err
    for name in ("summary.json", "predictions.h5", "runs.csv", "anatomy.tex"):
        assert (place / "rerun" / name).read_bytes() == (first.folder / name).read_bytes()


def test_one_json_object_on_stdout(whole: Comparison, place: Path) -> None:
    finished = amber("compare", *FAST, "--out", "whole", "--json", cwd=place)
    assert json.loads(finished.out)["command"] == "compare"
    assert finished.err == ""


def test_one_seed_has_no_deviation_and_no_test_and_the_tables_say_so(place: Path) -> None:
    one = _compare(place, "one seed", *SOME, "--seeds", "0,")
    assert "No test was made: seeds: 1, too few for a test." in one.finished.out
    assert "one seed has no standard deviation" in one.finished.out
    assert "**" not in one.finished.out
    assert all(d["p"] is None for d in one.summary["differences"]["test"].values())


def test_with_one_modality_what_fuses_is_left_out_and_named(place: Path) -> None:
    one = _compare(place, "one modality", "--modalities", "audio")
    assert "late average" not in one.summary["systems"]
    (note,) = one.summary["notes"]
    assert "needs several modalities, and there is only audio" in note
    assert note in one.finished.out
    assert [s["what"] for s in one.summary["anatomy"]["test"]["steps"]] == [
        "no class weights",
        "JS for cross-entropy",
        "seed ensemble",
    ]


def test_three_modalities_train_as_well(tmp_path: Path) -> None:
    entries = (("audio", "mel"), ("text", "hash"), ("face", "x"))
    small_cache(tmp_path / "data" / "cache.h5", entries=entries)
    names = "cb-ce,late-average,late-selection,amber2-student-face"
    found = _compare(tmp_path, "three", "--systems", names).summary["systems"]
    assert list(found["cb-ce"]["heads"]) == ["audio", "text", "face", "fusion"]
    assert found["amber2 student face"]["judged_by"] == "face"


def test_a_class_that_a_fold_never_has_is_no_trouble(tmp_path: Path) -> None:
    made = [one for one in utterances(60) if one.session != "s1" or one.consensus != "sad"]
    small_cache(tmp_path / "data" / "cache.h5", made)
    found = _compare(tmp_path, "rare", *SOME).summary["systems"]
    assert found["cb-ce"]["heads"]["fusion"]["test"]["f1"]["mean"] > 0


def test_official_test_sets_are_compared_each_by_itself(tmp_path: Path) -> None:
    parts = ("Train", "Train", "Development", "Test1", "Test2")
    made = changed(utterances(60), lambda i, one: {"split": parts[i % 5]})
    small_cache(tmp_path / "data" / "cache.h5", made)
    options = (*QUICK, *SOME, "--folds", "official", "--out", "official")
    finished = amber("compare", *options, cwd=tmp_path)
    assert finished.status == 0, finished.err
    names = {path.stem for path in (tmp_path / "official").glob("*.md")}
    assert {"table_1-test1", "table5_2-test2", "anatomy_1-test1"} <= names


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("--systems", "cb-ce,amber9"), "there is no system 'amber9'; choose from cb-ce, amber2, "),
        (("--systems", "amber2,js"), "--reference cb-ce: is none of the systems compared"),
        (("--reference", "nobody"), "--reference nobody: is none of the systems compared"),
        (("--clusters", "podcast"), "'podcast' is not on offer"),
        (("--systems", "cb-ce,js", "--kappa", 2), "--kappa has no effect on the systems compared"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    place: Path, options: tuple[object, ...], wanted: str
) -> None:
    refused = amber("compare", *FAST, *options, "--out", "refused", cwd=place)
    assert refused.status == 2
    assert wanted in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not (place / "refused").exists()


def test_clusters_that_are_not_known_are_refused_before_anything_trains(tmp_path: Path) -> None:
    made = changed(utterances(), lambda i, one: {"speaker": "", "dialogue": ""})
    small_cache(tmp_path / "data" / "cache.h5", made)
    refused = amber("compare", *FAST, "--clusters", "speaker", "--out", "x", cwd=tmp_path)
    assert refused.status == 2
    assert "--clusters speaker: not every utterance's speaker is known" in refused.err
    assert "training (" not in refused.err
