"""A system's distributions for every utterance, out of fold, from its trained runs and its rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from amber_heads.comparing.fusion_rules import RULES, VALIDATION, Case, Predicted, judged_name
from amber_heads.configuration.cells import cells_of
from amber_heads.configuration.options import CompareConfig, RunSettings
from amber_heads.configuration.systems import Recipe
from amber_heads.floors import FLOORS, floor_prediction
from amber_heads.folds import Fold
from amber_heads.selection import judging_head, select
from amber_heads.stack.runs import RunResult
from amber_heads.statistics.ensembles import seed_ensemble
from amber_heads.summary import Results


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """One head of one system, or a floor.

    Attributes:
        head: "" where the system has no heads.
        test: (S, N, C) out of fold; NaN where a run diverged or no fold tests an utterance.
        validated: By fold and seed number, the distributions for the fold's validation part.
    """

    name: str
    head: str
    test: Float[np.ndarray, "seed utterance class"]
    validated: Mapping[tuple[int, int], Float[np.ndarray, "_ class"]]

    @property
    def label(self) -> str:
        """As predictions.h5 has it: "amber2/fusion", "late average/"."""
        return f"{self.name}/{self.head}"

    @cached_property
    def ensemble(self) -> Float[np.ndarray, "utterance class"]:
        """The mean of the seeds' distributions."""
        return seed_ensemble(self.test)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One system: how it came about, and its heads.

    Attributes:
        by_fold: The settings that each fold is judged with.
        cells: Those that they were chosen from.
        judged: The head that the system is compared by.
    """

    recipe: Recipe
    cells: tuple[RunSettings, ...]
    by_fold: tuple[RunSettings, ...]
    judged: str
    heads: Mapping[str, Entrant]

    @property
    def entrant(self) -> Entrant:
        """The head that the system is compared by."""
        return self.heads[self.judged]


def compare_system(recipe: Recipe, config: CompareConfig, found: Results) -> Compared:
    """Choose a system's settings for each fold, and apply its rule to every run."""
    cells = cells_of(recipe, config)
    by_fold = _chosen(cells, found)
    pieces = _pieces(recipe, by_fold, config, found)
    heads = {
        head: _entrant(recipe.name, head, pieces, found) for head in next(iter(pieces.values()))
    }
    judged = judged_name(list(heads), judged=judging_head(by_fold[0], found.heads))
    return Compared(recipe=recipe, cells=cells, by_fold=by_fold, judged=judged, heads=heads)


def _chosen(cells: Sequence[RunSettings], found: Results) -> tuple[RunSettings, ...]:
    """Of a system's cells, the one that is best on each fold's validation part."""
    number = len(found.folds)
    if len(cells) == 1:
        return (cells[0],) * number
    results = [one for one in found.results if one.run.settings in set(cells)]
    choice = select(results, settings=cells, heads=found.heads, num_folds=number, how="nested")
    return tuple(cells[one] for one in choice)


def _pieces(
    recipe: Recipe, by_fold: Sequence[RunSettings], config: CompareConfig, found: Results
) -> dict[tuple[int, int], Predicted]:
    """What the rule makes of each run, by fold and seed number."""
    rule = RULES[recipe.rule]
    return {
        (f, s): rule(_case(found.result(by_fold[f], f, seed), found, config.modalities))
        for f in range(len(found.folds))
        for s, seed in enumerate(found.seeds)
    }


def _case(result: RunResult, found: Results, modalities: tuple[str, ...]) -> Case:
    fold = found.folds[result.run.fold]
    return Case(
        modalities=modalities,
        heads=found.heads,
        judged=judging_head(result.run.settings, found.heads),
        training_target=found.target[fold.train],
        validation_target=found.target[fold.validation],
        parts={VALIDATION: result.validation, **result.tests},
    )


def _entrant(
    name: str, head: str, pieces: Mapping[tuple[int, int], Predicted], found: Results
) -> Entrant:
    """Put a head's distributions of all runs where their utterances stand."""
    test = np.full((len(found.seeds), *found.target.shape), np.nan, dtype=found.dtype)
    for (f, s), predicted in pieces.items():
        for part, index in found.folds[f].tests.items():
            test[s, index] = predicted[head][part]
    validated = {place: predicted[head][VALIDATION] for place, predicted in pieces.items()}
    return Entrant(name=name, head=head, test=test, validated=validated)


def floor_entrants(found: Results) -> Iterator[Entrant]:
    """The predictions that look at no input, as systems without heads."""
    for name in FLOORS:
        pieces = {
            (f, s): {"": _floor(name, fold, f, seed, found)}
            for f, fold in enumerate(found.folds)
            for s, seed in enumerate(found.seeds)
        }
        yield _entrant(name, "", pieces, found)


def _floor(name: str, fold: Fold, number: int, seed: int, found: Results) -> dict[str, np.ndarray]:
    parts = {VALIDATION: fold.validation, **fold.tests}
    draw = {"seed": seed, "number": number}
    return {
        part: floor_prediction(name, found.target, fold, index, **draw)
        for part, index in parts.items()
    }
