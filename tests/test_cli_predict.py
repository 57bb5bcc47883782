"""`amber predict` as typed: its forms, what it refuses, and that it goes on where it was."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import soundfile

from tests.commands import amber
from tests.spoken_corpus import BUILTIN, extract_corpus
from tests.tiny_models import save_ctc_model, speech_like

CLASSES = ["neutral", "happy", "angry"]


@pytest.fixture
def place(spoken: Path) -> Path:
    return spoken


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_bars_tell_every_class_and_the_last_line_counts(place: Path) -> None:
    done = amber("predict", place / "js", place / "corpus" / "manifest.csv", "--quiet")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[1].startswith("clip00: ")
    assert [line.split()[0] for line in lines[2:5]] == CLASSES
    assert "entropy" in lines[5]
    assert "spread" in lines[5]
    assert "conflict" in lines[5]
    assert lines[-1] == f"{place / 'js'}: 15 predicted, 0 failed"


def test_csv_json_and_json_lines_say_the_same(place: Path) -> None:
    told = ("predict", place / "js", place / "cache.h5")
    rows = _rows(amber(*told, "--csv").out)
    lines = [json.loads(line) for line in amber(*told, "--jsonl").out.splitlines()]
    whole = json.loads(amber(*told, "--json").out)
    assert whole["items"] == lines
    assert (whole["classes"], whole["failures"]) == (CLASSES, [])
    assert len(rows) == 45
    for row in rows:
        (item,) = (one for one in lines if one["id"] == row["id"])
        said = item["heads"][row["head"]]
        assert [float(row[f"p_{name}"]) for name in CLASSES] == pytest.approx(
            list(said["distribution"].values()), abs=1e-9
        )
        assert float(row["entropy"]) == pytest.approx(said["entropy"], abs=1e-8)
        assert row["is_answer"] == str(row["head"] == item["answer"])


def test_members_are_shown_where_they_are_asked_for(place: Path) -> None:
    clip = place / "corpus" / "clip00.wav"
    done = amber("predict", place / "js", clip, "--csv", "--members")
    assert done.status == 0, done.err
    rows = _rows(done.out)
    (answer,) = (row for row in rows if row["is_answer"] == "True")
    members = [row for row in rows if row["member"]]
    assert [row["member"] for row in members[:3]] == ["fold0/seed0", "fold0/seed1", "fold1/seed0"]
    for name in CLASSES:
        mean = sum(float(row[f"p_{name}"]) for row in members) / len(members)
        assert float(answer[f"p_{name}"]) == pytest.approx(mean, abs=1e-8)


def test_what_lacks_its_text_is_marked_in_every_form(place: Path) -> None:
    clip = place / "corpus" / "clip00.wav"
    told = ("predict", place / "js", clip)
    done = amber(*told, "--quiet")
    assert "(audio, without text)" in done.out
    assert done.out.splitlines()[-1].endswith("1 predicted, 1 without text, 0 failed")
    item = json.loads(amber(*told, "--jsonl").out)
    assert (item["missing"], item["answer"], item["conflict"]) == (["text"], "audio", None)
    (row,) = _rows(amber(*told, "--csv").out)
    assert (row["missing"], row["head"], row["conflict"]) == ("text", "audio", "")


def test_it_is_refused_where_the_raters_did_not_teach_the_audio_head(place: Path) -> None:
    done = amber("predict", place / "amber2", place / "corpus", "--out", place / "nothing")
    assert done.status == 2
    assert "--transcribe MODEL" in done.err
    assert "--expert-loss 1" in done.err
    assert not (place / "nothing").exists(), "nothing is encoded in vain"


def test_one_text_that_is_missing_costs_itself(place: Path, tmp_path: Path) -> None:
    lines = [
        "id,audio,text",
        f"a,{place}/corpus/clip00.wav,yes",
        f"b,{place}/corpus/clip01.wav,",
    ]
    (tmp_path / "few.csv").write_text("\n".join(lines))
    done = amber("predict", place / "amber2", tmp_path / "few.csv", "--quiet")
    assert done.status == 1
    assert "failed: b: without text the audio head would have to answer" in done.err
    assert done.out.splitlines()[-1].endswith("1 predicted, 1 failed")


def test_broken_audio_is_listed_and_the_others_go_on(place: Path, tmp_path: Path) -> None:
    shutil.copy(place / "corpus" / "clip00.wav", tmp_path / "good.wav")
    (tmp_path / "bad.wav").write_bytes(b"RIFF....")
    done = amber("predict", place / "js", tmp_path, "--out", tmp_path / "said")
    assert done.status == 1
    assert f"failed: {tmp_path}/bad.wav: audio: bad.wav is not readable as audio" in done.err
    lines = (tmp_path / "said" / "predictions.jsonl").read_text().splitlines()
    assert [Path(json.loads(line)["id"]).name for line in lines] == ["good.wav"]
    again = amber("predict", place / "js", tmp_path, "--json")
    (failure,) = json.loads(again.out)["failures"]
    assert failure["id"] == f"{tmp_path}/bad.wav"


def test_the_same_command_again_encodes_nothing(place: Path, tmp_path: Path) -> None:
    told = ("predict", place / "js", place / "corpus", "--out", tmp_path / "said")
    first, again = amber(*told), amber(*told)
    assert "audio/mel: 15/15" in first.err
    assert "audio/mel" not in again.err
    assert first.out == again.out


def test_long_recordings_go_window_by_window(place: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", speech_like(40_000, seed=3), 16_000)  # 2.5 s
    told = ("predict", place / "js", tmp_path / "long.wav", "--window", 1, "--step", 0.5)
    done = amber(*told, "--figures", tmp_path / "figures", "--csv")
    assert done.status == 0, done.err
    rows = _rows(done.out)
    assert [(row["start_s"], row["end_s"]) for row in rows] == [
        ("0", "1"),
        ("0.5", "1.5"),
        ("1", "2"),
        ("1.5", "2.5"),
    ]
    assert {one.name for one in (tmp_path / "figures").iterdir()} == {
        "over_time_1.png",
        "over_time_1.svg",
    }
    part = amber("predict", place / "js", _cut(tmp_path), "--csv")
    (alone,) = _rows(part.out)
    assert float(rows[1]["p_happy"]) == pytest.approx(float(alone["p_happy"]), abs=1e-5)


def _cut(folder: Path) -> Path:
    """A manifest that names the second window by its times."""
    path = folder / "part.csv"
    path.write_text("id,audio,start,end\npart,long.wav,0.5,1.5\n")
    return path


def test_a_transcript_by_speech_recognition_is_marked(place: Path, tmp_path: Path) -> None:
    model, clip = save_ctc_model(tmp_path / "asr"), place / "corpus" / "clip00.wav"
    done = amber("predict", place / "amber2", clip, "--transcribe", model, "--jsonl")
    assert done.status == 0, done.err
    item = json.loads(done.out)
    assert (item["transcribed"], item["missing"], item["answer"]) == (True, [], "fusion")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("gone.wav",), "gone.wav: there is no such file"),
        (("cache.h5", "gone.wav"), "a cache is predicted by itself"),
        (("cache.h5", "--window", "2"), "a cache is predicted by itself"),
        (("cache.h5", "--csv", "--json"), "stdout takes one form"),
        (("cache.h5", "--encoder", "face=x"), "the run reads audio, text"),
        (("cache.h5", "--figures", "drawn"), "add --window"),
        (("cache.h5", "--out", "js"), "--out js: is a run directory"),
        (("corpus", "--step", "2"), "--step 2 has no effect without --window"),
        (("corpus", "--device", "tpu"), "--device tpu"),
    ],
)
def test_what_can_not_be_is_refused(place: Path, options: tuple[str, ...], reason: str) -> None:
    done = amber("predict", "js", *options, cwd=place)
    assert done.status == 2, done.err
    assert reason in done.err
    assert done.out == ""


def test_another_encoders_cache_is_refused(place: Path, tmp_path: Path) -> None:
    manifest = place / "corpus" / "manifest.csv"
    cache = extract_corpus(manifest, tmp_path / "cache.h5", *BUILTIN, "--pooling", "mean-std")
    done = amber("predict", place / "js", cache)
    assert done.status == 2
    assert "pooling was 'mean', and is 'mean-std'" in done.err


def test_what_is_no_run_is_refused(place: Path) -> None:
    done = amber("predict", place / "corpus", place / "cache.h5")
    assert done.status == 2
    assert "config.json: is missing" in done.err
