"""Files and folders are whole or not there, and what stood in their place stays until then."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from amber_cache.errors import RunError
from amber_heads.files.whole_folders import refuse_unwritable, write_file, write_folder

#: No file system takes a name of that length.
TOO_LONG = "x" * 300


def _content(folder: Path) -> dict[str, bytes]:
    return {
        one.relative_to(folder).as_posix(): one.read_bytes()
        for one in folder.rglob("*")
        if one.is_file()
    }


def test_a_file_takes_the_place_of_another_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    for data in (b"first", b"second"):
        write_file(tmp_path / "file", data)
        assert _content(tmp_path) == {"file": data}


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    write_file(tmp_path / "link", b"data")
    assert (tmp_path / "link").is_symlink()
    assert _content(tmp_path / "there") == {"file": b"data"}


def test_a_file_that_can_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / TOO_LONG, tmp_path / "missing" / "file", tmp_path / "folder"):
        with pytest.raises(OSError, match=r"too long|No such file|Is a directory"):
            write_file(place, b"data")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_a_folder_takes_the_place_of_another_with_folders_in_it(tmp_path: Path) -> None:
    write_folder(tmp_path / "new" / "out", {"former": b"1", "in/former": b"2"})
    content = {"a": b"1", "in/b": b"2", "in/deep/c": b""}
    write_folder(tmp_path / "new" / "out", content)
    assert _content(tmp_path) == {f"new/out/{name}": data for name, data in content.items()}


def test_a_folder_that_can_not_be_written_changes_nothing(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", {"former": b"1"})
    for place in (tmp_path / "out", tmp_path / "new" / "deep"):
        with pytest.raises(RunError, match="too long; it needs 2.0 MB. Nothing has changed"):
            write_folder(place, {"a": b"0" * 2_000_000, TOO_LONG: b""})
    assert _content(tmp_path) == {"out/former": b"1"}
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_the_working_folder_and_what_is_above_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    with contextlib.chdir(tmp_path / "here"):
        for place in (Path(), Path(".."), tmp_path):
            with pytest.raises(RunError, match="is the working folder or above it"):
                refuse_unwritable(place)
        refuse_unwritable(Path("new/deep"))


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file is no folder that can be written to"):
        refuse_unwritable(tmp_path / "file" / "out")
