"""Which class is taken for which, by the arg max of raters and of heads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from amber_heads.formulas.classification import top_classes
from amber_heads.reading.evidence import System


@dataclass(frozen=True)
class Confusion:
    """One system's confusion of hard labels.

    Attributes:
        counts: (C, C) utterances, averaged over seeds; rows are the raters' class.
        shares: The same, rows summing to one; NaN where no utterance leads with a class.
    """

    label: str
    counts: Float[np.ndarray, "class class"]
    shares: Float[np.ndarray, "class class"]


def confusion(target: Float[np.ndarray, "utterance class"], system: System) -> Confusion:
    """Count arg max against arg max: the first class wins a tie; diverged seeds are left out."""
    size = target.shape[1]
    truth = top_classes(target).argmax(-1)
    seeds = [one for one in system.test if not np.isnan(one).any()]
    counts = np.zeros((size, size))
    for one in seeds:
        np.add.at(counts, (truth, one.argmax(-1)), 1 / len(seeds))
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    return Confusion(system.label, counts, shares)
