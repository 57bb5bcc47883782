"""How fast runs train in a stack, against the plain PyTorch loop with fused AdamW, run by run.

Random embeddings of IEMOCAP's size (4,420 x (768 + 768), 4 classes), width 256, batch 128. Both do
the same arithmetic on the same batches; loop and stack take turns, and the median ratio is printed.

Usage: python tests/benchmarks/bench_stack.py [--device cuda] [--steps 40] [--rounds 5]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from amber_heads.data import Dataset
from amber_heads.engine import Stack
from amber_heads.folds import Fold
from amber_heads.losses import amber2_loss
from amber_heads.material import Material
from amber_heads.runs import Run
from amber_heads.settings import FitConfig, complete, expand

UTTERANCES, FEATURES, CLASSES, WIDTH, BATCH = 4_420, 768, 4, 256, 128


class PlainModel(nn.Module):
    """The same heads, gate and fusion as ordinary modules."""

    def __init__(self) -> None:
        super().__init__()
        self.audio, self.text = _mlp(FEATURES), _mlp(FEATURES)
        self.project_audio, self.project_text = (nn.Linear(FEATURES, WIDTH) for _ in range(2))
        self.gate = nn.Linear(2 * FEATURES, WIDTH)
        self.fusion = _mlp(WIDTH)

    def forward(self, audio: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the student, and of the experts."""
        gate = torch.sigmoid(self.gate(torch.cat([audio, text], dim=-1)))
        fused = gate * self.project_audio(audio) + (1 - gate) * self.project_text(text)
        experts = torch.stack([self.audio(audio), self.text(text)], dim=1)
        return self.fusion(fused).log_softmax(-1), experts.log_softmax(-1)


def _mlp(size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, WIDTH), nn.ReLU(), nn.Linear(WIDTH, CLASSES))


def plain_steps(material: Material, steps: int) -> Callable[[], None]:
    """The loop's rival: one run, `steps` optimiser steps."""
    model = PlainModel().to(material.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=1e-2, fused=True)
    order = torch.randint(UTTERANCES, (steps, BATCH)).to(material.device)

    def run() -> None:
        for index in order:
            student, experts = model(material.inputs[0][index], material.inputs[1][index])
            target = material.target[index]
            loss = amber2_loss(student, experts, target, kappa=4.0, lambda_mai=0.5).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return run


def stacked_steps(material: Material, steps: int, runs: int) -> Callable[[], None]:
    """`steps` optimiser steps of a stack."""
    config = complete(FitConfig(), {}, protocol="iemocap-4", modalities=("audio", "text"))
    (settings,) = expand(config)
    stack = Stack([Run(settings, 0, seed) for seed in range(runs)], material)
    order = torch.randint(UTTERANCES, (steps, runs, BATCH)).to(material.device)

    def run() -> None:
        for index in order:
            stack.step(range(runs), index)

    return run


def material(device: str) -> Material:
    """Random embeddings and soft labels of IEMOCAP's size, all of them in training."""
    random = np.random.default_rng(0)
    votes = random.multinomial(3, [0.3, 0.3, 0.2, 0.2], size=UTTERANCES).astype(float)
    names = ("audio", "text")
    inputs = {n: random.standard_normal((UTTERANCES, FEATURES), dtype=np.float32) for n in names}
    everyone = np.arange(UTTERANCES)
    dataset = Dataset(
        corpus="random",
        ids=everyone.astype(str).astype(object),
        inputs=inputs,
        encoders=dict.fromkeys(names, "random"),
        encoder_attributes={name: {} for name in names},
        classes=tuple("abcd"),
        counts=votes,
        target=votes / 3,
        columns={},
        left_out={},
        fingerprint="",
    )
    fold = Fold(name="all", train=everyone, validation=everyone[:8], tests={"test": everyone[:8]})
    return Material(dataset, [fold], standardize=False, device=device)


def seconds(work: Callable[[], None], device: str) -> float:
    """Wall time of one call, the device's queue emptied before and after."""
    synchronize = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    synchronize()
    began = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stacks", default="1,2,3,5,9,25")
    arguments = parser.parse_args()
    device, steps = arguments.device, arguments.steps
    shared = material(device)
    rival = plain_steps(shared, steps)
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor()
    print(f"torch {torch.__version__}, {device} {name}, {torch.get_num_threads()} threads")
    print("runs in the stack | ms a run and step: loop, stack | ratio loop/stack, median")
    for size in map(int, arguments.stacks.split(",")):
        work = stacked_steps(shared, steps, size)
        seconds(rival, device), seconds(work, device)  # warm-up
        pairs = [(seconds(rival, device), seconds(work, device)) for _ in range(arguments.rounds)]
        loop = 1e3 * statistics.median(one for one, _ in pairs) / steps
        stack = 1e3 * statistics.median(two for _, two in pairs) / steps / size
        ratio = statistics.median(one / (two / size) for one, two in pairs)
        print(f"{size:17d} | {loop:8.2f} {stack:8.2f} | {ratio:.2f}")


if __name__ == "__main__":
    main()
