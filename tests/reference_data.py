"""Small data, folds and settings for tests of stage two: unlike sizes, scales and batches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from amber_heads.configuration.settings import RunSettings
from amber_heads.data import Dataset
from amber_heads.folds import Fold


def small_dataset(
    modalities: Mapping[str, int], *, num_utterances: int = 150, num_classes: int = 4
) -> Dataset:
    """Inputs that tell something of the votes, on unlike scales; raters who disagree or tie."""
    random = np.random.default_rng(7)
    counts = np.zeros((num_utterances, num_classes))
    shares = random.dirichlet(np.linspace(1.2, 0.4, num_classes), size=num_utterances)
    for row, share in zip(counts, shares, strict=True):
        row += random.multinomial(random.integers(1, 7), share)
    inputs = {}
    for number, (name, size) in enumerate(modalities.items()):
        mixed = shares @ random.normal(size=(num_classes, size)) + random.normal(
            scale=0.3, size=(num_utterances, size)
        )
        scales = 10.0 ** random.integers(-2, 3, size=size)
        inputs[name] = (scales * mixed + number).astype(np.float32)
    empty = np.full(num_utterances, "", dtype=object)
    return Dataset(
        corpus="made",
        ids=np.array([f"u{i:03d}" for i in range(num_utterances)], dtype=object),
        inputs=inputs,
        encoders={name: "none" for name in inputs},
        encoder_attributes={name: {} for name in inputs},
        classes=tuple(f"class{c}" for c in range(num_classes)),
        counts=counts,
        target=counts / counts.sum(axis=1, keepdims=True),
        columns=dict.fromkeys(("speaker", "session", "dialogue", "split", "style", "text"), empty),
        left_out={},
        fingerprint="",
    )


def unlike_folds(num_utterances: int = 150) -> tuple[Fold, ...]:
    """Training parts of 97, 64 and 50 utterances: 7, 4 and 4 steps of at most 16."""
    folds = []
    for number, (train, validation) in enumerate([(97, 20), (64, 33), (50, 41)]):
        order = np.random.default_rng([3, number]).permutation(num_utterances)
        parts = np.split(order, [train, train + validation])
        train_part, validation_part, test = (np.sort(part) for part in parts)
        folds.append(
            Fold(
                name=str(number), train=train_part, validation=validation_part, tests={"test": test}
            )
        )
    return tuple(folds)


def settings(loss: str, student: str | None = None, **changes: object) -> RunSettings:
    """A run's settings: quick, small, and those of `changes` otherwise."""
    amber2 = {
        "lambda_rai": 1.0,
        "lambda_mai": 0.5,
        "kappa": 4.0,
        "expert_loss": 0.0,
        "attach_weights": False,
    }
    silent = dict.fromkeys(amber2)
    common = {"lr": 3e-3, "weight_decay": 1e-2, "hidden": 12, "dropout": 0.0}
    common |= {"batch_size": 16, "epochs": 13, "patience": 0}
    heard = amber2 if loss == "amber2" else silent
    return RunSettings(**{"loss": loss, "student": student, **heard, **common, **changes})  # type: ignore[arg-type]
