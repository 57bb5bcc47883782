"""Training a stack of runs at once: every tensor carries a leading run axis.

A run's result depends on the run alone. Its initialisation comes from (seed, head), its minibatch
order from (seed, fold, epoch) and its dropout from (seed, fold, epoch, head), never from what
shares its stack. Runs of unlike folds have unlike batches: a shorter batch is padded with rows of
weight 0, and a run that has no batch left in an epoch rests until the next. The rows that pad are
of the run's own part, so that an utterance that it never sees can't reach it, infinite or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.optim.adamw import adamw

from amber_heads.dropout import Dropout
from amber_heads.heads import forward, initial_parameters
from amber_heads.losses import LOSSES, LossTerms, expert_weights, js_divergence
from amber_heads.material import Material, minibatches
from amber_heads.runs import Run
from amber_heads.smoothing import smoothed

#: AdamW's constants, PyTorch's defaults.
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

#: Utterances that are predicted at once, over all runs of a stack.
PREDICTION_ROWS = 65_536


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What training gave.

    Attributes:
        training_loss: (E,) mean over each epoch's utterances.
        validation_js: (E, H) of every head after each epoch.
        expert_weights: (E, H) mean u over the validation part; NaN where a head is no expert.
        best_epoch: (H,) 1-based; all the student's where there is one.
        parameters: (P,) float32 row, each head's from its best epoch.
        validation: (n, H, C) distributions for the fold's validation part.
        tests: (n, H, C) for each test set.
        diverged: No epoch gave some head a finite validation figure; that head's epoch is 0, and
            its parameters and predictions are NaN. All heads', where there is a student.
    """

    run: Run
    training_loss: np.ndarray
    validation_js: np.ndarray
    expert_weights: np.ndarray
    best_epoch: np.ndarray
    parameters: np.ndarray
    validation: np.ndarray
    tests: Mapping[str, np.ndarray]
    diverged: bool


def train_stack(
    runs: Sequence[Run],
    material: Material,
    *,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> list[RunResult]:
    """Train runs together; they must agree in hidden width, batch size and number of epochs.

    Args:
        runs: In the order that the results come back in.
        material: Data, folds and device.
        on_epoch: Told each epoch that is done, from 1.

    Raises:
        ValueError: The runs don't agree, or there are none.
        ConfigError: A fold gives cb-ce no class weights.
    """
    stack = Stack(runs, material)
    for epoch in range(1, stack.epochs + 1):
        stack.train_epoch(epoch)
        stack.validate(epoch)
        on_epoch(epoch)
    return stack.results()


class Stack:
    """Runs that train as one: parameters, optimiser state, the best rows so far and the curves."""

    def __init__(self, runs: Sequence[Run], material: Material) -> None:
        shapes = {(r.settings.hidden, r.settings.batch_size, r.settings.epochs) for r in runs}
        if len(shapes) != 1:
            raise ValueError(f"a stack needs runs of one width, batch size and length: {shapes}")
        ((hidden, self.batch_size, self.epochs),) = shapes
        self.runs, self.material = tuple(runs), material
        self.architecture = material.architecture(hidden)
        self.heads = self.architecture.heads
        self._start_parameters()
        self._read_settings()
        num_runs, num_heads = len(self.runs), len(self.heads)
        self.training_loss = np.full((self.epochs, num_runs), np.nan)
        self.validation_js = np.full((self.epochs, num_runs, num_heads), np.nan)
        self.expert_weights = np.full((self.epochs, num_runs, num_heads), np.nan)
        self.best = torch.full_like(self.rows, math.nan)
        self.best_js: np.ndarray = np.full((num_runs, num_heads), np.inf)
        self.best_epoch: np.ndarray = np.zeros((num_runs, num_heads), dtype=np.int64)

    def train_epoch(self, epoch: int) -> None:
        """Go once through every run's training part."""
        total = torch.zeros(len(self.runs), dtype=torch.float64, device=self.material.device)
        dropout = Dropout(self.runs, self.architecture, epoch=epoch)
        for index, weight, active in self._steps(epoch):
            keep = dropout.draw(index.shape[1], like=self.rows)
            loss = self.step(index, weight, active, keep=keep)
            total += loss.double() * weight.sum(dim=1)
        sizes = [len(self.material.folds[run.fold].train) for run in self.runs]
        self.training_loss[epoch - 1] = total.cpu().numpy() / np.array(sizes)

    def step(
        self,
        index: Int[Tensor, "run batch"],
        weight: Float[Tensor, "run batch"],
        active: Sequence[int],
        *,
        keep: Sequence[Float[Tensor, "run batch hidden"]] | None = None,
    ) -> Float[Tensor, " run"]:
        """One optimiser step of the active runs, those with utterances in their batch.

        Gives the mean loss of each run's batch.
        """
        inputs = self.material.batch(index, self.fold)
        log_heads = forward(self.architecture, self.tensors, inputs, keep=keep)
        losses = self._losses(log_heads, smoothed(self.material.target[index], self.smoothing))
        per_run = (losses * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)
        gradients = torch.autograd.grad(per_run.sum(), tuple(self.tensors.values()))
        for view, gradient in zip(self.gradient_views, gradients, strict=True):
            view.copy_(gradient)
        self._adamw(active)
        return per_run.detach()

    def validate(self, epoch: int) -> None:
        """Judge every head on its run's validation part, and keep the rows that are best so far."""
        parts = [self.material.folds[run.fold].validation for run in self.runs]
        js, weights = self._judge(parts)
        self.validation_js[epoch - 1], self.expert_weights[epoch - 1] = js, weights
        judged = np.where(
            self.student[:, None] >= 0, js[np.arange(len(js)), self.student][:, None], js
        )
        better = judged < self.best_js
        self.best_js = np.where(better, judged, self.best_js)
        self.best_epoch = np.where(better, epoch, self.best_epoch)
        for number, head in enumerate(self.heads):
            start, end = self.architecture.head_span(head)
            rows = torch.from_numpy(better[:, number]).to(self.material.device)
            self.best[rows, start:end] = self.rows[rows, start:end]

    def results(self) -> list[RunResult]:
        """Predict with the best rows, and give every run's result."""
        folds = [self.material.folds[run.fold] for run in self.runs]
        validation = self.predict([fold.validation for fold in folds], self.best)
        names = list(dict.fromkeys(name for fold in folds for name in fold.tests))
        tests: list[dict[str, np.ndarray]] = [{} for _ in self.runs]
        for name in names:
            predicted = self.predict([fold.tests[name] for fold in folds], self.best)
            for found, one in zip(tests, predicted, strict=True):
                found[name] = one
        rows = self.best.float().cpu().numpy()
        return [
            RunResult(
                run=run,
                training_loss=self.training_loss[:, r],
                validation_js=self.validation_js[:, r],
                expert_weights=self.expert_weights[:, r],
                best_epoch=self.best_epoch[r],
                parameters=rows[r],
                validation=validation[r],
                tests=tests[r],
                diverged=bool((self.best_epoch[r] == 0).any()),
            )
            for r, run in enumerate(self.runs)
        ]

    def predict(
        self, parts: Sequence[np.ndarray], rows: Float[Tensor, "run parameter"]
    ) -> list[Float[np.ndarray, "utterance head class"]]:
        """Every head's distributions for each run's own utterances; NaN where it diverged."""
        shape, dtype = (len(self.heads), len(self.material.classes)), self.material.dtype
        found = [torch.empty((len(part), *shape), dtype=dtype).numpy() for part in parts]
        start = 0
        for log_heads, index, _ in self._blocks(parts, rows):
            for own, block in zip(found, log_heads.exp().cpu().numpy(), strict=True):
                rest = own[start : start + len(block)]
                rest[:] = block[: len(rest)]
            start += index.shape[1]
        return found

    def _start_parameters(self) -> None:
        device, dtype = self.material.device, self.material.dtype
        by_seed = {
            seed: initial_parameters(self.architecture, seed=seed)
            for seed in {run.seed for run in self.runs}
        }
        self.rows = torch.stack([by_seed[run.seed] for run in self.runs]).to(device, dtype)
        self.gradient = torch.zeros_like(self.rows)
        self.moment1, self.moment2 = torch.zeros_like(self.rows), torch.zeros_like(self.rows)
        self.steps = torch.zeros(len(self.runs), dtype=torch.float32, device=device)
        # Leaves share the rows' memory, so that the optimiser is one pass over flat rows.
        self.tensors = {
            name: view.detach().requires_grad_()
            for name, view in self.architecture.views(self.rows).items()
        }
        self.gradient_views = tuple(self.architecture.views(self.gradient).values())

    def _read_settings(self) -> None:
        settings = [run.settings for run in self.runs]
        self.fold = torch.tensor([run.fold for run in self.runs], device=self.material.device)
        self.kappa = self._column([one.kappa for one in settings])
        self.smoothing = self._column([one.smoothing for one in settings])[:, None, None]
        self.student = np.array(
            [-1 if one.student is None else self.heads.index(one.student) for one in settings]
        )
        others = [[h for h in range(len(self.heads)) if h != student] for student in self.student]
        order = [
            [*([s] if s >= 0 else []), *rest] for s, rest in zip(self.student, others, strict=True)
        ]
        self.order = torch.tensor(order, device=self.material.device)
        kinds: dict[tuple[str, bool], list[int]] = {}
        for r, one in enumerate(settings):
            kinds.setdefault((one.loss, not one.attach_weights), []).append(r)
        self.groups = [
            (loss, torch.tensor(rows, device=self.material.device), self._terms(loss, rows, detach))
            for (loss, detach), rows in kinds.items()
        ]

    def _terms(self, loss: str, rows: Sequence[int], detach: bool) -> LossTerms:
        settings = [self.runs[r].settings for r in rows]
        class_weights = self.material.target.new_ones(len(rows), len(self.material.classes))
        if loss == "cb-ce":  # alone in needing training parts that such weights can be made of
            class_weights = self.material.class_weights[self.fold[list(rows)]]
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
        return torch.tensor(known, dtype=self.material.dtype, device=self.material.device)

    def _steps(
        self, epoch: int
    ) -> Iterator[tuple[Int[Tensor, "run batch"], Float[Tensor, "run batch"], list[int]]]:
        """Each step's utterances, their weights, and the runs that have any."""
        plans = [
            minibatches(
                self.material.folds[run.fold].train,
                seed=run.seed,
                fold=run.fold,
                epoch=epoch,
                batch_size=self.batch_size,
            )
            for run in self.runs
        ]
        padding = [int(plan[0][0]) for plan in plans]
        for number in range(max(len(plan) for plan in plans)):
            parts = [plan[number] if number < len(plan) else _NONE for plan in plans]
            yield *self._padded(parts, padding), [r for r, part in enumerate(parts) if len(part)]

    def _padded(
        self, parts: Sequence[np.ndarray], padding: Sequence[int]
    ) -> tuple[Int[Tensor, "run batch"], Float[Tensor, "run batch"]]:
        """Indices side by side, with weight 1, or 0 where a shorter part is padded."""
        index = np.repeat(np.array(padding)[:, None], max(len(part) for part in parts), axis=1)
        weight = np.zeros(index.shape)
        for r, part in enumerate(parts):
            index[r, : len(part)], weight[r, : len(part)] = part, 1
        device = self.material.device
        return (
            torch.from_numpy(index).to(device),
            torch.from_numpy(weight).to(device, self.material.dtype),
        )

    def _losses(
        self,
        log_heads: Float[Tensor, "run batch head class"],
        target: Float[Tensor, "run batch class"],
    ) -> Float[Tensor, "run batch"]:
        """Each run's own loss: runs of one kind are computed together."""
        if len(self.groups) == 1:
            ((name, rows, terms),) = self.groups
            return LOSSES[name].compute(self._student_first(log_heads, rows), target, terms)
        losses = log_heads.new_zeros(log_heads.shape[:2])
        for name, rows, terms in self.groups:
            ordered = self._student_first(log_heads[rows], rows)
            losses = losses.index_copy(0, rows, LOSSES[name].compute(ordered, target[rows], terms))
        return losses

    def _student_first(
        self, log_heads: Float[Tensor, "run batch head class"], rows: Int[Tensor, " run"]
    ) -> Float[Tensor, "run batch head class"]:
        order = self.order[rows][:, None, :, None].expand(log_heads.shape)
        return log_heads.gather(2, order)

    def _adamw(self, active: Sequence[int]) -> None:
        """AdamW on the flat rows, PyTorch's fused kernel; runs of one rate and decay at a time."""
        kinds: dict[tuple[float, float], list[int]] = {}
        for r in active:
            one = self.runs[r].settings
            kinds.setdefault((one.lr, one.weight_decay), []).append(r)
        for (lr, weight_decay), rows in kinds.items():
            adamw(
                [self.rows[r] for r in rows],
                [self.gradient[r] for r in rows],
                [self.moment1[r] for r in rows],
                [self.moment2[r] for r in rows],
                [],
                [self.steps[r] for r in rows],
                fused=True,
                amsgrad=False,
                beta1=BETA1,
                beta2=BETA2,
                lr=lr,
                weight_decay=weight_decay,
                eps=EPSILON,
                maximize=False,
            )

    @torch.no_grad()
    def _judge(
        self, parts: Sequence[np.ndarray]
    ) -> tuple[Float[np.ndarray, "run head"], Float[np.ndarray, "run head"]]:
        """Mean JS of each head to the raters, and mean u of each expert, over a part."""
        shape = (len(self.runs), len(self.heads))
        js_sum = torch.zeros(shape, dtype=torch.float64, device=self.material.device)
        u_sum = torch.zeros_like(js_sum)
        every = torch.arange(len(self.runs), device=js_sum.device)
        has_experts = bool((self.student >= 0).any())
        for log_heads, index, weight in self._blocks(parts, self.rows):
            target = self.material.target[index]
            js = js_divergence(log_heads, target.log().unsqueeze(2))
            js_sum += (js * weight.unsqueeze(2)).sum(dim=1, dtype=torch.float64)
            if has_experts:
                experts = self._student_first(log_heads, every)[:, :, 1:]
                u = expert_weights(experts, target, kappa=self.kappa.unsqueeze(1))
                u_sum[:, 1:] += (u * weight.unsqueeze(2)).sum(dim=1, dtype=torch.float64)
        sizes = torch.tensor([len(part) for part in parts], device=js_sum.device).unsqueeze(1)
        by_head = torch.full_like(u_sum, math.nan)
        by_head.scatter_(1, self.order[:, 1:], (u_sum / sizes)[:, 1:])
        by_head[torch.from_numpy(self.student).to(by_head.device) < 0] = math.nan
        return (js_sum / sizes).cpu().numpy(), by_head.cpu().numpy()

    @torch.no_grad()
    def _blocks(
        self, parts: Sequence[np.ndarray], rows: Float[Tensor, "run parameter"]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Log-probabilities for each run's own utterances, some at a time, index and weight."""
        tensors = self.architecture.views(rows)
        size = max(1, PREDICTION_ROWS // len(self.runs))
        padding = [int(part[0]) for part in parts]
        for start in range(0, max(len(part) for part in parts), size):
            index, weight = self._padded([part[start : start + size] for part in parts], padding)
            inputs = self.material.batch(index, self.fold)
            yield forward(self.architecture, tensors, inputs), index, weight


_NONE = np.zeros(0, dtype=np.int64)
