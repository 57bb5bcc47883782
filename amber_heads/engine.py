"""Training a stack of runs at once: every tensor carries a leading run axis.

A run's result depends on the run alone. Its initialisation comes from (seed, head), its minibatch
order from (seed, fold, epoch) and its dropout from (seed, fold, epoch, head), never from what
shares its stack. Runs of unlike folds come to their last, partial batch at unlike steps: each step
goes through neighbours whose batches are of one size together, so that nothing is ever padded.
Runs of one fold and seed share their minibatches. A run that has stopped leaves the stack.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from amber_heads.heads import StackedViews, aligned, initial_parameters
from amber_heads.losses import js_divergence
from amber_heads.stack.dropout import Dropout
from amber_heads.stack.material import Material, minibatches
from amber_heads.stack.network import (
    Activations,
    Deltas,
    Minibatches,
    backward,
    forward,
    parameter_gradients,
)
from amber_heads.stack.objective import Objective
from amber_heads.stack.optimizer import StackedAdamW
from amber_heads.stack.outputs import Outputs
from amber_heads.stack.records import Records
from amber_heads.stack.runs import Run, RunResult

#: Utterances of each run that are predicted at once.
PREDICTION_ROWS = 512


def train_stack(
    runs: Sequence[Run],
    material: Material,
    *,
    on_epoch: Callable[[int, int], None] = lambda epoch, num_training: None,
    on_step: Callable[[], None] = lambda: None,
) -> list[RunResult]:
    """Train runs together; they must agree in hidden width, batch size and number of epochs.

    Args:
        runs: In the order that the results come back in.
        material: Data, folds and device.
        on_epoch: Told each epoch that is done, from 1, and how many runs trained in it.
        on_step: Called before each step; what it raises ends the training.

    Raises:
        ValueError: The runs don't agree, or there are none.
        ConfigError: A fold gives cb-ce no class weights.
    """
    stack = Stack(runs, material)
    for epoch in range(1, stack.epochs + 1):
        stack.train_epoch(epoch, on_step)
        stack.validate(epoch)
        on_epoch(epoch, len(stack.runs))
        stack.dismiss(epoch)
        if not stack.runs:
            break
    return stack.results()


class Stack:
    """Runs that train as one.

    Attributes:
        runs: Those that still train, by fold.
        rows: Their parameters, (R, P).
    """

    def __init__(self, runs: Sequence[Run], material: Material) -> None:
        shapes = {(r.settings.hidden, r.settings.batch_size, r.settings.epochs) for r in runs}
        if len(shapes) != 1:
            raise ValueError(f"a stack needs runs of one width, batch size and length: {shapes}")
        ((hidden, self.batch_size, self.epochs),) = shapes
        self.all_runs, self.material = tuple(runs), material
        self.architecture = material.architecture(hidden)
        self.heads = self.architecture.heads
        # Runs of one fold and seed are neighbours, since they share minibatches.
        self.places = sorted(range(len(runs)), key=lambda r: (runs[r].fold, runs[r].seed, r))
        self.runs = tuple(runs[place] for place in self.places)
        self.rows = self._initial_rows()
        self.optimizer = StackedAdamW(self.runs, self.rows)
        # On a CPU one run's gradient at a time, so that it is still near the cores when it is used.
        self.tile = 1 if material.device == "cpu" else len(runs)
        self.gradient = torch.empty_like(self.rows[: self.tile])
        self._gradient_rows = self.gradient.unbind(0)
        self._gradients: dict[int, StackedViews] = {}
        self.records = Records(len(runs), len(self.heads), self.epochs)
        self.best = torch.full_like(self.rows, math.nan)  # in the order of `all_runs`
        self._parts: dict[range, Part] = {}

    def train_epoch(self, epoch: int, on_step: Callable[[], None] = lambda: None) -> None:
        """Go once through every run's training part."""
        total = torch.zeros(len(self.runs), dtype=torch.float64, device=self.material.device)
        dropout = Dropout(self.runs, self.architecture, epoch=epoch)
        for runs, index in self._steps(epoch):
            on_step()
            keep = dropout.draw(runs, index.shape[1], like=self.rows)
            total[runs.start : runs.stop] += self.step(runs, index, keep=keep) * index.shape[1]
        sizes = [len(self.material.folds[run.fold].train) for run in self.runs]
        self.records.training_loss[epoch - 1, self.places] = total.cpu().numpy() / np.array(sizes)

    @torch.no_grad()
    def step(
        self,
        runs: range,
        index: Int[Tensor, "shared batch"],
        *,
        keep: Sequence[Float[Tensor, "run hidden batch"]] | None = None,
    ) -> Float[Tensor, " run"]:
        """One optimiser step of some neighbours, whose minibatches are of one size.

        Args:
            runs: Places in `self.runs`.
            index: Utterances of each (fold, seed) among them, in order.
            keep: See `network.forward`.

        Returns:
            The mean loss of each run's batch.
        """
        part = self._part(runs)
        inputs = Minibatches(
            self.material.batch(index, part.shared_fold, room=part.room), part.of_run
        )
        done = forward(self.architecture, part.views, inputs, keep=keep)
        with torch.enable_grad():
            logits = done.logits.detach().contiguous().requires_grad_()
            target = self.material.target[index][part.of_run]
            losses = part.objective.losses(logits.log_softmax(-1), target).mean(dim=1)
            (gradient,) = torch.autograd.grad(losses.sum(), logits)
        deltas = backward(self.architecture, part.views, done, gradient, keep=keep)
        self._update(done, deltas, runs)
        return losses.detach()

    def validate(self, epoch: int) -> None:
        """Judge every head on its run's validation part, and keep the rows that are best so far."""
        js, weights = self._judge()
        better = self.records.keep(epoch, self.places, js, weights, student=self._student())
        for number, head in enumerate(self.heads):
            rows = np.flatnonzero(better[:, number])
            places = [self.places[r] for r in rows]
            for start, end in self.architecture.head_spans(head):
                self.best[places, start:end] = self.rows[rows.tolist(), start:end]

    def dismiss(self, epoch: int) -> None:
        """Let runs go whose patience is over: no kept head has become better for that long."""
        waited = epoch - self.records.best_epoch[self.places].max(axis=1)
        patience = np.array([run.settings.patience or math.inf for run in self.runs])
        if not (waited >= patience).any():
            return
        staying = np.flatnonzero(waited < patience).tolist()
        self.runs = tuple(self.runs[r] for r in staying)
        self.places = [self.places[r] for r in staying]
        self.rows = aligned(self.rows[staying])
        self.optimizer.keep(staying, self.runs, self.rows)
        self._parts = {}

    def results(self) -> list[RunResult]:
        """Predict with the best rows, and give every run's result."""
        folds = [self.material.folds[run.fold] for run in self.all_runs]
        validation = self._predict([fold.validation for fold in folds])
        tests: list[dict[str, np.ndarray]] = [{} for _ in self.all_runs]
        for name in dict.fromkeys(name for fold in folds for name in fold.tests):
            for found, one in zip(
                tests, self._predict([fold.tests[name] for fold in folds]), strict=True
            ):
                found[name] = one
        rows, records = self.best.float().cpu().numpy(), self.records
        return [
            RunResult(
                run=run,
                training_loss=records.training_loss[: records.length[r], r],
                validation_js=records.validation_js[: records.length[r], r],
                expert_weights=records.expert_weights[: records.length[r], r],
                best_epoch=records.best_epoch[r],
                outputs=Outputs(parameters=rows[r], validation=validation[r], tests=tests[r]),
            )
            for r, run in enumerate(self.all_runs)
        ]

    def _initial_rows(self) -> Float[Tensor, "run parameter"]:
        by_seed = {
            seed: initial_parameters(self.architecture, seed=seed)
            for seed in {run.seed for run in self.runs}
        }
        rows = torch.stack([by_seed[run.seed] for run in self.runs])
        return aligned(rows.to(self.material.device, self.material.dtype))

    def _part(self, runs: range) -> Part:
        """What the steps of some neighbours need, made once."""
        if runs not in self._parts:
            own = self.runs[runs.start : runs.stop]
            shared = list(dict.fromkeys((run.fold, run.seed) for run in own))
            self._parts[runs] = Part(
                views=self.architecture.stacked_views(self.rows[runs.start : runs.stop]),
                objective=Objective(own, self.material, self.heads),
                shared_fold=torch.tensor([fold for fold, _ in shared], device=self.rows.device),
                of_run=[shared.index((run.fold, run.seed)) for run in own],
            )
        return self._parts[runs]

    def _student(self) -> np.ndarray:
        return self._part(range(len(self.runs))).objective.student

    def _steps(self, epoch: int) -> Iterator[tuple[range, Int[Tensor, "shared batch"]]]:
        """Each step's neighbours, and the utterances of each (fold, seed) among them."""
        plans = {
            key: minibatches(
                self.material.folds[key[0]].train,
                seed=key[1],
                fold=key[0],
                epoch=epoch,
                batch_size=self.batch_size,
            )
            for key in dict.fromkeys((run.fold, run.seed) for run in self.runs)
        }
        for number in range(max(len(plan) for plan in plans.values())):
            now = {key: plan[number] for key, plan in plans.items() if number < len(plan)}
            sizes = [len(now.get((run.fold, run.seed), ())) for run in self.runs]
            for runs in neighbours(sizes):
                keys = dict.fromkeys((self.runs[r].fold, self.runs[r].seed) for r in runs)
                index = torch.from_numpy(np.stack([now[key] for key in keys]))
                yield runs, index.to(self.material.device)

    def _update(self, done: Activations, deltas: Deltas, runs: range) -> None:
        """One AdamW step, a tile of runs at a time."""
        for start in range(0, len(runs), self.tile):
            tile = range(start, min(start + self.tile, len(runs)))
            parameter_gradients(done, deltas, tile, out=self._gradient_views(len(tile)))
            self.optimizer.step([runs[r] for r in tile], self._gradient_rows[: len(tile)])

    def _gradient_views(self, runs: int) -> StackedViews:
        if runs not in self._gradients:
            self._gradients[runs] = self.architecture.stacked_views(self.gradient[:runs])
        return self._gradients[runs]

    def _judge(self) -> tuple[Float[np.ndarray, "run head"], Float[np.ndarray, "run head"]]:
        """Mean JS of each head to the raters, and mean u of each expert, over validation."""
        shape = (len(self.runs), len(self.heads))
        js, u = (
            torch.zeros(shape, dtype=torch.float64, device=self.material.device) for _ in range(2)
        )
        for runs in neighbours([run.fold + 1 for run in self.runs]):
            part, own = self._part(runs), slice(runs.start, runs.stop)
            index = self.material.folds[self.runs[runs.start].fold].validation
            for block, log_heads in self._blocks(part.views, self.runs[runs.start].fold, index):
                target = self.material.target[block].expand(len(runs), -1, -1)
                found = js_divergence(log_heads, target.log().unsqueeze(2))
                js[own] += found.sum(dim=1, dtype=torch.float64)
                weights = part.objective.expert_weights(log_heads, target)
                u[own] += weights.sum(dim=1, dtype=torch.float64)
            js[own] /= len(index)
            u[own] /= len(index)
        return js.cpu().numpy(), u.cpu().numpy()

    def _predict(self, parts: Sequence[np.ndarray]) -> list[Float[np.ndarray, "utterance head _"]]:
        """Every head's distributions, by the best rows; NaN where a run diverged."""
        shape = (len(self.heads), len(self.material.classes))
        by_fold: dict[int, list[int]] = {}
        for r, run in enumerate(self.all_runs):
            by_fold.setdefault(run.fold, []).append(r)
        dtype = torch.empty(0, dtype=self.material.dtype).numpy().dtype
        found = [np.empty((len(part), *shape), dtype=dtype) for part in parts]
        for fold, runs in by_fold.items():
            views, start = self.architecture.stacked_views(aligned(self.best[runs])), 0
            for block, log_heads in self._blocks(views, fold, parts[runs[0]]):
                for r, one in zip(runs, log_heads.exp().cpu().numpy(), strict=True):
                    found[r][start : start + len(block)] = one
                start += len(block)
        return found

    @torch.no_grad()
    def _blocks(
        self, views: StackedViews, fold: int, index: np.ndarray
    ) -> Iterator[tuple[Int[Tensor, " batch"], Float[Tensor, "run batch head class"]]]:
        """Some runs' log-probabilities for utterances of their fold, some at a time."""
        folds = torch.tensor([fold], device=self.material.device)
        for start in range(0, len(index), PREDICTION_ROWS):
            block = torch.from_numpy(index[start : start + PREDICTION_ROWS]).to(folds.device)
            vectors = self.material.batch(block.unsqueeze(0), folds)
            inputs = Minibatches(vectors, [0] * len(views.output))
            yield block, forward(self.architecture, views, inputs).logits.log_softmax(-1)


@dataclass(frozen=True)
class Part:
    """What the steps of some neighbours in a stack need.

    Attributes:
        views: Their parameters.
        shared_fold: The fold of each (fold, seed) among them.
        of_run: Which of those each run is of.
        room: Where their minibatches' layers stood in the last step; see `Material.batch`.
    """

    views: StackedViews
    objective: Objective
    shared_fold: Int[Tensor, " shared"]
    of_run: list[int]
    room: dict[int, Tensor] = field(default_factory=dict)


def neighbours(sizes: Sequence[int]) -> Iterator[range]:
    """Ranges of equal numbers; 0 is left out.

    Examples:
        >>> list(neighbours([2, 2, 0, 1]))
        [range(0, 2), range(3, 4)]
    """
    start = 0
    for end in range(1, len(sizes) + 1):
        if end == len(sizes) or sizes[end] != sizes[start]:
            if sizes[start]:
                yield range(start, end)
            start = end
