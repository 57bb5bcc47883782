"""Hand-made run directories of any content, for tests of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from amber_cache.store import text_array
from amber_heads.results import json_bytes as as_json
from amber_heads.results import make_config, predictions_bytes, write_run

CLASSES = ("neutral", "happy", "angry", "sad")


@dataclass(frozen=True)
class Made:
    """What a hand-made run directory holds."""

    ids: list[str]
    classes: tuple[str, ...]
    votes: np.ndarray
    fold: np.ndarray
    test: dict[str, np.ndarray]


def make_run(
    folder: Path,
    *,
    heads: Sequence[str] = ("amber2/fusion", "amber2/audio", "amber2/text", "cb-ce/fusion"),
    number: int = 60,
    seeds: Sequence[int] = (0, 1, 2),
    classes: Sequence[str] = CLASSES,
    num_folds: int = 5,
    num_raters: int = 3,
    command: str = "compare",
    ids: Sequence[str] | None = None,
    speakers: Sequence[str] | None = None,
    test_sets: Sequence[str] = ("test",),
    without: Sequence[str] = (),
    random_seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    corpus: str = "manifest",
    diverged: Sequence[str] = (),
    lost_fold: int | None = None,
) -> Made:
    """Write a run directory as `amber compare` or `amber fit` leaves it, with made-up figures.

    Args:
        heads: "SYSTEM/HEAD" each; plain heads for another command.
        test_sets: With several, one fold: a quarter of the utterances trains, one validates, the
            rest go round the test sets.
        without: Files that are left out.
        diverged: Heads whose first seed is NaN.
        lost_fold: A fold of which every run has diverged.
    """
    random = np.random.default_rng(random_seed)
    data = np.random.default_rng(0)
    num_classes = len(classes)
    shares = data.dirichlet(np.full(num_classes, 0.6), size=number)
    votes = np.array([data.multinomial(num_raters, one) for one in shares], dtype=float)
    target = votes / votes.sum(1, keepdims=True)
    is_official = len(test_sets) > 1
    place = np.arange(number)
    fold = np.where(place % 4 < 2, -1, 0) if is_official else place % num_folds
    shape = (len(seeds), len(heads), number, num_classes)
    noise = random.dirichlet(np.ones(num_classes), size=shape[:3])
    sharp = np.linspace(0.75, 0.45, len(heads))[None, :, None, None]
    test = (sharp * target + (1 - sharp) * noise).astype(np.float32)
    for head in diverged:
        test[0, list(heads).index(head)] = np.nan
    validation = np.full((int(fold.max()) + 1, *shape), np.nan, np.float32)
    for one in range(len(validation)):
        rows = place % 4 == 1 if is_official else fold == (one + 1) % num_folds
        validation[one][:, :, rows] = test[:, :, rows]
    test[:, :, fold < 0] = np.nan
    training = np.isnan(validation).all(axis=(1, 2, 4)) & (
        fold != np.arange(len(validation))[:, None]
    )
    if lost_fold is not None:
        test[:, :, fold == lost_fold] = validation[lost_fold] = np.nan
    names = list(ids or (f"u{i:05d}" for i in range(number)))
    arrays = {
        "id": text_array(names),
        "target": target,
        "votes": votes,
        "speaker": text_array(list(speakers or (f"p{i % 10}" for i in range(number)))),
        "dialogue": text_array([f"d{i % 15}" for i in range(number)]),
        "session": text_array([f"s{i % 5}" for i in range(number)]),
        "fold": fold,
        "test_set": text_array(np.where(fold < 0, "", np.resize(test_sets, number)).tolist()),
        "test": test,
        "validation": validation,
        "training": training,
    }
    attributes = {"classes": list(classes), "heads": list(heads), "seeds": list(seeds)}
    told = [dict(settings or {"loss": "amber2"})] * num_folds
    summary = {
        "format": "amber-run",
        "format_version": 1,
        "command": command,
        "corpus": corpus,
        "protocol": "",
        "classes": list(classes),
        "heads": list(heads),
        "encoders": {"audio": "mel", "text": "hash"},
        "seeds": list(seeds),
        "folds": [
            {"name": f"s{one}", "train": 0, "validation": 0, "test": 0}
            for one in range(int(fold.max()) + 1)
        ],
        "test_sets": list(test_sets),
        "axes": [],
        "configurations": [],
        "selected": {"settings": told},
        "systems": {one.rpartition("/")[0]: {"settings": told} for one in heads},
        "utterances": {"used": number, "left_out": {}},
        "leakage": {},
        "diverged_runs": [],
    }
    content = {
        "summary.json": as_json(summary),
        "predictions.h5": predictions_bytes(arrays, attributes),
    }
    config = make_config(
        command,
        {"keep": "all-in", "raters": "external", **(settings or {})},
        fingerprint="made",
        version="0",
    )
    write_run(folder, config, content)
    for name in without:
        (folder / name).unlink()
    by_head = {head: test[:, number_] for number_, head in enumerate(heads)}
    return Made(names, tuple(classes), votes, fold, by_head)
