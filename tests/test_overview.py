"""An overview's counts, worked by hand; its figures' matrix; and what it does not import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from amber_cache.look import look
from amber_cache.records import Utterance
from amber_heads.configuration.options import OverviewConfig
from amber_heads.overviews.overview import Overview, make_overview
from amber_heads.overviews.tables import overview_tables
from amber_heads.plots import MOST_LABELS, confusion_matrix
from tests.commands import ROOT
from tests.made_corpora import voice, write_audio, write_table
from tests.reference_cache import utterance
from tests.small_caches import small_cache


def seen(folder: Path, made: list[Utterance], **settings: str) -> Overview:
    cache = small_cache(folder / "cache.h5", made)
    return make_overview(look(cache), OverviewConfig(**settings))  # type: ignore[arg-type]


PEOPLE = [
    utterance("a", "sad", "sad", speaker="s1", session="1", gender="female", text="so"),
    utterance("b", "sad", "happy", speaker="s1", session="1", gender="female"),
    utterance("c", "happy", "happy", speaker="s2", session="2", gender="", text=" "),
    utterance("d", "angry", speaker="", session="2", gender="male", text="it", consensus="angry"),
]


def test_groups_parts_and_what_is_missing(tmp_path: Path) -> None:
    found = seen(tmp_path, PEOPLE)
    groups = {one.column: one for one in found.groups}
    speaker = groups["speaker"]
    assert (speaker.different, speaker.without) == (2, 1)
    assert (speaker.least, speaker.median, speaker.most) == (1, 1.5, 2)
    assert (groups["dialogue"].different, groups["dialogue"].without) == (0, 4)
    parts = [(one.column, one.value, one.utterances) for one in found.parts]
    assert parts == [("gender", "female", 2), ("gender", "male", 1), ("gender", "", 1)]
    missing = {one.what: (one.utterances, one.first) for one in found.missing}
    assert missing["transcript"] == (2, ("b", "c"))
    assert missing["speaker"] == (1, ("d",))
    assert missing["consensus"] == (3, ("a", "b", "c"))
    assert missing["votes"] == (0, ())
    assert missing["length"] == (4, ("a", "b", "c", "d"))
    assert (found.whole.hours, found.whole.without_duration) == (None, 4)
    titles = [table.title for table in overview_tables(found)]
    assert titles[1] == "Groups"
    groups_table = overview_tables(found)[1]
    assert [row[0] for row in groups_table.rows] == ["speaker", "session"]  # not the unknown


def test_hours_are_of_those_whose_length_is_known(tmp_path: Path) -> None:
    write_audio(tmp_path / "one.wav", voice(16_000))
    rows = [
        {"id": "a", "audio": "one.wav", "language": "en"},
        {"id": "b", "audio": "none.wav", "language": "en"},
        {"id": "c", "audio": "none.wav", "language": "fr"},
    ]
    manifest = write_table(tmp_path / "manifest.csv", rows)
    found = make_overview(look(manifest), OverviewConfig())
    assert found.whole.hours == pytest.approx(1 / 3600)
    by_language = {one.value: (one.hours, one.without_duration) for one in found.parts}
    assert by_language == {"en": (pytest.approx(1 / 3600), 1), "fr": (None, 1)}


def test_a_row_of_the_matrix_is_what_another_rater_says(tmp_path: Path) -> None:
    labels, matrix = confusion_matrix(seen(tmp_path, PEOPLE[:3]))
    assert labels == ["happy", "sad"]
    # Three values of each: sad with sad twice, happy with happy twice, one of each once.
    np.testing.assert_allclose(matrix, [[2 / 3, 1 / 3], [1 / 3, 2 / 3]])


def test_the_matrix_has_the_labels_of_most_values(tmp_path: Path) -> None:
    made = [
        utterance(f"u{n:02d}", *([f"label{n:02d}"] * (2 + n)), f"label{(n + 1) % 30:02d}")
        for n in range(30)
    ]
    labels, matrix = confusion_matrix(seen(tmp_path, made))
    assert len(labels) == MOST_LABELS
    assert labels[0] == "label29"
    sums = matrix.sum(axis=1)
    assert (sums <= 1 + 1e-12).all()
    assert (sums > 1 - 1e-12).sum() >= 10  # those whose neighbours are there too


def test_it_is_plain_json(tmp_path: Path) -> None:
    told = seen(tmp_path, PEOPLE).as_json()
    assert json.loads(json.dumps(told))["whole"]["utterances"] == 4  # nothing of NumPy in it


def test_no_figure_no_matplotlib_and_never_torch() -> None:
    code = "import amber_cache.look, amber_heads.overviews.tables, sys; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    assert not set(done.stdout.split()) & {"matplotlib", "torch", "transformers", "scipy"}
