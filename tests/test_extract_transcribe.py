"""`amber extract --transcribe`: what a model hears is text to encode, beside the reference."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from transformers import pipeline

from amber_cache.config import ExtractConfig
from amber_cache.errors import AmberError
from amber_cache.extract import extract as run_extract
from amber_cache.jobs.backends import Workers
from amber_cache.store import open_cache, verify_cache
from amber_cache.transcribe import Transcriber
from tests.commands import ROOT, amber
from tests.heard_corpora import HEARD, deaf, hear, save_whisper_model, transcripts, with_text
from tests.made_corpora import assert_refused, extract, make_corpus, read_rows, voice, write_audio
from tests.made_corpora import write_table as write_rows
from tests.test_cli_merge import content
from tests.tiny_models import edit_json, save_audio_model, save_ctc_model, save_text_model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of six utterances, the model `asr`, and the cache of both inputs; read only."""
    folder = tmp_path_factory.mktemp("heard")
    save_ctc_model(folder / "asr")
    manifest = make_corpus(folder, num=6)
    done = hear(manifest)
    assert done.status == 0, done.err
    return manifest


@pytest.fixture
def manifest(made: Path, tmp_path: Path) -> Path:
    """A copy of the corpus and the model, without a cache."""
    for name in ("audio", "asr"):
        shutil.copytree(made.parent / name, tmp_path / name)
    for name in ("manifest.csv", "votes.csv"):
        shutil.copy(made.parent / name, tmp_path / name)
    return tmp_path / "manifest.csv"


@pytest.fixture
def cache(made: Path, manifest: Path) -> Path:
    """A copy of its cache too."""
    return Path(shutil.copy2(made.parent / "cache.h5", manifest.parent / "cache.h5"))


def heard_lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the samples of each waveform that is transcribed."""
    original, lengths = Transcriber.hear, list[int]()

    def noted(self: Transcriber, waveform: np.ndarray) -> str:
        lengths.append(len(waveform))
        return original(self, waveform)

    monkeypatch.setattr(Transcriber, "hear", noted)
    return lengths


def test_a_transcript_is_what_transformers_own_pipeline_gives(made: Path) -> None:
    heard = pipeline("automatic-speech-recognition", model=str(made.parent / "asr"))
    found = transcripts(made.parent / "cache.h5")
    assert sorted(found) == [f"u{number}" for number in range(1, 7)]
    for name, text in found.items():
        waveform, rate = soundfile.read(made.parent / f"audio/{name}.wav", dtype="float32")
        wanted = heard({"raw": waveform, "sampling_rate": rate})["text"]
        assert text == " ".join(wanted.split()) != ""


def test_whisper_hears_too(manifest: Path) -> None:
    model = save_whisper_model(manifest.parent / "whisper")
    done = hear(manifest, model=model)
    assert done.status == 0, done.err
    found = transcripts(manifest.parent / "cache.h5", "whisper")
    heard = pipeline("automatic-speech-recognition", model=str(model))
    waveform, rate = soundfile.read(manifest.parent / "audio/u2.wav", dtype="float32")
    wanted = heard({"raw": waveform, "sampling_rate": rate})["text"]
    assert found["u2"] == " ".join(wanted.split()) != ""


def test_its_vectors_are_those_of_a_manifest_with_that_text(manifest: Path, cache: Path) -> None:
    same = with_text(manifest, transcripts(cache), "heard.csv")
    assert extract(same, "--cache", manifest.parent / "same.h5").status == 0
    ours, theirs = content(cache), content(manifest.parent / "same.h5")
    for column in ("vectors", "status", "crc32", "error"):
        mine = ours[f"embeddings/text/{HEARD}/{column}"]
        assert mine == theirs[f"embeddings/text/hash/{column}"]
    assert ours["embeddings/text/hash/vectors"] != theirs["embeddings/text/hash/vectors"]


def test_every_layer_of_a_model_gets_both_inputs_from_one_load(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from amber_cache.encoders import registry

    bert, original, loads = save_text_model(tmp_path / "bert", "bert"), registry.load_encoder, []

    def counted(modality: str, *given: Any, **how: Any) -> Any:
        loads.append(modality)
        return original(modality, *given, **how)

    monkeypatch.setattr(registry, "load_encoder", counted)
    encoders = ("--text-encoder", bert, "--layer", "0,2", "--check", 6)
    done = hear(manifest, *encoders)
    assert (done.status, loads) == (0, ["audio", "text"])
    heard = transcripts(manifest.parent / "cache.h5")
    monkeypatch.undo()
    same = with_text(manifest, heard, "heard.csv")
    extract(same, "--cache", tmp_path / "same.h5", *encoders)
    with open_cache(manifest.parent / "cache.h5") as ours, open_cache(tmp_path / "same.h5") as two:
        names = ("bert@layer0", "bert@layer2")
        assert set(ours.encoders("text")) == {*names, *(f"{one}@asr-asr" for one in names)}
        for name in names:
            mine, theirs = ours.embeddings("text", f"{name}@asr-asr"), two.embeddings("text", name)
            np.testing.assert_allclose(mine.vectors, theirs.vectors, rtol=1e-5, atol=1e-6)
            assert mine.attrs["layer"] == theirs.attrs["layer"]


def test_the_cache_tells_who_transcribed(made: Path) -> None:
    with open_cache(made.parent / "cache.h5") as cache:
        told, entry = cache.transcripts["asr"].attrs, cache.embeddings("text", HEARD).attrs
        reference = cache.embeddings("text", "hash").attrs
    assert (told["model"], told["sampling_rate_hz"]) == ("asr", 16_000)
    assert {"torch", "transformers"} <= set(told["libraries"])
    assert entry["transcriber_sha256"] == told["weights_sha256"] != ""
    assert "transcriber" not in reference


def test_json_counts_the_transcripts(cache: Path, manifest: Path) -> None:
    told = json.loads(hear(manifest, "--json").out)
    assert told["transcribed"] == {"asr": {"new": 0, "done": 6, "empty": 0, "failed": 0}}
    assert told["encoded"][f"text/{HEARD}"] == 0


def test_nothing_to_do_imports_no_torch(cache: Path, manifest: Path) -> None:
    code = (
        "import sys, cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit as ended: assert not ended.code\n"
        "sys.exit(' '.join({'torch', 'transformers'} & set(sys.modules)) or 0)"
    )
    corpus = ("--corpus", "manifest", "--root", manifest, "--cache", cache)
    told = ("extract", *corpus, "--audio-encoder", "mel", "--text-encoder", "hash")
    words = [str(one) for one in (*told, "--transcribe", manifest.parent / "asr")]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "nothing was missing" in done.stdout


def test_an_interrupted_job_goes_on_and_hears_nothing_twice(
    made: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        original, first = Transcriber.hear, list[int]()

        def interrupted(self: Transcriber, waveform: np.ndarray) -> str:
            first.append(len(waveform))
            if len(first) == 3:
                os.kill(os.getpid(), signal.SIGINT)
            return original(self, waveform)

        patch.setattr(Transcriber, "hear", interrupted)
        ended = hear(manifest)
    assert ended.status == 130
    assert "3 of 6 utterances are transcribed and 0 of 18 inputs are encoded and kept" in ended.err
    log = manifest.parent / "cache.h5.job" / "heard.log"
    log.write_bytes(log.read_bytes()[:-3])  # the last line is torn: heard again
    rest = heard_lengths(monkeypatch)
    done = hear(manifest)
    assert done.status == 0, done.err
    assert len(rest) == 4
    assert not set(first[:2]) & set(rest)
    assert content(manifest.parent / "cache.h5") == content(made.parent / "cache.h5")


def test_a_job_goes_on_with_the_same_model_alone(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        original = Transcriber.hear

        def interrupted(self: Transcriber, waveform: np.ndarray) -> str:
            os.kill(os.getpid(), signal.SIGTERM)
            return original(self, waveform)

        patch.setattr(Transcriber, "hear", interrupted)
        assert hear(manifest).status == 143
    shutil.rmtree(manifest.parent / "asr")
    save_ctc_model(manifest.parent / "asr", seed=1)
    refused = hear(manifest)
    assert_refused(refused, r"transcribes with asr of weights_sha256 .* --overwrite discards")
    refused = extract(manifest)
    assert_refused(refused, r"was begun with transcribe asr, and this would be none")
    assert_refused(refused, r"\(1 utterances are transcribed and 0 inputs are encoded in it\)")


def test_new_and_changed_recordings_alone_are_heard(
    cache: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, before = read_rows(manifest), transcripts(cache)
    write_audio(manifest.parent / "audio/u7.wav", voice(9_000, seed=7))
    write_audio(manifest.parent / "audio/u2.wav", voice(7_000, seed=9))
    rows[2]["text"] = "so it was corrected"  # no reason to hear it again
    write_rows(manifest, [*rows, {"id": "u7", "audio": "audio/u7.wav", "text": "new"}])
    lengths = heard_lengths(monkeypatch)
    done = hear(manifest)
    counts = "2 new in audio/mel, 2 new in text/hash, 2 new in text/hash@asr-asr, 2 newly"
    assert counts in done.out
    assert sorted(lengths) == [7_000, 9_000]
    after = transcripts(cache)
    assert [one for one in after if after[one] != before.get(one)] == ["u2", "u7"]


def test_a_further_entry_takes_the_transcripts_that_are_there(
    cache: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amber_cache.extract.Transcriber", None)
    done = hear(manifest, "--pooling", "first")
    assert "6 new in text/hash+first@asr-asr, 0 newly transcribed by asr, 0 failed" in done.out
    monkeypatch.undo()
    same = with_text(manifest, transcripts(cache), "heard.csv")
    extract(same, "--cache", manifest.parent / "same.h5", "--pooling", "first")
    ours, theirs = content(cache), content(manifest.parent / "same.h5")
    place = "embeddings/text/hash+first"
    assert ours[f"{place}@asr-asr/vectors"] == theirs[f"{place}/vectors"]


def test_without_the_option_transcripts_stay_and_changed_ones_are_pending(
    cache: Path, manifest: Path
) -> None:
    write_audio(manifest.parent / "audio/u2.wav", voice(7_000, seed=9))
    done = extract(manifest)
    assert "1 utterances are new or changed" in done.err
    assert "--transcribe asr," in done.err
    assert sorted(transcripts(cache)) == ["u1", "u3", "u4", "u5", "u6"]


def test_what_cant_be_decoded_fails_with_its_reason_and_the_others_go_on(manifest: Path) -> None:
    whole = (manifest.parent / "audio/u3.wav").read_bytes()
    (manifest.parent / "audio/u3.wav").write_bytes(whole[:30] + b"\xff" * 40)
    write_audio(manifest.parent / "audio/u4.wav", voice(500, seed=1)[:60])  # too short to be heard
    done = hear(manifest)
    assert done.status == 1
    assert "failed: u3 (text@asr-asr): u3.wav" in done.err
    assert "failed: u4 (text@asr-asr): can't be transcribed" in done.err
    with open_cache(manifest.parent / "cache.h5") as cache:
        told, entry = cache.transcripts["asr"], cache.embeddings("text", HEARD)
        np.testing.assert_array_equal(told.status, [1, 1, 2, 2, 1, 1])
        np.testing.assert_array_equal(told.status, entry.status)
        np.testing.assert_array_equal(told.error, entry.error)
    again = hear(manifest)
    assert (again.status, "nothing new" in again.out) == (1, True)


def test_nothing_heard_is_an_empty_text(manifest: Path) -> None:
    deaf(manifest.parent / "asr")
    done = hear(manifest)
    assert (done.status, "6 newly transcribed by asr, 6 transcripts empty" in done.out) == (0, True)
    with open_cache(manifest.parent / "cache.h5") as cache:
        assert set(cache.transcripts["asr"].status) == {1}
        assert set(cache.embeddings("text", HEARD).error) == {"empty text"}
    assert "nothing was missing" in hear(manifest).out


def test_a_corpus_without_text_gets_the_transcripts_entry_alone(manifest: Path) -> None:
    rows = [{"id": one["id"], "audio": one["audio"]} for one in read_rows(manifest)]
    write_rows(manifest, rows)
    done = hear(manifest)
    assert done.status == 0, done.err
    with open_cache(manifest.parent / "cache.h5") as cache:
        assert cache.encoders("text") == (HEARD,)
        assert cache.embeddings("text").name == HEARD
    refused = extract(manifest, "--cache", "other.h5")
    assert_refused(refused, "has audio only; --transcribe MODEL makes text of its audio")


def test_a_shard_hears_its_own_and_together_they_are_one_job(
    made: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from amber_cache.jobs import encoding

    monkeypatch.setitem(encoding.TEXT_BUDGET, "cpu", 12)  # batches of one or two
    hear(manifest)
    lengths = heard_lengths(monkeypatch)
    parts = [manifest.parent / f"{place}.h5" for place in range(2)]
    for place, part in enumerate(parts):
        done = hear(manifest, "--cache", part, "--shard", f"{place}/2")
        assert done.status == 0, done.err
    assert len(lengths) == 6
    again = hear(manifest, "--cache", parts[0], "--shard", "0/2")
    assert "nothing was missing" in again.out
    assert not transcripts(parts[0]).keys() & transcripts(parts[1]).keys()
    merged = amber("merge", manifest.parent / "merged.h5", *parts)
    assert merged.status == 0, merged.err
    assert content(manifest.parent / "merged.h5") == content(manifest.parent / "cache.h5")
    assert content(manifest.parent / "merged.h5") == content(made.parent / "cache.h5")
    partial = amber("merge", manifest.parent / "part.h5", parts[0], "--partial", "--json")
    assert json.loads(partial.out)["num_pending"]["transcripts/asr"] == len(transcripts(parts[1]))


def test_shards_of_other_weights_are_no_shards_of_one_plan(manifest: Path) -> None:
    parts = [manifest.parent / f"{place}.h5" for place in range(2)]
    for place, part in enumerate(parts):
        hear(manifest, "--cache", part, "--shard", f"{place}/2")
        shutil.rmtree(manifest.parent / "asr")
        save_ctc_model(manifest.parent / "asr", seed=1 + place)
    refused = amber("merge", manifest.parent / "merged.h5", *parts)
    assert_refused(refused, "is of another plan than")


@pytest.mark.parametrize("is_killed", [False, True])
def test_workers_hear_the_same(
    made: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    """One behind the other in this process: what is between them and the job is the same."""
    config = ExtractConfig(
        corpus="manifest",
        root=manifest,
        cache=manifest.parent / "cache.h5",
        audio_encoder="mel",
        text_encoder="hash",
        transcribe=str(manifest.parent / "asr"),
    )
    if is_killed:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Transcriber, "hear", third_fails())
            with pytest.raises(AmberError, match="gone; 2 of 6 utterances are transcribed and 0"):
                run_extract(config, workers=Workers("sequential", 1))
    lengths = heard_lengths(monkeypatch)
    report = run_extract(config, workers=Workers("sequential", 3))
    assert report.transcribed["asr"].new == 6
    assert len(lengths) == (4 if is_killed else 6)
    assert content(config.cache) == content(made.parent / "cache.h5")


def third_fails() -> Any:
    """A model that a disk takes away."""
    original, seen = Transcriber.hear, [0]

    def hear_or_not(self: Transcriber, waveform: np.ndarray) -> str:
        seen[0] += 1
        if seen[0] == 3:
            raise AmberError("gone")
        return original(self, waveform)

    return hear_or_not


def test_a_changed_transcript_is_found(cache: Path) -> None:
    assert verify_cache(cache).ok
    assert "transcripts/asr: 6 done, 0 failed, 0 pending" in amber("verify", cache).out
    text = transcripts(cache)["u3"].encode()
    data = cache.read_bytes()
    assert data.count(text) == 1
    cache.write_bytes(data.replace(text, bytes([text[0] ^ 1]) + text[1:]))
    report = verify_cache(cache)
    assert [one.split(":")[0] for one in report.problems] == ["/transcripts/asr/text"]


def test_a_shared_cache_holds_no_transcript(cache: Path) -> None:
    out = cache.with_name("shared.h5")
    done = amber("export", "--cache", cache, "--out", out)
    assert done.status == 0, done.err
    assert "transcripts by asr: left out" in done.err
    assert f"text/{HEARD}: 512 features, made by hash of what asr transcribed" in done.err
    data = out.read_bytes()
    assert not [one for one in transcripts(cache).values() if one.encode() in data]
    with open_cache(out) as shared, open_cache(cache) as source:
        assert shared.transcripts == {}
        found, wanted = (one.embeddings("text", HEARD) for one in (shared, source))
        np.testing.assert_array_equal(found.vectors, wanted.vectors)
        assert found.attrs["transcriber_sha256"] == wanted.attrs["transcriber_sha256"]


def test_other_weights_of_the_same_name_are_refused(cache: Path, manifest: Path) -> None:
    shutil.rmtree(manifest.parent / "asr")
    save_ctc_model(manifest.parent / "asr", seed=1)
    refused = hear(manifest)
    assert_refused(refused, r"its transcripts/asr was made with weights_sha256 .* name another")


def _swap_letters(model: Path) -> None:
    """Have a model write each of two letters in the place of the other."""
    ids = json.loads((model / "vocab.json").read_text())
    edit_json(model / "vocab.json", i=ids["o"], o=ids["i"])


def test_the_same_weights_with_other_settings_are_another_model(
    cache: Path, manifest: Path
) -> None:
    _swap_letters(manifest.parent / "asr")
    refused = hear(manifest)
    assert_refused(
        refused, r"was made with settings_sha256 .* give the model's folder another name"
    )
    other = Path(shutil.move(manifest.parent / "asr", manifest.parent / "asr2"))
    before = transcripts(cache)
    assert hear(manifest, model=other).status == 0
    assert transcripts(cache) == before != transcripts(cache, "asr2")


def test_an_unfinished_job_is_of_its_models_settings(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transcriber, "hear", third_fails())
        assert "gone" in hear(manifest).err
    _swap_letters(manifest.parent / "asr")
    assert_refused(hear(manifest), r"transcribes with asr of settings_sha256 .* --overwrite")


def test_two_models_stand_side_by_side(cache: Path, manifest: Path) -> None:
    before = content(cache)
    done = hear(manifest, model=save_ctc_model(manifest.parent / "asr2", seed=1))
    assert "6 new in text/hash@asr-asr2, 6 newly transcribed by asr2" in done.out
    after = content(cache)
    for place in ("transcripts/asr/text", f"embeddings/text/{HEARD}/vectors"):
        assert after[place] == before[place] != after[place.replace("asr/", "asr2/")]


def test_recordings_that_change_places_leave_a_cache_as_if_made_anew(
    cache: Path, manifest: Path
) -> None:
    rows = read_rows(manifest)
    rows[0]["audio"], rows[3]["audio"] = rows[3]["audio"], rows[0]["audio"]
    write_rows(manifest, rows[::-1])
    assert "2 new in text/hash@asr-asr, 2 newly transcribed" in hear(manifest).out
    hear(manifest, "--cache", manifest.parent / "anew.h5")
    assert transcripts(cache) == transcripts(manifest.parent / "anew.h5")
    ours, anew = content(cache), content(manifest.parent / "anew.h5")
    for entry in ("audio/mel", "text/hash", f"text/{HEARD}"):
        assert ours[f"embeddings/{entry}/vectors"] == anew[f"embeddings/{entry}/vectors"]


def test_a_shard_without_transcripts_is_told_what_it_lacks(manifest: Path) -> None:
    parts = [manifest.parent / f"{place}.h5" for place in range(2)]
    hear(manifest, "--cache", parts[0], "--shard", "0/2")
    extract(manifest, "--cache", parts[1], "--shard", "1/2")
    refused = amber("merge", manifest.parent / "merged.h5", *parts)
    told = r"0.h5: transcribe none, not asr; no text/hash@asr-asr, no transcripts/asr; .*; make it"
    assert_refused(refused, told)
    assert "sha256" not in refused.err


def test_imported_features_leave_the_transcripts(cache: Path, manifest: Path) -> None:
    before = transcripts(cache)
    np.savez(manifest.parent / "face.npz", **{f"u{i}": np.ones(3, "f4") for i in range(1, 7)})
    told = ("--corpus", "manifest", "--root", manifest, "--cache", cache)
    done = amber("import", *told, "--features", f"face={manifest.parent / 'face.npz'}")
    assert done.status == 0, done.err
    assert transcripts(cache) == before


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("", "--transcribe '': names nothing; .* or leave it out"),
        ("hash", "--transcribe hash: is an encoder"),
        ("gone/away/far", "--transcribe gone/away/far: can't be loaded: there is no such folder"),
        ("audio", "can't be loaded: its folder has no weights"),
        (
            "bert",
            "can't be loaded: its config.json says model_type 'bert', which transcribes nothing",
        ),
        ("w2v", "can't be loaded: its folder has no tokenizer_config.json or"),
        ("untrained", r"its weights are of Wav2Vec2Model, not of Wav2Vec2ForCTC"),
        ("x@asr-y", "can't name an entry of a cache"),
    ],
)
def test_what_transcribes_nothing_is_refused_before_anything_is_encoded(
    manifest: Path, model: str, reason: str
) -> None:
    folder = manifest.parent
    made = {"bert": lambda: save_text_model(folder / "bert", "bert")}
    made["w2v"] = lambda: save_audio_model(folder / "w2v", "wav2vec2-group")
    made["untrained"] = lambda: _untrained(folder)
    made["x@asr-y"] = lambda: Path(shutil.move(folder / "asr", folder / "x@asr-y"))
    made.get(model, lambda: folder)()
    refused = extract(manifest, "--transcribe", model)
    assert_refused(refused, reason)
    assert not list(folder.glob("cache.h5*"))


def _untrained(folder: Path) -> Path:
    """A speech model whose layer that gives letters was never there, with a processor."""
    shutil.copytree(folder / "asr", folder / "untrained")
    model = save_audio_model(folder / "w2v", "wav2vec2-group")
    for name in ("config.json", "model.safetensors"):
        shutil.copy(model / name, folder / "untrained" / name)
    return folder / "untrained"


def test_a_corpus_without_audio_is_refused(manifest: Path) -> None:
    write_rows(manifest, [{"id": one["id"], "text": one["text"]} for one in read_rows(manifest)])
    refused = extract(manifest, "--transcribe", "asr", encoders=("--text-encoder", "hash"))
    assert_refused(refused, "--transcribe asr: the corpus has no audio to transcribe; leave it out")


def test_it_can_be_set_in_the_environment_and_the_file(
    cache: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (manifest.parent / "amber.toml").write_text('transcribe = "asr"\n')
    assert "0 newly transcribed by asr" in extract(manifest).out
    monkeypatch.setenv("AMBER_TRANSCRIBE", "hash")
    assert_refused(extract(manifest), "--transcribe hash: is an encoder")
    assert "0 newly transcribed by asr" in extract(manifest, "--transcribe", "asr").out
