"""What all tests share: a demo cache and finished runs, made once through the command line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock

from tests.commands import amber, run_folders

# The same examples every time, and no deadline: a busy machine is no reason to fail.
hypothesis.settings.register_profile("amber", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("amber")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AMBER_")]:
        monkeypatch.delenv(name)


def once(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], None]) -> Path:
    """A folder for all workers, filled by the one that asks for it first."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # each worker has a folder of its own in it
    folder, filled = root / f"once-{name}", root / f"once-{name}.filled"
    with FileLock(root / f"once-{name}.lock"):
        if not filled.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed in the middle
            folder.mkdir()
            fill(folder)
            filled.touch()
    return folder


@pytest.fixture(scope="session")
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo corpus's cache; not to be changed by a test."""

    def fill(folder: Path) -> None:
        finished = amber("extract", "--quiet", cwd=folder)
        assert finished.status == 0, finished.err

    return once(tmp_path_factory, "demo", fill) / "data" / "cache.h5"


@pytest.fixture
def workplace(demo_cache: Path, tmp_path: Path) -> Path:
    """An empty folder with a copy of the demo cache at its default place."""
    (tmp_path / "data").mkdir()
    shutil.copy(demo_cache, tmp_path / "data" / "cache.h5")
    return tmp_path


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, texts and votes in `corpus`, their `cache.h5` by the built-in encoders, and two
    runs on it, `js` and `amber2`; not to be changed by a test.
    """
    from tests.small_runs import small_run
    from tests.spoken_corpus import BUILTIN, extract_corpus, write_corpus

    def fill(place: Path) -> None:
        extract_corpus(write_corpus(place / "corpus"), place / "cache.h5", *BUILTIN)
        small_run(place / "cache.h5", place / "js", "--loss", "js")
        small_run(place / "cache.h5", place / "amber2")

    return once(tmp_path_factory, "spoken", fill)


@pytest.fixture(scope="session")
def hostile_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report, transcripts included, of a corpus whose every word is an attack; read only."""
    from tests.hostile import hostile_cache, hostile_run

    def fill(folder: Path) -> None:
        hostile_run(folder / "run")
        hostile_cache(folder / "cache.h5")
        finished = amber(
            "report", "run", "--out", "report", "--with-text", "--cache", "cache.h5", cwd=folder
        )
        assert finished.status == 0, finished.err

    return once(tmp_path_factory, "hostile", fill) / "report"


@pytest.fixture(scope="session")
def trained_runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A CB-CE fit and an AmbER2 grid, both small; read only."""
    from tests.small_caches import small_cache

    folder = tmp_path_factory.mktemp("trained")
    small_cache(folder / "cache.h5")
    few = ("--cache", "cache.h5", "--seeds", "2", "--epochs", "2", "--hidden", "8", "--quiet")
    for command in (("fit", "--loss", "cb-ce"), ("grid", "--grid", "kappa=2,4")):
        finished = amber(*command, *few, cwd=folder)
        assert finished.status == 0, finished.err
    return run_folders(folder)
