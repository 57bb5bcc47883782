"""Whether runs may stand in one report: the same utterances, votes, folds and embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from amber_cache.errors import RunError
from amber_heads.reading.stored import StoredRun

#: Settings whose change makes another set of soft labels of the same corpus.
POLICY = ("keep", "raters", "choices")


def is_variant(run: StoredRun, first: StoredRun) -> bool:
    """Of the same corpus and classes under another label policy."""
    own, others = run.config.get("settings", {}), first.config.get("settings", {})
    changed = any(own.get(key) != others.get(key) for key in POLICY)
    same = run.summary.get("corpus") == first.summary.get("corpus")
    return changed and same and run.classes == first.classes


def refuse_other(run: StoredRun, first: StoredRun) -> None:
    """Refuse a run that can't be paired with the first, utterance by utterance.

    Raises:
        RunError: It is of other data, classes or folds; says which.
    """
    for what in _other(run, first):
        raise RunError(
            f"{run.path} and {first.path} are of different {what}; a report compares runs on the "
            "same cache, classes and folds: give each group a report of its own"
        )


def _other(run: StoredRun, first: StoredRun) -> Iterator[str]:
    if run.summary.get("corpus") != first.summary.get("corpus"):
        yield f"corpora: {run.summary.get('corpus')!r} and {first.summary.get('corpus')!r}"
    if run.classes != first.classes:
        yield f"classes: {', '.join(run.classes)} and {', '.join(first.classes)}"
    mine, theirs = run.texts["id"], first.texts["id"]
    if mine.tolist() != theirs.tolist():
        shared = len(np.intersect1d(mine, theirs))
        yield f"utterances: {len(mine)} and {len(theirs)}, of which they share {shared}"
        return
    if not np.array_equal(run.votes, first.votes):
        rows = (run.votes != first.votes).any(axis=1)
        yield f"votes: those of {rows.sum()} of {len(rows)} utterances differ"
    moved = (run.fold != first.fold) | (run.texts["test_set"] != first.texts["test_set"])
    if moved.any():
        yield f"folds: {moved.sum()} of {len(moved)} utterances are tested in another"
    same_names = run.summary.get("encoders") == first.summary.get("encoders")
    if same_names and run.config.get("data") != first.config.get("data"):
        yield "caches: the same utterances, but other embeddings under the same names"


def common_seeds(runs: Sequence[StoredRun]) -> tuple[tuple[int, ...], list[str]]:
    """The seeds that all runs have, and a line for each run that has more.

    Raises:
        RunError: They have none in common.
    """
    common = tuple(seed for seed in runs[0].seeds if all(seed in one.seeds for one in runs))
    if not common:
        listed = "; ".join(f"{one.path}: {', '.join(map(str, one.seeds))}" for one in runs)
        raise RunError(f"the runs have no seed in common ({listed}); train them with the same")
    told = [
        f"{one.path}: only its seeds {', '.join(map(str, common))} are compared, of "
        f"{len(one.seeds)}: not all runs have the others"
        for one in runs
        if len(one.seeds) > len(common)
    ]
    return common, told
