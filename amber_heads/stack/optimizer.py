"""AdamW on a stack's flat rows: PyTorch's fused kernel, each run with its own rate and decay."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.adamw import adamw

from amber_heads.stack.runs import Run

#: AdamW's constants, PyTorch's defaults.
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class StackedAdamW:
    """The optimiser's state of a stack of runs."""

    def __init__(self, runs: Sequence[Run], rows: Float[Tensor, "run parameter"]) -> None:
        steps = torch.zeros(len(runs), dtype=torch.float32, device=rows.device)
        self._take(runs, rows, torch.zeros_like(rows), torch.zeros_like(rows), steps)

    def step(self, runs: Sequence[int], gradients: Sequence[Float[Tensor, " parameter"]]) -> None:
        """Update the rows of some runs in place, each by its gradient."""
        kinds: dict[tuple[float, float], list[int]] = {}
        for place, run in enumerate(runs):
            kinds.setdefault(self._kinds[run], []).append(place)
        for (lr, weight_decay), places in kinds.items():
            own = [runs[place] for place in places]
            rows, moment1, moment2, steps = ([one[r] for r in own] for one in self._state)
            adamw(
                rows,
                [gradients[place] for place in places],
                moment1,
                moment2,
                [],
                steps,
                fused=True,
                amsgrad=False,
                beta1=BETA1,
                beta2=BETA2,
                lr=lr,
                weight_decay=weight_decay,
                eps=EPSILON,
                maximize=False,
            )

    def keep(
        self, staying: Sequence[int], runs: Sequence[Run], rows: Float[Tensor, "run parameter"]
    ) -> None:
        """Go on with some runs alone, whose rows stand elsewhere now."""
        _, *moments_and_steps = self._whole
        self._take(runs, rows, *(one[list(staying)] for one in moments_and_steps))

    def _take(self, runs: Sequence[Run], *state: Tensor) -> None:
        self._kinds = [(run.settings.lr, run.settings.weight_decay) for run in runs]
        self._whole = state
        self._state = [one.unbind(0) for one in state]  # rows, two moments, numbers of steps
