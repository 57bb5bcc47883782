"""Modalities are a list: one, two, three or four of them train as the plain loop does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from amber_heads.engine import train_stack
from amber_heads.stack.material import Material
from amber_heads.stack.runs import Run
from tests.reference_data import settings, small_dataset, unlike_folds
from tests.reference_loop import plain_twin

ONE = {"eda": 6}
THREE = {"audio": 7, "text": 5, "face": 4}
FOUR = {"text": 3, "face": 2, "audio": 4, "eda": 2}

CASES = [
    (ONE, "js", None),
    (ONE, "cb-ce", None),
    (THREE, "amber2", "fusion"),
    (THREE, "amber2", "face"),
    (THREE, "kl", None),
    (FOUR, "amber2", "fusion"),
    (FOUR, "soft-ce", None),
]


@pytest.mark.parametrize(("sizes", "loss", "student"), CASES)
def test_a_run_is_that_of_the_plain_loop(
    sizes: dict[str, int], loss: str, student: str | None
) -> None:
    dataset = small_dataset(sizes)
    material = Material(dataset, unlike_folds(), dtype=torch.float64)
    changes = {"kappa": 8.0, "lambda_mai": 1.5} if loss == "amber2" else {}
    run = Run(settings(loss, student, epochs=4, **changes), 0, 0)
    (result,), plain = train_stack([run], material), plain_twin(run, dataset, material)
    np.testing.assert_allclose(result.training_loss, plain.training_loss, rtol=0, atol=1e-8)
    np.testing.assert_allclose(result.validation_js, plain.validation_js, rtol=0, atol=1e-8)
    best = plain.best_epochs(student)
    wanted = plain.predict(material.folds[0].tests["test"], best)
    np.testing.assert_allclose(result.tests["test"], wanted, rtol=0, atol=1e-8)


@pytest.mark.parametrize("num_classes", [2, 9])
def test_any_number_of_classes_trains(num_classes: int) -> None:
    dataset = small_dataset({"audio": 7, "text": 5}, num_classes=num_classes)
    material = Material(dataset, unlike_folds(), dtype=torch.float64)
    runs = [Run(settings(loss, epochs=3), 1, 0) for loss in ("cb-ce", "js")]
    for run, result in zip(runs, train_stack(runs, material), strict=True):
        plain = plain_twin(run, dataset, material)
        np.testing.assert_allclose(result.validation_js, plain.validation_js, rtol=0, atol=1e-8)


def test_without_experts_beside_it_a_modality_head_trains_the_same() -> None:
    # Nothing is shared between heads, so a loss without a student is each head's own.
    both = small_dataset({"audio": 7, "text": 5})
    only = small_dataset({"audio": 7})
    np.testing.assert_array_equal(both.inputs["audio"], only.inputs["audio"])
    run = Run(settings("js", epochs=4, dropout=0.3), 0, 3)
    (with_text,), (alone,) = (
        train_stack([run], Material(one, unlike_folds(), dtype=torch.float64))
        for one in (both, only)
    )
    np.testing.assert_allclose(with_text.validation_js[:, 0], alone.validation_js[:, 0], atol=1e-10)
    np.testing.assert_allclose(with_text.tests["test"][:, 0], alone.tests["test"][:, 0], atol=1e-8)
