"""`--check`: what was encoded is held to each utterance alone, in float32, before it is a cache."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from amber_cache.encoders import hf_audio
from amber_cache.jobs import checking, encoding
from amber_cache.jobs.checking import LIMITS, relative_error
from tests.commands import amber
from tests.made_corpora import (
    assert_refused,
    extract,
    make_corpus,
    read_cache,
    read_rows,
    vectors,
    voice,
    write_audio,
    write_table,
)
from tests.tiny_models import save_audio_model


@pytest.fixture(scope="module")
def w2v(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_audio_model(tmp_path_factory.mktemp("m") / "w2v", "wav2vec2-group")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "corpus", num=6)


def models(w2v: Path) -> tuple[object, ...]:
    return "--audio-encoder", w2v, "--text-encoder", "hash"


def attributes(manifest: Path, entry: str = "w2v", cache: str = "cache.h5") -> dict[str, object]:
    with h5py.File(manifest.parent / cache) as file:
        return dict(file[f"embeddings/audio/{entry}"].attrs)


def test_a_run_checks_a_few_by_itself_and_tells_of_it(manifest: Path, w2v: Path) -> None:
    finished = extract(manifest, "--json", encoders=models(w2v))
    told = json.loads(finished.out)["checked"]
    assert told["audio/w2v"]["num"] == told["text/hash"]["num"] == 4
    attrs = attributes(manifest)
    assert attrs["check_num"] == 4
    assert attrs["check_max_relative_error"] == told["audio/w2v"]["max_relative_error"]
    assert 0 <= told["audio/w2v"]["max_relative_error"] < 1e-6


def test_the_error_is_that_of_the_vectors_in_the_cache(manifest: Path, w2v: Path) -> None:
    options = "--precision", "bfloat16", "--check", "99"
    assert extract(manifest, *options, encoders=models(w2v)).status == 0
    assert extract(manifest, encoders=models(w2v)).status == 0
    content = read_cache(manifest)
    low, exact = (vectors(content, f"audio/w2v{mark}") for mark in ("~bfloat16", ""))
    wanted = max(relative_error(low[one], exact[one]) for one in exact)
    attrs = attributes(manifest, "w2v~bfloat16")
    assert attrs["check_num"] == 6
    assert attrs["check_max_relative_error"] == pytest.approx(wanted, rel=1e-3)
    assert 1e-4 < wanted < LIMITS["bfloat16"]


def test_notes_tell_of_the_check_of_a_model_but_not_of_a_built_in_encoder(
    manifest: Path, w2v: Path
) -> None:
    finished = extract(manifest, "--check", "2", encoders=models(w2v))
    told = [line for line in finished.err.splitlines() if "computed again" in line]
    assert len(told) == 1
    assert told[0].startswith("audio/w2v: 2 vectors computed again, alone in float32: relative err")


def test_no_check_is_no_check_and_gives_the_same_bytes(manifest: Path, w2v: Path) -> None:
    place = "--cache", manifest.parent / "none.h5"
    extract(manifest, encoders=models(w2v))
    finished = extract(manifest, *place, "--json", "--check", "0", encoders=models(w2v))
    assert json.loads(finished.out)["checked"] == {}
    assert attributes(manifest, cache="none.h5")["check_num"] == 0
    with (
        h5py.File(manifest.parent / "cache.h5") as one,
        h5py.File(manifest.parent / "none.h5") as two,
    ):
        for name in ("vectors", "status", "crc32"):
            place_in = f"embeddings/audio/w2v/{name}"
            assert one[place_in][()].tobytes() == two[place_in][()].tobytes()


def test_batches_that_mix_their_clips_are_found_and_nothing_is_written(
    manifest: Path, w2v: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:  # what a model of another family would do to padding
        patch.setattr(hf_audio, "_make_padding_exact", lambda *_: None)
        patch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 1_200)
        refused = extract(manifest, "--check", "6", encoders=models(w2v))
        match = (
            r"audio/w2v: the vector of 'u\d' is off by .* float32 may be by 1e-05; this encoder "
            r"can't be trusted here .*12 of 12 inputs are encoded and kept"
        )
        assert refused.status == 2
        assert refused.out == ""
        assert re.search(match, refused.err.splitlines()[-1]), refused.err
    assert not (manifest.parent / "cache.h5").exists()
    # The job is kept as it is: the same command refuses again, without encoding.
    monkeypatch.setattr(encoding, "_encode_batch", None)
    assert extract(manifest, "--check", "6", encoders=models(w2v)).status == 2
    assert extract(manifest, "--check", "0", encoders=models(w2v)).status == 0


def test_a_job_that_failed_its_check_can_be_discarded(
    manifest: Path, w2v: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = "--precision", "bfloat16"
    with monkeypatch.context() as patch:
        patch.setitem(checking.LIMITS, "bfloat16", 1e-6)
        refused = extract(manifest, *low, encoders=models(w2v))
        assert refused.status == 2
        told = "bfloat16 may be by 1e-06; use float32 (--overwrite discards the job, --check 0"
        assert told in refused.err
    assert extract(manifest, encoders=models(w2v)).status == 2  # other settings than the job's
    assert extract(manifest, "--overwrite", encoders=models(w2v)).status == 0
    assert not (manifest.parent / "cache.h5.job").exists()


def test_checks_add_up_as_a_corpus_grows_and_as_shards_are_merged(
    manifest: Path, w2v: Path
) -> None:
    for place in range(2):
        part = "--shard", f"{place}/2", "--cache", manifest.parent / f"{place}.h5"
        assert extract(manifest, *part, encoders=models(w2v)).status == 0
    parts = [manifest.parent / f"{place}.h5" for place in range(2)]
    found = [attributes(manifest, cache=one.name) for one in parts]
    assert amber("merge", manifest.parent / "cache.h5", *parts).status == 0
    merged = attributes(manifest)
    assert merged["check_num"] == sum(int(one["check_num"]) for one in found)  # type: ignore[call-overload]
    name = "check_max_relative_error"
    assert merged[name] == max(one[name] for one in found)  # type: ignore[type-var]
    assert merged["audio_s"] == pytest.approx(sum(float(one["audio_s"]) for one in found))  # type: ignore[arg-type]
    write_audio(manifest.parent / "audio/u7.wav", voice(5_000, seed=9))
    new = {"id": "u7", "audio": "audio/u7.wav", "text": "new"}
    write_table(manifest, [*read_rows(manifest), new])
    assert extract(manifest, encoders=models(w2v)).status == 0
    assert attributes(manifest)["check_num"] == int(merged["check_num"]) + 1  # type: ignore[call-overload]


def test_a_check_where_nothing_is_encoded_is_told_to_have_none(manifest: Path) -> None:
    extract(manifest)
    told = "--check 9: nothing was encoded, so nothing was checked"
    assert told in extract(manifest, "--check", "9").err
    assert "nothing was checked" not in extract(manifest).err


def test_a_negative_number_is_refused(manifest: Path) -> None:
    assert_refused(extract(manifest, "--check", "-1"), "--check -1: must be 0 or more")


def test_what_is_drawn_is_spread_evenly_and_the_same_every_time() -> None:
    rows = np.arange(100) * 3
    drawn = checking._drawn(rows, 5)
    assert [row // 60 for row in drawn] == [0, 1, 2, 3, 4]
    assert drawn == checking._drawn(rows, 5)
    assert checking._drawn(rows[:3], 5) == [0, 3, 6]
    assert checking._drawn(rows[:0], 5) == []


def test_the_attributes_say_of_what_corpus_and_how_much_audio(manifest: Path) -> None:
    extract(manifest)
    first = attributes(manifest, "mel")
    content = read_cache(manifest)
    assert first["audio_s"] == pytest.approx(float(content.utterances.duration_s.sum()))
    assert first["audio_h"] == pytest.approx(float(first["audio_s"]) / 3600)  # type: ignore[arg-type]
    assert str(first["resampler"]).startswith("soxr ")
    with h5py.File(manifest.parent / "cache.h5") as file:
        text = dict(file["embeddings/text/hash"].attrs)
    assert "audio_s" not in text
    assert "resampler" not in text
    rows = read_rows(manifest)
    write_table(manifest, [rows[0] | {"text": "other words"}, *rows[1:]])
    extract(manifest)
    assert attributes(manifest, "mel")["corpus_sha256"] == first["corpus_sha256"]
    with h5py.File(manifest.parent / "cache.h5") as file:
        assert file["embeddings/text/hash"].attrs["corpus_sha256"] != text["corpus_sha256"]
    (manifest.parent / "audio/u1.wav").write_bytes(b"")
    assert extract(manifest).status == 1
    after = attributes(manifest, "mel")
    assert float(after["audio_s"]) < float(first["audio_s"])  # type: ignore[arg-type]
    assert after["corpus_sha256"] != first["corpus_sha256"]
