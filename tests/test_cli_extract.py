"""`amber extract` on a good corpus: what it writes, adds, keeps and says."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from amber_cache.encoders import load_encoder
from amber_cache.jobs import encoding
from amber_cache.pooling import masked_mean_std
from amber_cache.store import verify_cache
from tests.commands import amber
from tests.made_corpora import (
    assert_refused,
    extract,
    files_under,
    make_corpus,
    read_cache,
    read_rows,
    reasons,
    vectors,
    voice,
    write_audio,
    write_table,
)

MEL = ("--audio-encoder", "mel")
HASH = ("--text-encoder", "hash")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return make_corpus(tmp_path, num=4)


def change(manifest: Path, row: int, **cells: str) -> None:
    rows = read_rows(manifest)
    rows[row] |= cells
    write_table(manifest, rows)


def encoded(manifest: Path, *options: object) -> dict[str, int]:
    """Run once more; how many rows were encoded, by entry."""
    finished = extract(manifest, "--json", *options)
    assert finished.status == 0, finished
    report: dict[str, int] = json.loads(finished.out)["encoded"]
    return report


def test_the_cache_is_whole_and_the_last_line_counts(manifest: Path) -> None:
    finished = extract(manifest)
    assert finished.status == 0
    place = manifest.parent / "cache.h5"
    assert finished.out == (
        f"{place}: written: 4 utterances of manifest, 4 new in audio/mel, 4 new in text/hash, "
        "0 failed\n"
    )
    report = verify_cache(place)
    assert report.ok, report.lines
    leftover = [path.name for path in manifest.parent.iterdir()]
    assert sorted(leftover) == ["audio", "cache.h5", "manifest.csv", "votes.csv"]


def test_a_second_run_says_that_nothing_is_missing_and_keeps_the_bytes(manifest: Path) -> None:
    extract(manifest)
    before = files_under(manifest.parent)
    finished = extract(manifest)
    assert finished.status == 0
    assert "nothing was missing: 4 utterances of manifest, 0 new in audio/mel" in finished.out
    assert files_under(manifest.parent) == before


def test_only_a_new_utterance_is_encoded(manifest: Path) -> None:
    extract(manifest)
    before = vectors(read_cache(manifest))
    write_audio(manifest.parent / "audio/a0.wav", voice(5_000, seed=9))
    rows = read_rows(manifest)
    write_table(manifest, [*rows, {"id": "a0", "audio": "audio/a0.wav", "text": "new"}])
    assert encoded(manifest) == {"audio/mel": 1, "text/hash": 1}
    after = vectors(read_cache(manifest))  # a0 sorts before u1, so that all rows move
    assert list(after) == ["a0", "u1", "u2", "u3", "u4"]
    for name, vector in before.items():
        np.testing.assert_array_equal(after[name], vector)


def test_changed_audio_is_encoded_again_and_nothing_else(manifest: Path) -> None:
    extract(manifest)
    before = read_cache(manifest)
    write_audio(manifest.parent / "audio/u2.wav", voice(6_000, seed=8))
    assert encoded(manifest) == {"audio/mel": 1, "text/hash": 0}
    old, new = vectors(before), vectors(read_cache(manifest))
    assert [name for name in old if (old[name] != new[name]).any()] == ["u2"]


def test_a_changed_segment_of_the_same_file_is_encoded_again(manifest: Path) -> None:
    rows = [row | {"start": "0", "end": "0.1"} for row in read_rows(manifest)]
    write_table(manifest, rows)
    extract(manifest)
    change(manifest, 0, start="0.05", end="0.15")
    assert encoded(manifest) == {"audio/mel": 1, "text/hash": 0}


def test_changed_text_is_encoded_again(manifest: Path) -> None:
    extract(manifest)
    change(manifest, 1, text="other words")
    assert encoded(manifest) == {"audio/mel": 0, "text/hash": 1}
    assert read_cache(manifest).utterances.text[1] == "other words"


def test_a_text_that_was_taken_away_loses_its_vector(manifest: Path) -> None:
    extract(manifest)
    change(manifest, 1, text="")
    assert encoded(manifest) == {"audio/mel": 0, "text/hash": 0}
    assert reasons(read_cache(manifest), "text/hash") == {"u2": "empty text"}


def test_changed_votes_alone_are_stored_without_encoding(manifest: Path) -> None:
    extract(manifest)
    change(manifest.with_name("votes.csv"), 0, label="bored")
    finished = extract(manifest)
    assert ": written: 4 utterances of manifest, 0 new in audio/mel" in finished.out
    content = read_cache(manifest)
    assert content.votes.labels[content.votes.label[0]] == "bored"


def test_a_failed_row_is_tried_again(manifest: Path) -> None:
    good = (manifest.parent / "audio/u2.wav").read_bytes()
    (manifest.parent / "audio/u2.wav").write_bytes(good[:-1])
    assert extract(manifest).status == 1
    assert extract(manifest).status == 1
    (manifest.parent / "audio/u2.wav").write_bytes(good)
    assert encoded(manifest) == {"audio/mel": 1, "text/hash": 0}
    assert reasons(read_cache(manifest)) == {}


def test_audio_that_has_gone_since_keeps_what_was_made_from_it(manifest: Path) -> None:
    extract(manifest)
    before = (manifest.parent / "cache.h5").read_bytes()
    for path in (manifest.parent / "audio").iterdir():
        path.unlink()
    finished = extract(manifest)
    assert finished.status == 0
    assert "audio files missing: 4, first that of 'u1'; what the cache holds" in finished.err
    assert (manifest.parent / "cache.h5").read_bytes() == before
    finished = extract(manifest, "--pooling", "first")  # an entry that was not made yet
    assert finished.status == 1
    assert finished.err.count("is missing\n") == 4
    assert len(vectors(read_cache(manifest))) == 4


def test_audio_that_was_renamed_and_has_gone_is_a_failure(manifest: Path) -> None:
    extract(manifest)
    change(manifest, 0, audio="audio/elsewhere.wav")
    finished = extract(manifest)
    assert (finished.status, list(vectors(read_cache(manifest)))) == (1, ["u2", "u3", "u4"])


def test_several_entries_stand_in_one_cache(manifest: Path) -> None:
    extract(manifest)
    before = read_cache(manifest)
    assert encoded(manifest, "--pooling", "mean-std")["audio/mel+mean-std"] == 4
    after = read_cache(manifest)
    names = [(entry.modality, entry.name) for entry in after.embeddings]
    assert names == [
        ("audio", "mel"), ("audio", "mel+mean-std"), ("text", "hash"), ("text", "hash+mean-std")
    ]  # fmt: skip
    for name, vector in vectors(before).items():
        np.testing.assert_array_equal(vectors(after)[name], vector)


def test_mean_and_std_are_those_of_the_frames(manifest: Path) -> None:
    extract(manifest, "--pooling", "mean-std")
    encoder = load_encoder("audio", "mel")
    frames = encoder.prepare(voice(4_500, seed=1)).values.astype("f8")
    found = vectors(read_cache(manifest), "audio/mel+mean-std")["u1"]
    wanted = np.concatenate([frames.mean(0), frames.std(0)])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    whole = torch.from_numpy(frames)[None], torch.ones(1, len(frames), dtype=torch.bool)
    np.testing.assert_allclose(masked_mean_std(*whole)[0], wanted, atol=1e-9)


def test_rows_left_out_by_another_command_are_told(manifest: Path) -> None:
    extract(manifest)
    extract(manifest, "--pooling", "first")
    change(manifest, 0, text="other words")
    finished = extract(manifest, "--pooling", "first")
    assert "text/hash: 1 utterances are new or changed and still to be encoded" in finished.err
    assert "u1" not in vectors(read_cache(manifest), "text/hash")


def test_failures_in_the_middle_move_no_vector_and_no_vote(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path, num=9)
    for number in (2, 5, 6):
        (tmp_path / f"audio/u{number}.wav").write_bytes(b"")
    votes = [{"id": f"u{n}", "rater": "r", "label": f"label{n}"} for n in range(9, 0, -1)]
    write_table(tmp_path / "votes.csv", votes)
    assert extract(manifest).status == 1
    content = read_cache(manifest)
    found = vectors(content)
    assert list(found) == ["u1", "u3", "u4", "u7", "u8", "u9"]
    for name, vector in found.items():
        alone = make_corpus(tmp_path / name, num=int(name[1]))
        extract(alone)
        np.testing.assert_allclose(vector, vectors(read_cache(alone))[name], rtol=1e-5, atol=1e-6)
    for row, label in zip(content.votes.utterance, content.votes.label, strict=True):
        assert content.votes.labels[label] == content.utterances.id[row].replace("u", "label")


def test_neither_the_rows_order_nor_the_batches_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = make_corpus(tmp_path / "a", num=7)
    extract(manifest)
    other = make_corpus(tmp_path / "b", num=7)
    write_table(other, list(reversed(read_rows(other))))
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 700)
    monkeypatch.setitem(encoding.TEXT_BUDGET, "cpu", 40)
    extract(other)
    one, two = read_cache(manifest), read_cache(other)
    for entry in ("audio/mel", "text/hash"):
        for name, vector in vectors(one, entry).items():
            np.testing.assert_allclose(vectors(two, entry)[name], vector, rtol=1e-5, atol=1e-6)


def test_segments_of_one_long_file_are_encoded_apart(tmp_path: Path) -> None:
    parts = [voice(length, seed=seed) for seed, length in enumerate((4_000, 7_200, 5_600))]
    write_audio(tmp_path / "long.flac", np.concatenate(parts))
    ends = np.cumsum([0, *map(len, parts)]) / 16_000
    rows = [
        {"id": f"s{i}", "audio": "long.flac", "start": ends[i], "end": ends[i + 1]}
        for i in range(3)
    ]
    manifest = write_table(tmp_path / "manifest.csv", rows)
    assert extract(manifest, encoders=MEL).status == 0
    content = read_cache(manifest)
    np.testing.assert_allclose(content.utterances.start_s, ends[:3])
    np.testing.assert_allclose(content.utterances.duration_s, np.diff(ends))
    for i, part in enumerate(parts):
        write_audio(tmp_path / f"alone/{i}.flac", part)
        alone = write_table(tmp_path / "alone/m.csv", [{"id": "s", "audio": f"{i}.flac"}])
        extract(alone, "--cache", tmp_path / f"alone/{i}/cache.h5", encoders=MEL)
        wanted = vectors(read_cache(tmp_path / f"alone/{i}/any"))["s"]
        np.testing.assert_allclose(vectors(content)[f"s{i}"], wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("column", "encoder"), [("text", HASH), ("audio", MEL)])
def test_a_corpus_of_one_modality_has_an_entry_of_that_alone(
    manifest: Path, column: str, encoder: tuple[str, str]
) -> None:
    write_table(manifest, [{"id": r["id"], column: r[column]} for r in read_rows(manifest)])
    assert extract(manifest, encoders=encoder).status == 0
    assert [entry.modality for entry in read_cache(manifest).embeddings] == [column]


def test_progress_and_notes_go_to_stderr_and_the_result_to_stdout(manifest: Path) -> None:
    finished = extract(manifest)
    assert len(finished.out.splitlines()) == 1
    assert [line.split(":")[0] for line in finished.err.splitlines()] == [
        "reading the corpus", "audio/mel", "text/hash"
    ]  # fmt: skip


def test_quiet_leaves_failures_and_the_result(manifest: Path) -> None:
    change(manifest, 0, audio="nowhere.wav")
    finished = extract(manifest, "--quiet")
    assert finished.err == "failed: u1 (audio): nowhere.wav is missing\n"
    assert len(finished.out.splitlines()) == 1


def test_json_is_one_object_and_nothing_else(manifest: Path) -> None:
    finished = extract(manifest, "--json")
    assert finished.err == ""
    assert len(finished.out.splitlines()) == 1
    report = json.loads(finished.out)
    assert report["encoded"] == {"audio/mel": 4, "text/hash": 4}
    assert (report["failures"], report["written"]) == ([], True)


def test_a_cache_of_another_corpus_is_refused(manifest: Path, demo_cache: Path) -> None:
    before = demo_cache.read_bytes()
    match = r"holds the corpus 'demo'; .*name another file with --cache"
    assert_refused(extract(manifest, "--cache", demo_cache), match)
    assert demo_cache.read_bytes() == before


def test_the_demo_needs_no_option_and_fills_its_default_place(demo_cache: Path) -> None:
    assert demo_cache.parts[-2:] == ("data", "cache.h5")
    with (Path(__file__).parents[1] / "data/demo/manifest.csv").open(encoding="utf-8") as file:
        wanted = sorted(row["id"] for row in csv.DictReader(file))
    content = read_cache(demo_cache)
    assert content.utterances.id.tolist() == wanted
    assert (content.corpus, content.protocol) == ("demo", "demo-4")
    finished = amber("extract", "--quiet", cwd=demo_cache.parents[1])
    assert (finished.status, "nothing was missing" in finished.out) == (0, True)
