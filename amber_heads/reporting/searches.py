"""Hyper-parameters: the cells of a grid, from its summary's configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amber_heads.reading.evidence import Evidence

#: What is drawn: the metric that all is judged by.
METRIC = "js"


@dataclass(frozen=True)
class HeatMap:
    """Mean test js over two axes of a grid; further axes are held at one value a map.

    Attributes:
        values: One row a value of `rows`, one column a value of `columns`; None where no cell is.
        chosen: In how many folds validation selected the cell.
        held: The further axes' values, as text; "" where there are two axes or fewer.
    """

    run: Path
    test_set: str
    head: str
    row_axis: str
    column_axis: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    chosen: tuple[tuple[int, ...], ...]
    held: str
    num_folds: int


#: More maps than these say nothing at a glance; the table of cells has them all.
MOST_MAPS = 6


def heat_maps(evidence: Evidence, test_set: str) -> list[HeatMap]:
    """A map for each grid among the runs, for the head that its cells are judged by."""
    maps: list[HeatMap] = []
    for path, summary in evidence.summaries.items():
        cells = summary.get("configurations") or []
        axes = [one for one in summary.get("axes") or () if len(_values(cells, one)) > 1]
        axes = axes if all("judged_by" in one for one in cells) else []
        if path not in evidence.variants and len(cells) > 1 and axes:
            maps += _maps(path, summary, axes, test_set)
    return maps[:MOST_MAPS]


def _maps(
    path: Path, summary: Mapping[str, Any], axes: Sequence[str], test_set: str
) -> list[HeatMap]:
    cells = summary["configurations"]
    row_axis, column_axis = (axes[0], axes[1]) if len(axes) > 1 else ("", axes[0])
    further = axes[2:]
    held = dict.fromkeys(tuple(_told(one["settings"].get(a)) for a in further) for one in cells)
    return [
        _map(
            path,
            summary,
            [
                one
                for one in cells
                if tuple(_told(one["settings"].get(a)) for a in further) == values
            ],
            (row_axis, column_axis),
            test_set,
            ", ".join(f"{a} {v}" for a, v in zip(further, values, strict=True)),
        )
        for values in held
    ]


def _map(
    path: Path,
    summary: Mapping[str, Any],
    cells: Sequence[Mapping[str, Any]],
    axes: tuple[str, str],
    test_set: str,
    held: str,
) -> HeatMap:
    rows = _values(cells, axes[0]) if axes[0] else [""]
    columns = _values(cells, axes[1])
    found = {
        (
            _told(one["settings"].get(axes[0])) if axes[0] else "",
            _told(one["settings"][axes[1]]),
        ): one
        for one in cells
    }
    grid = [[found.get((row, column)) for column in columns] for row in rows]
    return HeatMap(
        run=path,
        test_set=test_set,
        head=" or ".join(dict.fromkeys(str(one["judged_by"]) for one in cells)),
        row_axis=axes[0],
        column_axis=axes[1],
        rows=tuple(rows),
        columns=tuple(columns),
        values=tuple(tuple(_js(one, test_set) for one in row) for row in grid),
        chosen=tuple(
            tuple(len(one["selected_in_folds"]) if one else 0 for one in row) for row in grid
        ),
        held=held,
        num_folds=len(summary["folds"]),
    )


def _place(settings: Mapping[str, Any], axes: tuple[str, str]) -> tuple[str, str]:
    return _told(settings.get(axes[0])) if axes[0] else "", _told(settings[axes[1]])


def _js(cell: Mapping[str, Any] | None, test_set: str) -> float | None:
    if cell is None:
        return None
    mean = cell["heads"][cell["judged_by"]][test_set][METRIC]["mean"]
    return None if mean is None else float(mean)


def _values(cells: Sequence[Mapping[str, Any]], axis: str) -> list[str]:
    return list(dict.fromkeys(_told(one["settings"].get(axis)) for one in cells))


def _told(value: object) -> str:
    if value is None:
        return "-"
    return format(value, "g") if isinstance(value, int | float) else str(value)
