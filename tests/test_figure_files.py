"""Figures as files: PNG and SVG, the same bytes for the same figure."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from amber_cache.errors import ConfigError
from amber_heads.files.figure_files import canvas, image, style, write_figures


def _figure() -> Figure:
    figure = canvas(3.0, 2.0)
    figure.add_subplot().plot([0, 1], [1, 0], label="costs $1, not $2")
    figure.legend()
    return figure


def test_each_figure_is_a_png_and_an_svg_in_a_folder_that_is_made(tmp_path: Path) -> None:
    written = write_figures(tmp_path / "new", {"one": _figure, "two": _figure})
    assert [one.name for one in written] == ["one.png", "one.svg", "two.png", "two.svg"]
    assert sorted((tmp_path / "new").iterdir()) == written
    assert written[0].read_bytes().startswith(b"\x89PNG")
    assert ElementTree.fromstring(written[1].read_bytes()).tag.endswith("svg")


def test_the_same_figure_has_the_same_bytes(tmp_path: Path) -> None:
    first, second, *_ = [
        [one.read_bytes() for one in write_figures(tmp_path / name, {"one": _figure})]
        for name in ("a", "b")
    ]
    assert first == second


def test_a_style_adds_to_that_of_all_figures() -> None:
    with style({"svg.fonttype": "none"}):  # words stay words
        assert b"costs $1, not $2" in image(_figure(), "svg")


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"--figures .*file: is a file; name a folder"):
        write_figures(tmp_path / "file", {"one": _figure})
