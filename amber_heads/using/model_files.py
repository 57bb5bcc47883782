"""What a run directory says of its models: model.json, checked before anything is made of it.

The tensors that it describes are read by model_tensors.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amber_cache.errors import RunError
from amber_heads.configuration.options import FUSION, heads_of
from amber_heads.heads import Architecture
from amber_heads.policies.layers import WEIGHTED, parse_name
from amber_heads.results import read_json

#: What is refused as no sound model's: bytes of a JSON file, entries of one of its lists.
MOST_JSON_BYTES, MOST_NAMES = 16_000_000, 10_000

#: What model.json says of a modality beside how its entry was made; where layers are summed, more.
_OWN_KEYS, _LAYER_KEYS = ("name", "dimension", "entry"), ("layers", "scale")

#: Letters of an entry's name.
_MOST_LETTERS = 1000


@dataclass(frozen=True, kw_only=True)
class InputEntry:
    """What a model reads of one modality.

    Attributes:
        dimension: Features of a vector; where layers are summed, of one layer's.
        entry: The name that the cache's entry had; NAME@weighted stands for all layers.
        attrs: How it was made: encoder, revision, weights_sha256, layer, pooling, precision, ...
        layers: The entries that are summed, in order; () for one that is read as it is.
        scale: s of their weights, softmax(s * scores).
    """

    modality: str
    dimension: int
    entry: str
    attrs: Mapping[str, Any]
    layers: tuple[str, ...] = ()
    scale: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is read of an utterance: (D,), or (L, D)."""
        return (len(self.layers), self.dimension) if self.layers else (self.dimension,)

    @property
    def width(self) -> int:
        """D, or L * D where the layers stand one behind the other."""
        return math.prod(self.shape)

    @property
    def layer_numbers(self) -> tuple[int, ...]:
        """Of the encoder, of the layers that are summed; () where none are."""
        return tuple(int(parse_name(one).layer or 0) for one in self.layers)


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
    listed = tuple(entries)
    sizes = tuple((one.modality, one.dimension) for one in listed)
    counts = tuple(max(1, len(one.layers)) for one in listed)
    return Architecture(sizes, int(settings["hidden"]), len(classes), counts)


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
    is_summed = one.get("layer") == WEIGHTED
    own = (*_OWN_KEYS, *(_LAYER_KEYS if is_summed else ()))
    return InputEntry(
        modality=name,
        dimension=_whole(one["dimension"], f"{name}'s dimension", least=1),
        entry=entry,
        attrs={key: value for key, value in one.items() if key not in own},
        **(_layers(one, name) if is_summed else {}),
    )


def _layers(one: Mapping[str, Any], modality: str) -> dict[str, Any]:
    """What is told of layers that are summed."""
    layers, scale = _names(one, "layers", least=2), one["scale"]
    known = {one: None if len(one) > _MOST_LETTERS else parse_name(one).layer for one in layers}
    if len(known) != len(layers) or None in known.values():
        raise ValueError(f"{modality}'s layers must be names of single layers, each once")
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < 1e6:
        raise ValueError(f"{modality}'s scale is {str(scale)[:40]!r}, and must be above 0")
    return {"layers": layers, "scale": float(scale)}


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
