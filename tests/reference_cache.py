"""Small caches of given votes, written and read through the store, for tests of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amber_cache.records import Utterance, Vote
from amber_cache.store import (
    DONE,
    FAILED,
    CacheContent,
    make_embedding,
    open_cache,
    utterance_table,
    votes_table,
    write_cache,
)
from amber_heads.data import Dataset, load_dataset

FOUR = "neutral,happy+excited,angry,sad"


def utterance(name: str, *labels: str | Vote, **columns: str) -> Utterance:
    """An utterance whose raters r0, r1, ... gave these labels."""
    votes = tuple(
        label if isinstance(label, Vote) else Vote(f"r{number}", label)
        for number, label in enumerate(labels)
    )
    return Utterance(id=name, votes=votes, **columns)  # type: ignore[arg-type]


def write(path: Path, utterances: Sequence[Utterance], failed: Mapping[str, Sequence[str]]) -> Path:
    """A cache of two modalities, whose encoders failed on the utterances named."""
    embeddings = []
    for number, modality in enumerate(("audio", "text")):
        bad = failed.get(modality, ())
        status = np.array([FAILED if one.id in bad else DONE for one in utterances], np.uint8)
        vectors = np.arange(3.0 * len(utterances)).reshape(-1, 3).astype(np.float32) + 100 * number
        embeddings.append(
            make_embedding(vectors, modality=modality, name=f"{modality}-encoder", status=status)
        )
    content = CacheContent(
        corpus="made",
        protocol="",
        utterances=utterance_table(utterances),
        votes=votes_table(utterances),
        embeddings=tuple(embeddings),
    )
    write_cache(path, content)
    return path


def load(
    path: Path,
    utterances: Sequence[Utterance],
    *,
    failed: Mapping[str, Sequence[str]] | None = None,
    modalities: Sequence[str] = ("audio", "text"),
    **policy: Any,
) -> Dataset:
    asked: dict[str, Any] = {"classes": FOUR, "keep": "all-in", "raters": "external"}
    asked |= {"choices": "primary", **policy}
    with open_cache(write(path / "cache.h5", utterances, failed or {})) as cache:
        return load_dataset(cache, modalities=modalities, encoders={}, **asked)
