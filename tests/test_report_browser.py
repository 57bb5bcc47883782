"""The page in a real browser: no console error, no request, and the list sorts and filters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile import WORDS

chromium = pytest.importorskip("tests.chromium")
pytestmark = pytest.mark.skipif(chromium.BROWSER is None, reason="there is no Chromium here")

_FIRST = "document.querySelector('#list tbody th').textContent"
_STATUS = "document.getElementById('status').textContent"


@pytest.fixture(scope="module")
def tab(hostile_report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    with chromium.open_tab(tmp_path_factory.mktemp("profile")) as opened:
        opened.open(hostile_report / "report.html")
        yield opened


def _entropies(tab: object) -> list[float]:
    rows = "[...document.querySelectorAll('#list tbody tr')].map(r => +r.children[4].textContent)"
    return list(tab.value(rows))  # type: ignore[attr-defined]


def _click(tab: object, key: str) -> None:
    tab.value(f"document.querySelector('#list th[data-key={key}] button').click()")  # type: ignore[attr-defined]


def _set(tab: object, field: str, value: str, event: str = "input") -> None:
    told = f"(f => {{ f.value = {value!r}; f.dispatchEvent(new Event('{event}')); }})"
    tab.value(f"{told}(document.getElementById('f-{field}'))")  # type: ignore[attr-defined]


def test_nothing_of_the_corpus_ran(tab: chromium.Tab) -> None:
    assert tab.value("window.pwned === undefined")


def test_the_list_opens_with_the_most_ambiguous_first(tab: chromium.Tab) -> None:
    assert tab.value(_STATUS) == "60 of 60 utterances, page 1 of 2"
    found = _entropies(tab)
    assert len(found) == 50
    assert found == sorted(found, reverse=True)


def test_a_click_sorts_and_another_turns_it_round(tab: chromium.Tab) -> None:
    sort = "document.querySelector('#list th[data-key=entropy]').getAttribute('aria-sort')"
    assert tab.value(sort) == "descending"
    _click(tab, "entropy")
    assert tab.value(sort) == "ascending"
    assert _entropies(tab) == sorted(_entropies(tab))
    _click(tab, "error")
    assert tab.value(sort) is None
    _click(tab, "entropy")
    assert tab.value(sort) == "descending"


def test_it_filters_by_entropy_error_conflict_and_words(tab: chromium.Tab) -> None:
    _set(tab, "entropy-low", "1")
    assert min(_entropies(tab)) >= 1
    _set(tab, "entropy-low", "")
    for field in ("error", "conflict"):
        _set(tab, f"{field}-low", "2")
        assert tab.value(_STATUS) == "0 of 60 utterances, page 1 of 1"
        _set(tab, f"{field}-low", "")
    _set(tab, "words", "hyperlink")
    assert tab.value(f"{_FIRST}.startsWith('=HYPERLINK')")
    tab.value("document.querySelector('#filters').reset()")
    tab.value("new Promise(done => setTimeout(done, 20))")
    _set(tab, "words", "")
    assert tab.value(_STATUS) == "60 of 60 utterances, page 1 of 2"


def test_pages_turn_and_hold_the_rest(tab: chromium.Tab) -> None:
    tab.value("document.getElementById('after').click()")
    assert tab.value("document.querySelectorAll('#list tbody tr').length") == 10
    assert tab.value("document.getElementById('after').disabled")
    tab.value("document.getElementById('before').click()")


def test_a_row_opens_with_all_its_numbers_and_its_transcript(tab: chromium.Tab) -> None:
    tab.value("document.querySelector('button.open').click()")
    assert (
        tab.value("document.querySelector('button.open').getAttribute('aria-expanded')") == "true"
    )
    told = str(tab.value("document.querySelector('tr.detail').textContent"))
    assert any(word in told for word in WORDS)
    assert tab.value("document.querySelectorAll('tr.detail tbody tr').length") >= 4
    assert tab.value("document.activeElement.classList.contains('open')")
    tab.value("document.querySelector('button.open').click()")


def test_bars_say_in_words_what_they_show(tab: chromium.Tab) -> None:
    label = "document.querySelector('#list .bars').getAttribute('aria-label')"
    assert str(tab.value(label)).startswith("raters: <b>neutral</b> ")


def test_colours_are_chosen_by_a_button(tab: chromium.Tab) -> None:
    theme = "document.documentElement.dataset.theme"
    seen = []
    for _ in range(3):
        tab.value("document.getElementById('theme').click()")
        seen.append(tab.value(f"{theme} || 'auto'"))
    assert seen == ["light", "dark", "auto"]


def test_the_network_was_not_asked_and_the_console_is_silent(tab: chromium.Tab) -> None:
    assert [one for one in tab.requests if not one.startswith(("file:", "data:", "about:"))] == []
    assert len([one for one in tab.requests if one.startswith("file:")]) == 1
    assert tab.complaints == []
