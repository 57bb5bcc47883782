"""How long `amber report` takes, and how large its page is with ten thousand utterances.

python -m tests.benchmarks.bench_report RUN...     # on runs of your own
python -m tests.benchmarks.bench_report            # on 10,000 made-up utterances, five seeds
python -m tests.benchmarks.bench_report 100000 2   # on so many, with so many seeds
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from amber_heads.report import make_report
from amber_heads.reporting.contents import ReportConfig
from tests.report_runs import make_run

NUMBER, SEEDS = 10_000, 5


def measure(runs: tuple[Path, ...], out: Path) -> None:
    """Make one report; print its seconds, each step's, and its bytes."""
    started, steps = time.perf_counter(), []

    def progress(what: str, done: int, total: int) -> None:
        steps.append(f"{what} {time.perf_counter() - started:.1f} s")

    made = make_report(ReportConfig(runs=runs, names={}), out=out, progress=progress)
    seconds = time.perf_counter() - started
    page = (made.folder / "report.html").stat().st_size
    print(
        f"{made.num_systems} systems, {made.num_utterances} utterances: {seconds:.1f} s, ", end=""
    )
    print(f"page {page / 1e6:.2f} MB ({', '.join(steps)})")


def _make_large(folder: Path, number: int = NUMBER, seeds: int = SEEDS) -> None:
    """Two systems with three heads each, eight classes."""
    heads = [f"{one}/{head}" for one in ("amber2", "cb-ce") for head in ("audio", "text", "fusion")]
    make_run(
        folder,
        heads=heads,
        number=number,
        classes=("neutral", "happy", "angry", "sad", "disgust", "fear", "surprise", "contempt"),
        num_raters=6,
        seeds=range(seeds),
        ids=[f"MSP-PODCAST_{i:04d}_{i % 977:04d}.wav" for i in range(number)],
    )


def main() -> None:
    """Measure the given runs, or a large made-up one."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        sizes = [int(one) for one in sys.argv[1:] if one.isdecimal()]
        runs = tuple(map(Path, sys.argv[1:]))
        if sizes or not runs:
            runs = (place / "run",)
            _make_large(runs[0], *sizes)
        measure(runs, place / "report")


if __name__ == "__main__":
    main()
