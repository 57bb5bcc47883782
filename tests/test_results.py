"""Run directories: their bytes, their name, and that one that stands is whole."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.numpy import load

from amber_cache.errors import RunError
from amber_cache.store import text_array
from amber_heads.results import (
    Stacked,
    config_hash,
    csv_bytes,
    json_bytes,
    make_config,
    model_bytes,
    predictions_bytes,
    read_config,
    read_json,
    stored_summary,
    without_nan,
    write_run,
)

SETTINGS = {"cache": "data/cache.h5", "kappa": 4.0, "seeds": "0,1,"}
CONFIG = make_config("fit", SETTINGS, fingerprint="f" * 64, version="0.1.0")
SUMMARY = json_bytes({"format": "amber-run", "format_version": 1, "figures": 1})


def _write(folder: Path, **more: bytes) -> None:
    write_run(folder, CONFIG, {"summary.json": SUMMARY, **more})


def _names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_json_holds_null_where_a_number_is_none() -> None:
    content = {"a": math.nan, "b": [math.inf, (1.5, -math.inf)], "c": {"d": float("nan")}, "e": 0}
    wanted = {"a": None, "b": [None, [1.5, None]], "c": {"d": None}, "e": 0}
    assert without_nan(content) == wanted
    assert json.loads(json_bytes(content)) == wanted


def test_csv_has_a_header_ten_digits_and_empty_cells_where_there_is_nothing() -> None:
    rows = [
        {"run": "a", "kappa": 4.0, "js": 1 / 3, "std": math.nan, "student": None, "n": 7},
        {"run": 'b,"c', "kappa": 1e-5, "js": 0.1 + 0.2, "std": 0.0, "student": "x", "n": 0},
    ]
    text = csv_bytes(rows).decode()
    assert text.splitlines()[1] == "a,4,0.3333333333,,,7"
    read = list(csv.DictReader(io.StringIO(text)))
    assert read[1] == {
        "run": 'b,"c',
        "kappa": "1e-05",
        "js": "0.3",
        "std": "0",
        "student": "x",
        "n": "0",
    }


def test_csv_of_nothing_is_empty() -> None:
    assert csv_bytes([]) == b""


def test_predictions_come_back_as_they_were(tmp_path: Path) -> None:
    arrays = {"id": text_array(["a", "ü"]), "test": np.array([[0.1, np.nan]])}
    attributes = {"classes": ["neutral", "sad|x"], "seeds": (0, 2**63 - 1)}
    (tmp_path / "p.h5").write_bytes(predictions_bytes(arrays, attributes))
    with h5py.File(tmp_path / "p.h5") as file:
        assert list(file["id"].asstr()[:]) == ["a", "ü"]
        np.testing.assert_array_equal(file["test"][:], arrays["test"])
        assert list(file.attrs["classes"]) == ["neutral", "sad|x"]
        assert list(file.attrs["seeds"]) == [0, 2**63 - 1]


def test_the_same_predictions_are_the_same_bytes() -> None:
    arrays, attributes = {"test": np.zeros((2, 3))}, {"seeds": [0]}
    assert predictions_bytes(arrays, attributes) == predictions_bytes(arrays, attributes)


def test_weights_come_back_as_they_were() -> None:
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3).T, "b": np.zeros(0)}
    read = load(model_bytes(tensors))
    assert set(read) == set(tensors)
    np.testing.assert_array_equal(read["a"], tensors["a"])


def test_the_hash_follows_settings_command_and_data_and_not_the_caches_place() -> None:
    first = config_hash("fit", SETTINGS, "data")
    assert config_hash("fit", {**SETTINGS, "cache": "elsewhere.h5"}, "data") == first
    assert config_hash("fit", dict(reversed(SETTINGS.items())), "data") == first
    assert config_hash("fit", {**SETTINGS, "kappa": 2.0}, "data") != first
    assert config_hash("grid", SETTINGS, "data") != first
    assert config_hash("fit", SETTINGS, "other") != first


def test_a_written_run_is_found_again(tmp_path: Path) -> None:
    _write(tmp_path / "deep" / "run", **{"table.csv": b"x"})
    assert _names(tmp_path / "deep" / "run") == ["config.json", "summary.json", "table.csv"]
    assert _names(tmp_path / "deep") == ["run"]
    stored = stored_summary(tmp_path / "deep" / "run", CONFIG, overwrite=False)
    assert stored is not None
    assert stored["figures"] == 1


def test_a_run_is_replaced_whole(tmp_path: Path) -> None:
    _write(tmp_path / "run", **{"grid.csv": b"former"})
    _write(tmp_path / "run", **{"table.csv": b"x"})
    assert _names(tmp_path / "run") == ["config.json", "summary.json", "table.csv"]
    assert _names(tmp_path) == ["run"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_empty_or_missing_folder_is_free(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing", "missing/deeper"):
        assert stored_summary(tmp_path / name, CONFIG, overwrite=overwrite) is None
    assert _names(tmp_path) == ["empty"]


def test_overwriting_asks_for_training_anew(tmp_path: Path) -> None:
    _write(tmp_path / "run")
    assert stored_summary(tmp_path / "run", CONFIG, overwrite=True) is None


def test_a_failed_write_leaves_neither_folder_nor_parents(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="can't be written: File name too long; it needs 0.0 MB"):
        _write(tmp_path / "deep" / "er" / "run", **{"x" * 300: b""})
    assert _names(tmp_path) == []


def test_a_failed_write_leaves_the_former_run(tmp_path: Path) -> None:
    _write(tmp_path / "run", **{"table.csv": b"former"})
    with pytest.raises(RunError, match="Nothing has changed"):
        _write(tmp_path / "run", **{"x" * 300: b""})
    assert _names(tmp_path) == ["run"]
    assert (tmp_path / "run" / "table.csv").read_bytes() == b"former"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{", "is cut off or damaged"),
        ("[]", "is not of an amber run directory"),
        ('{"format": "other"}', "is not of an amber run directory"),
        ('{"format": "amber-run", "format_version": 2}', "was written by a newer amber"),
        ("[" * 100_000, "is cut off or damaged"),
    ],
    ids=["cut off", "list", "other format", "newer", "deep"],
)
def test_a_json_file_that_is_none_of_a_run_is_refused(
    tmp_path: Path, text: str, wanted: str
) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(RunError, match=wanted):
        read_json(tmp_path / "config.json")
    with pytest.raises(RunError, match="config.json: is missing, so that .* is no whole run"):
        read_json(tmp_path / "nothing" / "config.json")


def test_a_configuration_is_read_for_its_own_command_alone(tmp_path: Path) -> None:
    _write(tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    assert read_config(path, command="fit")["settings"] == SETTINGS
    with pytest.raises(RunError, match="is of amber fit; it runs again with `amber fit"):
        read_config(path, command="grid")


def test_predictions_are_compressed_to_the_same_bytes_each_time_and_lose_nothing() -> None:
    random = np.random.default_rng(0)
    validation = np.full((5, 2, 3, 6000, 4), np.nan, dtype=np.float32)
    for fold in range(5):
        validation[fold, :, :, fold::5] = random.dirichlet(np.ones(4), size=(2, 3, 1200))
    arrays = {"id": text_array(["a", "b"]), "validation": validation, "fold": np.arange(2)}
    first, again = (predictions_bytes(arrays, {"heads": ["js/audio"]}) for _ in range(2))
    assert first == again
    assert len(first) < validation.nbytes / 3
    with h5py.File(io.BytesIO(first), "r") as file:
        np.testing.assert_array_equal(file["validation"][()], validation)
        assert file["validation"].compression == "gzip"
        assert file["fold"].compression is None


def test_predictions_of_nobody_are_still_a_file() -> None:
    empty = predictions_bytes({"test": np.empty((2, 3, 0, 4), np.float32)}, {"heads": ["audio"]})
    with h5py.File(io.BytesIO(empty), "r") as file:
        assert file["test"].shape == (2, 3, 0, 4)


def test_stacked_arrays_are_read_as_if_they_were_one() -> None:
    parts = [np.random.default_rng(one).random((2, 5, 3), dtype=np.float32) for one in range(3)]
    written = predictions_bytes({"test": Stacked(parts)}, {})
    assert written == predictions_bytes({"test": Stacked(parts)}, {})
    with h5py.File(io.BytesIO(written), "r") as file:
        np.testing.assert_array_equal(file["test"][()], np.stack(parts, axis=1))
