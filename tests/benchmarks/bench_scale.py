"""What a table costs as it grows: seconds and memory by runs and by utterances.

Each size is trained in a process of its own (random embeddings, 768 + 768 features, width 256, two
epochs, all of AmbER2's heads, a stack of one thread on each core), once to warm up and once to be
measured. Beside the peak of memory stands what `amber_heads.grid` plans with: the data once, so
many stacked runs, and what is kept of each.

Usage: python tests/benchmarks/bench_scale.py [--features 768]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

RUNS = (18, 36, 72, 144)
UTTERANCES = (2_500, 5_000, 10_000, 20_000)
STACKS = (3, 6, 9, 18)


def measure(utterances: int, runs: int, stack: int, features: int) -> None:
    """In the child: print seconds, the peak above what was there before, and the plan, in MiB."""
    import numpy as np
    import torch

    from amber_heads.configuration.settings import FitConfig, complete, expand
    from amber_heads.data import Dataset
    from amber_heads.folds import Fold
    from amber_heads.grid import make_table, stack_bytes, train_table
    from amber_heads.stack.material import Material

    random = np.random.default_rng(0)
    votes = random.multinomial(3, [0.25] * 4, size=utterances).astype(float)
    names = ("audio", "text")
    inputs = {
        name: random.standard_normal((utterances, features), dtype=np.float32) for name in names
    }
    dataset = Dataset(
        corpus="random",
        ids=np.arange(utterances).astype(str).astype(object),
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
    part = np.split(np.arange(utterances), [utterances * 3 // 5, utterances * 4 // 5])
    fold = Fold(name="one", train=part[0], validation=part[1], tests={"test": part[2]})
    config = complete(FitConfig(epochs=2), {}, protocol="iemocap-4", modalities=("audio", "text"))
    (settings,) = expand(config)
    workers = torch.get_num_threads()
    warm = Material(dataset, [fold])
    train_table(make_table([settings], num_folds=1, seeds=range(900, 900 + workers)), warm, size=1)
    before = _peak()
    material = Material(dataset, [fold])
    table = make_table([settings], num_folds=1, seeds=range(runs))
    began = time.perf_counter()
    results = train_table(table, material, size=stack)
    taken = time.perf_counter() - began
    kept = sum(
        one.parameters.nbytes + one.validation.nbytes + one.tests["test"].nbytes for one in results
    )
    at_once = min(workers * stack, runs) - workers  # the warm-up's the peak holds already
    print(taken, _peak() - before, (at_once * stack_bytes(material, settings) + kept) / 2**20)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(utterances: int, runs: int, stack: int, features: int) -> list[float]:
    """Measure in a process of its own."""
    told = map(str, (utterances, runs, stack, features))
    done = subprocess.run(
        [sys.executable, __file__, "--child", *told], capture_output=True, text=True, check=True
    )
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--features", type=int, default=768)
    parser.add_argument("--child", type=int, nargs=4)
    arguments = parser.parse_args()
    if arguments.child:
        measure(*arguments.child)
        return
    features = arguments.features
    print("runs (5,000 utterances) | s | ms a run")
    for runs in RUNS:
        seconds, _, _ = child(5_000, runs, 9, features)
        print(f"{runs:23d} | {seconds:.1f} | {1e3 * seconds / runs:.0f}")
    print("utterances (18 runs) | s | ms a run and 1,000 utterances")
    for utterances in UTTERANCES:
        seconds, _, _ = child(utterances, 18, 9, features)
        print(f"{utterances:20d} | {seconds:.1f} | {1e6 * seconds / 18 / utterances:.0f}")
    print("stack (36 runs, 5,000 utterances) | peak above one run a core, MiB | planned, MiB")
    for stack in STACKS:
        _, peak, planned = child(5_000, 36, stack, features)
        print(f"{stack:33d} | {peak:.0f} | {planned:.0f}")


if __name__ == "__main__":
    main()
