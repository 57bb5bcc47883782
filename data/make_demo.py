"""Make the demo corpus: synthetic speech, simulated raters, and what lies behind both.

`python data/make_demo.py [--out DIR]` has espeak-ng (Debian, Ubuntu: apt install espeak-ng) speak
the plan of demo_plan.py and writes DIR/{manifest,votes,truth}.csv, DIR/audio/*.ogg, DIR/README.md
and DIR/LICENSE. The tables are the same everywhere; the audio depends on the version of
espeak-ng, which the README names. Levels are in dB of full scale.
"""

from __future__ import annotations

import argparse
import io
import math
import re
import struct
import subprocess
import tomllib
import zlib
from pathlib import Path
from string import Template
from xml.sax.saxutils import escape

import numpy as np
import soundfile
import soxr
from demo_plan import OUTSIDE, RATERS, Line, make_plan, tables

HERE = Path(__file__).resolve().parent
SAMPLING_RATE_HZ = 16_000
#: Of libsndfile, 0 (best) to 1 (smallest).
COMPRESSION = 1.0
#: Translates each byte into the one with its bits in reverse order.
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
#: (espeak-ng voice, base pitch), one speaker of each gender a session.
VOICES = {
    "F": [("en-us+f2", 50), ("en-gb+f2", 50), ("en-us+f3", 50), ("en-gb+f3", 50), ("en-us+f4", 48)],
    "M": [("en-us+m3", 46), ("en-gb+m1", 46), ("en-us+m7", 44), ("en-gb+m3", 46), ("en-us+m2", 44)],
}
WORDS_A_MINUTE, LEVEL_DB, HISS_DB = 170.0, -25.0, -72.0


def speak(line: Line) -> np.ndarray:
    """Speak one line with espeak-ng and set its timbre and level: (samples,) float64, 16 kHz."""
    rate, pitch, pitch_range, level, tilt = line.prosody
    voice, base_pitch = VOICES[line.speaker[-1]][int(line.session[-2:]) - 1]
    command = ["espeak-ng", "-v", voice, "-m", "-z", "--stdout"]
    command += ["-s", str(round(WORDS_A_MINUTE * math.exp(rate)))]
    command += ["-p", str(round(min(max(base_pitch + pitch, 0), 99)))]
    markup = f'<prosody range="{round(max(pitch_range, -95)):+d}%">{escape(line.text)}</prosody>'
    wav = subprocess.run([*command, markup], check=True, capture_output=True).stdout
    samples, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float64")
    return finish(soxr.resample(samples, rate_hz, SAMPLING_RATE_HZ), level=level, tilt=tilt)


def finish(samples: np.ndarray, *, level: float, tilt: float) -> np.ndarray:
    """Tilt the spectrum, set the level, add a faint hiss (a room is never digitally silent)."""
    samples = samples - tilt * np.concatenate([[0.0], samples[:-1]])
    samples *= 10 ** ((LEVEL_DB + level) / 20) / np.sqrt(np.mean(samples**2))
    hiss = np.random.default_rng(len(samples)).normal(size=len(samples))
    samples += 10 ** (HISS_DB / 20) * hiss
    samples *= min(1.0, 0.9 / np.abs(samples).max())  # Vorbis overshoots: keep clear of 1
    return samples


def encode(samples: np.ndarray, *, serial: int) -> bytes:
    """Ogg Vorbis whose bytes depend on its arguments alone.

    libsndfile draws the stream's serial number from the clock; here every page gets a given one,
    and its checksum anew (RFC 3533, section 6).
    """
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLING_RATE_HZ, format="OGG", compression_level=COMPRESSION)
    data, start = bytearray(file.getvalue()), 0
    while start < len(data):
        lacing_end = start + 27 + data[start + 26]
        end = lacing_end + sum(data[start + 27 : lacing_end])
        data[start + 14 : start + 18] = struct.pack("<I", serial)
        data[start + 22 : start + 26] = bytes(4)
        data[start + 22 : start + 26] = ogg_checksum(bytes(data[start:end]))
        start = end
    return bytes(data)


def ogg_checksum(page: bytes) -> bytes:
    """The page's CRC-32, four bytes: zlib's polynomial with bits reversed, nothing inverted."""
    ones = 0xFFFFFFFF
    crc = zlib.crc32(page.translate(REVERSED_BITS), ones) ^ ones
    return crc.to_bytes(4, "big").translate(REVERSED_BITS)


def espeak_version() -> str:
    """The version of espeak-ng here, such as "1.51".

    Raises:
        SystemExit: There is none, with what to install.
    """
    try:
        said = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True).stdout
    except FileNotFoundError:
        raise SystemExit(
            "make_demo.py: espeak-ng was not found on the PATH; it speaks the sentences: "
            "install the package espeak-ng (apt install espeak-ng, brew install espeak-ng)"
        ) from None
    found = re.search(r"\d+(\.\d+)+", said.decode())
    return found.group() if found else "of unknown version"


README = Template("""\
# The demo corpus: synthetic speech, simulated raters

**Nobody speaks here and nobody listened.** The voice is the speech synthesiser espeak-ng, the
raters are a formula. The corpus lets every command run on a fresh checkout and gives tests a truth
to check against; results on it say nothing about how people express or hear emotion.

$utterances utterances, $minutes minutes, mono Ogg Vorbis at 16 kHz: 5 sessions of two speakers (F
and M, another voice in each session) with 30 utterances each, in 6 dialogues a session. A dialogue
is a group of utterances, its lines do not answer each other. No line is spoken twice.

| file | what it holds |
|---|---|
| manifest.csv | one row an utterance; `consensus`: what more than half of the votes say, or empty |
| votes.csv | one row a vote, six an utterance |
| truth.csv | what lies behind each utterance; for tests and plots, not for training |
| audio/ | one file an utterance |

truth.csv has the emotion of the voice, that of the words, whether the two conflict, and how fully
the voice shows its emotion (0.6 to 1, the rest is neutral).

**How it was made.** $conflicts of the $utterances utterances say one emotion and sound like
another, each emotion equally often; in the others voice and words agree. An emotion moves rate,
pitch, pitch range, level and timbre of the voice, as far as it is expressed, and every utterance
deviates by chance, so that the emotions overlap. A rater's evidence for an emotion is
`w * voice + (1 - w) * words`, where the part of the voice that is not expressed counts as neutral;
the choice is drawn from the softmax of sensitivity times evidence. Now and then a rater slips and
takes any emotion, or has another word for the one heard ($outside % of the votes).

| rater | w, weight of the voice | sensitivity | slips |
|---|---|---|---|
$raters

Other words: $wording.

The tables come from `data/demo_plan.py` and are the same everywhere. The audio was spoken by
espeak-ng $version; other versions sound a little different. `python data/make_demo.py` makes
everything anew.

All of it is CC0 1.0: see LICENSE.
""")
LICENSE = """\
The demo corpus (texts, synthetic speech, simulated votes and tables in this folder) is dedicated to
the public domain under CC0 1.0 Universal: https://creativecommons.org/publicdomain/zero/1.0/

To the extent possible under law, its authors have waived all copyright and related or neighboring
rights to it. It comes without warranty of any kind.
"""


def readme(plan: list[Line], *, seconds: float, version: str) -> str:
    """The corpus's README, with its counts and the raters as they are in the plan."""
    labels = [vote for line in plan for vote in line.votes]
    return README.substitute(
        utterances=len(plan),
        minutes=round(seconds / 60),
        conflicts=sum(line.voice != line.words for line in plan),
        outside=f"{100 * sum(label not in OUTSIDE for label in labels) / len(labels):.1f}",
        raters="\n".join(
            f"| {r.name} | {r.voice:.2f} | {r.sensitivity:g} | {r.slip:.0%} |" for r in RATERS
        ),
        wording=", ".join(
            f"{word} for {emotion} {chance:.0%}"
            for emotion, words in OUTSIDE.items()
            for word, chance in words.items()
        ),
        version=version,
    )


def main() -> None:
    """Write the whole corpus to the folder that was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "demo", metavar="DIR")
    out: Path = parser.parse_args().out
    version = espeak_version()  # before anything is written
    plan = make_plan(tomllib.loads((HERE / "demo_sentences.toml").read_text(encoding="utf-8")))
    (out / "audio").mkdir(parents=True, exist_ok=True)
    seconds = 0.0
    for number, line in enumerate(plan, start=1):
        samples = speak(line)
        (out / "audio" / f"{line.id}.ogg").write_bytes(encode(samples, serial=number))
        seconds += len(samples) / SAMPLING_RATE_HZ
    texts = {"README.md": readme(plan, seconds=seconds, version=version), "LICENSE": LICENSE}
    for name, content in {**tables(plan), **texts}.items():
        (out / name).write_text(content, encoding="utf-8", newline="\n")
    print(f"{len(plan)} utterances, {seconds:.0f} s of speech by espeak-ng {version} in {out}")


if __name__ == "__main__":
    main()
