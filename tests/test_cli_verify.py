"""`amber verify`: sound, bare and damaged caches, by exit status, lines and JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.commands import amber
from tests.made_corpora import extract, make_corpus, voice, write_audio
from tests.small_caches import small_cache, utterances


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return small_cache(tmp_path / "cache.h5")


def _bare(path: Path) -> Path:
    """What the contract asks for and no more, as somebody else's script may write it."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "amber-cache", "format_version": 1})
        file["utterances/id"] = ["a", "b"]
        file["votes/utterance"] = np.array([0, 1], np.int32)
        file["votes/label"] = np.array([0, 1], np.int16)
        file["votes"].attrs["labels"] = ["neutral", "sad"]
        file["embeddings/audio/own/vectors"] = np.ones((2, 3), np.float32)
        file["embeddings/audio/own/status"] = np.ones(2, np.uint8)
    return path


def _flip(path: Path, dataset: str) -> None:
    with h5py.File(path, "r") as file:
        offset = file[dataset].id.get_offset()
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_sound_cache_is_counted_and_exits_0(cache: Path) -> None:
    finished = amber("verify", cache.name, cwd=cache.parent)
    assert (finished.status, finished.err) == (0, "")
    assert finished.out.splitlines() == [
        "40 utterances, 120 votes, 0 ratings",
        "audio/mel: 40 done, 0 failed, 0 pending, 6 features",
        "text/hash: 40 done, 0 failed, 0 pending, 6 features",
        "cache.h5: sound",
    ]


def test_the_demo_cache_is_sound(demo_cache: Path) -> None:
    finished = amber("verify", demo_cache)
    assert finished.status == 0
    assert finished.out.splitlines()[0].startswith("300 utterances, ")
    assert finished.out.splitlines()[-1].endswith("cache.h5: sound")


def test_a_bare_cache_is_sound_and_what_is_unprotected_is_named(tmp_path: Path) -> None:
    finished = amber("verify", _bare(tmp_path / "bare.h5"))
    assert (finished.status, finished.err) == (0, "")
    lines = finished.out.splitlines()
    assert lines[0] == "2 utterances, 2 votes, 0 ratings"
    assert lines[-2].startswith("unprotected (no checksum): ")
    for name in ("/utterances/id", "/votes/label", "/votes/@labels", "/own/vectors"):
        assert name in lines[-2]


def test_a_bare_cache_can_be_trained_on(tmp_path: Path) -> None:
    made = utterances()
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file.attrs.update({"format": "amber-cache", "format_version": 1})
        file["utterances/id"] = [one.id for one in made]
        file["votes/utterance"] = np.repeat(np.arange(40), 3).astype(np.int32)
        labels = sorted({vote.label for one in made for vote in one.votes})
        file["votes/label"] = np.array(
            [labels.index(vote.label) for one in made for vote in one.votes], np.int16
        )
        file["votes"].attrs["labels"] = labels
        vectors = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
        file["embeddings/face/own/vectors"] = vectors
        file["embeddings/face/own/status"] = np.ones(40, np.uint8)
    few = ("--epochs", 1, "--hidden", 4, "--seeds", 1, "--num-folds", 3, "--folds", "random")
    finished = amber("fit", "--cache", "bare.h5", "--loss", "js", *few, cwd=tmp_path)
    assert finished.status == 0, finished.err
    assert "Results on a corpus without a name (face=own), js" in finished.out


@pytest.mark.parametrize(
    ("dataset", "place"),
    [
        ("votes/label", "/votes/label"),
        ("embeddings/text/hash/vectors", "/embeddings/text/hash/vectors"),
        ("embeddings/audio/mel/status", "/embeddings/audio/mel/status"),
        ("utterances/start_s", "/utterances/start_s"),
    ],
)
def test_a_flipped_byte_is_found_where_it_lies_and_exits_2(
    cache: Path, dataset: str, place: str
) -> None:
    _flip(cache, dataset)
    finished = amber("verify", cache)
    assert (finished.status, finished.err) == (2, "")
    problems = [line for line in finished.out.splitlines() if line.startswith("problem: ")]
    assert problems
    assert all(line.startswith(f"problem: {place}: ") for line in problems)
    assert finished.out.splitlines()[-1].endswith(f"cache.h5: {len(problems)} problems")


def test_several_troubles_are_all_listed(cache: Path) -> None:
    for dataset in ("votes/label", "embeddings/text/hash/vectors"):
        _flip(cache, dataset)
    told = json.loads(amber("verify", cache, "--json").out)
    assert any(line.startswith("/votes/label") for line in told["problems"])
    assert any(line.startswith("/embeddings/text/hash/vectors") for line in told["problems"])


def test_a_truncated_cache_exits_2(cache: Path) -> None:
    os.truncate(cache, cache.stat().st_size // 2)
    finished = amber("verify", cache)
    assert finished.status == 2
    assert "cut off or damaged" in finished.out


def test_another_programs_file_exits_2(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    finished = amber("verify", tmp_path / "notes.txt")
    assert finished.status == 2
    assert "is not an HDF5 file" in finished.out


@pytest.mark.parametrize(("name", "wanted"), [("none.h5", "no such file"), (".", "is a folder")])
def test_what_is_no_file_is_one_line_on_stderr(tmp_path: Path, name: str, wanted: str) -> None:
    finished = amber("verify", name, cwd=tmp_path)
    assert (finished.status, finished.out) == (2, "")
    (line,) = finished.err.splitlines()
    assert line.startswith(f"amber: {name}: ")
    assert wanted in line


def test_without_a_cache_named_the_line_says_what_is_missing() -> None:
    finished = amber("verify")
    assert (finished.status, finished.err) == (2, "amber: Missing argument 'CACHE'.\n")


def test_json_is_one_object_that_says_whether_it_is_sound(cache: Path) -> None:
    finished = amber("verify", cache, "--json")
    told = json.loads(finished.out)
    assert (finished.status, finished.err, told["ok"], told["problems"]) == (0, "", True, [])
    assert told["num_utterances"] == 40
    assert told["embeddings"][0] == {
        "modality": "audio",
        "name": "mel",
        "dimension": 6,
        "done": 40,
        "failed": 0,
        "pending": 0,
    }
    _flip(cache, "votes/label")
    damaged = amber("verify", cache, "--json")
    assert (damaged.status, json.loads(damaged.out)["ok"]) == (2, False)


def test_looking_changes_nothing(cache: Path) -> None:
    before = cache.read_bytes(), cache.stat().st_mtime_ns
    amber("verify", cache)
    assert (cache.read_bytes(), cache.stat().st_mtime_ns) == before
    assert [one.name for one in cache.parent.iterdir()] == [cache.name]


def test_against_the_corpus_every_changed_and_missing_file_is_named(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    extract(manifest)
    place = tmp_path / "cache.h5"
    for root in (tmp_path, manifest):
        finished = amber("verify", place, "--against", root)
        assert (finished.status, finished.out.splitlines()[-1]) == (0, f"{place}: sound")
    write_audio(tmp_path / "audio/u2.wav", voice(6_000, seed=8))
    (tmp_path / "audio/u3.wav").unlink()
    finished = amber("verify", place, "--against", manifest)
    assert finished.status == 2
    assert finished.out.splitlines()[-3:] == [
        "problem: audio/u2.wav (of 'u2'): is not the file that was encoded",
        f"problem: audio/u3.wav (of 'u3'): is missing below {tmp_path}",
        f"{place}: 2 problems",
    ]


def test_a_root_that_is_none_is_refused(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    extract(manifest)
    refused = amber("verify", tmp_path / "cache.h5", "--against", tmp_path / "nowhere")
    assert (refused.status, "is no folder, and no manifest in one" in refused.err) == (2, True)
