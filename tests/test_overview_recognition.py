"""Word error rates of a cache's transcripts, by hand and against another way to count."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from amber_cache.store import DONE, FAILED, PENDING, Transcripts, text_array
from amber_heads.overviews.recognition import NO_JIWER, NO_WORDS, recognition_of
from tests.commands import amber
from tests.heard_corpora import MODEL, hear, transcripts
from tests.made_corpora import make_corpus, read_rows
from tests.tiny_models import save_ctc_model

#: Words of made-up references and transcripts.
LENGTHS = ([3, 1, 7, 5, 2], [4, 0, 6, 5, 3])


def heard(*texts: str, status: tuple[int, ...] | None = None) -> Transcripts:
    blank = text_array([""] * len(texts))
    states = np.array(status or (DONE,) * len(texts), np.uint8)
    return Transcripts(name="model", text=text_array(list(texts)), status=states, error=blank)


def edits(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """The fewest words to replace, leave out or put in: the recursion itself."""

    @cache
    def between(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        same = between(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(same, between(i - 1, j) + 1, between(i, j - 1) + 1)

    return between(len(one), len(other))


def test_words_that_are_replaced_left_out_and_put_in() -> None:
    reference = text_array(["Don't do it, now!", "so it is", "", "oh"])
    found = recognition_of(reference, heard("dont do that", "so so it is", "anything", ""))
    assert (found.heard, found.silent, found.compared, found.words) == (4, 1, 3, 8)
    assert (found.substitutions, found.deletions, found.insertions) == (1, 2, 1)
    assert found.wer == pytest.approx(4 / 8)


def test_the_rate_is_of_all_words_by_the_fewest_edits() -> None:
    random = np.random.default_rng(0)
    one, other = ([tuple(random.choice(list("abc"), size=n)) for n in ns] for ns in LENGTHS)
    found = recognition_of(
        text_array([" ".join(words) for words in one]), heard(*(" ".join(w) for w in other))
    )
    wanted = sum(map(edits, one, other)) / sum(map(len, one))
    assert found.wer == pytest.approx(wanted)
    assert found.substitutions + found.deletions + found.insertions == wanted * found.words


def test_what_failed_or_is_pending_is_counted_and_not_compared() -> None:
    found = recognition_of(
        text_array(["a b", "a b", "a b"]), heard("a b", "", "", status=(DONE, FAILED, PENDING))
    )
    assert (found.heard, found.failed, found.pending, found.compared) == (1, 1, 1, 1)
    assert found.wer == 0


def test_without_a_reference_there_is_no_rate() -> None:
    found = recognition_of(text_array(["", "?!"]), heard("a", "b"))
    assert (found.wer, found.why_not) == (None, NO_WORDS)


def test_without_jiwer_there_is_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jiwer", None)
    found = recognition_of(text_array(["a"]), heard("a"))
    assert (found.heard, found.wer, found.why_not) == (1, None, NO_JIWER)


def test_the_command_line_tells_what_was_heard(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path, num=3)
    assert hear(manifest, model=save_ctc_model(tmp_path / MODEL)).status == 0
    told = amber("corpus", tmp_path / "cache.h5", "--json")
    (found,) = json.loads(told.out)["recognition"]
    said = transcripts(tmp_path / "cache.h5")
    pairs = [(row["text"].split(), said[row["id"]].split()) for row in read_rows(manifest)]
    wanted = sum(edits(tuple(one), tuple(other)) for one, other in pairs)
    assert found["model"] == MODEL
    assert found["wer"] == pytest.approx(wanted / sum(len(one) for one, _ in pairs))
    shown = amber("corpus", tmp_path / "cache.h5")
    assert "Speech recognition" in shown.out
    assert f"{found['wer']:.1%}" in shown.out


def test_a_cache_without_transcripts_shows_no_such_table(demo_cache: Path) -> None:
    assert "Speech recognition" not in amber("corpus", demo_cache).out
