"""The paper's figures as data: complete, and each slip at a figure that stands there."""

from __future__ import annotations

import pytest

from amber_heads.metrics import METRICS
from amber_heads.tabular.published import SLIPS, published, published_in, slips_of


def _figure(table: int, corpus: str, system: str, head: str, metric: str) -> float:
    (found,) = [
        one
        for one in published_in(table, corpus)
        if (one.system, one.head, one.metric) == (system, head, metric)
    ]
    return found.mean


def test_every_figure_is_of_a_known_metric_and_stands_there_once() -> None:
    found = [(one.table, one.corpus, one.system, one.head, one.metric) for one in published()]
    assert len(found) == len(set(found)) == 84
    assert {one.metric for one in published()} <= METRICS.keys()
    assert {one.table for one in published()} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((1, "iemocap", "cb-ce", "fusion", "js"), 0.216),
        ((2, "msp-podcast", "cb-ce", "audio", "acc"), 0.478),
        ((3, "iemocap", "amber2", "fusion", "js"), 0.193),
        ((4, "msp-podcast", "amber2", "fusion", "wf1"), 0.445),
        ((5, "iemocap", "aer-llm few-shot", "", "js_aer"), 0.35),
        ((5, "iemocap", "emo_ent", "", "acc"), 0.658),
    ],
)
def test_figures_are_those_printed(place: tuple[int, str, str, str, str], value: float) -> None:
    assert _figure(*place) == value


def test_tables_1_to_4_have_deviations_and_table_5_has_none() -> None:
    assert all((one.std is None) == (one.table == 5) for one in published())


def test_every_slip_concerns_some_figure() -> None:
    for slip in SLIPS:
        assert any(slip.concerns(one) for one in published()), slip.text


def test_what_slips_say_of_numbers_is_so() -> None:
    fall = _figure(4, "msp-podcast", "amber2", "fusion", "wf1")
    assert round(100 * (1 - fall / _figure(2, "msp-podcast", "cb-ce", "fusion", "wf1"))) == 19
    assert _figure(2, "msp-podcast", "cb-ce", "fusion", "acc") == 0.473
    assert _figure(4, "iemocap", "amber2", "fusion", "f1") == 0.695
    assert _figure(5, "iemocap", "amber2", "fusion", "f1") == 0.675
    assert _figure(5, "iemocap", "amber2", "fusion", "wf1") == 0.675


def test_a_distance_is_told_apart_from_a_divergence() -> None:
    marked = [one for one in published() if one.metric == "js_aer"]
    assert len(marked) == 4
    for one in marked:
        assert any("not on one scale" in slip.text for slip in slips_of(one))


def test_a_corpus_that_the_paper_does_not_have_has_no_figures() -> None:
    assert published_in(1, "crema-d") == ()
