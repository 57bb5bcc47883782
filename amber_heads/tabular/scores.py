"""What a table of systems shows of each: figures over seeds, as a comparison's summary has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from amber_heads.configuration.systems import systems_of
from amber_heads.metrics import METRICS

Kind = Literal["system", "ensemble", "floor"]

#: Mean and standard deviation over seeds, by metric; NaN where there is none.
Figures = Mapping[str, tuple[float, float]]

ENSEMBLE = "seed ensemble"

NONE = float("nan")

#: How many stars a Holm-adjusted p earns.
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One row of a table.

    Attributes:
        head: "" where the system has none.
        paper: The system of the paper's tables that it stands for; "" for none.
        is_judged: The system is compared by this head.
        is_expert: The head was read at another head's best epoch.
        p: Holm's, of the difference to the reference in js; NaN where there was no test.
    """

    name: str
    head: str
    kind: Kind
    figures: Figures
    paper: str = ""
    is_judged: bool = True
    is_expert: bool = False
    p: float = NONE


def scores_of_summary(summary: Mapping[str, Any], test: str) -> list[Scored]:
    """What a comparison's summary.json says: systems, their seed ensembles, floors."""
    papers = {name: one.paper for name, one in systems_of(()).items()}
    tested = summary["differences"][test]
    rows = [
        Scored(
            name=name,
            head=head,
            kind=kind,
            figures=_told(by_test[test]),
            paper=papers.get(name, ""),
            is_judged=head == system["judged_by"],
            is_expert=head in system["read_at_another_head"],
            p=_number(tested.get(name, {}).get("p_adjusted")) if kind == "system" else NONE,
        )
        for kind, key in KINDS
        for name, system in summary["systems"].items()
        for head, by_test in system[key].items()
    ]
    return rows + _floors(summary, test)


def stars(p: float | None) -> str:
    """How far a p-value is below 0.05; nothing where there is none."""
    return "" if p is None else next((mark for bound, mark in STARS if p < bound), "")


def best_cells(rows: Sequence[Scored], metrics: Iterable[str]) -> set[tuple[int, int]]:
    """Which rows are best by which metric: (row, metric's number), equals to three places too."""
    best = set()
    for column, metric in enumerate(metrics):
        sign = -1 if METRICS[metric].direction == "min" else 1
        means = [sign * round(one.figures[metric][0], 3) for one in rows]
        known = [mean for mean in means if mean == mean]
        best |= {(row, column) for row, mean in enumerate(means) if known and mean == max(known)}
    return best


#: A row's kind, and where a summary has its figures.
KINDS: tuple[tuple[Kind, str], ...] = (("system", "heads"), ("ensemble", "ensemble"))


def _floors(summary: Mapping[str, Any], test: str) -> list[Scored]:
    """A summary's predictions that look at no input."""
    return [
        Scored(name=name, head="", kind="floor", figures=_told(by_test[test]))
        for name, by_test in summary["floors"].items()
    ]


def _told(metrics: Mapping[str, Mapping[str, Any]]) -> Figures:
    return {
        name: (_number(metrics[name]["mean"]), _number(metrics[name]["std"])) for name in METRICS
    }


def _number(value: float | None) -> float:
    return NONE if value is None else float(value)
