"""Tables of scores: every system, head and ensemble, with floors and raters beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from amber_heads.metrics import HEADLINE, METRICS
from amber_heads.reporting.ambiguity_levels import Levels
from amber_heads.reporting.scores import ENSEMBLE, FLOOR, SYSTEM, Score
from amber_heads.statistics.noise import Expected
from amber_heads.tables import Table, figure

#: What the main table shows, and what the one under it adds.
MAIN = (*HEADLINE, "f1_multilabel")
FURTHER = tuple(one for one in METRICS if one not in (*MAIN, "n_ties", "entropy_target"))

NAMES = {"js": "JS", "bc": "BC", "r2": "R2", "f1": "F1", "wf1": "W-F1", "acc": "ACC"}
_ARROWS = {"min": " ↓", "max": " ↑", "": ""}

#: A deviation below this is of what can't vary: a floor that draws nothing.
ROUNDING = 1e-12

#: Rows about raters, which stand below the floors of every table.
ONE_RATER, PERFECT = "one rater more", "a perfect model"


def metric_name(metric: str) -> str:
    """A metric's name with an arrow to its better side."""
    return NAMES.get(metric, metric.replace("_", " ")) + _ARROWS[METRICS[metric].direction]


def score_table(
    scores: Sequence[Score],
    *,
    title: str,
    metrics: Sequence[str],
    one_rater: Mapping[str, float],
    perfect: Mapping[str, Expected] | None,
    leading: str,
    notes: Sequence[str] = (),
) -> Table:
    """Systems with their ensembles, floors, then the raters.

    Bold figures are the best of single heads, without ensembles, floors and raters; a bold name is
    the leading system's, and a page has its row in another colour.
    """
    rows = [
        (one.name, _head(one), *(told(one.figures[m].mean, one.figures[m].std) for m in metrics))
        for one in scores
    ]
    num_systems = sum(one.kind != FLOOR for one in scores)
    breaks = {num_systems, len(rows)}
    breaks |= {i for i in range(1, num_systems) if scores[i].name != scores[i - 1].name}
    rows += raters_rows(metrics, one_rater, perfect, num_keys=2)
    return Table(
        title=title,
        columns=("system", "head", *map(metric_name, metrics)),
        rows=tuple(rows),
        notes=tuple(notes),
        num_keys=2,
        breaks=frozenset(breaks),
        **bold_cells(best_cells(scores, metrics, first=2) | _names(scores, leading)),
    )


def level_table(levels: Levels, metric: str, *, title: str, notes: Sequence[str] = ()) -> Table:
    """One metric, a column a level: systems, floors, raters."""
    counted = [
        ("utterances", *map(str, levels.numbers)),
        ("raters an utterance", *(f"{one:.2f}" for one in levels.raters)),
    ]
    rows = [
        (line[0].label, *(told(one.figures[metric].mean, one.figures[metric].std) for one in line))
        for line in levels.lines
    ]
    num_systems = sum(line[0].kind == SYSTEM for line in levels.lines)
    raters = [
        (ONE_RATER, *(told(one[metric], None) for one in levels.one_rater)),
        (PERFECT, *(_perfect(one, metric) for one in levels.perfect)),
    ]
    return Table(
        title=title,
        columns=(f"{metric_name(metric)} by {levels.what}", *levels.names),
        rows=(*counted, *rows, *raters),
        notes=tuple(notes),
        breaks=frozenset({2, 2 + num_systems, 2 + len(rows)}),
    )


def raters_rows(
    metrics: Sequence[str],
    one_rater: Mapping[str, float],
    perfect: Mapping[str, Expected] | None,
    *,
    num_keys: int,
) -> list[tuple[str, ...]]:
    """The one-rater reference and the noise floor as two rows of a table."""
    blank = [""] * (num_keys - 1)
    return [
        (ONE_RATER, *blank, *(told(one_rater[metric], None) for metric in metrics)),
        (PERFECT, *blank, *(_perfect(perfect, metric) for metric in metrics)),
    ]


def told(mean: float | None, std: float | None) -> str:
    """A figure to three places; "-" where there is none. What can't vary has no deviation."""
    return figure(mean, None if not std or math.isnan(std) or std < ROUNDING else std)


def best_cells(
    scores: Sequence[Score], metrics: Sequence[str], *, first: int
) -> set[tuple[int, int]]:
    """(row, column) of the best mean a metric among single heads; equal ones all."""
    cells: set[tuple[int, int]] = set()
    for column, metric in enumerate(metrics):
        pick = {"min": min, "max": max}.get(METRICS[metric].direction)
        means = {
            row: one.figures[metric].mean
            for row, one in enumerate(scores)
            if one.kind == SYSTEM and not math.isnan(one.figures[metric].mean)
        }
        if pick is not None and len(means) > 1:
            best = pick(list(means.values()))
            cells |= {(row, first + column) for row, value in means.items() if value == best}
    return cells


def _names(scores: Sequence[Score], leading: str) -> set[tuple[int, int]]:
    """The cells with the leading system's name and head."""
    return {
        (i, column) for i, one in enumerate(scores) if one.label == leading for column in (0, 1)
    }


def bold_cells(cells: set[tuple[int, int]]) -> dict[str, Any]:
    """As the table's argument."""
    return {"bold": frozenset(cells)}


def _head(one: Score) -> str:
    return f"{one.head} ensemble".strip() if one.kind == ENSEMBLE else one.head


def _perfect(values: Mapping[str, Expected] | None, metric: str) -> str:
    if values is None or math.isnan(values[metric].mean):
        return "-"
    return f"{values[metric].mean:.3f}"
