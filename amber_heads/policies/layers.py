"""Layers of one encoder in a cache: which entries they are, and how they go as one input.

`NAME@weighted` stands for all entries `NAME@layer0`, `NAME@layer1`, ... of a modality, and for
`NAME` itself, which is the last layer. Pooling, precision and who transcribed stand behind it, as
in an entry's name, and are the same in all. Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from amber_cache.errors import ConfigError
from amber_cache.store import DONE, ENTRY_SETTINGS, FAILED, Cache, Entry

#: What stands in a name for the number of a layer where all of them are meant.
WEIGHTED = "weighted"

_NAME = re.compile(
    r"(?P<base>.+?)(@(layer(?P<layer>-?\d+)|(?P<all>weighted)))?"
    r"(?P<rest>(\+[^@+~]+)?(~[^@+~]+)?(@asr-.+)?)"
)

#: What all layers of one input have in common, where their entries say it.
_SHARED = tuple(one for one in ENTRY_SETTINGS if one != "layer")

#: Below it, two entries are one layer that was computed twice (of layers side by side the least
#: difference is far above); how many rows tell.
_TWIN, _TWIN_ROWS = 1e-2, 256


@dataclass(frozen=True, slots=True)
class LayerName:
    """An entry's name, taken apart.

    Attributes:
        encoder: The encoder's part.
        rest: Pooling, precision and who transcribed the text, "+mean-std~bfloat16@asr-tiny"; "" for
            the defaults and the reference.
        layer: Its number, -1 where the name has none; None for all layers.
    """

    encoder: str
    rest: str
    layer: int | None

    @property
    def weighted(self) -> str:
        """The name that stands for all layers."""
        return f"{self.encoder}@{WEIGHTED}{self.rest}"


def parse_name(name: str) -> LayerName:
    """Take an entry's name apart.

    >>> parse_name("org--wide@layer9+mean-std")
    LayerName(encoder='org--wide', rest='+mean-std', layer=9)
    >>> parse_name("bert@layer9@asr-tiny").weighted
    'bert@weighted@asr-tiny'
    >>> parse_name("mel").layer, parse_name("org/wide@weighted").weighted
    (-1, 'org--wide@weighted')
    """
    found = _NAME.fullmatch(name.replace("/", "--"))
    if found is None:  # no name that a cache can hold
        return LayerName(name, "", -1)
    layer = None if found["all"] else int(found["layer"] or -1)
    return LayerName(found["base"], found["rest"], layer)


def layer_groups(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The entries that are layers of one encoder, pooling and precision, where there are several.

    Layers are in order; those that are counted from the end stand behind.

    >>> layer_groups(["mel", "w2v", "w2v@layer10", "w2v@layer9", "w2v@layer9+first"])
    {'w2v@weighted': ('w2v@layer9', 'w2v@layer10', 'w2v')}
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        parts = parse_name(name)
        groups.setdefault(parts.encoder + parts.rest, []).append(name)
    found = {}
    for some in groups.values():
        ordered = sorted(some, key=_order)
        if len(ordered) > 1:
            found[parse_name(ordered[0]).weighted] = tuple(ordered)
    return found


def layers_of(cache: Cache, modality: str, name: str) -> tuple[str, ...]:
    """The entries that a name with `@weighted` stands for.

    Raises:
        ConfigError: The modality has no several layers of that encoder, pooling and precision.
    """
    groups = layer_groups(cache.encoders(modality))
    weighted = parse_name(name).weighted
    if weighted not in groups:
        there = ", ".join(cache.encoders(modality)) or "nothing"
        raise ConfigError(
            f"{cache.path}: there are no several layers for {modality}={name}, pooled alike and "
            f"in one precision; of {modality} it has {there}; `amber extract --layer all` makes "
            "them"
        )
    return groups[weighted]


@dataclass(frozen=True)
class LayeredEntry:
    """Several layers of one encoder, as one input; the cache must stay open to read it.

    Attributes:
        name: With `@weighted`.
        layers: The entries, in order.
        attrs: What all have in common, `layer` being "weighted".
    """

    name: str
    layers: tuple[Entry, ...]
    attrs: Mapping[str, Any]

    @property
    def status(self) -> UInt8[np.ndarray, " utterance"]:
        """DONE where every layer is."""
        done = reduce(np.logical_and, (one.status == DONE for one in self.layers))
        return np.where(done, DONE, FAILED).astype(np.uint8)

    def vectors(self, used: Bool[np.ndarray, " utterance"]) -> Float32[np.ndarray, "used _"]:
        """The layers of some utterances, one behind the other: (n, L * D)."""
        width = self.layers[0].width
        vectors = np.empty((int(used.sum()), len(self.layers) * width), np.float32)
        place = np.cumsum(used) - used  # of each utterance among those that are used
        for number, entry in enumerate(self.layers):
            columns = slice(number * width, (number + 1) * width)
            for start, block in entry.blocks():
                rows = used[start : start + len(block)]
                vectors[place[start : start + len(block)][rows], columns] = block[rows]
        return vectors


def read_layers(cache: Cache, modality: str, name: str) -> LayeredEntry:
    """Open the layers that a name with `@weighted` stands for.

    A layer that is there under two numbers (the last one, as -1 and by its own) is taken once.

    Raises:
        CacheError: An entry is damaged.
        ConfigError: There are no several layers, or they don't belong together.
    """
    entries = [cache.entry(modality, one) for one in layers_of(cache, modality, name)]
    _refuse_unlike(entries, cache)
    numbered = [one for one in entries if _number(one.name) >= 0]
    layers = [
        one
        for one in entries
        if _number(one.name) >= 0 or not any(_are_twins(one, other) for other in numbered)
    ]
    if len(layers) < 2:
        raise ConfigError(
            f"{cache.path}: {' and '.join(one.name for one in entries)} of {modality} are one "
            "layer; `amber extract --layer all` makes the others"
        )
    shared = {key: layers[0].attrs[key] for key in _SHARED if key in layers[0].attrs}
    weighted = parse_name(name).weighted
    return LayeredEntry(weighted, tuple(layers), {**shared, "layer": WEIGHTED})


def _refuse_unlike(entries: Sequence[Entry], cache: Cache) -> None:
    first = entries[0]
    for one in entries[1:]:
        if one.width != first.width:
            raise ConfigError(
                f"{cache.path}: {first.name} has {first.width} features and {one.name} has "
                f"{one.width}; they are no layers of one encoder"
            )
        for key in _SHARED:
            known = [e.attrs[key] for e in (first, one) if key in e.attrs]
            if len(known) == 2 and known[0] != known[1]:
                raise ConfigError(
                    f"{cache.path}: {first.name} has {key} {known[0]} and {one.name} has "
                    f"{known[1]}; they can't be weighed as layers of one encoder"
                )


def _are_twins(one: Entry, other: Entry) -> bool:
    both = (one.status == DONE) & (other.status == DONE)
    rows = np.flatnonzero(both)[:_TWIN_ROWS]
    if not len(rows):
        return False
    stop = int(rows[-1]) + 1
    found, wanted = one.read(0, stop)[rows], other.read(0, stop)[rows]
    return bool(np.linalg.norm(found - wanted) <= _TWIN * np.linalg.norm(wanted))


def _number(name: str) -> int:
    layer = parse_name(name).layer
    return -1 if layer is None else layer


def _order(name: str) -> tuple[bool, int]:
    return _number(name) < 0, _number(name)
