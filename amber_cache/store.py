"""The cache: one HDF5 file with utterances, votes and the embeddings of any number of encoders.

`open_cache` reads one, `write_cache` writes one whole, `verify_cache` looks at all of it; the
schema stands in storage/schema.py. What stage two takes from stage one, it takes from here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np

from amber_cache.entry_names import preferred, without_folders
from amber_cache.errors import CacheError
from amber_cache.files.safe_files import parse_json, read_bounded, read_json, require_regular
from amber_cache.files.safe_hdf5 import Guard, hard_linked, open_hdf5
from amber_cache.storage import checks
from amber_cache.storage.files import (
    Source,
    find,
    listing_problems,
    open_source,
    read_attributes,
)
from amber_cache.storage.read import (
    assemble_embedding,
    embedding_names,
    read_columns,
    read_labels,
    read_status,
    read_transcripts,
    transcript_names,
)
from amber_cache.storage.schema import (
    DONE,
    EMBEDDING_COLUMNS,
    ENTRY_SETTINGS,
    FAILED,
    FORMAT,
    FORMAT_VERSION,
    NO_TEXT,
    PENDING,
    PUBLIC_ENTRY_ATTRIBUTES,
    RATING_COLUMNS,
    UTTERANCE_COLUMNS,
    VOTE_COLUMNS,
    Attribute,
    amber_version,
    data_hash,
    digest,
    row_crc32,
    text_array,
)
from amber_cache.storage.stream import Entry, read_entry
from amber_cache.storage.tables import (
    CacheContent,
    Embedding,
    RatingTable,
    Transcripts,
    UtteranceTable,
    VoteTable,
    make_embedding,
    ratings_table,
    utterance_table,
    votes_table,
)
from amber_cache.storage.verify_report import EmbeddingCount, Report
from amber_cache.storage.write import cache_image, sync_folder, write_cache, write_whole
from amber_cache.verify import verify_cache

__all__ = [
    "DONE",
    "FAILED",
    "FORMAT",
    "FORMAT_VERSION",
    "NO_TEXT",
    "PENDING",
    "ENTRY_SETTINGS",
    "PUBLIC_ENTRY_ATTRIBUTES",
    "Attribute",
    "Cache",
    "CacheContent",
    "Embedding",
    "EmbeddingCount",
    "Entry",
    "Guard",
    "RatingTable",
    "Report",
    "Transcripts",
    "UtteranceTable",
    "VoteTable",
    "amber_version",
    "cache_image",
    "data_hash",
    "digest",
    "hard_linked",
    "make_embedding",
    "open_cache",
    "open_hdf5",
    "parse_json",
    "preferred",
    "ratings_table",
    "read_bounded",
    "read_json",
    "require_regular",
    "row_crc32",
    "sync_folder",
    "text_array",
    "utterance_table",
    "verify_cache",
    "votes_table",
    "without_folders",
    "write_cache",
    "write_whole",
]


def open_cache(path: str | Path) -> Cache:
    """Open a cache for reading; tables and embeddings are read and checked when asked for.

    Opening checks the format, that what must be there is there, and every name and attribute.

    Raises:
        CacheError: There is no such file, or it is no cache, newer, cut off, damaged or incomplete.
    """
    source = open_source(path)
    try:
        _raise_first(source, listing_problems(source))
        return Cache(source)
    except BaseException:
        source.close()
        raise


class Cache:
    """A cache open for reading; use it in a `with` block, or `close` it.

    Reading any part may raise a CacheError that names the damaged dataset. A file replaced
    meanwhile makes no difference: what was opened is read on.

    Attributes:
        path: The file.
        attrs: The root's attributes.
        corpus: Name of the corpus reader; "" where unknown.
        protocol: The corpus's default label protocol; "" for none.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._stat = os.fstat(source.file.id.get_vfd_handle())
        self._names = embedding_names(source)
        self.path = source.path
        self.attrs = read_attributes(source, "/")
        self.corpus = str(self.attrs.get("corpus", ""))
        self.protocol = str(self.attrs.get("protocol", ""))
        for required in ("/utterances/id", "/votes/utterance", "/votes/label"):
            if find(source, required) is None:
                raise CacheError(f"{self.path}: {required}: is missing")
        if not self._names:
            raise CacheError(f"{self.path}: /embeddings: there is none")

    @cached_property
    def utterances(self) -> UtteranceTable:
        """All utterances; "", NaN and -1 stand for what the file does not say."""
        table = UtteranceTable(**read_columns(self._open(), "/utterances", UTTERANCE_COLUMNS))
        _raise_first(self._source, checks.id_problems(table.id))
        return table

    @cached_property
    def votes(self) -> VoteTable:
        """All votes."""
        columns = read_columns(self._open(), "/votes", VOTE_COLUMNS)
        table = VoteTable(**columns, labels=read_labels(self._source))
        problems = checks.vote_problems(table, num_utterances=len(self.utterances))
        _raise_first(self._source, problems)
        return table

    @cached_property
    def ratings(self) -> RatingTable | None:
        """All ratings of arousal, valence and dominance; None where the file has none."""
        if find(self._open(), "/ratings") is None:
            return None
        table = RatingTable(**read_columns(self._source, "/ratings", RATING_COLUMNS))
        problems = checks.rating_problems(table, num_utterances=len(self.utterances))
        _raise_first(self._source, problems)
        return table

    @cached_property
    def transcripts(self) -> dict[str, Transcripts]:
        """By the model's name, what it heard; none where nothing was transcribed."""
        found: dict[str, Transcripts] = {}
        for name in transcript_names(self._open()):
            one = read_transcripts(self._source, name, length=len(self.utterances))
            assert one is not None  # no list was given to take the problems
            _raise_first(self._source, checks.transcript_problems(one, ids=self.utterances.id))
            found[name] = one
        return found

    @property
    def modalities(self) -> tuple[str, ...]:
        """What there are embeddings of: audio and text first, then by name."""
        return tuple(self._names)

    def encoders(self, modality: str) -> tuple[str, ...]:
        """Names of a modality's embeddings; none for a modality that is not there."""
        return self._names.get(modality, ())

    def embeddings(self, modality: str, encoder: str | None = None) -> Embedding:
        """One embedding, read anew at each call; its rows that are not done are NaN.

        Args:
            modality: One of `modalities`.
            encoder: An entry's name, or an encoder's id if but one entry is of it; may be left out
                where the modality has but one entry. An entry of transcripts counts only where
                that of the same encoder on the reference text is not there.

        Raises:
            CacheError: It is not there, is one of several, or is damaged.
        """
        name = self._entry(modality, encoder)
        group = f"/embeddings/{modality}/{name}"
        length = len(self.utterances)
        columns = read_columns(self._open(), group, EMBEDDING_COLUMNS, length=length)
        embedding = assemble_embedding(self._source, modality=modality, name=name, columns=columns)
        problems = checks.embedding_problems(embedding, ids=self.utterances.id)
        _raise_first(self._source, problems)
        embedding.vectors[embedding.status != DONE] = np.nan
        return embedding

    def counts(self) -> tuple[EmbeddingCount, ...]:
        """How far each embedding is, by its status alone: no vector is read or checked."""
        found = []
        for modality, name in ((m, name) for m in self._names for name in self._names[m]):
            status, dimension = read_status(
                self._open(), modality=modality, name=name, length=len(self.utterances)
            )
            done, failed, pending = (
                int(np.count_nonzero(status == one)) for one in (DONE, FAILED, PENDING)
            )
            found.append(EmbeddingCount(modality, name, dimension, done, failed, pending))
        return tuple(found)

    def entry(self, modality: str, encoder: str | None = None) -> Entry:
        """One embedding, checked, whose vectors are read block by block while the cache is open.

        Raises:
            CacheError: As `embeddings`.
        """
        name = self._entry(modality, encoder)
        return read_entry(self._open(), modality=modality, name=name, ids=self.utterances.id)

    def tables(self) -> CacheContent:
        """Everything in the cache but its embeddings."""
        return CacheContent(
            corpus=self.corpus,
            protocol=self.protocol,
            utterances=self.utterances,
            votes=self.votes,
            ratings=self.ratings,
            transcripts=tuple(self.transcripts.values()),
            embeddings=(),
            attrs=self.attrs,
        )

    def content(self) -> CacheContent:
        """Everything in the cache, as `write_cache` takes it."""
        entries = [(modality, name) for modality in self._names for name in self._names[modality]]
        embeddings = tuple(self.embeddings(modality, name) for modality, name in entries)
        return replace(self.tables(), embeddings=embeddings)

    def is_at(self, path: Path) -> bool:
        """Whether a path leads to the very file that was opened, not to one put in its place."""
        try:
            return os.path.samestat(os.stat(path), self._stat)
        except OSError:
            return False

    def close(self) -> None:
        """Close the file; tables that were read stay."""
        self._source.close()

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> Source:
        if not self._source.file:
            raise CacheError(f"{self.path}: the cache was closed before this was read")
        return self._source

    def _entry(self, modality: str, encoder: str | None) -> str:
        names = self.encoders(modality)
        if not names:
            there = ", ".join(self.modalities)
            raise CacheError(f"{self.path}: has no {modality} embeddings; there are: {there}")
        if encoder in names:
            return str(encoder)
        groups = {name: f"/embeddings/{modality}/{name}" for name in names}
        chosen = preferred(
            [
                name
                for name in names
                if encoder is None
                or read_attributes(self._open(), groups[name]).get("encoder") == encoder
                or encoder.replace("/", "--") == name
            ]
        )
        if len(chosen) != 1:
            share = "several" if chosen else "none"
            meant = f" can be {encoder!r}" if encoder else " can be meant"
            layers = any("@layer" in name for name in chosen)
            raise CacheError(
                f"{self.path}: {share} of the {modality} embeddings{meant}; "
                f"name one with --encoder {modality}=NAME: {', '.join(names)}"
                + ("; `amber fit --layer N` takes a layer, --layer weighted all" if layers else "")
            )
        return chosen[0]


def _raise_first(source: Source, problems: Iterable[str]) -> None:
    for problem in problems:
        raise CacheError(f"{source.path}: {problem}")
