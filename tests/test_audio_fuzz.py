"""Hundreds of damaged audio files from a seed: each is decoded or refused, none takes the process.

They are decoded in a process of its own with a limit to its memory, so that a crash, a hang or a
header that asks for all memory is seen as what it is.
"""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import wave
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.commands import ROOT
from tests.made_corpora import extract, read_cache, reasons, vectors, voice, write_table

KINDS = ("wav", "flac", "ogg", "mp3", "aiff", "au")
NUM_A_DAMAGE = 40
MEMORY_BYTES = 1 << 30

# What the process does: a line a file, its length in samples or the reason.
DECODE = """
import json, resource, sys, warnings
from pathlib import Path
from amber_cache import audio
from amber_cache.errors import UtteranceError
import numpy as np
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
warnings.simplefilter("error")
found = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        samples = audio.load(audio.locate(path), sampling_rate_hz=16_000)
        assert samples.ndim == 1 and samples.dtype == np.float32 and np.isfinite(samples).all()
        found[path.name] = len(samples)
    except UtteranceError as error:
        found[path.name] = str(error)
print(json.dumps(found))
"""


def sound(kind: str, seed: int) -> bytes:
    """A good file of a kind."""
    buffer = io.BytesIO()
    rate = (8_000, 16_000, 44_100)[seed % 3]
    samples = voice(2_000 + 500 * (seed % 7), seed=seed % 5, sampling_rate_hz=rate)
    subtype = {"wav": ("PCM_16", "FLOAT", "PCM_24")[seed % 3], "ogg": "VORBIS"}.get(kind)
    soundfile.write(buffer, samples, rate, format=kind.upper(), subtype=subtype)
    return buffer.getvalue()


def truncated(data: bytes, random: np.random.Generator) -> bytes:
    return data[: int(random.integers(0, len(data)))]


def flipped(data: bytes, random: np.random.Generator) -> bytes:
    """One to twenty bits, half of the time all in the header."""
    array = bytearray(data)
    end = min(len(data), 64) if random.random() < 0.5 else len(data)
    for place in random.integers(0, end, int(random.integers(1, 20))):
        array[place] ^= 1 << int(random.integers(8))
    return bytes(array)


def lying(data: bytes, random: np.random.Generator) -> bytes:
    """A header field of four bytes with a value at the edge: sizes, rates, channels, lengths."""
    values = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
    place = int(random.integers(0, min(60, len(data) - 4)))
    order = "<I" if random.random() < 0.5 else ">I"
    return data[:place] + struct.pack(order, int(random.choice(values))) + data[place + 4 :]


def spliced(data: bytes, random: np.random.Generator) -> bytes:
    """A stretch taken out, or put in twice, or replaced by noise."""
    first, end = sorted(random.integers(0, len(data), 2))
    middle = (b"", 2 * data[first:end], random.bytes(int(end - first)))[int(random.integers(3))]
    return data[:first] + middle + data[end:]


DAMAGES: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    one.__name__: one for one in (truncated, flipped, lying, spliced)
}


def huge(num_frames: int, rate: int = 16_000) -> bytes:
    """A WAV whose header names many more frames than there are."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2_000))
    data = bytearray(buffer.getvalue())
    data[40:44] = struct.pack("<I", min(2 * num_frames, 0xFFFFFFFC))
    return bytes(data)


def with_samples(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All the files; the seed is in the name."""
    place = tmp_path_factory.mktemp("fuzz")
    for damage, apply in DAMAGES.items():
        for number in range(NUM_A_DAMAGE):
            random = np.random.default_rng([number, len(damage), ord(damage[0])])
            kind = KINDS[number % len(KINDS)]
            data = apply(sound(kind, number), random)
            (place / f"{damage}-{number:02d}.{kind}").write_bytes(data)
    for number, kind in enumerate(KINDS):
        wrong = KINDS[(number + 1) % len(KINDS)]
        (place / f"renamed-{kind}.{wrong}").write_bytes(sound(kind, number))
        (place / f"zero-length.{kind}").write_bytes(b"")
        (place / f"noise.{kind}").write_bytes(np.random.default_rng(number).bytes(3_000))
        (place / f"text.{kind}").write_text("this is no audio\n" * 40)
        for size in (4, 12, 44):
            (place / f"head-{size}.{kind}").write_bytes(sound(kind, number)[:size])
    for number in (1 << 20, 1 << 28, 1 << 31):
        (place / f"huge-{number}.wav").write_bytes(huge(number))
    for name, value in (("nan", np.nan), ("infinity", np.inf), ("loud", 1e30)):
        samples = voice(4_000)
        samples[1_000] = value
        (place / f"{name}.wav").write_bytes(with_samples(samples))
    return place


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, int | str]:
    """File -> samples or reason, from a process of limited memory."""
    done = subprocess.run(
        [sys.executable, "-c", DECODE, str(folder), str(MEMORY_BYTES)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, int | str] = json.loads(done.stdout)
    return result


def test_every_file_is_decoded_or_refused_in_a_line(
    folder: Path, found: dict[str, int | str]
) -> None:
    files = sorted(path.name for path in folder.iterdir())
    assert len(files) > 200
    assert sorted(found) == files
    for name, outcome in found.items():
        if isinstance(outcome, str):
            assert outcome, name
            assert "\n" not in outcome
            assert str(folder) not in outcome
        else:
            assert 0 < outcome < 200_000, name


def test_both_outcomes_come_about(found: dict[str, int | str]) -> None:
    kinds = Counter((name.split("-")[0], type(outcome).__name__) for name, outcome in found.items())
    for damage in ("flipped", "lying"):
        assert kinds[damage, "int"] > 0
        assert kinds[damage, "str"] > 0
    assert kinds["truncated", "str"] > NUM_A_DAMAGE // 2
    assert all(isinstance(one, int) for name, one in found.items() if name.startswith("renamed"))
    for name in ("nan.wav", "infinity.wav", "loud.wav", "huge-1048576.wav", "zero-length.wav"):
        assert isinstance(found[name], str), name


def test_extract_lists_what_failed_and_keeps_the_rest(
    folder: Path, found: dict[str, int | str], tmp_path: Path
) -> None:
    names = sorted(found)[::3]
    rows = [{"id": name, "audio": str(folder / name)} for name in names]
    manifest = write_table(tmp_path / "manifest.csv", rows)
    votes = [{"id": name, "rater": "r", "label": "sad"} for name in names]
    write_table(tmp_path / "votes.csv", votes)
    finished = extract(manifest, "--quiet", encoders=("--audio-encoder", "mel"))
    content = read_cache(manifest)
    good, bad = vectors(content), reasons(content)
    assert finished.status == 1
    assert sorted([*good, *bad]) == names
    for name in names:
        outcome = found[name]
        is_good = isinstance(outcome, int) and outcome >= 400
        assert (name in good) == is_good, (name, outcome, bad.get(name))
    assert all(f"failed: {name} (audio): {reason}" in finished.err for name, reason in bad.items())
