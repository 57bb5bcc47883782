"""The built-in encoders: what their frames must say, and the names that encoders go by."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from amber_cache.encoders import BUILTIN_ENCODERS, entry_name, load_encoder
from amber_cache.encoders.builtin import HASH_DIMENSION, split_words
from amber_cache.encoders.prosody import COLUMNS, SAMPLING_RATE_HZ, pitch_track
from amber_cache.errors import EncoderError, UtteranceError
from amber_cache.pooling import masked_mean

MEL = load_encoder("audio", "mel")
HASH = load_encoder("text", "hash")
TIME = np.arange(SAMPLING_RATE_HZ) / SAMPLING_RATE_HZ


def column(frames: np.ndarray, name: str) -> np.ndarray:
    return frames[:, COLUMNS.index(name)]


def tone(f0_hz: float, *, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * f0_hz * TIME)).astype(np.float32)


def pulses(f0_hz: float) -> np.ndarray:
    """A train of pulses, rich in harmonics as a voice is."""
    phase = np.floor(TIME * f0_hz)
    train = np.diff(phase, prepend=0.0)
    return np.convolve(train, np.exp(-np.arange(80) / 8), mode="same").astype(np.float32)


def noise(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (0.1 * random.standard_normal(SAMPLING_RATE_HZ)).astype(np.float32)


def embed_text(text: str) -> torch.Tensor:
    encoded = HASH.encode([HASH.prepare(text)])
    return masked_mean(encoded.frames[0], encoded.mask)[0]


@pytest.mark.parametrize("sound", [tone, pulses])
@pytest.mark.parametrize("f0_hz", [70.0, 120.0, 200.0, 300.0, 450.0])
def test_pitch_of_a_periodic_sound_is_found(sound, f0_hz: float) -> None:
    frames = MEL.prepare(sound(f0_hz)).values[2:-2]
    assert (column(frames, "1 where voiced") == 1).all()
    log_f0 = column(frames, "log of f0 over 150 Hz where voiced, else 0")
    np.testing.assert_allclose(150 * np.exp(log_f0), f0_hz, rtol=0.02)


def test_pitch_track_follows_a_glide() -> None:
    f0_hz = 120 + 120 * TIME
    wave = np.sin(2 * np.pi * np.cumsum(f0_hz) / SAMPLING_RATE_HZ)
    num_frames = 90
    found, strength = pitch_track(wave, num_frames=num_frames)
    # A frame compares samples 0 to 400 with those up to one period later.
    middle = np.arange(num_frames) * 160 + 200 + 8_000 / f0_hz[np.arange(num_frames) * 160]
    np.testing.assert_allclose(found, np.interp(middle, np.arange(len(wave)), f0_hz), rtol=0.02)
    assert strength.min() > 0.9


def test_noise_is_unvoiced_and_has_no_pitch() -> None:
    frames = MEL.prepare(noise()).values
    assert column(frames, "1 where voiced").mean() < 0.02
    assert column(frames, "voicing: highest normalised cross-correlation, 0 to 1").mean() < 0.35


def test_ten_times_the_level_is_two_bel_more_and_the_same_pitch() -> None:
    soft, loud = (MEL.prepare(level * pulses(150.0)).values for level in (0.05, 0.5))
    gain = column(loud, "log energy") - column(soft, "log energy")
    np.testing.assert_allclose(gain, np.log(100), atol=1e-3)
    for name in COLUMNS[95:99]:
        np.testing.assert_allclose(column(loud, name), column(soft, name), atol=1e-3)


def test_full_scale_sine_has_log_energy_zero() -> None:
    energy = column(MEL.prepare(tone(200.0, level=1.0)).values, "log energy")
    np.testing.assert_allclose(energy, 0.0, atol=0.01)


def test_highest_mel_band_is_the_tones_own() -> None:
    edges = np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + 8000 / 700), 42)
    centres_hz = 700 * (10 ** (edges[1:-1] / 2595) - 1)
    for f0_hz in (300.0, 1000.0, 4000.0):
        bands = MEL.prepare(tone(f0_hz)).values[:, :40].mean(axis=0)
        assert abs(int(bands.argmax()) - int(np.abs(centres_hz - f0_hz).argmin())) <= 1


def test_a_steady_sound_does_not_move_and_a_changing_one_does() -> None:
    name = "absolute slope of log energy per frame"
    steady = column(MEL.prepare(tone(200.0)).values, name)
    swelling = column(MEL.prepare(tone(200.0) * np.float32(2) ** TIME.astype("f4")).values, name)
    assert steady.mean() < 1e-3
    # 2 ** t is 2 log(2) of log energy a second, 100 frames.
    np.testing.assert_allclose(swelling[4:-4], 2 * np.log(2) / 100, rtol=0.05)


def test_silence_and_a_constant_are_finite_and_unvoiced() -> None:
    for level in (0.0, 0.7):
        frames = MEL.prepare(np.full(4_000, level, dtype=np.float32)).values
        assert np.isfinite(frames).all()
        assert column(frames, "1 where voiced").sum() == 0


@pytest.mark.parametrize(
    ("num_samples", "num_frames"), [(400, 1), (559, 1), (560, 2), (16_000, 98)]
)
def test_number_of_frames(num_samples: int, num_frames: int) -> None:
    frames = MEL.prepare(noise()[:num_samples]).values
    assert frames.shape == (num_frames, len(COLUMNS)) == (num_frames, MEL.info.dimension)
    assert frames.dtype == np.float32


def test_unusable_waveforms_are_refused_with_the_reason() -> None:
    with pytest.raises(UtteranceError, match="has 399 samples; mel needs at least 400"):
        MEL.prepare(np.zeros(399, dtype=np.float32))
    with pytest.raises(UtteranceError, match="1 of its 400 samples are NaN or infinite"):
        MEL.prepare(np.r_[np.zeros(399), np.nan].astype(np.float32))


@pytest.mark.parametrize(
    ("encoder", "sources"),
    [(MEL, [noise(), tone(100.0)[:400], pulses(99.0)[:7_000]]), (HASH, ["a b c d", "e", "f g"])],
)
def test_batch_equals_each_alone_bit_by_bit(encoder, sources) -> None:
    batch = [encoder.prepare(source) for source in sources]
    encoded = encoder.encode(batch)
    whole = masked_mean(encoded.frames[0], encoded.mask)
    for row, prepared in zip(whole, batch, strict=True):
        single = encoder.encode([prepared])
        assert torch.equal(single.frames[0, 0], torch.from_numpy(prepared.values))
        torch.testing.assert_close(masked_mean(single.frames[0], single.mask)[0], row)
    assert encoded.mask.sum(dim=1).tolist() == [len(prepared.values) for prepared in batch]


def test_a_layer_is_refused() -> None:
    with pytest.raises(EncoderError, match="'hash' has one output, got layer 3"):
        HASH.encode([HASH.prepare("a")], layers=[3])


def test_one_frame_a_word_of_length_about_one() -> None:
    frames = HASH.prepare("We're leaving right now, Doctor").values
    assert frames.shape == (5, HASH_DIMENSION)
    np.testing.assert_allclose(np.linalg.norm(frames, axis=1), 1.0, atol=0.35)


def test_case_and_compatibility_forms_are_one() -> None:
    assert torch.equal(embed_text("I'm SO Angry"), embed_text("\uff29\u2019m so angry"))


def test_like_texts_are_nearer_than_unlike_ones() -> None:
    near, base, far = map(
        embed_text, ("I am so angry at you", "I am angry with you", "what a lovely cup of tea")
    )
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(base, near, dim=0) > 0.4
    assert abs(cosine(base, far, dim=0)) < 0.2


def test_inflected_forms_share_their_character_grams() -> None:
    cosine = torch.nn.functional.cosine_similarity(embed_text("leaving"), embed_text("leaves"), 0)
    assert cosine > 0.05


def test_signs_balance_so_that_collisions_cancel() -> None:
    """Weinberger et al., 2009: without signs, long texts would all point the same way."""
    frames = HASH.prepare(" ".join(f"word{number}" for number in range(500))).values
    assert abs((frames > 0).sum() / (frames != 0).sum() - 0.5) < 0.05


def test_word_order_counts_through_pairs() -> None:
    assert not torch.allclose(embed_text("you are so sad"), embed_text("so sad are you"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\u0939\u093f\u0928\u094d\u0926\u0940 \u0939\u0948", 2),
        ("\u6211\u5f88\u9ad8\u5174\u3002", 1),
        ("\u0627\u0644\u0633\u0644\u0627\u0645 \u0639\u0644\u064a\u0643\u0645", 2),
        ("\U0001f600 \U0001f622", 2),
        ("...", 1),
        ("'", 1),
        ("5", 1),
    ],
)
def test_any_script_and_bare_signs_give_frames(text: str, words: int) -> None:
    frames = HASH.prepare(text).values
    assert frames.shape == (words, HASH_DIMENSION)
    assert (np.abs(frames).sum(axis=1) > 0).all()


@pytest.mark.parametrize("empty", ["", " \t\n", "\u3000"])
def test_empty_text_is_refused(empty: str) -> None:
    with pytest.raises(UtteranceError, match="^empty text$"):
        HASH.prepare(empty)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(max_size=40))
def test_every_text_gives_finite_frames_or_is_empty(text: str) -> None:
    if not text.strip():
        return
    frames = HASH.prepare(text).values
    assert len(frames) == len(split_words(text)) > 0
    assert np.isfinite(frames).all()


def test_another_process_gives_the_same_bytes() -> None:
    """Python's own hash of a text is another one in each process."""
    script = (
        "from amber_cache.encoders import load_encoder;"
        "print(load_encoder('text', 'hash').prepare('so it goes').values.tobytes().hex(), end='')"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == HASH.prepare("so it goes").values.tobytes().hex()


@pytest.mark.parametrize(("modality", "name"), BUILTIN_ENCODERS.items())
def test_builtin_encoders_stay_on_the_cpu(modality: str, name: str) -> None:
    encoder = load_encoder(modality, name, device="cuda", precision="bfloat16")
    assert encoder.device == "cpu"
    info = encoder.info
    assert (info.encoder, info.modality, info.weights_sha256) == (name, modality, "")
    assert info.revision == "1"
    assert info.num_layers == 0


@pytest.mark.parametrize(
    ("modality", "name", "message"),
    [
        ("text", "mel", "'mel' is for audio, not for text; .* is 'hash'"),
        ("audio", "hash", "'hash' is for text, not for audio; .* is 'mel'"),
        ("face", "mel", "modality 'face' has no encoders; known are audio, text"),
    ],
)
def test_a_wrong_modality_is_refused(modality: str, name: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        load_encoder(modality, name)


def test_a_folder_with_a_builtin_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mel").mkdir()
    with pytest.raises(EncoderError, match="has the name of the built-in encoder 'mel'"):
        load_encoder("audio", str(tmp_path / "mel"))


def test_entry_names_hold_all_that_differs_and_no_path(tmp_path: Path) -> None:
    folder = tmp_path / "my-wavlm"
    folder.mkdir()
    found = entry_name(str(folder), layer=0, pooling="first", precision="tf32")
    assert found == "my-wavlm@layer0+first~tf32"
    assert entry_name("mel", precision="bfloat16") == "mel"
    assert entry_name("facebook/hubert-base-ls960") == "facebook--hubert-base-ls960"
