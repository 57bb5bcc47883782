"""The paper's Tables 1 to 5 for the user's runs, with the published figures where there are some.

Tables 1 and 2: CB-CE, every head, by distribution and by class. Tables 3 and 4: the fusion heads of
CB-CE and AmbER2, likewise. Table 5: this run beside what the paper compares AmbER2 with. Floors and
seed ensembles stand in every one. Published figures were made on other data and are never the best.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from amber_heads.tabular.published import (
    CORPUS_NOTES,
    PROTOCOLS,
    Published,
    Slip,
    published_in,
    slips_of,
)
from amber_heads.tabular.rendering import Table
from amber_heads.tabular.scores import ENSEMBLE, Scored, best_cells, stars
from amber_heads.tabular.table_words import (
    F1_NOTE,
    column_names,
    data_notes,
    figure,
    heading_of_data,
)

DISTRIBUTION = ("js", "bc", "r2")
CLASSES = ("f1", "wf1", "acc")

#: Table 5's columns: the paper's six, and the two metrics that it prints under others' names.
COMPARED = ("js", "js_aer", "bc", "r2", "acc", "f1", "wf1", "f1_multilabel")

_TITLES = {
    1: "Table 1: CB-CE, distribution-based metrics",
    2: "Table 2: CB-CE, classification metrics",
    3: "Table 3: AmbER2, distribution-based metrics",
    4: "Table 4: AmbER2, classification metrics",
    5: "Table 5: comparison with others' systems",
}
_METRICS = {1: DISTRIBUTION, 2: CLASSES, 3: DISTRIBUTION, 4: CLASSES}
_KEYS = ("system", "head")


def paper_tables(
    rows: Sequence[Scored], summary: Mapping[str, Any], test: str = "test"
) -> dict[str, Table]:
    """Those of the five tables whose systems are there, by name: "table1".

    Args:
        rows: Of this test set, by a comparison's summary or a report's scores.
        summary: Of a run on the same data: corpus, encoders, counts.
    """
    made = {}
    for number in _METRICS:
        chosen = _chosen(number, rows)
        if any(one.kind == "system" for one in chosen):
            made[f"table{number}"] = _beside(number, chosen, summary, test)
    if any(one.paper and one.kind == "system" for one in rows):
        made["table5"] = _table_5(rows, summary, test)
    return made


class _Footnotes:
    """Letters for what must be said of published figures, in the order they come up."""

    def __init__(self) -> None:
        self._letters: dict[Slip, str] = {}

    def mark(self, one: Published) -> str:
        slips = slips_of(one)
        for slip in slips:
            self._letters.setdefault(slip, chr(ord("a") + len(self._letters)))
        return "".join(self._letters[slip] for slip in slips)

    @property
    def notes(self) -> list[str]:
        return [f"{letter}: {slip.text}" for slip, letter in self._letters.items()]


def _chosen(number: int, rows: Sequence[Scored]) -> list[Scored]:
    """A table's rows: CB-CE's heads, or both systems' judged ones; ensembles; floors."""
    papers = ("cb-ce",) if number < 3 else ("cb-ce", "amber2")
    return [
        one
        for one in rows
        if one.kind == "floor" or (one.paper in papers and (number < 3 or one.is_judged))
    ]


def _beside(number: int, rows: Sequence[Scored], summary: Mapping[str, Any], test: str) -> Table:
    """Tables 1 to 4: a row a system and head, and the paper's figure beside each of ours."""
    metrics, footnotes = _METRICS[number], _Footnotes()
    printed = {(p.system, p.head, p.metric): p for p in published_in(number, summary["corpus"])}
    cells, marks = [], _stars(rows, metrics)
    for r, one in enumerate(rows):
        theirs = [
            printed.get((one.paper, one.head, metric)) if one.kind == "system" else None
            for metric in metrics
        ]
        cells.append([*_keys(one), *_figures(one, metrics), *map(_printed, theirs)])
        for column, figure_there in enumerate(theirs, start=len(_KEYS) + len(metrics)):
            if figure_there is not None and (mark := footnotes.mark(figure_there)):
                marks[r, column] = mark
    names = column_names(metrics)
    paper = [f"paper {name}" for name in names] if printed else []
    width = len(_KEYS) + len(names) + len(paper)
    notes = [*footnotes.notes, *_corpus_notes(summary, has_printed=bool(printed))]
    if "f1" in metrics:
        notes.append(F1_NOTE)
    return Table(
        title=heading_of_data(summary, _TITLES[number], test),
        columns=(*_KEYS, *names, *paper),
        rows=tuple(tuple(row[:width]) for row in cells),
        notes=(*notes, *_star_notes(rows, metrics, summary), *_common_notes(summary)),
        num_keys=len(_KEYS),
        breaks=_breaks(rows),
        bold=_bold(rows, metrics),
        marks=marks,
    )


def _table_5(rows: Sequence[Scored], summary: Mapping[str, Any], test: str) -> Table:
    """The paper's rows as printed, then this run's."""
    printed, footnotes = list(_printed_rows(summary["corpus"])), _Footnotes()
    chosen = [one for one in rows if one.kind == "floor" or (one.paper and one.is_judged)]
    cells = [
        (f"{name}, published", head, *(_printed(figures.get(metric)) for metric in COMPARED))
        for (name, head), figures in printed
    ]
    marks = {
        (r, c): mark
        for r, (_, figures) in enumerate(printed)
        for c, metric in enumerate(COMPARED, start=len(_KEYS))
        if metric in figures and (mark := footnotes.mark(figures[metric]))
    }
    start = len(cells)
    marks |= _stars(chosen, COMPARED, start=start)
    cells += [(*_keys(one), *_figures(one, COMPARED)) for one in chosen]
    has_printed = bool(printed)
    return Table(
        title=heading_of_data(summary, _TITLES[5], test),
        columns=(*_KEYS, *column_names(COMPARED)),
        rows=tuple(cells),
        notes=(
            *footnotes.notes,
            *_corpus_notes(summary, has_printed=has_printed),
            F1_NOTE,
            "js_aer is AER-LLM's unit: a distance, natural logarithm, square root.",
            *_star_notes(chosen, COMPARED, summary),
            *_common_notes(summary),
        ),
        num_keys=len(_KEYS),
        breaks=frozenset({start} - {0}) | _breaks(chosen, start=start),
        bold=_bold(chosen, COMPARED, start=start),
        marks=marks,
    )


def _printed_rows(corpus: str) -> Iterator[tuple[tuple[str, str], dict[str, Published]]]:
    found: dict[tuple[str, str], dict[str, Published]] = {}
    for one in published_in(5, corpus):
        found.setdefault((one.system, one.head), {})[one.metric] = one
    yield from found.items()


def _keys(one: Scored) -> tuple[str, str]:
    return (f"{one.name}, {ENSEMBLE}" if one.kind == "ensemble" else one.name, one.head)


def _figures(one: Scored, metrics: Sequence[str]) -> list[str]:
    return [figure(*one.figures[metric]) for metric in metrics]


def _printed(one: Published | None) -> str:
    return "-" if one is None else figure(one.mean, one.std)


def _breaks(rows: Sequence[Scored], *, start: int = 0) -> frozenset[int]:
    """A rule before the ensembles and before the floors."""
    kinds = [one.kind for one in rows]
    return frozenset(start + r for r in range(1, len(kinds)) if kinds[r] != kinds[r - 1])


def _bold(
    rows: Sequence[Scored], metrics: Sequence[str], *, start: int = 0
) -> frozenset[tuple[int, int]]:
    best = best_cells(rows, metrics)
    return frozenset((start + row, len(_KEYS) + column) for row, column in best)


def _stars(
    rows: Sequence[Scored], metrics: Sequence[str], *, start: int = 0
) -> dict[tuple[int, int], str]:
    """Significance marks at the js of the heads that systems are compared by."""
    if "js" not in metrics:
        return {}
    column = len(_KEYS) + metrics.index("js")
    found = {(start + r, column): stars(one.p) for r, one in enumerate(rows) if one.is_judged}
    return {place: mark for place, mark in found.items() if mark}


def _star_notes(
    rows: Sequence[Scored], metrics: Sequence[str], summary: Mapping[str, Any]
) -> list[str]:
    if not _stars(rows, metrics):
        return []
    reference = summary.get("reference", "the reference")
    return [f"*, **, ***: JS is not {reference}'s, p < 0.05, 0.01, 0.001 by Holm; see differences."]


def _corpus_notes(summary: Mapping[str, Any], *, has_printed: bool) -> list[str]:
    """What the published figures are of, and whether this run's classes are the paper's."""
    corpus = summary["corpus"]
    if not has_printed:
        return []
    notes = ["Published figures (AmbER2, arXiv 2601.18010) are of other encoders and splits."]
    notes += [CORPUS_NOTES[corpus]] if corpus in CORPUS_NOTES else []
    if summary["protocol"] != PROTOCOLS[corpus]:
        own = summary["protocol"] or "none"
        notes.append(
            f"NOT THE PAPER'S CLASSES: protocol {own}, the paper's is {PROTOCOLS[corpus]}."
        )
    return notes


def _common_notes(summary: Mapping[str, Any]) -> tuple[str, ...]:
    return ("Bold: the best of this run's figures in a column.", *data_notes(summary))
