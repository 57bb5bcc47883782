"""What the scale of the layers' scores changes: made layers, of which the middle ones tell most.

Usage: python tests/benchmarks/check_layers.py

Prints js on test of single layers, of their plain mean and of learned sums by scale, at the default
rate, batch and number of epochs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[2]

SIZE, LAYERS, WIDTH, CLASSES = 4420, 13, 256, 4
SEEDS = 3


def main() -> None:
    """Print a line for each input."""
    sys.path.insert(0, str(ROOT))
    from amber_heads.stack import featurizer

    torch.set_num_threads(1)
    counts, layers = made()
    train = parts()[0]
    alike = (layers - layers[train].mean(axis=0)) / layers[train].std(axis=0)
    for name, one in (("last layer", layers[:, -1]), ("layer 6", layers[:, 6])):
        told(name, counts, one, {})
    told("mean of all layers", counts, alike.mean(axis=1), {})
    names = {"audio": tuple(f"e@layer{number}" for number in range(LAYERS))}
    for scale in (1.0, 10.0, 30.0, 100.0):
        featurizer.SCALE = scale
        told(f"learned sum, scale {scale:g}", counts, layers.reshape(SIZE, -1), names)


def made() -> tuple[np.ndarray, np.ndarray]:
    """Three votes an utterance, and layers that follow from one another."""
    random = np.random.default_rng(0)
    shares = random.dirichlet([1.0, 0.7, 0.5, 0.5], size=SIZE)
    counts = np.array([random.multinomial(3, one) for one in shares], dtype=float)
    hint = shares - shares.mean(axis=0)
    strength = np.exp(-0.5 * ((np.arange(LAYERS) - 6) / 2) ** 2)
    layers = np.empty((SIZE, LAYERS, WIDTH), np.float32)
    base = random.normal(size=(SIZE, WIDTH))
    for number, strong in enumerate(strength):
        base = 0.8 * base + 0.6 * random.normal(size=base.shape)
        layers[:, number] = base + strong * (hint @ random.normal(size=(CLASSES, WIDTH)))
    return counts, layers


def parts() -> list[np.ndarray]:
    """Training, validation and test."""
    order = np.random.default_rng(1).permutation(SIZE)
    return [np.sort(one) for one in np.split(order, [2650, 3535])]


def told(
    name: str, counts: np.ndarray, inputs: np.ndarray, layers: Mapping[str, tuple[str, ...]]
) -> None:
    """Train on some inputs, and print js on test over seeds and the greatest layer's weight."""
    from amber_heads.configuration.options import FitConfig
    from amber_heads.configuration.settings import expand
    from amber_heads.data import Dataset
    from amber_heads.engine import train_stack
    from amber_heads.folds import Fold
    from amber_heads.metrics import evaluate
    from amber_heads.stack.featurizer import SCALE
    from amber_heads.stack.material import Material
    from amber_heads.stack.runs import Run

    dataset = Dataset(
        corpus="made",
        ids=np.full(SIZE, "", dtype=object),
        inputs={"audio": np.ascontiguousarray(inputs, dtype=np.float32)},
        encoders={"audio": "e"},
        encoder_attributes={"audio": {}},
        classes=tuple("abcd"),
        counts=counts,
        target=counts / counts.sum(axis=1, keepdims=True),
        columns={},
        left_out={},
        fingerprint="",
        layers=layers,
    )
    train, validation, test = parts()
    fold = Fold(name="0", train=train, validation=validation, tests={"test": test})
    (one,) = expand(FitConfig(loss="js", modalities=("audio",)))
    material = Material(dataset, [fold])
    results = train_stack([Run(one, 0, seed) for seed in range(SEEDS)], material)
    js = [evaluate(dataset.target[test], found.tests["test"][:, 0])["js"] for found in results]
    told = f"{name:28s} js {np.mean(js):.4f} ± {np.std(js, ddof=1):.4f}"
    for modality in layers:
        start, end = material.architecture(one.hidden).spans[f"{modality}.layers.scores"]
        scores = torch.from_numpy(np.stack([found.parameters[start:end] for found in results]))
        weights = (SCALE * scores).softmax(-1).mean(dim=0)
        told += f"; greatest weight {weights.max():.3f} (layer {int(weights.argmax())})"
    print(told, flush=True)


if __name__ == "__main__":
    main()
