"""A run is a row: what one training is told, the name that follows from it, and what it gives."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from amber_heads.configuration.options import RunSettings, told
from amber_heads.stack.outputs import Outputs, StoredOutputs


@dataclass(frozen=True)
class Run:
    """One row of the table: settings, a fold and a seed.

    Attributes:
        fold: Index into the folds.
    """

    settings: RunSettings
    fold: int
    seed: int

    @cached_property
    def name(self) -> str:
        """A short name that depends on the run alone: sixteen hexadecimal digits."""
        described = {**told(self.settings), "fold": self.fold, "seed": self.seed}
        text = json.dumps(described, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What training gave.

    Attributes:
        training_loss: (E,) mean over each epoch's utterances.
        validation_js: (E, H) of every head after each epoch.
        expert_weights: (E, H) mean u over the validation part; NaN where a head is no expert.
        best_epoch: (H,) 1-based; all the student's where there is one; 0 where a head diverged.
        outputs: Parameters and predictions; NaN where a head diverged.
    """

    run: Run
    training_loss: np.ndarray
    validation_js: np.ndarray
    expert_weights: np.ndarray
    best_epoch: np.ndarray
    outputs: Outputs | StoredOutputs

    @property
    def diverged(self) -> bool:
        """No epoch gave some head a finite validation figure: all heads, where one is a student."""
        return bool((self.best_epoch == 0).any())

    @property
    def best_js(self) -> float:
        """The lowest mean JS of any head over the validation part; infinite where all diverged."""
        known = self.validation_js[np.isfinite(self.validation_js)]
        return float(known.min()) if known.size else math.inf

    @property
    def parameters(self) -> np.ndarray:
        """See `outputs.Outputs`."""
        return self.outputs.parameters

    @property
    def validation(self) -> np.ndarray:
        """See `outputs.Outputs`."""
        return self.outputs.validation

    @property
    def tests(self) -> Mapping[str, np.ndarray]:
        """See `outputs.Outputs`."""
        return self.outputs.tests
