"""What weighing all layers costs: `--layer weighted` against one layer, and against a plain loop.

Random embeddings of IEMOCAP's size: 13 layers of 768 from one encoder and one of 768 from another,
4 classes, width 256, batch 128. Two tables: of `amber fit`, in which each run has minibatches of
its own, and of `amber grid`, in which nine cells share each one's. The rival is one run after
another as plain PyTorch modules, with a softmax-weighted sum of the layers before each head, by
autograd.

Training steps only. A ratio is the median of several rounds, all timed in turn in each.

Usage: python -m tests.benchmarks.bench_layers [--steps 21] [--rounds 5] [--layers 13]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from amber_heads.configuration.settings import FitConfig, GridConfig, complete, expand
from amber_heads.grid import chunk_size, make_table
from amber_heads.losses import amber2_loss
from amber_heads.stack.featurizer import SCALE
from amber_heads.stack.material import Material
from tests.benchmarks.bench_grid import (
    BATCH,
    FEATURES,
    PlainModel,
    make_material,
    one_stack,
    seconds,
)

TABLES = {"fit": FitConfig, "grid": GridConfig}


class WeighedModel(PlainModel):
    """The same with a sum of the layers, of its own for each head that reads the audio."""

    def __init__(self, num_classes: int, num_layers: int) -> None:
        super().__init__(num_classes)
        self.scores = nn.Parameter(torch.zeros(2, num_layers))

    def forward(self, audio: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """As the parent's; `audio` is (batch, layer, feature)."""
        own, fused = torch.einsum("rl,blf->rbf", (SCALE * self.scores).softmax(-1), audio)
        gate = torch.sigmoid(self.gate(torch.cat([fused, text], dim=-1)))
        mixed = gate * self.project_audio(fused) + (1 - gate) * self.project_text(text)
        experts = torch.stack([self.audio(own), self.text(text)], dim=-2)
        return self.fusion(mixed).log_softmax(-1), experts.log_softmax(-1)


def weighed_loop(material: Material, steps: int) -> Callable[[], None]:
    """One run, `steps` optimiser steps; the inputs are standardised already."""
    audio, text = material.inputs
    layers = audio.view(len(audio), material.num_layers[0], -1)
    model = WeighedModel(len(material.classes), material.num_layers[0])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=1e-2, fused=True)
    order = torch.randint(len(audio), (steps, BATCH))

    def run() -> None:
        for index in order:
            student, experts = model(layers[index], text[index])
            loss = amber2_loss(student, experts, material.target[index], kappa=4.0, lambda_mai=0.5)
            optimizer.zero_grad(set_to_none=True)
            loss.mean().backward()
            optimizer.step()

    return run


def with_layers(material: Material, number: int) -> Material:
    """The same utterances with so many layers of the audio."""
    parts = material.parts
    random = np.random.default_rng(1)
    shape = (len(material.target), number * FEATURES)
    layers = random.standard_normal(shape, dtype=np.float32)
    names = tuple(f"random@layer{one}" for one in range(number))
    inputs = {"audio": layers, "text": parts.dataset.inputs["text"]}
    return Material(replace(parts.dataset, inputs=inputs, layers={"audio": names}), parts.folds)


def table(material: Material, name: str, steps: int) -> tuple[Callable[[], None], int]:
    """`steps` steps of one stack of a command's table, and its runs."""
    config = complete(TABLES[name](), {}, protocol="iemocap-4", modalities=("audio", "text"))
    cells = expand(config)
    runs = make_table(cells, num_folds=1, seeds=range(25))
    chosen = sorted(runs, key=lambda run: run.seed)[: chunk_size(material, cells[0])]
    return one_stack(chosen, material, steps), len(chosen)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=21)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", type=int, default=13)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # of each stack, as on a CPU they are trained
    one = make_material("iemocap", "cpu", "float32")
    several = with_layers(one, arguments.layers)
    print(f"torch {torch.__version__}, one thread, {arguments.layers} layers of {FEATURES}")
    loop = weighed_loop(several, arguments.steps)
    seconds(loop, "cpu")  # warm-up
    for name in TABLES:
        plain, num_plain = table(one, name, arguments.steps)
        weighed, num_weighed = table(several, name, arguments.steps)
        for work in (plain, weighed):
            seconds(work, "cpu")
        taken = [
            (
                seconds(loop, "cpu"),
                seconds(plain, "cpu") / num_plain,
                seconds(weighed, "cpu") / num_weighed,
            )
            for _ in range(arguments.rounds)
        ]
        told(name, np.array(taken) / arguments.steps, num_weighed)


def told(name: str, taken: np.ndarray, runs: int) -> None:
    """Print a table's medians."""
    loop, plain, weighed = (1e3 * statistics.median(column) for column in taken.T)
    ahead = statistics.median(taken[:, 0] / taken[:, 2])
    cost = statistics.median(taken[:, 2] / taken[:, 1])
    print(
        f"{name:4s}: {runs} runs, {weighed:.2f} ms a run and step; one layer {plain:.2f}, the loop "
        f"{loop:.2f}: {cost:.2f} times one layer's time, {ahead:.2f} times as fast as the loop",
        flush=True,
    )


if __name__ == "__main__":
    main()
