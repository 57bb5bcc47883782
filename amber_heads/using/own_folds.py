"""Whether a cache is the one that a run was trained on, and which fold tests each utterance.

Then no utterance needs to be judged by a model that has seen it. The data is recognised by its
hash: ids, votes, vectors and split columns, under the run's own label policy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from amber_cache.errors import AmberError, RunError
from amber_heads.configuration.options import FitConfig, GridConfig
from amber_heads.preparation import Prepared, prepare
from amber_heads.reading.prediction_files import PREDICTIONS, open_predictions
from amber_heads.using.loaded import LoadedRun


@dataclass(frozen=True)
class OwnData:
    """The data that a run was trained on, read again."""

    prepared: Prepared

    @cached_property
    def fold_of(self) -> Mapping[str, int]:
        """By id, the fold that tests an utterance."""
        ids = self.prepared.dataset.ids
        return {
            str(ids[row]): number
            for number, fold in enumerate(self.prepared.folds)
            for test in fold.tests.values()
            for row in test
        }

    @cached_property
    def ids(self) -> frozenset[str]:
        """Of all utterances that the run used: to train, to validate or to test."""
        return frozenset(map(str, self.prepared.dataset.ids))


def own_data(run: LoadedRun, cache: Path) -> OwnData | None:
    """A run's data, if a cache holds just that; None where it holds something else.

    Raises:
        RunError: config.json does not say what the run was told.
    """
    config = configuration(run, cache)
    try:
        prepared = prepare(config, {})
    except AmberError:  # other labels, other entries: another cache
        return None
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        # What another hand wrote may hold anything anywhere.
        raise RunError(
            f"{run.folder}/config.json: its settings are none that a run was told ({error!r})"
        ) from None
    return OwnData(prepared) if prepared.fingerprint == run.config.get("data") else None


def used_ids(run: LoadedRun) -> frozenset[str]:
    """The ids that a run's predictions.h5 lists; none where there is no such file.

    Raises:
        RunError: It can't be read.
    """
    if not os.path.lexists(run.folder / PREDICTIONS):
        return frozenset()
    with open_predictions(run.folder) as file:
        return frozenset(map(str, file.texts("id")))


def configuration(run: LoadedRun, cache: Path) -> FitConfig:
    """What a run was told, about another cache in its place.

    Raises:
        RunError: config.json does not say it.
    """
    told = run.config.get("settings")
    command = run.config.get("command")
    if not isinstance(told, dict) or command not in ("fit", "grid"):
        raise RunError(f"{run.folder}/config.json: is of no `amber fit` or `amber grid`")
    kind = GridConfig if command == "grid" else FitConfig
    names = {one.name for one in fields(kind)}
    values = {name: _plain(value) for name, value in told.items() if name in names}
    try:
        return kind(**{**values, "cache": cache})
    except TypeError as error:
        raise RunError(f"{run.folder}/config.json: {error}") from None


def _plain(value: Any) -> Any:
    """As a configuration has it: JSON's objects are pairs there, its lists are tuples."""
    if isinstance(value, dict):
        return tuple(value.items())
    return tuple(value) if isinstance(value, list) else value
