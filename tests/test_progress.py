"""Progress: plain lines where stderr is no terminal, bars where it is, nothing when quiet."""

from __future__ import annotations

import io
import re
import sys

import pytest

from amber_cache import progress
from amber_cache.progress import Progress, no_progress, show_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def report(show: Progress, *, total: int = 3, stage: str = "encoding") -> None:
    for done in range(1, total + 1):
        show(stage, done, total)


def test_a_short_stage_is_one_line_when_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress() as show:
        report(show)
        report(show, stage="writing")
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert re.fullmatch(r"encoding: 3/3.* in \d+\.\d s", first)
    assert re.fullmatch(r"writing: 3/3.* in \d+\.\d s", second)


def test_a_long_stage_has_lines_with_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with show_progress() as show:
        for done in range(5):
            show("encoding", done, 8)
            now[0] += 3.0
        show("encoding", 8, 8, "all well")
    lines = capsys.readouterr().err.splitlines()
    # 2 done after 6 s is 1/3 a second and leaves 18 s; 4 done after 12 s leaves 12 s.
    assert lines == [
        "encoding: 2/8 (0.333/s), 18 s left",
        "encoding: 4/8 (0.333/s), 12 s left",
        "encoding: 8/8 (0.533/s) in 15.0 s; all well",
    ]


def test_a_second_stage_of_the_same_name_has_its_own_clock(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with show_progress() as show:
        for _ in range(2):
            show("fold", 0, 1)
            now[0] += 2.0
            show("fold", 1, 1)
    assert capsys.readouterr().err.splitlines() == ["fold: 1/1 (0.5/s) in 2.0 s"] * 2


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(quiet=True) as show:
        report(show)
    report(no_progress)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_bars_on_stderr_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with show_progress() as show:
        report(show)
        report(show)  # a second bar of the same name
    assert terminal.getvalue().count("encoding") >= 2
    assert "3/3" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_an_error_inside_ends_the_bars_and_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(KeyError, match="lost"), show_progress() as show:  # noqa: PT012
        show("encoding", 1, 3)
        raise KeyError("lost")
    with show_progress() as show:  # no bar is left live
        report(show)
