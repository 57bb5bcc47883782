"""A cache and a corpus give the same tables; lengths and what is wrong with audio."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from amber_cache.errors import CacheError, ConfigError, CorpusError
from amber_cache.look import NOT_HASHED, NOT_NAMED, NOT_READABLE, NOT_THERE, look
from tests.made_corpora import extract, make_corpus, read_rows, voice, write_audio, write_table

COLUMNS = ("id", "text", "audio_path", "duration_s", "speaker", "consensus")


def test_a_corpus_and_its_cache_have_the_same_tables(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    extract(manifest, "--quiet")
    corpus, cache = look(manifest), look(tmp_path / "cache.h5")
    assert (corpus.is_cache, cache.is_cache) == (False, True)
    assert corpus.corpus == cache.corpus == "manifest"
    for name in COLUMNS:
        np.testing.assert_array_equal(
            getattr(corpus.utterances, name), getattr(cache.utterances, name)
        )
    for name in ("utterance", "rater", "kind", "label", "primary", "labels"):
        np.testing.assert_array_equal(getattr(corpus.votes, name), getattr(cache.votes, name))
    assert list(corpus.audio) == list(cache.audio) == ["", "", ""]
    assert [(one.modality, one.name, one.done) for one in cache.entries] == [
        ("audio", "mel", 3),
        ("text", "hash", 3),
    ]
    assert corpus.entries == ()


def test_lengths_are_left_out_on_request(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    seen: list[tuple[str, int, int]] = []
    found = look(manifest, progress=lambda *one: seen.append(one))
    lengths_s = np.array([4_500, 6_000, 7_500]) / 16_000
    np.testing.assert_allclose(found.utterances.duration_s, lengths_s)
    assert seen == [("reading audio headers", number, 3) for number in (1, 2, 3)]
    seen.clear()
    without = look(manifest, durations=False, progress=lambda *one: seen.append(one))
    assert np.isnan(without.utterances.duration_s).all()
    assert seen == []


def test_the_part_of_a_file_is_as_long_as_it_says(tmp_path: Path) -> None:
    write_audio(tmp_path / "one.wav", voice(32_000))
    rows = [
        {"id": "a", "audio": "one.wav", "start": 0.5, "end": 1.25},
        {"id": "b", "audio": "one.wav", "start": 1.5, "end": ""},
    ]
    found = look(write_table(tmp_path / "manifest.csv", rows))
    np.testing.assert_allclose(found.utterances.duration_s, [0.75, 0.5])


def test_what_is_wrong_with_audio_is_told_apart(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path, num=4)
    (tmp_path / "audio" / "u2.wav").unlink()
    (tmp_path / "audio" / "u3.wav").write_bytes(b"RIFF")
    rows = read_rows(manifest)
    rows[3]["audio"] = ""
    write_table(manifest, rows)
    found = look(manifest)
    assert list(found.audio) == ["", NOT_THERE, NOT_READABLE, NOT_NAMED]
    assert any("u3: u3.wav is not readable as audio" in note for note in found.notes)
    unread = look(manifest, durations=False)
    assert list(unread.audio) == ["", NOT_THERE, "", NOT_NAMED]  # its header was not looked at
    extract(manifest, "--quiet")
    cache = look(tmp_path / "cache.h5")
    assert list(cache.audio) == ["", NOT_HASHED, NOT_HASHED, NOT_NAMED]


def test_votes_elsewhere_and_a_reader_by_name(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    (tmp_path / "votes.csv").rename(tmp_path / "others.csv")
    assert len(look(manifest).votes) == 0
    assert len(look(manifest, votes_file=tmp_path / "others.csv").votes) == 6
    assert len(look(tmp_path, corpus="manifest").utterances) == 3
    with pytest.raises(CorpusError, match="--corpus meld: no such corpus; choose from demo"):
        look(manifest, corpus="meld")


def test_a_cache_listens_to_no_option_of_a_corpus(tmp_path: Path) -> None:
    extract(make_corpus(tmp_path), "--quiet")
    cache = tmp_path / "cache.h5"
    for flag, option in (
        ("corpus", "--corpus"),
        ("votes_file", "--votes-file"),
        ("durations", "--durations"),
    ):
        with pytest.raises(ConfigError, match=f"{option} has no effect on a cache"):
            look(cache, corpus="manifest", flags=[flag])
    assert look(cache, corpus="manifest").is_cache  # from a file that is meant for extract


def test_a_cache_is_known_by_its_bytes_and_what_is_broken_is_refused(tmp_path: Path) -> None:
    extract(make_corpus(tmp_path), "--quiet")
    cache = tmp_path / "cache.h5"
    cache.rename(tmp_path / "no-suffix")
    assert look(tmp_path / "no-suffix").is_cache
    with pytest.raises(CacheError, match="no such file"):
        look(cache)
    cache.write_bytes(b"\x89HDF\r\n\x1a\nand nothing more")
    with pytest.raises(CacheError, match=r"cache\.h5"):
        look(cache)


def test_status_alone_is_read_of_an_embedding(tmp_path: Path) -> None:
    extract(make_corpus(tmp_path), "--quiet")
    cache = tmp_path / "cache.h5"
    with h5py.File(cache, "r+") as file:
        file["embeddings/audio/mel/vectors"][0] = 7  # its checksum is wrong now
    entries = look(cache).entries
    assert [(one.dimension, one.done, one.failed, one.pending) for one in entries] == [
        (104, 3, 0, 0),
        (512, 3, 0, 0),
    ]
    with h5py.File(cache, "r+") as file:
        file["embeddings/audio/mel/status"][0] = 0
    with pytest.raises(CacheError, match="mel/status: is damaged"):
        look(cache)
