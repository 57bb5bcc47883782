"""The installed wheel works outside the checkout, and brings the demo corpus with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.commands import ROOT

DEMO = "amber_cache/corpora/demo_data"

needs_hatchling = pytest.mark.skipif(
    find_spec("hatchling") is None, reason="hatchling is not installed: no wheel can be built"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    quick = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *quick, "--wheel-dir", folder, ROOT],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def _amber(unpacked: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The unpacked wheel's command line, in a process that knows nothing of the checkout."""
    # First on the path, so that it comes before the checkout of an editable installation.
    code = f"import sys; sys.path.insert(0, {str(unpacked)!r}); import cli; cli.main(sys.argv[1:])"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_the_project_says_what_goes_into_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    target = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(target["only-include"]) == {"amber_cache", "amber_heads", "cli.py"}
    assert target["force-include"] == {"data/demo": DEMO}
    assert project["project"]["scripts"] == {"amber": "cli:main"}


@needs_hatchling
def test_the_wheel_holds_both_packages_the_command_line_and_the_demo_corpus(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    for package in ("amber_cache", "amber_heads"):
        wanted = {str(p.relative_to(ROOT)) for p in (ROOT / package).rglob("*.py")}
        assert wanted <= held
        assert f"{package}/py.typed" in held
    corpus = [p for p in (ROOT / "data" / "demo").rglob("*") if p.is_file()]
    assert {f"{DEMO}/{p.relative_to(ROOT / 'data' / 'demo')}" for p in corpus} <= held
    assert {name.split("/")[0] for name in held if ".dist-info" not in name} == {
        "amber_cache",
        "amber_heads",
        "cli.py",
    }


@needs_hatchling
def test_the_wheels_metadata_names_command_licence_and_needs(unpacked: Path) -> None:
    (info,) = unpacked.glob("*.dist-info")
    described = Parser().parsestr((info / "METADATA").read_text(encoding="utf-8"))
    assert described["Name"] == "amber-ser"
    assert described["License-Expression"] == "MIT"
    assert (info / "licenses" / "LICENSE").is_file()
    assert any(one.startswith("torch") for one in described.get_all("Requires-Dist"))
    assert "amber = cli:main" in (info / "entry_points.txt").read_text()


@needs_hatchling
def test_an_unpacked_wheel_finds_its_demo_corpus_far_from_the_checkout(
    unpacked: Path, tmp_path: Path
) -> None:
    done = _amber(unpacked, "extract", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("data/cache.h5: written: 300 utterances of demo")
    assert (tmp_path / "data" / "cache.h5").is_file()


@needs_hatchling
def test_without_its_demo_corpus_it_says_so_in_a_line(unpacked: Path, tmp_path: Path) -> None:
    corpus = unpacked / DEMO
    corpus.rename(tmp_path / "elsewhere")
    try:
        done = _amber(unpacked, "extract", cwd=tmp_path)
    finally:
        (tmp_path / "elsewhere").rename(corpus)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "the demo corpus is not there" in line
    assert [one.name for one in tmp_path.iterdir()] == []
