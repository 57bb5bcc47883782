"""A long recording's distributions over time as a figure, PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from amber_heads.files.figure_files import canvas, write_figures


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
    named = {f"over_time_{number}": one for number, one in enumerate(curves, start=1)}
    figures = {name: partial(_figure, one, classes) for name, one in named.items()}
    return write_figures(folder, figures)


def _figure(curve: Curve, classes: Sequence[str]) -> Figure:
    figure = canvas(9.0, 4.2)
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
    return figure
