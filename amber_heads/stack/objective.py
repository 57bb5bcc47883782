"""What a stack of runs is trained for: each run's own loss, computed together where they are alike.

A run's settings become columns with one value a run, and runs of one kind of loss are one call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from amber_heads.formulas.smoothing import smoothed
from amber_heads.losses import LOSSES, LossTerms, expert_weights
from amber_heads.stack.material import Material
from amber_heads.stack.runs import Run


class Objective:
    """The losses of some runs, and what their experts weigh.

    Attributes:
        student: (R,) place of each run's student on the head axis; -1 where its loss has none.
    """

    def __init__(self, runs: Sequence[Run], material: Material, heads: Sequence[str]) -> None:
        self._material = material
        settings = [run.settings for run in runs]
        self.student = np.array(
            [-1 if one.student is None else heads.index(one.student) for one in settings]
        )
        order = [
            [*([s] if s >= 0 else []), *(h for h in range(len(heads)) if h != s)]
            for s in self.student
        ]
        self._order = torch.tensor(order, device=material.device)
        self._kappa = self._column([one.kappa for one in settings])
        self._smoothing = self._column([one.smoothing for one in settings])[:, None, None]
        kinds: dict[tuple[str, bool], list[int]] = {}
        for r, one in enumerate(settings):
            kinds.setdefault((one.loss, not one.attach_weights), []).append(r)
        self._groups = [
            (
                loss,
                torch.tensor(rows, device=material.device),
                self._terms(loss, [runs[r] for r in rows], detach=detach),
            )
            for (loss, detach), rows in kinds.items()
        ]

    def losses(
        self,
        log_heads: Float[Tensor, "run batch head class"],
        target: Float[Tensor, "run batch class"],
    ) -> Float[Tensor, "run batch"]:
        """Each run's own loss of each utterance; training sees smoothed labels."""
        target = smoothed(target, self._smoothing)
        if len(self._groups) == 1:
            ((name, rows, terms),) = self._groups
            return LOSSES[name].compute(self._student_first(log_heads, rows), target, terms)
        losses = log_heads.new_zeros(log_heads.shape[:2])
        for name, rows, terms in self._groups:
            ordered = self._student_first(log_heads[rows], rows)
            losses = losses.index_copy(0, rows, LOSSES[name].compute(ordered, target[rows], terms))
        return losses

    def expert_weights(
        self,
        log_heads: Float[Tensor, "run batch head class"],
        target: Float[Tensor, "run batch class"],
    ) -> Float[Tensor, "run batch head"]:
        """The experts' weights of Eq. 5, by head; NaN for the student, and without one."""
        u = log_heads.new_full(log_heads.shape[:3], math.nan)
        taught = torch.from_numpy(np.flatnonzero(self.student >= 0)).to(u.device)
        if not len(taught):
            return u
        experts = self._student_first(log_heads[taught], taught)[:, :, 1:]
        found = expert_weights(experts, target[taught], kappa=self._kappa[taught].unsqueeze(1))
        place = self._order[taught, None, 1:].expand(found.shape)
        return u.index_copy(0, taught, u[taught].scatter(2, place, found))

    def _terms(self, loss: str, runs: Sequence[Run], *, detach: bool) -> LossTerms:
        settings = [run.settings for run in runs]
        class_weights = self._material.target.new_ones(len(runs), len(self._material.classes))
        if loss == "cb-ce":  # alone in needing training parts that such weights can be made of
            class_weights = self._material.class_weights[[run.fold for run in runs]]
        return LossTerms(
            kappa=self._column([one.kappa for one in settings]),
            lambda_rai=self._column([one.lambda_rai for one in settings]),
            lambda_mai=self._column([one.lambda_mai for one in settings]),
            expert_loss=self._column([one.expert_loss for one in settings]),
            class_weights=class_weights,
            detach_weights=detach,
        )

    def _column(self, values: Sequence[float | None]) -> Float[Tensor, " run"]:
        known = [math.nan if value is None else value for value in values]
        return torch.tensor(known, dtype=self._material.dtype, device=self._material.device)

    def _student_first(
        self, log_heads: Float[Tensor, "run batch head class"], rows: Int[Tensor, " run"]
    ) -> Float[Tensor, "run batch head class"]:
        order = self._order[rows][:, None, :, None].expand(log_heads.shape)
        return log_heads.gather(2, order)
