"""Finished runs of one, two and three modalities, and names that no export may tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from amber_cache.records import Rating, Utterance, Vote
from tests.commands import amber
from tests.small_caches import changed, small_cache

ENTRIES = (("audio", "mel"), ("text", "hash"), ("face", "vgg"))
FAST = ("--epochs", 2, "--hidden", 5, "--seeds", 2, "--num-folds", 3, "--quiet")


def exported_run(folder: Path, *modalities: str, more: tuple[object, ...] = ()) -> Path:
    """Train a small run; gives its directory."""
    cache = folder / "data" / "cache.h5"
    if not cache.exists():
        small_cache(cache, entries=ENTRIES)
    loss = ("--loss", "js") if len(modalities) == 1 else ()
    out = folder / "-".join(modalities)
    chosen = ("--modalities", ",".join(modalities))
    finished = amber("fit", *FAST, *loss, *chosen, *more, "--out", out, cwd=folder)
    assert finished.status == 0, finished.err
    return out


def with_long_names(made: Sequence[Utterance]) -> list[Utterance]:
    """Names that could not stand in a file by chance, and every text that a corpus has."""
    speakers = ["Zoe-Zebra", "anna-anteater", "Unknown", "dan-dolphin", "Emil-Eagle", ""]
    named = changed(
        made,
        lambda i, one: {
            "id": f"utterance-{i * 7 % 40:03d}",
            "speaker": speakers[i % 6],
            "session": f"session-of-{'dbeac'[i % 5]}",
            "dialogue": f"dialogue-about-{'qwertzui'[i % 8]}",
            "text": f"the secret words of number {i}",
            "audio": Path(f"wav/folder/recording-{i}.wav"),
            "style": ("scripted", "improvised")[i % 2],
            "split": ("train", "development", "test1", "train")[i % 4],
            "votes": (
                *(replace(vote, rater=f"rater-named-{vote.rater}") for vote in one.votes),
                Vote("rater-named-r0", one.votes[0].label, primary=False),
                Vote("rater-named-r0", "sad", primary=False),
            ),
            "ratings": (Rating("rater-named-r9", "arousal", 2.0 + i % 3),),
        },
    )
    return sorted(named, key=lambda one: one.id)
