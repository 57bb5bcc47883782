"""The READMEs' links lead to a heading or to a file, and the options they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from amber_cache.storage import schema
from tests.commands import ROOT

PAGES = ("README.md", "data/README.md")


def anchors(page: Path) -> set[str]:
    """What a hub calls a page's headings: lower case, words joined by hyphens."""
    lines = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", lines, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in titles}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    for link in links:
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_option_that_is_named_is_one_of_some_command() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    sources = [
        ROOT / "cli.py",
        *(ROOT / "amber_cache").rglob("*.py"),
        *(ROOT / "amber_heads").rglob("*.py"),
    ]
    code = "\n".join(one.read_text("utf-8") for one in sources)
    known = {
        f"--{one.replace('_', '-')}" for one in re.findall(r"^    (\w+): ", code, re.MULTILINE)
    }
    known |= set(re.findall(r'"(--[a-z-]+)"', code))
    assert named - {f"--no-{one[2:]}" for one in known} <= known


def test_the_layout_of_a_cache_is_the_schemas() -> None:
    """Each row's first path and the further names behind it, with the type that it tells."""
    groups = {
        "utterances": schema.UTTERANCE_COLUMNS,
        "votes": schema.VOTE_COLUMNS,
        "ratings": schema.RATING_COLUMNS,
        "embeddings/MODALITY/NAME": schema.EMBEDDING_COLUMNS,
        "transcripts/MODEL": schema.TRANSCRIPT_COLUMNS,
    }
    text = (ROOT / "data" / "README.md").read_text("utf-8")
    told: dict[str, list[str]] = {}
    for group, names in re.findall(r"^\| `/([^`|]+)/(\w+`[^|]*)\|", text, re.MULTILINE):
        told.setdefault(group, []).extend(re.findall(r"(\w+)`", names))
    assert {group: sorted(names) for group, names in told.items()} == {
        group: sorted(column.name for column in columns) for group, columns in groups.items()
    }
