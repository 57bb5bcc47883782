"""The README's example of a run in Python, run as it stands there, but for its names of files."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from amber_cache.store import open_cache
from tests.commands import ROOT
from tests.small_runs import small_run


def test_the_example_runs(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = (
        one
        for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        if "amber_heads.load" in one
    )
    run = small_run(workplace / "data" / "cache.h5", workplace / "runs" / "fit-0a1b2c3d")
    clip = next(iter(sorted((ROOT / "data" / "demo" / "audio").iterdir())))
    shutil.copy(clip, workplace / "clip.wav")
    with open_cache(workplace / "data" / "cache.h5") as cache:
        names: dict[str, Any] = {
            f"{one}_vectors": cache.embeddings(one).vectors for one in ("audio", "text")
        }
    monkeypatch.chdir(workplace)
    exec(code, names)  # the project's own README
    assert run.is_dir()
    assert capsys.readouterr().out.split()[0] in names["many"].classes
    assert names["many"].mean.shape == (300, 3, 4)
