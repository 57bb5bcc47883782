"""matplotlib's figures as PNG and SVG, and as files of a folder.

With the Agg canvas, so that no display is needed. The same figure gives the same bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from amber_cache.errors import ConfigError
from amber_cache.store import write_whole

KINDS = ("png", "svg")

_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "amber",
    "text.parse_math": False,  # a label with dollars in it is no formula
}


@contextmanager
def style(more: Any = ()) -> Iterator[None]:
    """How all figures look, and `more`; what the font lacks is drawn as boxes."""
    with mpl.rc_context(_STYLE | dict(more)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def canvas(width: float, height: float) -> Figure:
    """An empty figure, in inches; call it within `style`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def image(figure: Figure, kind: str, *, dpi: int = 200, transparent: bool = False) -> bytes:
    """A figure's file of one of the `KINDS`; call it within `style`."""
    data = io.BytesIO()
    nothing = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[kind]
    figure.savefig(data, format=kind, dpi=dpi, metadata=nothing, transparent=transparent)
    return data.getvalue()


def write_figures(folder: Path, draw: Mapping[str, Callable[[], Figure]]) -> list[Path]:
    """Draw figures, by name, into files of a folder, one of each kind; gives their paths.

    Raises:
        ConfigError: The folder is a file.
        CacheError: A file can't be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--figures {folder}: is a file; name a folder for the figures")
    written = []
    for name, make in draw.items():
        with style():
            figure = make()
            images = {kind: image(figure, kind) for kind in KINDS}
        for kind, data in images.items():
            written.append(folder / f"{name}.{kind}")
            write_whole(written[-1], data)
    return written
