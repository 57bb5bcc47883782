"""How fast a table of runs trains, against what a user would write instead.

Random embeddings of IEMOCAP's size (4,420 x (768 + 768), 4 classes, three fifths of them in
training) or of MSP-Podcast's (`--corpus msp`: 100,000 x (768 + 768), 8 classes, a slice of an
epoch), width 256, batch 128. A table has the paper's nine cells for each seed; it trains as
`amber grid` trains it: on a CPU one stack of one thread a core, at the same time. The rivals, each
in turn with the stacks and on the same cores:

- loop: one run after another as plain PyTorch modules, autograd, `AdamW(fused=True)`;
- processes: that loop in as many processes as there are threads, one thread each;
- vmap: `torch.func.vmap` and `grad` over stacked modules, PyTorch's own way to train an ensemble;
- mlp: scikit-learn's MLPClassifier on the concatenated input and hard labels, through joblib. It
  has one head instead of three and no gate: 0.40 million parameters to 1.25.

Training steps only: validation takes neither part. A ratio is the rival's time over the stack's,
the median of several rounds; the share is that of the matrix rate measured between the rounds.

Usage: python tests/benchmarks/bench_grid.py [--device cuda] [--precision bfloat16] [--corpus msp]
           [--steps 42] [--rounds 5] [--rivals loop,processes,vmap,mlp]
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import torch
from sklearn.neural_network import MLPClassifier
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from amber_heads.configuration.settings import GridConfig, complete, expand
from amber_heads.data import Dataset
from amber_heads.engine import Stack
from amber_heads.folds import Fold
from amber_heads.grid import chunk_size, make_table
from amber_heads.losses import amber2_loss
from amber_heads.stack.material import Material
from amber_heads.stack.runs import Run

FEATURES, WIDTH, BATCH = 768, 256, 128
SIZES = {"iemocap": (4_420, 4), "msp": (100_000, 8)}

#: Floating-point operations of a step of one run: two for each weight and utterance forwards, and
#: the same again for each weight's gradient, and for what goes back through the small layers.
FIRST_FLOP = 2 * 2 * BATCH * 2 * FEATURES * 3 * WIDTH
SMALL_FLOP = 3 * 2 * BATCH * WIDTH * WIDTH
FLOP = FIRST_FLOP + SMALL_FLOP


class PlainModel(nn.Module):
    """The same heads, gate and fusion as ordinary modules."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.audio, self.text = _mlp(FEATURES, num_classes), _mlp(FEATURES, num_classes)
        self.project_audio, self.project_text = (nn.Linear(FEATURES, WIDTH) for _ in range(2))
        self.gate = nn.Linear(2 * FEATURES, WIDTH)
        self.fusion = _mlp(WIDTH, num_classes)

    def forward(self, audio: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the student, and of the experts."""
        gate = torch.sigmoid(self.gate(torch.cat([audio, text], dim=-1)))
        fused = gate * self.project_audio(audio) + (1 - gate) * self.project_text(text)
        experts = torch.stack([self.audio(audio), self.text(text)], dim=-2)
        return self.fusion(fused).log_softmax(-1), experts.log_softmax(-1)


def _mlp(size: int, num_classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, WIDTH), nn.ReLU(), nn.Linear(WIDTH, num_classes))


def plain_loop(
    audio: Tensor, text: Tensor, target: Tensor, steps: int, *, autocast: bool = False
) -> Callable[[], None]:
    """One run, `steps` optimiser steps."""
    model = PlainModel(target.shape[1]).to(audio.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=1e-2, fused=True)
    order = torch.randint(len(audio), (steps, BATCH)).to(audio.device)

    def run() -> None:
        for index in order:
            with torch.autocast(audio.device.type, torch.bfloat16, enabled=autocast):
                student, experts = model(audio[index], text[index])
            y = target[index]
            loss = amber2_loss(
                student.float(), experts.float(), y, kappa=4.0, lambda_mai=0.5
            ).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return run


def in_processes(material: Material, steps: int, number: int) -> Callable[[], None]:
    """The loop in several processes at once, one thread and one run each."""
    arrays = [one.cpu().numpy() for one in (*material.inputs, material.target)]
    parallel = joblib.Parallel(n_jobs=number)

    def run() -> None:
        parallel(joblib.delayed(_one_process)(*arrays, steps) for _ in range(number))

    return run


def _one_process(audio: np.ndarray, text: np.ndarray, target: np.ndarray, steps: int) -> None:
    warnings.simplefilter("ignore")  # a shared array is not writable, which torch remarks on
    torch.set_num_threads(1)
    plain_loop(torch.as_tensor(audio), torch.as_tensor(text), torch.as_tensor(target), steps)()


def vmapped(material: Material, steps: int, runs: int) -> Callable[[], None]:
    """`steps` steps of stacked modules: vmap of grad, and AdamW on the stacked parameters."""
    audio, text = material.inputs
    target = material.target
    models = [PlainModel(target.shape[1]).to(audio.device) for _ in range(runs)]
    parameters, _ = stack_module_state(models)  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(parameters.values(), lr=3e-4, weight_decay=1e-2, fused=True)
    order = torch.randint(len(audio), (steps, BATCH)).to(audio.device)

    def loss(own: dict[str, Tensor], x: Tensor, z: Tensor, y: Tensor, kappa: Tensor) -> Tensor:
        student, experts = functional_call(models[0], own, (x, z))
        gap = torch.special.entr  # the divergence as a difference of entropies, which vmap can map

        def js(p: Tensor, q: Tensor) -> Tensor:
            return gap((p + q) / 2).sum(-1) - (gap(p).sum(-1) + gap(q).sum(-1)) / 2

        s, p = student.exp(), experts.exp()
        u = torch.softmax(-kappa * js(p, y.unsqueeze(-2)).detach(), dim=-1)
        return (js(y, s) + 0.5 * (u * js(s.unsqueeze(-2), p)).sum(-1)).mean()

    gradient = vmap(grad(loss), in_dims=(0, None, None, None, 0))
    kappa = torch.full((runs,), 4.0, device=audio.device)

    def run() -> None:
        for index in order:
            found = gradient(dict(parameters), audio[index], text[index], target[index], kappa)
            for name, one in parameters.items():
                one.grad = found[name]
            optimizer.step()

    return run


def multilayer_perceptrons(material: Material, steps: int, number: int) -> Callable[[], None]:
    """scikit-learn's, one a process, for as many steps."""
    x = torch.cat(list(material.inputs), dim=1)[: steps * BATCH].numpy()
    y = material.target[: steps * BATCH].argmax(dim=1).numpy()
    parallel = joblib.Parallel(n_jobs=number)

    def run() -> None:
        parallel(joblib.delayed(_one_perceptron)(x, y, seed) for seed in range(number))

    return run


def _one_perceptron(x: np.ndarray, y: np.ndarray, seed: int) -> None:
    warnings.simplefilter("ignore")  # one epoch is not enough, it says
    MLPClassifier((WIDTH,), batch_size=BATCH, max_iter=1, random_state=seed).fit(x, y)


def stacked(material: Material, steps: int, seeds: int) -> tuple[Callable[[], None], int]:
    """`steps` steps of as many stacks as `amber grid` trains at once, and their runs in all."""
    protocol = "iemocap-4" if len(material.classes) == 4 else "msp-podcast-8"
    config = complete(GridConfig(), {}, protocol=protocol, modalities=("audio", "text"))
    cells = expand(config)
    table = make_table(cells, num_folds=1, seeds=range(seeds))
    size = chunk_size(material, cells[0])
    runs = sorted(table, key=lambda run: run.seed)
    on_cpu = material.device == "cpu"
    number = torch.get_num_threads() if on_cpu else 1
    works = [
        one_stack(runs[start : start + size], material, steps)
        for start in range(0, number * size, size)
    ]
    if not on_cpu:
        return works[0], min(size, len(runs))
    pool = ThreadPoolExecutor(number, initializer=torch.set_num_threads, initargs=(1,))

    def run() -> None:
        list(pool.map(lambda work: work(), works))

    return run, number * size


def one_stack(runs: Sequence[Run], material: Material, steps: int) -> Callable[[], None]:
    """`steps` steps of one stack."""
    stack = Stack(runs, material)
    groups = len({run.seed for run in runs})
    length = len(material.folds[0].train)
    order = torch.randint(length, (steps, groups, BATCH)).to(material.device)

    def run() -> None:
        for index in order:
            stack.step(range(len(runs)), index)

    return run


def make_material(corpus: str, device: str, precision: str) -> Material:
    """Random embeddings and soft labels, three fifths of them in training."""
    utterances, classes = SIZES[corpus]
    random = np.random.default_rng(0)
    votes = random.multinomial(3, np.full(classes, 1 / classes), size=utterances).astype(float)
    names = {"audio": FEATURES, "text": FEATURES}
    dataset = Dataset(
        corpus="random",
        ids=np.arange(utterances).astype(str).astype(object),
        inputs={
            name: random.normal(size=(utterances, size)).astype(np.float32)
            for name, size in names.items()
        },
        encoders=dict.fromkeys(names, "random"),
        encoder_attributes={name: {} for name in names},
        classes=tuple("abcdefgh"[:classes]),
        counts=votes,
        target=votes / 3,
        columns={},
        left_out={},
        fingerprint="",
    )
    part = np.split(np.arange(utterances), [utterances * 3 // 5, utterances * 4 // 5])
    fold = Fold(name="one", train=part[0], validation=part[1], tests={"test": part[2]})
    low = torch.bfloat16 if precision == "bfloat16" else None
    return Material(dataset, [fold], device=device, product_dtype=low)


def seconds(work: Callable[[], None], device: str) -> float:
    """Wall time of one call, the device's queue emptied before and after."""
    synchronize = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    synchronize()
    began = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - began


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """FLOP a second of a large square product."""
    size = 2048 if device == "cpu" else 8192
    left = torch.randn(size, size, device=device).to(dtype)
    out = torch.empty_like(left)

    def work() -> None:
        for _ in range(4):
            torch.mm(left, left, out=out)

    work()
    return 4 * 2 * size**3 / seconds(work, device)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--corpus", default="iemocap", choices=SIZES)
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16", "tf32"))
    parser.add_argument("--steps", type=int, default=42)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=25)
    parser.add_argument("--rivals", default="loop,processes,vmap,mlp")
    arguments = parser.parse_args()
    device, steps, rounds = arguments.device, arguments.steps, arguments.rounds
    torch.backends.cuda.matmul.allow_tf32 = arguments.precision == "tf32"
    material = make_material(arguments.corpus, device, arguments.precision)
    work, runs = stacked(material, steps, arguments.seeds)
    threads = torch.get_num_threads()
    offered: dict[str, tuple[Callable[[], Callable[[], None]], int]] = {
        "loop": (lambda: plain_loop(*material.inputs, material.target, steps), 1),
        "autocast": (
            lambda: plain_loop(*material.inputs, material.target, steps, autocast=True),
            1,
        ),
        "processes": (lambda: in_processes(material, steps, threads), threads),
        "vmap": (lambda: vmapped(material, steps, 9), 9),
        "mlp": (lambda: multilayer_perceptrons(material, steps, threads), threads),
    }
    chosen = {name: offered[name] for name in arguments.rivals.split(",")}
    rivals = {name: (make(), number) for name, (make, number) in chosen.items()}
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "CPU"
    print(f"torch {torch.__version__}, {name}, {threads} threads, {arguments.precision}")
    print(f"{arguments.corpus}: {SIZES[arguments.corpus]}, {runs} runs at once, {steps} steps")
    for one in (work, *(rival for rival, _ in rivals.values())):
        seconds(one, device)  # warm-up
    dtype = torch.bfloat16 if arguments.precision == "bfloat16" else torch.float32
    own: list[float] = []
    rates: list[float] = []
    others: dict[str, list[tuple[float, float]]] = {name: [] for name in rivals}
    for _ in range(rounds):
        rates.append(matrix_rate(device, dtype))
        for name, (rival, number) in rivals.items():
            taken = seconds(rival, device) / number
            ours = seconds(work, device) / runs
            own.append(ours)
            others[name].append((taken, taken / ours))
    step = statistics.median(own) / steps
    rate = statistics.median(rates)
    length = len(material.folds[0].train)
    whole = 30 * -(-length // BATCH)
    print(f"stack: {1e3 * step:.2f} ms a run and step, {whole * step:.2f} s a run of 30 epochs")
    print(f"       {FLOP / step / 1e9:.0f} GFLOP/s, {FLOP / step / rate:.0%} of {rate / 1e9:.0f}")
    for name, pairs in others.items():
        taken = statistics.median(one for one, _ in pairs) / steps
        ratios = sorted(ratio for _, ratio in pairs)
        print(
            f"{name:9s}: {1e3 * taken:6.2f} ms a run and step; the stack is "
            f"{statistics.median(ratios):.2f} times as fast ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


if __name__ == "__main__":
    main()
