"""What holds for soft labels whatever the votes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from amber_cache.records import Utterance
from amber_cache.store import votes_table
from amber_heads.data import LabelPolicy, kept, parse_classes, vote_counts
from tests.reference_cache import FOUR, load, utterance

LABELS = ("neutral", "happy", "excited", "angry", "sad", "other", "fear")

#: Each utterance's votes, as labels.
label_lists = st.lists(st.lists(st.sampled_from(LABELS), max_size=5), min_size=1, max_size=6)


def voted(label_rows: Sequence[Sequence[str]]) -> list[Utterance]:
    return [utterance(f"u{number}", *labels) for number, labels in enumerate(label_rows)]


def counted(label_rows: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    table = votes_table(voted(label_rows))
    policy = LabelPolicy(classes=parse_classes(FOUR))
    every = np.ones(len(table), dtype=bool)
    return vote_counts(table, every, policy, num_utterances=len(label_rows))


@settings(deadline=None)
@given(label_rows=label_lists)
def test_every_vote_lies_in_a_class_or_outside_them(label_rows: list[list[str]]) -> None:
    counts, outside = counted(label_rows)
    np.testing.assert_array_equal(counts.sum(axis=1) + outside, [len(one) for one in label_rows])
    np.testing.assert_array_equal(
        counts[:, 1], [one.count("happy") + one.count("excited") for one in label_rows]
    )


@settings(deadline=None)
@given(label_rows=label_lists)
def test_all_in_lies_within_majority_mass_and_that_within_any_vote(
    label_rows: list[list[str]],
) -> None:
    counts, outside = counted(label_rows)
    in_all, majority, any_vote = (
        kept(counts, outside, keep=keep, consensus_in=np.zeros(len(label_rows), dtype=bool))
        for keep in ("all-in", "majority-mass", "any-vote")
    )
    assert (in_all <= majority).all()
    assert (majority <= any_vote).all()
    np.testing.assert_array_equal(any_vote, counts.sum(axis=1) > 0)


@settings(deadline=None)
@given(label_rows=label_lists, data=st.data())
def test_the_order_of_raters_makes_no_difference(
    label_rows: list[list[str]], data: st.DataObject
) -> None:
    turned = [data.draw(st.permutations(one)) for one in label_rows]
    for found, wanted in zip(counted(turned), counted(label_rows), strict=True):
        np.testing.assert_array_equal(found, wanted)


@settings(max_examples=25, deadline=None)
@given(
    label_rows=label_lists,
    keep=st.sampled_from(["all-in", "any-vote", "majority-mass"]),
    failed=st.sets(st.sampled_from([f"u{number}" for number in range(6)])),
    improvised=st.sets(st.sampled_from([f"u{number}" for number in range(6)])),
)
def test_rows_sum_to_one_and_nobody_is_lost(
    label_rows: list[list[str]], keep: str, failed: set[str], improvised: set[str]
) -> None:
    everybody = [
        replace(one, style="improvised" if one.id in improvised else "scripted")
        for one in (*voted(label_rows), utterance("z", "neutral", "happy", "angry", "sad"))
    ]
    outside = sum(one.style == "improvised" for one in everybody)
    subset = (("style", ("scripted",)),) if outside else ()
    asked: dict[str, Any] = {"keep": keep, "failed": {"text": sorted(failed)}, "subset": subset}
    with tempfile.TemporaryDirectory() as folder:
        dataset = load(Path(folder), everybody, **asked)
    assert dataset.left_out.get("outside the subset style=scripted", 0) == outside
    assert set(dataset.columns["style"]) == {"scripted"}
    np.testing.assert_allclose(dataset.target.sum(axis=1), 1, atol=1e-12)
    assert (dataset.target >= 0).all()
    assert len(dataset) + sum(dataset.left_out.values()) == len(everybody)
    assert np.isfinite(dataset.inputs["text"]).all()
