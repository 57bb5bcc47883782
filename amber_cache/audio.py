"""From an audio file, or a part of it, to a mono waveform at an encoder's sampling rate.

Decoding is libsndfile's (soundfile), resampling is soxr's. Waveforms are float32 in [-1, 1],
times are seconds. All trouble with a file is an `UtteranceError`: a file that is cut short is
refused rather than padded or taken as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Iterator
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

#: Slower than any speech is stored; a lower rate is a damaged header's, and resampling from it
#: would take all memory.
MIN_SAMPLING_RATE_HZ: Hertz = 1000

#: Floats that were scaled as 32-bit integers reach it. Much louder ones overflow in a variance, and
#: an encoder would take them for silence.
MAX_AMPLITUDE = 2.0**31

# RIFF sizes that a writer to a pipe leaves behind: the length was not known, not cut.
_UNKNOWN_SIZES = frozenset({0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF})

# What libsndfile gives for a FLAC file from a pipe, whose header names no length.
_UNKNOWN_FRAMES = 2**63 - 1

# How libsndfile's log tells of AIFF, AU, W64, RF64 and CAF files that are shorter than they say.
_LOGGED_SIZE = re.compile(r": (\d+) \(should be (\d+)\)")

_BLOCK_FRAMES = 1 << 20

_RESAMPLING_QUALITY = "HQ"

#: What resamples, as a cache records it.
RESAMPLER = f"soxr {soxr.__version__} {_RESAMPLING_QUALITY}"


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
    if start < 0:
        raise UtteranceError(f"starts at {start:g} s; a start is 0 or more")
    if start >= duration_s:
        raise UtteranceError(f"starts at {start:g} s, but {path.name} ends at {duration_s:g} s")
    if end <= start:
        raise UtteranceError(f"starts at {start:g} s and ends at {end:g} s, which is not after it")
    if end > duration_s + END_TOLERANCE_S:
        raise UtteranceError(f"ends at {end:g} s, but {path.name} ends at {duration_s:g} s")
    first = round(start * rate)
    num_samples = min(round(end * rate), total) - first
    if num_samples < 1:
        raise UtteranceError(f"has no sample between {start:g} s and {end:g} s")
    return Segment(path, first, num_samples, rate)


def load(segment: Segment, *, sampling_rate_hz: Hertz) -> Float[np.ndarray, " samples"]:
    """Decode a segment, mix its channels to one and resample it.

    Raises:
        UtteranceError: It can't be decoded to its end, or holds samples that are not finite.
    """
    name = segment.path.name
    blocks = list(_blocks(segment.path, segment.first_sample, segment.num_samples))
    mono = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if len(mono) < segment.num_samples:
        raise UtteranceError(f"{name} is cut short: {len(mono)} of {segment.num_samples} samples")
    if not np.isfinite(mono).all():
        raise UtteranceError(f"{name} holds samples that are not finite")
    if (loudest := float(np.abs(mono).max(initial=0))) > MAX_AMPLITUDE:
        raise UtteranceError(f"{name} holds samples of {loudest:.0e}, which is no sound")
    return resampled(mono, segment.sampling_rate_hz, sampling_rate_hz)


def resampled(
    mono: Float[np.ndarray, " samples"], from_hz: Hertz, to_hz: Hertz
) -> Float[np.ndarray, " resampled"]:
    """A waveform at another rate, as every decoded file comes."""
    if from_hz != to_hz:
        mono = soxr.resample(mono, from_hz, to_hz, quality=_RESAMPLING_QUALITY)
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


def _blocks(path: Path, first: int, count: int) -> Iterator[Float[np.ndarray, " samples"]]:
    """The channels' mean, block by block: a damaged header may name more than memory holds."""
    try:
        with soundfile.SoundFile(path) as file:
            file.seek(first)
            while count > 0:
                block = file.read(min(count, _BLOCK_FRAMES), dtype="float32", always_2d=True)
                count -= len(block) or count
                with np.errstate(over="ignore", invalid="ignore"):  # found by who asks for finite
                    yield block.mean(axis=1, dtype=np.float32)
    except (soundfile.SoundFileError, OSError) as error:
        raise UtteranceError(f"{path.name} can't be decoded: {_reason(error)}") from None


def _header(path: Path) -> Any:
    if not os.path.exists(path):  # Path.exists raises where a name is too long
        raise UtteranceError(f"{path.name} is missing")
    if not path.is_file():
        raise UtteranceError(f"{path.name} is not a file")
    if path.stat().st_size == 0:
        raise UtteranceError(f"{path.name} is empty (0 bytes)")
    try:
        cut = _cut(path)
        info = None if cut else soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError) as error:
        raise UtteranceError(f"{path.name} is not readable as audio: {_reason(error)}") from None
    if info is None or (cut := _logged_cut(info.extra_info)):
        raise UtteranceError(f"{path.name} is cut short: {cut}")
    if info.frames <= 0 or info.samplerate <= 0:
        raise UtteranceError(f"{path.name} holds no samples")
    if info.frames == _UNKNOWN_FRAMES:
        raise UtteranceError(f"{path.name} does not say how long it is; convert it to WAV")
    if info.samplerate < MIN_SAMPLING_RATE_HZ:
        raise UtteranceError(
            f"{path.name} has a sampling rate of {info.samplerate} Hz; "
            f"{MIN_SAMPLING_RATE_HZ} is the least"
        )
    return info


def _cut(path: Path) -> str:
    """What is missing at the end of a WAV or Ogg file; "" for nothing, and for other formats.

    libsndfile passes over these cuts in silence; those of FLAC and MP3 come out in decoding.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(12)
        if magic[:4] == b"RIFF" and magic[8:] == b"WAVE":
            missing = _missing_wav_bytes(file, size)
            return f"{missing} bytes are missing" if missing > 0 else ""
        if magic[:4] == b"OggS":
            file.seek(max(0, size - 65_536))
            return "" if _ends_ogg_stream(file.read()) else "its last Ogg page is missing"
    return ""


def _logged_cut(log: str) -> str:
    """The same for AIFF, AU, W64, RF64 and CAF, of whose cuts libsndfile's log tells."""
    if "\nRIFF" in log:  # WAV: its sizes may be a pipe's, and have been looked at
        return ""
    sizes = [(int(said), int(found)) for said, found in _LOGGED_SIZE.findall(log)]
    missing = max((said - found for said, found in sizes), default=0)
    # One may be a padding byte that a writer counted and left out.
    return f"{missing} bytes are missing" if missing > 1 else ""


def _missing_wav_bytes(file: BinaryIO, size: int) -> int:
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            return 0 if length in _UNKNOWN_SIZES else position + 8 + length - size
        if not name.decode("latin-1").isprintable():
            return 0  # no chunk: libsndfile says what is wrong
        position += 8 + length + length % 2
    return 0


def _ends_ogg_stream(last: bytes) -> bool:
    """Whether the last page is there to its end and marked as the stream's last (RFC 3533)."""
    page = last.rfind(b"OggS")
    if page < 0 or len(last) < page + 27 or not last[page + 5] & 0x04:
        return False
    body = page + 27 + last[page + 26]  # behind the header and its table of segment lengths
    return body + sum(last[page + 27 : body]) <= len(last)


def _reason(error: Exception) -> str:
    """Why, without the path that soundfile puts before it: it would get into the cache."""
    if isinstance(error, soundfile.LibsndfileError):
        return str(error.error_string)
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
