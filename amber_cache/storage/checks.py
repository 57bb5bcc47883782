"""What must be true of a cache's tables: one line a problem, without the name of the file.

The writer and the reader raise the first problem, `verify` lists them all. Lengths and dtypes have
been checked before, dataset by dataset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int32, Shaped

from amber_cache.storage.schema import DONE, FAILED, row_crc32
from amber_cache.storage.tables import (
    Embedding,
    RatingTable,
    Transcripts,
    UtteranceTable,
    VoteTable,
)


@runtime_checkable
class Named(Protocol):
    """What stands in a cache under a modality and a name."""

    @property
    def modality(self) -> str:
        """What the encoder was given."""

    @property
    def name(self) -> str:
        """The entry's name."""


def id_problems(ids: Shaped[np.ndarray, " utterance"]) -> Iterator[str]:
    """Ids that stand there twice.

    >>> list(id_problems(np.array(["a", "b", "a"], object)))
    ["/utterances/id: 'a' stands there 2 times, ids must be unique"]
    """
    if len(set(ids)) < len(ids):
        most_common, count = Counter(ids).most_common(1)[0]
        yield f"/utterances/id: {most_common!r} stands there {count} times, ids must be unique"


def order_problems(table: UtteranceTable) -> Iterator[str]:
    """Ids out of order; a reader can live with it, since votes and vectors go by row."""
    for before, after in zip(table.id[:-1], table.id[1:], strict=True):
        if before > after:
            yield f"/utterances/id: {after!r} stands after {before!r}, ids must be sorted"
            return


def vote_problems(table: VoteTable, *, num_utterances: int) -> Iterator[str]:
    """Votes for no utterance or of no label, and labels that stand there twice."""
    yield from _index_problems("/votes/utterance", table.utterance, num_utterances, "utterances")
    label = table.label.astype(np.int32)
    yield from _index_problems("/votes/label", label, len(table.labels), "labels")
    if len(set(table.labels)) < len(table.labels):
        yield f"/votes, attribute labels: {list(table.labels)} has a label twice"


def rating_problems(table: RatingTable, *, num_utterances: int) -> Iterator[str]:
    """Ratings of no utterance."""
    yield from _index_problems("/ratings/utterance", table.utterance, num_utterances, "utterances")


def embedding_problems(
    embedding: Embedding, *, ids: Shaped[np.ndarray, " utterance"]
) -> Iterator[str]:
    """Rows with an unknown status, and done rows that are not finite or not what was computed."""
    path = embedding_path(embedding)
    unknown = embedding.status > FAILED
    if unknown.any():
        first = int(embedding.status[unknown][0])
        yield f"{path}/status: {_rows(unknown, ids)}: {first}, wanted 0, 1 or 2"
    if embedding.vectors.shape[1] == 0:
        yield f"{path}/vectors: has rows of no features"
    done = embedding.status == DONE
    infinite = done & ~np.isfinite(embedding.vectors).all(axis=1)
    if infinite.any():
        yield f"{path}/vectors: {_rows(infinite, ids)}: done, yet not finite"
    changed = done & (row_crc32(embedding.vectors) != embedding.crc32)
    if changed.any():
        yield f"{path}/crc32: {_rows(changed, ids)}: the vector is not the one it was computed for"


def leftover_problems(
    embedding: Embedding, *, ids: Shaped[np.ndarray, " utterance"]
) -> Iterator[str]:
    """Rows that are not done and hold numbers all the same; the reader takes them as NaN."""
    leftover = (embedding.status != DONE) & ~np.isnan(embedding.vectors).all(axis=1)
    if leftover.any():
        path = embedding_path(embedding)
        yield f"{path}/vectors: {_rows(leftover, ids)}: not done, yet not NaN"


def transcript_problems(
    transcripts: Transcripts, *, ids: Shaped[np.ndarray, " utterance"]
) -> Iterator[str]:
    """Rows with an unknown status, and rows that are not done and hold words all the same."""
    path = transcripts_path(transcripts.name)
    unknown = transcripts.status > FAILED
    if unknown.any():
        first = int(transcripts.status[unknown][0])
        yield f"{path}/status: {_rows(unknown, ids)}: {first}, wanted 0, 1 or 2"
    leftover = (transcripts.status != DONE) & (transcripts.text != "")
    if leftover.any():
        yield f"{path}/text: {_rows(leftover, ids)}: not done, yet not empty"


def transcripts_path(name: str) -> str:
    """Where a model's transcripts stand in the file."""
    return f"/transcripts/{name}"


def embedding_path(embedding: Named) -> str:
    """Where an embedding stands in the file."""
    return f"/embeddings/{embedding.modality}/{embedding.name}"


def _index_problems(
    path: str, index: Int32[np.ndarray, " row"], size: int, what: str
) -> Iterator[str]:
    outside = (index < 0) | (index >= size)
    if outside.any():
        row = int(np.argmax(outside))
        yield f"{path}: row {row} holds {index[row]}, but there are {size} {what}"


def _rows(chosen: Bool[np.ndarray, " utterance"], ids: Shaped[np.ndarray, " utterance"]) -> str:
    """Count the chosen rows and name the first, as "3 rows, first that of 'u1'"."""
    count = int(chosen.sum())
    return f"{count} row{'s' * (count > 1)}, first that of {ids[int(np.argmax(chosen))]!r}"
