"""From a run's summary to the tables that are printed and stored: text, Markdown, CSV, LaTeX.

A table is plain cells with a title and notes; how it looks is decided here alone. Figures are
mean +- standard deviation over seeds, on test; floors stand below the models.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amber_heads.leakage_words import leakage_name
from amber_heads.metrics import HEADLINE, METRICS

if TYPE_CHECKING:
    from rich.console import RenderableType

#: What the main table shows: the paper's six, and what its F1 column probably is.
SHOWN = (*HEADLINE, "f1_multilabel")

_NAMES = {"js": "JS", "bc": "BC", "r2": "R2", "f1": "F1", "wf1": "W-F1", "acc": "ACC"}
_AXES = {"lambda_mai": "lambda_MAI", "lambda_rai": "lambda_RAI", "expert_loss": "expert loss"}
_ARROWS = {"min": " ↓", "max": " ↑", "": ""}

#: What parts two columns in a terminal.
_GAP = 3


@dataclass(frozen=True)
class Table:
    """Cells as text, under a title, with notes below.

    Attributes:
        num_keys: Columns at the left that say what a row is; all others are figures.
        emphasis: Rows to be set in bold.
        breaks: Rows that a rule stands before.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    num_keys: int = 1
    emphasis: frozenset[int] = frozenset()
    breaks: frozenset[int] = frozenset()


def tables_of(summary: Mapping[str, Any]) -> dict[str, Table]:
    """Every table of a run by the name of its files, which a corpus's words can't lead astray."""
    tables = {}
    for number, test in enumerate(summary["test_sets"], start=1):
        plain = re.sub(r"[^a-z0-9]+", "-", test).strip("-")
        suffix = "" if len(summary["test_sets"]) == 1 else f"_{number}-{plain}".rstrip("-")
        tables[f"table{suffix}"] = results_table(summary, test)
        if _is_search(summary):
            tables[f"grid{suffix}"] = grid_table(summary, test)
    if summary.get("layer_weights"):
        tables["layers"] = layers_table(summary)
    return tables


def results_table(summary: Mapping[str, Any], test: str = "test") -> Table:
    """Every head of the selected configuration, the floors, and each head over folds."""
    selected = summary["selected"]
    marked = set(selected["read_at_another_head"])
    rows = [
        (head + "*" * (head in marked), *_figures(by_test[test]))
        for head, by_test in selected["heads"].items()
    ]
    judged = {list(selected["heads"]).index(head) for head in selected["judged_by"]}
    breaks = {len(rows), len(rows) + len(summary["floors"])}
    rows += _floor_rows(summary, test)
    if len(summary["folds"]) > 1:
        rows += [
            (f"{head}, over folds", *_figures(by_test[test], over="fold_"))
            for head, by_test in selected["heads"].items()
        ]
    return Table(
        title=_heading(summary, "Results" + " as selected" * _is_search(summary), test),
        columns=("head", *_columns(SHOWN)),
        rows=tuple(rows),
        notes=(*_system_notes(summary), *_notes(summary)),
        emphasis=frozenset(judged),
        breaks=frozenset(breaks),
    )


def grid_table(summary: Mapping[str, Any], test: str = "test") -> Table:
    """One row a cell of the grid, with its judging head's figures; selected cells are marked."""
    axes = [name for name in summary["axes"] if _varies(summary, name)]
    cells = summary["configurations"]
    rows = [
        (
            *(_setting(one["settings"][name]) for name in axes),
            _selected_mark(one, summary),
            *_figures(one["heads"][one["judged_by"]][test]),
        )
        for one in cells
    ]
    blank = [""] * len(axes)
    rows.append(("as selected", *blank, *_figures(summary["selected"]["judged"][test])))
    rows += [(name, *blank, *figures) for name, *figures in _floor_rows(summary, test)]
    return Table(
        title=_heading(summary, "Hyper-parameters", test),
        columns=(
            *(_AXES.get(name, name.replace("_encoder", " encoder")) for name in axes),
            "selected",
            *_columns(SHOWN),
        ),
        rows=tuple(rows),
        notes=(*_grid_notes(summary), *_notes(summary)),
        num_keys=len(axes) + 1,
        emphasis=frozenset(i for i, one in enumerate(cells) if one["selected_in_folds"]),
        breaks=frozenset({len(cells), len(cells) + 1}),
    )


def layers_table(summary: Mapping[str, Any]) -> Table:
    """One row a summed layer, with its weight in each head that reads it."""
    rows: list[tuple[str, ...]] = []
    breaks, shares = set(), []
    for one in summary["layer_weights"]:
        breaks.add(len(rows))
        shares.append(f"1/{len(one['layers'])} = {1 / len(one['layers']):.3f}")
        weights = [
            [figure(*pair) for pair in zip(found["mean"], found["std"], strict=True)]
            for found in one["heads"].values()
        ]
        columns = zip(one["layers"], *weights, strict=True)
        rows += [(f"{one['modality']}: {name}", *cells) for name, *cells in columns]
    own, *fusion = summary["layer_weights"][0]["heads"]
    runs = max(found["runs"] for one in summary["layer_weights"] for found in one["heads"].values())
    note = f"Softmax weights, mean ± std over {_counted(runs, 'run')} (folds and seeds)"
    return Table(
        title=f"{heading_mark(summary['corpus'])}Layers' weights, as learned",
        columns=("layer", "own head" if fusion else f"{own} head", *(f"{h} head" for h in fusion)),
        rows=tuple(rows),
        notes=(f"{note}; they start at {', '.join(dict.fromkeys(shares))}.",),
        breaks=frozenset(breaks - {0}),
    )


def to_rich(table: Table, *, width: int | None = None) -> RenderableType:
    """For the terminal; where it is narrower than the table, the figures stand in blocks."""
    from rich.console import Group
    from rich.text import Text

    blocks = [_rich_block(table, block) for block in _blocks(table, width)]
    title = Text(_shown(table.title), style="bold")
    notes = [Text(_shown(note), style="dim") for note in table.notes]
    return Group(Text(), title, *blocks, *notes)


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
    lines.append(f"|{_sides(table, '---|', '---:|')}")
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
        rf"\begin{{tabular}}{{{_sides(table, 'l', 'r')}}}",
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


def _blocks(table: Table, width: int | None) -> list[list[int]]:
    """Columns that fit side by side, the keys first in each block."""
    from rich.cells import cell_len

    keys, figures = list(range(table.num_keys)), range(table.num_keys, len(table.columns))
    size = [
        max(cell_len(_shown(row[column])) for row in (table.columns, *table.rows)) + _GAP
        for column in range(len(table.columns))
    ]
    blocks = [list(keys)]
    for column in figures:
        full = width is not None and sum(size[one] for one in [*blocks[-1], column]) > width
        if full and len(blocks[-1]) > len(keys):
            blocks.append(list(keys))
        blocks[-1].append(column)
    return blocks


def _rich_block(table: Table, columns: Sequence[int]) -> RenderableType:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        side: Any = "right" if column >= table.num_keys else "left"
        shown.add_column(Text(_shown(table.columns[column])), justify=side, no_wrap=True)
    for number, row in enumerate(table.rows):
        if number in table.breaks:
            shown.add_section()
        style = "bold" if number in table.emphasis else None
        shown.add_row(*(Text(_shown(row[column])) for column in columns), style=style)
    return shown


def _floor_rows(summary: Mapping[str, Any], test: str) -> list[tuple[str, ...]]:
    return [(name, *_figures(by_test[test])) for name, by_test in summary["floors"].items()]


def _figures(metrics: Mapping[str, Any], *, over: str = "") -> list[str]:
    return [figure(metrics[name][f"{over}mean"], metrics[name][f"{over}std"]) for name in SHOWN]


def figure(mean: float | None, std: float | None) -> str:
    """Mean and standard deviation to three places; a dash where there is no figure."""
    if mean is None or mean != mean:
        return "-"
    return f"{mean:.3f}" if std is None or std != std else f"{mean:.3f} ± {std:.3f}"


def _columns(names: Sequence[str]) -> list[str]:
    return [_NAMES.get(name, name) + _ARROWS[METRICS[name].direction] for name in names]


def heading_mark(corpus: str) -> str:
    """What every table of the demo corpus is headed; nothing for any other."""
    return "SYNTHETIC DEMO: " if corpus == "demo" else ""


def _heading(summary: Mapping[str, Any], title: str, test: str) -> str:
    corpus = summary["corpus"] or "a corpus without a name"
    encoders = ", ".join(f"{key}={_either(one)}" for key, one in summary["encoders"].items())
    losses = dict.fromkeys(one["settings"]["loss"] for one in summary["configurations"])
    which = f", {test}" if len(summary["test_sets"]) > 1 else ""
    return (
        f"{heading_mark(summary['corpus'])}{title} on {corpus}{which} ({encoders}), "
        f"{' and '.join(losses)}"
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
        notes.append(
            f"AT THE EDGE: {axis} {edge['value']:g}, selected in {edge['folds']} folds, ends its "
            f"axis; the best may lie beyond: try --grid {axis}={edge['try']}."
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
        f"{_AXES.get(name, name)} {_setting(settings[name])}"
        for name in ("student", "kappa", "lambda_rai", "lambda_mai", "expert_loss")
        if settings[name] is not None
    ]
    if settings.get("smoothing"):
        told.append(f"label smoothing {_setting(settings['smoothing'])}")
    return f"{settings['loss']}: {', '.join(told)}." if told else ""


def _notes(summary: Mapping[str, Any]) -> tuple[str, ...]:
    seeds, folds = len(summary["seeds"]), len(summary["folds"])
    spread = "mean ± std over seeds" if seeds > 1 else "one seed has no standard deviation"
    used = summary["utterances"]["used"]
    notes = [f"{used} utterances, {_counted(folds, 'fold')}, {_counted(seeds, 'seed')}; {spread}."]
    if left_out := summary["utterances"]["left_out"]:
        listed = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        notes.append(f"Left out: {listed}.")
    if len(summary["classes"]) == 2:
        notes.append("R2 is not printed: with two classes it is always 1 or 0.")
    notes.append("f1_multilabel is probably what the paper's F1 column holds.")
    for column, found in summary["leakage"].items():
        shared = _counted(found["test_utterances"], "test utterance")
        if found["test_utterances"]:
            notes.append(f"Leakage: training has the {leakage_name(column)} of {shared} too.")
    notes += [f"{one}." for one in (*summary.get("notes", ()), *summary.get("warnings", ()))]
    if diverged := len(summary["diverged_runs"]):
        notes.append(f"{_counted(diverged, 'run')} diverged: their figures are missing.")
    return tuple(notes)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _either(names: str | Sequence[str]) -> str:
    return names if isinstance(names, str) else " or ".join(names)


def _setting(value: object) -> str:
    if value is None:
        return "-"
    return format(value, "g") if isinstance(value, float) else str(value)


def _varies(summary: Mapping[str, Any], name: str) -> bool:
    return len({one["settings"][name] for one in summary["configurations"]}) > 1


def _selected_mark(one: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    chosen, folds = len(one["selected_in_folds"]), len(summary["folds"])
    return f"{chosen} of {_counted(folds, 'fold')}" if chosen else ""


def _shown(text: str) -> str:
    """With what is not printable written out: a terminal would act on it."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _sides(table: Table, left: str, right: str) -> str:
    return left * table.num_keys + right * (len(table.columns) - table.num_keys)


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _md(text: str) -> str:
    escaped = _shown(" ".join(text.split())).replace("\\", "\\\\")
    for character in "|*_`<>[]&~$":
        escaped = escaped.replace(character, "\\" + character)
    return escaped


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
        "|": r"\textbar{}",
        **{character: "\\" + character for character in "&%$#_{}"},
    }
    shown = _shown(" ".join(text.split()))
    return "".join(special.get(character, character) for character in shown)
