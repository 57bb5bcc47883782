"""What the command line prints on stdout: tables, outcomes, overviews, forecasts, JSON.

What is printed is imported where it is needed, so that the command line starts fast.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amber_heads.experiment import Outcome
    from amber_heads.overviews.overview import Overview
    from amber_heads.tabular.rendering import Table
    from amber_heads.using.forecast import Forecast


def print_table(table: Table) -> None:
    """One table: as wide as the terminal, or in a file or pipe as wide as it is."""
    from rich.console import Console

    from amber_heads.tables import to_rich

    if sys.stdout.isatty():
        console = Console(highlight=False)
        console.print(to_rich(table, width=console.width))
    else:  # a file or a pipe has room
        Console(width=10_000, highlight=False).print(to_rich(table), soft_wrap=True)


def print_outcome(outcome: Outcome) -> None:
    """What a training gave: its tables, and whether they were stored."""
    from amber_heads.tables import tables_of

    if outcome.stored:
        print(f"{outcome.folder} holds this run already; this is its stored result:")
    for table in tables_of(outcome.summary).values():
        print_table(table)


def print_overview(overview: Overview) -> None:
    """What a corpus or a cache holds."""
    from amber_heads.overviews.tables import overview_tables

    for table in overview_tables(overview):
        print_table(table)


def print_forecast(forecast: Forecast, form: str, written: Sequence[Path]) -> None:
    """One form on stdout; where files are written and nothing else is asked for, their names."""
    from amber_heads.using.forecast import bars, csv_text

    if form == "csv":
        print(csv_text(forecast), end="")
        return
    records = forecast.records()
    if form == "jsonl":
        for one in records:  # none where all failed: then no line either
            print(_json_text(one))
    elif form == "json":
        failures = [asdict(one) for one in forecast.failures]
        told = {"run": forecast.run, "classes": forecast.classes, "notes": forecast.notes}
        print_json({**told, "items": records, "failures": failures, "written": written})
    else:
        if not written:
            from rich.console import Console

            Console(highlight=False).print(bars(records), soft_wrap=True)
        for path in written:
            print(f"Written: {path}")
        print(forecast.last_line)


def outcomes_as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Outcomes as `--json` tells them."""
    return [{"folder": one.folder, "stored": one.stored, **one.summary} for one in outcomes]


def print_json(content: Mapping[str, Any]) -> None:
    """One JSON object and nothing else; NaN is null."""
    print(_json_text(content))


def _json_text(content: Mapping[str, Any]) -> str:
    from amber_heads.results import without_nan

    return json.dumps(without_nan(content), default=str)
