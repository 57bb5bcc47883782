"""`amber extract` on a disk that keeps no more than it was asked to: only what fsync has seen."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from amber_cache.config import ExtractConfig
from amber_cache.extract import extract
from amber_cache.jobs import encoding
from amber_cache.jobs.backends import Workers
from amber_cache.jobs.journal import Journal
from amber_cache.store import verify_cache
from tests.made_corpora import make_corpus
from tests.test_cli_merge import content
from tests.test_cli_workers import IN_TURN, encoded_rows

#: What a folder holds, by path; None for a folder.
State: TypeAlias = dict[str, bytes | None]

NUM = 4

#: Moments that are tried out, evenly drawn.
NUM_TRIED = 9


class Disk:
    """A folder, and what would be left of it if the power went.

    A file's bytes are those of its last sync, or none. A name is there if its folder was synced
    since (`strict`), or at once, as on a file system that is quick with names and slow with bytes.

    Attributes:
        moments: States as they would be left, each with how many inputs were recorded by then.
    """

    def __init__(self, root: Path, *, strict: bool) -> None:
        self.root, self.strict = root, strict
        self._recorded: set[tuple[str, int]] = set()
        self.moments: list[tuple[State, int]] = []
        self._bytes: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self._kinds: dict[int, bool] = {}
        self._held: list[int] = []  # open files, so that no other gets the number of a former one
        self._lock = threading.RLock()
        self._sync(os.open(root, os.O_RDONLY))

    def note(self) -> None:
        """Remember what would be left now, if it is something new."""
        with self._lock:
            state: State = {}
            self._walk(os.stat(self.root).st_ino, self.root, "", state)
            moment = state, len(self._recorded)
            if not self.moments or self.moments[-1] != moment:
                self.moments.append(moment)

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """See every sync, and the moments around every other step."""
        fsync, write = os.fsync, Journal.write

        def synced(descriptor: int) -> None:
            self.note()
            fsync(descriptor)
            self._sync(os.dup(descriptor))
            self.note()

        def wrote(journal: Journal, done: Any) -> None:
            write(journal, done)
            with self._lock:
                for _, outcomes in done:
                    self._recorded |= {(journal.stem.name, row) for row, _, _ in outcomes}
            self.note()

        patch.setattr(os, "fsync", synced)
        patch.setattr(Journal, "write", wrote)
        for name in ("replace", "unlink", "rmdir", "mkdir", "pwrite"):
            patch.setattr(os, name, self._noted(getattr(os, name)))

    def _noted(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **how: Any) -> Any:
            result = original(*arguments, **how)
            self.note()
            return result

        return noted

    def _sync(self, descriptor: int) -> None:
        with self._lock:
            found = os.fstat(descriptor)
            self._held.append(descriptor)
            path = self._path(found)
            if path is None:  # outside, or without a name by now
                return
            if stat.S_ISDIR(found.st_mode):
                self._names[found.st_ino] = {one.name: one.inode() for one in os.scandir(path)}
                self._kinds |= {one.inode(): one.is_dir() for one in os.scandir(path)}
            else:
                self._bytes[found.st_ino] = path.read_bytes()

    def _path(self, found: os.stat_result) -> Path | None:
        here = [self.root, *self.root.rglob("*")]
        return next((one for one in here if os.path.samestat(one.stat(), found)), None)

    def _walk(self, inode: int, path: Path, name: str, state: State) -> None:
        if self.strict:
            names = self._names.get(inode, {})
        else:
            names = {one.name: one.inode() for one in os.scandir(path)}
            self._kinds |= {one.inode(): one.is_dir() for one in os.scandir(path)}
        for one, number in sorted(names.items()):
            place = f"{name}/{one}" if name else one
            if self._kinds[number]:
                state[place] = None
                self._walk(number, path / one, place, state)
            else:
                state[place] = self._bytes.get(number, b"")


def put(state: State, folder: Path) -> None:
    """Make a folder as a state has it."""
    shutil.rmtree(folder)
    folder.mkdir()
    for name, data in state.items():
        if data is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(data)


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 600)
    monkeypatch.setitem(encoding.TEXT_BUDGET, "cpu", 20)
    make_corpus(tmp_path / "corpus", num=NUM)
    return tmp_path / "corpus/manifest.csv"


def run(manifest: Path, out: Path, workers: Workers | None = None) -> None:
    config = ExtractConfig(
        corpus="manifest",
        root=manifest,
        cache=out / "cache.h5",
        audio_encoder="mel",
        text_encoder="hash",
    )
    extract(config, workers=workers)


def moments(
    manifest: Path, out: Path, *, strict: bool, workers: Workers | None
) -> list[tuple[State, int]]:
    """What a run leaves, had the power gone at any of its moments, alike ones once."""
    out.mkdir()
    disk = Disk(out, strict=strict)
    with pytest.MonkeyPatch.context() as patch:
        disk.watch(patch)
        run(manifest, out, workers)
    assert list(out.iterdir()) == [out / "cache.h5"]
    alike: dict[str, tuple[State, int]] = {}
    for state, num_recorded in disk.moments:  # the later one, which has recorded as much or more
        alike[repr(state)] = state, num_recorded
    return list(alike.values())


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("workers", [None, IN_TURN])
def test_whenever_the_power_goes_nothing_recorded_is_lost_and_nothing_wrong_is_there(
    manifest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    strict: bool,
    workers: Workers | None,
) -> None:
    out = tmp_path / "out"
    found = moments(manifest, out, strict=strict, workers=workers)
    wanted = content(out / "cache.h5")
    rows = encoded_rows(monkeypatch)
    assert len(found) > NUM_TRIED
    for place in range(NUM_TRIED):
        state, num_recorded = found[place * (len(found) - 1) // (NUM_TRIED - 1)]
        put(state, out)
        if "cache.h5" in state:
            assert content(out / "cache.h5") == wanted  # whole, or not there
        rows.clear()
        run(manifest, out)
        assert len(rows) <= 2 * NUM - num_recorded
        assert content(out / "cache.h5") == wanted
        assert list(out.iterdir()) == [out / "cache.h5"]
    assert verify_cache(out / "cache.h5").ok
