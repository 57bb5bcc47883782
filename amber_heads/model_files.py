"""What a run directory says of its models, held against the tensors that are there.

Nothing is unpickled. Every name, shape and type that model.json claims is compared with
model.safetensors before a tensor is read, so that a file can't ask for more memory than it has
bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from amber_cache.errors import RunError
from amber_heads.heads import Architecture
from amber_heads.options import FUSION, heads_of
from amber_heads.results import read_json

#: What is refused as no sound model's: bytes of a JSON file, entries of one of its lists.
MOST_JSON_BYTES, MOST_NAMES = 16_000_000, 10_000

#: What model.json says of a modality beside how its entry was made.
_OWN_KEYS = ("name", "dimension", "entry")


@dataclass(frozen=True, kw_only=True)
class InputEntry:
    """What a model reads of one modality.

    Attributes:
        dimension: Features of a vector.
        entry: The name that the cache's entry had.
        attrs: How it was made: encoder, revision, weights_sha256, layer, pooling, precision, ...
    """

    modality: str
    dimension: int
    entry: str
    attrs: Mapping[str, Any]


def read_bounded(path: Path) -> dict[str, Any]:
    """One of a run directory's JSON files, of a size that a run writes.

    Raises:
        RunError: It is larger, or as `results.read_json`.
    """
    if path.is_file() and (size := path.stat().st_size) > MOST_JSON_BYTES:
        raise RunError(f"{path}: has {size} bytes; no run writes more than {MOST_JSON_BYTES}")
    return read_json(path)


def read_description(model: Mapping[str, Any], *, place: Path) -> dict[str, Any]:
    """What model.json says, checked: the fields of a `LoadedRun` but its files and tensors.

    Raises:
        RunError: It describes no model.
    """
    try:
        return _described(model)
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise RunError(f"{place}: describes no model: {reason}") from None


def fold_architecture(
    entries: Iterable[InputEntry], settings: Mapping[str, Any], classes: Sequence[str]
) -> Architecture:
    """The shapes of the models that read these entries."""
    sizes = tuple((one.modality, one.dimension) for one in entries)
    return Architecture(sizes, int(settings["hidden"]), len(classes))


def _described(model: Mapping[str, Any]) -> dict[str, Any]:
    classes, folds = _names(model, "classes", least=2), _names(model, "folds")
    seeds = tuple(_whole(one, "a seed", least=0) for one in _listed(model, "seeds"))
    settings = tuple(_mapping(one, "settings") for one in _listed(model, "settings"))
    for one in settings:
        _whole(one["hidden"], "hidden", least=1)
    modalities = _modalities(model, len(folds))
    heads = heads_of([one.modality for one in modalities[0]])
    if len(settings) != len(folds) or len(set(seeds)) != len(seeds):
        raise ValueError("it must have settings for each fold, and each seed once")
    if tuple(model["heads"]) != heads:
        raise ValueError(f"its heads are {model['heads']}, and its modalities give {list(heads)}")
    return {
        "classes": classes,
        "heads": heads,
        "seeds": seeds,
        "folds": folds,
        "settings": settings,
        "modalities": modalities,
    }


def _modalities(model: Mapping[str, Any], num_folds: int) -> tuple[tuple[InputEntry, ...], ...]:
    """One list for all folds, or one for each."""
    listed = _listed(model, "modalities")
    each = listed if isinstance(listed[0], list) else [listed] * num_folds
    if len(each) != num_folds:
        raise ValueError(f"it has modalities for {len(each)} folds, not {num_folds}")
    found = tuple(tuple(_entry(one) for one in fold) for fold in each)
    names = [tuple(one.modality for one in fold) for fold in found]
    if set(names) != {names[0]} or not names[0] or len(set(names[0])) != len(names[0]):
        raise ValueError("its folds must read the same modalities, each once")
    return found


def _entry(told: object) -> InputEntry:
    one = _mapping(told, "a modality")
    name, entry = str(one["name"]), str(one["entry"])
    if not name or name == FUSION or "." in name or "/" in name:
        raise ValueError(f"no modality can be named {name!r}")
    return InputEntry(
        modality=name,
        dimension=_whole(one["dimension"], f"{name}'s dimension", least=1),
        entry=entry,
        attrs={key: value for key, value in one.items() if key not in _OWN_KEYS},
    )


def read_tensors(path: Path, described: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters and the standardisation: `rows`, `means` and `scales` of a `LoadedRun`.

    Raises:
        RunError: The file is missing or damaged, or its tensors are not those of the description.
    """
    try:
        with safe_open(path, framework="pt") as file:
            _refuse_other_tensors(file, described)
            return _tensors(file, described)
    except FileNotFoundError:
        raise RunError(f"{path}: is missing; --overwrite makes the run anew") from None
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
    shapes = _fold_architecture(described, fold).shapes
    return torch.stack(
        [
            torch.cat([file.get_tensor(f"fold{fold}/seed{seed}/{n}").flatten() for n in shapes])
            for seed in described["seeds"]
        ]
    )


def _statistics(
    file: Any, fold: int, entries: Iterable[InputEntry], name: str
) -> tuple[Float[Tensor, " _"], ...]:
    found = tuple(file.get_tensor(f"fold{fold}/{one.modality}.{name}").float() for one in entries)
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
                wanted[f"fold{fold}/{one.modality}.{name}"] = ((one.dimension,), "F64")
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


def _listed(model: Mapping[str, Any], name: str) -> list[Any]:
    found = model[name]
    if not isinstance(found, list) or not 1 <= len(found) <= MOST_NAMES:
        raise ValueError(f"{name} must be a list of 1 to {MOST_NAMES}")
    return found


def _names(model: Mapping[str, Any], name: str, *, least: int = 1) -> tuple[str, ...]:
    found = _listed(model, name)
    if len(found) < least or not all(isinstance(one, str) for one in found):
        raise ValueError(f"{name} must be at least {least} texts")
    return tuple(found)


def _mapping(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object, not {type(value).__name__}")
    return value


def _whole(value: object, name: str, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {str(value)[:40]!r}, and must be a whole number from {least}")
    return value
