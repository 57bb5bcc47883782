"""Small trained runs, made through the command line on small caches."""

from __future__ import annotations

from pathlib import Path

from tests.commands import amber

FAST = ("--epochs", 2, "--hidden", 8, "--seeds", 2, "--workers", 1, "--quiet")


def small_run(cache: Path, folder: Path, *options: object, command: str = "fit") -> Path:
    """Train on a cache; gives the run directory."""
    finished = amber(command, "--cache", cache, "--out", folder, *FAST, *options)
    assert finished.status == 0, finished.err
    return folder
