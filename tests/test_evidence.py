"""Runs as one body of evidence: what is read, what is paired, what is refused and by what words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amber_cache.errors import RunError
from amber_heads.reading.evidence import read_evidence
from tests.report_runs import make_run

HEADS = ("audio", "text", "fusion")


def test_a_comparisons_heads_are_systems_and_heads(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", heads=("amber2/fusion", "cb-ce/audio", "late average/"))
    evidence = read_evidence([tmp_path / "run"])
    assert [(one.name, one.head) for one in evidence.systems] == [
        ("amber2", "fusion"),
        ("cb-ce", "audio"),
        ("late average", ""),
    ]
    assert evidence.systems[2].label == "late average"
    np.testing.assert_array_equal(
        evidence.systems[0].test, made.test["amber2/fusion"].astype(np.float64)
    )


def test_plain_runs_are_named_by_what_differs(tmp_path: Path) -> None:
    for kappa in (4.0, 8.0):
        settings = {"loss": "amber2", "kappa": kappa, "lr": 1e-3}
        make_run(tmp_path / f"{kappa}", heads=HEADS, command="fit", settings=settings)
    make_run(tmp_path / "js", heads=HEADS, command="fit", settings={"loss": "js"})
    evidence = read_evidence([tmp_path / "4.0", tmp_path / "8.0", tmp_path / "js"])
    assert [one.label for one in evidence.systems[::3]] == [
        "amber2 kappa=4 audio",
        "amber2 kappa=8 audio",
        "js audio",
    ]


def test_runs_that_differ_in_nothing_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_run(tmp_path / name, heads=HEADS, command="fit", settings={"loss": "js"})
    labels = [one.label for one in read_evidence([tmp_path / "one", tmp_path / "two"]).systems]
    assert labels[::3] == ["js (one) audio", "js (two) audio"]


def test_a_given_name_goes_first(tmp_path: Path) -> None:
    make_run(tmp_path / "one", heads=HEADS, command="fit", settings={"loss": "js"})
    evidence = read_evidence([tmp_path / "one"], names={tmp_path / "one": "mine"})
    assert evidence.systems[0].label == "mine audio"


def test_two_comparisons_keep_their_systems_apart(tmp_path: Path) -> None:
    make_run(tmp_path / "one", heads=("js/fusion",))
    make_run(tmp_path / "two", heads=("js/fusion",), random_seed=1)
    labels = [one.label for one in read_evidence([tmp_path / "one", tmp_path / "two"]).systems]
    assert labels == ["js fusion", "js (two) fusion"]


def test_the_training_mean_is_of_what_a_fold_neither_tests_nor_validates_on(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run")
    evidence = read_evidence([tmp_path / "run"])
    target = made.votes / made.votes.sum(1, keepdims=True)
    for fold in range(5):
        train = (made.fold != fold) & (made.fold != (fold + 1) % 5)
        rows = evidence.training_mean[made.fold == fold]
        np.testing.assert_allclose(rows, np.tile(target[train].mean(0), (len(rows), 1)))


def test_where_all_of_a_fold_diverged_its_training_mean_is_of_its_training_part(
    tmp_path: Path,
) -> None:
    made = make_run(tmp_path / "run", lost_fold=1)
    means = read_evidence([tmp_path / "run"]).training_mean
    target = made.votes / made.votes.sum(1, keepdims=True)
    train = (made.fold != 1) & (made.fold != 2)
    rows = means[made.fold == 1]
    np.testing.assert_allclose(rows, np.tile(target[train].mean(0), (len(rows), 1)))


def test_an_evaluation_is_left_out_with_a_line(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    make_run(tmp_path / "eval", heads=HEADS, command="eval")
    evidence = read_evidence([tmp_path / "run", tmp_path / "eval"])
    assert {one.run for one in evidence.systems} == {tmp_path / "run"}
    assert "eval: is of amber eval" in evidence.problems[0]
    with pytest.raises(RunError, match="is of amber eval"):
        read_evidence([tmp_path / "eval"])


def test_only_tested_utterances_stand_in_it(tmp_path: Path) -> None:
    make_run(tmp_path / "run", test_sets=("test1", "test2"))
    evidence = read_evidence([tmp_path / "run"])
    assert evidence.test_sets == ("test1", "test2")
    part = evidence.of_test_set("test2")
    assert len(evidence.ids) == 30
    assert part.systems[0].test.shape == (3, 15, 4)
    assert (part.ids == evidence.ids[evidence.test_set == "test2"]).all()


def test_what_is_validated_on_and_never_tested_stands_beside(tmp_path: Path) -> None:
    make_run(tmp_path / "run", test_sets=("test1", "test2"))
    evidence = read_evidence([tmp_path / "run"])
    beside = evidence.systems[0].beside
    assert beside is not None
    assert evidence.beside_target is not None
    assert beside.shape == (1, 3, 30, 4)
    assert np.isnan(beside).any(axis=(0, 1, 3)).sum() == 15
    assert len(evidence.beside_target) == 30


def test_seeds_that_not_all_runs_have_are_left_out_and_told(tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", heads=HEADS, command="fit", seeds=(0, 1, 2))
    make_run(tmp_path / "two", heads=("js/fusion",), seeds=(2, 1))
    evidence = read_evidence([tmp_path / "one", tmp_path / "two"])
    assert evidence.seeds == (1, 2)
    np.testing.assert_array_equal(evidence.systems[0].test, one.test["audio"][1:].astype(float))
    assert "only its seeds 1, 2 are compared, of 3" in evidence.problems[0]


def test_runs_without_a_common_seed_are_refused(tmp_path: Path) -> None:
    make_run(tmp_path / "one", seeds=(0,))
    make_run(tmp_path / "two", seeds=(1,))
    with pytest.raises(RunError, match="no seed in common"):
        read_evidence([tmp_path / "one", tmp_path / "two"])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"classes": ("neutral", "happy", "angry", "fear")}, "classes: .*sad"),
        ({"number": 55}, "utterances: 55 and 60, of which they share 55"),
        ({"num_folds": 4}, "folds: 48 of 60 utterances are tested in another"),
        ({"num_raters": 5}, "votes: those of 60 of 60"),
        ({"corpus": "other"}, "corpora: 'other' and 'manifest'"),
    ],
)
def test_runs_of_other_data_are_refused_with_what_differs(
    tmp_path: Path, changes: dict[str, object], what: str
) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "two", **changes)
    with pytest.raises(RunError, match=what):
        read_evidence([tmp_path / "one", tmp_path / "two"])


def test_other_embeddings_under_the_same_names_are_refused(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "two")
    config = tmp_path / "two" / "config.json"
    config.write_text(config.read_text().replace('"made"', '"another"'))
    with pytest.raises(RunError, match="caches: the same utterances, but other embeddings"):
        read_evidence([tmp_path / "one", tmp_path / "two"])


def test_another_label_policy_is_a_variant_and_no_system(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "two", number=70, settings={"loss": "amber2", "keep": "any-vote"})
    evidence = read_evidence([tmp_path / "one", tmp_path / "two"])
    assert evidence.variants == (tmp_path / "two",)
    assert {one.run for one in evidence.systems} == {tmp_path / "one"}


def test_a_run_without_predictions_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    make_run(tmp_path / "one", without=["predictions.h5"])
    make_run(tmp_path / "two")
    evidence = read_evidence([tmp_path / "one", tmp_path / "two"])
    assert len(evidence.systems) == 4
    assert evidence.problems == (
        f"left out: {tmp_path / 'one'}: has no predictions.h5; run its command again with "
        "--overwrite",
    )


def test_a_run_that_is_cut_off_is_named(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "two")
    file = tmp_path / "two" / "predictions.h5"
    file.write_bytes(file.read_bytes()[:1000])
    evidence = read_evidence([tmp_path / "one", tmp_path / "two"])
    assert "two: its predictions.h5 has 1000 bytes of" in evidence.problems[0]


def test_a_damaged_file_of_the_right_size_is_named(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "two")
    file = tmp_path / "two" / "predictions.h5"
    file.write_bytes(b"x" * file.stat().st_size)
    assert "can't be read" in read_evidence([tmp_path / "one", tmp_path / "two"]).problems[0]


def test_no_run_that_can_be_used_is_refused(tmp_path: Path) -> None:
    make_run(tmp_path / "one", without=["summary.json"])
    with pytest.raises(RunError, match=r"one: has no summary\.json"):
        read_evidence([tmp_path / "one"])


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    with pytest.raises(RunError, match="missing: is no run directory"):
        read_evidence([tmp_path / "one", tmp_path / "missing"])


def test_an_unknown_system_is_refused_with_those_there(tmp_path: Path) -> None:
    make_run(tmp_path / "one", heads=("js/fusion",))
    evidence = read_evidence([tmp_path / "one"])
    assert evidence.system("js fusion") is evidence.systems[0]
    with pytest.raises(RunError, match="no system 'none'; the runs have js fusion"):
        evidence.system("none")


def test_a_folder_of_runs_is_refused_with_those_it_holds(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "fit-1")
    with pytest.raises(RunError, match=r"runs: is no run directory; .*; it holds fit-1$"):
        read_evidence([tmp_path / "runs"])
