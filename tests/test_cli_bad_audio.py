"""`amber extract` where an utterance can't be used: it is left out and listed, the rest goes on."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from amber_cache.encoders import load_encoder
from amber_cache.pooling import masked_mean
from tests.made_corpora import (
    BUILTIN,
    RATE,
    extract,
    make_corpus,
    read_cache,
    read_rows,
    reasons,
    vectors,
    voice,
    write_audio,
    write_table,
)


def mel_alone(waveform: np.ndarray) -> np.ndarray:
    """The mel embedding of one waveform, without files and batches."""
    encoder = load_encoder("audio", "mel")
    encoded = encoder.encode([encoder.prepare(waveform)])
    return masked_mean(encoded.frames[0], encoded.mask)[0].numpy()


def truncate(kind: str, num_bytes: int) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = write_audio(folder / f"bad.{kind}", voice(20_000))
        path.write_bytes(path.read_bytes()[:-num_bytes])
        return path

    return write


def with_bytes(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "bad.wav").write_bytes(content)
        return folder / "bad.wav"

    return write


def with_samples(samples: np.ndarray) -> Callable[[Path], Path]:
    return lambda folder: write_audio(folder / "bad.wav", samples)


def absent(folder: Path) -> Path:
    return folder / "nested" / "bad.wav"


def a_folder(folder: Path) -> Path:
    (folder / "bad.wav").mkdir()
    return folder / "bad.wav"


def endless_flac(folder: Path) -> Path:
    path = write_audio(folder / "bad.flac", voice(2_000))
    content = bytearray(path.read_bytes())
    content[21], content[22:26] = content[21] | 0x0F, struct.pack(">I", 0xFFFFFFFF)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (absent, "nested/bad.wav is missing"),
        (a_folder, "bad.wav is not a file"),
        (with_bytes(b""), "bad.wav is empty (0 bytes)"),
        (with_bytes(b"<html>not here</html>"), "bad.wav is not readable as audio: Format not rec"),
        (with_bytes(b"RIFF\x24\0\0\0WAVE"), "bad.wav is not readable as audio: "),
        (truncate("wav", 1), "bad.wav is cut short: 1 bytes are missing"),
        (truncate("flac", 2_000), "bad.flac can't be decoded: "),
        (truncate("ogg", 1), "bad.ogg is cut short: its last Ogg page is missing"),
        (truncate("ogg", 3_000), "bad.ogg is cut short: its last Ogg page is missing"),
        (endless_flac, "bad.flac can't be decoded: "),
        (with_samples(np.zeros(0)), "bad.wav holds no samples"),
        (with_samples(voice(399)), "has 399 samples; mel needs at least 400 for one frame"),
        (with_samples(np.r_[voice(900), np.nan]), "bad.wav holds samples that are not finite"),
        (with_samples(np.r_[voice(900), np.inf]), "bad.wav holds samples that are not finite"),
    ],
)
def test_a_bad_file_is_left_out_and_the_others_keep_their_vectors(
    tmp_path: Path, write: Callable[[Path], Path], reason: str
) -> None:
    manifest = make_corpus(tmp_path)
    rows = read_rows(manifest)
    bad = write(tmp_path / "audio").relative_to(tmp_path).as_posix()
    rows[1]["audio"] = bad
    write_table(manifest, rows)
    finished = extract(manifest)
    assert finished.status == 1
    (listed,) = [line for line in finished.err.splitlines() if line.startswith("failed: ")]
    assert listed.startswith(f"failed: u2 (audio): {reason.replace('nested', 'audio/nested')}")
    assert finished.out.splitlines()[-1].endswith(", 1 failed")
    assert str(tmp_path) not in listed
    content = read_cache(manifest)
    found = vectors(content)
    assert list(reasons(content)) == ["u2"]
    assert sorted(found) == ["u1", "u3"]
    assert sorted(vectors(content, "text/hash")) == ["u1", "u2", "u3"]
    for number in (1, 3):
        alone = mel_alone(voice(3_000 + 1_500 * number, seed=number))
        np.testing.assert_allclose(found[f"u{number}"], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        ("0.2", "0.1", "starts at 0.2 s and ends at 0.1 s, which is not after it"),
        ("-1", "", "starts at -1 s; a start is 0 or more"),
        ("0.1", "9", "ends at 9 s, but u2.wav ends at 0.375 s"),
        ("9", "", "starts at 9 s, but u2.wav ends at 0.375 s"),
        ("9", "10", "starts at 9 s, but u2.wav ends at 0.375 s"),
        ("0.1", "0.11", "has 160 samples; mel needs at least 400 for one frame"),
    ],
)
def test_bad_times_leave_one_utterance_out(
    tmp_path: Path, start: str, end: str, reason: str
) -> None:
    manifest = make_corpus(tmp_path)
    rows = [row | {"start": "", "end": ""} for row in read_rows(manifest)]
    rows[1] |= {"start": start, "end": end}
    write_table(manifest, rows)
    finished = extract(manifest)
    assert finished.status == 1
    assert f"failed: u2 (audio): {reason}\n" in finished.err
    assert sorted(vectors(read_cache(manifest))) == ["u1", "u3"]


def test_an_utterance_without_an_audio_file_is_left_out(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    rows = read_rows(manifest)
    rows[0]["audio"] = ""
    write_table(manifest, rows)
    finished = extract(manifest)
    assert (finished.status, list(vectors(read_cache(manifest)))) == (1, ["u2", "u3"])
    assert "failed: u1 (audio): no audio file is named\n" in finished.err


def test_silence_is_encoded(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    write_audio(tmp_path / "audio" / "u2.wav", np.zeros(4_000))
    assert extract(manifest).status == 0
    found = vectors(read_cache(manifest))["u2"]
    np.testing.assert_allclose(found, mel_alone(np.zeros(4_000, "f4")), rtol=1e-6, atol=1e-7)


def test_stereo_is_encoded_as_the_mean_of_its_channels(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    left, right = voice(4_000, seed=5), voice(4_000, seed=6)
    write_audio(tmp_path / "audio" / "u2.wav", np.stack([left, right], axis=1))
    assert extract(manifest).status == 0
    found = vectors(read_cache(manifest))["u2"]
    np.testing.assert_allclose(found, mel_alone((left + right) / 2), rtol=1e-4, atol=1e-5)


def test_another_rate_is_encoded_as_the_same_sound_at_the_encoders_rate(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    bands = np.arange(60, 7_000, 23.0)  # a sum of sines is known at any rate

    def chord(rate: int) -> np.ndarray:
        time = np.arange(rate // 2) / rate
        return (0.01 * np.sin(2 * np.pi * bands[:, None] * time + bands[:, None]).sum(0)).astype(
            "f4"
        )

    write_audio(tmp_path / "audio" / "u2.wav", chord(44_100), sampling_rate_hz=44_100)
    assert extract(manifest).status == 0
    content = read_cache(manifest)
    found, wanted = vectors(content)["u2"], mel_alone(chord(RATE))
    assert np.linalg.norm(found - wanted) < 0.02 * np.linalg.norm(wanted)
    assert content.utterances.duration_s[1] == pytest.approx(0.5)


def test_an_empty_text_is_counted_and_no_failure(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    rows = read_rows(manifest)
    rows[0]["text"] = "   "
    write_table(manifest, rows)
    finished = extract(manifest)
    assert finished.status == 0
    assert finished.out.splitlines()[-1].endswith(", 1 without text, 0 failed")
    content = read_cache(manifest)
    assert reasons(content, "text/hash") == {"u1": "empty text"}
    assert sorted(vectors(content, "text/hash")) == ["u2", "u3"]


def test_a_corpus_of_which_all_audio_fails_is_written_with_its_reasons(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    for path in (tmp_path / "audio").iterdir():
        path.write_bytes(b"noise")
    finished = extract(manifest, "--pooling", "mean-std")
    assert finished.status == 1
    assert finished.err.count("failed: ") == 3
    content = read_cache(manifest)
    assert len(reasons(content, "audio/mel+mean-std")) == 3
    assert len(vectors(content, "text/hash+mean-std")) == 3
    for number in (1, 2, 3):  # and can be mended
        write_audio(tmp_path / f"audio/u{number}.wav", voice(4_000, seed=number))
    assert extract(manifest, "--pooling", "mean-std").status == 0
    found = vectors(read_cache(manifest), "audio/mel+mean-std")["u1"]
    np.testing.assert_allclose(found[: len(found) // 2], mel_alone(voice(4_000, seed=1)), rtol=1e-5)


def test_json_lists_each_failure_by_id(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    (tmp_path / "audio" / "u3.wav").write_bytes(b"")
    finished = extract(manifest, "--json", encoders=BUILTIN)
    assert (finished.status, finished.err) == (1, "")
    report = json.loads(finished.out)
    wanted = {"id": "u3", "modality": "audio", "reason": "u3.wav is empty (0 bytes)"}
    assert report["failures"] == [wanted]
    assert (report["num_utterances"], report["encoded"]["audio/mel"]) == (3, 2)
