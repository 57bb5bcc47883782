"""Figures of scores: by level of ambiguity, against the reference, by hyper-parameter.

Each function takes plain data and gives a finished figure with the data it shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from amber_heads.metrics import HEADLINE
from amber_heads.reporting.ambiguity_levels import Levels
from amber_heads.reporting.differences import Compared
from amber_heads.reporting.drawing import (
    FLOOR,
    INK,
    MUTED,
    Drawn,
    canvas,
    drawn,
    legend_below,
    look,
    style,
)
from amber_heads.reporting.score_tables import metric_name
from amber_heads.reporting.scores import FLOOR as FLOOR_KIND
from amber_heads.reporting.searches import HeatMap
from amber_heads.tabular.interval_words import confidence

#: Dashes of what is no system: the floors in their order, then one more rater.
_FLOOR_DASHES: tuple[Any, ...] = ((0, (4, 2)), (0, (1, 2)), (0, (4, 2, 1, 2)))
_RATER_DASH = (0, (1, 1))

#: Names of levels as long as this need smaller letters to stand side by side.
_LONG_LABEL = 10


def plot_levels(levels: Levels, *, name: str, mark: str) -> Drawn:
    """The six metrics by level, a panel each: systems, floors, one rater more."""
    rows: list[dict[str, object]] = []
    with style():
        figure, axes = canvas(9.6, 5.8, rows=2, columns=3, sharex=True)
        for panel, metric in zip(axes.flat, HEADLINE, strict=True):
            rows += _level_panel(panel, levels, metric)
            panel.set_title(metric_name(metric))
        for panel in axes[-1]:
            panel.set_xlabel(levels.axis)
        legend_below(figure, axes.flat[0], columns=4)
    return drawn(
        figure,
        name=name,
        title=f"{mark}Metrics by {levels.what}",
        caption=(
            f"{levels.how} Bands: one standard deviation over seeds. Under each level its number "
            "of utterances. Grey: predictions that look at no input. Dotted: one rater more, held "
            "against the others."
        ),
        alt=_levels_in_words(levels),
        rows=rows,
    )


def plot_differences(shown: Sequence[Compared], *, name: str, mark: str) -> Drawn:
    """The primary metric's difference of each system to the reference, with its interval.

    Args:
        shown: One or more systems that have a difference.
    """
    places = np.arange(len(shown))[::-1]
    metric, reference = shown[0].difference.metric, shown[0].reference
    with style():
        figure, axes = canvas(8.4, 1.2 + 0.27 * len(shown))
        panel = axes[0, 0]
        panel.axvline(0, color=INK, linewidth=0.9)
        for place, one in zip(places, shown, strict=True):
            colour = look(0 if one.is_better else 1)["color"]
            hollow = {} if one.is_significant else {"markerfacecolor": "none"}
            low, high = one.difference.low, one.difference.high
            panel.plot([low, high], [place, place], color=colour, linewidth=1.8)
            panel.plot(one.difference.mean, place, one.marker, color=colour, ms=6, **hollow)
        panel.set_yticks(places, [one.label for one in shown])
        panel.set_ylim(-0.7, len(shown) - 0.3)
        panel.grid(axis="x")
        panel.grid(visible=False, axis="y")
        panel.set_xlabel(f"difference in {metric_name(metric)} to {reference}")
        panel.tick_params(axis="y", length=0, labelcolor=INK)
    return drawn(
        figure,
        name=name,
        title=f"{mark}Differences to {reference} in {metric_name(metric)}",
        caption=(
            f"Lines: {confidence(shown[0].difference.num_clusters)} bootstrap intervals over "
            "clusters of utterances. Blue is better than the "
            "reference, orange worse; filled: Holm's p below 0.05, hollow: not, or one training "
            "with another that is counted. Heads other than the one a system is judged by are held "
            "against the reference's own of that name."
        ),
        alt="; ".join(
            f"{one.label}: {one.difference.mean:+.3f}, {one.difference.low:+.3f} to "
            f"{one.difference.high:+.3f}"
            for one in shown
        ),
        rows=[one.as_row() for one in shown],
    )


def plot_heat_map(found: HeatMap, *, name: str, mark: str) -> Drawn:
    """Mean test js of a grid's cells over two of its axes."""
    values = np.array([[np.nan if v is None else v for v in row] for row in found.values])
    with style():
        size = (2.2 + 0.95 * len(found.columns), 1.7 + 0.55 * len(found.rows))
        figure, axes = canvas(max(5.4, size[0]), max(2.4, size[1]))
        panel = axes[0, 0]
        matrix(panel, values, worst_first=True, marks=found.chosen)
        panel.set_xticks(range(len(found.columns)), found.columns)
        panel.set_yticks(range(len(found.rows)), found.rows)
        panel.set_xlabel(found.column_axis.replace("_", " "))
        panel.set_ylabel(found.row_axis.replace("_", " "))
    which = f" ({found.held})" if found.held else ""
    return drawn(
        figure,
        name=name,
        title=f"{mark}JS over the grid{which}",
        caption=(
            f"Mean over seeds of {found.head}'s test JS, lower is better and darker. n×: "
            f"validation chose the cell in n of {found.num_folds} folds. The cells' test figures "
            "are for looking at: choosing by them would be choosing on the test set."
        ),
        alt="; ".join(
            f"{row or found.head}, {column}: {value:.3f}"
            for row, line in zip(found.rows, found.values, strict=True)
            for column, value in zip(found.columns, line, strict=True)
            if value is not None
        ),
        rows=[
            {
                found.row_axis or "row": row,
                found.column_axis: column,
                "js": found.values[i][j],
                "chosen_in_folds": found.chosen[i][j],
            }
            for i, row in enumerate(found.rows)
            for j, column in enumerate(found.columns)
        ],
    )


def matrix(
    panel: Axes,
    values: np.ndarray,
    *,
    worst_first: bool = False,
    highest: float | None = None,
    marks: Sequence[Sequence[int]] = (),
) -> None:
    """Cells of one blue, the number in each; empty ones hatched. Shapes, not a picture."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    finite = values[np.isfinite(values)]
    low = float(finite.min()) if worst_first and len(finite) else 0.0
    high = highest or (float(finite.max()) if len(finite) else 1.0)
    for (row, column), value in np.ndenumerate(values):
        share = 0.5 if high <= low else (value - low) / (high - low)
        share = 1 - share if worst_first else share
        empty = not math.isfinite(value)
        colour = "none" if empty else colormaps["Blues"](0.05 + 0.85 * share)
        hatch = "///" if empty else None
        corner = (column - 0.48, row - 0.46)
        panel.add_patch(
            Rectangle(corner, 0.96, 0.92, facecolor=colour, edgecolor=MUTED, lw=0.3, hatch=hatch)
        )
        if not empty:
            told = f"{value:.3f}" if worst_first else f"{value:.2f}"
            chosen = marks[row][column] if len(marks) else 0
            told += f"\n{chosen}×" if chosen else ""
            # Not the page's ink: the cell under it keeps its colour in the dark.
            ink = "#ffffff" if share > 0.55 else "#101214"
            panel.text(column, row, told, ha="center", va="center", color=ink, fontsize=8)
    panel.set_xlim(-0.5, values.shape[1] - 0.5)
    panel.set_ylim(values.shape[0] - 0.5, -0.5)
    panel.grid(visible=False)
    for spine in panel.spines.values():
        spine.set_visible(False)
    panel.tick_params(length=0)


def _level_panel(panel: Axes, levels: Levels, metric: str) -> list[dict[str, object]]:
    places = np.arange(len(levels.names))
    rows: list[dict[str, object]] = []
    number = floors = 0
    for line in levels.lines:
        figures = [one.figures[metric] for one in line]
        mean = np.array([one.mean for one in figures])
        std = np.nan_to_num([one.std for one in figures])
        if line[0].kind == FLOOR_KIND:
            dash = _FLOOR_DASHES[floors % len(_FLOOR_DASHES)]
            panel.plot(places, mean, color=FLOOR, lw=1.1, linestyle=dash, label=line[0].label)
            floors += 1
        else:
            panel.plot(places, mean, label=line[0].label, **look(number))
            band = look(number)["color"]
            panel.fill_between(places, mean - std, mean + std, color=band, alpha=0.18, lw=0)
            number += 1
        rows += [
            {"metric": metric, "level": level, "system": one.label, "mean": f.mean, "std": f.std}
            for level, one, f in zip(levels.names, line, figures, strict=True)
        ]
    raters = [one[metric] for one in levels.one_rater]
    panel.plot(places, raters, color=INK, lw=1.3, linestyle=_RATER_DASH, label="one rater more")
    rows += [
        {"metric": metric, "level": level, "system": "one rater more", "mean": value, "std": None}
        for level, value in zip(levels.names, raters, strict=True)
    ]
    short = [name.split(" (")[0] for name in levels.names]
    labels = [f"{level}\nn={n}" for level, n in zip(short, levels.numbers, strict=True)]
    panel.set_xticks(places, labels, fontsize=7 if max(map(len, short)) < _LONG_LABEL else 5.5)
    panel.locator_params(axis="y", nbins=5)
    panel.set_xlim(-0.3, len(places) - 0.7)
    return rows


def _levels_in_words(levels: Levels) -> str:
    told = []
    for line in levels.lines[:2]:
        js = ", ".join(f"{one.figures['js'].mean:.3f}" for one in line)
        told.append(f"JS of {line[0].label} from the lowest to the highest level: {js}")
    return ". ".join([*told, "All numbers stand in the table below"])
