"""A comparison's summary as tables: all systems, their differences, Tables 1 to 5, the anatomy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amber_heads.counting import counted
from amber_heads.tabular.interval_words import few_clusters_notes, interval_column
from amber_heads.tabular.paper_tables import paper_tables
from amber_heads.tabular.rendering import Table
from amber_heads.tabular.scores import ENSEMBLE, Scored, best_cells, scores_of_summary, stars
from amber_heads.tabular.table_words import (
    F1_NOTE,
    SHOWN,
    column_names,
    data_notes,
    figure,
    heading_of_data,
)

_NO_TEST = "No test was made: "
_EXPERT = "e: an expert, read at the student's best epoch, not at its own."
_NEGATIVE = "Below 0: the JS is lower, which is better."


def comparison_tables(summary: Mapping[str, Any], test: str) -> dict[str, Table]:
    """A test set's tables by name, the anatomy last; nothing is computed, all is looked up."""
    rows = scores_of_summary(summary, test)
    tables = {"table": systems_table(rows, summary, test)}
    if summary["differences"][test]:
        tables["differences"] = differences_table(summary, test)
    tables |= paper_tables(rows, summary, test)
    if summary["anatomy"][test]["steps"]:
        tables["anatomy"] = anatomy_table(summary, test)
    return tables


def systems_table(rows: Sequence[Scored], summary: Mapping[str, Any], test: str) -> Table:
    """Every head of every system, the judged heads' seed ensembles, the floors."""
    shown = [one for one in rows if one.kind != "ensemble" or one.is_judged]
    cells = [(*_keys(one), *(figure(*one.figures[m]) for m in SHOWN)) for one in shown]
    js = 2 + SHOWN.index("js")
    marks = {(r, js): stars(one.p) for r, one in enumerate(shown) if one.is_judged}
    marks |= {(r, 1): "e" for r, one in enumerate(shown) if one.is_expert}
    best = {(row, 2 + column) for row, column in best_cells(shown, SHOWN)}
    return Table(
        title=heading_of_data(summary, "Systems", test),
        columns=("system", "head", *column_names(SHOWN)),
        rows=tuple(cells),
        notes=(
            *_system_notes(summary, test),
            *_test_notes(summary, test),
            F1_NOTE,
            *data_notes(summary),
        ),
        num_keys=2,
        breaks=frozenset(r for r in range(1, len(shown)) if shown[r].kind != shown[r - 1].kind),
        bold=frozenset(best),
        marks={place: mark for place, mark in marks.items() if mark},
    )


def differences_table(summary: Mapping[str, Any], test: str) -> Table:
    """Every system less the reference, by js."""
    tested = summary["differences"][test]
    interval = interval_column(next(iter(tested.values()))["num_clusters"])
    rows = [
        (
            name,
            one["head"],
            _signed(one["mean"]),
            _interval(one),
            p_text(one["p"]),
            p_text(one["p_adjusted"]),
            _signed(one["effect_size"], places=2),
        )
        for name, one in tested.items()
    ]
    return Table(
        title=heading_of_data(summary, f"Differences to {summary['reference']}", test),
        columns=("system", "head", "Δ JS", interval, "p", "p, Holm", "effect size"),
        rows=tuple(rows),
        notes=(
            _NEGATIVE,
            "Effect size: the difference over its standard deviation between clusters.",
            *_test_notes(summary, test),
        ),
        num_keys=2,
        marks={
            (r, 5): mark
            for r, one in enumerate(tested.values())
            if (mark := stars(one["p_adjusted"]))
        },
    )


def anatomy_table(summary: Mapping[str, Any], test: str) -> Table:
    """The steps from CB-CE to the seed ensemble, and the whole."""
    found = summary["anatomy"][test]
    whole = found["whole"]
    interval = interval_column(whole["num_clusters"])
    rows = [
        (
            one["what"],
            one["before"],
            one["after"],
            _signed(one["mean"]),
            _interval(one),
            _share(one, whole),
        )
        for one in (*found["steps"], whole)
    ]
    return Table(
        title=heading_of_data(summary, "Anatomy of the gain over CB-CE", test),
        columns=("change", "from", "to", "Δ JS", interval, "share"),
        rows=tuple(rows),
        notes=(
            _NEGATIVE,
            "The steps add up to the whole; no share is told where its interval includes 0.",
            *_cluster_notes(summary, test),
        ),
        num_keys=3,
        breaks=frozenset({len(rows) - 1}),
    )


def p_text(p: float | None) -> str:
    """To three places; "< 0.001" below them, a dash where no test was made."""
    if p is None:
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _keys(one: Scored) -> tuple[str, str]:
    return (f"{one.name}, {ENSEMBLE}" if one.kind == "ensemble" else one.name, one.head)


def _signed(value: float | None, *, places: int = 4) -> str:
    return "-" if value is None else f"{value:+.{places}f}"


def _interval(one: Mapping[str, Any]) -> str:
    return "-" if one["low"] is None else f"{_signed(one['low'])} to {_signed(one['high'])}"


def _share(step: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """Of the whole difference; a dash where that may as well be nothing."""
    ends = (whole["low"], whole["high"])
    if None in ends or step["mean"] is None or ends[0] <= 0 <= ends[1]:
        return "-"
    return f"{100 * step['mean'] / whole['mean']:.0f}%"


def _system_notes(summary: Mapping[str, Any], test: str) -> list[str]:
    flat = summary["floors"]["training mean"][test]["js"]["mean"]
    below = [
        f"{name} {head}".strip()
        for name, system in summary["systems"].items()
        for head, by_test in system["heads"].items()
        if (js := by_test[test]["js"]["mean"]) is not None and not js < flat
    ]
    notes = ["Bold: the best figure in a column, floors included."]
    if below:
        notes.append(f"NO BETTER THAN THE TRAINING MEAN on js: {', '.join(below)}.")
    if any(one["read_at_another_head"] for one in summary["systems"].values()):
        notes.append(_EXPERT)
    return notes + [
        f"{name}: {one['description']} ({one['source']})."
        for name, one in summary["systems"].items()
    ]


def _test_notes(summary: Mapping[str, Any], test: str) -> list[str]:
    """How the systems were tested, or why not."""
    tested = list(summary["differences"][test].values())
    if not tested:
        return []
    why_not = list(dict.fromkeys(one["why_not"] for one in tested if one["why_not"]))
    if all(one["p"] is None for one in tested):
        return [f"{_NO_TEST}{'; '.join(why_not)}."]
    reference, number = summary["reference"], len(tested) - len(twins_of(summary))
    notes = [
        f"*, **, ***: JS is not {reference}'s, p < 0.05, 0.01, 0.001 by Holm over "
        f"{counted(number, 'system')}; two-sided permutation test, paired by utterance, "
        "averaged over seeds."
    ]
    notes += [
        f"{one} trains as {other}: its figures are that system's but for rounding, and Holm counts "
        "the two once."
        for one, other in twins_of(summary).items()
    ]
    return notes + _cluster_notes(summary, test) + [f"Not tested: {one}." for one in why_not]


def twins_of(summary: Mapping[str, Any]) -> dict[str, str]:
    """Tested systems that are one training with another; an older summary tells of none."""
    reference = summary.get("reference")
    return {k: v for k, v in (summary.get("twins") or {}).items() if k != reference}


def _cluster_notes(summary: Mapping[str, Any], test: str) -> list[str]:
    tested = [*summary["differences"][test].values(), *summary["anatomy"][test]["steps"]]
    if not tested:
        return []
    number, kind = tested[0]["num_clusters"], summary["clusters"]
    notes = [f"Swapped and drawn as one: each {kind} ({number}); intervals by bootstrap."]
    least = [one["smallest_p"] for one in tested if one["smallest_p"] is not None]
    if least:
        notes.append(f"The smallest p that {counted(number, kind)} can give: {min(least):.3g}.")
    return notes + few_clusters_notes(number, kind)
