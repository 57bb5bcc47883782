"""A report's figures: SVG and PNG with colours for paper, inline SVG for a page.

Inline, a figure's colours become the page's own variables, so that it follows light and dark; its
ids become the page's own, since a page holds many figures.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amber_heads.files import figure_files

#: Ink, lines of lesser weight, and the systems' colours (after Okabe and Ito, darkened where a thin
#: line on white would be too light). On a page each is the variable beside it.
INK, MUTED, RULE, FLOOR = "#1c2024", "#59626c", "#d5dae0", "#7a828a"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#b8588f", "#b57a00", "#2f8fc9")
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    FLOOR: "--floor",
    **{colour: f"--c{number}" for number, colour in enumerate(SERIES)},
}

#: Never colour alone: each system also has a marker and a dash of its own.
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1)), "-.")

_STYLE: Any = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",  # words stay words: to be read aloud, searched and copied
}
_DPI = 160
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_FILLS = re.compile("|".join(_VARIABLES))
_REFERENCE = re.compile(r"(url\(#|^#)")


@dataclass(frozen=True)
class Drawn:
    """A finished figure.

    Attributes:
        name: Of its files, without ending.
        alt: What a listener is told in its place.
        rows: Its data, a row a point.
    """

    name: str
    title: str
    caption: str
    alt: str
    svg: bytes
    png: bytes
    rows: tuple[Mapping[str, object], ...]


def drawn(
    figure: Figure,
    *,
    name: str,
    title: str,
    caption: str,
    alt: str,
    rows: list[dict[str, object]],
) -> Drawn:
    """Render a figure as SVG and PNG."""
    with style():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, not once a file
        svg = figure_files.image(figure, "svg", dpi=_DPI, transparent=True)
        png = figure_files.image(figure, "png", dpi=_DPI)
        return Drawn(name, title, caption, alt, svg, png, tuple(rows))


def canvas(width: float, height: float, *, rows: int = 1, columns: int = 1, **how: Any) -> Any:
    """A figure in the report's style, and its axes as (rows, columns); call it within `style`."""
    figure = figure_files.canvas(width, height)
    axes: Any = figure.subplots(rows, columns, squeeze=False, **how)
    return figure, axes


def style() -> AbstractContextManager[None]:
    """The report's style."""
    return figure_files.style(_STYLE)


def look(number: int) -> dict[str, Any]:
    """Colour, marker and dash of the system with that number."""
    return {
        "color": SERIES[number % len(SERIES)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
    }


def legend_below(figure: Figure, axes: Axes, *, columns: int = 4) -> None:
    """One legend for all axes of a figure, outside of them."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def inline(figure: Drawn) -> str:
    """The figure as an <svg> element for a page: its variables, its own ids, a title to be read."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(figure.svg)  # noqa: S314 - written by matplotlib just now
    for unwanted in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}defs/{{{_SVG}}}style"):
        _remove(root, unwanted)
    for node in root.iter():
        node.attrib.update({key: _own(key, one, f"svg-{figure.name}") for key, one in node.items()})
    width = float(root.get("width", "500pt").removesuffix("pt"))
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    _tell(root, figure)
    # No wider than this, so that words are as large in every figure.
    root.set(
        "style", f"stroke-linejoin: round; stroke-linecap: butt; max-width: {width * 1.55:.0f}px"
    )
    return ElementTree.tostring(root, encoding="unicode")


def _tell(root: ElementTree.Element, figure: Drawn) -> None:
    """Name and description for those who listen."""
    title, alt = ElementTree.Element(f"{{{_SVG}}}title"), ElementTree.Element(f"{{{_SVG}}}desc")
    title.text, alt.text = figure.title, figure.alt
    title.set("id", f"svg-{figure.name}-title")
    alt.set("id", f"svg-{figure.name}-desc")
    root.insert(0, title)
    root.insert(1, alt)
    root.set("role", "img")
    root.set("aria-labelledby", f"svg-{figure.name}-title svg-{figure.name}-desc")


def _own(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href") or "url(#" in value:
        return _REFERENCE.sub(lambda found: f"{found[0]}{name}-", value)
    if key in ("style", "fill", "stroke"):
        return _FILLS.sub(lambda found: f"var({_VARIABLES[found[0]]})", value)
    return value


def _remove(root: ElementTree.Element, path: str) -> None:
    *parents, last = path.replace(f"{{{_SVG}}}", "").split("/")
    for parent in [root] if not parents else root.findall(f"{{{_SVG}}}{parents[0]}"):
        for child in parent.findall(f"{{{_SVG}}}{last}"):
            parent.remove(child)
