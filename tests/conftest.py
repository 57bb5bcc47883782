"""What all tests share: a demo cache and finished runs, made once through the command line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import hypothesis
import pytest

from tests.commands import amber

# The same examples every time, and no deadline: a busy machine is no reason to fail.
hypothesis.settings.register_profile("amber", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("amber")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AMBER_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo corpus's cache; not to be changed by a test."""
    folder = tmp_path_factory.mktemp("demo")
    finished = amber("extract", "--quiet", cwd=folder)
    assert finished.status == 0, finished.err
    return folder / "data" / "cache.h5"


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

    place = tmp_path_factory.mktemp("spoken")
    extract_corpus(write_corpus(place / "corpus"), place / "cache.h5", *BUILTIN)
    small_run(place / "cache.h5", place / "js", "--loss", "js")
    small_run(place / "cache.h5", place / "amber2")
    return place
