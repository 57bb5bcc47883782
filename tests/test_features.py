"""Files of features: the same content in every format gives the same vectors by id."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from amber_cache.own_features.features import Features, read_features

IDS = ["b/1.wav", "a", "Grüße 你", "7"]
VALUES = np.array([[1, -2.5, 1e-30], [0.1, 3, 4], [np.nan, 0, 7], [1e300, -0.0, 2]])


def narrowed(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def by_id(features: Features) -> dict[str, np.ndarray]:
    return {name: features.vectors[row] for name, row in features.row_of.items()}


def write(path: Path, ids: list[str], values: np.ndarray) -> Path:
    """Write a file of features in the way that its name tells."""
    if path.name == "keys.npz":
        np.savez(path, **dict(zip(ids, values, strict=True)))
    elif path.suffix == ".npz":
        np.savez_compressed(path, ids=np.array(ids), vectors=values)
    elif path.name == "text.npy":
        np.save(path, np.asfortranarray(values))
        path.with_name("text.ids.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
    elif path.suffix == ".npy":
        np.save(path, values)
        np.save(path.with_name("array.ids.npy"), np.array([one.encode() for one in ids]))
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            names = [f"f{i}" for i in range(values.shape[1])]
            csv.writer(file).writerow([*names[:1], " ID ", *names[1:]])
            for one, row in zip(ids, values.tolist(), strict=True):
                csv.writer(file).writerow([repr(row[0]), one, *map(repr, row[1:])])
    else:
        columns = {f"f{i}": values[:, i] for i in range(values.shape[1])}
        lists = {"vector": pa.array(values.tolist())}
        pq.write_table(pa.table({"id": ids, **(lists if path.stem == "lists" else columns)}), path)
    return path


KINDS = (
    "keys.npz",
    "table.npz",
    "text.npy",
    "array.npy",
    "table.csv",
    "columns.parquet",
    "lists.parquet",
)


@pytest.mark.parametrize("name", KINDS)
def test_every_format_gives_the_same_vectors(tmp_path: Path, name: str) -> None:
    found = by_id(read_features(write(tmp_path / name, IDS, VALUES)))
    assert list(found) == IDS
    for identifier, wanted in zip(IDS, narrowed(VALUES), strict=True):
        np.testing.assert_array_equal(found[identifier], wanted)
        assert found[identifier].dtype == np.float32


@given(
    values=arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.integers(1, 5)),
        elements=st.floats(width=64),
    )
)
def test_any_numbers_come_out_of_all_formats_alike(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray
) -> None:
    folder = tmp_path_factory.mktemp("features")
    ids = [f"u{i}" for i in range(len(values))]
    for name in KINDS:
        found = read_features(write(folder / name, ids, values)).vectors
        np.testing.assert_array_equal(found, narrowed(values), err_msg=name)


def test_an_empty_cell_and_a_null_are_not_numbers(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("id,x,y\na,1,\n\nb,nan,2\n")
    pq.write_table(
        pa.table({"id": ["a", "b"], "x": [1, None], "y": [None, 2]}), tmp_path / "f.parquet"
    )
    rows = pa.array([[1.0, None], None], pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": ["a", "b"], "v": rows}), tmp_path / "g.parquet")
    wanted = np.array([[1, np.nan], [np.nan, 2]])
    for name in ("f.csv", "f.parquet"):
        np.testing.assert_array_equal(read_features(tmp_path / name).vectors, wanted)
    wanted[1] = np.nan
    np.testing.assert_array_equal(read_features(tmp_path / "g.parquet").vectors, wanted)


@pytest.mark.parametrize("dtype", ["f2", "f8", ">f4", "i1", "u8"])
def test_every_kind_of_number_is_taken(tmp_path: Path, dtype: str) -> None:
    np.savez(
        tmp_path / "f.npz", id=np.array([7, 8]), vectors=np.arange(6).reshape(2, 3).astype(dtype)
    )
    features = read_features(tmp_path / "f.npz")
    assert dict(features.row_of) == {"7": 0, "8": 1}
    np.testing.assert_array_equal(features.vectors, [[0, 1, 2], [3, 4, 5]])


def test_fixed_size_lists_and_large_texts_are_read(tmp_path: Path) -> None:
    rows = pa.array([[1, 2], [3, 4]], pa.list_(pa.int16(), 2))
    table = pa.table({"ID": pa.array(["a", "b"], pa.large_string()), "v": rows})
    pq.write_table(table, tmp_path / "f.parquet", row_group_size=1)
    features = read_features(tmp_path / "f.parquet")
    assert dict(features.row_of) == {"a": 0, "b": 1}
    np.testing.assert_array_equal(features.vectors, [[1, 2], [3, 4]])
