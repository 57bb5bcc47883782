"""Files that are made to harm who opens them, and what must come of each.

    python -m tests.hostile_files FOLDER           makes them all, a folder each
    python -m tests.hostile_files FOLDER --open    opens them, in bounded memory and time
    python -m tests.hostile_files FOLDER --only NAME    one of them

Opening prints a line of JSON a command: the file, its exit status, what it said. A command that
takes longer than `MOST_S` is ended and has the exit status "too long"; the process can't take more
than `MOST_MEMORY_BYTES` beside what it had before the first file.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.commands import Finished, amber
from tests.hostile_caches import hostile_caches
from tests.hostile_kinds import Hostile
from tests.hostile_runs import hostile_runs
from tests.hostile_transcripts import hostile_transcripts
from tests.small_caches import small_cache, utterances

#: Far more than anything here needs, and far less than the files ask for.
MOST_S, MOST_MEMORY_BYTES = 30, 1 << 30

_FAST = ("--epochs", 1, "--hidden", 4, "--seeds", "0,1", "--num-folds", 3, "--workers", 1)
_FIT = ("fit", "--cache", "data/cache.h5", *_FAST, "--quiet")

_USES = (("predict", "run", "data/cache.h5"), ("eval", "run", "--cache", "data/cache.h5"))
_REPORT = ("report", "run", "--out", "told")

#: Of another corpus, so that what the run was trained on is read from its predictions.h5.
_ELSEWHERE = ("eval", "run", "--cache", "data/other.h5")

#: What is done with a file of each kind, in its folder.
COMMANDS: dict[str, tuple[tuple[object, ...], ...]] = {
    "cache": (
        ("verify", "cache.h5"),
        ("fit", "--cache", "cache.h5", *_FAST, "--quiet"),
    ),
    "heard": (
        ("verify", "cache.h5"),
        ("export", "--cache", "cache.h5", "--out", "shared.h5", "--quiet"),
    ),
    "setting": (
        ("fit", "--cache", "data/cache.h5", "--config", "config.json", "--out", "new", "--quiet"),
    ),
    "config": ((*_FIT, "--out", "run"), ("export", "run", "--onnx", "run.onnx"), *_USES, _REPORT),
    "told": (*_USES, _ELSEWHERE),
    "listing": ((*_FIT, "--out", "run"),),
    "summary": ((*_FIT, "--out", "run"), _REPORT),
    "model": (("export", "run", "--onnx", "run.onnx"), *_USES),
    "kept": ((*_FIT, "--out", "again"),),
    "predictions": (("read_predictions", "run"), _REPORT),
    "seen": (_ELSEWHERE,),
}


#: What needs no run beside it.
_ALONE = ("cache", "heard")


class _TooLongError(BaseException):
    """A command took longer than it may; no handler of errors takes it for one."""


def all_files() -> list[Hostile]:
    """Every trap."""
    return [*hostile_caches(), *hostile_transcripts(), *hostile_runs()]


def make(folder: Path, chosen: Sequence[Hostile]) -> None:
    """Make traps, each in a folder of its own."""
    sound = folder / ".sound"
    if any(one.kind not in _ALONE for one in chosen):
        _make_sound(sound)
    for one in chosen:
        place = folder / one.name
        if one.kind in _ALONE:
            place.mkdir()
        else:
            shutil.copytree(sound, place)
        one.make(place)


def open_all(folder: Path, chosen: Sequence[Hostile]) -> Iterator[dict[str, Any]]:
    """Open traps in bounded memory and time; what came of each command."""
    from amber_heads import (  # noqa: F401  before memory is bounded
        evaluate_run,
        experiment,
        exporting,
        predict,
        report,
        training,
    )

    first = _address_space()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (first + MOST_MEMORY_BYTES, hard))
    for one in chosen:
        for command in COMMANDS[one.kind]:
            finished = _bounded(command, folder / one.name)
            yield {
                "name": one.name,
                "command": command[0],
                "status": finished.status,
                "said": (finished.err or finished.out)[:100_000],
                "code_was_run": (folder / one.name / "code-was-run").exists(),
            }


def _make_sound(folder: Path) -> None:
    """What all traps but the caches start from: a cache, a run on it, what is kept of it."""
    made = utterances(24, num_sessions=3)
    small_cache(folder / "data" / "cache.h5", made)
    small_cache(folder / "data" / "other.h5", made[:12])
    finished = amber(*_FIT, "--out", "run", cwd=folder)
    assert finished.status == 0, finished.err


def _bounded(command: tuple[object, ...], folder: Path) -> Finished:
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(MOST_S)
    try:
        if command[0] == "read_predictions":
            return _read_predictions(folder / str(command[1]))
        return amber(*command, cwd=folder)
    except _TooLongError:
        return Finished(-1, "", "too long")
    finally:
        signal.alarm(0)


def _read_predictions(folder: Path) -> Finished:
    from amber_cache.errors import RunError
    from amber_heads.ambiguity import read_predictions

    try:
        read_predictions(folder)
    except RunError as error:
        return Finished(2, "", f"amber: {error}")
    return Finished(0, "", "")


def _too_long(number: int, frame: object) -> None:
    raise _TooLongError


def _address_space() -> int:
    """Bytes of this process's address space, which is what the limit counts."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--open", action="store_true", help="open what was made before")
    parser.add_argument("--both", action="store_true", help="make them, then open them")
    parser.add_argument("--only", help="the one of this name")
    asked = parser.parse_args()
    chosen = [one for one in all_files() if asked.only in (None, one.name)]
    if not asked.open:
        asked.folder.mkdir(parents=True, exist_ok=True)
        make(asked.folder, chosen)
    if not (asked.open or asked.both):
        print(f"{asked.folder}: {len(chosen)} file{'s' * (len(chosen) != 1)}")
        return
    for found in open_all(asked.folder, chosen):
        print(json.dumps(found), flush=True)
    print(f"peak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss} KiB", file=sys.stderr)


if __name__ == "__main__":
    _main()
