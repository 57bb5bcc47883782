"""One HTML file: it opens offline, asks the network for nothing, and escapes whatever is shown.

The page's own script is allowed by its hash and no other runs (Content-Security-Policy); what comes
from a corpus is text everywhere, also in the JSON that the script reads.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from amber_heads.metrics import METRICS
from amber_heads.reporting.contents import Contents
from amber_heads.reporting.drawing import Drawn, inline
from amber_heads.reporting.escaping import data_island, printable
from amber_heads.reporting.utterances import as_island
from amber_heads.tables import Table


@dataclass(frozen=True)
class Block:
    """A table, a figure, a note, or more blocks behind a click.

    Attributes:
        id: Unique in the page, of letters and hyphens.
        file: What its files are called, without ending.
    """

    kind: Literal["table", "figure", "note", "more"]
    id: str = ""
    file: str = ""
    table: Table | None = None
    figure: Drawn | None = None
    svg: Markup = Markup("")
    text: str = ""
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Section:
    """A headed part of the page; `lead` are paragraphs above its blocks."""

    id: str
    title: str
    lead: tuple[str, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Card:
    """One number that is said before all others."""

    what: str
    value: str
    more: str


@dataclass(frozen=True)
class Page:
    """Everything on the page but the list's data."""

    title: str
    mark: str
    facts: tuple[tuple[str, str], ...]
    cards: tuple[Card, ...]
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]
    list: dict[str, Any] | None
    footer: tuple[str, ...]


def table_block(file: str, table: Table) -> Block:
    """A table whose files are called `file`."""
    return Block(kind="table", id=f"table-{file}", file=file, table=table)


def figure_block(figure: Drawn) -> Block:
    """A figure, inline; matplotlib escapes the words in it."""
    svg = Markup(inline(figure))  # noqa: S704 - serialised from a parsed tree, nothing is pasted
    return Block(
        kind="figure", id=f"figure-{figure.name}", file=figure.name, figure=figure, svg=svg
    )


def more_block(text: str, *blocks: Block) -> Block:
    """Blocks that few readers need, behind a click."""
    return Block(kind="more", text=text, blocks=blocks)


def render(page: Page, contents: Contents) -> str:
    """The page as HTML."""
    script = _text("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    island = data_island(as_island(contents.utterances)) if page.list else ""
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            page=page,
            style=Markup(_text("style.css")),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            script_hash=f"sha256-{digest}",
            island=Markup(island),  # noqa: S704 - escaped for a script element by data_island
        )
    )


def list_of(contents: Contents) -> dict[str, Any]:
    """What the list's controls and columns are called."""
    found, evidence = contents.utterances, contents.evidence
    labels = [label for label, _, _ in found.heads]
    sets = sorted(set(evidence.test_set.tolist()))
    columns = [("id", "utterance"), *([("set", "test set")] if len(sets) > 1 else [])]
    columns += [("speaker", "speaker"), ("leads", "raters lead with")]
    columns.append(("entropy", "entropy, bits"))
    ranges = [("entropy", "entropy, bits", f"{_most_entropy(len(evidence.classes)):.2f}")]
    if found.conflict is not None:
        columns.append(("conflict", "conflict"))
        ranges.append(("conflict", "conflict", "1"))
    columns.append(("error", "error, JS"))
    ranges.append(("error", "error, JS", "1"))
    return {
        "lead": (
            "Every tested utterance, with the raters' distribution and the mean of each head's "
            "seeds as bars in the order of the classes: "
            f"{', '.join(evidence.classes)}. Error is the JS of the head chosen below. Sort by a "
            "column's heading; + shows all numbers."
        ),
        "words": "Search ids, speakers" + (", transcripts" if found.texts is not None else ""),
        "classes": list(evidence.classes),
        "sets": sets,
        "heads": labels,
        "ranges": ranges,
        "columns": columns,
        "bars": ["raters", *labels],
        "has_texts": found.texts is not None,
    }


def _most_entropy(num_classes: int) -> float:
    import math

    return math.log2(num_classes)


@cache
def _environment() -> Environment:
    """Everything is escaped but what is marked as markup here."""
    environment = Environment(
        loader=PackageLoader("amber_heads.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,
        trim_blocks=False,
    )
    environment.globals["METRICS"] = METRICS
    return environment


def _text(name: str) -> str:
    return (resources.files("amber_heads.reporting") / "templates" / name).read_text("utf-8")
