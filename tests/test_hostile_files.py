"""Nothing that is opened runs code, waits, or takes memory without end; see hostile_files.py."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.commands import ROOT
from tests.hostile_files import COMMANDS, all_files
from tests.hostile_kinds import Hostile

ALL = all_files()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What came of every file, opened in a process that can't take more than a stated memory."""
    folder = tmp_path_factory.mktemp("hostile")
    script = [sys.executable, "-m", "tests.hostile_files", str(folder), "--both"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[dict[str, Any]]] = {}
    for line in done.stdout.splitlines():
        one = json.loads(line)
        found.setdefault(one["name"], []).append(one)
    return found


def test_there_are_many_and_each_has_its_name() -> None:
    assert len(ALL) >= 50
    assert max(Counter(one.name for one in ALL).values()) == 1


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_it_is_refused_in_one_line_or_passed_over(
    one: Hostile, opened: dict[str, list[dict[str, Any]]]
) -> None:
    found = opened[one.name]
    assert len(found) == len(COMMANDS[one.kind])
    for command in found:
        expected = (0, 2) if one.either else (0,) if one.ignored else (2,)
        assert command["status"] in expected, command
        assert not command["code_was_run"]
        if command["status"] == 0:
            continue
        said = command["said"].splitlines()
        assert "".join(said).isprintable()
        assert "allocate" not in command["said"]  # it is refused before memory is asked for
        if command["command"] == "verify" and not said[0].startswith("amber: "):
            assert any(line.startswith("problem: ") for line in said)
        else:
            assert len(said) == 1
            assert said[0].startswith("amber: ")
            assert len(said[0]) < 2100


def test_the_script_makes_them_by_itself(tmp_path: Path) -> None:
    script = [sys.executable, "-m", "tests.hostile_files", str(tmp_path), "--only", "a-pickle"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == f"{tmp_path}: 1 file\n"
    assert (tmp_path / "a-pickle" / "cache.h5").read_bytes().startswith(b"\x80")
