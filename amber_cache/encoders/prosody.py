"""The frames of the built-in `mel` encoder: spectrum, energy, pitch and voicing of 16 kHz speech.

Windows of 25 ms every 10 ms, floor((n - 400) / 160) + 1 of them. Logarithms are natural; powers are
relative to a full-scale sine and floored at 1e-10 (-100 dB), so that silence is finite. Pitch is
the first strong peak of the normalised cross-correlation (Talkin, "A robust algorithm for pitch
tracking", 1995) between 60 and 500 Hz; a frame is voiced from a correlation of 0.5 on.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Float64
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft, ndimage

SAMPLING_RATE_HZ = 16_000
FRAME_SAMPLES = 400
HOP_SAMPLES = 160
NUM_BANDS = 40
NUM_CEPSTRA = 12

_FLOOR = 1e-10
_MIN_LAG, _MAX_LAG = SAMPLING_RATE_HZ // 500, SAMPLING_RATE_HZ // 60
_VOICED_FROM = 0.5
#: A peak this close to the highest one is taken before it: multiples of the period are as high.
_PEAK_RATIO = 0.9
_REFERENCE_HZ = 150.0

Track: TypeAlias = Float64[np.ndarray, " time"]
Table: TypeAlias = Float64[np.ndarray, "time feature"]
Bands: TypeAlias = Float64[np.ndarray, "time band"]
Power: TypeAlias = Float64[np.ndarray, "time bin"]
Windows: TypeAlias = Float64[np.ndarray, "time sample"]

#: What each feature of a frame is.
COLUMNS: tuple[str, ...] = (
    *(f"log power of mel band {band}" for band in range(NUM_BANDS)),
    *(f"absolute slope of mel band {band} per frame" for band in range(NUM_BANDS)),
    *(f"cepstral coefficient {order} squared" for order in range(1, NUM_CEPSTRA + 1)),
    "log energy",
    "log energy squared, over 10",
    "absolute slope of log energy per frame",
    "voicing: highest normalised cross-correlation, 0 to 1",
    "1 where voiced",
    "log of f0 over 150 Hz where voiced, else 0",
    "the same squared",
    "absolute step of log f0 from the frame before where both are voiced, else 0",
    "harmonics-to-noise ratio in bel where voiced, else 0",
    "spectral centroid in kHz",
    "spectral tilt: slope of log power over the mel bands, per band",
    "zero crossings per sample",
)


def prosody_frames(
    waveform: Float32[np.ndarray, " samples"],
) -> Float32[np.ndarray, "time feature"]:
    """All columns for a waveform of at least `FRAME_SAMPLES` finite samples at 16 kHz."""
    centred = waveform.astype(np.float64) - waveform.mean(dtype=np.float64)
    windows = sliding_window_view(centred, FRAME_SAMPLES)[::HOP_SAMPLES]
    power = _power_spectrum(windows)
    bands = np.log(power @ _MEL_FILTERS.T + _FLOOR)
    energy = np.log(2 * np.square(windows).mean(axis=1) + _FLOOR)
    columns = [
        bands,
        np.abs(_slope(bands)),
        np.square(fft.dct(bands, norm="ortho", axis=1)[:, 1 : NUM_CEPSTRA + 1] / NUM_BANDS**0.5),
        energy[:, None],
        np.square(energy)[:, None] / 10,
        np.abs(_slope(energy[:, None])),
        _pitch_columns(centred, num_frames=len(windows)),
        _shape_columns(power, bands, windows),
    ]
    return np.concatenate(columns, axis=1, dtype=np.float32, casting="same_kind")


def pitch_track(
    centred: Float64[np.ndarray, " samples"], *, num_frames: int
) -> tuple[Track, Track]:
    """f0 in Hz (60 to 500) and voicing strength (0 to 1) of each frame; f0 means little unvoiced.

    Each 25 ms window is compared with the signal up to 16.7 ms later, a window and its lag
    normalised by their own energies, so that a rise in loudness does not lower the correlation.
    """
    correlation = _cross_correlation(centred, num_frames=num_frames)
    inner = correlation[:, _MIN_LAG : _MAX_LAG + 1]
    strength = inner.max(axis=1)
    is_peak = (inner >= correlation[:, _MIN_LAG - 1 : _MAX_LAG]) & (
        inner >= correlation[:, _MIN_LAG + 1 : _MAX_LAG + 2]
    )
    strong = is_peak & (inner >= _PEAK_RATIO * strength[:, None])
    # Where no peak lies inside (a slope up to the border), the highest value stands for it.
    place = np.where(strong.any(axis=1), strong.argmax(axis=1), inner.argmax(axis=1)) + _MIN_LAG
    rows = np.arange(num_frames)
    before, at, after = (correlation[rows, place + step] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.where(bend < 0, (before - after) / (2 * np.where(bend < 0, bend, -1.0)), 0.0)
    lag = np.clip(place + np.clip(shift, -0.5, 0.5), _MIN_LAG, _MAX_LAG)
    return SAMPLING_RATE_HZ / lag, np.clip(strength, 0.0, 1.0)


def _cross_correlation(centred: Float64[np.ndarray, " samples"], *, num_frames: int) -> Table:
    """Normalised cross-correlation of each window with the signal 0 to maximum + 1 later."""
    num_lags = _MAX_LAG + 2
    spans = sliding_window_view(np.pad(centred, (0, num_lags)), FRAME_SAMPLES + num_lags)
    spans = spans[::HOP_SAMPLES][:num_frames]
    spans = spans - spans[:, :FRAME_SAMPLES].mean(axis=1, keepdims=True)
    # 1024 points: lags up to 268 of 668 samples never wrap around.
    size = 1024
    head = fft.rfft(spans[:, :FRAME_SAMPLES], n=size, axis=1)
    products = fft.irfft(np.conj(head) * fft.rfft(spans, n=size, axis=1), n=size, axis=1)
    sums = np.cumsum(np.pad(np.square(spans), ((0, 0), (1, 0))), axis=1)
    energies = (sums[:, FRAME_SAMPLES:] - sums[:, :-FRAME_SAMPLES])[:, :num_lags]
    # The constant keeps what is below -80 dB unvoiced.
    scale = np.sqrt(np.maximum(energies[:, :1] * energies, 0.0)) + FRAME_SAMPLES * 1e-8
    correlation: Table = products[:, :num_lags] / scale
    return correlation


def _pitch_columns(centred: Float64[np.ndarray, " samples"], *, num_frames: int) -> Table:
    f0_hz, strength = pitch_track(centred, num_frames=num_frames)
    voiced = strength >= _VOICED_FROM
    log_f0 = np.where(voiced, np.log(f0_hz / _REFERENCE_HZ), 0.0)
    both = voiced & np.concatenate([[False], voiced[:-1]])
    step = np.where(both, np.abs(np.diff(log_f0, prepend=log_f0[:1])), 0.0)
    clean = np.clip(strength, 1e-3, 1 - 1e-3)
    noise_ratio = np.where(voiced, np.log10(clean / (1 - clean)), 0.0)
    return np.stack([strength, voiced, log_f0, np.square(log_f0), step, noise_ratio], axis=1)


def _shape_columns(power: Power, bands: Bands, windows: Windows) -> Table:
    """Centroid, tilt and zero crossings."""
    khz = np.linspace(0, SAMPLING_RATE_HZ / 2000, power.shape[1])
    centroid = power @ khz / (power.sum(axis=1) + _FLOOR)
    place = np.arange(NUM_BANDS) - (NUM_BANDS - 1) / 2
    tilt = bands @ place / np.square(place).sum()
    crossings = (np.diff(np.signbit(windows), axis=1) != 0).mean(axis=1)
    return np.stack([centroid, tilt, crossings], axis=1)


def _power_spectrum(windows: Windows) -> Power:
    """Power of each of 257 bins, a full-scale sine's being about 1."""
    taper = np.hanning(FRAME_SAMPLES)
    spectrum = fft.rfft(windows * taper, n=512, axis=1)
    power: Power = np.square(np.abs(spectrum) / (taper.sum() / 2))
    return power


def _slope(tracks: Table) -> Table:
    """Regression slope over two frames to either side, the ends repeated (HTK's delta)."""
    weights = np.array([-2, -1, 0, 1, 2]) / 10
    slopes: Table = ndimage.correlate1d(tracks, weights, axis=0, mode="nearest")
    return slopes


def _mel_filters() -> Float64[np.ndarray, "band bin"]:
    """Triangles of height 1, evenly spaced in mel (2595 log10(1 + f / 700)) from 20 to 8000 Hz."""

    def mel(hz: Float64[np.ndarray, " any"]) -> Float64[np.ndarray, " any"]:
        return 2595 * np.log10(1 + hz / 700)

    low, high = mel(np.array([20.0, SAMPLING_RATE_HZ / 2]))
    corners = np.linspace(low, high, NUM_BANDS + 2)
    bins = mel(np.linspace(0, SAMPLING_RATE_HZ / 2, 257))
    rising = (bins - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - bins) / np.diff(corners)[1:, None]
    filters: Float64[np.ndarray, "band bin"] = np.maximum(np.minimum(rising, falling), 0.0)
    return filters


_MEL_FILTERS = _mel_filters()
