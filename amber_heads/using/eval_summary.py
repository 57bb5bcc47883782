"""What an evaluation found, as a run directory has it: summary, predictions, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from amber_cache.store import text_array
from amber_heads import results as files
from amber_heads.floors import FLOORS, floor_prediction
from amber_heads.folds import Fold
from amber_heads.summary import Predictor, figures_of
from amber_heads.tables import (
    Table,
    results_table,
    tables_of,
    to_csv,
    to_latex,
    to_markdown,
)
from amber_heads.using.judged import Judged
from amber_heads.using.loaded import LoadedRun


def eval_summary(run: LoadedRun, judged: Judged) -> dict[str, Any]:
    """What summary.json holds: as a fit's, with the ensemble's figures beside the seeds'."""
    students = {one.get("student") for one in run.settings} - {None}
    heads = {
        head: _figures(judged, _of_head(judged, number, is_ensemble=False))
        for number, head in enumerate(judged.heads)
    }
    ensemble = {
        head: figures_of(
            _of_head(judged, number, is_ensemble=True),
            target=judged.target,
            folds=judged.folds,
            num_seeds=1,
        )
        for number, head in enumerate(judged.heads)
    }
    described = {"judged_by": judged.answer, "heads": heads}
    settings = [dict(one) for one in run.settings]
    return {
        "format": files.FORMAT,
        "format_version": files.FORMAT_VERSION,
        "command": "eval",
        "run": str(run.config.get("hash", "")),
        "corpus": judged.corpus,
        "protocol": judged.protocol,
        "classes": list(judged.classes),
        "heads": list(judged.heads),
        "encoders": dict(judged.encoders),
        "seeds": list(run.seeds),
        "folds": [_described(fold) for fold in judged.folds],
        "test_sets": list(dict.fromkeys(name for one in judged.folds for name in one.tests)),
        "axes": [],
        "configurations": [
            {"settings": settings[0], "selected_in_folds": [0], **described},
        ],
        "selected": {
            "how": "single",
            "by": "validation js",
            "edges": [],
            "settings": settings,
            "heads": heads,
            "judged_by": [judged.answer],
            "judged": heads[judged.answer],
            "read_at_another_head": [h for h in judged.heads if students and students != {h}],
        },
        "ensemble": ensemble,
        "floors": {name: _figures(judged, _floor(judged, run, name)) for name in FLOORS},
        "diverged_runs": [f"fold{fold}/seed{seed}" for fold, seed in run.diverged],
        "utterances": {"used": len(judged.ids), "left_out": dict(judged.left_out)},
        "leakage": dict(judged.leakage),
        "notes": [one.rstrip(".") for one in (*judged.notes, *_chosen_apart(settings))],
        "warnings": [],
    }


def _chosen_apart(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to tell of a grid's run, whose folds have settings of their own."""
    varied = sorted(name for name in settings[0] if len({one.get(name) for one in settings}) > 1)
    told = f"Folds differ in {', '.join(varied)}, as the grid selected; the first's are named."
    return [told] if varied else []


def tables_of_eval(summary: Mapping[str, Any]) -> dict[str, Table]:
    """Every test set's table, by the name of its files: a fit's, with the ensemble's rows."""
    found = {}
    as_ensemble = {**summary["selected"], "heads": summary["ensemble"]}
    for (name, table), test in zip(tables_of(summary).items(), summary["test_sets"], strict=True):
        heads = len(summary["heads"])
        rows = results_table({**summary, "selected": as_ensemble}, test).rows[:heads]
        ensemble = [
            (f"{head}, ensemble", *row[1:])
            for head, row in zip(summary["heads"], rows, strict=True)
        ]
        found[name] = replace(
            table,
            rows=(*table.rows[:heads], *ensemble, *table.rows[heads:]),
            breaks=frozenset({heads, *(one + len(ensemble) for one in table.breaks)}),
            notes=(*table.notes, "Rows 'ensemble': the mean of all models' distributions."),
        )
    return found


def _figures(judged: Judged, predict: Predictor) -> dict[str, Any]:
    return figures_of(
        predict, target=judged.target, folds=judged.folds, num_seeds=len(judged.per_seed)
    )


def _of_head(judged: Judged, head: int, *, is_ensemble: bool) -> Predictor:
    def predict(test: str, seed: int, fold: int) -> Float[np.ndarray, "test class"]:
        found = judged.ensemble if is_ensemble else judged.per_seed[seed]
        return np.asarray(found[judged.folds[fold].tests[test], head])

    return predict


def _floor(judged: Judged, run: LoadedRun, name: str) -> Predictor:
    """What looks at no input; on other data, it knows the run's training part alone."""

    def predict(test: str, seed: int, fold: int) -> Float[np.ndarray, "test class"]:
        part, target = judged.folds[fold], judged.target
        index = part.tests[test]
        if judged.prior is not None:  # it stands as the only row of a training part
            target = np.concatenate([judged.prior[np.newaxis], target])
            first = np.array([0])
            part, index = Fold(name="", train=first, validation=first[:0], tests={}), index + 1
        return floor_prediction(name, target, part, index, seed=run.seeds[seed], number=fold)

    return predict


def eval_predictions(run: LoadedRun, judged: Judged) -> bytes:
    """What predictions.h5 holds: as a fit's, without a validation part."""
    fold_of = np.full(len(judged.ids), -1, dtype=np.int64)
    test_set = text_array([""] * len(judged.ids))
    for number, fold in enumerate(judged.folds):
        for name, index in fold.tests.items():
            fold_of[index], test_set[index] = number, name
    test = judged.per_seed.swapaxes(1, 2).astype(np.float32)
    arrays = {
        "id": judged.ids,
        "target": judged.target,
        "votes": judged.counts,
        **{name: judged.columns[name] for name in ("speaker", "dialogue", "session")},
        "fold": fold_of,
        "test_set": test_set,
        "test": test,
        "validation": np.full((len(judged.folds), *test.shape), np.nan, dtype=np.float32),
    }
    attributes = {"classes": judged.classes, "heads": judged.heads, "seeds": run.seeds}
    return files.predictions_bytes(arrays, attributes)


def _described(fold: Fold) -> dict[str, Any]:
    tests = {name: len(index) for name, index in fold.tests.items()}
    return {"name": fold.name, "train": len(fold.train), "validation": 0, **tests}


def eval_tables(summary: Mapping[str, Any]) -> dict[str, bytes]:
    """The tables' files."""
    forms = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
    return {
        f"{name}.{suffix}": form(table).encode()
        for name, table in tables_of_eval(summary).items()
        for suffix, form in forms.items()
    }
