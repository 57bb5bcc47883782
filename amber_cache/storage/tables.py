"""What a cache holds, as frozen tables of NumPy columns, and what must be true of them.

Text columns are object arrays of str. A corpus's records become tables here; what must be true of
a table stands in checks.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Int16, Int32, Int64, Shaped, UInt8, UInt32

from amber_cache.errors import CacheError
from amber_cache.records import LABELS, TEXT_COLUMNS, Utterance
from amber_cache.storage.schema import DONE, Attribute, row_crc32, text_array


@dataclass(frozen=True, slots=True, eq=False)
class UtteranceTable:
    """One row an utterance, sorted by id; text is "" where unknown.

    Attributes:
        start_s: Place in the dialogue, seconds; NaN where unknown.
        duration_s: Length, seconds; NaN where unknown.
        audio_path: Relative to the corpus root.
        audio_bytes: Size of the audio file; -1 where unknown.
        audio_mtime_ns: When it was last changed, nanoseconds since 1970, so that a file that has
            not changed need not be read again; -1 where unknown.
    """

    id: Shaped[np.ndarray, " utterance"]
    speaker: Shaped[np.ndarray, " utterance"]
    gender: Shaped[np.ndarray, " utterance"]
    session: Shaped[np.ndarray, " utterance"]
    dialogue: Shaped[np.ndarray, " utterance"]
    split: Shaped[np.ndarray, " utterance"]
    style: Shaped[np.ndarray, " utterance"]
    consensus: Shaped[np.ndarray, " utterance"]
    text: Shaped[np.ndarray, " utterance"]
    language: Shaped[np.ndarray, " utterance"]
    start_s: Float32[np.ndarray, " utterance"]
    duration_s: Float32[np.ndarray, " utterance"]
    audio_path: Shaped[np.ndarray, " utterance"]
    audio_sha256: Shaped[np.ndarray, " utterance"]
    audio_bytes: Int64[np.ndarray, " utterance"]
    audio_mtime_ns: Int64[np.ndarray, " utterance"]

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, slots=True, eq=False)
class VoteTable:
    """One row a vote.

    Attributes:
        utterance: Row in the utterance table.
        label: Index into `labels`.
        primary: False for a secondary choice.
        labels: The votes' vocabulary.
    """

    utterance: Int32[np.ndarray, " vote"]
    rater: Shaped[np.ndarray, " vote"]
    kind: Shaped[np.ndarray, " vote"]
    label: Int16[np.ndarray, " vote"]
    primary: Bool[np.ndarray, " vote"]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.utterance)


@dataclass(frozen=True, slots=True, eq=False)
class RatingTable:
    """One row a rater's rating of one dimension, on the corpus's own scale."""

    utterance: Int32[np.ndarray, " rating"]
    rater: Shaped[np.ndarray, " rating"]
    kind: Shaped[np.ndarray, " rating"]
    dimension: Shaped[np.ndarray, " rating"]
    value: Float32[np.ndarray, " rating"]

    def __len__(self) -> int:
        return len(self.utterance)


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What one encoder made of every utterance in one modality.

    Attributes:
        name: The encoder's id with "/" as "--", and what differs from the default behind it.
        vectors: NaN in the rows whose status is not DONE.
        status: PENDING, DONE or FAILED.
        crc32: Of each row's little-endian float32 bytes.
        error: Why a row failed; "" elsewhere.
        attrs: encoder, revision, weights_sha256, layer, pooling, precision, sampling_rate_hz,
            libraries (name -> version), as far as known.
    """

    modality: str
    name: str
    vectors: Float32[np.ndarray, "utterance feature"]
    status: UInt8[np.ndarray, " utterance"]
    crc32: UInt32[np.ndarray, " utterance"]
    error: Shaped[np.ndarray, " utterance"]
    attrs: Mapping[str, Attribute] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.status)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transcripts:
    """What one speech-recognition model heard in every utterance's audio.

    Attributes:
        name: The model's id with "/" as "--".
        text: "" where the model heard nothing, and where the status is not DONE.
        status: PENDING, DONE or FAILED.
        error: Why a row failed; "" elsewhere.
        attrs: model, revision, weights_sha256, sampling_rate_hz, libraries, as far as known.
    """

    name: str
    text: Shaped[np.ndarray, " utterance"]
    status: UInt8[np.ndarray, " utterance"]
    error: Shaped[np.ndarray, " utterance"]
    attrs: Mapping[str, Attribute] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.status)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CacheContent:
    """Everything that is written to a cache.

    Attributes:
        transcripts: By name.
        attrs: Further attributes of the root.
    """

    corpus: str
    protocol: str
    utterances: UtteranceTable
    votes: VoteTable
    embeddings: tuple[Embedding, ...]
    ratings: RatingTable | None = None
    transcripts: tuple[Transcripts, ...] = ()
    attrs: Mapping[str, Attribute] = field(default_factory=dict)


def make_embedding(
    vectors: Float32[np.ndarray, "utterance feature"],
    *,
    modality: str,
    name: str,
    status: UInt8[np.ndarray, " utterance"],
    error: Sequence[str] | None = None,
    attrs: Mapping[str, Attribute] | None = None,
) -> Embedding:
    """An embedding with its row checksums computed; rows that are not DONE become NaN."""
    vectors = np.where((status == DONE)[:, None], vectors, np.float32(np.nan))
    return Embedding(
        modality=modality,
        name=name,
        vectors=vectors,
        status=status,
        crc32=row_crc32(vectors),
        error=text_array([""] * len(status) if error is None else list(error)),
        attrs=dict(attrs or {}),
    )


def utterance_table(
    utterances: Sequence[Utterance],
    *,
    duration_s: Mapping[str, float] | None = None,
    audio_sha256: Mapping[str, str] | None = None,
    audio_bytes: Mapping[str, int] | None = None,
    audio_mtime_ns: Mapping[str, int] | None = None,
) -> UtteranceTable:
    """The utterances of a corpus as a table, in their order.

    Args:
        utterances: Sorted by id.
        duration_s: By id, what decoding found; elsewhere it is end minus start where an end is
            given, else unknown.
        audio_sha256: By id, of the audio file's bytes.
        audio_bytes: By id, size of the audio file.
        audio_mtime_ns: By id, when it was last changed.
    """
    durations, hashes, sizes = duration_s or {}, audio_sha256 or {}, audio_bytes or {}
    times = audio_mtime_ns or {}
    places = [np.nan if item.place_s is None else item.place_s for item in utterances]
    lengths = [durations.get(item.id, _given_duration(item)) for item in utterances]
    paths = ["" if item.audio is None else item.audio.as_posix() for item in utterances]
    return UtteranceTable(
        id=text_array([item.id for item in utterances]),
        start_s=np.array(places, np.float32),
        duration_s=np.array(lengths, np.float32),
        audio_path=text_array(paths),
        audio_sha256=text_array([hashes.get(item.id, "") for item in utterances]),
        audio_bytes=np.array([sizes.get(item.id, -1) for item in utterances], np.int64),
        audio_mtime_ns=np.array([times.get(item.id, -1) for item in utterances], np.int64),
        **{name: text_array([getattr(u, name) for u in utterances]) for name in TEXT_COLUMNS},
    )


def votes_table(utterances: Sequence[Utterance]) -> VoteTable:
    """The votes of a corpus as a table: by utterance, then in the corpus's order.

    `labels` holds the labels that have votes: the common vocabulary in its order, then the
    corpus's own by name.
    """
    rows = [(index, vote) for index, item in enumerate(utterances) for vote in item.votes]
    used = {vote.label for _, vote in rows}
    labels = (*(label for label in LABELS if label in used), *sorted(used.difference(LABELS)))
    if len(labels) > np.iinfo(np.int16).max:
        raise CacheError(f"the votes have {len(labels)} different labels; a cache holds 32767")
    index_of = {label: index for index, label in enumerate(labels)}
    return VoteTable(
        utterance=np.array([index for index, _ in rows], np.int32),
        rater=text_array([vote.rater for _, vote in rows]),
        kind=text_array([vote.kind for _, vote in rows]),
        label=np.array([index_of[vote.label] for _, vote in rows], np.int16),
        primary=np.array([vote.primary for _, vote in rows], np.bool_),
        labels=labels,
    )


def ratings_table(utterances: Sequence[Utterance]) -> RatingTable | None:
    """The ratings of a corpus as a table: by utterance, then in its order; None without any."""
    rows = [(index, rating) for index, item in enumerate(utterances) for rating in item.ratings]
    if not rows:
        return None
    return RatingTable(
        utterance=np.array([index for index, _ in rows], np.int32),
        rater=text_array([rating.rater for _, rating in rows]),
        kind=text_array([rating.kind for _, rating in rows]),
        dimension=text_array([rating.dimension for _, rating in rows]),
        value=np.array([rating.value for _, rating in rows], np.float32),
    )


def _given_duration(utterance: Utterance) -> float:
    if utterance.end_s is None:
        return np.nan
    return utterance.end_s - (utterance.start_s or 0.0)
