"""Kill `amber extract` again and again, start it again, and hold what comes out to a clean run.

Usage: python tests/benchmarks/kill_extract.py [--kills 60] [--num 300] [--seed 0]

The demo corpus (or its first utterances) goes through a tiny wav2vec2 and a tiny BERT with random
weights. A run is ended by SIGKILL at a random moment; by SIGKILL inside a chosen call, in decoding,
encoding, writing (half of the bytes written), syncing, reserving, assembly, renaming or tidying up;
by SIGTERM and SIGINT; by an error of the disk at a chosen write; by a limit to the size of files;
and by a small tmpfs that is full, where one may be mounted. After each, what stands under the
cache's name must be what stood there before or the finished cache. When a job has been ended five
times, it is let run to its end: every dataset must equal the clean run's byte for byte. In every
second job the cache is there already, with other entries. Runs are forked from one process that has
imported torch, so that the killing falls on the work and not on imports.
"""

from __future__ import annotations

import argparse
import collections
import csv
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np

import cli
from amber_cache import audio
from amber_cache.jobs import (
    assembly,
    encoding,
    running,  # noqa: F401  what a run imports
)
from amber_cache.store import verify_cache
from tests.tiny_models import save_audio_model, save_text_model

#: Name -> dtype, shape, bytes.
Datasets: TypeAlias = dict[str, tuple[str, tuple[int, ...], bytes]]

DEMO = Path(__file__).parents[2] / "data" / "demo"
KILLS_A_JOB = 5

#: Where a run can be ended: the module that a function is looked up in, and its name.
CALLS: dict[str, tuple[Any, str]] = {
    "decode": (audio, "load"),
    "encode": (encoding, "_encode_batch"),
    "write": (os, "pwrite"),
    "sync": (os, "fsync"),
    "reserve": (os, "posix_fallocate"),
    "assembly": (assembly, "_write_vectors"),
    "rename": (os, "replace"),
    "tidy": (os, "unlink"),
}


@dataclass
class Place:
    """Corpus, models, and the command that is killed."""

    folder: Path
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        return self.folder / "out" / "cache.h5"

    @property
    def command(self) -> list[str]:
        models = ["--audio-encoder", "w2v", "--text-encoder", "tiny-bert"]
        return ["extract", "--corpus", "manifest", "--root", "corpus/manifest.csv", *models] + [
            *("--cache", str(self.cache), "--quiet")
        ]


def make_place(folder: Path, num: int) -> Place:
    """The first utterances of the demo as a manifest, and two tiny models."""
    with (DEMO / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:num]
    (folder / "corpus").mkdir()
    (folder / "corpus" / "audio").symlink_to(DEMO / "audio")
    shutil.copy(DEMO / "votes.csv", folder / "corpus" / "all-votes.csv")
    ids = {row["id"] for row in rows}
    with (DEMO / "votes.csv").open(encoding="utf-8", newline="") as file:
        votes = [row for row in csv.DictReader(file) if row["id"] in ids]
    for name, table in (("manifest.csv", rows), ("votes.csv", votes)):
        with (folder / "corpus" / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    save_audio_model(folder / "w2v", "wav2vec2-group")
    save_text_model(folder / "tiny-bert", "bert")
    (folder / "out").mkdir()
    return Place(folder)


def start(place: Place, prepare: Callable[[], None], *more: str) -> int:
    """Fork a process that runs the command; its id. Its stderr goes to a file."""
    pid = os.fork()
    if pid:
        return pid
    status = 99
    try:
        os.chdir(place.folder)
        target = os.open("stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(target, 2)
        os.dup2(target, 1)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        prepare()
        cli.main([*place.command, *more])
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 98
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def finish(pid: int) -> int:
    """Wait for a process: its exit status, or the signal that ended it, negative."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def at_call(name: str, number: int, act: Callable[[Any, Any], None]) -> Callable[[], None]:
    """Act at the n-th call of one of `CALLS`."""

    def prepare() -> None:
        home, attribute = CALLS[name]
        original, seen = getattr(home, attribute), [0]

        def hooked(*arguments: Any, **options: Any) -> Any:
            seen[0] += 1
            if seen[0] == number:
                act(original, arguments)
            return original(*arguments, **options)

        setattr(home, attribute, hooked)

    return prepare


def die(original: Any, arguments: Any) -> None:
    """SIGKILL; where bytes were to be written, half of them are."""
    if original is PWRITE:
        descriptor, data, place = arguments
        original(descriptor, bytes(data)[: len(bytes(data)) // 2], place)
    os.kill(os.getpid(), signal.SIGKILL)


def no_space(original: Any, arguments: Any) -> None:
    """What a full disk says."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


PWRITE = os.pwrite


def count_calls(place: Place) -> None:
    """Run once to the end, with every call of `CALLS` counted and timed."""

    def prepare() -> None:
        for name in CALLS:
            home, attribute = CALLS[name]
            original = getattr(home, attribute)

            def hooked(*a: Any, _name: str = name, _original: Any = original, **o: Any) -> Any:
                log.write(f"{_name}\n")
                return _original(*a, **o)

            setattr(home, attribute, hooked)

    with (place.folder / "calls.txt").open("w", buffering=1) as log:
        began = time.monotonic()
        status = finish(start(place, prepare))
        place.seconds = time.monotonic() - began
    assert status == 0, said_by(place)
    place.counts = dict(collections.Counter((place.folder / "calls.txt").read_text().split()))


def datasets(path: Path) -> Datasets:
    """Every dataset's dtype, shape and bytes."""
    found: Datasets = {}

    def take(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            values = node[()]
            text = values.dtype == object
            data = b"\0".join(values.tolist()) if text else np.asarray(values).tobytes()
            found[name] = str(values.dtype), values.shape, data

    with h5py.File(path) as file:
        file.visititems(take)
    return found


def nothing() -> None:
    """No preparation."""


def limit(size: int) -> Callable[[], None]:
    """No file may grow beyond a size; nor is bytecode written, which Python would leave cut off."""

    def prepare() -> None:
        sys.dont_write_bytecode = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return prepare


def end_once(place: Place, how: str, dice: random.Random) -> int:
    """Run the command and end it in one of the ways; how it ended."""
    kind, _, detail = how.partition(" ")
    if kind == "in":
        number = dice.randint(1, max(1, place.counts[detail]))
        return finish(start(place, at_call(detail, number, die)))
    if kind == "enospc":
        number = dice.randint(1, max(1, place.counts[detail]))
        return finish(start(place, at_call(detail, number, no_space)))
    if kind == "fsize":
        return finish(start(place, limit(dice.randint(1_000, 200_000))))
    pid = start(place, nothing)
    time.sleep(dice.uniform(0.0, place.seconds))
    os.kill(pid, getattr(signal, kind))
    return finish(pid)


def check_end(place: Place, how: str, status: int) -> None:
    """The exit status fits what was done, and the user is told in one line."""
    said = said_by(place)
    kind = how.split()[0]
    wanted = {
        "SIGKILL": (-9, 0),
        "in": (-9, 0),
        "SIGTERM": (143, -15, 0),  # -15: before the command had begun
        "SIGINT": (130, 0),
        "enospc": (2, 0),
        "fsize": (2, 0),
    }[kind]
    assert status in wanted, (how, status, said)
    if status in (2, 130, 143):
        assert said.count("\n") == 1, (how, status, said)
        assert said.startswith("amber: "), said


def ways() -> list[str]:
    """All ways to end a run, the random moment more often than the others."""
    inside = [f"in {name}" for name in CALLS]
    full = [f"enospc {name}" for name in ("write", "sync", "reserve")]
    return ["SIGKILL"] * 5 + inside + ["SIGTERM", "SIGINT"] + full + ["fsize"]


def check_tmpfs(place: Place, scene: Scene) -> str:
    """A disk that is really full, at several sizes; skipped where none can be mounted."""
    disk = place.folder / "out"
    needed = scene.num_bytes
    tried = 0
    for share in (0.5, 1.0, 2.0, 6.0):
        options = f"size={int(needed * share)}"
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
            return "no tmpfs could be mounted"
        try:
            status = finish(start(place, nothing))
            said = said_by(place)
            assert status in (0, 2), (share, status, said)
            assert said.count("\n") == 1, said
            assert place.cache.exists() == (status == 0)
            assert status == 0 or not list(disk.iterdir()), "a job that could not begin is left"
            assert status or datasets(place.cache) == scene.after
            tried += status == 2
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    return f"tmpfs: {tried} of 4 sizes were too small: each told in a line, and nothing left behind"


def main() -> None:
    """Kill, and say what was done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--num", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        place = make_place(Path(folder), arguments.num)
        print(run_all(place, arguments.kills, dice), flush=True)


def run_all(place: Place, kills: int, dice: random.Random) -> str:
    """End runs `kills` times; a summary."""
    scenes = [make_scene(place, beside=beside) for beside in (False, True)]
    tally: collections.Counter[str] = collections.Counter()
    jobs, queue = 0, []
    while tally.total() < kills:
        scene = scenes[jobs % 2]
        jobs += 1
        set_up(place, scene)
        for _ in range(min(KILLS_A_JOB, kills - tally.total())):
            queue = queue or dice.sample(ways(), len(ways()))
            status = end_once(place, queue[-1], dice)
            check_end(place, queue[-1], status)
            check_cache(place, scene)
            if status == 0:  # it had finished before it could be ended
                break
            tally[queue.pop()] += 1
        finish_job(place, scene)
    told = ", ".join(f"{how} {number}" for how, number in sorted(tally.items()))
    place.cache.unlink()
    return (
        f"ended {tally.total()} times ({told}); {jobs} jobs finished, every dataset equal to the "
        f"clean run's; a clean run takes {place.seconds:.1f} s\n{check_tmpfs(place, scenes[0])}"
    )


@dataclass
class Scene:
    """What stands there at first (None: nothing), and what a clean run makes of it."""

    former: Path | None
    before: Datasets
    after: Datasets
    num_bytes: int


def make_scene(place: Place, *, beside: bool) -> Scene:
    """Run clean, in an empty place or beside the built-in encoders' entries."""
    former = None
    if beside:
        builtin = ("--audio-encoder", "mel", "--text-encoder", "hash")
        assert finish(start(place, nothing, *builtin)) == 0, said_by(place)
        former = place.folder / "former.h5"
        shutil.copy(place.cache, former)
    before = datasets(former) if former else {}
    count_calls(place)
    num_bytes = place.cache.stat().st_size
    scene = Scene(former, before, datasets(place.cache), num_bytes)
    place.cache.unlink()
    return scene


def set_up(place: Place, scene: Scene) -> None:
    """Put what stands there at first."""
    place.cache.unlink(missing_ok=True)
    if scene.former:
        shutil.copy(scene.former, place.cache)


def check_cache(place: Place, scene: Scene) -> None:
    """No wrong cache stands there, half-written or otherwise."""
    found = datasets(place.cache) if place.cache.exists() else {}
    assert found in (scene.before, scene.after)
    for other in place.cache.parent.rglob("*"):
        if other != place.cache and other.is_file():
            assert not h5py.is_hdf5(other) or datasets(other) == scene.after, other


def finish_job(place: Place, scene: Scene) -> None:
    """Let the command run to its end, and hold the cache to the clean run's."""
    assert finish(start(place, nothing)) == 0, said_by(place)
    assert os.listdir(place.cache.parent) == ["cache.h5"]
    assert verify_cache(place.cache).ok
    found = datasets(place.cache)
    assert found == scene.after, [n for n in scene.after if found.get(n) != scene.after[n]]


def said_by(place: Place) -> str:
    """What the last run said."""
    return (place.folder / "stderr.txt").read_text()


if __name__ == "__main__":
    main()
