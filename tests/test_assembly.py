"""A cache put together block by block is the one that is written whole, in bounded memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amber_cache.errors import CacheError
from amber_cache.jobs.assembly import assemble, needed_bytes
from amber_cache.jobs.completion import combined
from amber_cache.records import Utterance, Vote
from amber_cache.storage import stream
from amber_cache.storage.sparse import SparseFile
from amber_cache.storage.stream import moved
from amber_cache.store import (
    DONE,
    FAILED,
    PENDING,
    CacheContent,
    Embedding,
    Entry,
    make_embedding,
    open_cache,
    text_array,
    utterance_table,
    verify_cache,
    votes_table,
    write_cache,
)

NUM, WIDTH = 50, 7


def content(num: int = NUM) -> CacheContent:
    utterances = [
        Utterance(id=f"u{row:06d}", text="é" * (row % 9), votes=(Vote("r", "sad"),))
        for row in range(num)
    ]
    return CacheContent(
        corpus="made",
        protocol="",
        utterances=utterance_table(utterances),
        votes=votes_table(utterances),
        embeddings=(),
        attrs={"created_utc": "2026-01-01T00:00:00+00:00"},
    )


def embedding(name: str = "mel", *, num: int = NUM, width: int = WIDTH, seed: int = 0) -> Embedding:
    random = np.random.default_rng(seed)
    status = random.choice(np.array([PENDING, DONE, DONE, FAILED], np.uint8), num)
    return make_embedding(
        random.normal(size=(num, width)).astype(np.float32),
        modality="audio",
        name=name,
        status=status,
        error=["too short" if one == FAILED else "" for one in status],
        attrs={"encoder": name, "libraries": {"numpy": "2"}},
    )


def entry(whole: Embedding) -> Entry:
    """The same, read from memory."""
    return Entry(
        modality=whole.modality,
        name=whole.name,
        width=whole.vectors.shape[1],
        status=whole.status,
        crc32=whole.crc32,
        error=whole.error,
        read=lambda start, stop: whole.vectors[start:stop],
        attrs=whole.attrs,
    )


def checksums(path: Path) -> list[str]:
    with h5py.File(path) as file:
        return sorted(file.attrs["checksums"])


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_BLOCK_BYTES", 4 * WIDTH * 4)


@pytest.mark.usefixtures("small_blocks")
def test_it_holds_what_the_writer_of_whole_caches_writes(tmp_path: Path) -> None:
    both = embedding(), embedding("hash", seed=1)
    write_cache(tmp_path / "whole.h5", replace(content(), embeddings=both))
    entries = tuple(map(entry, both))
    assemble(tmp_path / "part", tmp_path / "blocks.h5", content(), entries)
    assert verify_cache(tmp_path / "blocks.h5").ok
    assert checksums(tmp_path / "blocks.h5") == checksums(tmp_path / "whole.h5")
    assert (tmp_path / "blocks.h5").stat().st_size == needed_bytes(content(), entries)
    assert not (tmp_path / "part").exists()


@pytest.mark.usefixtures("small_blocks")
def test_what_is_read_block_by_block_is_what_is_read_whole(tmp_path: Path) -> None:
    write_cache(tmp_path / "c.h5", replace(content(), embeddings=(embedding(),)))
    with open_cache(tmp_path / "c.h5") as cache:
        read = cache.entry("audio")
        vectors = np.concatenate([block for _, block in read.blocks()])
        np.testing.assert_array_equal(vectors, cache.embeddings("audio").vectors)
        np.testing.assert_array_equal(read.crc32, cache.embeddings("audio").crc32)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "part").write_bytes(name.encode() * 60_000)  # what stood there has no part
        assemble(tmp_path / "part", tmp_path / name, content(), (entry(embedding()),))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_row_that_is_not_its_checksums_ends_it(tmp_path: Path) -> None:
    whole = embedding()
    row = int(np.flatnonzero(whole.status == DONE)[3])
    whole.vectors[row, 2] += 1
    with pytest.raises(CacheError, match=f"the row of 'u{row:06d}' is not the one that was"):
        assemble(tmp_path / "part", tmp_path / "c.h5", content(), (entry(whole),))
    assert not (tmp_path / "c.h5").exists()
    assert not h5py.is_hdf5(tmp_path / "part")


def test_memory_does_not_grow_with_the_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_BLOCK_BYTES", 1 << 20)
    peaks = []
    for width in (64, 16_384):
        whole = embedding(num=300, width=width)
        tracemalloc.start()
        assemble(tmp_path / "part", tmp_path / "c.h5", content(300), (entry(whole),))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Blocks are 1 MB, of which a few stand at a time; the second matrix is 20 MB.
    assert peaks[1] < peaks[0] + 5e6
    assert (tmp_path / "c.h5").stat().st_size > 19e6


def test_an_empty_matrix_is_no_trouble(tmp_path: Path) -> None:
    whole = embedding(num=0)
    assemble(tmp_path / "part", tmp_path / "c.h5", content(0), (entry(whole),))
    with open_cache(tmp_path / "c.h5") as cache:
        assert cache.embeddings("audio").vectors.shape == (0, WIDTH)


@given(st.lists(st.integers(-1, NUM - 1), min_size=1, max_size=40), st.integers(0, 39))
def test_moved_rows_are_where_they_were_moved_to(rows: list[int], start: int) -> None:
    whole = embedding()
    there = moved(entry(whole), np.array(rows))
    stop = min(len(rows), start + 11)
    found = there.read(start, stop) if start < stop else np.zeros((0, WIDTH), np.float32)
    for row, vector in zip(rows[start:stop], found, strict=True):
        wanted = whole.vectors[row] if row >= 0 else np.full(WIDTH, np.nan)
        np.testing.assert_array_equal(vector, wanted)
    assert there.status.tolist() == [whole.status[row] if row >= 0 else PENDING for row in rows]


def test_parts_are_combined_row_by_row_and_conflicts_are_found() -> None:
    whole = embedding()
    owner = np.arange(NUM) % 3
    parts = []
    for number in range(3):
        status = np.where(owner == number, whole.status, PENDING).astype(np.uint8)
        error = [text if status[row] == FAILED else "" for row, text in enumerate(whole.error)]
        parts.append(
            entry(
                make_embedding(
                    whole.vectors, modality="audio", name="mel", status=status, error=error
                )
            )
        )
    joined = combined(parts)
    np.testing.assert_array_equal(joined.status, whole.status)
    np.testing.assert_array_equal(joined.crc32, whole.crc32)
    np.testing.assert_array_equal(joined.read(0, NUM), whole.vectors)
    row = int(np.flatnonzero(parts[1].status == DONE)[0])
    other = replace(parts[2], status=parts[2].status.copy(), error=text_array([""] * NUM))
    other.status[row] = FAILED
    with pytest.raises(ValueError, match=f"^{row}$"):
        combined([parts[0], parts[1], other])


@given(st.lists(st.tuples(st.integers(0, 70_000), st.binary(max_size=40_000)), max_size=6))
def test_a_sparse_file_reads_as_it_was_written(writes: list[tuple[int, bytes]]) -> None:
    file, wanted = SparseFile(), bytearray()
    for place, data in writes:
        file.seek(place)
        file.write(data)
        if data:
            wanted.extend(bytes(max(0, place + len(data) - len(wanted))))
            wanted[place : place + len(data)] = data
    file.seek(0)
    buffer = bytearray(len(wanted))
    assert file.readinto(buffer) == len(wanted)
    assert buffer == wanted
    from_pages = bytearray(len(wanted))
    for offset, page in file.pages():
        from_pages[offset : offset + len(page)] = page[: max(0, len(wanted) - offset)]
    assert from_pages == wanted
