"""Go through a cache from end to end and list everything that is wrong with it.

Where the reader stops at the first trouble of what it was asked for, this reads every dataset and
keeps going, so that one report says all that a repair has to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from amber_cache.errors import CacheError
from amber_cache.storage import checks
from amber_cache.storage.files import (
    Source,
    find,
    listing_problems,
    open_source,
    read_attributes,
    require_file,
    stated_checksum,
)
from amber_cache.storage.read import (
    assemble_embedding,
    embedding_names,
    read_columns,
    read_labels,
    read_transcripts,
    transcript_names,
)
from amber_cache.storage.schema import (
    DONE,
    EMBEDDING_COLUMNS,
    FAILED,
    PENDING,
    RATING_COLUMNS,
    TRANSCRIPT_COLUMNS,
    UTTERANCE_COLUMNS,
    VOTE_COLUMNS,
    Column,
)
from amber_cache.storage.tables import Embedding, RatingTable, UtteranceTable, VoteTable
from amber_cache.storage.verify_report import EmbeddingCount, Report, TranscriptCount


def verify_cache(path: str | Path) -> Report:
    """Check format, checksums, row checksums, dtypes, lengths, ids, indices and rows of a cache.

    Raises:
        CacheError: There is no such file, or it is a folder.
    """
    path = Path(path)
    require_file(path)
    try:
        source = open_source(path)
    except CacheError as error:
        return Report(path, (_without_path(path, error),))
    try:
        return _Verifier(source).report()
    finally:
        source.close()


class _Verifier:
    """The state of one pass: the open file, and what was found in it so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[str] = []
        self.unprotected: list[str] = []

    def report(self) -> Report:
        self.problems.extend(listing_problems(self.source))
        self._note_attributes("/")
        utterances = self._utterances()
        num_utterances = None if utterances is None else len(utterances)
        num_votes = self._votes(num_utterances)
        num_ratings = self._ratings(num_utterances)
        counts = self._embeddings(utterances)
        transcripts = self._transcripts(utterances)
        unique = tuple(dict.fromkeys(self.problems))
        return Report(
            self.source.path,
            unique,
            tuple(self.unprotected),
            num_utterances or 0,
            num_votes,
            num_ratings,
            counts,
            transcripts,
        )

    def _utterances(self) -> UtteranceTable | None:
        columns = self._columns("/utterances", UTTERANCE_COLUMNS, None)
        if columns is None:
            return None
        table = UtteranceTable(**columns)
        self.problems.extend(chain(checks.id_problems(table.id), checks.order_problems(table)))
        return table

    def _votes(self, num_utterances: int | None) -> int:
        self._note_attributes("/votes")
        columns = self._columns("/votes", VOTE_COLUMNS, None)
        try:
            labels = read_labels(self.source)
        except CacheError as error:
            self._add(error)
            return 0
        if columns is None:
            return 0
        table = VoteTable(**columns, labels=labels)
        if num_utterances is not None:
            self.problems.extend(checks.vote_problems(table, num_utterances=num_utterances))
        return len(table)

    def _ratings(self, num_utterances: int | None) -> int:
        columns = None
        if _stands(self.source, "/ratings"):
            columns = self._columns("/ratings", RATING_COLUMNS, None)
        if columns is None:
            return 0
        table = RatingTable(**columns)
        if num_utterances is not None:
            self.problems.extend(checks.rating_problems(table, num_utterances=num_utterances))
        return len(table)

    def _embeddings(self, utterances: UtteranceTable | None) -> tuple[EmbeddingCount, ...]:
        try:
            names = embedding_names(self.source)
        except CacheError as error:
            self._add(error)
            return ()
        if not names:
            self.problems.append("/embeddings: there is none")
        entries = [(modality, name) for modality in names for name in names[modality]]
        counts = [self._embedding(modality, name, utterances) for modality, name in entries]
        return tuple(count for count in counts if count is not None)

    def _embedding(
        self, modality: str, name: str, utterances: UtteranceTable | None
    ) -> EmbeddingCount | None:
        group = f"/embeddings/{modality}/{name}"
        self._note_attributes(group)
        length = None if utterances is None else len(utterances)
        columns = self._columns(group, EMBEDDING_COLUMNS, length)
        if columns is None:
            return None
        try:
            embedding = assemble_embedding(
                self.source, modality=modality, name=name, columns=columns
            )
        except CacheError as error:
            self._add(error)
            return None
        rows = np.arange(len(embedding)).astype(str).astype(object)
        self.problems.extend(
            _row_problems(embedding, rows if utterances is None else utterances.id)
        )
        return _count(embedding)

    def _transcripts(self, utterances: UtteranceTable | None) -> tuple[TranscriptCount, ...]:
        try:
            names = transcript_names(self.source)
        except CacheError as error:
            self._add(error)
            return ()
        counts = [self._transcript(name, utterances) for name in names]
        return tuple(count for count in counts if count is not None)

    def _transcript(self, name: str, utterances: UtteranceTable | None) -> TranscriptCount | None:
        group = f"/transcripts/{name}"
        self._note_attributes(group)
        self._note_bare(group, TRANSCRIPT_COLUMNS)
        length = None if utterances is None else len(utterances)
        try:
            one = read_transcripts(self.source, name, length=length, problems=self.problems)
        except CacheError as error:
            self._add(error)
            return None
        if one is None:
            return None
        if utterances is not None:
            self.problems.extend(checks.transcript_problems(one, ids=utterances.id))
        return TranscriptCount(name, *_by_status(one.status))

    def _note_bare(self, group: str, columns: tuple[Column, ...]) -> None:
        for column in columns:
            path = f"{group}/{column.name}"
            if _stands(self.source, path) and not _has_checksum(self.source, path):
                self.unprotected.append(path)

    def _columns(
        self, group: str, columns: tuple[Column, ...], length: int | None
    ) -> dict[str, np.ndarray] | None:
        """All columns of a group, or None where one has a problem; notes the unprotected."""
        self._note_bare(group, columns)
        read = read_columns(self.source, group, columns, length=length, problems=self.problems)
        return read if len(read) == len(columns) else None

    def _note_attributes(self, group: str) -> None:
        try:
            names = read_attributes(self.source, group)
        except CacheError as error:
            self._add(error)
            return
        for name in names:
            if f"{group.rstrip('/')}/@{name}" not in self.source.checksums:
                self.unprotected.append(f"{group.rstrip('/')}/@{ascii(name)[1:-1]}")

    def _add(self, error: CacheError) -> None:
        self.problems.append(_without_path(self.source.path, error))


def _row_problems(embedding: Embedding, ids: np.ndarray) -> Iterator[str]:
    yield from checks.embedding_problems(embedding, ids=ids)
    yield from checks.leftover_problems(embedding, ids=ids)


def _count(embedding: Embedding) -> EmbeddingCount:
    dimension = embedding.vectors.shape[1]
    return EmbeddingCount(
        embedding.modality, embedding.name, dimension, *_by_status(embedding.status)
    )


def _by_status(status: np.ndarray) -> tuple[int, int, int]:
    """How many rows are done, failed and pending."""
    done, failed, pending = (int((status == one).sum()) for one in (DONE, FAILED, PENDING))
    return done, failed, pending


def _stands(source: Source, path: str) -> bool:
    try:
        return find(source, path) is not None
    except CacheError:
        return True  # reading it will say why it can't be had


def _has_checksum(source: Source, path: str) -> bool:
    try:
        return path in source.checksums or stated_checksum(source, path) is not None
    except CacheError:
        return True


def _without_path(path: Path, error: CacheError) -> str:
    return str(error).removeprefix(f"{path}: ")
