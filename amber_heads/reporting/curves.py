"""Training, epoch by epoch: from the rows of curves.csv and runs.csv."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from amber_heads.reading.evidence import Evidence
from amber_heads.reading.stored import Row


@dataclass(frozen=True)
class Line:
    """A mean over folds and seeds by epoch, and its spread (ddof = 1) among them."""

    name: str
    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Curves:
    """One system's training: loss, validation js of each head, mean u of each expert."""

    name: str
    num_runs: int
    loss: Line
    validation: tuple[Line, ...]
    experts: tuple[Line, ...]


def curves_of(evidence: Evidence, names: Sequence[str]) -> list[Curves]:
    """Curves of the named systems, of the runs that their test figures are from."""
    found = []
    for name in names:
        system = next(one for one in evidence.systems if one.name == name)
        told = evidence.curves.get(system.run, ())
        chosen = _chosen_runs(evidence.runs.get(system.run, ()), name, system.settings)
        rows = [one for one in told if one["run"] in chosen]
        if rows:
            found.append(_curves(name, rows, len(chosen)))
    return found


def _chosen_runs(
    runs: Iterable[Row], name: str, settings: Sequence[Mapping[str, object]]
) -> set[str]:
    """Ids of the runs of a system that have the settings selected for their fold."""
    own = [one for one in runs if one.get("system", name) == name]
    return {
        one["run"]
        for one in own
        if int(one["fold"]) < len(settings) and _fits(one, settings[int(one["fold"])])
    }


def _fits(row: Row, settings: Mapping[str, object]) -> bool:
    return all(_same(row[key], value) for key, value in settings.items() if key in row)


def _same(cell: str, value: object) -> bool:
    """A cell of runs.csv against the value it was written from."""
    if value is None:
        return cell == ""
    if isinstance(value, bool | str):
        return cell == str(value)
    return cell != "" and math.isclose(float(cell), float(str(value)), rel_tol=1e-9)


def _curves(name: str, rows: Sequence[Row], num_runs: int) -> Curves:
    columns = [one for one in rows[0] if one not in ("run", "epoch", "system")]
    lines = {one: _line(one, rows) for one in columns}
    drawn = {key: line for key, line in lines.items() if line.epochs}
    return Curves(
        name=name,
        num_runs=num_runs,
        loss=lines["training_loss"],
        validation=_named(drawn, "validation_js_"),
        experts=_named(drawn, "u_"),
    )


def _named(lines: Mapping[str, Line], prefix: str) -> tuple[Line, ...]:
    return tuple(
        Line(key.removeprefix(prefix), one.epochs, one.mean, one.std)
        for key, one in lines.items()
        if key.startswith(prefix)
    )


def _line(column: str, rows: Sequence[Row]) -> Line:
    by_epoch: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if row[column] != "":
            by_epoch[int(row["epoch"])].append(float(row[column]))
    epochs = sorted(by_epoch)
    values = [by_epoch[one] for one in epochs]
    return Line(
        name=column,
        epochs=tuple(epochs),
        mean=tuple(float(np.mean(one)) for one in values),
        std=tuple(float(np.std(one, ddof=1)) if len(one) > 1 else 0.0 for one in values),
    )
