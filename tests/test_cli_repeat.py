"""The same command again: stored results, --overwrite, --config, --out, and stable names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.commands import amber, run_folders
from tests.small_caches import changed, small_cache, utterances

FAST = ("--quiet", "--epochs", 2, "--hidden", 4, "--seeds", 1, "--num-folds", 3)
SPLITS = ("train", "train", "development", "test1", "test2")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = changed(utterances(), lambda i, one: {"split": SPLITS[i % 5]})
    return small_cache(tmp_path_factory.mktemp("repeat") / "data" / "cache.h5", made)


@pytest.fixture
def place(cache: Path, tmp_path: Path) -> Path:
    shutil.copytree(cache.parent, tmp_path / "data")
    return tmp_path


def _contents(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir()}


def test_the_same_command_twice_gives_the_same_bytes(place: Path) -> None:
    assert amber("fit", *FAST, "--out", "run", cwd=place).status == 0
    first = _contents(place / "run")
    again = amber("fit", *FAST, "--out", "run", "--overwrite", cwd=place)
    assert again.status == 0
    assert "already" not in again.out
    assert _contents(place / "run") == first


@pytest.mark.parametrize("command", ["fit", "grid"])
def test_a_finished_run_is_found_and_printed_again_without_training(
    place: Path, command: str
) -> None:
    arguments = [command, *FAST[1:]]  # and progress would be told
    first = amber(*arguments, cwd=place)
    (folder,) = run_folders(place)
    written = {one: one.stat().st_mtime_ns for one in (folder, *folder.iterdir())}
    again = amber(*arguments, cwd=place)
    assert (again.status, again.err) == (0, "")
    assert again.out == f"runs/{folder.name} holds this run already; this is its stored " + (
        f"result:\n{first.out}"
    )
    assert {one: one.stat().st_mtime_ns for one in written} == written


def test_json_says_whether_the_result_was_stored(place: Path) -> None:
    first, again = (json.loads(amber("fit", *FAST, "--json", cwd=place).out) for _ in range(2))
    assert (first.pop("stored"), again.pop("stored")) == (False, True)
    assert first == again


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "--kappa", 2, "--student", "audio"),
        ("fit", "--loss", "cb-ce"),
        ("fit", "--folds", "official", "--classes", "neutral,happy+angry+sad"),
        ("fit", "--folds", "random", "--fold-seed", 3, "--validation", "random"),
        ("fit", "--modalities", "text", "--loss", "kl"),
        ("fit", "--attach-weights", "--expert-loss", 1, "--no-standardize"),
        ("grid",),
        ("grid", "--kappa", 4, "--select", "pooled"),
        ("grid", "--kappa", 4, "--lambda-mai", 0.5),
        ("grid", "--grid", "lr=1e-3,1e-2", "--grid", "attach-weights=true,false"),
        ("grid", "--grid", "loss=js,cb-ce"),
        ("grid", "--grid", "student=audio,fusion"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments)),
)
def test_a_frozen_configuration_runs_again_to_the_same_numbers(
    place: Path, arguments: tuple[object, ...]
) -> None:
    fast = FAST[:-2] if "official" in arguments else FAST
    assert amber(*arguments, *fast, "--out", "run", cwd=place).status == 0
    (place / "amber.toml").write_text("lr = 0.5\nkeep = 'any-vote'\n")  # is farther from the user
    frozen = ("--config", "run/config.json", "--quiet")
    again = amber(arguments[0], *frozen, "--out", "other", cwd=place)
    assert (again.status, again.err) == (0, "")
    assert _contents(place / "other") == _contents(place / "run")


def test_a_frozen_configuration_runs_in_another_folder_on_a_cache_elsewhere(
    place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert amber("fit", *FAST, cwd=place).status == 0
    (folder,) = run_folders(place)
    moved = tmp_path_factory.mktemp("moved") / "renamed.h5"
    shutil.copy(place / "data" / "cache.h5", moved)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    frozen = ("--config", folder / "config.json", "--cache", moved)
    assert amber("fit", *frozen, "--quiet", cwd=elsewhere).status == 0
    (again,) = run_folders(elsewhere)  # the name is of the settings and the data alone
    assert again.name == folder.name
    assert (again / "runs.csv").read_bytes() == (folder / "runs.csv").read_bytes()


def test_a_frozen_configuration_outlives_another_encoder_in_the_cache(place: Path) -> None:
    assert amber("fit", *FAST, "--out", "run", cwd=place).status == 0
    made = changed(utterances(), lambda i, one: {"split": SPLITS[i % 5]})
    entries = [("audio", "mel"), ("text", "hash"), ("audio", "wavlm"), ("text", "bert")]
    small_cache(place / "data" / "cache.h5", made, entries=entries)
    assert "several of the audio embeddings" in amber("fit", *FAST, cwd=place).err
    again = amber("fit", "--config", "run/config.json", "--out", "other", "--quiet", cwd=place)
    assert (again.status, again.err) == (0, "")
    assert _contents(place / "other") == _contents(place / "run")


def test_a_frozen_configuration_on_other_data_says_so(place: Path) -> None:
    assert amber("fit", *FAST, "--out", "run", cwd=place).status == 0
    made = changed(utterances(), lambda i, one: {"votes": one.votes[:2] if i == 0 else one.votes})
    small_cache(place / "data" / "cache.h5", made)
    frozen = ("--config", "run/config.json")
    again = amber("fit", *frozen, "--folds", "session", "--out", "other", cwd=place)
    assert again.status == 0
    assert "--config run/config.json: ran on other data; the figures will differ" in again.err


def test_a_flag_changes_one_setting_of_a_frozen_configuration(place: Path) -> None:
    assert amber("fit", *FAST, "--kappa", 2, "--out", "run", cwd=place).status == 0
    frozen = ("--config", "run/config.json", "--kappa", 8)
    assert amber("fit", *frozen, "--out", "other", "--quiet", cwd=place).status == 0
    first, other = (
        json.loads((place / name / "config.json").read_text())["settings"]
        for name in ("run", "other")
    )
    assert other == {**first, "kappa": 8.0}


def _data_hash(place: Path, *arguments: object) -> str:
    finished = amber("fit", *FAST, "--out", "run", "--overwrite", *arguments, cwd=place)
    assert finished.status == 0, finished.err
    return str(json.loads((place / "run" / "config.json").read_text())["data"])


def test_the_datas_hash_is_of_what_was_read_and_not_of_the_file(tmp_path: Path) -> None:
    made = utterances()
    entries = [("audio", "mel"), ("text", "hash")]
    small_cache(tmp_path / "data" / "cache.h5", made)
    first = _data_hash(tmp_path)
    small_cache(tmp_path / "more.h5", made, entries=[*entries, ("audio", "wavlm")])
    assert _data_hash(tmp_path, "--cache", "more.h5", "--audio-encoder", "mel") == first
    voted = changed(made, lambda i, one: {"votes": one.votes[:2] if i == 7 else one.votes})
    small_cache(tmp_path / "voted.h5", voted)
    assert _data_hash(tmp_path, "--cache", "voted.h5") != first
    assert _data_hash(tmp_path, "--cache", "more.h5", "--audio-encoder", "wavlm") != first


def test_settings_that_come_to_the_same_find_the_same_folder(place: Path) -> None:
    for arguments in ((), ("--kappa", 4), ("--seeds", "0,"), ("--audio-encoder", "mel")):
        assert amber("fit", *FAST, *arguments, cwd=place).status == 0
    assert len(run_folders(place)) == 1
    assert amber("fit", *FAST, "--kappa", 5, cwd=place).status == 0
    assert len(run_folders(place)) == 2


def test_a_run_goes_where_a_symbolic_link_leads(place: Path) -> None:
    (place / "disk").mkdir()
    (place / "run").symlink_to(place / "disk")
    assert amber("fit", *FAST, "--out", "run", cwd=place).status == 0
    assert amber("fit", *FAST, "--out", "run", "--overwrite", cwd=place).status == 0
    assert (place / "run").is_symlink()
    assert (place / "disk" / "summary.json").is_file()
    assert sorted(one.name for one in place.iterdir()) == [".trained", "data", "disk", "run"]
