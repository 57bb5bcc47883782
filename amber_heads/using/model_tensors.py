"""A run directory's tensors, held against what its model.json describes.

Nothing is unpickled. Every name, shape and type that model.json claims is compared with
model.safetensors before a tensor is read, so that a file can't ask for more memory than it has
bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from amber_cache.errors import RunError
from amber_heads.files.tensor_files import require_header
from amber_heads.heads import Architecture
from amber_heads.stack.featurizer import SCALE
from amber_heads.using.model_files import InputEntry, fold_architecture


def read_tensors(path: Path, described: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters and the standardisation: `rows`, `means` and `scales` of a `LoadedRun`.

    Raises:
        RunError: The file is missing or damaged, or its tensors are not those of the description.
    """
    try:
        require_header(path)
        with safe_open(path, framework="pt") as file:
            _refuse_other_tensors(file, described)
            return _tensors(file, described)
    except FileNotFoundError:
        raise RunError(
            f"{path}: is missing, so that {path.parent} is no whole run directory; the command "
            "that made it makes it anew with --overwrite"
        ) from None
    except (OSError, SafetensorError, ValueError, OverflowError) as error:
        raise RunError(f"{path}: does not hold the models of model.json: {error}") from None


def _tensors(file: Any, described: Mapping[str, Any]) -> dict[str, Any]:
    rows, means, scales = [], [], []
    for fold, entries in enumerate(described["modalities"]):
        rows.append(_rows(file, described, fold))
        means.append(_statistics(file, fold, entries, "mean"))
        scales.append(_statistics(file, fold, entries, "scale"))
        if any(bool((one <= 0).any()) for one in scales[-1]):
            raise ValueError(f"a scale of fold {fold} is not positive")
    return {"rows": tuple(rows), "means": tuple(means), "scales": tuple(scales)}


def _rows(file: Any, described: Mapping[str, Any], fold: int) -> Float[Tensor, "seed parameter"]:
    """The parameters; scores of layers as they weigh on the scale of `featurizer.SCALE`."""
    architecture = _fold_architecture(described, fold)
    rows = torch.stack(
        [
            torch.cat(
                [
                    file.get_tensor(f"fold{fold}/seed{seed}/{name}").flatten()
                    for name in architecture.shapes
                ]
            )
            for seed in described["seeds"]
        ]
    )
    views = architecture.views(rows)
    for one in described["modalities"][fold]:
        if one.layers and one.scale != SCALE:
            for name in architecture.layer_scores(one.modality).values():
                views[name].mul_(one.scale / SCALE)
    return rows


def _statistics(
    file: Any, fold: int, entries: Iterable[InputEntry], name: str
) -> tuple[Float[Tensor, " _"], ...]:
    """Flat, layers one behind the other."""
    found = tuple(
        file.get_tensor(f"fold{fold}/{one.modality}.{name}").float().flatten() for one in entries
    )
    if not all(bool(torch.isfinite(one).all()) for one in found):
        raise ValueError(f"a {name} of fold {fold} is not finite")
    return found


def _refuse_other_tensors(file: Any, described: Mapping[str, Any]) -> None:
    """Hold every tensor's name, shape and type against what model.json describes."""
    there = set(file.keys())
    seeds = described["seeds"]
    number = len(described["folds"]) * len(seeds)
    if number > len(there):
        raise ValueError(f"{len(there)} tensors are none of {number} models")
    for fold, entries in enumerate(described["modalities"]):
        shapes = _fold_architecture(described, fold).shapes
        wanted = {
            f"fold{fold}/seed{seed}/{name}": (shape, "F32")
            for seed in seeds
            for name, shape in shapes.items()
        }
        for one in entries:
            for name in ("mean", "scale"):
                wanted[f"fold{fold}/{one.modality}.{name}"] = (one.shape, "F64")
        for name, (shape, kind) in wanted.items():
            if name not in there:
                raise ValueError(f"{name} is missing")
            part = file.get_slice(name)
            found = tuple(part.get_shape()), part.get_dtype()
            if found != (shape, kind):
                raise ValueError(f"{name} is {found[1]} of {found[0]}, not {kind} of {shape}")


def _fold_architecture(described: Mapping[str, Any], fold: int) -> Architecture:
    return fold_architecture(
        described["modalities"][fold], described["settings"][fold], described["classes"]
    )
