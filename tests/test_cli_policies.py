"""`amber fit` on other labels, folds, modalities and losses than the default ones, as typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from amber_cache.records import Vote
from tests.commands import amber
from tests.small_caches import changed, small_cache, utterances

FAST = ("--epochs", 2, "--hidden", 4, "--seeds", 1, "--quiet", "--out", "run")


def _fit(place: Path, *arguments: object) -> tuple[dict[str, Any], str]:
    """The summary, and what was printed."""
    finished = amber("fit", *FAST, *arguments, cwd=place)
    assert (finished.status, finished.err) == (0, "")
    return json.loads((place / "run" / "summary.json").read_text()), finished.out


def _predictions(place: Path) -> dict[str, np.ndarray]:
    with h5py.File(place / "run" / "predictions.h5", "r") as file:
        return {name: file[name][()] for name in file}


def _rows(place: Path, name: str = "runs.csv") -> list[dict[str, str]]:
    with (place / "run" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _votes(*labels: str) -> tuple[Vote, ...]:
    return tuple(Vote(f"r{number}", label) for number, label in enumerate(labels))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    small_cache(tmp_path / "data" / "cache.h5")
    return tmp_path


def test_without_classes_every_label_that_has_votes_is_one_in_class_order(place: Path) -> None:
    summary, _ = _fit(place)
    assert summary["classes"] == ["neutral", "happy", "angry", "sad"]


def test_classes_are_merged_and_named_after_their_first_label(place: Path) -> None:
    summary, out = _fit(place, "--classes", "sad+angry,neutral,happy")
    assert summary["classes"] == ["sad", "neutral", "happy"]
    held = _predictions(place)
    np.testing.assert_array_equal(held["votes"].sum(axis=1), 3)
    assert "R2 is not printed" not in out


def test_two_classes_train_and_r2_is_said_and_not_printed(place: Path) -> None:
    summary, out = _fit(place, "--classes", "neutral+happy,sad+angry")
    assert summary["selected"]["heads"]["fusion"]["test"]["r2"]["mean"] is None
    assert {row["r2"] for row in _rows(place)} == {""}
    assert {row["R2 ↑"] for row in _rows(place, "table.csv")} == {"-"}
    assert "R2 is not printed: with two classes it is always 1 or 0." in out


def test_a_manifest_with_three_labels_of_its_own_runs_from_text_alone(tmp_path: Path) -> None:
    labels = ("calm", "tense", "<script>")
    rows = [f"u{i:02d},words {i % 3} and more,s{i % 3}" for i in range(18)]
    (tmp_path / "manifest.csv").write_text("id,text,session\n" + "\n".join(rows) + "\n")
    votes = [f"u{i:02d},r{r},{labels[(i + r // 2) % 3]}" for i in range(18) for r in range(3)]
    (tmp_path / "votes.csv").write_text("id,rater,label\n" + "\n".join(votes) + "\n")
    extract = ("--corpus", "manifest", "--root", "manifest.csv", "--text-encoder", "hash")
    assert amber("extract", *extract, "--quiet", cwd=tmp_path).status == 0
    summary, out = _fit(tmp_path, "--loss", "js", "--num-folds", 3)
    assert summary["classes"] == ["<script>", "calm", "tense"]  # beyond the common ones: by name
    assert summary["heads"] == ["text"]
    assert "SYNTHETIC" not in out
    assert "over folds" in out


@pytest.mark.parametrize(
    ("keep", "used", "target"),
    [
        ("all-in", "a", [[1, 0]]),
        ("any-vote", "abcd", [[1, 0], [1, 0], [1, 0], [0.5, 0.5]]),
        ("majority-mass", "ab", [[1, 0], [1, 0]]),
        ("consensus", "ad", [[1, 0], [0.5, 0.5]]),
    ],
)
def test_keep_lets_in_whom_its_definition_names(
    tmp_path: Path, keep: str, used: str, target: list[list[float]]
) -> None:
    cases = {
        "a": ("neutral", _votes("neutral", "neutral", "neutral")),
        "b": ("other", _votes("neutral", "neutral", "other")),
        "c": ("other", _votes("neutral", "other", "other")),
        "d": ("sad", _votes("neutral", "sad", "other", "other")),
        "e": ("sad", _votes("other", "other")),
    }
    made = utterances(40, labels=("neutral", "sad"))
    more = [
        {"id": f"case-{name}", "consensus": consensus, "votes": votes}
        for name, (consensus, votes) in cases.items()
    ]
    made = sorted([*changed(made[:5], lambda i, one: more[i]), *made], key=lambda one: one.id)
    small_cache(tmp_path / "data" / "cache.h5", made)
    summary, _ = _fit(tmp_path, "--classes", "neutral,sad", "--keep", keep)
    held = _predictions(tmp_path)
    cases_used = [i for i, name in enumerate(held["id"]) if name.startswith(b"case-")]
    assert [held["id"][i].decode()[-1] for i in cases_used] == list(used)
    np.testing.assert_allclose(held["target"][cases_used], target)
    assert summary["utterances"]["left_out"] == {f"not kept by {keep}": 5 - len(used)}


def test_raters_and_choices_decide_which_votes_count(tmp_path: Path) -> None:
    extra = (Vote("me", "sad", kind="self"), Vote("r0", "happy", primary=False))
    made = changed(utterances(), lambda i, one: {"votes": (*one.votes, *extra)})
    small_cache(tmp_path / "data" / "cache.h5", made)
    # r0's second choice adds nothing where "happy" was the first one too.
    second = np.array([one.votes[0].label != "happy" for one in made])
    assert 0 < second.sum() < len(made)
    for arguments, votes in [
        ((), 3),
        (("--raters", "all"), 4),
        (("--choices", "all"), 3 + second),
        (("--raters", "all", "--choices", "all"), 4 + second),
    ]:
        _fit(tmp_path, "--overwrite", *arguments)
        held = _predictions(tmp_path)["votes"].sum(axis=1)
        np.testing.assert_array_equal(held, np.broadcast_to(votes, len(made)))


def test_speaker_folds_share_no_speaker_between_training_and_test(place: Path) -> None:
    summary, _ = _fit(place, "--folds", "speaker", "--fold-seed", 3)
    assert "speaker" not in summary["leakage"]
    held = _predictions(place)
    for fold in range(5):
        tested = held["fold"] == fold
        assert not set(held["speaker"][tested]) & set(held["speaker"][~tested])


def test_random_folds_are_of_like_size_and_tell_what_leaks(place: Path) -> None:
    summary, out = _fit(place, "--folds", "random", "--validation", "random")
    assert {fold["test"] for fold in summary["folds"]} == {8}
    assert {fold["validation"] for fold in summary["folds"]} == {round(0.2 * 32)}
    assert summary["leakage"]["speaker"]["test_utterances"] > 0
    assert "Leakage: training has the speaker of " in out


def test_official_test_sets_count_each_by_itself(tmp_path: Path) -> None:
    splits = ("Train", "Train", "Development", "Test1", "Test2")
    made = changed(utterances(), lambda i, one: {"split": splits[i % 5]})
    small_cache(tmp_path / "data" / "cache.h5", made)
    summary, out = _fit(tmp_path, "--folds", "official")
    assert summary["test_sets"] == ["test1", "test2"]
    assert {row["split"] for row in _rows(tmp_path)} == {"validation", "test1", "test2"}
    assert {row["n"] for row in _rows(tmp_path)} == {"8"}
    held = _predictions(tmp_path)
    split_of = np.array([splits[int(name[1:]) % 5].lower() for name in held["id"].astype(str)])
    np.testing.assert_array_equal(
        ~np.isnan(held["test"]).any(axis=(0, 1, 3)), np.isin(split_of, ["test1", "test2"])
    )
    np.testing.assert_array_equal(
        ~np.isnan(held["validation"]).any(axis=(0, 1, 2, 4)), split_of == "development"
    )
    np.testing.assert_array_equal(held["fold"] >= 0, np.isin(split_of, ["test1", "test2"]))
    assert sorted(one.name for one in (tmp_path / "run").glob("*.csv")) == [
        "curves.csv",
        "runs.csv",
        "table_1-test1.csv",
        "table_2-test2.csv",
    ]
    assert "Results on manifest, test1 (" in out
    assert "40 utterances, 1 fold, 1 seed;" in out
    assert "over folds" not in out


def test_a_split_that_names_a_path_writes_inside_the_run_directory(tmp_path: Path) -> None:
    splits = ("train", "train", "dev", "../../evil", "/evil")
    made = changed(utterances(), lambda i, one: {"split": splits[i % 5]})
    place = tmp_path / "deep" / "place"
    small_cache(place / "data" / "cache.h5", made)
    _fit(place, "--folds", "official")
    assert {one.name for one in tmp_path.iterdir()} == {"deep"}
    assert {one.name for one in place.iterdir()} == {".trained", "data", "run"}
    assert len(list((place / "run").glob("table_*-evil.md"))) == 2


@pytest.mark.parametrize(
    ("arguments", "heads", "marked"),
    [
        (("--modalities", "audio", "--loss", "js"), ["audio"], []),
        (("--loss", "soft-ce"), ["audio", "text", "fusion"], []),
        (("--student", "audio"), ["audio", "text", "fusion"], ["text", "fusion"]),
        (("--expert-loss", 0.5), ["audio", "text", "fusion"], ["audio", "text"]),
        (("--attach-weights",), ["audio", "text", "fusion"], ["audio", "text"]),
        (("--dropout", 0.2), ["audio", "text", "fusion"], ["audio", "text"]),
        (("--modalities", "text,audio"), ["text", "audio", "fusion"], ["text", "audio"]),
        (("--batch-size", 7, "--weight-decay", 0), ["audio", "text", "fusion"], ["audio", "text"]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_heads_that_are_read_at_the_students_best_epoch_are_marked(
    place: Path, arguments: tuple[object, ...], heads: list[str], marked: list[str]
) -> None:
    summary, out = _fit(place, *arguments)
    assert summary["heads"] == heads
    assert summary["selected"]["read_at_another_head"] == marked
    for head in heads:
        assert (f"\n {head}* " in out) == (head in marked)


def test_any_number_of_modalities_trains(tmp_path: Path) -> None:
    entries = [("audio", "mel"), ("text", "hash"), ("face", "flow")]
    small_cache(tmp_path / "data" / "cache.h5", entries=entries)
    summary, _ = _fit(tmp_path, "--student", "face")
    assert summary["heads"] == ["audio", "text", "face", "fusion"]
    assert summary["selected"]["judged_by"] == ["face"] * 5
    row = _rows(tmp_path, "curves.csv")[0]
    assert row["u_face"] == ""
    others = sum(float(row[f"u_{head}"]) for head in ("audio", "text", "fusion"))
    assert others == pytest.approx(1, abs=1e-6)


def test_a_run_that_diverges_is_told_and_has_no_figures(place: Path) -> None:
    summary, out = _fit(place, "--lr", 1e30)
    assert len(summary["diverged_runs"]) == 5
    assert summary["selected"]["heads"]["fusion"]["test"]["js"]["mean"] is None
    assert "5 runs diverged: their figures are missing." in out
    assert {row["js"] for row in _rows(place)} == {""}
