"""Caches whose transcripts nobody should read without care; see hostile_files.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from amber_cache.store import DONE, Transcripts, open_cache, text_array, write_cache
from tests.hostile_kinds import Hostile
from tests.small_caches import small_cache

_NUMBER = 40
_MODEL = "transcripts/asr"
_TEXT, _STATUS, _ERROR = (f"{_MODEL}/{name}" for name in ("text", "status", "error"))
_KIND = h5py.string_dtype()

_CHANGES: dict[str, Callable[[h5py.File], None]] = {}


def hostile_transcripts() -> list[Hostile]:
    """All of them: training reads no transcripts, and verifying and sharing a cache do."""
    return [
        Hostile("heard", f"heard-{name}", _changed(make)) for name, make in sorted(_CHANGES.items())
    ]


def _change(make: Callable[[h5py.File], None]) -> Callable[[h5py.File], None]:
    _CHANGES[make.__name__.strip("_").replace("_", "-")] = make
    return make


def _changed(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        with h5py.File(_heard_cache(folder / "cache.h5"), "a") as file:
            del file.attrs["checksums"]  # who changes a file so lists nothing
            change(file)

    return make


def _heard_cache(path: Path) -> Path:
    """A sound cache with one model's transcripts."""
    with open_cache(small_cache(path)) as cache:
        content = cache.content()
    heard = Transcripts(
        name="asr",
        text=text_array([f"heard {row}" for row in range(_NUMBER)]),
        status=np.full(_NUMBER, DONE, np.uint8),
        error=text_array([""] * _NUMBER),
        attrs={"model": "asr"},
    )
    write_cache(path, replace(content, transcripts=(heard,)))
    return path


def _instead(file: h5py.File, name: str, *given: object, **named: object) -> None:
    del file[name]
    file.create_dataset(name, *given, **named)


@_change
def _without_text(file: h5py.File) -> None:
    del file[_TEXT]


@_change
def _nothing_in_it(file: h5py.File) -> None:
    del file[_MODEL]
    file.create_group(_MODEL)


@_change
def _too_few_rows(file: h5py.File) -> None:
    _instead(file, _STATUS, data=np.ones(3, np.uint8))


@_change
def _status_out_of_range(file: h5py.File) -> None:
    file[_STATUS][:] = 7


@_change
def _failed_and_yet_text(file: h5py.File) -> None:
    file[_STATUS][:] = 2


@_change
def _a_trillion_texts(file: h5py.File) -> None:
    _instead(file, _TEXT, (1 << 40,), _KIND, chunks=(64,))


@_change
def _text_of_its_own_for_nothing(file: h5py.File) -> None:
    _instead(file, _TEXT, (_NUMBER,), _KIND, chunks=(8,), fillvalue="x" * (1 << 20))


@_change
def _not_utf8(file: h5py.File) -> None:
    _instead(file, _TEXT, data=[b"\xff\xfe"] * _NUMBER, dtype=_KIND)


@_change
def _numbers_for_text(file: h5py.File) -> None:
    _instead(file, _ERROR, data=np.arange(_NUMBER))


@_change
def _a_dataset_for_all(file: h5py.File) -> None:
    _instead(file, "transcripts", data=np.zeros(3))


@_change
def _a_dataset_for_a_model(file: h5py.File) -> None:
    _instead(file, _MODEL, data=np.zeros(3))


@_change
def _external_link(file: h5py.File) -> None:
    del file[_MODEL]
    file[_MODEL] = h5py.ExternalLink("/etc/passwd", "/transcripts")


@_change
def _one_model_many_names(file: h5py.File) -> None:
    for number in range(300):
        file[f"transcripts/m{number}"] = file[_MODEL]


@_change
def _within_itself(file: h5py.File) -> None:
    file["transcripts/loop"] = file["/"]


@_change
def _a_name_with_escapes(file: h5py.File) -> None:
    file.move(_MODEL, "transcripts/\x1b[2Jasr\n")


@_change
def _a_compound_attribute(file: h5py.File) -> None:
    file[_MODEL].attrs["model"] = np.zeros(1, [("a", "i8")])
