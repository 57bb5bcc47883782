"""What `amber compare` makes of its trained table: systems, figures, differences, the anatomy.

Each system's rule turns its trained heads into distributions, run by run; these are measured like a
fit's, floors among them. Every system is then held against the reference, and the gain over CB-CE
is taken apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float

from amber_heads import results as files
from amber_heads.comparing.anatomy import METRIC, WHOLE, anatomy
from amber_heads.comparing.entrants import Compared, Entrant, compare_system, floor_entrants
from amber_heads.comparing.twins import twins
from amber_heads.configuration.options import CompareConfig, told
from amber_heads.configuration.systems import systems_of
from amber_heads.contents import first_entries, last_entries, prediction_arrays, table_files
from amber_heads.floors import FLOORS
from amber_heads.policies.clusters import clusters_by
from amber_heads.preparation import Guard, Prepared
from amber_heads.progress import Progress
from amber_heads.selection import at_the_edge
from amber_heads.stats import Difference, adjusted, paired_difference
from amber_heads.summary import Results, curve_rows, read_at_another_head, run_rows
from amber_heads.training import Training

#: Validation predictions are stored where they take no more bytes than these, before compression:
#: only temperature scaling reads them.
MOST_VALIDATION = 2**28


def measure_comparison(
    prepared: Prepared, leaks: Guard, training: Training, progress: Progress
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The summary of a comparison, and every file of its run directory but config.json."""
    config = prepared.config
    assert isinstance(config, CompareConfig)
    found = Results(
        training.results,
        target=prepared.dataset.target,
        folds=prepared.folds,
        seeds=training.seeds,
        heads=training.heads,
    )
    recipes = systems_of(config.modalities)
    systems = []
    for number, name in enumerate(config.systems):
        progress("measuring", number, len(config.systems) + 2)
        systems.append(compare_system(recipes[name], config, found))
    summary = _summary(prepared, leaks, found, systems)
    progress("measuring", len(systems) + 1, len(systems) + 2)
    content = {
        "summary.json": files.json_bytes(summary),
        "runs.csv": files.csv_bytes(run_rows(found)),
        "curves.csv": files.csv_bytes(curve_rows(found)),
        "predictions.h5": _predictions(prepared, found, systems),
        **table_files(files.without_nan(summary)),
    }
    progress("measuring", len(systems) + 2, len(systems) + 2)
    return summary, content


def _summary(
    prepared: Prepared, leaks: Guard, found: Results, systems: Sequence[Compared]
) -> dict[str, Any]:
    config = prepared.config
    assert isinstance(config, CompareConfig)
    labels = [one.label for system in systems for one in system.heads.values()]
    cells = dict.fromkeys(one for system in systems for one in system.cells)
    tests = {name: _Test(name, prepared, config) for name in found.test_sets}
    last = last_entries(prepared, leaks)
    return {
        **first_entries(prepared, "compare", heads=labels, seeds=found.seeds),
        "configurations": [
            {"settings": told(cell), "systems": [s.recipe.name for s in systems if cell in s.cells]}
            for cell in cells
        ],
        "systems": {one.recipe.name: _described(one, found) for one in systems},
        "floors": found.floors(),
        "reference": config.reference,
        "clusters": config.clusters,
        "differences": {
            n: test.differences(systems, config.reference) for n, test in tests.items()
        },
        "twins": _twins(systems),
        "anatomy": {name: test.anatomy(systems) for name, test in tests.items()},
        "diverged_runs": [one.run.name for one in found.results if one.diverged],
        **last,
        "notes": [*last["notes"], *_no_validation(systems, found)],
    }


def _described(system: Compared, found: Results) -> dict[str, Any]:
    """What summary.json says of a system: how it came about, and its figures."""
    recipe = system.recipe
    return {
        "description": recipe.description,
        "source": recipe.source,
        "rule": recipe.rule,
        "judged_by": system.judged,
        "settings": [told(one) for one in system.by_fold],
        "edges": at_the_edge(system.cells, [system.cells.index(one) for one in system.by_fold]),
        "read_at_another_head": read_at_another_head(system.by_fold, list(system.heads)),
        "heads": {head: _figures(one.test, found) for head, one in system.heads.items()},
        "ensemble": {
            head: _figures(one.ensemble[None], found) for head, one in system.heads.items()
        },
    }


def _figures(
    test: Float[np.ndarray, "seed utterance class"], found: Results
) -> dict[str, dict[str, Any]]:
    """By test set and metric, as a fit's; of an ensemble, which is one, without a deviation."""

    def predict(name: str, seed: int, fold: int) -> Float[np.ndarray, "test class"]:
        return np.asarray(test[seed, found.folds[fold].tests[name]])

    return found.of_seeds(len(test)).figures(predict)


class _Test:
    """One test set's utterances, and what is tested on them."""

    def __init__(self, name: str, prepared: Prepared, config: CompareConfig) -> None:
        parts = [fold.tests[name] for fold in prepared.folds if name in fold.tests]
        self._rows = np.sort(np.concatenate(parts))
        self._target = prepared.dataset.target[self._rows]
        self._clusters = clusters_by(config.clusters, prepared.dataset.columns)[1][self._rows]

    def differences(self, systems: Sequence[Compared], reference: str) -> dict[str, Any]:
        """Of every other system less the reference; one family for Holm, without twins."""
        (held,) = [one for one in systems if one.recipe.name == reference]
        others = [one for one in systems if one is not held]
        found = {one.recipe.name: self._difference(one, held) for one in others}
        counted = [name for name in found if name not in _twins(systems)]
        family = adjusted([found[name] for name in counted])
        found |= dict(zip(counted, family, strict=True))
        return {
            one.recipe.name: {"head": one.judged, **asdict(found[one.recipe.name])}
            for one in others
        }

    def _difference(self, one: Compared, held: Compared) -> Difference:
        return paired_difference(
            self._target,
            one.entrant.test[:, self._rows],
            held.entrant.test[:, self._rows],
            metric=METRIC,
            clusters=self._clusters,
        )

    def anatomy(self, systems: Sequence[Compared]) -> dict[str, Any]:
        """The steps, and the whole; empty where the chain's beginning is missing."""
        predictions = {one.recipe.name: one.entrant.test[:, self._rows] for one in systems}
        steps = [
            {"what": one.what, "before": one.before, "after": one.after, **asdict(one.difference)}
            for one in anatomy(self._target, predictions, clusters=self._clusters)
        ]
        return {
            "steps": [one for one in steps if one["what"] != WHOLE],
            "whole": next((one for one in steps if one["what"] == WHOLE), None),
        }


def _twins(systems: Sequence[Compared]) -> dict[str, str]:
    told_of = {one.recipe.name: ([told(s) for s in one.by_fold], one.judged) for one in systems}
    return twins(told_of)


def _predictions(prepared: Prepared, found: Results, systems: Sequence[Compared]) -> bytes:
    entrants = [one for system in systems for one in system.heads.values()]
    entrants += floor_entrants(found)
    arrays: dict[str, np.ndarray | files.Stacked] = {
        **prediction_arrays(prepared.dataset, prepared.folds),
        "test": files.Stacked([one.test for one in entrants]),
    }
    if _validation_size(len(entrants), found) <= MOST_VALIDATION:
        arrays["validation"] = _validation(entrants, found)
    attributes = {
        "classes": prepared.dataset.classes,
        "heads": [one.label for one in entrants],
        "seeds": found.seeds,
    }
    return files.predictions_bytes(arrays, attributes)


def _validation_size(num_entrants: int, found: Results) -> int:
    """Bytes of the array that is NaN but for a fifth."""
    return len(found.folds) * len(found.seeds) * num_entrants * found.target.size * 4


def _no_validation(systems: Sequence[Compared], found: Results) -> list[str]:
    number = sum(len(one.heads) for one in systems) + len(FLOORS)
    size = _validation_size(number, found)
    if size <= MOST_VALIDATION:
        return []
    return [
        f"predictions.h5 is without /validation, which would take {size / 1e9:.1f} GB; a report "
        "of this comparison has no temperature scaling"
    ]


def _validation(
    entrants: Sequence[Entrant], found: Results
) -> Float[np.ndarray, "fold seed head utterance class"]:
    """Each fold's distributions for its validation part; NaN elsewhere."""
    shape = (len(found.folds), len(found.seeds), len(entrants), *found.target.shape)
    predicted = np.full(shape, np.nan, dtype=found.dtype)
    for number, entrant in enumerate(entrants):
        for (f, s), rows in entrant.validated.items():
            predicted[f, s, number, found.folds[f].validation] = rows
    return predicted
