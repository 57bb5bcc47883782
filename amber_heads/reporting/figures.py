"""Every figure of one test set, by the section it stands in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amber_heads.reporting.curves import Curves
from amber_heads.reporting.differences import PRIMARY
from amber_heads.reporting.drawing import Drawn
from amber_heads.reporting.more_plots import (
    plot_confusion,
    plot_curves,
    plot_experts,
    plot_reliability,
    plot_selective,
)
from amber_heads.reporting.parts import Part
from amber_heads.reporting.plots import plot_differences, plot_heat_map, plot_levels

#: So many lines are drawn of calibration; more can't be told apart in small panels.
_MOST_RELIABILITY = 3

#: So many trainings are drawn.
_MOST_CURVES = 4

#: The forest plot has room for so many systems; the table has all.
_MOST_DIFFERENCES = 40


def draw_part(part: Part, *, suffix: str, mark: str) -> dict[str, list[Drawn]]:
    """By section; sections without a figure are not there. `suffix` ends the files' names."""
    classes = part.evidence.classes
    drawn: dict[str, list[Drawn]] = {
        "ambiguity": [plot_levels(part.entropy_levels, name=f"entropy-levels{suffix}", mark=mark)],
    }
    compared = part.compared[PRIMARY] if part.compared else ()
    shown = [one for one in compared if one.is_system and not np.isnan(one.difference.mean)]
    if shown:
        shown = shown[:_MOST_DIFFERENCES]
        drawn["differences"] = [plot_differences(shown, name=f"differences{suffix}", mark=mark)]
    if part.conflict_levels is not None:
        name = f"conflict-levels{suffix}"
        drawn["conflict"] = [plot_levels(part.conflict_levels, name=name, mark=mark)]
    if part.calibrated:
        kept = part.calibrated[:_MOST_RELIABILITY]
        name = f"reliability{suffix}"
        drawn["calibration"] = [plot_reliability(kept, classes, name=name, mark=mark)]
    if part.selective:
        name = f"risk-coverage{suffix}"
        drawn["selective"] = [plot_selective(part.selective, name=name, mark=mark)]
    if part.confusions:
        name = f"confusion{suffix}"
        drawn["confusion"] = [plot_confusion(part.confusions, classes, name=name, mark=mark)]
    if part.experts is not None:
        drawn["experts"] = [plot_experts(part.experts, name=f"experts{suffix}", mark=mark)]
    if part.heat_maps:
        drawn["search"] = [
            plot_heat_map(one, name=f"grid-{number}{suffix}", mark=mark)
            for number, one in enumerate(part.heat_maps, start=1)
        ]
    return drawn


def draw_curves(curves: Sequence[Curves], *, mark: str) -> list[Drawn]:
    """A figure a system."""
    return [
        plot_curves(one, name=f"training-{number}", mark=mark)
        for number, one in enumerate(curves[:_MOST_CURVES], start=1)
    ]
