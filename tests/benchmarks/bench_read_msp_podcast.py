"""How long the MSP-Podcast reader takes, and how much memory, on a made-up release of real size.

207,000 segments, 1.2 million raters' lines (about 2.7 million votes with the secondary ones, 3.6
million ratings), a transcript each. Every shape of label file is read in a process of its own;
peak memory is that process's, with Python and amber in it.

Usage: python tests/benchmarks/bench_read_msp_podcast.py [--segments 207000] [--votes 1200000]
"""

from __future__ import annotations

import argparse
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

SHAPES = {
    "labels_detailed.csv, lines": "labels_detailed.csv",
    "labels_detailed.csv, columns": "labels_detailed.csv",
    "labels.txt": "labels.txt",
    "labels_detailed.json": "labels_detailed.json",
}


def make(root: Path, num_segments: int, num_votes: int) -> None:
    """Make the release in each shape; audio and transcripts are shared."""
    from tests.fake_msp_podcast import make_msp_podcast

    for number, (shape, name) in enumerate(SHAPES.items()):
        make_msp_podcast(
            root / str(number),
            num_segments=num_segments,
            num_votes=num_votes,
            num_raters=15_000,
            label_files=(name,),
            detailed="columns" if "columns" in shape else "lines",
            has_media=number == 0,
        )
        for folder in ("Audios", "Transcripts") if number else ():
            (root / str(number) / folder).symlink_to(root / "0" / folder)


def read(root: Path) -> None:
    """Read one release, and print what it took."""
    from amber_cache.corpora.msp_podcast import read_msp_podcast

    began, began_cpu = time.perf_counter(), time.process_time()
    corpus = read_msp_podcast(root)
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # KiB on Linux
    num_primary = sum(vote.primary for one in corpus.utterances for vote in one.votes)
    num_votes = sum(len(one.votes) for one in corpus.utterances)
    counts = f"{len(corpus.utterances)} segments, {num_primary} primary of {num_votes} votes"
    print(f"{seconds:6.1f} s ({cpu:.1f} s of CPU)  {peak:5.2f} GiB  {counts}")


def main() -> None:
    """Make the releases, and read each in a fresh process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--segments", type=int, default=207_000)
    parser.add_argument("--votes", type=int, default=1_200_000)
    parser.add_argument("--read", type=Path, help="only read this release")
    arguments = parser.parse_args()
    if arguments.read:
        read(arguments.read)
        return
    print(f"Python {platform.python_version()}, {platform.machine()}")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        make(Path(folder), arguments.segments, arguments.votes)
        print(f"made in {time.perf_counter() - began:.0f} s")
        for number, shape in enumerate(SHAPES):
            print(f"{shape:30s}", end="", flush=True)
            place = str(Path(folder) / str(number))
            subprocess.run([sys.executable, __file__, "--read", place], check=True)


if __name__ == "__main__":
    main()
