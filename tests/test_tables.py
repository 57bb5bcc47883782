"""Tables as text, Markdown, CSV and LaTeX: what stands in them, and that no label is obeyed."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from amber_heads.metrics import METRICS
from amber_heads.tables import (
    SHOWN,
    Table,
    figure,
    grid_table,
    results_table,
    tables_of,
    to_csv,
    to_latex,
    to_markdown,
    to_rich,
)

HOSTILE = (
    "<script>alert(1)</script>",
    r"\input{/etc/passwd}",
    "a|b",
    "*bold* _it_ `code` [x](y)",
    "50% & $1 #2 {3} ~4 ^5",
    "[red]rich[/red]",
    "&lt;b&gt;",
    "line\nbreak",
    "\x1b[31mred\x07",
)
PLAIN = {"mean": 0.25, "std": 0.01, "fold_mean": 0.5, "fold_std": 0.1}


def _summary(**changes: Any) -> dict[str, Any]:
    """A summary of two heads as `amber fit` writes it, with the fields that tables read."""
    settings = {"loss": "amber2", "student": "fusion", "lambda_rai": 1.0, "lambda_mai": 0.5}
    settings |= {"kappa": 4.0, "expert_loss": 0.0, "lr": 3e-4}
    heads = {name: {"test": dict.fromkeys(METRICS, PLAIN)} for name in ("audio", "fusion")}
    cell = {"settings": settings, "judged_by": "fusion", "selected_in_folds": [0, 1]}
    return {
        "corpus": "manifest",
        "classes": ["neutral", "happy", "sad"],
        "heads": list(heads),
        "encoders": {"audio": "mel"},
        "seeds": [0, 1],
        "folds": [{"name": "a"}, {"name": "b"}],
        "test_sets": ["test"],
        "axes": [],
        "configurations": [{**cell, "heads": heads}],
        "selected": {
            "how": "single",
            "by": "validation js",
            "settings": [settings, settings],
            "heads": heads,
            "judged_by": ["fusion", "fusion"],
            "judged": heads["fusion"],
            "read_at_another_head": ["audio"],
        },
        "floors": {"uniform": {"test": dict.fromkeys(METRICS, PLAIN)}},
        "diverged_runs": [],
        "utterances": {"used": 10, "left_out": {}},
        "leakage": {},
        **changes,
    }


def _grid(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two cells that differ in some settings; the second is selected in both folds."""
    summary = _summary(axes=[*first])
    (cell,) = summary["configurations"]
    cells = [
        {**cell, "settings": {**cell["settings"], **one}, "selected_in_folds": chosen}
        for one, chosen in ((first, []), (second, [0, 1]))
    ]
    chosen = {**summary["selected"], "how": "nested"}
    return {**summary, "configurations": cells, "selected": chosen}


def _printed(table: Table, width: int | None = None) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width or 10_000, highlight=False, force_terminal=False)
    console.print(to_rich(table, width=width))
    return out.getvalue()


def _table(*cells: str, **how: Any) -> Table:
    return Table(title="title", columns=("head", "JS"), rows=tuple((c, "1") for c in cells), **how)


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (0.12345, 0.0005, "0.123 ± 0.001"),
        (0.5, None, "0.500"),
        (0.5, float("nan"), "0.500"),
        (None, None, "-"),
        (float("nan"), 0.1, "-"),
        (-0.25, 0.0, "-0.250 ± 0.000"),
    ],
)
def test_a_figure_has_three_places_and_a_dash_where_there_is_none(
    mean: float | None, std: float | None, text: str
) -> None:
    assert figure(mean, std) == text


def test_experts_are_marked_and_the_mark_is_explained() -> None:
    table = results_table(_summary())
    assert [row[0] for row in table.rows[:2]] == ["audio*", "fusion"]
    (note,) = [one for one in table.notes if one.startswith("* ")]
    assert "read at the student's best epoch, not at its own" in note
    assert "taught by the student alone, not by the raters" in note


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"expert_loss": 1.0}, "* an expert, read at the student's best epoch, not at its own."),
        ({"lambda_mai": 0.0}, "nothing teaches it, so that it is untrained."),
    ],
)
def test_the_mark_says_who_teaches_the_experts(change: dict[str, float], wanted: str) -> None:
    summary = _summary()
    settings = [{**one, **change} for one in summary["selected"]["settings"]]
    summary["selected"] = {**summary["selected"], "settings": settings}
    (note,) = [one for one in results_table(summary).notes if one.startswith("* ")]
    assert note.endswith(wanted)


def test_nothing_is_marked_where_each_head_has_its_own_best_epoch() -> None:
    summary = _summary()
    summary["selected"] = {**summary["selected"], "read_at_another_head": []}
    table = results_table(summary)
    assert not any("*" in cell for row in table.rows for cell in row)
    assert not any(note.startswith("*") for note in table.notes)


def test_two_classes_have_no_r2_and_the_table_says_so() -> None:
    nothing = {"mean": None, "std": None, "fold_mean": None, "fold_std": None}
    summary = _summary(classes=["neutral", "sad"])
    for by_test in (*summary["selected"]["heads"].values(), *summary["floors"].values()):
        by_test["test"]["r2"] = nothing
    table = results_table(summary)
    assert {row[1 + SHOWN.index("r2")] for row in table.rows} == {"-"}
    assert "R2 is not printed: with two classes it is always 1 or 0." in table.notes
    assert not any("R2" in note for note in results_table(_summary()).notes)


def test_what_was_used_left_out_leaked_or_diverged_is_counted() -> None:
    summary = _summary(
        utterances={"used": 1, "left_out": {"without audio": 2, "not kept by all-in": 3}},
        leakage={"speaker": {"values": 1, "test_utterances": 1}},
        diverged_runs=["abc"],
        seeds=[0],
        folds=[{"name": "official"}],
    )
    notes = results_table(summary).notes
    assert "1 utterance, 1 fold, 1 seed; one seed has no standard deviation." in notes
    assert "Left out: 2 without audio; 3 not kept by all-in." in notes
    assert "Leakage: training has the speaker of 1 test utterance too." in notes
    assert "1 run diverged: their figures are missing." in notes
    assert not any("over folds" in cell for row in results_table(summary).rows for cell in row)


def test_arrows_show_which_way_is_better() -> None:
    table = results_table(_summary())
    assert table.columns[1] == "JS ↓"
    assert all(column.endswith(" ↑") for column in table.columns[2:])


def test_every_table_has_the_floors() -> None:
    summary = _grid({"kappa": 2.0}, {"kappa": 8.0})
    for table in tables_of(summary).values():
        assert "uniform" in [row[0] for row in table.rows]


def test_a_grid_shows_the_axes_that_vary_and_writes_whole_numbers_as_such() -> None:
    first = {"kappa": 2.0, "lr": 3e-4, "lambda_mai": 0.5}
    table = grid_table(_grid(first, {**first, "kappa": 8.0, "lr": 1e-5}))
    assert table.columns[:3] == ("kappa", "lr", "selected")
    assert table.rows[0][:3] == ("2", "0.0003", "")
    assert table.rows[1][:3] == ("8", "1e-05", "2 of 2 folds")
    assert table.emphasis == {1}
    assert table.num_keys == 3


@pytest.mark.parametrize("name", ["../../evil", "test 1", "/etc/x", "a|b", ".", ""])
def test_a_test_sets_name_can_lead_no_file_astray(name: str) -> None:
    summary = _summary(test_sets=[name, "test2"])
    for by_test in (*summary["selected"]["heads"].values(), *summary["floors"].values()):
        by_test |= {name: by_test["test"], "test2": by_test["test"]}
    names = list(tables_of(summary))
    assert len(names) == 2
    assert all(re.fullmatch(r"table_[12](-[a-z0-9-]+)?", one) for one in names)
    assert names[1] == "table_2-test2"


@pytest.mark.parametrize("word", HOSTILE)
def test_markdown_takes_no_label_for_markup(word: str) -> None:
    lines = to_markdown(_table(word)).splitlines()
    (row,) = [line for line in lines if line.startswith("| ") and line.endswith("| 1 |")]
    cell = row.removeprefix("| ").removesuffix(" | 1 |")
    assert not re.search(r"(?<!\\)(\\\\)*[|*_`<>\[\]&$~]", cell)
    plain = re.sub(r"\\(.)", r"\1", cell)
    assert plain == _visible(word)


@pytest.mark.parametrize("word", HOSTILE)
def test_latex_takes_no_label_for_a_command(word: str) -> None:
    (row,) = [line for line in to_latex(_table(word)).splitlines() if line.endswith(r" & 1 \\")]
    allowed = r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar)\{\}"
    rest = re.sub(rf"{allowed}|\\[&%$#_{{}}]", "", row.removesuffix(r" & 1 \\"))
    assert not re.search(r"[\\&%$#_{}~^<>|]", rest)


@pytest.mark.parametrize("word", HOSTILE)
def test_the_terminal_shows_a_label_as_it_is_and_obeys_none(word: str) -> None:
    shown = _printed(_table(word))
    assert _visible(word, keep_lines=True) in shown
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown)


@pytest.mark.parametrize("word", HOSTILE)
def test_csv_gives_back_every_label(word: str) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(_table(word)))))
    assert rows == [["head", "JS"], [word, "1"]]


def test_hostile_names_of_corpus_and_encoders_are_escaped_in_titles_too() -> None:
    table = results_table(_summary(corpus="<b>", encoders={"audio": r"x\input{y}"}))
    assert r"on \<b\>" in to_markdown(table)
    assert r"\textless{}b\textgreater{}" in to_latex(table)
    assert r"x\textbackslash{}input\{y\}" in to_latex(table)


def test_a_narrow_terminal_gets_the_figures_in_blocks_and_loses_none() -> None:
    table = results_table(_summary())
    wide, narrow = _printed(table), _printed(table, width=60)
    assert max(map(len, narrow.splitlines())) <= 60
    assert "…" not in narrow
    for column in table.columns[1:]:
        name = rf"(?<!-){re.escape(column)}"
        assert len(re.findall(name, narrow)) == len(re.findall(name, wide)) == 1
    assert narrow.count("0.250 ± 0.010") == wide.count("0.250 ± 0.010")
    assert narrow.count("audio*") == 4  # blocks of two figures


def test_a_terminal_narrower_than_one_figure_still_ends() -> None:
    assert _printed(results_table(_summary()), width=10)


def test_bold_rows_are_the_judged_ones() -> None:
    table = results_table(_summary())
    assert table.emphasis == {1}
    assert "| **fusion** | **0.250 ± 0.010** |" in to_markdown(table)
    assert r"\textbf{fusion} & \textbf{0.250 $\pm$ 0.010} &" in to_latex(table)


def test_a_head_that_is_no_better_than_the_training_mean_is_named() -> None:
    summary = _summary()
    figures = {"test": {"js": {"mean": 0.25, "std": 0.0}}}
    summary["floors"]["training mean"] = {"test": {**_floor_of(summary), **figures["test"]}}
    assert any(
        "NO BETTER THAN THE TRAINING MEAN on js: " in n for n in results_table(summary).notes
    )
    summary["floors"]["training mean"]["test"]["js"]["mean"] = 0.9
    assert not any("NO BETTER" in note for note in results_table(summary).notes)


def _floor_of(summary: dict[str, Any]) -> dict[str, Any]:
    return dict(next(iter(summary["floors"].values()))["test"])


def _engine() -> Sequence[str] | None:
    if found := shutil.which("tectonic"):
        return [found]
    if found := shutil.which("pdflatex"):
        return [found, "-interaction=nonstopmode", "-halt-on-error"]
    return None


@pytest.mark.skipif(_engine() is None, reason="neither tectonic nor pdflatex is installed")
def test_the_latex_compiles(tmp_path: Path) -> None:
    body = to_latex(results_table(_summary())) + to_latex(_table(*HOSTILE))
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "table.tex").write_text(f"{document}\n{body}\n\\end{{document}}\n")
    done = subprocess.run([*_engine(), "table.tex"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("start", ["[2cm]", "*"])
def test_no_row_begins_with_what_latex_takes_for_the_end_before(start: str) -> None:
    table = Table(title="", columns=("a", "b"), rows=(("x", "1"), (f"{start} y", "2")), notes=())
    assert f"\n{{}}%\n{start} y & 2" in to_latex(table)


def _visible(word: str, *, keep_lines: bool = False) -> str:
    text = word if keep_lines else " ".join(word.split())
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def test_a_choice_at_the_edge_of_its_axis_is_told_with_the_axis_to_try() -> None:
    summary = _grid({"kappa": 2.0}, {"kappa": 8.0})
    edge = {"setting": "lambda_mai", "value": 0.3, "folds": 4, "try": "0.18,0.3,0.5"}
    summary["selected"]["edges"] = [edge]
    assert (
        "AT THE EDGE: lambda-mai 0.3, selected in 4 folds, ends its axis; the best may lie beyond: "
        "try --grid lambda-mai=0.18,0.3,0.5."
    ) in grid_table(summary).notes
