"""A table of plain cells, and how it looks: in a terminal, as Markdown, CSV and LaTeX.

What cells say is decided elsewhere; no cell's text is taken for markup. A mark is set behind a cell
(significance, a footnote's letter); CSV, which programs read, has none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

#: What parts two columns in a terminal.
_GAP = 3


@dataclass(frozen=True)
class Table:
    """Cells as text, under a title, with notes below.

    Attributes:
        num_keys: Columns at the left that say what a row is; all others are figures.
        emphasis: Rows to be set in bold.
        breaks: Rows that a rule stands before.
        bold: Single cells to be set in bold, (row, column).
        marks: What is set behind a cell, by (row, column): "**", or a footnote's letter.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    num_keys: int = 1
    emphasis: frozenset[int] = frozenset()
    breaks: frozenset[int] = frozenset()
    bold: frozenset[tuple[int, int]] = frozenset()
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)

    def is_bold(self, row: int, column: int) -> bool:
        """Whether a cell is, or its row."""
        return row in self.emphasis or (row, column) in self.bold


def to_rich(table: Table, *, width: int | None = None) -> RenderableType:
    """For the terminal; where it is narrower than the table, the figures stand in blocks."""
    from rich.console import Group
    from rich.text import Text

    blocks = [_rich_block(table, block) for block in _blocks(table, width)]
    title = Text(shown(table.title), style="bold")
    notes = [Text(shown(note), style="dim") for note in table.notes]
    return Group(Text(), title, *blocks, *notes)


def to_csv(table: Table) -> str:
    """Comma-separated: the header and the rows, without marks."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """A pipe table under its title, notes below."""
    lines = [f"**{_md(table.title)}**", "", _pipes([_md(one) for one in table.columns])]
    lines.append(f"|{_sides(table, '---|', '---:|')}")
    for r, row in enumerate(table.rows):
        lines.append(_pipes([_md_cell(table, r, c) for c in range(len(row))]))
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
    for r, row in enumerate(table.rows):
        if r in table.breaks:
            lines.append(r"\midrule")
        if (
            row[0].lstrip().startswith(("[", "*"))
        ):  # what ends the row before would take it for its own
            lines.append("{}%")
        lines.append(" & ".join(_tex_cell(table, r, c) for c in range(len(row))) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip\footnotesize {_tex(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}", ""])


def shown(text: str) -> str:
    """With what is not printable written out: a terminal would act on it."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _blocks(table: Table, width: int | None) -> list[list[int]]:
    """Columns that fit side by side, the keys first in each block."""
    from rich.cells import cell_len

    keys, figures = list(range(table.num_keys)), range(table.num_keys, len(table.columns))
    size = [
        max(
            cell_len(shown(table.columns[column])),
            *(cell_len(_plain(table, row, column)) for row in range(len(table.rows))),
            0,
        )
        + _GAP
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

    block = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        side: Any = "right" if column >= table.num_keys else "left"
        block.add_column(Text(shown(table.columns[column])), justify=side, no_wrap=True)
    for r in range(len(table.rows)):
        if r in table.breaks:
            block.add_section()
        styles = ["bold" if table.is_bold(r, c) else "" for c in columns]
        cells = (Text(_plain(table, r, c), style=s) for c, s in zip(columns, styles, strict=True))
        block.add_row(*cells)
    return block


def _plain(table: Table, row: int, column: int) -> str:
    """A cell as a terminal has it: its mark follows, a footnote's in brackets."""
    mark = table.marks.get((row, column), "")
    return shown(table.rows[row][column] + (f" [{mark}]" if mark.isalnum() else mark))


def _md_cell(table: Table, row: int, column: int) -> str:
    cell, mark = _md(table.rows[row][column]), _md(table.marks.get((row, column), ""))
    bold = f"**{cell}**" if cell and table.is_bold(row, column) else cell
    return f"{bold}<sup>{mark}</sup>" if mark else bold


def _tex_cell(table: Table, row: int, column: int) -> str:
    cell, mark = _tex(table.rows[row][column]), _tex(table.marks.get((row, column), ""))
    bold = rf"\textbf{{{cell}}}" if cell and table.is_bold(row, column) else cell
    return rf"{bold}\textsuperscript{{{mark}}}" if mark else bold


def _sides(table: Table, left: str, right: str) -> str:
    return left * table.num_keys + right * (len(table.columns) - table.num_keys)


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _md(text: str) -> str:
    escaped = shown(" ".join(text.split())).replace("\\", "\\\\")
    for character in "|*_`<>[]&~$":
        escaped = escaped.replace(character, "\\" + character)
    return escaped


def _tex(text: str) -> str:
    special = {
        "\\": r"\textbackslash{}",
        "±": r"$\pm$",
        "Δ": r"$\Delta$",
        "↓": r"$\downarrow$",
        "↑": r"$\uparrow$",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        **{character: "\\" + character for character in "&%$#_{}"},
    }
    printable = shown(" ".join(text.split()))
    return "".join(special.get(character, character) for character in printable)
