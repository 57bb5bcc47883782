"""What is shown of conflict and ambiguity, on predictions worked out by hand."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from amber_cache.errors import RunError
from amber_heads.ambiguity import (
    Predictions,
    ambiguity_tables,
    conflict_table,
    modality_conflict,
    read_predictions,
)
from tests.commands import amber
from tests.small_caches import small_cache

FAST = ("--epochs", 2, "--hidden", 4, "--seeds", 2, "--num-folds", 3, "--quiet")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ambiguity")
    small_cache(place / "data" / "cache.h5", corpus="demo")
    for name, loss in (("amber2", "amber2"), ("alone", "cb-ce")):
        assert amber("fit", *FAST, "--loss", loss, "--out", name, cwd=place).status == 0
    return place


def _predictions(*heads: tuple[str, list[list[float]]]) -> Predictions:
    mean = np.array([rows for _, rows in heads])
    number = mean.shape[1]
    return Predictions(
        ids=np.array([f"u{i}" for i in range(number)], dtype=object),
        classes=("neutral", "sad"),
        heads=tuple(name for name, _ in heads),
        target=np.tile([0.5, 0.5], (number, 1)),
        mean=mean,
        floor=np.tile([0.5, 0.5], (number, 1)),
    )


def test_conflict_is_the_divergence_between_modality_heads_and_leaves_fusion_out() -> None:
    found = modality_conflict(
        _predictions(
            ("audio", [[1, 0], [0.3, 0.7]]),
            ("text", [[0, 1], [0.3, 0.7]]),
            ("fusion", [[1, 0]] * 2),
        )
    )
    np.testing.assert_allclose(found, [1, 0], atol=1e-12)


def test_conflict_of_three_modalities_is_the_mean_over_pairs() -> None:
    rows = {"audio": [0.9, 0.1], "text": [0.2, 0.8], "face": [0.5, 0.5]}
    found = modality_conflict(_predictions(*((name, [row]) for name, row in rows.items())))
    pairs = [("audio", "text"), ("audio", "face"), ("text", "face")]
    wanted = np.mean([jensenshannon(rows[a], rows[b], base=2) ** 2 for a, b in pairs])
    assert found[0] == pytest.approx(wanted, abs=1e-9)


def test_one_modality_has_no_conflict() -> None:
    np.testing.assert_array_equal(modality_conflict(_predictions(("audio", [[1, 0]]))), [0])


def test_thirds_go_from_agreement_to_disagreement() -> None:
    run = _predictions(("fusion", [[0.5, 0.5], [1, 0], [0.5, 0.5], [1, 0], [0, 1], [1, 0]]))
    conflict = np.array([0.1, 0.9, 0.2, 0.5, 0.4, 0.8])
    table = conflict_table(run, conflict, np.ones(6))
    assert [row[:3] for row in table.rows] == [
        ("agree third", "2", "0.150"),
        ("between third", "2", "0.450"),
        ("disagree third", "2", "0.850"),
    ]
    js = jensenshannon([0.5, 0.5], [1, 0], base=2) ** 2
    assert [row[4] for row in table.rows] == ["0.000", f"{js:.3f}", f"{js:.3f}"]


def test_a_part_without_utterances_is_left_out() -> None:
    table = conflict_table(_predictions(("fusion", [[1, 0]])), np.zeros(1), np.zeros(1))
    assert len(table.rows) == 1


def test_predictions_are_read_as_the_mean_over_seeds_with_their_folds_floor(place: Path) -> None:
    read = read_predictions(place / "amber2")
    with h5py.File(place / "amber2" / "predictions.h5") as file:
        np.testing.assert_allclose(read.mean, file["test"][:].mean(axis=0))
        fold, target = file["fold"][:], file["target"][:]
        validated = ~np.isnan(file["validation"][:, 0, 0, :, 0])
    for number in range(3):
        train = (fold != number) & ~validated[number]
        floor = read.floor[fold == number]
        np.testing.assert_allclose(floor, np.tile(target[train].mean(axis=0), (len(floor), 1)))


def test_the_most_ambiguous_utterances_are_shown_with_all_heads_as_bars(place: Path) -> None:
    cache = place / "data" / "cache.h5"
    first, *shown = ambiguity_tables(place / "amber2", alone=place / "alone", cache=cache, number=3)
    assert len(shown) == 3
    read = read_predictions(place / "amber2")
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -np.nansum(read.target * np.log2(read.target), axis=1)
    for table in shown:
        (i,) = [i for i, name in enumerate(read.ids) if f" {name}: " in f" {table.title}"]
        assert bits[i] >= np.sort(bits)[-3] - 1e-9
        assert [row[0] for row in table.rows] == ["raters", "audio", "text", "fusion"]
        for share, cell in zip(read.target[i], table.rows[0][1:], strict=True):
            bar, number = cell.split()
            assert number == f"{share:.2f}"
            assert (bar.count("█"), len(bar)) == (round(10 * share), 10)
        assert f"'text {int(read.ids[i][1:])}'" in table.title
    assert first.columns[-1] == "JS of the training mean ↓"


def test_every_table_of_the_demo_corpus_is_headed_as_synthetic(place: Path) -> None:
    cache = place / "data" / "cache.h5"
    for table in ambiguity_tables(place / "amber2", alone=place / "alone", cache=cache):
        assert table.title.startswith("SYNTHETIC DEMO: ")


def test_runs_on_other_classes_are_refused(place: Path, tmp_path: Path) -> None:
    merged = ("--classes", "neutral,happy+angry+sad", "--out", tmp_path / "merged")
    assert amber("fit", *FAST, *merged, cwd=place).status == 0
    with pytest.raises(RunError, match="are runs on different utterances or classes"):
        ambiguity_tables(
            place / "amber2", alone=tmp_path / "merged", cache=place / "data" / "cache.h5"
        )


def test_predictions_that_are_missing_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="predictions.h5: can't be read"):
        read_predictions(tmp_path)


def test_utterances_that_no_fold_tests_are_left_out(place: Path, tmp_path: Path) -> None:
    whole = read_predictions(place / "amber2")
    target = tmp_path / "predictions.h5"
    target.write_bytes((place / "amber2" / "predictions.h5").read_bytes())
    with h5py.File(target, "r+") as file:
        file["fold"][0] = -1
        file["test"][:, :, 0] = np.nan
    read = read_predictions(tmp_path)
    assert list(read.ids) == list(whole.ids[1:])
    assert np.isfinite(read.mean).all()
    assert np.isfinite(modality_conflict(read)).all()
