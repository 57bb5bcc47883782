"""The batch plan: every index once, within the budget, and from the lengths alone."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amber_cache.batching import padded_share, plan_batches, plan_with_little_padding
from amber_cache.jobs.encoding import AUDIO_BUDGET_MS
from tests.benchmarks.base_models import iemocap_lengths_s

lengths_lists = st.lists(st.integers(0, 500), max_size=40)
budgets = st.integers(1, 1_000)


@given(lengths_lists, budgets)
def test_every_index_stands_in_one_batch(lengths: list[int], budget: int) -> None:
    batches = plan_batches(lengths, budget=budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(batches)


@given(lengths_lists, budgets)
def test_no_batch_of_several_exceeds_the_budget(lengths: list[int], budget: int) -> None:
    for batch in plan_batches(lengths, budget=budget):
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= budget


@given(lengths_lists, budgets)
def test_no_two_neighbours_would_have_fitted_into_one(lengths: list[int], budget: int) -> None:
    batches = plan_batches(lengths, budget=budget)
    for batch, following in zip(batches, batches[1:], strict=False):
        assert max(lengths[i] for i in batch) * (len(batch) + 1) > budget
        assert min(lengths[i] for i in batch) >= max(lengths[i] for i in following)


@given(st.lists(st.integers(1, 500), unique=True, max_size=20), budgets, st.randoms())
def test_the_order_of_the_corpus_does_not_change_who_shares_a_batch(
    lengths: list[int], budget: int, random: object
) -> None:
    shuffled = list(lengths)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    plans = [
        [[given[i] for i in batch] for batch in plan_batches(given, budget=budget)]
        for given in (lengths, shuffled)
    ]
    assert plans[0] == plans[1]


@given(st.lists(st.integers(1, 500), min_size=1, max_size=40), budgets)
def test_the_padded_share_counts_what_is_padded(lengths: list[int], budget: int) -> None:
    batches = plan_batches(lengths, budget=budget)
    padded = sum(max(lengths[i] for i in batch) - lengths[i] for batch in batches for i in batch)
    share = padded_share(lengths, batches)
    assert share == pytest.approx(padded / (padded + sum(lengths)))
    assert 0 <= share < 1


def batches_item_by_item(lengths: list[int], budget: int) -> list[list[int]]:
    """The rule as it reads: an item joins the batch while the longest times their number fits."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        fits = batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= budget
        batches[-1].append(index) if fits else batches.append([index])
    return batches


@given(lengths_lists, budgets)
def test_the_plan_is_that_of_the_rule_applied_item_by_item(lengths: list[int], budget: int) -> None:
    found = plan_batches(lengths, budget=budget)
    assert [list(batch) for batch in found] == batches_item_by_item(lengths, budget)
    assert all(type(index) is int for batch in found for index in batch)


def test_a_large_corpus_is_planned_in_no_time_and_little_memory() -> None:
    lengths = np.random.default_rng(0).integers(2_750, 11_000, 200_000)
    began = time.process_time()
    tracemalloc.start()
    batches = plan_batches(lengths, budget=16_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(map(len, batches)) == 200_000
    assert peak < 100e6  # ten times that for two million
    assert time.process_time() - began < 6


def test_a_plan_worked_by_hand() -> None:
    # Sorted: 9, 5, 5, 4, 1. 9 alone (18 > 12); 5 and 5 (15 > 12 for three); 4 and 1.
    assert plan_batches([5, 1, 9, 5, 4], budget=12) == ((2,), (0, 3), (4, 1))
    assert padded_share([5, 1, 9, 5, 4], [[2], [0, 3], [4, 1]]) == pytest.approx(3 / 27)


def test_an_empty_corpus_has_no_batches() -> None:
    assert plan_batches([], budget=1) == ()
    assert padded_share([], []) == 0.0


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="the budget is 0; it must be at least 1"):
        plan_batches([1], budget=0)


@pytest.mark.parametrize("num", [100, 1_000, 10_039])
@pytest.mark.parametrize("where", AUDIO_BUDGET_MS)
def test_little_of_a_corpus_with_iemocaps_lengths_is_padding(where: str, num: int) -> None:
    lengths_s = iemocap_lengths_s(num)
    lengths = [round(1000 * one) for one in lengths_s]
    if num == 10_039:
        assert (lengths_s.mean(), lengths_s.std()) == pytest.approx((4.5, 3.2), abs=0.15)
        assert (min(lengths), max(lengths)) == (600, 34_000)
    budget, batches = plan_with_little_padding(lengths, budget=AUDIO_BUDGET_MS[where])
    assert padded_share(lengths, batches) < 0.05
    assert budget >= max(lengths) or where.startswith("cpu")
    assert budget == AUDIO_BUDGET_MS[where] or num < 10_039
    assert len(batches) < num


def test_a_large_corpus_keeps_the_budget_and_a_small_one_gets_less() -> None:
    assert plan_with_little_padding([7] * 50, budget=70)[0] == 70
    assert plan_with_little_padding([8, 4, 4, 2], budget=32) == (8, ((0,), (1, 2), (3,)))
    assert plan_with_little_padding([8, 4, 4, 2], budget=15)[0] == 15
    assert plan_with_little_padding([], budget=5) == (5, ())


@given(lengths_lists, budgets)
def test_the_plan_is_the_plain_one_of_the_budget_that_was_chosen(
    lengths: list[int], budget: int
) -> None:
    chosen, batches = plan_with_little_padding(lengths, budget=budget)
    assert batches == plan_batches(lengths, budget=chosen)
    halved = 2 * chosen < 2 * max(lengths, default=0) or chosen == budget
    assert halved or padded_share(lengths, plan_batches(lengths, budget=budget)) > 0.05
    assert padded_share(lengths, batches) <= 0.05 or chosen < 2 * max(lengths)
