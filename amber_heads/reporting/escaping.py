"""Text that a corpus or a user brought, made harmless where it is shown.

Ids, speakers, class names, transcripts and the names of systems may hold markup, formulas or
commands. HTML is escaped by the templates themselves, LaTeX by `amber_heads.tables`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from amber_heads.results import without_nan
from amber_heads.tables import Table

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|~$&@^#!])")

#: What a spreadsheet takes for a formula when a cell begins with it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_FIGURE = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?( ± [0-9.]+)?( \[[-+0-9., ]+\])?|-")

_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_IN_SCRIPT |= {"\u2028": "\\u2028", "\u2029": "\\u2029"}


def markdown(text: object) -> str:
    r"""One line of Markdown that shows the text as it is: no markup, no citation, no raw LaTeX.

    >>> print(markdown("a_b <i> \\input{x} @key"))
    a\_b \<i\> \\input\{x\} \@key
    """
    return _MARKDOWN.sub(r"\\\1", printable(" ".join(str(text).split())))


def printable(text: str) -> str:
    """With control and bidirectional characters written out as escapes."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def csv_cell(value: object) -> object:
    """A cell that no spreadsheet runs: text that looks like a formula gets an apostrophe before it.

    >>> csv_cell("=1+1"), csv_cell("-0.012 ± 0.003"), csv_cell(-0.5)
    ("'=1+1", '-0.012 ± 0.003', -0.5)
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA) or _FIGURE.fullmatch(value):
        return value
    return "'" + value


def harmless_in_csv(table: Table) -> Table:
    """The same table with every cell as `csv_cell` has it."""
    return replace(
        table,
        columns=tuple(str(csv_cell(one)) for one in table.columns),
        rows=tuple(tuple(str(csv_cell(one)) for one in row) for row in table.rows),
    )


def file_name(text: str, *, number: int) -> str:
    """A file's name that no word can lead astray; the number keeps names apart.

    >>> file_name("../Test 1", number=2)
    '2-test-1'
    """
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
    return f"{number}-{plain}".rstrip("-")


def data_island(content: Mapping[str, Any]) -> str:
    """JSON that may stand inside a <script>: nothing in it can end the element or a line."""
    text = json.dumps(without_nan(content), ensure_ascii=False, separators=(",", ":"))
    for character, escaped in _IN_SCRIPT.items():
        text = text.replace(character, escaped)
    return text
