"""Caches and predictions.h5 that nobody should open without care; see hostile_files.py."""

from __future__ import annotations

import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from tests.hostile_kinds import WEIRD_FILES, Hostile
from tests.small_caches import small_cache

VECTORS, STATUS = "embeddings/audio/mel/vectors", "embeddings/audio/mel/status"
TEXT = "utterances/text"
NUMBER, WIDTH = 40, 6
MEGABYTE = 1 << 20

Change = Callable[[h5py.File, Path], None]

_CHANGES: dict[str, Change] = {}
_CODE = "import os; os.mkdir('code-was-run')"


def _change(make: Change) -> Change:
    _CHANGES[make.__name__.strip("_").replace("_", "-")] = make
    return make


def hostile_caches() -> list[Hostile]:
    """All of them: a sound cache that was changed, or a file that never was one."""
    changed = [Hostile("cache", name, _changed(make)) for name, make in _CHANGES.items()]
    texts = [
        Hostile("cache", "text-bomb-whole", _text_bomb({})),
        Hostile("cache", "text-bomb-in-chunks", _text_bomb({"chunks": (8,)})),
        Hostile("cache", "text-bomb-in-gzip", _text_bomb({"chunks": (4000,), "compression": 1})),
        Hostile("cache", "attribute-bomb", _attribute_bomb),
    ]
    bytes_ = [
        Hostile("cache", name, _bytes(make))
        for name, make in {
            "cut-in-half": lambda data: data[: len(data) // 2],
            "only-a-signature": lambda data: data[:8],
            "a-signature-and-noise": lambda data: data[:8] + np.random.default_rng(0).bytes(4096),
            "behind-a-user-block": lambda data: bytes(512) + data,
            "a-pickle": lambda data: pickle.dumps(_Runs()),
            "a-zip": lambda data: b"PK\x03\x04" + bytes(64),
        }.items()
    ]
    weird = [
        Hostile("cache", name, lambda folder, make=make: make(folder / "cache.h5"))
        for name, make in WEIRD_FILES.items()
    ]
    return [*changed, *texts, *bytes_, *weird]


class _Runs:
    """What would run code where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return exec, (_CODE,)


def _changed(change: Change) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        path = small_cache(folder / "cache.h5")
        with h5py.File(path, "a") as file:
            if "checksums" in file.attrs:  # as another script writes it: nothing is listed
                del file.attrs["checksums"]
            change(file, folder)

    return make


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        path = small_cache(folder / "cache.h5")
        path.write_bytes(change(path.read_bytes()))

    return make


def _instead(file: h5py.File, name: str, *given: object, **named: object) -> h5py.Dataset:
    del file[name]
    return file.create_dataset(name, *given, **named)


@_change
def _soft_link(file: h5py.File, folder: Path) -> None:
    file.move(VECTORS, "spare")
    file[VECTORS] = h5py.SoftLink("/spare")


@_change
def _soft_link_to_a_group(file: h5py.File, folder: Path) -> None:
    file.move("votes", "spare")
    file["votes"] = h5py.SoftLink("/spare")


@_change
def _external_link(file: h5py.File, folder: Path) -> None:
    del file[VECTORS]
    file[VECTORS] = h5py.ExternalLink("/etc/passwd", "/vectors")


@_change
def _external_group(file: h5py.File, folder: Path) -> None:
    small_cache(folder / "other.h5")
    del file["utterances"]
    file["utterances"] = h5py.ExternalLink("other.h5", "/utterances")


@_change
def _external_modality(file: h5py.File, folder: Path) -> None:
    small_cache(folder / "other.h5")
    del file["embeddings/audio"]
    file["embeddings/audio"] = h5py.ExternalLink("other.h5", "/embeddings/audio")


@_change
def _external_storage(file: h5py.File, folder: Path) -> None:
    size = NUMBER * WIDTH * 4
    _instead(file, VECTORS, (NUMBER, WIDTH), "f4", external=[("/dev/zero", 0, size)])


@_change
def _virtual_dataset(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout(shape=(NUMBER, WIDTH), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", VECTORS, (NUMBER, WIDTH))
    del file[VECTORS]
    file.create_virtual_dataset(VECTORS, layout)


@_change
def _terabytes_in_chunks(file: h5py.File, folder: Path) -> None:
    _instead(file, VECTORS, (NUMBER, 1 << 36), "f4", chunks=(1, 4))


@_change
def _terabytes_whole(file: h5py.File, folder: Path) -> None:
    _instead(file, VECTORS, (NUMBER, 1 << 36), "f4")


@_change
def _a_trillion_ids(file: h5py.File, folder: Path) -> None:
    _instead(file, "utterances/id", (1 << 40,), h5py.string_dtype(), chunks=(64,))


@_change
def _a_billion_votes(file: h5py.File, folder: Path) -> None:
    _instead(file, "votes/label", (1 << 30,), "i2", chunks=(1 << 10,))


@_change
def _endless_rows(file: h5py.File, folder: Path) -> None:
    _instead(file, VECTORS, (1 << 62, 1), "f4", chunks=(1 << 10, 1))


@_change
def _one_value_a_chunk(file: h5py.File, folder: Path) -> None:
    shape = (NUMBER, 400_000)  # within what a file may claim, but for the parts
    _instead(file, VECTORS, shape, "f4", chunks=(1, 1))


@_change
def _chunk_larger_than_all(file: h5py.File, folder: Path) -> None:
    dataset = _instead(
        file,
        STATUS,
        (NUMBER,),
        "u1",
        chunks=(1 << 30,),
        maxshape=(None,),
        compression="gzip",
    )
    dataset.id.write_direct_chunk((0,), zlib.compress(bytes(16 * MEGABYTE), 1))


@_change
def _gzip_bomb(file: h5py.File, folder: Path) -> None:
    dataset = _instead(file, STATUS, (NUMBER,), "u1", chunks=(NUMBER,), compression="gzip")
    packer = zlib.compressobj(9)
    first, again = (
        packer.compress(bytes(16 * MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    dataset.id.write_direct_chunk((0,), first + again * 255)  # 4 GiB of zeros


@_change
def _gzip_in_gzip(file: h5py.File, folder: Path) -> None:
    del file[STATUS]
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((NUMBER,))
    plist.set_deflate(9)
    plist.set_deflate(9)
    space = h5py.h5s.create_simple((NUMBER,))
    group = file["embeddings/audio/mel"].id
    h5py.h5d.create(group, b"status", h5py.h5t.NATIVE_UINT8, space, plist)
    twice = zlib.compress(zlib.compress(bytes(32 * MEGABYTE), 9), 9)
    file[STATUS].id.write_direct_chunk((0,), twice)


@_change
def _no_gzip_at_all(file: h5py.File, folder: Path) -> None:
    dataset = _instead(file, STATUS, (NUMBER,), "u1", chunks=(NUMBER,), compression="gzip")
    dataset.id.write_direct_chunk((0,), b"not what zlib writes")


@_change
def _other_compression(file: h5py.File, folder: Path) -> None:
    _instead(file, STATUS, data=np.ones(NUMBER, np.uint8), compression="lzf")


@_change
def _unknown_filter(file: h5py.File, folder: Path) -> None:
    del file[STATUS]
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((NUMBER,))
    plist.set_filter(32013, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple((NUMBER,))
    group = file["embeddings/audio/mel"].id
    h5py.h5d.create(group, b"status", h5py.h5t.NATIVE_UINT8, space, plist)


@_change
def _many_claims(file: h5py.File, folder: Path) -> None:
    for number in range(200):  # each within the bound, not all together
        entry = file.create_group(f"embeddings/audio/e{number}")
        entry.create_dataset("vectors", (NUMBER, 300_000), "f4")
        entry["status"] = np.zeros(NUMBER, np.uint8)


@_change
def _one_entry_many_names(file: h5py.File, folder: Path) -> None:
    for number in range(300):
        file[f"embeddings/audio/e{number}"] = file["embeddings/audio/mel"]


@_change
def _a_group_within_itself(file: h5py.File, folder: Path) -> None:
    file["embeddings/audio/mel/again"] = file["embeddings"]
    file["embeddings/loop"] = file["embeddings"]
    file["embeddings/audio/root"] = file["/"]
    del file[VECTORS]
    file[VECTORS] = file["/"]


@_change
def _text_of_its_own_for_nothing(file: h5py.File, folder: Path) -> None:
    kind = h5py.string_dtype()
    _instead(file, TEXT, (NUMBER,), kind, chunks=(8,), fillvalue="x" * MEGABYTE)


@_change
def _compound(file: h5py.File, folder: Path) -> None:
    _instead(file, STATUS, data=np.zeros(NUMBER, [("a", "u1"), ("b", "f8")]))


@_change
def _references(file: h5py.File, folder: Path) -> None:
    _instead(file, STATUS, data=[file.ref] * NUMBER, dtype=h5py.ref_dtype)


@_change
def _lists_of_numbers(file: h5py.File, folder: Path) -> None:
    _instead(file, STATUS, (NUMBER,), h5py.vlen_dtype(np.dtype("u1")))


@_change
def _opaque(file: h5py.File, folder: Path) -> None:
    _instead(file, STATUS, data=np.zeros(NUMBER, "V16"))


@_change
def _arrays_in_arrays(file: h5py.File, folder: Path) -> None:
    _instead(file, VECTORS, (NUMBER, WIDTH), np.dtype(("f4", (1000, 1000))), chunks=(1, 1))


@_change
def _text_for_numbers(file: h5py.File, folder: Path) -> None:
    _instead(file, STATUS, data=["done"] * NUMBER)


@_change
def _numbers_for_text(file: h5py.File, folder: Path) -> None:
    _instead(file, "utterances/id", data=np.arange(NUMBER))


@_change
def _nothing_at_all(file: h5py.File, folder: Path) -> None:
    _instead(file, VECTORS, data=h5py.Empty("f4"))


@_change
def _a_group_for_a_dataset(file: h5py.File, folder: Path) -> None:
    del file[VECTORS]
    file.create_group(VECTORS)


@_change
def _a_dataset_for_a_group(file: h5py.File, folder: Path) -> None:
    _instead(file, "votes", data=np.zeros(3))


@_change
def _votes_out_of_range(file: h5py.File, folder: Path) -> None:
    file["votes/utterance"][0] = 2**31 - 1


@_change
def _labels_out_of_range(file: h5py.File, folder: Path) -> None:
    file["votes/label"][0] = -32768


@_change
def _labels_as_numbers(file: h5py.File, folder: Path) -> None:
    file["votes"].attrs["labels"] = np.arange(4)


@_change
def _the_same_id_twice(file: h5py.File, folder: Path) -> None:
    _instead(file, "utterances/id", data=["u"] * NUMBER)


@_change
def _format_as_a_list(file: h5py.File, folder: Path) -> None:
    file.attrs["format"] = ["amber-cache"] * 1000


@_change
def _version_of_the_far_future(file: h5py.File, folder: Path) -> None:
    file.attrs["format_version"] = np.uint64(2**63)


@_change
def _version_as_a_compound(file: h5py.File, folder: Path) -> None:
    file.attrs["format_version"] = np.zeros(1, [("a", "i8")])


@_change
def _checksums_of_garbage(file: h5py.File, folder: Path) -> None:
    file.attrs["checksums"] = ["no checksum at all"] * 100


@_change
def _a_name_with_escapes(file: h5py.File, folder: Path) -> None:
    file.move("embeddings/audio/mel", "embeddings/audio/\x1b[2Jmel\n")


def _text_bomb(layout: dict[str, object]) -> Callable[[Path], None]:
    """One text of a megabyte, named by every one of 4,000 rows."""

    def make(folder: Path) -> None:
        path = small_cache(folder / "cache.h5")
        number = 4000
        with h5py.File(path, "a", libver="earliest") as file:
            del file.attrs["checksums"]
            whole = {**layout, "compression": None}
            dataset = _instead(file, TEXT, (number,), h5py.string_dtype(), **whole)
            dataset[:] = ["x" * MEGABYTE] + [""] * (number - 1)
        _name_the_first_everywhere(path, layout, number)

    return make


def _name_the_first_everywhere(path: Path, layout: dict[str, object], number: int) -> None:
    with h5py.File(path, "r") as file:
        dataset = file[TEXT]
        if "chunks" in layout:
            stored: list[h5py.h5d.StoreInfo] = []
            dataset.id.chunk_iter(stored.append)
            places = [(one.byte_offset, one.size) for one in stored]
        else:
            places = [(dataset.id.get_offset(), 16 * number)]
    data = bytearray(path.read_bytes())
    first = bytes(data[places[0][0] : places[0][0] + 16])
    for offset, size in places:
        data[offset : offset + size] = first * (size // 16)
    path.write_bytes(data)
    if "compression" in layout:  # the same again, through gzip
        with h5py.File(path, "a") as file:
            del file[TEXT]
            dataset = file.create_dataset(
                TEXT, (number,), h5py.string_dtype(), chunks=(number,), compression="gzip"
            )
            dataset.id.write_direct_chunk((0,), zlib.compress(first * number))


def _attribute_bomb(folder: Path) -> None:
    """One text of a megabyte, named by every one of 3,000 items of an attribute."""
    path = small_cache(folder / "cache.h5")
    number = 3000
    with h5py.File(path, "a", libver="earliest") as file:
        file.attrs.create(
            "bomb", ["x" * MEGABYTE] + ["yy"] * (number - 1), dtype=h5py.string_dtype()
        )
    data = path.read_bytes()
    second = struct.pack("<I", 2)
    head = struct.pack("<I", MEGABYTE)
    place = data.find(head)
    while data[place + 16 : place + 20] != second or data[place + 32 : place + 36] != second:
        place = data.find(head, place + 1)
    first = data[place : place + 16]
    path.write_bytes(data[:place] + first * number + data[place + 16 * number :])
