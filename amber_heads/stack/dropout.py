"""Dropout that a run would draw alone: from (seed, fold, epoch, head), not from its stack."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amber_heads.heads import Architecture
from amber_heads.stack.runs import Run


class Dropout:
    """One epoch's dropout of a stack; runs of one (seed, fold) share their draws."""

    def __init__(self, runs: Sequence[Run], architecture: Architecture, *, epoch: int) -> None:
        self._runs, self._architecture = tuple(runs), architecture
        self._active = any(run.settings.dropout for run in runs)
        self._generators = {
            (run.seed, run.fold, head): _generator(run.seed, run.fold, epoch, head)
            for run in runs
            for head in architecture.heads
            if self._active
        }

    def draw(
        self, runs: range, batch: int, *, like: Tensor
    ) -> list[Float[Tensor, "run hidden batch"]] | None:
        """The next step's multipliers of each head's hidden layer, 0 or 1 / (1 - p).

        None where no run drops anything. A short batch takes the first of what is drawn for the
        settings' whole batch size.

        Args:
            runs: Those that take the step; all that share a draw with one of them.
            batch: Utterances.
            like: Whose type and device they get.
        """
        if not self._active:
            return None
        own = [self._runs[r] for r in runs]
        size = (own[0].settings.batch_size, self._architecture.hidden)
        needed = {(run.seed, run.fold, head) for run in own for head in self._architecture.heads}
        drawn = {
            key: torch.rand(size, generator=generator, dtype=torch.float64)[:batch]
            for key, generator in self._generators.items()
            if key in needed
        }
        return [
            torch.stack([_multiplier(drawn[r.seed, r.fold, head], r) for r in own]).to(like).mT
            for head in self._architecture.heads
        ]


def _multiplier(drawn: Float[Tensor, "batch hidden"], run: Run) -> Float[Tensor, "batch hidden"]:
    p = run.settings.dropout
    return (drawn >= p).double() / (1 - p)


def _generator(seed: int, fold: int, epoch: int, head: str) -> torch.Generator:
    sequence = np.random.SeedSequence([seed, fold, epoch, zlib.crc32(head.encode())])
    state = int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator().manual_seed(state)
