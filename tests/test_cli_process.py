"""The command line as a process of its own: full disks, Ctrl-C, closed pipes, what it imports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import ROOT, amber
from tests.small_caches import small_cache

FAST = ("fit", "--epochs", "1", "--hidden", "64", "--seeds", "1", "--quiet")

#: Lets no file grow beyond 100 kB; writes no bytecode, which Python would leave cut off for others.
LIMITED = """
import resource, sys
sys.dont_write_bytecode = True
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
"""

#: Tells every epoch, and hears Ctrl-C also where the tests run in the background.
TELLING = """
import signal, amber_cache.progress as progress
progress.PLAIN_INTERVAL_S = 0.0
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    small_cache(tmp_path / "data" / "cache.h5")
    return tmp_path


def _process(
    *arguments: str, cwd: Path, first: str = "", stdout: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    code = f"{first}\nimport sys, cli\ncli.main(sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def _names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_a_disk_that_is_full_leaves_nothing_behind(place: Path) -> None:
    process = _process(*FAST, cwd=place, first=LIMITED)
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("amber: runs/.trained/")
    assert "can't be kept there: File too large; make room or name another place" in line
    assert _names(place) == ["data"]


def test_a_disk_that_is_full_leaves_the_former_run_as_it_was(place: Path) -> None:
    assert amber(*FAST, "--out", "run", cwd=place).status == 0
    before = {one.name: one.read_bytes() for one in (place / "run").iterdir()}
    process = _process(*FAST, "--out", "run", "--overwrite", cwd=place, first=LIMITED)
    process.communicate()
    assert process.returncode == 2
    assert {one.name: one.read_bytes() for one in (place / "run").iterdir()} == before
    assert _names(place) == [".trained", "data", "run"]
    assert not list(place.rglob("*partial*"))


def _interrupted(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Ctrl-C, as a user would: again where it was lost, as inside a library's first imports."""
    try:
        for _ in range(6):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=10)
    finally:
        process.kill()
    raise AssertionError("it did not end in a minute")


def test_ctrl_c_in_the_middle_of_training_leaves_nothing_behind(place: Path) -> None:
    process = _process("fit", "--epochs", "100000", cwd=place, first=TELLING)
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")  # what leaks is told first
    assert any(line.startswith("training (run epochs): ") for line in lines)
    out, err = _interrupted(process)
    assert (process.returncode, out) == (130, "")
    last = err.splitlines()[-1]
    assert last == "amber: interrupted; nothing half-written is left"
    assert "Traceback" not in err
    assert _names(place) == ["data"]


#: Ctrl-C, as it comes while a module is imported.
INTERRUPTED = """
import sys
class Finder:
    def find_spec(name, path=None, target=None):
        if name == {name!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder)
"""


@pytest.mark.parametrize(
    "name", ["typer", "amber_cache.config", "amber_heads.configuration.use_options", "torch"]
)
def test_ctrl_c_in_the_first_imports_is_one_line(place: Path, name: str) -> None:
    process = _process(*FAST, cwd=place, first=INTERRUPTED.format(name=name))
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err == "amber: interrupted; nothing half-written is left\n"
    assert _names(place) == ["data"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [("verify", "data/cache.h5"), ("fit", "--help")])
def test_a_stdout_that_is_full_is_one_line_and_no_bug(
    place: Path, arguments: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        process = _process(*arguments, cwd=place, stdout=full.fileno())
        _, err = process.communicate()
    assert (process.returncode, err) == (2, "amber: No space left on device\n")


@pytest.mark.parametrize("arguments", [FAST, ("verify", "data/cache.h5"), ("--help",)])
def test_a_reader_that_has_enough_is_no_bug(place: Path, arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    process = _process(*arguments, cwd=place, stdout=writing)
    os.close(reading)
    os.close(writing)
    _, err = process.communicate()
    assert (process.returncode, err) == (1, "")


def test_a_stdout_without_arrows_still_gets_its_table(place: Path) -> None:
    encoding = "import sys; sys.stdout.reconfigure(encoding='ascii')"
    process = _process(*FAST, cwd=place, first=encoding)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "JS ?" in out


@pytest.mark.parametrize("command", [[], ["--help"], ["fit", "--help"], ["grid", "--help"]])
def test_help_brings_no_heavy_import(place: Path, command: list[str]) -> None:
    heavy = "'torch', 'transformers', 'h5py', 'numpy', 'scipy', 'soundfile'"
    last = f"import atexit; atexit.register(lambda: print(sorted({{{heavy}}} & set(sys.modules))))"
    process = _process(*command, cwd=place, first=f"import sys; {last}")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert out.startswith("Usage: amber")
    assert out.splitlines()[-1] == "[]"


def test_the_version_is_told(place: Path) -> None:
    assert amber("--version").out == "0.1.0\n"


def test_json_is_one_object_without_nan_and_progress_stays_away(place: Path) -> None:
    finished = amber("fit", *FAST[1:-1], "--json", cwd=place)
    assert (finished.status, finished.err) == (0, "")
    told = json.loads(finished.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert finished.out.count("\n") == 1
    assert told["folder"].startswith("runs/fit-")
    assert told["stored"] is False
    assert told["selected"]["heads"]["fusion"]["test"]["js"]["std"] is None  # of one seed
    stored = json.loads((place / told["folder"] / "summary.json").read_text())
    assert {name: told[name] for name in stored} == stored


def test_quiet_leaves_stderr_empty_and_the_results_whole(place: Path) -> None:
    loud = amber("fit", *FAST[1:-1], cwd=place)
    quiet = amber("fit", *FAST[1:], "--overwrite", cwd=place)
    assert "training" in loud.err
    assert (quiet.err, quiet.out) == ("", loud.out)


def test_an_error_is_no_json(place: Path) -> None:
    finished = amber("fit", "--kappa", -1, "--json", cwd=place)
    assert (finished.status, finished.out) == (2, "")
    assert len(finished.err.splitlines()) == 1
