"""The page: valid HTML, self-contained, readable by machine and by ear; and no word of it runs."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import html5lib
import pytest

from amber_heads.reporting.escaping import csv_cell, data_island, file_name, markdown
from amber_heads.reporting.references import REFERENCES
from tests.hostile import CLASSES, WORDS, hostile_ids

_HTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture(scope="module")
def page(hostile_report: Path) -> str:
    return (hostile_report / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tree(page: str) -> ElementTree.Element:
    return html5lib.HTMLParser(strict=True).parse(page)  # raises on what is no valid markup


def _all(tree: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return list(tree.iter(_HTML + name))


def _island(tree: ElementTree.Element) -> dict[str, object]:
    (island,) = [one for one in _all(tree, "script") if one.get("id") == "utterances"]
    return json.loads(str(island.text))


def test_the_page_asks_for_nothing_from_elsewhere(tree: ElementTree.Element) -> None:
    for node in tree.iter():
        for name, value in node.attrib.items():
            if name in ("src", "srcset", "action", "poster", "data"):
                assert not value, (node.tag, name)
            if name.endswith("href") and node.tag != _HTML + "a":
                assert value.startswith(("#", "data:")), (node.tag, value)
            if name.endswith("href") and node.tag == _HTML + "a":
                assert re.fullmatch(r"#[\w-]+|(tables|figures)/[\w.-]+", value), value
    styles = "".join(str(one.text) for one in _all(tree, "style"))
    assert "@import" not in styles
    assert "url(" not in styles


def test_its_policy_lets_its_own_script_run_and_no_other(tree: ElementTree.Element) -> None:
    (policy,) = [
        str(one.get("content")) for one in _all(tree, "meta") if one.get("http-equiv") is not None
    ]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "script-src 'unsafe-inline'" not in policy


def test_no_word_of_the_corpus_became_markup(tree: ElementTree.Element) -> None:
    scripts = _all(tree, "script")
    assert [one.get("type") for one in scripts] == ["application/json", None]
    assert not _all(tree, "img")
    assert not _all(tree, "iframe")
    for node in tree.iter():
        assert not [name for name in node.attrib if name.startswith("on")], node.attrib


def test_words_are_shown_as_they_are(tree: ElementTree.Element) -> None:
    island = _island(tree)
    assert island["ids"] == hostile_ids(60)
    assert island["classes"] == list(CLASSES)
    assert set(island["texts"]) == set(WORDS)  # type: ignore[call-overload]
    text = " ".join("".join(tree.itertext()).split())
    assert '"><img src=x onerror=window.pwned=1>' in text  # a system's name, as text


def test_ids_are_unique_and_what_refers_to_them_finds_them(tree: ElementTree.Element) -> None:
    ids = Counter(value for node in tree.iter() if (value := node.get("id")))
    assert [name for name, number in ids.items() if number > 1] == []
    for node in tree.iter():
        wanted = [str(node.get("for") or ""), *str(node.get("aria-labelledby") or "").split()]
        href = next((v for k, v in node.attrib.items() if k.endswith("href")), "")
        wanted.append(href[1:] if href.startswith("#") else "")
        wanted += re.findall(r"url\(#([^)]+)\)", " ".join(node.attrib.values()))
        assert {one for one in wanted if one} <= ids.keys()


def test_tables_have_captions_and_scopes(tree: ElementTree.Element) -> None:
    for table in _all(tree, "table"):
        assert [one.tag for one in table][0] == _HTML + "caption"
        for head in table.iter(_HTML + "th"):
            assert head.get("scope") in ("row", "col")


def test_figures_have_a_name_and_a_description(tree: ElementTree.Element) -> None:
    figures = [one for one in tree.iter() if one.tag.endswith("}svg")]
    assert len(figures) >= 7
    for one in figures:
        assert one.get("role") == "img"
        words = [child.text for child in one if child.tag.split("}")[1] in ("title", "desc")]
        assert len(words) == 2
        assert all(words)


def test_every_control_has_a_label(tree: ElementTree.Element) -> None:
    labelled = {one.get("for") for one in _all(tree, "label")}
    controls = [*_all(tree, "input"), *_all(tree, "select")]
    assert {one.get("id") for one in controls} <= labelled
    assert all("".join(one.itertext()).strip() for one in _all(tree, "button"))


def test_floors_and_one_rater_stand_in_every_table_of_scores(hostile_report: Path) -> None:
    names = [one.stem for one in (hostile_report / "tables").glob("*.csv")]
    tables = [one for one in names if re.search("^(scores|further-scores|.*-levels-.*)$", one)]
    assert len(tables) == 14
    for name in tables:
        text = (hostile_report / "tables" / f"{name}.md").read_text()
        for row in ("training mean", "random draw", "uniform", "one rater more", "a perfect model"):
            assert f"| {row} |" in text, (name, row)


def test_figures_are_svg_without_scripts_and_png(hostile_report: Path) -> None:
    folder = hostile_report / "figures"
    names = {one.stem for one in folder.iterdir()}
    assert {"entropy-levels", "conflict-levels", "reliability", "risk-coverage"} <= names
    for name in names:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        root = ElementTree.fromstring((folder / f"{name}.svg").read_bytes())
        tags = {one.tag.split("}")[-1] for one in root.iter()}
        assert not tags & {"script", "img", "foreignObject", "a"}
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            assert len(list(csv.reader(file))) > 2


def test_no_cell_of_a_csv_is_a_formula(hostile_report: Path) -> None:
    for path in hostile_report.rglob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    assert not re.match(r"[=@\t\r]|[+-](?![\d.]*(e-?\d+)?($| ±))(?!$)", cell), cell


def test_no_command_reaches_latex(hostile_report: Path) -> None:
    for path in hostile_report.rglob("*.tex"):
        text = path.read_text(encoding="utf-8")
        assert r"\input" not in text
        assert r"\write" not in text


def test_markdown_shows_words_as_they_are(hostile_report: Path) -> None:
    for path in hostile_report.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<!\\)<(?!sup>|/sup>)", text), path
        assert not re.search(r"(?<!\\)\\input", text), path
        assert "](javascript" not in text


def test_file_names_are_the_houses_own(hostile_report: Path) -> None:
    for path in hostile_report.rglob("*"):
        assert re.fullmatch(r"[a-z0-9.-]+", path.name), path


def test_a_protocol_cites_what_its_references_hold(hostile_report: Path) -> None:
    protocol = (hostile_report / "protocol.md").read_text(encoding="utf-8")
    references = (hostile_report / "references.bib").read_text(encoding="utf-8")
    cited = set(re.findall(r"(?<!\\)@(\w+)", protocol))
    assert cited == set(re.findall(r"^@\w+\{(\w+),", references, re.MULTILINE))
    assert cited <= REFERENCES.keys()
    assert references.count("{") == references.count("}")


@pytest.mark.parametrize("word", WORDS)
def test_the_pages_data_can_end_no_script(word: str) -> None:
    island = data_island({"id": word})
    assert not re.search("[<>&\u2028\u2029]", island)
    assert json.loads(island) == {"id": word}


def test_figures_stay_numbers_in_csv() -> None:
    for figure in ("-0.012 ± 0.003", "-1e-05", "-", "+0.3", -0.5, None, 3):
        assert csv_cell(figure) == figure
    assert csv_cell("-1+cmd|' /C calc'!A0") == "'-1+cmd|' /C calc'!A0"


def test_a_file_name_leads_nowhere() -> None:
    assert file_name("../../etc/passwd", number=1) == "1-etc-passwd"
    assert file_name("</script>", number=2) == "2-script"
    assert file_name("…", number=3) == "3"


def test_markdown_is_one_line() -> None:
    assert markdown("a\n\n# b\u2028c") == "a \\# b c"
