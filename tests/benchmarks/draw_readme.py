"""Draw the README's pictures from run directories, as the terminal and the report show them.

Usage: python tests/benchmarks/draw_readme.py RUN .github/fit.svg
       python tests/benchmarks/draw_readme.py COMPARISON .github/compare.svg .github/levels.svg

The first picture is a run's first table, or a comparison's table of systems; the second is the
paper's Figure 2 for AmbER2 and CB-CE. Both bring a light background, so that they read on a dark
page too.
"""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME

from amber_heads.floors import FLOORS
from amber_heads.reading.evidence import read_evidence
from amber_heads.reporting.ambiguity_levels import levels_of_entropy
from amber_heads.reporting.choices import choose
from amber_heads.reporting.plots import plot_levels
from amber_heads.results import read_json
from amber_heads.tables import tables_of, to_rich
from amber_heads.tabular.rendering import Table

#: What of a comparison's table a picture has room for: no ensembles, the columns that matter most.
_SYSTEMS = ("system", "head", "JS ↓", "BC ↑", "R2 ↑", "F1 ↑", "ACC ↑")


def draw_tables(tables: list[Table], title: str, target: Path, **how: object) -> None:
    """Print tables into an SVG file that asks for nothing from elsewhere."""
    width = 138 if len(tables[0].columns) > len(_SYSTEMS) else 128
    console = Console(width=width, record=True, file=io.StringIO(), highlight=False)
    for table in tables:
        console.print(to_rich(table))
    drawn = console.export_svg(title=title, **how)  # type: ignore[arg-type]
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    target.write_text(drawn.replace("Fira Code", "monospace"), encoding="utf-8")


def systems_alone(table: Table) -> Table:
    """A comparison's table without the seeds' ensembles, in few columns and without notes."""
    kept = [r for r, row in enumerate(table.rows) if "seed ensemble" not in row[0]]
    columns = [table.columns.index(one) for one in _SYSTEMS]
    number = {(r, c): (i, k) for i, r in enumerate(kept) for k, c in enumerate(columns)}
    names = [table.rows[r][0] for r in kept]
    return replace(
        table,
        columns=_SYSTEMS,
        rows=tuple(tuple(table.rows[r][c] for c in columns) for r in kept),
        bold=_best([[table.rows[r][c] for c in columns] for r in kept]),
        marks={number[place]: mark for place, mark in table.marks.items() if place in number},
        breaks=frozenset({names.index(FLOORS[0])}),
        notes=(
            "Bold: the best in a column. *: JS is not cb-ce's by Holm's p. e: an expert, read at "
            "the student's best epoch.",
        ),
    )


def _best(rows: list[list[str]]) -> frozenset[tuple[int, int]]:
    """The cells with the best mean of their column."""
    found = set()
    for column in range(2, len(_SYSTEMS)):
        means = [float(row[column].split(" ")[0]) for row in rows]
        best = min(means) if _SYSTEMS[column].endswith("↓") else max(means)
        found |= {(row, column) for row, mean in enumerate(means) if mean == best}
    return frozenset(found)


def draw_levels(run: Path, target: Path) -> None:
    """The six metrics by the raters' entropy, of AmbER2 and CB-CE."""
    evidence = read_evidence([run])
    figure = plot_levels(
        levels_of_entropy(evidence, choose(evidence).shown, quantiles=None),
        name="levels",
        mark="SYNTHETIC DEMO: " if evidence.corpus == "demo" else "",
    )
    white = b'<rect width="100%" height="100%" fill="#ffffff"/>'
    target.write_bytes(re.sub(rb"(<svg [^>]*>)", rb"\1\n " + white, figure.svg, count=1))


def main(run: Path, *targets: Path) -> None:
    """Draw one picture of a fit or a grid, two of a comparison."""
    tables = tables_of(read_json(run / "summary.json"))
    if len(targets) == 1:
        draw_tables(list(tables.values()), "amber fit --kappa 4", targets[0])
        return
    draw_tables(
        [systems_alone(tables["table"])], "amber compare", targets[0], theme=DEFAULT_TERMINAL_THEME
    )
    draw_levels(run, targets[1])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
