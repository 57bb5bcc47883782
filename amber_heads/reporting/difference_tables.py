"""Tables of differences: to the reference, in all metrics, and the gain over CB-CE taken apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from amber_heads.reporting.differences import LEVEL, PRIMARY, Compared, smallest_p, twins_of
from amber_heads.reporting.parts import Part
from amber_heads.reporting.score_tables import metric_name
from amber_heads.tables import Table
from amber_heads.tabular.interval_words import few_clusters_notes, interval_column

#: With fewer clusters an interval misses the truth more often than it says (check_tests_size.py).
MANY_CLUSTERS = 10


def difference_tables(part: Part, *, mark: str) -> dict[str, Table]:
    """The primary metric in full, and all six at a glance."""
    found = part.compared.get(PRIMARY)
    if not found:
        return {}
    return {
        "differences": _full_table(part, found, mark=mark),
        "differences-all-metrics": _glance_table(part, mark=mark),
    }


def anatomy_tables(
    summaries: Mapping[Path, Mapping[str, Any]],
    test_set: str,
    *,
    mark: str,
    names: Mapping[Path, str] | None = None,
) -> dict[str, Table]:
    """The gain over CB-CE taken apart, a table for each comparison that tells it.

    Args:
        names: What some runs are called in place of their folders' names.
    """
    called = {path: path.name for path in summaries} | dict(names or {})
    told = {path: (one.get("anatomy") or {}).get(test_set) or {} for path, one in summaries.items()}
    found = {path: one for path, one in told.items() if one.get("steps")}
    tables = {
        path: _anatomy_table(one, summaries[path], test_set, mark=mark)
        for path, one in found.items()
    }
    if len(tables) == 1:
        return {"anatomy": next(iter(tables.values()))}
    return {
        f"anatomy-{number}": replace(one, title=f"{one.title}, {called[path]}")
        for number, (path, one) in enumerate(tables.items(), start=1)
    }


def _anatomy_table(
    found: Mapping[str, Any], summary: Mapping[str, Any], test_set: str, *, mark: str
) -> Table:
    whole = [found["whole"]] if found.get("whole") else []
    steps = [*found["steps"], *whole]
    interval = interval_column(_num_clusters(steps))
    return Table(
        title=f"{mark}Anatomy of the gain over CB-CE in JS{_of_test_set(test_set)}",
        columns=("what changes", "from", "to", "difference in JS", interval, "p"),
        rows=tuple(_anatomy_row(one) for one in steps),
        notes=tuple(_anatomy_notes(steps, summary)),
        num_keys=3,
        breaks=frozenset({len(steps) - 1} if whole else ()),
    )


def _anatomy_notes(steps: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> list[str]:
    """The clusters are those of the comparison, whatever the report's own are."""
    notes = ["Below zero is better. The steps add up to the whole."]
    number, kind = _num_clusters(steps), str(summary.get("clusters") or "cluster")
    if number:
        notes.append(f"From the comparison: each {kind} ({number}) swapped and drawn as one.")
    return [*notes, *_interval_notes(number, kind)]


def _num_clusters(steps: Sequence[Mapping[str, Any]]) -> int:
    """0 where a comparison does not tell."""
    return int(steps[0].get("num_clusters") or 0)


def _full_table(part: Part, found: Sequence[Compared], *, mark: str) -> Table:
    return Table(
        title=f"{mark}Differences in {metric_name(PRIMARY)}{which(part)}",
        columns=(
            "system", "less", "difference", interval_column(part.clusters.number), "p", "p, Holm",
            "effect size", "clusters", "smallest p",
        ),
        rows=tuple(_difference_row(one) for one in found),
        notes=tuple(_test_notes(part, found)),
        num_keys=2,
        marks={(row, 2): "*" for row, one in enumerate(found) if one.is_significant},
    )  # fmt: skip


def _difference_row(one: Compared) -> tuple[str, ...]:
    d = one.difference
    return (
        one.label,
        one.reference,
        _signed(d.mean, places=4),
        "-" if math.isnan(d.low) else f"[{d.low:+.4f}, {d.high:+.4f}]",
        p_value(d.p),
        p_value(d.p_adjusted),
        "-" if math.isnan(d.effect_size) else f"{d.effect_size:+.2f}",
        str(d.num_clusters),
        p_value(d.smallest_p),
    )


def _glance_table(part: Part, *, mark: str) -> Table:
    metrics = list(part.compared)
    rows: list[tuple[str, ...]] = []
    marks: dict[tuple[int, int], str] = {}
    for number, one in enumerate(part.compared[PRIMARY]):
        across = [part.compared[metric][number] for metric in metrics]
        rows.append((one.label, one.reference, *(_signed(c.difference.mean) for c in across)))
        marks |= {(number, 2 + i): "*" for i, c in enumerate(across) if c.is_significant}
    return Table(
        title=f"{mark}Differences in all metrics{which(part)}",
        columns=("system", "less", *map(metric_name, metrics)),
        rows=tuple(rows),
        notes=(f"*: Holm's p below {LEVEL}, each metric a family of its own; JS is primary.",),
        num_keys=2,
        marks=marks,
    )


def _test_notes(part: Part, found: Sequence[Compared]) -> list[str]:
    clusters, least = part.clusters, smallest_p(found)
    notes = [
        f"Paired by utterance, averaged over seeds; whole clusters ({clusters.kind}, "
        f"{clusters.number} of them) swap the two systems in the permutation test and are drawn in "
        "the bootstrap. Holm over all systems by the head they are judged by, and over other heads "
        "apart; the floor is in no family. Effect size: difference over its standard deviation "
        "among clusters.",
        f"*: Holm's p below {LEVEL}.",
    ]
    if not math.isnan(least):
        notes.append(f"So few clusters allow no p below {p_value(least)}.")
    notes += _interval_notes(clusters.number, clusters.kind)
    shown = {one.label for one in found}
    notes += [
        f"{one} trains as {other}: its figures are that system's but for rounding, and Holm counts "
        "the two once."
        for one, other in twins_of(part.evidence).items()
        if one in shown
    ]
    reasons = dict.fromkeys(one.difference.why_not for one in found if one.difference.why_not)
    return [*notes, *(f"No test: {one}." for one in reasons)]


def _interval_notes(number: int, kind: str) -> list[str]:
    if few := few_clusters_notes(number, kind):
        return few
    if 1 < number < MANY_CLUSTERS:
        return [
            "With so few clusters the intervals are a little too narrow and may leave out 0 where "
            "the test finds nothing; the test is right."
        ]
    return []


def _anatomy_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = one.get("low"), one.get("high")
    interval = "-" if low is None or high is None else f"[{low:+.4f}, {high:+.4f}]"
    p = one.get("p")
    return (
        str(one["what"]),
        str(one["before"]),
        str(one["after"]),
        "-" if one.get("mean") is None else _signed(float(one["mean"]), places=4),
        interval,
        "-" if p is None else p_value(float(p)),
    )


def p_value(p: float) -> str:
    """Three significant places, never zero.

    >>> p_value(0.0625), p_value(0.00001), p_value(float("nan"))
    ('0.0625', '<0.0001', '-')
    """
    if math.isnan(p):
        return "-"
    return "<0.0001" if p < 1e-4 else f"{p:.3g}"


def _signed(value: float, *, places: int = 3) -> str:
    return "-" if math.isnan(value) else f"{value:+.{places}f}"


def which(part: Part) -> str:
    """The test set as the end of a title; nothing where there is only one."""
    return _of_test_set(part.name)


def _of_test_set(name: str) -> str:
    return "" if name == "test" else f", {name}"
