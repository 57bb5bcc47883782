"""Caches made of records and random vectors, for tests that need no corpus and no encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from amber_cache.records import Utterance, Vote
from amber_cache.store import (
    DONE,
    CacheContent,
    make_embedding,
    utterance_table,
    votes_table,
    write_cache,
)

LABELS = ("neutral", "happy", "angry", "sad")


def utterances(
    number: int = 40, *, labels: Sequence[str] = LABELS, num_sessions: int = 5, num_raters: int = 3
) -> list[Utterance]:
    """Utterances that go round the sessions; each has a leading label that most raters name."""
    random = np.random.default_rng(0)
    made = []
    for i in range(number):
        lead = i // num_sessions % len(labels)
        named = np.where(random.random(num_raters) < 0.7, lead, random.integers(len(labels)))
        made.append(
            Utterance(
                id=f"u{i:03d}",
                speaker=f"p{i % (2 * num_sessions)}",
                session=f"s{i % num_sessions}",
                dialogue=f"d{i % num_sessions}",
                consensus=labels[lead],
                text=f"text {i}",
                votes=tuple(Vote(f"r{r}", labels[one]) for r, one in enumerate(named)),
            )
        )
    return made


def changed(
    made: Sequence[Utterance], change: Callable[[int, Utterance], dict[str, object]]
) -> list[Utterance]:
    """The utterances with some fields replaced, by their number."""
    return [replace(one, **change(i, one)) for i, one in enumerate(made)]


def small_cache(
    path: Path,
    made: Sequence[Utterance] | None = None,
    *,
    entries: Sequence[tuple[str, str]] = (("audio", "mel"), ("text", "hash")),
    corpus: str = "manifest",
    protocol: str = "",
) -> Path:
    """Write a cache whose vectors hint at the consensus label; gives its path."""
    made = utterances() if made is None else list(made)
    leads = sorted({one.consensus for one in made})
    lead = np.array([leads.index(one.consensus) for one in made])
    embeddings = []
    for number, (modality, name) in enumerate(entries):
        noise = np.random.default_rng([1, number]).normal(size=(len(made), 6))
        hint = np.eye(6)[lead % 6] * 2
        embeddings.append(
            make_embedding(
                (noise + hint).astype(np.float32),
                modality=modality,
                name=name,
                status=np.full(len(made), DONE, np.uint8),
                attrs={
                    "encoder": name.partition("@")[0],
                    "layer": int(name.partition("@layer")[2] or -1),
                    "pooling": "mean",
                    "precision": "float32",
                },
            )
        )
    content = CacheContent(
        corpus=corpus,
        protocol=protocol,
        utterances=utterance_table(made),
        votes=votes_table(made),
        embeddings=tuple(embeddings),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_cache(path, content)
    return path
