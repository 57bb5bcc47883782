"""From trained runs to figures: every metric, a seed, a fold and a head at a time.

A seed's figure is computed on its pooled out-of-fold predictions; mean and standard deviation
(ddof = 1) are over seeds. The mean over folds and its spread stand beside it: sessions differ
much more than seeds do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from amber_heads.configuration.options import RunSettings, told
from amber_heads.floors import FLOORS, floor_prediction
from amber_heads.folds import Fold
from amber_heads.metrics import METRICS, evaluate
from amber_heads.stack.runs import RunResult

#: (test set, seed number, fold number) -> (n, C) for that fold's test utterances.
Predictor = Callable[[str, int, int], Float[np.ndarray, "test class"]]

#: One metric's figures: mean, std, per_seed, per_fold, fold_mean, fold_std.
Figures = dict[str, Any]


class Results:
    """Trained runs, found by settings, fold and seed."""

    def __init__(
        self,
        results: Sequence[RunResult],
        *,
        target: Float[np.ndarray, "utterance class"],
        folds: Sequence[Fold],
        seeds: Sequence[int],
        heads: Sequence[str],
    ) -> None:
        self.results = tuple(results)
        self.target, self.folds = target, tuple(folds)
        self.seeds, self.heads = tuple(seeds), tuple(heads)
        self.test_sets = tuple(dict.fromkeys(name for fold in folds for name in fold.tests))
        self.dtype = self.results[0].validation.dtype  # predictions are kept as precise as they are
        self._found = {(r.run.settings, r.run.fold, r.run.seed): r for r in results}

    def result(self, settings: RunSettings, fold: int, seed: int) -> RunResult:
        """One run's result."""
        return self._found[settings, fold, seed]

    def of_seeds(self, number: int) -> Results:
        """The same with the first seeds alone: for what has fewer than all, such as their mean."""
        found = copy.copy(self)
        found.seeds = self.seeds[:number]
        return found

    def chosen(self, by_fold: Sequence[RunSettings]) -> dict[str, dict[str, dict[str, Figures]]]:
        """Figures by head, test set and metric, each fold with its own settings."""

        def predictor(head: int) -> Predictor:
            def predict(test: str, seed: int, fold: int) -> Float[np.ndarray, "test class"]:
                found = self.result(by_fold[fold], fold, self.seeds[seed])
                return found.tests[test][:, head]

            return predict

        return {name: self.figures(predictor(number)) for number, name in enumerate(self.heads)}

    def floors(self) -> dict[str, dict[str, dict[str, Figures]]]:
        """The same figures for the predictions that look at no input."""

        def predictor(name: str) -> Predictor:
            def predict(test: str, seed: int, fold: int) -> Float[np.ndarray, "test class"]:
                part = self.folds[fold]
                return floor_prediction(
                    name,
                    self.target,
                    part,
                    part.tests[test],
                    seed=self.seeds[seed],
                    number=fold,
                )

            return predict

        return {name: self.figures(predictor(name)) for name in FLOORS}

    def figures(self, predict: Predictor) -> dict[str, dict[str, Figures]]:
        """By test set and metric: over seeds, and over folds."""
        return figures_of(predict, target=self.target, folds=self.folds, num_seeds=len(self.seeds))


def figures_of(
    predict: Predictor,
    *,
    target: Float[np.ndarray, "utterance class"],
    folds: Sequence[Fold],
    num_seeds: int,
) -> dict[str, dict[str, Figures]]:
    """By test set and metric, what a predictor's distributions are worth."""
    tests = dict.fromkeys(name for fold in folds for name in fold.tests)
    return {test: _figures_of_set(predict, test, target, folds, num_seeds) for test in tests}


def _figures_of_set(
    predict: Predictor,
    test: str,
    target: Float[np.ndarray, "utterance class"],
    folds: Sequence[Fold],
    num_seeds: int,
) -> dict[str, Figures]:
    per_seed, per_fold = [], []
    for seed in range(num_seeds):
        predicted = [predict(test, seed, fold) for fold in range(len(folds))]
        targets = [target[fold.tests[test]] for fold in folds]
        per_seed.append(measure(np.concatenate(targets), np.concatenate(predicted)))
        per_fold.append([measure(y, p) for y, p in zip(targets, predicted, strict=True)])
    return {
        name: _spread([one[name] for one in per_seed], [[f[name] for f in s] for s in per_fold])
        for name in METRICS
    }


def measure(
    target: Float[np.ndarray, "utterance class"],
    prediction: Float[np.ndarray, "utterance class"],
) -> dict[str, float]:
    """`evaluate`, with NaN for every metric where a run has diverged."""
    if np.isnan(prediction).any():
        return dict.fromkeys(METRICS, float("nan"))
    return evaluate(target, prediction)


def run_rows(results: Results) -> list[dict[str, object]]:
    """One row a run, head and split, as runs.csv has it."""
    rows: list[dict[str, object]] = []
    for result in results.results:
        run, fold = result.run, results.folds[result.run.fold]
        parts = {"validation": (fold.validation, result.validation)}
        parts |= {name: (fold.tests[name], p) for name, p in result.tests.items()}
        for number, head in enumerate(results.heads):
            for split, (index, prediction) in parts.items():
                rows.append(
                    {
                        "run": run.name,
                        **told(run.settings),
                        "fold": run.fold,
                        "seed": run.seed,
                        "head": head,
                        "split": split,
                        "epoch": int(result.best_epoch[number]),
                        "n": len(index),
                        **measure(results.target[index], prediction[:, number]),
                    }
                )
    return rows


def curve_rows(results: Results) -> list[dict[str, object]]:
    """One row a run and epoch, as curves.csv has it."""
    return [
        {
            "run": result.run.name,
            "epoch": epoch + 1,
            "training_loss": result.training_loss[epoch],
            **_by_head("validation_js", results.heads, result.validation_js[epoch]),
            **_by_head("u", results.heads, result.expert_weights[epoch]),
        }
        for result in results.results
        for epoch in range(len(result.training_loss))
    ]


def out_of_fold_predictions(
    results: Results, by_fold: Sequence[RunSettings]
) -> Float[np.ndarray, "seed head utterance class"]:
    """Out-of-fold distributions of the selected settings; NaN where no fold tests an utterance."""
    shape = (len(results.seeds), len(results.heads), *results.target.shape)
    predicted = np.full(shape, np.nan, dtype=results.dtype)
    for s, seed in enumerate(results.seeds):
        for f, fold in enumerate(results.folds):
            found = results.result(by_fold[f], f, seed)
            for name, index in fold.tests.items():
                predicted[s][:, index] = found.tests[name].swapaxes(0, 1)
    return predicted


def validation_predictions(
    results: Results, by_fold: Sequence[RunSettings]
) -> Float[np.ndarray, "fold seed head utterance class"]:
    """Each fold's distributions for its validation part; NaN elsewhere."""
    shape = (len(results.folds), len(results.seeds), len(results.heads), *results.target.shape)
    predicted = np.full(shape, np.nan, dtype=results.dtype)
    for s, seed in enumerate(results.seeds):
        for f, fold in enumerate(results.folds):
            found = results.result(by_fold[f], f, seed)
            predicted[f, s][:, fold.validation] = found.validation.swapaxes(0, 1)
    return predicted


def read_at_another_head(settings: Sequence[RunSettings], heads: Sequence[str]) -> list[str]:
    """The heads whose figures were read at another head's best epoch: all but the student."""
    students = {one.student for one in settings if one.student is not None}
    return [head for head in heads if students and students != {head}]


def _spread(per_seed: Sequence[float], per_fold: Sequence[Sequence[float]]) -> Figures:
    folds = np.mean(np.asarray(per_fold), axis=0)  # (fold,): each fold's mean over seeds
    return {
        "mean": float(np.mean(per_seed)),
        "std": _std(per_seed),
        "per_seed": list(per_seed),
        "per_fold": [list(one) for one in per_fold],
        "fold_mean": float(np.mean(folds)),
        "fold_std": _std(folds),
    }


def _std(values: Sequence[float] | np.ndarray) -> float:
    """With ddof = 1; NaN for a single value, which has no spread."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def _by_head(
    name: str, heads: Sequence[str], values: Float[np.ndarray, " head"]
) -> Mapping[str, float]:
    return {f"{name}_{head}": float(value) for head, value in zip(heads, values, strict=True)}
