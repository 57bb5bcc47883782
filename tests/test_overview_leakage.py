"""What `amber corpus` tells of leakage: what `amber fit` tells, or why there are no folds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import amber
from tests.made_corpora import assert_refused, make_corpus
from tests.reference_cache import utterance
from tests.small_caches import small_cache

SMALL = ("--epochs", 1, "--seeds", 1, "--hidden", 4, "--json")


def leakage(place: Path, *options: object, cwd: Path | None = None) -> dict[str, Any] | None:
    finished = amber("corpus", place, "--json", "--quiet", *options, cwd=cwd)
    assert finished.status == 0, finished.err
    found: dict[str, Any] | None = json.loads(finished.out)["leakage"]
    return found


@pytest.mark.parametrize("options", [(), ("--folds", "random"), ("--folds", "speaker")])
def test_it_counts_what_fit_counts(workplace: Path, options: tuple[str, ...]) -> None:
    found = leakage(workplace / "data" / "cache.h5", *options)
    assert found is not None
    fitted = json.loads(amber("fit", *options, *SMALL, cwd=workplace).out)
    shared = {
        kind: one
        for kind, one in found["kinds"].items()
        if one["test_utterances"] or one["validation"]["test_utterances"]
    }
    assert shared == fitted["leakage"]
    assert found["warnings"] == fitted["warnings"]
    assert found["num_folds"] == len(fitted["folds"])
    assert found["test_utterances"] == fitted["utterances"]["used"]


PEOPLE = [
    utterance(
        f"u{n:02d}",
        *("sad", "happy"),
        speaker=f"s{n % 3}",
        text=f"line number {n // 2} it is",
        split=("train", "train", "dev", "test")[n % 4],
    )
    for n in range(12)
]


def test_worked_by_hand_with_official_parts(tmp_path: Path) -> None:
    cache = small_cache(tmp_path / "cache.h5", PEOPLE)
    found = leakage(cache, "--folds", "official")
    assert found is not None
    # u03, u07 and u11 are tested; s0 to s2 speak in training, and each line's twin is of dev.
    speaker, text = found["kinds"]["speaker"], found["kinds"]["text"]
    assert (found["num_folds"], found["test_utterances"]) == (1, 3)
    assert (speaker["values"], speaker["test_utterances"], speaker["known"]) == (3, 3, 3)
    assert (text["test_utterances"], text["validation"]["test_utterances"]) == (0, 3)
    printed = amber("corpus", cache, "--folds", "official").out
    assert "Leakage, 3 test utterances (--folds official)" in printed
    assert "WARNING: --folds official does not keep speakers apart here" in printed


def test_without_folds_a_line_says_why(tmp_path: Path) -> None:
    cache = small_cache(tmp_path / "cache.h5", PEOPLE)
    found = leakage(cache)
    assert found is not None
    assert found["kinds"] == {}
    assert "--folds session: 12 of 12 utterances have no session" in found["why_not"]
    printed = amber("corpus", cache).out
    assert "No folds, and so no leakage: --folds session: 12 of 12 utterances" in printed
    assert "Leakage, " not in printed
    few = leakage(cache, "--folds", "speaker")
    assert few is not None
    assert "there are 3 speakers, fewer than 5 folds; use --num-folds 3" in few["why_not"]
    (tmp_path / "amber.toml").write_text('folds = "speaker"\nnum-folds = 3\n')
    enough = leakage(cache, cwd=tmp_path)  # as amber fit would take it
    assert enough is not None
    assert (enough["why_not"], enough["num_folds"]) == ("", 3)


def test_a_corpus_without_votes_has_no_word_of_leakage(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    (tmp_path / "votes.csv").unlink()
    assert leakage(manifest) is None
    printed = amber("corpus", manifest, "--quiet").out
    assert "leakage" not in printed.lower()


def test_settings_of_folds_that_can_not_be_are_refused(tmp_path: Path) -> None:
    cache = small_cache(tmp_path / "cache.h5", PEOPLE)
    official = ("--folds", "official", "--num-folds", 4)
    assert_refused(amber("corpus", cache, *official), "--num-folds has no effect with --folds off")
    assert_refused(amber("corpus", cache, "--num-folds", 2), "--num-folds is 2; .* at least 3")
    assert_refused(amber("corpus", cache, "--folds", "some"), "--folds: 'some' is not on offer")
