"""The leakage guard and unknown groups as a user meets them: told before training, and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from amber_cache.records import Utterance, Vote
from tests.commands import Finished, amber
from tests.fake_crema_d import make_crema_d
from tests.small_caches import LABELS, changed, small_cache, utterances

FAST = ("--epochs", 1, "--hidden", 4, "--seeds", 1)
NUM = 60


def _fit(place: Path, made: list[Utterance], *arguments: object) -> Finished:
    small_cache(place / "data" / "cache.h5", made)
    finished = amber("fit", *FAST, "--out", "run", *arguments, cwd=place)
    assert finished.status == 0, finished.err
    return finished


def _json(place: Path, name: str) -> Any:
    return json.loads((place / "run" / name).read_text())


def _block(finished: Finished) -> list[str]:
    lines = finished.err.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("leakage: "))
    return lines[start : start + 6]


@pytest.fixture
def made() -> list[Utterance]:
    """Lines that recur in other sessions where they are scripted; some speakers are unknown."""
    lines = ("Where did you put it?", "I never said any such thing", "Oh, do come in, please!")

    def change(i: int, one: Utterance) -> dict[str, object]:
        scripted = {"style": "scripted", "text": lines[i // 2 % 3]}
        said = {"style": "improvised", "text": f"these are the words number {i}"}
        unknown = {"speaker": ("", "Unknown")[i % 2]} if i % 7 == 0 else {}
        return {**(scripted if i % 2 else said), **unknown}

    return changed(utterances(NUM), change)


def test_what_leaks_is_told_before_training_and_kept(tmp_path: Path, made: list[Any]) -> None:
    finished = _fit(tmp_path, made)
    assert _block(finished) == [
        "leakage: of 60 test utterances, how many share with training ...",
        "  their speaker: none; unknown for 9",
        "  their session: none",
        "  their dialogue: none",
        "  their transcript: 30 of 60 (50%), 15 shared; with validation: 30",
        "  their transcript of 4 words or more: 30 of 60 (50%), 15 shared; with validation: 30",
    ]
    place = finished.err.index
    assert (
        place("leakage: ") < place("training has the transcript of 30 of 60") < place("training (")
    )
    assert "scripted 100%; --subset style=improvised is without them" in finished.err
    assert "leakage: " not in finished.out
    summary, config = _json(tmp_path, "summary.json"), _json(tmp_path, "config.json")
    assert summary["leakage"].keys() == {"text", "text_of_4_words"}
    assert len(summary["leakage"]["text"]["per_fold"]) == 5
    assert config["leakage"]["text"] == {
        "values": 15,
        "test_utterances": 30,
        "known": 60,
        "share": 0.5,
    }
    assert config["leakage"]["speaker"]["known"] == 51
    assert config["warnings"] == summary["warnings"]
    assert len(config["warnings"]) == 1
    assert config["warnings"][0] in finished.out.replace("\n", " ")


def test_nothing_is_told_with_quiet_and_all_of_it_stands_in_the_json(
    tmp_path: Path, made: list[Any]
) -> None:
    assert _fit(tmp_path, made, "--quiet").err == ""
    finished = _fit(tmp_path, made, "--json", "--overwrite")
    assert finished.err == ""
    told = json.loads(finished.out)
    assert told["leakage"]["text"]["test_utterances"] == 30
    assert told["warnings"] == _json(tmp_path, "config.json")["warnings"] != []


def test_a_stored_result_tells_the_warnings_with_its_table(tmp_path: Path, made: list[Any]) -> None:
    first, again = _fit(tmp_path, made), _fit(tmp_path, made)
    assert again.err == ""
    assert first.out in again.out
    assert "Leakage: training has the transcript of 30 test utterances too." in again.out


def test_a_refusal_stays_one_line(tmp_path: Path, made: list[Any]) -> None:
    tied = tuple(Vote(f"r{i}", label) for i, label in enumerate(LABELS))  # gives cb-ce no weights
    small_cache(tmp_path / "data" / "cache.h5", changed(made, lambda i, one: {"votes": tied}))
    for arguments in (("--device", "cuda:99"), ("--workers", 0), ("--loss", "cb-ce")):
        finished = amber("fit", *FAST, *arguments, cwd=tmp_path)
        assert (finished.status, finished.out) == (2, "")
        assert finished.err.count("\n") == 1


def test_unknown_speakers_go_by_their_dialogue_and_the_note_counts_them(
    tmp_path: Path, made: list[Any]
) -> None:
    finished = _fit(tmp_path, made, "--folds", "speaker")
    note = (
        "--folds speaker: 9 utterances have no known speaker; they go by their dialogue, with the "
        "speaker that most of it has"
    )
    assert note in finished.err.splitlines()
    assert note in finished.out
    assert _json(tmp_path, "summary.json")["notes"] == [note]
    with h5py.File(tmp_path / "run" / "predictions.h5") as file:
        fold, speaker, dialogue = (file[name][:] for name in ("fold", "speaker", "dialogue"))
    unknown = np.isin(speaker, [b"", b"Unknown"])
    for one in set(dialogue):
        assert len(set(fold[unknown & (dialogue == one)])) <= 1
    for one in set(speaker[~unknown]):
        assert len(set(fold[speaker == one])) == 1


def test_dialogue_folds_keep_dialogues_apart(tmp_path: Path) -> None:
    made = changed(utterances(), lambda i, one: {"dialogue": f"d{i % 9}"})
    _fit(tmp_path, made, "--folds", "dialogue", "--fold-seed", 2)
    assert "dialogue" not in _json(tmp_path, "summary.json")["leakage"]
    assert _json(tmp_path, "config.json")["settings"]["folds"] == "dialogue"


def test_official_parts_that_share_speakers_are_a_loud_warning(tmp_path: Path) -> None:
    splits = ("Train", "Train", "Validation", "Test1", "Test2")

    def change(i: int, one: Utterance) -> dict[str, object]:
        speaker = "host" if i in (0, 3, 8) else f"{splits[i % 5]}-{i // 20}"
        return {"split": splits[i % 5], "speaker": speaker}

    finished = _fit(tmp_path, changed(utterances(), change), "--folds", "official")
    warning = (
        "WARNING: --folds official does not keep speakers apart here: training has the speaker of "
        "2 of 16 test utterances (12%) in test1"
    )
    assert warning in finished.err.splitlines()
    assert warning in finished.out
    assert _json(tmp_path, "config.json")["warnings"] == [warning]


def test_an_official_test_set_without_labels_is_said_and_no_error(tmp_path: Path) -> None:
    splits = ("Train", "Train", "Development", "Test1", "Test3")
    made = changed(
        utterances(),
        lambda i, one: {"split": splits[i % 5], **({"votes": ()} if i % 5 == 4 else {})},
    )
    finished = _fit(tmp_path, made, "--folds", "official")
    assert (
        "--folds official: none of the 8 utterances of test3 can be used (no label, or left out); "
        "it is not tested" in finished.err.splitlines()
    )
    summary = _json(tmp_path, "summary.json")
    assert summary["test_sets"] == ["test1"]
    assert summary["utterances"]["left_out"] == {"without a counted vote": 8}


def test_crema_ds_twelve_sentences_make_a_text_head_meaningless(tmp_path: Path) -> None:
    made = make_crema_d(tmp_path / "release", actors=tuple(range(1001, 1016)))
    arguments = ("--corpus", "crema-d", "--root", made.root, "--quiet")
    builtin = ("--audio-encoder", "mel", "--text-encoder", "hash")
    assert amber("extract", *arguments, *builtin, cwd=tmp_path).status == 0
    finished = amber("fit", *FAST, "--out", "run", cwd=tmp_path)
    (line,) = _json(tmp_path, "config.json")["warnings"]
    assert line in finished.err.splitlines()
    assert "(100%): a text head can learn them by heart" in line
    alone = ("--modalities", "audio", "--loss", "js", "--out", "run", "--overwrite")
    assert amber("fit", *FAST, *alone, cwd=tmp_path).status == 0
    assert _json(tmp_path, "config.json")["warnings"] == []
