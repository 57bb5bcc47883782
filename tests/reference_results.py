"""Results made by hand: figures and choices are tested on them without any training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from amber_heads.folds import Fold
from amber_heads.stack.outputs import Outputs
from amber_heads.stack.runs import Run, RunResult

HEADS = ("audio", "text", "fusion")
NUM_CLASSES = 4

_RANDOM = np.random.default_rng(11)
_VOTES = _RANDOM.multinomial(4, [0.4, 0.3, 0.2, 0.1], size=40) + 0.0

TARGET = _VOTES / _VOTES.sum(axis=1, keepdims=True)

#: Test parts of 20, 12 and 8 utterances, so that pooling differs from averaging over folds.
FOLDS = tuple(
    Fold(
        name=str(number),
        train=np.setdiff1d(np.arange(40), np.concatenate([test, validation])),
        validation=validation,
        tests={"test": test},
    )
    for number, (test, validation) in enumerate(
        [
            (np.arange(20), np.arange(20, 32)),
            (np.arange(20, 32), np.arange(32, 40)),
            (np.arange(32, 40), np.arange(20)),
        ]
    )
)


def made_result(
    run: Run,
    *,
    folds: Sequence[Fold] = FOLDS,
    heads: Sequence[str] = HEADS,
    validation_js: Sequence[Sequence[float]] = ((0.5, 0.5, 0.5), (0.4, 0.4, 0.4)),
    **changed: Any,
) -> RunResult:
    """A run's result with random predictions, of two epochs unless told otherwise."""
    random = np.random.default_rng(int(run.name, 16))
    fold, js = folds[run.fold], np.array(validation_js)

    def predicted(part: np.ndarray) -> np.ndarray:
        return random.dirichlet(np.ones(NUM_CLASSES), size=(len(part), len(heads)))

    made: dict[str, Any] = {
        "training_loss": np.linspace(1, 0.5, len(js)),
        "validation_js": js,
        "expert_weights": np.full(js.shape, np.nan),
        "best_epoch": js.argmin(axis=0) + 1,
    }
    outputs: dict[str, Any] = {
        "parameters": np.zeros(3, dtype=np.float32),
        "validation": predicted(fold.validation),
        "tests": {name: predicted(part) for name, part in fold.tests.items()},
    }
    outputs |= {name: changed.pop(name) for name in outputs if name in changed}
    return RunResult(run=run, outputs=Outputs(**outputs), **{**made, **changed})


def diverged_result(run: Run) -> RunResult:
    """A run that gave nothing."""
    fold = FOLDS[run.fold]
    shape = (len(HEADS), NUM_CLASSES)
    return made_result(
        run,
        validation_js=[[np.nan] * 3] * 2,
        best_epoch=np.zeros(3, dtype=np.int64),
        validation=np.full((len(fold.validation), *shape), np.nan),
        tests={name: np.full((len(part), *shape), np.nan) for name, part in fold.tests.items()},
    )
