"""What summed layers came to weigh: each layer's share, over the selected runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from amber_heads.configuration.options import Encoders, RunSettings
from amber_heads.data import Dataset
from amber_heads.heads import Architecture
from amber_heads.stack.featurizer import SCALE
from amber_heads.stack.material import architecture_of


def learned_layers(
    datasets: Mapping[Encoders, Dataset],
    by_fold: Sequence[RunSettings],
    rows: Callable[[RunSettings, int], Sequence[Float[np.ndarray, " parameter"]]],
) -> list[dict[str, Any]]:
    """The weights of each input's layers, mean and standard deviation over runs, for summary.json.

    A run that diverged is left out. Nothing comes out where no selected setting sums layers.

    Args:
        datasets: By the encoders that a run's settings name.
        by_fold: The selected settings.
        rows: The parameters of each seed's run, of some settings in a fold.
    """
    found: dict[tuple[str, str], dict[str, list[np.ndarray]]] = {}
    layers: dict[tuple[str, str], tuple[str, ...]] = {}
    for fold, settings in enumerate(by_fold):
        dataset = datasets[settings.encoders]
        architecture = architecture_of(dataset, settings.hidden)
        for modality, names in dataset.layers.items():
            key = modality, dataset.encoders[modality]
            layers[key] = names
            for row in rows(settings, fold):
                for head, weights in layer_weights(architecture, modality, row).items():
                    found.setdefault(key, {}).setdefault(head, []).append(weights)
    return [
        {
            "modality": modality,
            "entry": entry,
            "layers": list(layers[modality, entry]),
            "heads": {head: _spread(np.stack(some)) for head, some in heads.items()},
        }
        for (modality, entry), heads in found.items()
    ]


def layer_weights(
    architecture: Architecture, modality: str, row: Float[np.ndarray, " parameter"]
) -> dict[str, Float[np.ndarray, " layer"]]:
    """By head that reads a modality, the weights of its layers in a run; they sum to one."""
    weights = {}
    for head, name in architecture.layer_scores(modality).items():
        start, end = architecture.spans[name]
        logits = SCALE * row[start:end].astype(np.float64)
        odds = np.exp(logits - logits.max())
        weights[head] = odds / odds.sum()
    return weights


def _spread(weights: Float[np.ndarray, "run layer"]) -> dict[str, Any]:
    known = weights[np.isfinite(weights).all(axis=1)]
    blank = [float("nan")] * weights.shape[1]
    return {
        "runs": len(known),
        "mean": known.mean(axis=0).tolist() if len(known) else blank,
        "std": known.std(axis=0, ddof=1).tolist() if len(known) > 1 else blank,
    }
