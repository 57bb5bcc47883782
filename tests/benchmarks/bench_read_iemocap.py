"""How long the IEMOCAP reader takes for a made-up release of the real size, audio not decoded.

The folder has 151 dialogues, 10,039 utterances with four raters each, and a stand-in WAV file for
every one. The rival is a plain read of the same 302 text files, split into lines.

Usage: python tests/benchmarks/bench_read_iemocap.py [--rounds 5] [--no-audio]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from amber_cache.corpora.iemocap import read_iemocap  # noqa: E402
from tests.fake_iemocap import make_iemocap  # noqa: E402


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def plain_read(root: Path) -> int:
    """The lines of every text file."""
    return sum(len(path.read_bytes().split(b"\n")) for path in root.rglob("Ses*.txt"))


def main() -> None:
    """Make the release, read it several times, print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-audio", action="store_true", help="make no WAV files")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made_s = seconds(lambda: make_iemocap(root, real_size=True, audio=not asked.no_audio))
        times_s = [seconds(lambda: read_iemocap(root)) for _ in range(asked.rounds)]
        plain_s = statistics.median(seconds(lambda: plain_read(root)) for _ in range(asked.rounds))
        corpus = read_iemocap(root)
    num_votes = sum(len(one.votes) for one in corpus.utterances)
    median_s = statistics.median(times_s)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(f"{len(corpus.utterances)} utterances, {num_votes} votes; made in {made_s:.2f} s")
    print(f"read in {median_s:.2f} s (median of {asked.rounds}; {min(times_s):.2f} to ", end="")
    print(f"{max(times_s):.2f}); the files' lines alone {plain_s:.3f} s; the target is under 5 s")


if __name__ == "__main__":
    main()
