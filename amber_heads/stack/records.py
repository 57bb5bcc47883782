"""What a stack's training leaves: each run's curves, and which epoch each head was best at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int


class Records:
    """Curves and best epochs of all runs of a stack, those that have left it among them.

    Attributes:
        training_loss: (E, R); NaN where a run trained no more, as the others.
        validation_js: (E, R, H).
        expert_weights: (E, R, H) mean u over validation; NaN where a head is no expert.
        best_js: (R, H) infinite until there is one.
        best_epoch: (R, H) from 1; 0 until there is one.
        length: (R,) epochs that each run trained.
    """

    def __init__(self, num_runs: int, num_heads: int, epochs: int) -> None:
        self.training_loss = np.full((epochs, num_runs), np.nan)
        self.validation_js = np.full((epochs, num_runs, num_heads), np.nan)
        self.expert_weights = np.full((epochs, num_runs, num_heads), np.nan)
        self.best_js = np.full((num_runs, num_heads), np.inf)
        self.best_epoch = np.zeros((num_runs, num_heads), dtype=np.int64)
        self.length = np.zeros(num_runs, dtype=np.int64)

    def keep(
        self,
        epoch: int,
        places: Sequence[int],
        js: Float[np.ndarray, "run head"],
        weights: Float[np.ndarray, "run head"],
        *,
        student: Int[np.ndarray, " run"],
    ) -> Bool[np.ndarray, "run head"]:
        """Take in an epoch's figures, and tell which heads are better than ever.

        A student speaks for all heads of its run; without one each speaks for itself. Of equals
        the first is kept, and NaN is never better.

        Args:
            epoch: From 1.
            places: Which runs the figures are of.
            js: Of each head, over validation.
            weights: Mean u.
            student: On the head axis; -1 for none.
        """
        own = list(places)
        self.validation_js[epoch - 1, own], self.expert_weights[epoch - 1, own] = js, weights
        judged = np.where(student[:, None] >= 0, js[np.arange(len(js)), student][:, None], js)
        better = judged < self.best_js[own]
        self.best_js[own] = np.where(better, judged, self.best_js[own])
        self.best_epoch[own] = np.where(better, epoch, self.best_epoch[own])
        self.length[own] = epoch
        return np.asarray(better, dtype=bool)
