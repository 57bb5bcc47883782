"""Figures of what lies behind the scores: calibration, confusion, experts, training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from amber_heads.reporting.calibrated import Calibrated, Selective
from amber_heads.reporting.confusions import Confusion
from amber_heads.reporting.curves import Curves, Line
from amber_heads.reporting.drawing import INK, Drawn, canvas, drawn, legend_below, look, style
from amber_heads.reporting.experts import ExpertWeights
from amber_heads.reporting.plots import matrix

#: How many bins the raters' entropy has where u is averaged over it.
_BINS = 8


def plot_reliability(
    found: Sequence[Calibrated], classes: Sequence[str], *, name: str, mark: str
) -> Drawn:
    """Predicted probability against the raters' share: the top class, then each class."""
    titles = ["top class", *classes]
    rows: list[dict[str, object]] = []
    columns = min(len(titles), 5 if len(titles) <= 5 else 3)
    lines = -(-len(titles) // columns)
    with style():
        figure, axes = canvas(
            2.0 * columns, 2.15 * lines + 0.5, rows=lines, columns=columns, sharex=True, sharey=True
        )
        for spare in axes.flat[len(titles) :]:
            spare.set_visible(False)
        for number, (panel, title) in enumerate(zip(axes.flat, titles, strict=False)):
            panel.plot([0, 1], [0, 1], color=INK, lw=0.8, linestyle=(0, (2, 2)))
            for order, one in enumerate(found):
                bins = one.top if number == 0 else one.by_class[number - 1]
                panel.plot(bins.predicted, bins.observed, label=one.label, **look(order))
                rows += [
                    {"system": one.label, "class": title, "predicted": p, "raters": o, "n": n}
                    for p, o, n in zip(bins.predicted, bins.observed, bins.number, strict=True)
                ]
            panel.set_title(title)
            panel.set_aspect("equal")
            panel.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        for panel in axes[:, 0]:
            panel.set_ylabel("raters' share")
        for panel in axes[-1]:
            panel.set_xlabel("predicted")
        legend_below(figure, axes.flat[0])
    return drawn(
        figure,
        name=name,
        title=f"{mark}Reliability of the distributions",
        caption=(
            "Mean raters' share over mean predicted probability in ten bins of equal width, over "
            "all seeds; on the diagonal a probability means what it says."
        ),
        alt="; ".join(f"{one.label}: soft calibration error {one.ece_soft:.3f}" for one in found),
        rows=rows,
    )


def plot_selective(found: Sequence[Selective], *, name: str, mark: str) -> Drawn:
    """Mean JS of the utterances kept, the most certain first."""
    orders = list(dict.fromkeys(one.by for one in found))
    rows: list[dict[str, object]] = []
    with style():
        figure, axes = canvas(4.6 * len(orders), 3.5, columns=len(orders), sharey=True)
        for panel, by in zip(axes.flat, orders, strict=True):
            for number, one in enumerate(one for one in found if one.by == by):
                panel.plot(
                    one.coverage, one.risk, label=one.label, **{**look(number), "marker": ""}
                )
                rows += [
                    {"by": by, "system": one.label, "coverage": c, "risk_js": r}
                    for c, r in zip(one.coverage, one.risk, strict=True)
                ]
            panel.set_xlabel("coverage: share of utterances kept")
            panel.set_title(f"by {by}")
            panel.set_xlim(0, 1)
        axes[0, 0].set_ylabel("mean JS of those kept")
        legend_below(figure, axes[0, 0])
    return drawn(
        figure,
        name=name,
        title=f"{mark}Risk against coverage",
        caption=(
            "Utterances enter in the order of the system's certainty, so that a curve which rises "
            "to the right knows where it is wrong; a flat one does not."
        ),
        alt="; ".join(f"{one.label} by {one.by}: area {one.area:.3f}" for one in found),
        rows=rows,
    )


def plot_confusion(
    found: Sequence[Confusion], classes: Sequence[str], *, name: str, mark: str
) -> Drawn:
    """Shares of each true class, a panel a system."""
    size = len(classes)
    with style():
        width = max(2.8, 0.55 * size + 0.9)
        figure, axes = canvas(width * len(found), 0.55 * size + 1.9, columns=len(found))
        for panel, one in zip(axes.flat, found, strict=True):
            matrix(panel, one.shares, highest=1.0)
            panel.set_xticks(range(size), classes, rotation=35, ha="right")
            panel.set_yticks(range(size), classes)
            panel.set_title(one.label)
            panel.set_xlabel("system")
        axes[0, 0].set_ylabel("raters")
    return drawn(
        figure,
        name=name,
        title=f"{mark}Confusion of hard labels",
        caption=(
            "Of the utterances whose raters lead with the row's class, the share taken for the "
            "column's; the first class wins a tie; mean over seeds. Hatched: no utterance leads "
            "with that class."
        ),
        alt="; ".join(
            f"{one.label}: "
            + ", ".join(f"{c} {s:.2f}" for c, s in zip(classes, np.diag(one.shares), strict=True))
            for one in found
        ),
        rows=[
            {
                "system": one.label,
                "raters": row,
                "predicted": column,
                "utterances": one.counts[i, j],
            }
            for one in found
            for i, row in enumerate(classes)
            for j, column in enumerate(classes)
        ],
    )


def plot_experts(found: ExpertWeights, *, name: str, mark: str) -> Drawn:
    """Mean u of each expert over the raters' entropy, with the middle 80% of utterances."""
    edges = np.unique(np.quantile(found.entropy, np.linspace(0, 1, _BINS + 1)))
    parts = np.clip(
        np.searchsorted(edges, found.entropy, side="right") - 1, 0, max(0, len(edges) - 2)
    )
    rows: list[dict[str, object]] = []
    with style():
        figure, axes = canvas(7.4, 3.6)
        panel = axes[0, 0]
        for number, expert in enumerate(found.experts):
            points = []
            for part in np.unique(parts):
                inside = parts == part
                u = found.weights[inside, number]
                low, high = np.quantile(u, [0.1, 0.9])
                points.append((found.entropy[inside].mean(), u.mean(), low, high, inside.sum()))
            x, mean, low, high, n = (np.array(column) for column in zip(*points, strict=True))
            panel.plot(x, mean, label=expert, **look(number))
            panel.fill_between(x, low, high, color=look(number)["color"], alpha=0.14, lw=0)
            rows += [
                {"expert": expert, "entropy": a, "u": b, "u_10": c, "u_90": d, "n": e}
                for a, b, c, d, e in zip(x, mean, low, high, n, strict=True)
            ]
        panel.set_xlabel("raters' entropy, bits")
        panel.set_ylabel("u, weight of the expert")
        panel.set_ylim(0, 1)
        legend_below(figure, panel)
    return drawn(
        figure,
        name=name,
        title=f"{mark}Expert weights over the raters' entropy ({found.name})",
        caption=(
            f"u of Eq. 5 for the student {found.student}, recomputed out of fold from the stored "
            "distributions with each fold's kappa; mean over seeds; bands: the middle 80% of "
            "utterances. It shows whom training would have trusted there."
        ),
        alt=", ".join(
            f"{expert}: mean u {found.weights[:, number].mean():.2f}"
            for number, expert in enumerate(found.experts)
        ),
        rows=rows,
    )


def plot_curves(found: Curves, *, name: str, mark: str) -> Drawn:
    """Training loss, validation js of each head, and u of each expert where there is one."""
    panels: list[tuple[str, Sequence[Line]]] = [
        ("training loss", [found.loss]),
        ("validation JS", found.validation),
    ]
    if found.experts:
        panels.append(("mean expert weight u", found.experts))
    rows: list[dict[str, object]] = []
    with style():
        figure, axes = canvas(3.3 * len(panels), 3.1, columns=len(panels))
        for panel, (title, lines) in zip(axes.flat, panels, strict=True):
            rows += _curve_panel(panel, title, lines)
        legend_below(figure, axes.flat[1])
    return drawn(
        figure,
        name=name,
        title=f"{mark}Training of {found.name}",
        caption=(
            f"Mean and one standard deviation over {found.num_runs} runs (folds and seeds), of "
            "those that go on at an epoch."
        ),
        alt="; ".join(
            f"validation JS of {one.name}: {one.mean[0]:.3f} at first, {min(one.mean):.3f} at best"
            for one in found.validation
        ),
        rows=rows,
    )


def _curve_panel(panel: Axes, title: str, lines: Sequence[Line]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for number, one in enumerate(lines):
        mean, std = np.array(one.mean), np.array(one.std)
        chosen = look(number) | {"marker": ""}
        if len(lines) == 1:  # of all heads together, and so of none
            chosen |= {"color": INK, "linestyle": "-"}
        panel.plot(one.epochs, mean, label=one.name, **chosen)
        panel.fill_between(
            one.epochs, mean - std, mean + std, color=chosen["color"], alpha=0.15, lw=0
        )
        rows += [
            {"panel": title, "line": one.name, "epoch": e, "mean": m, "std": s}
            for e, m, s in zip(one.epochs, one.mean, one.std, strict=True)
        ]
    panel.set_title(title)
    panel.set_xlabel("epoch")
    panel.locator_params(nbins=5)
    return rows
