"""One folder with everything that run directories have to say: page, tables, figures, protocol."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amber_cache.errors import AmberError, RunError
from amber_cache.store import amber_version
from amber_heads.files.whole_folders import write_folder
from amber_heads.progress import Progress
from amber_heads.reading.evidence import Evidence, read_evidence
from amber_heads.reporting.all_tables import Tables, all_tables, leading_tables, suffixed
from amber_heads.reporting.contents import Contents, ReportConfig, as_data, gather
from amber_heads.reporting.drawing import Drawn
from amber_heads.reporting.escaping import csv_cell, harmless_in_csv
from amber_heads.reporting.figures import draw_curves, draw_part
from amber_heads.reporting.folder import FORMAT, MANIFEST, refuse_strangers
from amber_heads.reporting.page import render
from amber_heads.reporting.protocol import cited_in, write_protocol
from amber_heads.reporting.references import write_references
from amber_heads.reporting.sections import make_page, warnings_of
from amber_heads.reporting.utterances import utterance_rows
from amber_heads.results import csv_bytes, json_bytes, read_json
from amber_heads.tables import Table, tables_of, to_csv, to_latex, to_markdown
from amber_heads.tabular.table_words import data_notes, heading_of_data


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        folder: Its place; report.html stands in it.
        problems: Runs that were left out, and why.
        warnings: What a reader should know first; the page begins with them.
        tables: Those that a terminal shows.
    """

    folder: Path
    num_systems: int
    num_utterances: int
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    tables: tuple[Table, ...]

    def as_json(self) -> dict[str, object]:
        """For --json; every number stands in the folder's data.json."""
        return {
            "folder": str(self.folder),
            "page": str(self.folder / "report.html"),
            "data": str(self.folder / MANIFEST),
            "systems": self.num_systems,
            "utterances": self.num_utterances,
            "problems": list(self.problems),
            "warnings": list(self.warnings),
        }


def make_report(config: ReportConfig, *, out: Path | None, progress: Progress) -> Report:
    """Read runs, compute, draw and write; default place: runs/report-<hash>.

    Raises:
        AmberError: Runs that can't be compared, something asked for that isn't there, or a place
            that can't be written to.
    """
    progress("reading", 0, 4)
    evidence = _read(config)
    folder = out or Path("runs") / f"report-{_hash(evidence, config)[:8]}"
    refuse_strangers(folder)
    progress("computing", 1, 4)
    contents = gather(evidence, config)
    tables = all_tables(contents)
    progress("drawing", 2, 4)
    figures = {
        part.name: draw_part(part, suffix=suffix, mark=contents.mark)
        for part, suffix in suffixed(contents)
    }
    curves = draw_curves(contents.curves, mark=contents.mark)
    page = make_page(contents, tables, figures, curves, version=amber_version())
    progress("writing", 3, 4)
    drawn = [one for by in figures.values() for several in by.values() for one in several]
    protocol = write_protocol(contents, _models(evidence))
    content = {
        "report.html": render(page, contents).encode(),
        "protocol.md": protocol.encode(),
        "references.bib": write_references(cited_in(protocol)).encode(),
        **_figure_files([*drawn, *curves]),
        **_table_files(tables),
        "tables/utterances.csv": _csv(utterance_rows(contents.utterances)),
    }
    write_folder(folder, content | {MANIFEST: _manifest(contents, content)})
    progress("writing", 4, 4)
    return Report(
        folder=folder,
        num_systems=len(evidence.systems),
        num_utterances=len(evidence.ids),
        problems=evidence.problems,
        warnings=tuple(warnings_of(contents)),
        tables=leading_tables(contents, tables),
    )


def _read(config: ReportConfig) -> Evidence:
    """What the runs hold, and tables can be made of.

    Raises:
        AmberError: It can't be, as one that another hand wrote.
    """
    try:
        evidence = read_evidence(config.runs, names=config.names)
        for path, summary in evidence.summaries.items():
            heading_of_data(summary, "", "")
            data_notes(summary)
            if evidence.configs[path].get("command") != "compare":  # whose tables are made here
                tables_of(summary)
    except AmberError:
        raise
    # A summary may lack anything and hold anything anywhere, so none is listed.
    except Exception as error:
        runs = ", ".join(map(str, config.runs))
        raise RunError(f"{runs}: summary.json or config.json is no run's ({error!r})") from None
    return evidence


def _figure_files(figures: Sequence[Drawn]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for one in figures:
        files[f"figures/{one.name}.svg"] = one.svg
        files[f"figures/{one.name}.png"] = one.png
        files[f"figures/{one.name}.csv"] = _csv(one.rows)
    return files


def _table_files(tables: Tables) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for by_section in tables.values():
        for by_name in by_section.values():
            for name, table in by_name.items():
                files[f"tables/{name}.csv"] = to_csv(harmless_in_csv(table)).encode()
                files[f"tables/{name}.md"] = to_markdown(table).encode()
                files[f"tables/{name}.tex"] = to_latex(table).encode()
    return files


def _manifest(contents: Contents, content: Mapping[str, bytes]) -> bytes:
    files = [*content, MANIFEST]
    told = {"format": FORMAT, "format_version": 1, "amber_version": amber_version()}
    return json_bytes({**told, "files": files, **as_data(contents)})


def _hash(evidence: Evidence, config: ReportConfig) -> str:
    """Of what a report follows from: the runs' own hashes, their names and the options."""
    told = [
        [str(one.get("hash")) for one in evidence.configs.values()],
        sorted((path.name, name) for path, name in config.names.items()),
        [config.reference, config.clusters, config.levels, config.with_text, config.with_audio],
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _csv(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Rows of data, with no cell that a spreadsheet would run."""
    return csv_bytes(
        [{str(csv_cell(key)): csv_cell(_plain(one)) for key, one in row.items()} for row in rows]
    )


def _models(evidence: Evidence) -> dict[Path, dict[str, Any]]:
    """What each model.json that can be read tells of the encoders."""
    found = {}
    for path in evidence.configs:
        with suppress(RunError):
            found[path] = read_json(path / "model.json")
    return found


def _plain(value: object) -> object:
    """A NumPy number as Python's."""
    return value.item() if hasattr(value, "item") else value
