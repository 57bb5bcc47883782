"""Every table of a report: by test set, section and file."""

from __future__ import annotations

from amber_heads.reporting.contents import Contents
from amber_heads.reporting.difference_tables import anatomy_tables, difference_tables
from amber_heads.reporting.escaping import file_name
from amber_heads.reporting.paper_rows import rows_of_part, summary_of_part
from amber_heads.reporting.parts import Part
from amber_heads.reporting.report_tables import (
    calibration_tables,
    level_tables,
    raters_table,
    scores_tables,
    variants_table,
)
from amber_heads.tables import Table
from amber_heads.tabular.paper_tables import paper_tables

#: By test set ("" for what is of all), section and file.
Tables = dict[str, dict[str, dict[str, Table]]]


def suffixed(contents: Contents) -> list[tuple[Part, str]]:
    """Each part with the ending of its files' names; none where there is one test set."""
    if len(contents.parts) == 1:
        return [(contents.parts[0], "")]
    return [
        (part, f"-{file_name(part.name, number=number)}")
        for number, part in enumerate(contents.parts, start=1)
    ]


def all_tables(contents: Contents) -> Tables:
    """Every table of a report."""
    tables: Tables = {}
    for part, suffix in suffixed(contents):
        found = _part_tables(part, contents)
        tables[part.name] = {
            section: {f"{name}{suffix}": one for name, one in by_name.items()}
            for section, by_name in found.items()
        }
        tables[part.name] = {k: v for k, v in tables[part.name].items() if v or k == "differences"}
    papers = [_papers_tables(part, suffix) for part, suffix in suffixed(contents)]
    tables[""] = {
        "paper": {name: one for some in papers for name, one in some.items()},
        "policies": variants_table(contents.variants, mark=contents.mark),
    }
    return tables


def leading_tables(contents: Contents, tables: Tables) -> tuple[Table, ...]:
    """What a terminal shows: each test set's scores, and its differences in js."""
    found = []
    for part in contents.parts:
        for section in ("results", "differences"):
            found += list(tables[part.name][section].values())[:1]
    return tuple(found)


def _papers_tables(part: Part, suffix: str) -> dict[str, Table]:
    """Tables 1 to 5 for these runs, whichever commands made them, with the published figures."""
    found = paper_tables(rows_of_part(part), summary_of_part(part), part.name)
    return {f"paper-{name}{suffix}": one for name, one in found.items()}


def _part_tables(part: Part, contents: Contents) -> dict[str, dict[str, Table]]:
    mark, shown = contents.mark, contents.evidence.shown
    conflict = part.conflict_levels
    calibration = calibration_tables(part, mark=mark)
    return {
        "results": scores_tables(part, mark=mark),
        "differences": difference_tables(part, mark=mark),
        "anatomy": anatomy_tables(shown, part.name, mark=mark, names=contents.config.names),
        "ambiguity": level_tables(part.entropy_levels, name="entropy-levels", mark=mark),
        "conflict": {}
        if conflict is None
        else level_tables(conflict, name="conflict-levels", mark=mark),
        "raters": raters_table(part, mark=mark),
        "calibration": {k: v for k, v in calibration.items() if k == "calibration"},
        "selective": {k: v for k, v in calibration.items() if k == "selective"},
    }
