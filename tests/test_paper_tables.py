"""Tables 1 to 5: what stands in them, beside which published figures, and that LaTeX takes them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amber_heads.reading.evidence import read_evidence
from amber_heads.reporting.paper_rows import rows_of_part, summary_of_part
from amber_heads.reporting.parts import make_part
from amber_heads.tables import tables_of
from amber_heads.tabular.paper_tables import COMPARED, paper_tables
from amber_heads.tabular.rendering import Table, to_csv, to_latex, to_markdown
from amber_heads.tabular.scores import scores_of_summary
from tests.commands import amber
from tests.small_caches import small_cache

FAST = ("--epochs", 2, "--lr", 3e-2, "--hidden", 4, "--seeds", 2, "--num-folds", 3, "--quiet")
SYSTEMS = "cb-ce,amber2,speech-alone,late-selection,soft-ce"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("paper")
    small_cache(place / "data" / "cache.h5", corpus="iemocap", protocol="iemocap-4")
    finished = amber("compare", *FAST, "--systems", SYSTEMS, "--out", "compared", cwd=place)
    assert finished.status == 0, finished.err
    for loss in ("cb-ce", "amber2"):
        finished = amber("fit", *FAST, "--loss", loss, "--out", loss, cwd=place)
        assert finished.status == 0, finished.err
    return place


@pytest.fixture(scope="module")
def summary(place: Path) -> dict[str, Any]:
    return dict(json.loads((place / "compared" / "summary.json").read_text()))


def _tables(summary: dict[str, Any], **changes: Any) -> dict[str, Table]:
    told = {**summary, **changes}
    return paper_tables(scores_of_summary(told, "test"), told)


def _cell(table: Table, key: tuple[str, str], column: str) -> str:
    (row,) = [row for row in table.rows if row[:2] == key]
    return row[table.columns.index(column)]


def _mark(table: Table, key: tuple[str, str], column: str) -> str:
    (row,) = [r for r, row in enumerate(table.rows) if row[:2] == key]
    return table.marks.get((row, table.columns.index(column)), "")


def test_tables_1_and_2_are_cb_ces_heads_with_the_published_figures(
    summary: dict[str, Any],
) -> None:
    made = _tables(summary)
    heads = [row[1] for row in made["table1"].rows if row[0] == "cb-ce"]
    assert heads == ["audio", "text", "fusion"]
    own = summary["systems"]["cb-ce"]["heads"]["audio"]["test"]["js"]
    assert _cell(made["table1"], ("cb-ce", "audio"), "JS ↓") == (
        f"{own['mean']:.3f} ± {own['std']:.3f}"
    )
    assert _cell(made["table1"], ("cb-ce", "audio"), "paper JS ↓") == "0.275 ± 0.004"
    assert _cell(made["table2"], ("cb-ce", "fusion"), "paper ACC ↑") == "0.654 ± 0.003"
    assert _cell(made["table1"], ("uniform", ""), "paper JS ↓") == "-"


def test_tables_3_and_4_are_the_fusion_heads_of_both_systems_and_no_others(
    summary: dict[str, Any],
) -> None:
    made = _tables(summary)["table3"]
    assert [row[:2] for row in made.rows] == [
        ("cb-ce", "fusion"),
        ("amber2", "fusion"),
        ("cb-ce, seed ensemble", "fusion"),
        ("amber2, seed ensemble", "fusion"),
        ("training mean", ""),
        ("random draw", ""),
        ("uniform", ""),
    ]
    assert _cell(made, ("amber2", "fusion"), "paper JS ↓") == "0.193 ± 0.002"
    assert made.breaks == {2, 4}


def test_table_5_sets_the_published_rows_above_this_runs(summary: dict[str, Any]) -> None:
    table = _tables(summary)["table5"]
    assert table.columns[2:] == tuple(
        f"{name} {arrow}"
        for name, arrow in zip(
            ("JS", "js_aer", "BC", "R2", "ACC", "F1", "W-F1", "f1_multilabel"),
            "↓↓↑↑↑↑↑↑",
            strict=True,
        )
    )
    few_shot = ("aer-llm few-shot, published", "")
    assert _cell(table, few_shot, "js_aer ↓") == "0.350"
    assert _cell(table, few_shot, "JS ↓") == "-"
    superb = ("emo-superb, published", "audio")
    assert _cell(table, superb, "f1_multilabel ↑") == "0.339"
    names = [row[0] for row in table.rows]
    assert names.index("amber2, published") < names.index("cb-ce") < names.index("uniform")
    assert len(COMPARED) == len(table.columns) - 2


def test_what_differs_from_the_reference_is_starred_at_its_js_and_nowhere_else(
    summary: dict[str, Any],
) -> None:
    tested = {name: {**one, "p_adjusted": 0.2} for name, one in _tested(summary).items()}
    tested["amber2"]["p_adjusted"] = 0.004
    made = _tables(summary, corpus="demo", differences={"test": tested})
    for name in ("table3", "table5"):
        assert _mark(made[name], ("amber2", "fusion"), "JS ↓") == "**"
        assert len(made[name].marks) == 1
        assert any(note.startswith("*, **, ***: JS is not cb-ce's") for note in made[name].notes)
    assert made["table4"].marks == {}


def _tested(summary: dict[str, Any]) -> dict[str, Any]:
    return dict(summary["differences"]["test"])


def test_published_figures_are_never_bold(summary: dict[str, Any]) -> None:
    for number, table in _tables(summary).items():
        for row, column in table.bold:
            assert "published" not in table.rows[row][0], number
            assert not table.columns[column].startswith("paper")
        columns = {column for _, column in table.bold}
        assert columns == {c for c, n in enumerate(table.columns) if c > 1 and "paper" not in n}


def test_the_best_of_a_column_is_bold_and_lower_is_better_where_it_is(
    summary: dict[str, Any],
) -> None:
    table = _tables(summary)["table3"]
    for name, best in (("JS ↓", min), ("BC ↑", max)):
        column = table.columns.index(name)
        values = [float(row[column].split(" ")[0]) for row in table.rows]
        bold = {row for row, c in table.bold if c == column}
        assert bold == {row for row, value in enumerate(values) if value == best(values)}


def test_slips_are_footnotes_at_their_figures(summary: dict[str, Any]) -> None:
    made = _tables(summary)
    mark = _mark(made["table2"], ("cb-ce", "audio"), "paper F1 ↑")
    assert any(
        note.startswith(f"{mark}: ") and "hardly any confusion matrix" in note
        for note in made["table2"].notes
    )
    unit = _mark(made["table5"], ("aer-llm zero-shot, published", ""), "js_aer ↓")
    assert any(
        note.startswith(f"{unit[0]}: AER-LLM's JS is a distance") for note in made["table5"].notes
    )
    assert _mark(made["table1"], ("cb-ce", "audio"), "paper JS ↓") == ""


def test_msp_podcasts_own_slips_are_told(summary: dict[str, Any]) -> None:
    made = _tables(summary, corpus="msp-podcast", protocol="msp-podcast-8")
    assert _cell(made["table4"], ("amber2", "fusion"), "paper W-F1 ↑") == "0.445 ± 0.002"
    assert _mark(made["table4"], ("amber2", "fusion"), "paper W-F1 ↑")
    assert any("speakers of test" in note for note in made["table1"].notes)
    assert any("16 secondary classes" in note for note in made["table5"].notes)


def test_other_classes_than_the_papers_are_named(summary: dict[str, Any]) -> None:
    mine = _tables(summary, protocol="")["table1"]
    assert "NOT THE PAPER'S CLASSES: protocol none, the paper's is iemocap-4." in mine.notes
    assert not any("NOT THE PAPER" in note for note in _tables(summary)["table1"].notes)


def test_a_corpus_that_was_not_published_has_no_such_columns(summary: dict[str, Any]) -> None:
    made = _tables(summary, corpus="demo")
    assert made["table1"].title.startswith("SYNTHETIC DEMO: Table 1")
    assert made["table1"].columns == ("system", "head", "JS ↓", "BC ↑", "R2 ↑")
    assert not any("published" in row[0] for row in made["table5"].rows)


def test_plain_fits_give_the_same_tables_through_their_evidence(
    place: Path, summary: dict[str, Any]
) -> None:
    part = make_part(read_evidence([place / "cb-ce", place / "amber2"]).of_test_set("test"))
    made = paper_tables(rows_of_part(part), summary_of_part(part))
    compared = _tables(summary)
    for number in range(1, 5):
        assert made[f"table{number}"].rows == compared[f"table{number}"].rows
        assert made[f"table{number}"].title == compared[f"table{number}"].title
    assert {row[0] for row in made["table5"].rows} >= {
        "cb-ce",
        "amber2",
        "aer-llm few-shot, published",
    }


def test_a_report_of_plain_fits_has_the_papers_tables(
    place: Path, summary: dict[str, Any], tmp_path: Path
) -> None:
    finished = amber(
        "report", "cb-ce", "amber2", "--out", tmp_path / "report", "--quiet", cwd=place
    )
    assert finished.status == 0, finished.err
    for number in range(1, 6):
        found = (tmp_path / "report" / "tables" / f"paper-table{number}.csv").read_text()
        assert found.count("\n") > 3
    assert found.startswith("system,head,JS")
    third = (tmp_path / "report" / "tables" / "paper-table3.csv").read_text()
    assert third == to_csv(_tables(summary)["table3"])


def test_runs_through_two_encoders_are_told_apart_wherever_encoders_are_named(
    tmp_path: Path,
) -> None:
    entries = (("audio", "mel"), ("audio", "other"), ("text", "hash"))
    small_cache(tmp_path / "data" / "cache.h5", corpus="iemocap", entries=entries)
    for loss, encoder in (("cb-ce", "mel"), ("amber2", "other")):
        words = ("--loss", loss, "--audio-encoder", encoder, "--out", loss)
        assert amber("fit", *FAST, *words, cwd=tmp_path).status == 0
    assert amber("report", "cb-ce", "amber2", "--out", "r", "--quiet", cwd=tmp_path).status == 0
    table = (tmp_path / "r" / "tables" / "paper-table3.md").read_text()
    assert "on iemocap (audio=mel or other, text=hash)" in table
    assert "cb-ce reads audio=mel, text=hash; amber2 reads audio=other, text=hash." in table
    assert "audio mel or other, text hash" in (tmp_path / "r" / "report.html").read_text()
    protocol = (tmp_path / "r" / "protocol.md").read_text()
    assert "| audio | mel |" in protocol
    assert "| audio | other |" in protocol


def test_a_figure_that_is_there_is_not_told_as_missing(place: Path) -> None:
    evidence = read_evidence([place / "cb-ce", place / "amber2"])
    told = {k: {**v, "diverged_runs": ["a cell"]} for k, v in evidence.summaries.items()}
    part = make_part(replace(evidence, summaries=told).of_test_set("test"))
    assert summary_of_part(part)["diverged_runs"] == []
    lost = tuple(
        replace(one, test=np.full_like(one.test, np.nan)) if one.name == "amber2" else one
        for one in part.evidence.systems
    )
    part = replace(part, evidence=replace(part.evidence, systems=lost))
    assert summary_of_part(part)["diverged_runs"] == ["a cell"]


def test_marks_stand_behind_their_cells_in_every_form_but_csv() -> None:
    table = Table(
        title="t",
        columns=("a_b", "JS"),
        rows=(("x", "0.1"), ("y", "0.2")),
        bold=frozenset({(1, 1)}),
        marks={(0, 1): "**", (1, 0): "a"},
    )
    assert "| x | 0.1<sup>\\*\\*</sup> |" in to_markdown(table)
    assert "| y<sup>a</sup> | **0.2** |" in to_markdown(table)
    assert r"x & 0.1\textsuperscript{**} \\" in to_latex(table)
    assert r"y\textsuperscript{a} & \textbf{0.2} \\" in to_latex(table)
    assert to_csv(table) == "a_b,JS\nx,0.1\ny,0.2\n"


def _engine() -> Sequence[str] | None:
    if found := shutil.which("tectonic"):
        return [found]
    if found := shutil.which("pdflatex"):
        return [found, "-interaction=nonstopmode", "-halt-on-error"]
    return None


@pytest.mark.skipif(_engine() is None, reason="neither tectonic nor pdflatex is installed")
def test_the_latex_of_a_comparison_compiles(tmp_path: Path, summary: dict[str, Any]) -> None:
    body = "\n\\clearpage\n".join(to_latex(one) for one in tables_of(summary).values())
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "table.tex").write_text(f"{document}\n{body}\n\\end{{document}}\n")
    done = subprocess.run([*_engine(), "table.tex"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
