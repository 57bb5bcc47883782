"""A long recording's distributions over time as a figure, PNG and SVG.

Only here and in plots.py is matplotlib imported, with the Agg canvas: no display is needed.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from amber_cache.errors import ConfigError
from amber_cache.store import write_whole

_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "amber",
    "text.parse_math": False,  # a file's name with dollars in it is no formula
}


@dataclass(frozen=True)
class Curve:
    """One recording's answers.

    Attributes:
        middle_s: Of each window.
        entropy: Bits of each window's distribution.
    """

    name: str
    middle_s: Float[np.ndarray, " window"]
    distributions: Float[np.ndarray, "window class"]
    entropy: Float[np.ndarray, " window"]


def draw_over_time(curves: Sequence[Curve], *, classes: Sequence[str], folder: Path) -> list[Path]:
    """Draw each recording into files of a folder; gives their paths.

    Raises:
        ConfigError: The folder is a file.
        CacheError: A file can't be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--figures {folder}: is a file; name a folder for the figures")
    written = []
    for number, curve in enumerate(curves, start=1):
        for kind, data in _drawn(curve, classes).items():
            written.append(folder / f"over_time_{number}.{kind}")
            write_whole(written[-1], data)
    return written


def _drawn(curve: Curve, classes: Sequence[str]) -> Mapping[str, bytes]:
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # drawn as a box
        figure = Figure(figsize=(9, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, sharex=True, height_ratios=[3, 1])
        for label, values in zip(classes, curve.distributions.T, strict=True):
            upper.plot(curve.middle_s, values, marker="o", markersize=3, label=label)
        upper.set_ylim(0, 1)
        upper.set_ylabel("probability")
        upper.set_title(curve.name)
        upper.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        lower.plot(curve.middle_s, curve.entropy, color="black", marker="o", markersize=3)
        lower.set_ylim(0, np.log2(len(classes)))
        lower.set_ylabel("entropy, bits")
        lower.set_xlabel("middle of the window, s")
        return {kind: _saved(figure, kind) for kind in ("png", "svg")}


def _saved(figure: Figure, kind: str) -> bytes:
    data = io.BytesIO()
    nothing = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[kind]
    figure.savefig(data, format=kind, dpi=200, metadata=nothing)
    return data.getvalue()
