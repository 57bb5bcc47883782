"""The command line as tests call it: in this process, so that shape checks are on."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import pytest

import cli

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit status and both of its streams."""

    status: int
    out: str
    err: str


def amber(*arguments: object, cwd: Path | None = None) -> Finished:
    """Run the command line in this process (so that shape checks are on) in a folder."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main([str(one) for one in arguments])
    code = ended.value.code
    return Finished(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def run_folders(place: Path) -> list[Path]:
    """The run directories under `runs`; not what is kept of their training."""
    return sorted(one for one in (place / "runs").iterdir() if one.name != ".trained")
