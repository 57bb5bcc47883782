"""What training would share with test, before anything is encoded: the overview's part on leakage.

The folds are those that `amber fit` makes of the kept utterances, with validation on the next fold
and fold seed 0; leakage.py counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from amber_cache.errors import ConfigError
from amber_heads.configuration.settings import FitConfig, OverviewConfig, TrainingConfig, complete
from amber_heads.folds import make_folds
from amber_heads.formulas.agreement import entropy_per_utterance
from amber_heads.leakage import measure_leakage
from amber_heads.leakage_words import leakage_warnings

#: Any two modalities: what a fit could train on makes no difference to its folds.
_MODALITIES = ("audio", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldLeakage:
    """What the folds leak, or why there are none.

    Attributes:
        folds: The kind of folds.
        num_folds: How many; 1 with official parts.
        test_utterances: How many are tested.
        kinds: As `measure_leakage` gives it; empty where there are no folds.
        warnings: What must be known wherever figures of these folds are shown.
        why_not: Why no folds can be made; "" where they are.
    """

    folds: str
    num_folds: int
    test_utterances: int = 0
    kinds: Mapping[str, Mapping[str, Any]]
    warnings: tuple[str, ...] = ()
    why_not: str = ""


def fold_settings(
    config: OverviewConfig, origins: Mapping[str, int], *, protocol: str
) -> TrainingConfig:
    """The kind and number of folds as `amber fit` would take them.

    Args:
        origins: Where each setting came from; see `settings.complete`.
        protocol: The corpus's own.

    Raises:
        ConfigError: A setting of the folds can't be, or has no effect.
    """
    wanted = FitConfig(protocol=config.protocol, folds=config.folds, num_folds=config.num_folds)
    return complete(wanted, origins, protocol=protocol, modalities=_MODALITIES)


def fold_leakage(
    config: TrainingConfig,
    columns: Mapping[str, np.ndarray],
    target: Float[np.ndarray, "utterance class"],
) -> FoldLeakage:
    """Count what these folds would leak.

    Args:
        config: As `fold_settings` gives it.
        columns: (N,) strings of the kept utterances, by the names in `data.COLUMNS`.
        target: Their soft labels.
    """
    kind = str(config.folds)
    how = {"num_folds": config.num_folds, "seed": config.fold_seed, "validation": config.validation}
    entropy = entropy_per_utterance(target)
    try:
        folds = make_folds(kind, columns=columns, ambiguity=entropy, **how)  # type: ignore[arg-type]
    except ConfigError as error:
        return FoldLeakage(folds=kind, num_folds=0, kinds={}, why_not=str(error))
    leakage = measure_leakage(folds, columns)
    return FoldLeakage(
        folds=kind,
        num_folds=len(folds),
        test_utterances=sum(len(test) for fold in folds for test in fold.tests.values()),
        kinds=leakage,
        warnings=tuple(leakage_warnings(leakage, folds=kind, modalities=_MODALITIES)),
    )
