"""What is wrong with a cache, if anything, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EmbeddingCount:
    """How many rows of one embedding are done, failed and pending."""

    modality: str
    name: str
    dimension: int
    done: int
    failed: int
    pending: int


@dataclass(frozen=True, slots=True)
class TranscriptCount:
    """How many utterances a model has transcribed, failed at, and not yet had."""

    name: str
    done: int
    failed: int
    pending: int


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify_cache` found.

    Attributes:
        problems: One line each, first the place in the file; none in a sound cache.
        unprotected: Datasets, and attributes ("/votes/@labels"), without a checksum.
        num_utterances: 0 where the table can't be read; so with the other counts.
        embeddings: Those that can be read.
    """

    path: Path
    problems: tuple[str, ...]
    unprotected: tuple[str, ...] = ()
    num_utterances: int = 0
    num_votes: int = 0
    num_ratings: int = 0
    embeddings: tuple[EmbeddingCount, ...] = ()
    transcripts: tuple[TranscriptCount, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; what is unprotected is not wrong."""
        return not self.problems

    @property
    def lines(self) -> tuple[str, ...]:
        """The report in words, the verdict last."""
        counts = [
            f"{one.modality}/{one.name}: {one.done} done, {one.failed} failed, "
            f"{one.pending} pending, {one.dimension} features"
            for one in self.embeddings
        ]
        counts += [
            f"transcripts/{one.name}: {one.done} done, {one.failed} failed, {one.pending} pending"
            for one in self.transcripts
        ]
        bare = [f"unprotected (no checksum): {', '.join(self.unprotected)}"]
        verdict = "sound" if self.ok else f"{len(self.problems)} problems"
        return (
            f"{self.num_utterances} utterances, {self.num_votes} votes, {self.num_ratings} ratings",
            *counts,
            *(bare if self.unprotected else ()),
            *(f"problem: {problem}" for problem in self.problems),
            f"{self.path}: {verdict}",
        )
