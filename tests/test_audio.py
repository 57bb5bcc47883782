"""Decoding, cutting, mixing and resampling, beside formulas; and files that are cut short."""

from __future__ import annotations

import hashlib
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from amber_cache import audio
from amber_cache.errors import UtteranceError
from tests.made_corpora import RATE, voice, write_audio


def decode(path: Path, *, rate: int = RATE, **times: float) -> np.ndarray:
    return audio.load(audio.locate(path, **times), sampling_rate_hz=rate)


def tone(rate: int, *, seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def pcm(path: Path, samples: np.ndarray, *, rate: int = RATE) -> Path:
    """A 16-bit WAV written by the standard library."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32768).astype("<i2").tobytes())
    return path


def test_a_wav_is_read_as_the_standard_library_wrote_it(tmp_path: Path) -> None:
    steps = np.arange(-1000, 1000) / 32768
    np.testing.assert_array_equal(decode(pcm(tmp_path / "a.wav", steps)), steps.astype("f4"))


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_lossless_files_give_back_what_was_written(tmp_path: Path, kind: str) -> None:
    samples = np.round(voice(5_000) * 32768) / 32768
    np.testing.assert_array_equal(decode(write_audio(tmp_path / f"a.{kind}", samples)), samples)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = voice(3_000, seed=1), voice(3_000, seed=2)
    path = write_audio(tmp_path / "a.wav", np.stack([left, right, 0 * left], axis=1))
    np.testing.assert_allclose(decode(path), (left + right) / 3, atol=1e-7)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_a_resampled_tone_is_the_tone_at_the_new_rate(tmp_path: Path, rate: int) -> None:
    found = decode(write_audio(tmp_path / "a.wav", tone(rate), sampling_rate_hz=rate))
    assert abs(len(found) - RATE) <= 1
    inner = slice(1_600, 14_400)  # the filter rings at both ends
    np.testing.assert_allclose(found[inner], tone(RATE)[inner], atol=2e-4)


def test_resampling_leaves_no_alias_of_what_lies_above_the_new_band(tmp_path: Path) -> None:
    high = tone(48_000, hertz=10_000)  # would fold to 6 kHz
    found = decode(write_audio(tmp_path / "a.wav", high, sampling_rate_hz=48_000))
    assert np.abs(found[1_600:-1_600]).max() < 1e-3


def test_a_segment_is_that_stretch_of_the_file(tmp_path: Path) -> None:
    samples = voice(16_000)
    path = write_audio(tmp_path / "a.wav", samples)
    found = audio.locate(path, start_s=0.25, end_s=0.5)
    assert (found.first_sample, found.num_samples, found.duration_s) == (4_000, 4_000, 0.25)
    np.testing.assert_array_equal(decode(path, start_s=0.25, end_s=0.5), samples[4_000:8_000])
    np.testing.assert_array_equal(decode(path, start_s=0.75), samples[12_000:])
    np.testing.assert_array_equal(decode(path, end_s=0.1), samples[:1_600])


def test_a_segment_longer_than_a_block_is_whole(tmp_path: Path, monkeypatch) -> None:
    samples = voice(5_000)
    path = write_audio(tmp_path / "a.wav", samples)
    monkeypatch.setattr(audio, "_BLOCK_FRAMES", 999)
    np.testing.assert_array_equal(decode(path, start_s=0.01), samples[160:])


def test_an_end_may_lie_a_rounding_behind_the_files(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", voice(16_000))
    assert audio.locate(path, start_s=0.5, end_s=1.04).num_samples == 8_000


@pytest.mark.parametrize(
    ("start_s", "end_s", "reason"),
    [
        (-0.1, 0.5, r"starts at -0\.1 s; a start is 0 or more"),
        (0.5, 0.5, r"starts at 0\.5 s and ends at 0\.5 s, which is not after it"),
        (0.5, 0.2, r"starts at 0\.5 s and ends at 0\.2 s, which is not after it"),
        (0.2, 1.1, r"ends at 1\.1 s, but a\.wav ends at 1 s"),
        (1.0, None, r"starts at 1 s, but a\.wav ends at 1 s"),
        (1.02, 1.04, r"starts at 1\.02 s, but a\.wav ends at 1 s"),
        (2.0, 3.0, r"starts at 2 s, but a\.wav ends at 1 s"),
        (0.5, 0.50001, r"has no sample between 0\.5 s and 0\.50001 s"),
    ],
)
def test_times_outside_the_file_are_refused(
    tmp_path: Path, start_s: float, end_s: float | None, reason: str
) -> None:
    path = write_audio(tmp_path / "a.wav", voice(16_000))
    with pytest.raises(UtteranceError, match=reason):
        audio.locate(path, start_s=start_s, end_s=end_s)


@pytest.mark.parametrize("cut", [1, 2, 100, 20_000])
@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_a_file_cut_short_by_any_number_of_bytes_is_refused(
    tmp_path: Path, kind: str, cut: int
) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(40_000)
    path = write_audio(tmp_path / f"a.{kind}", noise)
    assert len(decode(path)) == 40_000
    content = path.read_bytes()
    path.write_bytes(content[: max(len(content) - cut, len(content) // 2)])
    with pytest.raises(UtteranceError, match=r"a\.\w+ (is cut short|can't be decoded)"):
        decode(path)


@pytest.mark.parametrize("kind", ["AIFF", "AU", "W64", "RF64", "CAF"])
def test_other_formats_cut_short_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.sound"
    soundfile.write(path, voice(20_000), RATE, format=kind, subtype="PCM_16")
    assert len(decode(path)) == 20_000
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(UtteranceError, match=r"a\.sound is cut short: \d+ bytes are missing"):
        decode(path)


def test_an_opus_stream_cut_in_its_last_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, voice(RATE), RATE, format="OGG", subtype="OPUS")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UtteranceError, match="cut short: its last Ogg page is missing"):
        audio.locate(path)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_wav_from_a_pipe_names_no_size_and_is_read_whole(tmp_path: Path, size: int) -> None:
    path = pcm(tmp_path / "a.wav", tone(RATE, seconds=0.25))
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    assert len(decode(path)) == 4_000


def test_a_wav_of_zeros_behind_its_header_is_no_audio(tmp_path: Path) -> None:
    with (tmp_path / "a.wav").open("wb") as file:
        file.write(b"RIFF\x24\0\0\0WAVE")
        file.truncate(1 << 30)  # a sparse file, as a broken download leaves it
    with pytest.raises(UtteranceError, match=r"a\.wav is not readable as audio"):
        audio.locate(tmp_path / "a.wav")


def with_flac_length(path: Path, num_samples: int) -> Path:
    """Let a FLAC header name a number of samples: 36 bits, 13.5 bytes into its STREAMINFO."""
    content = bytearray(write_audio(path, voice(20_000)).read_bytes())
    content[21] = content[21] & 0xF0 | num_samples >> 32
    content[22:26] = struct.pack(">I", num_samples & 0xFFFFFFFF)
    path.write_bytes(content)
    return path


def test_a_header_that_names_more_than_memory_holds_is_refused(tmp_path: Path) -> None:
    path = with_flac_length(tmp_path / "a.flac", 2**36 - 1)
    with pytest.raises(UtteranceError, match=r"a\.flac (is cut short|can't be decoded)"):
        decode(path)


def test_a_flac_of_unknown_length_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = with_flac_length(tmp_path / "a.flac", 0)
    with pytest.raises(UtteranceError, match=r"does not say how long it is; convert it to WAV"):
        audio.locate(path)


@pytest.mark.parametrize("sample", [np.nan, np.inf, -np.inf, 3e38])
def test_samples_that_are_not_finite_are_refused(tmp_path: Path, sample: float) -> None:
    samples = np.stack([voice(1_000), voice(1_000)], axis=1)
    samples[500] = sample  # the sum of two channels of 3e38 is beyond float32
    path = write_audio(tmp_path / "a.wav", samples)
    with pytest.raises(UtteranceError, match=r"a\.wav holds samples that are not finite"):
        decode(path)


def test_floats_scaled_as_integers_are_read_and_absurd_ones_are_refused(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", np.full(1_000, 2.0**31))
    assert decode(path).max() == 2.0**31
    write_audio(path, np.full(1_000, 1e25))  # its variance is infinite: wav2vec2 would see silence
    with pytest.raises(UtteranceError, match=r"a\.wav holds samples of 1e\+25, which is no sound"):
        decode(path)


def test_a_rate_that_no_speech_has_is_refused(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", voice(1_000), sampling_rate_hz=10)
    with pytest.raises(UtteranceError, match=r"sampling rate of 10 Hz; 1000 is the least"):
        audio.locate(path)


def test_a_name_too_long_for_the_disk_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UtteranceError, match=r"\.wav is missing"):
        audio.locate(tmp_path / ("x" * 300 + ".wav"))


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = pcm(tmp_path / "a.wav", tone(RATE))
    assert audio.file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(UtteranceError, match=r"b\.wav can't be read: No such file"):
        audio.file_sha256(tmp_path / "b.wav")
