"""`amber eval` as typed: a run's own figures on its own cache, and worked by hand on another's.

The hand computation reads votes, vectors' predictions and maps with plain loops and SciPy.
"""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import accuracy_score

from amber_cache.records import Utterance, Vote
from amber_cache.store import FAILED, make_embedding, open_cache, write_cache
from amber_heads.using.loaded import load_run
from tests.commands import amber
from tests.small_caches import small_cache, utterances
from tests.small_runs import small_run

LABELS = ("neutral", "joy", "glee", "rage", "fear")


def _other_corpus() -> list[Utterance]:
    """Other labels, official parts, and four utterances that nobody voted on."""
    made = utterances(30, labels=LABELS, num_raters=4)
    parts = ("Train", "Test1", "Test1", "Test2")
    made = [replace(one, split=parts[i % 4]) for i, one in enumerate(made)]
    return [replace(one, votes=()) if i >= 26 else one for i, one in enumerate(made)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("eval")
    small_cache(place / "cache.h5")
    small_cache(place / "other.h5", _other_corpus())
    small_run(place / "cache.h5", place / "run", "--loss", "js")
    return place


def _eval(place: Path, *options: object) -> dict[str, Any]:
    done = amber("eval", "run", "--json", *options, cwd=place)
    assert done.status == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


MAP = ("--cache", "other.h5", "--map", "joy+glee=happy,rage=angry", "--keep", "any-vote")


@pytest.fixture(scope="module")
def mapped(place: Path) -> dict[str, Any]:
    """The run on the other corpus, its labels mapped."""
    return _eval(place, *MAP, "--out", "mapped")


def test_on_its_own_cache_it_gives_its_own_figures(place: Path, tmp_path: Path) -> None:
    found = _eval(place, "--cache", "cache.h5", "--out", tmp_path / "own")
    stored = json.loads((place / "run" / "summary.json").read_text())
    assert found["floors"] == stored["floors"]
    for head, by_test in stored["selected"]["heads"].items():
        for name, figures in by_test["test"].items():
            mine = found["selected"]["heads"][head]["test"][name]
            assert mine["per_seed"] == pytest.approx(figures["per_seed"], abs=1e-6), name
            assert mine["std"] == pytest.approx(figures["std"], abs=1e-6), name
            assert mine["fold_mean"] == pytest.approx(figures["fold_mean"], abs=1e-6), name
    assert found["leakage"] == stored["leakage"]
    for name in ("test", "target", "fold", "votes"):
        with h5py.File(tmp_path / "own" / "predictions.h5") as mine_file:
            mine = mine_file[name][:]
        with h5py.File(place / "run" / "predictions.h5") as file:
            np.testing.assert_allclose(mine, file[name][:], atol=1e-6)


def _by_hand(place: Path, mapped: dict[str, list[str]], part: str) -> dict[str, list[float]]:
    """Each seed's js and accuracy of the fusion head on a part, under any-vote."""
    run = load_run(place / "run")
    wanted = {label: name for name, labels in mapped.items() for label in labels}
    with open_cache(place / "other.h5") as cache:
        vectors = {one: cache.embeddings(one).vectors for one in ("audio", "text")}
    made = _other_corpus()
    rows, target = [], []
    for row, one in enumerate(made):
        votes = [wanted[vote.label] for vote in one.votes if vote.label in wanted]
        if votes and part in ("all", one.split.lower()):
            rows.append(row)
            target.append([votes.count(name) / len(votes) for name in mapped])
    columns = [run.classes.index(name) for name in mapped]
    found: dict[str, list[float]] = {"js": [], "acc": []}
    for seed in run.seeds:
        total = np.zeros((len(rows), len(run.classes)))
        for fold in range(len(run.folds)):
            said = run.predict_embeddings(vectors, members=[(fold, seed)])
            total += said.distributions[0, rows, run.heads.index("fusion")]
        p = total[:, columns] / total[:, columns].sum(axis=1, keepdims=True)
        js = jensenshannon(np.array(target), p, base=2, axis=1) ** 2
        found["js"].append(float(js.mean()))
        truth = np.argmax(target, axis=1)
        found["acc"].append(float(accuracy_score(truth, p.argmax(axis=1))))
    return found


def test_across_corpora_the_mapped_figures_are_those_worked_by_hand(
    place: Path, mapped: dict[str, Any]
) -> None:
    found = mapped
    assert found["classes"] == ["neutral", "happy", "angry"], "sad has no vote: dropped"
    assert found["test_sets"] == ["all", "test1", "test2", "train"]
    labels = {"neutral": ["neutral"], "happy": ["joy", "glee"], "angry": ["rage"]}
    for part in found["test_sets"]:
        wanted = _by_hand(place, labels, part)
        figures = found["selected"]["heads"]["fusion"][part]
        for name, values in wanted.items():
            assert figures[name]["per_seed"] == pytest.approx(values, abs=1e-6), (part, name)
            assert figures[name]["mean"] == pytest.approx(np.mean(values), abs=1e-6)
            assert figures[name]["std"] == pytest.approx(np.std(values, ddof=1), abs=1e-6)
    assert "joy+glee counts as happy; rage counts as angry" in found["notes"][0]
    assert "No counted vote for sad" in found["notes"][1]


def test_the_training_mean_is_the_runs_own(place: Path, mapped: dict[str, Any]) -> None:
    with h5py.File(place / "run" / "predictions.h5") as file:
        fold, target, validation = (file[one][:] for one in ("fold", "target", "validation"))
    means = [
        target[(fold != number) & np.isnan(validation[number, 0, 0, :, 0])].mean(axis=0)
        for number in range(5)
    ]
    prior = np.mean(means, axis=0)[:3]
    with h5py.File(place / "mapped" / "predictions.h5") as file:
        judged = file["target"][:]
    js = jensenshannon(judged, np.tile(prior / prior.sum(), (len(judged), 1)), base=2, axis=1) ** 2
    mean = mapped["floors"]["training mean"]["all"]["js"]["mean"]
    assert mean == pytest.approx(js.mean(), abs=1e-9)


def test_its_tables_have_the_ensemble_and_a_folder_is_left_for_reports(
    place: Path, mapped: dict[str, Any]
) -> None:
    assert mapped["folder"] == "mapped"
    names = {one.name for one in (place / "mapped").iterdir()}
    assert {"config.json", "summary.json", "predictions.h5", "table_1-all.csv"} <= names
    again = amber("eval", "run", *MAP, "--out", "mapped", cwd=place)
    assert "holds this evaluation already" in again.out
    assert "fusion, ensemble" in again.out
    assert "4 utterances have no counted vote; --submission FILE" in again.err
    assert again.out.splitlines()[-1] == "Results: mapped"
    other = amber("eval", "run", *MAP[:-1], "consensus", "--out", "mapped", cwd=place)
    assert other.status == 2
    assert "holds a run of another configuration" in other.err


def test_what_has_no_labels_goes_into_a_submission(
    place: Path, mapped: dict[str, Any], tmp_path: Path
) -> None:
    assert mapped["submission"] is None
    path = tmp_path / "submission.csv"
    _eval(place, *MAP, "--submission", path, "--out", "mapped")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["u026", "u027", "u028", "u029"]
    run = load_run(place / "run")
    with open_cache(place / "other.h5") as cache:
        vectors = {one: cache.embeddings(one).vectors[26:] for one in ("audio", "text")}
    wanted = run.predict_embeddings(vectors).mean[:, run.heads.index("fusion")]
    for row, p in zip(rows, wanted, strict=True):
        assert [float(row[name]) for name in run.classes] == pytest.approx(list(p), abs=1e-9)
        assert row["top"] == run.classes[int(p.argmax())]


def test_a_cache_without_any_label_gives_a_submission_alone(place: Path, tmp_path: Path) -> None:
    bare = [replace(one, votes=()) for one in utterances(6)]
    cache = small_cache(tmp_path / "bare.h5", bare)
    refused = amber("eval", place / "run", "--cache", cache, cwd=tmp_path)
    assert refused.status == 2
    assert "no utterance has a counted vote" in refused.err
    told = ("eval", place / "run", "--cache", cache, "--submission", "said.csv")
    done = amber(*told, cwd=tmp_path)
    assert done.status == 0, done.err
    assert done.out == "Submission: said.csv\n"
    assert len((tmp_path / "said.csv").read_text().splitlines()) == 7
    assert not (tmp_path / "runs").exists()


def test_other_encoders_are_refused_with_the_difference(place: Path, tmp_path: Path) -> None:
    cache = small_cache(tmp_path / "c.h5", entries=(("audio", "wavlm"), ("text", "hash")))
    done = amber("eval", place / "run", "--cache", cache, cwd=tmp_path)
    assert done.status == 2
    assert "encoder was 'mel', and is 'wavlm'" in done.err


def test_a_cache_of_one_modality_is_judged_by_its_head_alone(place: Path, tmp_path: Path) -> None:
    made = [replace(one, id=f"new {one.id}") for one in utterances(20)]
    cache = small_cache(tmp_path / "c.h5", made, entries=(("audio", "mel"),))
    found = _eval(place, "--cache", cache, "--out", tmp_path / "out")
    assert found["heads"] == ["audio"]
    assert found["selected"]["judged_by"] == ["audio"]


def test_ids_of_its_own_data_are_warned_of_and_raters_are_asked_for(
    place: Path, tmp_path: Path
) -> None:
    own = ("sad", "happy")
    made = [
        replace(one, votes=(*one.votes, Vote("me", own[i % 2], kind="self")))
        for i, one in enumerate(utterances(20))
    ]
    cache = small_cache(tmp_path / "c.h5", made)
    found = _eval(place, "--cache", cache, "--raters", "self", "--out", tmp_path / "out")
    assert found["classes"] == ["happy", "sad"]
    assert "20 utterances have ids of the run's own data" in found["notes"][-1]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "leaves neutral of the run's classes"),
        (("--map", "joy=glad"), "the run has no such class"),
        (("--map", "bliss=happy"), "the cache has no label bliss"),
        (("--map", "joy=happy", "--keep", "most"), "--keep"),
        (("--map", "joy=happy", "--subset", "split=Test9"), "no utterance has the split Test9"),
    ],
)
def test_what_can_not_be_is_refused(place: Path, options: tuple[str, ...], reason: str) -> None:
    done = amber("eval", "run", "--cache", "other.h5", *options, cwd=place)
    assert done.status == 2
    assert reason in done.err


def _with_heard_texts(cache: Path, path: Path) -> np.ndarray:
    """A copy with a second entry by the text encoder, as of other texts; gives its vectors.

    Where a recogniser heard nothing, of the third utterance, there is none.
    """
    with open_cache(cache) as opened:
        content = opened.content()
    text = next(one for one in content.embeddings if one.modality == "text")
    vectors = text.vectors + np.random.default_rng(3).normal(size=text.vectors.shape)
    status = text.status.copy()
    status[2] = FAILED
    heard = make_embedding(
        vectors.astype(np.float32),
        modality="text",
        name=f"{text.name}@asr-tiny",
        status=status,
        attrs=dict(text.attrs),
    )
    write_cache(path, replace(content, embeddings=(*content.embeddings, heard)))
    return np.asarray(heard.vectors)


def test_other_texts_by_the_same_encoder_are_read_where_they_are_named(
    place: Path, tmp_path: Path
) -> None:
    """Train on what people wrote, test on what a recogniser heard: each fold by its own models."""
    heard = _with_heard_texts(place / "cache.h5", tmp_path / "both.h5")
    told = ("--cache", tmp_path / "both.h5")
    plain = _eval(place, *told, "--out", tmp_path / "plain")
    named = _eval(place, *told, "--text-encoder", "hash@asr-tiny", "--out", tmp_path / "asr")
    same = _eval(place, *told, "--text-encoder", "hash", "--out", tmp_path / "plain")
    assert same["selected"] == plain["selected"]
    assert named["encoders"] == {"audio": "mel", "text": "hash@asr-tiny"}
    assert named["utterances"]["used"] == plain["utterances"]["used"] - 1
    assert named["utterances"]["left_out"] == {"without a vector in text=hash@asr-tiny": 1}
    run = load_run(place / "run")
    with open_cache(tmp_path / "both.h5") as cache:
        audio, ids = cache.embeddings("audio", "mel").vectors, list(cache.utterances.id)
    with h5py.File(tmp_path / "asr" / "predictions.h5") as file:
        fold, found = file["fold"][:], file["test"][:].swapaxes(1, 2)
        rows = np.array([ids.index(one) for one in file["id"].asstr()[:]])
    for number in range(5):
        own = fold == number
        vectors = {"audio": audio[rows[own]], "text": heard[rows[own]]}
        members = [(number, seed) for seed in run.seeds]
        wanted = run.predict_embeddings(vectors, members=members).distributions
        np.testing.assert_allclose(found[:, own], wanted, rtol=0, atol=1e-6)


def test_a_fold_that_diverged_leaves_the_training_mean_as_it_was(
    place: Path, mapped: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(place / "run", tmp_path / "run")
    with h5py.File(tmp_path / "run" / "predictions.h5", "r+") as file:
        file["validation"][1] = np.nan
    done = amber("eval", tmp_path / "run", *MAP, "--out", tmp_path / "out", "--json", cwd=place)
    assert done.status == 0, done.err
    assert json.loads(done.out)["floors"] == mapped["floors"]


def test_one_utterance_is_told_of_as_one(place: Path, tmp_path: Path) -> None:
    made = [replace(one, id=f"x {one.id}") if i else one for i, one in enumerate(utterances(20))]
    made[1] = replace(made[1], votes=())
    cache = small_cache(tmp_path / "c.h5", made)
    done = amber("eval", place / "run", "--cache", cache, "--out", tmp_path / "out", cwd=tmp_path)
    assert done.status == 0, done.err
    assert "1 utterance has no counted vote; --submission" in done.err
    assert "1 utterance has an id of the run's own data: some models" in " ".join(done.out.split())


def test_a_cache_that_nobody_named_and_is_not_there_is_told_with_the_runs(
    place: Path, tmp_path: Path
) -> None:
    done = amber("eval", place / "run", cwd=tmp_path)
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "amber: data/cache.h5: no such file; `amber extract` makes a cache; data/cache.h5 is "
        f"looked at where --cache names no other, and the run was trained on {place}/cache.h5: "
        "name the right cache with --cache\n"
    )
    named = amber("eval", place / "run", "--cache", "gone.h5", cwd=tmp_path)
    assert named.err == "amber: gone.h5: no such file; `amber extract` makes a cache\n"


@pytest.mark.parametrize(
    ("made", "entries", "lacks"),
    [
        (_other_corpus(), (("audio", "mel"), ("text", "hash")), "leaves neutral of the run's"),
        (utterances(20), (("face", "vgg"),), "without audio and text nothing is left that the run"),
        (utterances(20), (("audio", "wavlm"), ("text", "hash")), "encoder was 'mel', and is"),
    ],
    ids=["labels", "modalities", "encoder"],
)
def test_another_cache_that_nobody_named_is_told_with_what_it_lacks(
    place: Path,
    tmp_path: Path,
    made: list[Utterance],
    entries: tuple[tuple[str, str], ...],
    lacks: str,
) -> None:
    small_cache(tmp_path / "data" / "cache.h5", made, entries=entries)
    done = amber("eval", place / "run", cwd=tmp_path)
    assert done.status == 2
    assert lacks in done.err
    assert done.err.endswith(
        f"; data/cache.h5 is looked at where --cache names no other, and the run was trained on "
        f"{place}/cache.h5: name the right cache with --cache\n"
    )
    named = amber("eval", place / "run", "--cache", "./data/../data/cache.h5", cwd=tmp_path)
    assert lacks in named.err
    assert "--cache names no other" not in named.err


def test_a_report_of_an_evaluation_says_what_to_give_instead(
    place: Path, mapped: dict[str, Any]
) -> None:
    done = amber("report", "mapped", cwd=place)
    assert (done.status, done.out) == (2, "")
    assert (
        "mapped: is of amber eval, which has no folds and seeds of its own to compare; give the "
        in done.err
    )
    assert "run directory that it judged, or others of amber fit, grid and compare" in done.err
