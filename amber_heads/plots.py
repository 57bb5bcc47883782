"""Figures of an overview: entropies, classes, and which labels raters confuse; PNG and SVG.

The same overview gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amber_heads.files.figure_files import canvas, write_figures
from amber_heads.overviews.overview import Overview
from amber_heads.tables import heading_mark

#: The most labels of a matrix, those of most pairs.
MOST_LABELS = 20


def draw_overview(overview: Overview, folder: Path) -> list[Path]:
    """Draw an overview that has classes into files of a folder; gives their paths.

    Raises:
        ConfigError: The folder is a file.
        CacheError: A file can't be written.
    """
    figures = {name: partial(_figure, draw, overview) for name, draw in _FIGURES.items()}
    return write_figures(folder, figures)


def confusion_matrix(
    overview: Overview,
) -> tuple[list[str], Float[np.ndarray, "label label"]]:
    """Given one rater's label (row), the share of each label (column) among the other raters'.

    Rows sum to one, but for the labels beyond `MOST_LABELS`.
    """
    totals: dict[str, float] = {}
    cells: dict[tuple[str, str], float] = {}
    for one in overview.pairs:
        share = one.observed if one.label == one.other else one.observed / 2
        for row, column in {(one.label, one.other), (one.other, one.label)}:
            cells[row, column] = share
            totals[row] = totals.get(row, 0.0) + share
    labels = sorted(totals, key=lambda label: (-totals[label], label))[:MOST_LABELS]
    rows = [[cells.get((row, column), 0.0) / totals[row] for column in labels] for row in labels]
    return labels, np.array(rows, dtype=np.float64).reshape(len(labels), len(labels))


def _figure(draw: Callable[[Overview, Axes], None], overview: Overview) -> Figure:
    figure = canvas(5.0, 3.6)
    axes = figure.add_subplot()
    draw(overview, axes)
    axes.set_title(heading_mark(overview.corpus) + axes.get_title())
    return figure


def _draw_entropy(overview: Overview, axes: Axes) -> None:
    found = overview.entropy
    if found is None:
        return
    edges = np.array(found.edges)
    width = edges[1] - edges[0]
    # All of one class stand apart, left of the first bin, whose edge 0 they would hide behind.
    places = np.concatenate([[-width / 2], edges[:-1] + width / 2])
    axes.bar(places, [found.zero, *found.counts], width=0.9 * width)
    axes.set_xticks([-width / 2, *found.edges[1:]], ["0", *(f"{one:g}" for one in found.edges[1:])])
    axes.set_xlabel("entropy of the soft label, bits")
    axes.set_ylabel("utterances")
    axes.set_title(f"mean {found.mean:.2f} bits, {overview.kept} utterances")


def _draw_classes(overview: Overview, axes: Axes) -> None:
    places = np.arange(len(overview.classes))
    bars: dict[str, list[float]] = {
        "soft mass": [one.mass for one in overview.classes],
        "arg max": [one.arg_max for one in overview.classes],
        "consensus": [one.consensus for one in overview.classes],
    }
    for number, (name, heights) in enumerate(bars.items()):
        axes.bar(places + 0.28 * (number - 1), heights, width=0.26, label=name)
    axes.set_xticks(places, [one.name for one in overview.classes], rotation=30, ha="right")
    axes.set_ylabel("utterances")
    axes.set_title(f"{overview.kept} utterances, --keep {overview.policy['keep']}")
    axes.legend(frameon=False)


def _draw_confusion(overview: Overview, axes: Axes) -> None:
    labels, matrix = confusion_matrix(overview)
    image = axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("another rater says")
    axes.set_ylabel("one rater says")
    for row, column in np.argwhere(matrix >= 0.005) if len(labels) <= 10 else ():
        share = matrix[row, column]
        colour = "white" if share > 0.5 else "black"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=colour, fontsize=7)
    axes.figure.colorbar(image, ax=axes)
    axes.set_title("labels of two raters")


_FIGURES: dict[str, Callable[[Overview, Axes], None]] = {
    "entropy": _draw_entropy,
    "classes": _draw_classes,
    "confusion": _draw_confusion,
}
