"""From a run's summary to the tables that are printed and stored: text, Markdown, CSV, LaTeX.

A table is plain cells with a title and notes; how it looks is decided here alone. Figures are
mean +- standard deviation over seeds, on test; floors stand below the models.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amber_heads.metrics import HEADLINE, METRICS

if TYPE_CHECKING:
    from rich.console import RenderableType

#: What the main table shows: the paper's six, and what its F1 column probably is.
SHOWN = (*HEADLINE, "f1_multilabel")

_NAMES = {"js": "JS", "bc": "BC", "r2": "R2", "f1": "F1", "wf1": "W-F1", "acc": "ACC"}
_ARROWS = {"min": " ↓", "max": " ↑", "": ""}


@dataclass(frozen=True)
class Table:
    """Cells as text, under a title, with notes below.

    Attributes:
        emphasis: Rows to be set in bold.
        breaks: Rows that a rule stands before.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    emphasis: frozenset[int] = frozenset()
    breaks: frozenset[int] = frozenset()


def tables_of(summary: Mapping[str, Any]) -> dict[str, Table]:
    """Every table of a run by the name of its file."""
    tables = {}
    for test in summary["test_sets"]:
        suffix = "" if len(summary["test_sets"]) == 1 else f"_{test}"
        tables[f"table{suffix}"] = results_table(summary, test)
        if len(summary["configurations"]) > 1:
            tables[f"grid{suffix}"] = grid_table(summary, test)
    return tables


def results_table(summary: Mapping[str, Any], test: str = "test") -> Table:
    """Every head of the selected configuration, then the floors."""
    selected = summary["selected"]
    marked = selected["read_at_another_head"]
    rows = [
        (head + ("*" if head in marked else ""), *_figures(by_test[test], SHOWN))
        for head, by_test in selected["heads"].items()
    ]
    first_floor = len(rows)
    rows += [(name, *_figures(by_test[test], SHOWN)) for name, by_test in summary["floors"].items()]
    if len(summary["folds"]) > 1:
        rows += [
            (f"{head}, over folds", *_figures(by_test[test], SHOWN, over="fold_"))
            for head, by_test in selected["heads"].items()
        ]
    return Table(
        title=_heading(summary, f"Results, {test}" if test != "test" else "Results"),
        columns=("head", *_columns(SHOWN)),
        rows=tuple(rows),
        notes=_notes(summary),
        emphasis=frozenset({first_floor - 1}),
        breaks=frozenset({first_floor, first_floor + len(summary["floors"])}),
    )


def grid_table(summary: Mapping[str, Any], test: str = "test") -> Table:
    """One row a cell of the grid, each with its judging head's figures; selected cells marked."""
    axes = [name for name in summary["axes"] if _varies(summary, name)]
    rows = []
    for one in summary["configurations"]:
        head = one["settings"]["student"] or summary["heads"][-1]
        cells = [
            "" if one["settings"][name] is None else str(one["settings"][name]) for name in axes
        ]
        rows.append(
            (*cells, _selected_mark(one, summary), *_figures(one["heads"][head][test], SHOWN))
        )
    chosen = {i for i, one in enumerate(summary["configurations"]) if one["selected_in_folds"]}
    how = summary["selected"]["how"]
    rule = "for each fold apart" if how == "nested" else "for all folds together, optimistic: with "
    if how == "pooled":
        rule += "rotating validation every test part has then been seen"
    last = summary["heads"][-1]
    rows.append(
        (
            *[""] * len(axes),
            "all selected",
            *_figures(summary["selected"]["heads"][last][test], SHOWN),
        )
    )
    return Table(
        title=_heading(summary, "Hyper-parameters"),
        columns=(*(_axis(name) for name in axes), "selected", *_columns(SHOWN)),
        rows=tuple(rows),
        notes=(
            f"Selected on validation js, {rule}; test figures are shown, never chosen by.",
            *_notes(summary, heads=False),
        ),
        emphasis=frozenset(chosen),
        breaks=frozenset({len(rows) - 1}),
    )


def to_rich(table: Table) -> RenderableType:
    """For the terminal."""
    from rich import box
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for number, column in enumerate(table.columns):
        shown.add_column(Text(column), justify="right" if number else "left", no_wrap=True)
    for number, row in enumerate(table.rows):
        if number in table.breaks:
            shown.add_section()
        style = "bold" if number in table.emphasis else None
        shown.add_row(*map(Text, row), style=style)
    title = Text(table.title, style="bold")
    return Group(Text(), title, shown, *(Text(note, style="dim") for note in table.notes))


def to_csv(table: Table) -> str:
    """Comma-separated: the header and the rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """A pipe table under its title, notes below."""
    lines = [f"**{_md(table.title)}**", "", _pipes(table.columns)]
    lines.append("|" + "|".join(["---"] + ["---:"] * (len(table.columns) - 1)) + "|")
    for number, row in enumerate(table.rows):
        cells = [_md(cell) for cell in row]
        bold = number in table.emphasis
        lines.append(_pipes([f"**{cell}**" if bold and cell else cell for cell in cells]))
    return "\n".join([*lines, "", *(f"{_md(note)}  " for note in table.notes), ""])


def to_latex(table: Table) -> str:
    """A booktabs table that compiles as it is (needs the package booktabs)."""
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(table.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
        r"\toprule",
        " & ".join(map(_tex, table.columns)) + r" \\",
        r"\midrule",
    ]
    for number, row in enumerate(table.rows):
        if number in table.breaks:
            lines.append(r"\midrule")
        cells = [_tex(cell) for cell in row]
        bold = number in table.emphasis
        lines.append(" & ".join(rf"\textbf{{{c}}}" if bold and c else c for c in cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip\footnotesize {_tex(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}", ""])


def _figures(metrics: Mapping[str, Any], names: Sequence[str], *, over: str = "") -> list[str]:
    return [figure(metrics[name][f"{over}mean"], metrics[name][f"{over}std"]) for name in names]


def figure(mean: float | None, std: float | None) -> str:
    """Mean and standard deviation to three places; a dash where there is no figure."""
    if mean is None or mean != mean:
        return "-"
    return f"{mean:.3f}" if std is None or std != std else f"{mean:.3f} ± {std:.3f}"


def _columns(names: Sequence[str]) -> list[str]:
    return [_NAMES.get(name, name) + _ARROWS[METRICS[name].direction] for name in names]


def _heading(summary: Mapping[str, Any], title: str) -> str:
    demo = "SYNTHETIC DEMO: " if summary["corpus"] == "demo" else ""
    encoders = ", ".join(f"{key}={value}" for key, value in summary["encoders"].items())
    return f"{demo}{title} on {summary['corpus']} ({encoders}), {_system(summary)}"


def _system(summary: Mapping[str, Any]) -> str:
    losses = dict.fromkeys(one["loss"] for one in summary["selected"]["settings"])
    return " and ".join(losses)


def _notes(summary: Mapping[str, Any], *, heads: bool = True) -> tuple[str, ...]:
    seeds, folds = len(summary["seeds"]), len(summary["folds"])
    notes = [
        f"{summary['utterances']['used']} utterances, {folds} folds, {seeds} seeds"
        + (" (one seed: no standard deviation)." if seeds == 1 else "; mean ± std over seeds.")
        + (" Rows 'over folds': mean ± std over folds." if heads and folds > 1 else "")
    ]
    if left_out := summary["utterances"]["left_out"]:
        listed = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        notes.append(f"Left out: {listed}.")
    if heads and summary["selected"]["read_at_another_head"]:
        notes.append("* read at the student's best epoch, not at its own.")
    if len(summary["classes"]) == 2:
        notes.append("R2 is not shown: with two classes it is always 1 or 0.")
    notes.append("f1_multilabel is probably what the paper's F1 column holds.")
    for column, found in summary["leakage"].items():
        notes.append(
            f"Leakage: {found['test_utterances']} test utterances share their {column} with "
            "training."
        )
    if summary["diverged_runs"]:
        notes.append(f"{len(summary['diverged_runs'])} runs diverged: their figures are missing.")
    return tuple(notes)


def _varies(summary: Mapping[str, Any], name: str) -> bool:
    return len({one["settings"][name] for one in summary["configurations"]}) > 1


def _selected_mark(one: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    chosen, folds = len(one["selected_in_folds"]), len(summary["folds"])
    return f"{chosen}/{folds} folds" if chosen else ""


def _axis(name: str) -> str:
    return {"lambda_mai": "lambda_MAI", "lambda_rai": "lambda_RAI"}.get(name, name)


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _md(text: str) -> str:
    escaped = text.replace("\\", "\\\\")
    for character in "|*_`<>[]":
        escaped = escaped.replace(character, "\\" + character)
    return " ".join(escaped.split())


def _tex(text: str) -> str:
    special = {
        "\\": r"\textbackslash{}",
        "±": r"$\pm$",
        "↓": r"$\downarrow$",
        "↑": r"$\uparrow$",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        **{character: "\\" + character for character in "&%$#_{}"},
    }
    return " ".join("".join(special.get(character, character) for character in text).split())
