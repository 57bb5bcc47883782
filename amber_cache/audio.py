"""From an audio file, or a part of it, to a mono waveform at an encoder's sampling rate.

Decoding is libsndfile's (soundfile), resampling is soxr's. Waveforms are float32 in [-1, 1],
times are seconds. All trouble with a file is an `UtteranceError`: a file that is cut short is
refused rather than padded or taken as it is.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from jaxtyping import Float

from amber_cache.errors import UtteranceError
from amber_cache.records import Hertz, Seconds

#: A segment may end this far behind the end of its file: times in corpora are rounded.
END_TOLERANCE_S: Seconds = 0.05

# RIFF sizes that a writer to a pipe leaves behind: the length was not known, not cut.
_UNKNOWN_SIZES = frozenset({0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF})


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of an audio file in that file's own samples, known from its header alone."""

    path: Path
    first_sample: int
    num_samples: int
    sampling_rate_hz: Hertz

    @property
    def duration_s(self) -> Seconds:
        """Its length."""
        return self.num_samples / self.sampling_rate_hz


def locate(path: Path, *, start_s: Seconds | None = None, end_s: Seconds | None = None) -> Segment:
    """Find a segment from the file's header; nothing is decoded.

    Raises:
        UtteranceError: The file is missing, empty, cut short or no audio, or the times are not
            within it.
    """
    info = _header(path)
    rate, total = int(info.samplerate), int(info.frames)
    duration_s = total / rate
    start = 0.0 if start_s is None else start_s
    end = duration_s if end_s is None else end_s
    if not 0 <= start < end:
        raise UtteranceError(f"starts at {start:g} s and ends at {end:g} s")
    if end > duration_s + END_TOLERANCE_S:
        raise UtteranceError(f"ends at {end:g} s, but {path.name} ends at {duration_s:g} s")
    first = min(round(start * rate), total)
    return Segment(path, first, min(round(end * rate), total) - first, rate)


def load(segment: Segment, *, sampling_rate_hz: Hertz) -> Float[np.ndarray, " samples"]:
    """Decode a segment, mix its channels to one and resample it.

    Raises:
        UtteranceError: It can't be decoded to its end, or holds samples that are not finite.
    """
    try:
        with soundfile.SoundFile(segment.path) as file:
            file.seek(segment.first_sample)
            samples = file.read(segment.num_samples, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise UtteranceError(f"{segment.path.name} can't be decoded: {error}") from None
    if len(samples) < segment.num_samples:
        raise UtteranceError(
            f"{segment.path.name} is cut short: {len(samples)} of {segment.num_samples} samples"
        )
    if not np.isfinite(samples).all():
        raise UtteranceError(f"{segment.path.name} holds samples that are not finite")
    mono = samples.mean(axis=1, dtype=np.float32)
    if segment.sampling_rate_hz != sampling_rate_hz:
        mono = soxr.resample(mono, segment.sampling_rate_hz, sampling_rate_hz, quality="HQ")
    return np.ascontiguousarray(mono, dtype=np.float32)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        UtteranceError: The file can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UtteranceError(f"{path.name} can't be read: {error.strerror}") from None


def _header(path: Path) -> Any:
    if not path.exists():
        raise UtteranceError(f"{path.name} is missing")
    if not path.is_file():
        raise UtteranceError(f"{path.name} is not a file")
    if path.stat().st_size == 0:
        raise UtteranceError(f"{path.name} is empty (0 bytes)")
    try:
        info = soundfile.info(str(path))
        _refuse_cut_short(path)
    except (soundfile.SoundFileError, OSError) as error:
        raise UtteranceError(f"{path.name} is not readable as audio: {error}") from None
    if info.frames <= 0 or info.samplerate <= 0:
        raise UtteranceError(f"{path.name} holds no samples")
    return info


def _refuse_cut_short(path: Path) -> None:
    """Find the cuts that libsndfile passes over in silence: WAV and Ogg that end too early."""
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(12)
        if magic[:4] == b"RIFF" and magic[8:] == b"WAVE":
            missing = _missing_wav_bytes(file, size)
            if missing > 0:
                raise UtteranceError(f"{path.name} is cut short: {missing} bytes are missing")
        elif magic[:4] == b"OggS":
            file.seek(max(0, size - 65_536))
            last = file.read()
            page = last.rfind(b"OggS")
            # Bit 2 of a page's header type marks the stream's end (RFC 3533, section 6).
            if page < 0 or len(last) < page + 27 or not last[page + 5] & 0x04:
                raise UtteranceError(f"{path.name} is cut short: its last Ogg page is missing")


def _missing_wav_bytes(file: BinaryIO, size: int) -> int:
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            return 0 if length in _UNKNOWN_SIZES else position + 8 + length - size
        position += 8 + length + length % 2
    return 0
