"""What a run is judged on: a cache's utterances, their soft labels, and every model's answers.

On the data that the run was trained on, each utterance is answered by the models of the fold that
tests it; on any other, by all models of a seed together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from amber_cache.errors import ConfigError
from amber_cache.store import Cache, data_hash, text_array
from amber_heads.configuration.options import FUSION
from amber_heads.counting import counted
from amber_heads.floors import fold_means
from amber_heads.folds import Fold
from amber_heads.policies.codes import is_unknown
from amber_heads.reading.prediction_files import open_predictions
from amber_heads.using.answers import Answers
from amber_heads.using.eval_labels import Labels
from amber_heads.using.loaded import LoadedRun
from amber_heads.using.members import Gathered, answer_head, lacks
from amber_heads.using.own_folds import used_ids

#: What stands for the training part where a run is judged on other data.
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Utterances with soft labels, and what the models say of them.

    Attributes:
        classes: Those that are judged: the run's, less what the other corpus does not have.
        heads: Those that can answer.
        answer: The one whose answer is the run's.
        folds: The run's own; on other data one, without a training part.
        per_seed: Of each seed alone; NaN where its models have diverged, and where no fold tests.
        ensemble: Of all that may answer.
        prior: On other data, the mean soft label that the run was trained on.
        policy: How the votes were read.
        left_out: Utterances that are not judged, by reason.
    """

    ids: np.ndarray
    corpus: str
    protocol: str
    classes: tuple[str, ...]
    heads: tuple[str, ...]
    answer: str
    counts: Float[np.ndarray, "utterance class"]
    target: Float[np.ndarray, "utterance class"]
    columns: Mapping[str, np.ndarray]
    folds: tuple[Fold, ...]
    per_seed: Float[np.ndarray, "seed utterance head class"]
    ensemble: Float[np.ndarray, "utterance head class"]
    prior: Float[np.ndarray, " class"] | None
    policy: Mapping[str, Any]
    left_out: Mapping[str, int]
    encoders: Mapping[str, Any]
    notes: tuple[str, ...]
    leakage: Mapping[str, Any]
    fingerprint: str


def judge_other(run: LoadedRun, cache: Cache, gathered: Gathered, labels: Labels) -> Judged:
    """A run on another cache: each seed's models of all folds together.

    Raises:
        ConfigError: No utterance with a soft label can be judged.
    """
    assert labels.map is not None  # asked by the caller
    table = cache.utterances
    place = {name: row for row, name in enumerate(gathered.ids)}
    there = sorted({m for m in _modalities(run)} - _never(run, gathered))
    missing = frozenset(_modalities(run)) - set(there)
    heads = run.heads if not missing else tuple(h for h in run.heads if h in there)
    used, left_out = _used(run, gathered, labels, table.id, place, there)
    ids = np.asarray(table.id, dtype=object)[used]
    if not len(ids):
        told = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise ConfigError(f"{cache.path}: no utterance is left to judge the run on: {told}")
    rows = [place[one] for one in ids]
    answers = run.predict_embeddings({key: one[rows] for key, one in gathered.vectors.items()})
    counts = labels.counts[used]
    columns = {name: np.asarray(getattr(table, name), dtype=object)[used] for name in _COLUMNS}
    vectors = [np.ascontiguousarray(one[rows]) for one in gathered.vectors.values()]
    return Judged(
        ids=ids,
        corpus=cache.corpus,
        protocol=str(labels.policy["protocol"]),
        classes=labels.map.classes,
        heads=heads,
        answer=answer_head(run, missing),
        counts=counts,
        target=counts / counts.sum(axis=1, keepdims=True),
        columns=columns,
        folds=(_whole(columns["split"]),),
        per_seed=np.stack([_restricted(run, answers, seed, heads, labels) for seed in run.seeds]),
        ensemble=_restricted(run, answers, None, heads, labels),
        prior=labels.map.restricted(_prior(run), run.classes),
        policy=labels.policy,
        left_out=left_out,
        encoders=entries_read(run, there),
        notes=(*labels.map.told(), *_seen(run, ids)),
        leakage={},
        fingerprint=data_hash(ids, text_array(labels.map.classes), counts, *vectors),
    )


_COLUMNS = ("speaker", "dialogue", "session", "split")


def _used(
    run: LoadedRun,
    gathered: Gathered,
    labels: Labels,
    ids: np.ndarray,
    place: Mapping[str, int],
    there: Sequence[str],
) -> tuple[Bool[np.ndarray, " utterance"], dict[str, int]]:
    """Who is judged, and how many are left out for what: each under its first reason."""
    reasons = {
        "outside the subset": ~labels.inside,
        "without a counted vote": ~labels.is_voted,
        f"not kept by {labels.policy['keep']}": ~labels.is_kept,
    }
    for key, entry in run.inputs.items():
        if entry.modality in there:
            without = lacks(gathered.vectors[key])
            reasons[f"without {entry.modality}"] = np.array(
                [name not in place or without[place[name]] for name in ids], dtype=bool
            )
    left, left_out = np.ones(len(ids), dtype=bool), {}
    for reason, mask in reasons.items():
        if count := int((left & mask).sum()):
            left_out[reason] = count
        left &= ~mask
    return left, left_out


def _restricted(
    run: LoadedRun, answers: Answers, seed: int | None, heads: Sequence[str], labels: Labels
) -> Float[np.ndarray, "utterance head class"]:
    """The mean over one seed's models, or all, of the heads and classes that are judged."""
    assert labels.map is not None
    if seed is not None and all(one != seed for _, one in answers.members):
        shape = (len(answers), len(heads), len(labels.map.classes))
        return np.full(shape, np.nan)
    mean = (answers if seed is None else answers.of_seed(seed)).mean
    chosen = mean[:, [run.heads.index(head) for head in heads]]
    return labels.map.restricted(chosen, run.classes)


def _never(run: LoadedRun, gathered: Gathered) -> set[str]:
    """The modalities of which no utterance has a vector."""
    return {
        entry.modality
        for key, entry in run.inputs.items()
        if bool(lacks(gathered.vectors[key]).all())
    }


def _prior(run: LoadedRun) -> Float[np.ndarray, " class"]:
    """The mean soft label of the training parts, averaged over folds."""
    with open_predictions(run.folder) as file:
        target = file.array("target", (None, len(run.classes)))
        fold = file.folds(len(target))
        means = fold_means(target, file.training(fold))
        if np.isnan(means).any() or not len(means):
            raise ValueError("has a fold without a training part")
        return np.asarray(means.mean(axis=0))


def _seen(run: LoadedRun, ids: np.ndarray) -> list[str]:
    """A warning where utterances may be those that the run was trained on."""
    used = used_ids(run)
    number = sum(str(one) in used for one in ids)
    have = counted(number, "utterance has an id", "utterances have ids")
    told = f"{have} of the run's own data: some models MAY HAVE SEEN them."
    return [told] if number else []


def _whole(split: np.ndarray) -> Fold:
    """All utterances as one fold: a test set for each official part, and one for all."""
    words = np.array([str(one).strip().lower() for one in split], dtype=object)
    words[is_unknown(split)] = ""
    every = np.arange(len(split))
    named = {name: np.flatnonzero(words == name) for name in sorted(set(words) - {""})}
    one_covers = len(named) == 1 and len(next(iter(named.values()))) == len(split)
    tests = named if one_covers else {ALL: every, **named}
    return Fold(name=ALL, train=every[:0], validation=every[:0], tests=tests or {ALL: every})


def entries_read(run: LoadedRun, modalities: Sequence[str]) -> dict[str, Any]:
    """By modality, the entry's name; a list of them where folds read different ones."""
    names: dict[str, list[str]] = {}
    for one in run.inputs.values():
        if one.modality in modalities:
            names.setdefault(one.modality, []).append(one.entry)
    return {key: one[0] if len(one) == 1 else one for key, one in names.items()}


def _modalities(run: LoadedRun) -> tuple[str, ...]:
    return tuple(head for head in run.heads if head != FUSION)
