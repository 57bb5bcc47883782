"""Vectors -> groups of answers: which models may judge an item, and which head answers for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from amber_cache.errors import ConfigError
from amber_heads.configuration.options import FUSION
from amber_heads.counting import counted
from amber_heads.using.answers import Member
from amber_heads.using.forecast import ALL_MODELS, OWN_FOLD, Failure, Group, Item
from amber_heads.using.loaded import LoadedRun

#: What is said of conflicts between heads that have no supervision of their own.
TAUGHT_BY_STUDENT = "understated: these heads learnt from the student, not from the raters"


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """Items and their vectors, ready for the models.

    Attributes:
        ids: Of the utterances, by which a run's own data is known.
        vectors: By the run's keys; a row of NaN where the item lacks that modality.
        failures: Items that are not among these.
        notes: What the user should be told.
    """

    ids: tuple[str, ...]
    items: tuple[Item, ...]
    vectors: Mapping[str, Float[np.ndarray, "utterance _"]]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    fold_of: Mapping[str, int] = field(default_factory=dict)


def answer_head(run: LoadedRun, missing: Collection[str]) -> str:
    """Whose answer counts where some modalities are missing: the run's, or a modality's own head.

    Raises:
        ConfigError: All are missing, or that head was never taught by the raters; the message says
            what to do.
    """
    if not missing:
        return run.judged_by
    there = [head for head in run.heads if head != FUSION and head not in missing]
    if not there:
        lost = " and ".join(sorted(missing))
        raise ConfigError(
            f"without {lost} nothing is left that the run reads; give {_giving(run, missing)}"
        )
    if supervised := [head for head in there if head in run.supervised]:
        return supervised[0]
    told = run.settings[0]
    raise ConfigError(
        f"without {' and '.join(sorted(missing))} the {' or '.join(there)} head would have to "
        f"answer, and the raters never taught it (--loss {told.get('loss')}, --student "
        f"{told.get('student')}, --expert-loss {told.get('expert_loss')}); give what is missing "
        f"({_giving(run, missing)}), or train with --expert-loss 1 or another --loss"
    )


def refuse_unanswerable(run: LoadedRun, lacking: Iterable[frozenset[str]]) -> None:
    """Refuse material of which not one item can be answered, before anything is encoded.

    Raises:
        ConfigError: As `answer_head`.
    """
    for missing in (every := set(lacking)):
        try:
            answer_head(run, missing)
        except ConfigError:
            if len(every) == 1:
                raise
        else:
            return
    if every:
        answer_head(run, next(iter(every)))


def grouped_answers(
    run: LoadedRun,
    gathered: Gathered,
    *,
    conflicts: Mapping[int, float] | None = None,
) -> tuple[tuple[Group, ...], tuple[Failure, ...]]:
    """Answer every item that can be, in groups; the others are failures.

    An utterance that a fold tests is answered by that fold's models alone.

    Args:
        conflicts: By the item's place, from another run; None: this run's own.
    """
    groups, failures = [], []
    members = _members_by_fold(run)
    for (missing, fold), places in _parted(run, gathered).items():
        try:
            head = answer_head(run, missing)
        except ConfigError as error:
            failures += [Failure(gathered.items[place].id, str(error)) for place in places]
            continue
        vectors = {key: one[places] for key, one in gathered.vectors.items()}
        answers = run.predict_embeddings(vectors, members=None if fold < 0 else members[fold])
        own = answers.conflict if conflicts is None else [conflicts[place] for place in places]
        groups.append(
            Group(
                items=tuple(gathered.items[place] for place in places),
                answers=answers,
                models=ALL_MODELS if fold < 0 else OWN_FOLD,
                missing=tuple(one for one in run.heads if one in missing),
                answer=head,
                conflict=np.asarray(own, dtype=np.float64),
            )
        )
    return tuple(groups), tuple(failures)


def conflicts_of(run: LoadedRun, gathered: Gathered) -> dict[int, float]:
    """The conflict of every item between a run's modality heads, by the item's place.

    Raises:
        ConfigError: The raters did not teach these heads, or there are not two.
    """
    alone = [head for head in run.heads if head != FUSION]
    untaught = [head for head in alone if head not in run.supervised]
    if len(alone) < 2 or untaught:
        why = f"the raters did not teach its {untaught[0]} head" if untaught else "it has one head"
        raise ConfigError(
            f"--conflict-from {run.folder}: {why}; name a run of --loss cb-ce, soft-ce, kl or js, "
            "or one with --expert-loss 1, of several modalities"
        )
    found: dict[int, float] = {}
    members = _members_by_fold(run)
    for (_, fold), places in _parted(run, gathered).items():
        vectors = {key: one[places] for key, one in gathered.vectors.items()}
        answers = run.predict_embeddings(vectors, members=None if fold < 0 else members[fold])
        found |= dict(zip(places, answers.conflict.tolist(), strict=True))
    return found


def left_out_models(run: LoadedRun) -> tuple[str, ...]:
    """What to tell of models that have diverged; () where none has."""
    are = counted(len(run.diverged), "model diverged and is", "models diverged and are")
    return (f"{are} left out",) if run.diverged else ()


def lacks(vectors: Float[np.ndarray, "utterance _"]) -> Bool[np.ndarray, " utterance"]:
    """Which rows are missing."""
    return np.asarray(np.isnan(vectors).any(axis=1))


def _parted(run: LoadedRun, gathered: Gathered) -> dict[tuple[frozenset[str], int], list[int]]:
    """Places of the items by what they lack and by the fold that tests them, -1 for none."""
    missing: list[set[str]] = [set() for _ in gathered.items]
    for key, entry in run.inputs.items():
        for place in np.flatnonzero(lacks(gathered.vectors[key])).tolist():
            missing[place].add(entry.modality)
    parts: dict[tuple[frozenset[str], int], list[int]] = {}
    for place, name in enumerate(gathered.ids):
        fold = gathered.fold_of.get(name, -1)
        parts.setdefault((frozenset(missing[place]), fold), []).append(place)
    return parts


def _members_by_fold(run: LoadedRun) -> Sequence[tuple[Member, ...]]:
    return [tuple(one for one in run.members if one[0] == fold) for fold in range(len(run.folds))]


def _giving(run: LoadedRun, missing: Collection[str]) -> str:
    heard = [one.attrs.get("transcriber") for one in run.inputs.values() if one.modality == "text"]
    model = next(filter(None, heard), "MODEL")  # who wrote the text that the run was trained on
    ways = {"text": f"a manifest with transcripts, --transcribe {model}", "audio": "audio files"}
    return ", ".join(ways.get(one, one) for one in sorted(missing))
