"""From a run's summary to the tables that are printed and stored.

Figures are mean +- standard deviation over seeds, on test; floors stand below the models. How a
table looks is rendering.py's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from amber_heads.counting import counted
from amber_heads.tabular.comparison_tables import comparison_tables
from amber_heads.tabular.layers import layers_table
from amber_heads.tabular.rendering import Table, to_csv, to_latex, to_markdown, to_rich
from amber_heads.tabular.table_words import (
    AXIS_NAMES,
    F1_NOTE,
    SHOWN,
    column_names,
    data_notes,
    figure,
    figures_of,
    floor_rows,
    heading,
    heading_mark,
    setting_text,
)

__all__ = [
    "SHOWN",
    "Table",
    "figure",
    "grid_table",
    "heading_mark",
    "results_table",
    "tables_of",
    "to_csv",
    "to_latex",
    "to_markdown",
    "to_rich",
]


def tables_of(summary: Mapping[str, Any]) -> dict[str, Table]:
    """Every table of a run by the name of its files, which a corpus's words can't lead astray."""
    tables: dict[str, Table] = {}
    for number, test in enumerate(summary["test_sets"], start=1):
        plain = re.sub(r"[^a-z0-9]+", "-", test).strip("-")
        suffix = "" if len(summary["test_sets"]) == 1 else f"_{number}-{plain}".rstrip("-")
        tables |= {f"{name}{suffix}": one for name, one in _tables_of(summary, test).items()}
    if summary.get("layer_weights"):
        tables["layers"] = layers_table(summary)
    return tables


def _tables_of(summary: Mapping[str, Any], test: str) -> dict[str, Table]:
    if summary.get("command") == "compare":
        return comparison_tables(summary, test)
    tables = {"table": results_table(summary, test)}
    if _is_search(summary):
        tables["grid"] = grid_table(summary, test)
    return tables


def results_table(summary: Mapping[str, Any], test: str = "test") -> Table:
    """Every head of the selected configuration, the floors, and each head over folds."""
    selected = summary["selected"]
    marked = set(selected["read_at_another_head"])
    rows = [
        (head + "*" * (head in marked), *figures_of(by_test[test]))
        for head, by_test in selected["heads"].items()
    ]
    judged = {list(selected["heads"]).index(head) for head in selected["judged_by"]}
    breaks = {len(rows), len(rows) + len(summary["floors"])}
    rows += floor_rows(summary, test)
    if len(summary["folds"]) > 1:
        rows += [
            (f"{head}, over folds", *figures_of(by_test[test], over="fold_"))
            for head, by_test in selected["heads"].items()
        ]
    return Table(
        title=heading(summary, "Results" + " as selected" * _is_search(summary), test),
        columns=("head", *column_names(SHOWN)),
        rows=tuple(rows),
        notes=(*_system_notes(summary), *data_notes(summary), F1_NOTE),
        emphasis=frozenset(judged),
        breaks=frozenset(breaks),
    )


def grid_table(summary: Mapping[str, Any], test: str = "test") -> Table:
    """One row a cell of the grid, with its judging head's figures; selected cells are marked."""
    axes = [name for name in summary["axes"] if _varies(summary, name)]
    cells = summary["configurations"]
    rows = [
        (
            *(setting_text(one["settings"][name]) for name in axes),
            _selected_mark(one, summary),
            *figures_of(one["heads"][one["judged_by"]][test]),
        )
        for one in cells
    ]
    blank = [""] * len(axes)
    rows.append(("as selected", *blank, *figures_of(summary["selected"]["judged"][test])))
    rows += [(name, *blank, *figures) for name, *figures in floor_rows(summary, test)]
    return Table(
        title=heading(summary, "Hyper-parameters", test),
        columns=(
            *(AXIS_NAMES.get(name, name.replace("_encoder", " encoder")) for name in axes),
            "selected",
            *column_names(SHOWN),
        ),
        rows=tuple(rows),
        notes=(*_grid_notes(summary), *data_notes(summary), F1_NOTE),
        num_keys=len(axes) + 1,
        emphasis=frozenset(i for i, one in enumerate(cells) if one["selected_in_folds"]),
        breaks=frozenset({len(cells), len(cells) + 1}),
    )


def _below_the_floor(summary: Mapping[str, Any]) -> list[str]:
    """The heads that are no better on js than predicting the training mean."""
    notes = []
    flat = summary["floors"].get("training mean")
    for test in summary["test_sets"] if flat else ():
        floor = flat[test]["js"]["mean"]
        heads = summary["selected"]["heads"].items()
        found = {head: by_test[test]["js"]["mean"] for head, by_test in heads}
        below = [head for head, js in found.items() if js is not None and not js < floor]
        if below:
            where = f" on {test}" if len(summary["test_sets"]) > 1 else ""
            notes.append(f"NO BETTER THAN THE TRAINING MEAN on js{where}: {', '.join(below)}.")
    return notes


def _system_notes(summary: Mapping[str, Any]) -> list[str]:
    """What was trained, and how far the heads' figures can be compared."""
    selected = summary["selected"]
    notes = ["Bold: the head that the settings are judged by, not the best figure."]
    notes += _below_the_floor(summary)
    if _is_search(summary):
        notes.append(f"Settings selected {_rule(summary)}.")
    elif told := _amber2_settings(selected["settings"][0]):
        notes.append(told)
    if selected["read_at_another_head"]:
        notes.append(f"* an expert, read at the student's best epoch{_teacher(selected)}.")
    if len(summary["folds"]) > 1:
        notes.append("Rows 'over folds': mean ± std over folds.")
    return notes


def _teacher(selected: Mapping[str, Any]) -> str:
    """Whom the experts learn from, where some fold's settings give them no loss of their own."""
    alone = [one for one in selected["settings"] if not one["expert_loss"]]
    if any(one["lambda_mai"] == 0 for one in alone):
        return ", not at its own; nothing teaches it, so that it is untrained"
    if alone:
        return ", not at its own; it is taught by the student alone, not by the raters"
    return ", not at its own"


def _grid_notes(summary: Mapping[str, Any]) -> list[str]:
    heads = dict.fromkeys(one["judged_by"] for one in summary["configurations"])
    notes = [f"Figures of the head {' or '.join(heads)}, on test; selected {_rule(summary)}."]
    if summary["selected"]["how"] == "pooled":
        notes.append(
            "OPTIMISTIC: one setting was selected for all folds, and with rotating validation "
            "every test part has then been seen."
        )
    for edge in summary["selected"].get("edges", ()):
        axis = edge["setting"].replace("_", "-")
        where = counted(edge["folds"], "fold")
        notes.append(
            f"AT THE EDGE: {axis} {edge['value']:g}, selected in {where}, ends its axis; "
            f"the best may lie beyond: try --grid {axis}={edge['try']}."
        )
    return notes


def _is_search(summary: Mapping[str, Any]) -> bool:
    return len(summary["configurations"]) > 1


def _rule(summary: Mapping[str, Any]) -> str:
    is_pooled = summary["selected"]["how"] == "pooled"
    which = "one for all folds (optimistic)" if is_pooled else "for each fold apart"
    return f"on {summary['selected']['by']}, {which}"


def _amber2_settings(settings: Mapping[str, Any]) -> str:
    told = [
        f"{AXIS_NAMES.get(name, name)} {setting_text(settings[name])}"
        for name in ("student", "kappa", "lambda_rai", "lambda_mai", "expert_loss")
        if settings[name] is not None
    ]
    if settings.get("smoothing"):
        told.append(f"label smoothing {setting_text(settings['smoothing'])}")
    return f"{settings['loss']}: {', '.join(told)}." if told else ""


def _varies(summary: Mapping[str, Any], name: str) -> bool:
    return len({one["settings"][name] for one in summary["configurations"]}) > 1


def _selected_mark(one: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    chosen, folds = len(one["selected_in_folds"]), len(summary["folds"])
    return f"{chosen} of {counted(folds, 'fold')}" if chosen else ""
