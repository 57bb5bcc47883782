"""`amber import` on what can't be used: one line, exit 2, little memory, nothing left behind."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.commands import amber
from tests.made_corpora import assert_refused, files_under, write_table

IDS = ["a", "b"]
GOOD = np.ones((2, 3), "f4")


@pytest.fixture
def little_memory() -> Iterator[None]:
    """What Python and NumPy hold at once stays far below what the file claims."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def refuse(folder: Path, features: str, match: str, *options: object) -> None:
    """The command refuses, and leaves all files as they are."""
    manifest = write_table(folder / "manifest.csv", [{"id": "a"}, {"id": "b"}])
    before = files_under(folder)
    given = ("--features", features) if features else ()
    finished = amber("import", "--root", manifest, *given, *options, cwd=folder)
    assert_refused(finished, match)
    assert files_under(folder) == before
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    ("features", "options", "match"),
    [
        ("", (), r"--features MODALITY=PATH: names no features yet; for example"),
        ("face", (), r"--features: 'face' is not of the form NAME=VALUE"),
        ("fusion=f.npz", (), r"fusion is the head that joins all modalities; give .* another"),
        ("a.b=f.npz", (), r"--features a\.b=\.\.\.: a modality's name is of letters, digits"),
        ("a/b=f.npz", (), r"a modality's name is of letters"),
        ("face one=f.npz", (), r"a modality's name is of letters"),
        ("face=f.npz", ("--features", "face=g.npz"), r"--features: one name is given twice"),
        ("face=f.npz", ("--encoder", "voice=x"), r"--encoder voice=.*no effect without --features"),
        ("face=f.npz", ("--encoder", "face=.x"), r"'\.x' can't name an entry of a cache"),
        ("face=f.npz", ("--corpus", "radio"), r"--corpus radio: no such corpus"),
        ("face=none.npz", (), r"none\.npz: no such file; wanted features as \.npz, \.npy, \.csv"),
        ("face=folder.npz", (), r"folder\.npz: is no regular file; wanted features as"),
        ("face=manifest.csv", (), r"manifest\.csv: has no features"),
        ("face=f.mat", (), r"f\.mat: must be one of \.npz, \.npy, \.csv, \.parquet"),
    ],
)
def test_options_that_cant_be(
    tmp_path: Path, features: str, options: tuple[str, ...], match: str
) -> None:
    np.savez(tmp_path / "f.npz", ids=np.array(IDS), vectors=GOOD)
    (tmp_path / "f.mat").write_bytes(b"MATLAB")
    (tmp_path / "folder.npz").mkdir()
    refuse(tmp_path, features, match, *options)


def npz(**arrays: object) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)  # type: ignore[arg-type]


NPZ = {
    "frames": (
        npz(ids=np.array(IDS), vectors=np.ones((2, 5, 3))),
        r"vectors have shape \(2, 5, 3\), wanted \(ids, features\); pool over time first",
    ),
    "flat": (npz(ids=np.array(IDS), vectors=np.ones(2)), r"have shape \(2,\), wanted \(ids, feat"),
    "single": (npz(ids=np.array(IDS), vectors=np.ones(())), r"vectors have shape \(\)"),
    "text": (npz(ids=np.array(IDS), vectors=np.array([["x"], ["y"]])), r"are <U1, wanted numbers"),
    "truth": (npz(ids=np.array(IDS), vectors=np.ones((2, 2), bool)), r"'vectors': holds bool; wan"),
    "complex": (npz(ids=np.array(IDS), vectors=np.ones((2, 2), "c8")), r"holds complex64; wanted"),
    "more ids": (npz(ids=np.array([*IDS, "c"]), vectors=GOOD), r"has 3 ids for 2 vectors"),
    "twice": (
        npz(ids=np.array(["a", "a"]), vectors=GOOD),
        r"row 2: the id 'a' stands in row 1 already; ids must be unique",
    ),
    "no name": (npz(ids=np.array(["a", ""]), vectors=GOOD), r"row 2: the id is empty"),
    "ids of floats": (npz(ids=np.array([1.0, 2.0]), vectors=GOOD), r"ids: has shape \(2,\) of flo"),
    "ids in rows": (npz(ids=np.array([IDS]), vectors=GOOD), r"ids: has shape \(1, 2\) of <U1; wan"),
    "no ids": (npz(vectors=GOOD), r"holds 'vectors'; wanted ids and vectors alone"),
    "both": (npz(id=np.array(IDS), ids=np.array(IDS), vectors=GOOD), r"wanted ids and vectors alo"),
    "other names": (npz(ids=np.array(IDS), features=GOOD), r"'ids' has shape .*; without arrays i"),
    "frames by id": (npz(a=np.ones((4, 3)), b=np.ones((5, 3))), r"'a' has shape .* pool over time"),
    "unlike": (npz(a=np.ones(3), b=np.ones(4)), r"'b' has 4 features, those before it have 3"),
    "nobody": (npz(x=np.ones(3), y=np.ones(3)), r"none of its 2 ids .*'x', 'y', and .*'a', 'b'"),
    "empty": (npz(), r"has no rows"),
    "no features": (npz(ids=np.array(IDS), vectors=np.ones((2, 0))), r"has no features"),
    "no rows": (npz(ids=np.array([], "U3"), vectors=np.ones((0, 4))), r"has no rows"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", NPZ)
def test_archives_that_are_not_what_is_wanted(tmp_path: Path, case: str) -> None:
    make, match = NPZ[case]
    make(tmp_path / "f.npz")
    refuse(tmp_path, "face=f.npz", r"f\.npz.*" + match)


class Hostile:
    """An object whose unpickling makes a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(self.place), "w"))


@pytest.mark.parametrize("name", ["f.npz", "f.npy"])
def test_objects_are_never_unpickled(tmp_path: Path, name: str) -> None:
    planted = tmp_path / "planted"
    hostile = np.array([Hostile(planted)] * 2, object)
    np.savez(tmp_path / "f.npz", ids=np.array(IDS), vectors=hostile)
    np.save(tmp_path / "f.npy", hostile, allow_pickle=True)
    (tmp_path / "f.ids.txt").write_text("a\nb\n")
    refuse(tmp_path, f"face={name}", r"holds Python objects, which are never unpickled")
    assert not planted.exists()


def header(shape: str, dtype: str = "<f4", *, body: bytes = b"") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (header("(1000000000, 1000)"), r"claims the shape .*, 4000000000000 bytes, but 0 follow"),
        (header("(1" + "0" * 40 + ", 3)"), r"but 0 follow"),
        (header("(-2, -3)", body=bytes(24)), r"claims the shape \(-2, -3\)"),
        (header("(2, 3)", body=bytes(23)), r"24 bytes, but 23 follow"),
        (header("(2, 3)", body=bytes(25)), r"24 bytes, but 25 follow"),
        (header("(9000000000000,)", "<U0"), r"holds <U0"),
        (header("(2, 3)", "|O", body=bytes(48)), r"holds Python objects"),
        (header("[2, 3]", body=bytes(24)), r"is no NumPy array, or is damaged"),
        (header("(" * 5000 + ")" * 5000), r"is no NumPy array, or is damaged"),
        (b"\x93NUMPY\x03\x00" + bytes(8), r"an array of a kind that amber does not read"),
        (b"\x93NUMPY\x01\x00", r"is no NumPy array, or is damaged"),
        (b"", r"is no NumPy array, or is damaged"),
        (b"PK\x03\x04 not", r"is no NumPy array, or is damaged"),
    ],
)
def test_arrays_that_claim_what_they_do_not_hold(
    tmp_path: Path, content: bytes, match: str
) -> None:
    (tmp_path / "f.npy").write_bytes(content)
    (tmp_path / "f.ids.txt").write_text("a\nb\n")
    refuse(tmp_path, "face=f.npy", r"f\.npy: .*" + match)


@pytest.mark.parametrize(
    ("beside", "match"),
    [
        ({}, r"ids of its rows stand beside it, in f\.ids\.txt .*f\.ids\.npy; there is neither"),
        ({"f.ids.txt": b"a\nb\n", "f.ids.npy": b""}, r"; there are both"),
        ({"f.ids.txt": b"a\n"}, r"has 1 ids for 2 vectors"),
        ({"f.ids.txt": b"a\nb\n\n"}, r"has 3 ids for 2 vectors"),
        ({"f.ids.txt": b"a\n\xff\n"}, r"f\.ids\.txt: is no text in UTF-8"),
        ({"f.ids.npy": b"junk"}, r"f\.ids\.npy: is no NumPy array"),
    ],
)
def test_ids_beside_an_array(tmp_path: Path, beside: dict[str, bytes], match: str) -> None:
    np.save(tmp_path / "f.npy", GOOD)
    for name, content in beside.items():
        (tmp_path / name).write_bytes(content)
    refuse(tmp_path, "face=f.npy", match)


def bomb(path: Path, size: int) -> None:
    """An archive of a few hundred kilobytes whose one array inflates to `size` bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("ids.npy", header("(2,)", "<U1", body="ab".encode("utf-32-le")))
        with archive.open("vectors.npy", "w", force_zip64=True) as member:
            member.write(header(f"(2, {size // 8})"))
            for _ in range(size // 1_000_000):
                member.write(bytes(1_000_000))


@pytest.mark.usefixtures("little_memory")
def test_a_zip_bomb_is_not_inflated(tmp_path: Path) -> None:
    bomb(tmp_path / "f.npz", 150_000_000)
    match = r"f\.npz: claims 150\d{6} bytes of content, more than its \d{6} bytes should"
    refuse(tmp_path, "face=f.npz", match)


@pytest.mark.usefixtures("little_memory")
def test_a_zip_that_lies_about_its_size_is_not_inflated(tmp_path: Path) -> None:
    bomb(tmp_path / "f.npz", 150_000_000)
    content = bytearray((tmp_path / "f.npz").read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 1000)  # the size that the listing states
    (tmp_path / "f.npz").write_bytes(content)
    refuse(tmp_path, "face=f.npz", r"f\.npz.*(but \d+ follow|is damaged|claims)")


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_an_archive_that_is_cut_off(tmp_path: Path, kept: float) -> None:
    np.savez(tmp_path / "f.npz", ids=np.array(IDS), vectors=GOOD)
    content = (tmp_path / "f.npz").read_bytes()
    (tmp_path / "f.npz").write_bytes(content[: int(kept * len(content))])
    refuse(tmp_path, "face=f.npz", r"f\.npz: is no NumPy archive, or is damaged: ")


def test_a_flipped_byte_in_an_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", ids=np.array(IDS), vectors=GOOD)
    content = bytearray((tmp_path / "f.npz").read_bytes())
    content[content.index(GOOD.tobytes()) + 2] ^= 1
    (tmp_path / "f.npz").write_bytes(content)
    refuse(tmp_path, "face=f.npz", r"f\.npz: is no NumPy archive, or is damaged: .*CRC")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"needs a column id, parted by commas; it has none"),
        (b"name,x\na,1\n", r"needs a column id, parted by commas; it has name, x"),
        (b"id;x\na;1\n", r"it has id;x"),
        (b"id,x,X\na,1,2\n", r"line 1: the column 'x' stands twice"),
        (b"id,x,y\na,1,2\nb,1,oh\n", r"line 3: y is 'oh'; every column but id must hold numbers"),
        (b"id,x,y\na,1_0,2\n", r"line 2: x is '1_0'; every column but id must hold numbers"),
        (b"id,x\na,1\nb,1,2\n", r"line 3: 3 cells, but 2 columns"),
        (b"id,x\na,1\na,2\n", r"row 2: the id 'a' stands in row 1 already"),
        (b"id,x\n,1\n", r"row 1: the id is empty"),
        (b"id,x\n", r"has no rows"),
        (b"id\na\n", r"has no features"),
        (b"id,x\nc,1\n", r"none of its 1 ids is an utterance's: it has 'c', and the corpus 'a'"),
        (b"id,x\n\xff,1\n", r"is no text in UTF-8"),
        (b'id,x\n"a,1\n', r"line 2: is no CSV"),
    ],
)
def test_tables_that_cant_be_read(tmp_path: Path, content: bytes, match: str) -> None:
    (tmp_path / "f.csv").write_bytes(content)
    refuse(tmp_path, "face=f.csv", r"f\.csv.*" + match)


PARQUET = {
    "no id": (pa.table({"x": [1.0]}), r"needs a column id; it has x"),
    "text": (pa.table({"id": IDS, "x": ["1", "2"]}), r"column 'x' holds .*string.*, wanted number"),
    "truth": (pa.table({"id": IDS, "x": [True, False]}), r"column 'x' holds bool, wanted numbers"),
    "two lists": (
        pa.table({"id": IDS, "x": [[1.0], [2.0]], "y": [1, 2]}),
        r"column 'x' holds lists, wanted numbers; lists .* must stand in one column",
    ),
    "unlike": (pa.table({"id": IDS, "x": [[1.0], [2.0, 3]]}), r"lists .* have 1 to 2 features"),
    "frames": (
        pa.table({"id": IDS, "x": [[[1.0]], [[2.0]]]}),
        r"lists of .*: pool over time first",
    ),
    "words": (pa.table({"id": IDS, "x": [["a"], ["b"]]}), r"column 'x' holds lists of .*string"),
    "twice": (pa.table({"id": ["a", "a"], "x": [1, 2]}), r"row 2: the id 'a' stands in row 1"),
    "null id": (pa.table({"id": ["a", None], "x": [1, 2]}), r"row 2: the id is empty"),
    "ids in lists": (pa.table({"id": [["a"]], "x": [1]}), r"the column 'id' holds list"),
    "no rows": (pa.table({"id": pa.array([], "string"), "x": pa.array([], "f8")}), r"has no rows"),
    "no features": (pa.table({"id": IDS}), r"has no features"),
}


@pytest.mark.parametrize("case", PARQUET)
def test_parquet_that_is_not_what_is_wanted(tmp_path: Path, case: str) -> None:
    table, match = PARQUET[case]
    pq.write_table(table, tmp_path / "f.parquet")
    refuse(tmp_path, "face=f.parquet", r"f\.parquet.*" + match)


def test_parquet_that_is_damaged(tmp_path: Path) -> None:
    for content in (b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"):
        (tmp_path / "f.parquet").write_bytes(content)
        refuse(tmp_path, "face=f.parquet", r"f\.parquet: is no Parquet file, or is damaged: ")


def test_parquet_of_a_few_bytes_and_a_billion_values(tmp_path: Path) -> None:
    num = 20_000_000
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(num, "i1")), pa.array([1.0]))
    pq.write_table(pa.table({"id": column, "x": column}), tmp_path / "f.parquet")
    assert (tmp_path / "f.parquet").stat().st_size < 500_000
    refuse(tmp_path, "face=f.parquet", r"f\.parquet: claims 320000000 bytes of content, more than")


def test_parquet_of_one_long_text_in_every_row(tmp_path: Path) -> None:
    words = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(100_000, "i4")), pa.array(["x" * 100_000])
    )
    pq.write_table(pa.table({"id": words, "x": np.zeros(100_000)}), tmp_path / "f.parquet")
    refuse(tmp_path, "face=f.parquet", r"f\.parquet: claims 10000000000 bytes of content, more th")


def test_without_pyarrow_it_says_how_to_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    match = r'Parquet is read by pyarrow, which is missing: pip install "amber-ser\[parquet\]"'
    refuse(tmp_path, "face=f.parquet", match)
    options = ("--corpus", "manifest", "--root", tmp_path / "f.parquet")
    assert_refused(amber("extract", *options, cwd=tmp_path), match)


def test_another_corpus_in_the_cache_is_refused(tmp_path: Path, demo_cache: Path) -> None:
    np.savez(tmp_path / "f.npz", ids=np.array(IDS), vectors=GOOD)
    before = demo_cache.read_bytes()
    match = r"holds the corpus 'demo'; .* name another file with --cache"
    refuse(tmp_path, "face=f.npz", match, "--cache", demo_cache)
    assert demo_cache.read_bytes() == before


def test_a_damaged_cache_is_left_as_it_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", ids=np.array(IDS), vectors=GOOD)
    (tmp_path / "c.h5").write_bytes(b"junk")
    refuse(tmp_path, "face=f.npz", r"is not an HDF5 file", "--cache", tmp_path / "c.h5")


def test_an_import_without_root_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(2))
    (tmp_path / "f.npz").write_bytes(buffer.getvalue())
    finished = amber("import", "--features", "face=f.npz", cwd=tmp_path)
    assert_refused(finished, r"--corpus manifest needs --root with the manifest's file")
