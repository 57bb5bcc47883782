"""A run on the data that it was trained on: each fold's models judge its test part.

They read what they were trained on, or other entries of the same cache by the same encoders: texts
that a speech-recognition model heard in the place of those that people wrote, for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from amber_cache.errors import ConfigError
from amber_cache.store import data_hash
from amber_heads.folds import Fold
from amber_heads.leakage import measure_leakage, shared_only
from amber_heads.using.eval_labels import POLICY
from amber_heads.using.judged import Judged, entries_read
from amber_heads.using.loaded import LoadedRun
from amber_heads.using.members import Gathered, lacks
from amber_heads.using.own_folds import OwnData


@dataclass(frozen=True)
class Elsewhere:
    """What is read in the place of what the run was trained on.

    Attributes:
        gathered: Through those entries.
        named: By modality, the entry.
    """

    gathered: Gathered
    named: Mapping[str, str]

    @property
    def text(self) -> str:
        """For notes and reasons: "text=hash@asr"."""
        return ", ".join(f"{modality}={name}" for modality, name in self.named.items())


def judge_own(run: LoadedRun, own: OwnData, elsewhere: Elsewhere | None = None) -> Judged:
    """Every utterance by the models that have not seen it.

    Args:
        elsewhere: None: what the run was trained on is read again.

    Raises:
        ConfigError: Not one of the run's utterances has a vector there.
    """
    prepared, dataset = own.prepared, own.prepared.dataset
    vectors = _trained_on(run, own)
    used = np.ones(len(dataset), dtype=bool)
    left_out, fingerprint = dict(dataset.left_out), prepared.fingerprint
    note = "The data that the run was trained on: each fold's models judge its test part."
    if elsewhere is not None:
        vectors, used = _read_elsewhere(run, dataset.ids, elsewhere)
        if missing := int((~used).sum()):
            left_out[f"without a vector in {elsewhere.text}"] = missing
        fingerprint = data_hash(dataset.ids[used], *vectors.values())
        note += f" It reads {elsewhere.text}, and was not trained on that."
    folds = tuple(_of_used(one, used) for one in prepared.folds)
    per_seed = _per_seed(run, folds, vectors, int(used.sum()))
    entries = entries_read(run, run.heads)
    return Judged(
        ids=dataset.ids[used],
        corpus=dataset.corpus,
        protocol=str(prepared.config.protocol),
        classes=run.classes,
        heads=run.heads,
        answer=run.judged_by,
        counts=dataset.counts[used],
        target=dataset.target[used],
        columns={name: one[used] for name, one in dataset.columns.items()},
        folds=folds,
        per_seed=per_seed,
        ensemble=_mean_of_there(per_seed),
        prior=None,
        policy={name: str(getattr(prepared.config, name)) for name in POLICY},
        left_out=left_out,
        encoders={**entries, **(elsewhere.named if elsewhere else {})},
        notes=(note,),
        leakage=shared_only(measure_leakage(prepared.folds, dataset.columns)),
        fingerprint=fingerprint,
    )


def _trained_on(run: LoadedRun, own: OwnData) -> dict[str, Float[np.ndarray, "utterance _"]]:
    """By the run's keys, the vectors of its data."""
    there = {
        (modality, one.encoders[modality]): vectors
        for one in own.prepared.datasets.values()
        for modality, vectors in one.inputs.items()
    }
    return {key: there[one.modality, one.entry] for key, one in run.inputs.items()}


def _read_elsewhere(
    run: LoadedRun, ids: np.ndarray, elsewhere: Elsewhere
) -> tuple[dict[str, Float[np.ndarray, "used _"]], Bool[np.ndarray, " utterance"]]:
    """The vectors of those of the run's utterances that have all of them, and which these are."""
    gathered = elsewhere.gathered
    missing = np.any([lacks(one) for one in gathered.vectors.values()], axis=0)
    row_of = {one: row for row, one in enumerate(gathered.ids) if not missing[row]}
    used = np.array([str(one) in row_of for one in ids], dtype=bool)
    if not used.any():
        raise ConfigError(
            f"{elsewhere.text}: has no vector of any of the {len(ids)} utterances that the run was "
            "trained on"
        )
    rows = [row_of[str(one)] for one in ids[used]]
    return {key: np.ascontiguousarray(gathered.vectors[key][rows]) for key in run.inputs}, used


def _of_used(fold: Fold, used: Bool[np.ndarray, " utterance"]) -> Fold:
    """A fold's parts among the utterances that are used."""
    place = np.cumsum(used) - used

    def kept(part: np.ndarray) -> np.ndarray:
        return np.asarray(place[part[used[part]]])

    tests = {name: kept(part) for name, part in fold.tests.items()}
    return replace(fold, train=kept(fold.train), validation=kept(fold.validation), tests=tests)


def _per_seed(
    run: LoadedRun,
    folds: tuple[Fold, ...],
    vectors: Mapping[str, Float[np.ndarray, "utterance _"]],
    number: int,
) -> Float[np.ndarray, "seed utterance head class"]:
    """What each fold's models say of its test part; NaN where they diverged or no fold tests."""
    found = np.full((len(run.seeds), number, len(run.heads), len(run.classes)), np.nan)
    for place, fold in enumerate(folds):
        members = [one for one in run.members if one[0] == place]
        for test in fold.tests.values() if members else ():
            read = {key: one[test] for key, one in vectors.items()}
            answers = run.predict_embeddings(read, members=members)
            for row, (_, seed) in enumerate(members):
                found[run.seeds.index(seed), test] = answers.distributions[row]
    return found


def _mean_of_there(
    per_seed: Float[np.ndarray, "seed utterance head class"],
) -> Float[np.ndarray, "utterance head class"]:
    """The mean over the seeds that did not diverge; NaN where none is."""
    there = ~np.isnan(per_seed)
    total = np.where(there, per_seed, 0).sum(axis=0)
    number = there.sum(axis=0)
    return np.asarray(np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0))
