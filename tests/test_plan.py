"""The plan of a job: what is kept of it, how it is told apart, and what is no plan."""

from __future__ import annotations

import dataclasses
import json

import pytest

from amber_cache.errors import CacheError, ConfigError
from amber_cache.jobs.plan import EntryPlan, Plan, corpus_difference, read_plan
from amber_cache.jobs.planning import parse_shard
from amber_cache.sources import KnownFile

ENTRY = EntryPlan(
    modality="audio",
    name="mel",
    attrs={"encoder": "mel", "libraries": {"numpy": "2"}, "weight_files": ["1 2 model.bin"]},
    width=3,
    budget=10,
    batches=((2,), (0, 1), (3,)),
)
PLAN = Plan(
    settings={"layer": -1},
    device="cpu",
    threads=2,
    former="",
    ids=("a", "b", "c", "d"),
    inputs={"audio": ("1", "2", "3", "4")},
    entries=(ENTRY,),
    shard=(1, 2),
    files={"a.wav": KnownFile(5, 6, "hash")},
    seen_ns=7,
)


def test_a_plan_comes_back_as_it_was_kept() -> None:
    assert read_plan(PLAN.to_json(), place="here") == PLAN


def test_shards_take_every_batch_once() -> None:
    parts = [ENTRY.mine((place, 2)) for place in (0, 1)]
    assert parts == [{0: (2,), 2: (3,)}, {1: (0, 1)}]
    assert ENTRY.mine(None) == dict(enumerate(ENTRY.batches))


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 1},
        {"device": "cuda"},
        {"settings": {"layer": 1}},
        {"former": "x"},
        {"ids": ("a", "b", "c", "e")},
        {"inputs": {"audio": ("1", "2", "3", "5")}},
        {"entries": (dataclasses.replace(ENTRY, batches=((0, 1, 2), (3,))),)},
        {"entries": (dataclasses.replace(ENTRY, attrs={"encoder": "other"}),)},
    ],
)
def test_whatever_vectors_depend_on_makes_another_plan(change: dict[str, object]) -> None:
    assert dataclasses.replace(PLAN, **change).stamp["sha256"] != PLAN.stamp["sha256"]


def test_what_differs_from_machine_to_machine_does_not() -> None:
    attrs = {**ENTRY.attrs, "weight_files": ["1 9 model.bin"]}
    other = dataclasses.replace(
        PLAN, files={}, seen_ns=1, shard=None, entries=(dataclasses.replace(ENTRY, attrs=attrs),)
    )
    assert other.stamp["sha256"] == PLAN.stamp["sha256"]
    assert (PLAN.stamp["shard"], "shard" in other.stamp) == ("1/2", False)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", PLAN.to_json()[:-40], json.dumps({"format": "other"})]
    + [PLAN.to_json().replace('"format_version":1', '"format_version":2')],
)
def test_what_is_no_plan_is_refused_in_a_line_with_the_way_out(text: str) -> None:
    with pytest.raises(CacheError, match=r"^here: can't be followed: .*--overwrite") as refused:
        read_plan(text, place="here")
    assert "\n" not in str(refused.value)


def test_the_corpus_difference_counts_and_names() -> None:
    assert corpus_difference(PLAN, PLAN.ids, PLAN.inputs) == ""
    told = corpus_difference(PLAN, ("a", "b", "e"), {"audio": ("1", "x", "5")})
    assert told == "1 new (first 'e'), 2 gone (first 'c'), 1 changed (first 'b')"


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "0/0", "a/b", "0/2/3", "0 / 2"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--shard .*: must be K/N with K from 0 to N - 1"):
        parse_shard(text)
