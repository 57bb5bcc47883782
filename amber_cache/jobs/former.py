"""What a cache already holds, and which of its rows may stay when the corpus is read again.

`former_content` and `taken_over` hold vectors in memory, `open_former` and `moved_over` read them
block by block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from amber_cache.entry_names import input_of
from amber_cache.errors import CacheError
from amber_cache.records import Corpus
from amber_cache.storage.stream import moved
from amber_cache.store import (
    DONE,
    PENDING,
    Cache,
    CacheContent,
    Embedding,
    Entry,
    Transcripts,
    UtteranceTable,
    make_embedding,
    open_cache,
    text_array,
)
from amber_cache.transcripts import moved_transcripts

# The columns that tell whether an utterance's input is still what a stored row was made from. The
# first is never empty for a done row, but in a cache that another script wrote and left it out.
_INPUT_COLUMNS = {"audio": ("audio_sha256", "start_s", "duration_s"), "text": ("text",)}

# What a field may be without the content being another.
_NO_CONTENT = ("attrs", "audio_mtime_ns", "read")


def former_content(path: Path, corpus: Corpus) -> CacheContent | None:
    """What the cache at `path` holds; None where there is none.

    The same corpus may have grown, and its votes may have changed, but none of the utterances that
    the cache has may be gone.

    Raises:
        CacheError: It can't be read, is of another corpus, or could not be written there.
    """
    with open_former(path, corpus) as former:
        if former is None:
            return None
        embeddings = tuple(former.cache.embeddings(*entry.key) for entry in former.entries)
        return replace(former.content, embeddings=embeddings)


@dataclass(frozen=True, slots=True, eq=False)
class Former:
    """A cache that is open, checked, and of the right corpus.

    Attributes:
        content: Everything but its embeddings.
        entries: Those, to be read while the cache is open.
    """

    cache: Cache
    content: CacheContent
    entries: tuple[Entry, ...]

    def is_still_at(self, path: Path) -> bool:
        """Whether the file that was opened is the one that stands there now."""
        return self.cache.is_at(path)


@contextmanager
def open_former(path: Path, corpus: Corpus) -> Iterator[Former | None]:
    """Open the cache at `path`; None where there is none.

    Raises:
        CacheError: As `former_content`.
    """
    if not os.path.exists(path):  # Path.exists raises where a name is too long
        _refuse_place(path)
        yield None
        return
    with ExitStack() as stack:
        try:
            cache = stack.enter_context(open_cache(path))
            content = cache.tables()
            names = [(one, name) for one in cache.modalities for name in cache.encoders(one)]
            entries = tuple(cache.entry(*name) for name in names)
        except CacheError as error:
            raise CacheError(
                f"--cache {error}; it is left as it is: move it away, or name another file with "
                "--cache"
            ) from error
        _refuse_other_corpus(path, content, corpus)
        yield Former(cache, content, entries)


def moved_over(former: Former, table: UtteranceTable) -> dict[tuple[str, str], Entry]:
    """`taken_over`, but the vectors are read when they are asked for."""
    old = former.content.utterances
    return {entry.key: moved(entry, _old_rows(entry, old, table)) for entry in former.entries}


def transcripts_moved_over(former: CacheContent, table: UtteranceTable) -> dict[str, Transcripts]:
    """The former transcripts on the rows of the new table, PENDING where the audio has changed."""
    old, columns = former.utterances, _INPUT_COLUMNS["audio"]
    return {
        one.name: moved_transcripts(one, _rows_of(one.status, columns, old, table))
        for one in former.transcripts
    }


def _refuse_other_corpus(path: Path, content: CacheContent, corpus: Corpus) -> None:
    gone = sorted(set(content.utterances.id) - {one.id for one in corpus.utterances})
    if content.corpus != corpus.name or gone:
        why = (
            f"{len(gone)} of its utterances ({gone[0]!r}, ...) are not"
            if gone
            else "that is not what was read"
        )
        raise CacheError(
            f"--cache {path}: holds the corpus {content.corpus!r}; {why} in {corpus.name!r} at "
            f"{corpus.root}; name another file with --cache"
        )


def taken_over(former: CacheContent, table: UtteranceTable) -> dict[tuple[str, str], Embedding]:
    """The former entries on the rows of the new table, PENDING where the input has changed."""
    return {
        (entry.modality, entry.name): _moved(entry, former.utterances, table)
        for entry in former.embeddings
    }


def is_same(former: object, new: object) -> bool:
    """Whether two contents hold the same, column by column, whatever made them.

    Entries that are read block by block are the same where their rows' checksums are.
    """
    if isinstance(former, np.ndarray) and isinstance(new, np.ndarray):
        numbers = former.dtype.kind == "f"
        return former.shape == new.shape and np.array_equal(former, new, equal_nan=numbers)
    if is_dataclass(former) and is_dataclass(new):
        names = [one.name for one in fields(former) if one.name not in _NO_CONTENT]
        return all(is_same(getattr(former, name), getattr(new, name)) for name in names)
    if isinstance(former, tuple) and isinstance(new, tuple):
        return len(former) == len(new) and all(map(is_same, former, new))
    return bool(former == new)


def _refuse_place(path: Path) -> None:
    """Find out before the encoders run that nothing can be written there."""
    folder = next(one for one in Path(os.path.abspath(path)).parents if os.path.exists(one))
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        what = "is not writable" if folder.is_dir() else "is no folder"
        raise CacheError(f"--cache {path}: {folder} {what}; name another place with --cache")


def _moved(entry: Embedding, old: UtteranceTable, new: UtteranceTable) -> Embedding:
    rows = _old_rows(entry, old, new)
    kept = rows >= 0
    vectors = np.full((len(new), entry.vectors.shape[1]), np.nan, dtype=np.float32)
    status = np.full(len(new), PENDING, dtype=np.uint8)
    error = text_array([""] * len(new))
    vectors[kept], status[kept] = entry.vectors[rows[kept]], entry.status[rows[kept]]
    error[kept] = entry.error[rows[kept]]
    return make_embedding(
        vectors,
        modality=entry.modality,
        name=entry.name,
        status=status,
        error=list(error),
        attrs=entry.attrs,
    )


def _old_rows(
    entry: Embedding | Entry, old: UtteranceTable, new: UtteranceTable
) -> Int64[np.ndarray, " utterance"]:
    """The former row of each new one; -1 where there is none with the same input."""
    is_heard = input_of(entry.modality, entry.name) != entry.modality
    columns = _INPUT_COLUMNS.get("audio" if is_heard else entry.modality, ())
    return _rows_of(entry.status, columns, old, new)


def _rows_of(
    status: UInt8[np.ndarray, " former"],
    columns: tuple[str, ...],
    old: UtteranceTable,
    new: UtteranceTable,
) -> Int64[np.ndarray, " utterance"]:
    old_row = {identifier: row for row, identifier in enumerate(old.id)}
    rows = np.full(len(new), -1, np.int64)
    for row, identifier in enumerate(new.id):
        before = old_row.get(identifier)
        if before is None:
            continue
        is_blind = bool(columns) and status[before] == DONE and not getattr(old, columns[0])[before]
        if is_blind or _has_same_input(columns, old, before, new, row):
            rows[row] = before
    return rows


def _has_same_input(
    columns: tuple[str, ...], old: UtteranceTable, before: int, new: UtteranceTable, row: int
) -> bool:
    return all(_equal(getattr(old, one)[before], getattr(new, one)[row]) for one in columns)


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other or (one != one and other != other))  # NaN equals NaN here
