"""The door to the encoders: the same vectors as a cache's, by the same encoder and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from amber_cache.embed import (
    embed_utterances,
    find_recordings,
    load_embedder,
    transcribe_utterances,
)
from amber_cache.encoders import registry
from amber_cache.errors import CorpusError, EncoderError, UtteranceError
from amber_cache.records import Utterance
from amber_cache.store import open_cache
from amber_cache.transcribe import Transcriber
from tests.commands import amber
from tests.tiny_models import edit_json, save_audio_model, save_ctc_model, speech_like

TEXTS = ["I can't believe it.", "yes", "the dog sat on the mat"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of three recordings at 16, 8 and 44.1 kHz, and its cache by built-in encoders."""
    place = tmp_path_factory.mktemp("embed")
    lines = ["id,audio,text"]
    for number, (text, rate) in enumerate(zip(TEXTS, (16_000, 8_000, 44_100), strict=True)):
        soundfile.write(place / f"{number}.wav", speech_like(8_000, seed=number), rate)
        lines.append(f"u{number},{number}.wav,{text}")
    (place / "manifest.csv").write_text("\n".join(lines))
    encoders = ("--audio-encoder", "mel", "--text-encoder", "hash", "--pooling", "mean-std")
    finished = amber(
        *("extract", "--quiet", "--corpus", "manifest", "--root", place / "manifest.csv"),
        *("--cache", place / "cache.h5", *encoders),
    )
    assert finished.status == 0, finished.err
    return place


def _entry(corpus: Path, modality: str) -> tuple[np.ndarray, dict[str, Any]]:
    with open_cache(corpus / "cache.h5") as cache:
        found = cache.embeddings(modality)
    return found.vectors, dict(found.attrs)


def test_a_file_and_a_text_give_the_caches_vectors(corpus: Path) -> None:
    (audio, audio_attrs), (text, text_attrs) = (_entry(corpus, one) for one in ("audio", "text"))
    heard, read = load_embedder("audio", audio_attrs), load_embedder("text", text_attrs)
    for number, words in enumerate(TEXTS):
        found = heard.embed(corpus / f"{number}.wav")
        np.testing.assert_allclose(found, audio[number], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(read.embed(words), text[number], rtol=1e-5, atol=1e-6)


def test_a_waveform_gives_what_its_file_gives(corpus: Path) -> None:
    vectors, attrs = _entry(corpus, "audio")
    waveform, rate = soundfile.read(corpus / "1.wav", dtype="float32")
    found = load_embedder("audio", attrs).embed(waveform, sampling_rate_hz=rate)
    np.testing.assert_allclose(found, vectors[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("waveform", "reason"),
    [
        (np.zeros((2, 800), np.float32), r"of shape \(2, 800\)"),
        (np.zeros(800, np.int16), "not int16"),
        (np.zeros(10, np.float32), "needs at least 400"),
        (np.full(800, np.nan, np.float32), "NaN or infinite"),
    ],
)
def test_what_is_no_waveform_is_refused(corpus: Path, waveform: np.ndarray, reason: str) -> None:
    embedder = load_embedder("audio", _entry(corpus, "audio")[1])
    with pytest.raises(UtteranceError, match=reason):
        embedder.embed(waveform)


def test_many_go_through_the_engine_and_a_broken_one_costs_itself(
    corpus: Path, tmp_path: Path
) -> None:
    vectors, attrs = _entry(corpus, "audio")
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    wanted = [
        Utterance(id="z", audio=corpus / "2.wav"),
        Utterance(id="bad", audio=tmp_path / "bad.wav"),
        Utterance(id="a", audio=corpus / "0.wav"),
    ]
    found = embed_utterances(wanted, modality="audio", attrs=attrs, folder=tmp_path / "kept")
    np.testing.assert_allclose(found.vectors[[0, 2]], vectors[[2, 0]], rtol=1e-5, atol=1e-6)
    assert np.isnan(found.vectors[1]).all()
    assert "bad.wav is not readable as audio" in found.errors["bad"]


def test_what_stands_in_the_folder_is_not_encoded_again(corpus: Path, tmp_path: Path) -> None:
    _, attrs = _entry(corpus, "text")
    stages: list[str] = []

    def encode(*texts: str) -> int:
        stages.clear()
        embed_utterances(
            [Utterance(id=one, text=one) for one in texts],
            modality="text",
            attrs=attrs,
            folder=tmp_path,
            progress=lambda stage, done, total: stages.append(f"{stage} {total}"),
        )
        return sum(stage == "text/hash+mean-std 1" for stage in stages)

    assert encode("one") == 1
    assert encode("one") == 0
    assert encode("one", "two") == 1, "a batch of the new one alone"


def test_its_encoder_is_loaded_once(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    real = registry.load_encoder

    def counted(*given: Any, **how: Any) -> Any:
        loads.append(given[0])
        return real(*given, **how)

    monkeypatch.setattr(registry, "load_encoder", counted)
    attrs = _entry(corpus, "text")[1]
    embed_utterances([Utterance(id="a", text="yes")], modality="text", attrs=attrs, folder=tmp_path)
    assert loads == ["text"]


def test_another_version_or_other_settings_are_refused(corpus: Path) -> None:
    _, attrs = _entry(corpus, "audio")
    with pytest.raises(EncoderError, match=r"revision was '0', and is '1'"):
        load_embedder("audio", {**attrs, "revision": "0"})


def test_imported_features_are_refused(corpus: Path) -> None:
    with pytest.raises(EncoderError, match=r"face vectors \(openface\) were imported"):
        load_embedder("face", {"encoder": "openface"})
    with pytest.raises(EncoderError, match=r"audio vectors \(opensmile\) were imported"):
        load_embedder("audio", {"encoder": "opensmile", "weights_sha256": ""})


def test_other_weights_are_refused_by_their_hash(tmp_path: Path) -> None:
    mine = save_audio_model(tmp_path / "mine", "wav2vec2-group")
    other = save_audio_model(tmp_path / "other", "wav2vec2-group", seed=1)
    told = {"encoder": "mine", "layer": 1, "pooling": "mean", "precision": "float32"}
    known = _attrs_of(mine, told)
    assert load_embedder("audio", known, encoder=str(mine)).entry.wanted.layer == 1
    with pytest.raises(EncoderError, match=r"other is not the one .* weights_sha256 was"):
        load_embedder("audio", known, encoder=str(other))
    with pytest.raises(EncoderError, match=r"folder 'mine', which is not here; .*--encoder audio="):
        load_embedder("audio", known)


def _attrs_of(folder: Path, told: dict[str, Any]) -> dict[str, Any]:
    """The attributes that an entry of a folder's model has: refused once, they are named."""
    with pytest.raises(EncoderError) as refused:
        load_embedder("audio", {**told, "weights_sha256": "?"}, encoder=str(folder))
    sha256 = str(refused.value).split("and is '")[1][:64]
    return {**told, "weights_sha256": sha256, "sampling_rate_hz": 16_000}


def test_recordings_are_found_in_folders_files_and_manifests(corpus: Path) -> None:
    found, notes = find_recordings([corpus])
    assert [Path(one.id).name for one in found] == ["0.wav", "1.wav", "2.wav"]
    found, notes = find_recordings([corpus / "manifest.csv", corpus / "0.wav"])
    assert [one.text for one in found] == ["", *TEXTS]
    assert (found[1].audio, notes) == (corpus / "0.wav", ())


def test_places_without_recordings_are_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such file or folder"):
        find_recordings([tmp_path / "gone.wav"])
    with pytest.raises(CorpusError, match="holds no audio file"):
        find_recordings([tmp_path])
    with pytest.raises(CorpusError, match="stands in item 1 already"):
        find_recordings([corpus / "0.wav", corpus / "0.wav"])


def test_a_speech_recognition_model_stands_in_for_text(corpus: Path, tmp_path: Path) -> None:
    model = save_ctc_model(tmp_path / "asr")
    journal = tmp_path / "kept" / "transcripts.jsonl"
    (tmp_path / "bad.wav").write_bytes(b"")
    given = [
        Utterance(id="bad", audio=tmp_path / "bad.wav"),
        Utterance(id="heard", audio=corpus / "1.wav"),
        Utterance(id="known", audio=corpus / "0.wav", text="as it is"),
    ]
    found, errors = transcribe_utterances(given, str(model), journal=journal)
    wanted = Transcriber(str(model)).transcribe(given[1])
    assert wanted, "the tiny model must hear something for this to test anything"
    assert [one.text for one in found] == ["", wanted, "as it is"]
    assert "is empty (0 bytes)" in errors["bad"]

    with journal.open("a") as file:
        file.write('{"of": "cut o')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("amber_cache.transcribe.Transcriber", None)  # it is not loaded again
        again, _ = transcribe_utterances(given[1:], str(model), journal=journal)
    assert [one.text for one in again] == [wanted, "as it is"]
    edit_json(model / "config.json", model_type="none")
    with pytest.raises(EncoderError, match=r"--transcribe .*asr: can't be loaded"):
        transcribe_utterances(given, str(model), journal=journal)
    assert json.loads(journal.read_text().splitlines()[1])["text"] == wanted
