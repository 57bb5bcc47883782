"""A cache's entries in the place of those that a run was trained on: one, or several layers.

They were made by the same encoder, or are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from amber_cache.errors import CacheError, ConfigError
from amber_cache.store import DONE, Cache, Embedding
from amber_heads.policies.layers import layer_groups, layers_of, parse_name
from amber_heads.using.loaded import InputEntry

#: What tells an entry of the same transcripts, where who transcribed goes by another name.
_SAME = ("transcriber_sha256", "layer", "pooling", "precision")


@dataclass(frozen=True)
class InPlace:
    """What is read of a modality, by utterance.

    Attributes:
        vectors: NaN where there is none; layers one behind the other.
        error: (N,) str, why a row failed.
        is_heard: Whether it was made of the audio by a speech-recognition model first.
    """

    modality: str
    vectors: Float[np.ndarray, "utterance _"]
    status: UInt8[np.ndarray, " utterance"]
    error: np.ndarray
    is_heard: bool = False


def in_place_of(cache: Cache, entry: InputEntry, name: str | None) -> InPlace:
    """What a cache holds in the place of what a run reads.

    Args:
        name: The entry's in this cache, of any of its layers where several are summed; None: as in
            the run's own cache, else the only one.

    Raises:
        EncoderError: It was made by another encoder; what differs is named.
        CacheError: There is no such entry, or the cache is damaged.
        ConfigError: Layers that the run sums are not there, or nobody named an entry and this one
            is of another's text: transcripts in the place of the reference, or the other way.
    """
    if entry.layers:
        return _layers_in_place(cache, entry, name)
    found = cache.embeddings(entry.modality, _likeliest(cache, entry) if name is None else name)
    _refuse_other(cache, entry, entry.attrs, found)
    if name is None:
        _refuse_other_text(cache, entry, found)
    vectors, is_heard = np.asarray(found.vectors), "transcriber" in found.attrs
    return InPlace(entry.modality, vectors, found.status, found.error, is_heard)


def _likeliest(cache: Cache, entry: InputEntry) -> str | None:
    """The entry of the run's own name, else the only one of the text that the run reads.

    None where neither is there: the only entry is taken then, if it is of the same encoder.
    """
    names, mine = cache.encoders(entry.modality), parse_name(entry.entry)
    heard = entry.attrs.get("transcriber_sha256")
    if entry.entry in names or heard is None:
        return entry.entry if entry.entry in names else None
    same = []
    for one in names:
        if parse_name(one).encoder == mine.encoder:
            attrs = cache.embeddings(entry.modality, one).attrs
            same += [one] * all(attrs.get(key) == entry.attrs.get(key) for key in _SAME)
    return same[0] if len(same) == 1 else None


def _layers_in_place(cache: Cache, entry: InputEntry, name: str | None) -> InPlace:
    """All layers side by side; a row that lacks one has none."""
    names = _names_of_layers(cache, entry, name)
    vectors = np.empty((len(cache.utterances), *entry.shape), dtype=np.float32)
    status = np.full(len(vectors), DONE, dtype=np.uint8)
    error, is_heard = np.full(len(vectors), "", dtype=object), False
    for number, one in enumerate(names):
        found = cache.embeddings(entry.modality, one)
        # Which layer it is was held against its name, and an entry may not say it.
        _refuse_other(cache, entry, {**entry.attrs, "layer": found.attrs.get("layer")}, found)
        if name is None:
            _refuse_other_text(cache, entry, found)
        vectors[:, number], is_heard = found.vectors, "transcriber" in found.attrs
        bad = found.status != DONE
        status[bad], error[bad] = found.status[bad], found.error[bad]
    vectors[status != DONE] = np.nan
    flat = vectors.reshape(len(vectors), entry.width)
    return InPlace(entry.modality, flat, status, error, is_heard)


def _names_of_layers(cache: Cache, entry: InputEntry, name: str | None) -> tuple[str, ...]:
    """The entries that are the run's layers, in its order.

    Raises:
        ConfigError: One is not there, or several encoders have them.
    """
    there = cache.encoders(entry.modality)
    if name is None and set(entry.layers) <= set(there):
        return entry.layers
    groups = layer_groups(there)
    if name is None and entry.entry not in groups and len(groups) == 1:
        (group,) = groups.values()
    else:
        group = layers_of(cache, entry.modality, entry.entry if name is None else name)
    by_number = {parse_name(one).layer: one for one in group}
    if missing := [str(one) for one in entry.layer_numbers if one not in by_number]:
        raise ConfigError(
            f"{cache.path}: {entry.modality} has {', '.join(group)}, and the run also weighs layer "
            f"{', '.join(missing)}; `amber extract --layer` makes it"
        )
    return tuple(by_number[one] for one in entry.layer_numbers)


def _refuse_other(
    cache: Cache, entry: InputEntry, attrs: Mapping[str, Any], found: Embedding
) -> None:
    from amber_cache import embed

    embed.refuse_other_encoder(entry.modality, attrs, found.attrs)
    if found.vectors.shape[1] != entry.dimension:
        raise CacheError(
            f"{cache.path}: {entry.modality}/{found.name} has {found.vectors.shape[1]} features, "
            f"and the run was trained on {entry.dimension}"
        )


def _refuse_other_text(cache: Cache, entry: InputEntry, found: Embedding) -> None:
    """Training on the reference and testing on transcripts is for those who ask for it."""
    trained, there = (one.get("transcriber_sha256") for one in (entry.attrs, found.attrs))
    if trained == there:
        return
    raise ConfigError(
        f"{cache.path}: {entry.modality}/{found.name} is of {_text_of(found.attrs)}, and the run "
        f"was trained on {_text_of(entry.attrs)}; --encoder {entry.modality}={found.name} takes it "
        "all the same"
    )


def _text_of(attrs: Mapping[str, Any]) -> str:
    who = attrs.get("transcriber")
    if who is None:
        return "the reference text"
    return f"what {who} transcribed (weights {str(attrs.get('transcriber_sha256'))[:8]})"
