"""`--layer` and `--grid layer=...`, written out as the entries of the cache that they mean.

After this a configuration names encoders alone, so that a layer is said in one way wherever it is
kept: `--layer 9` is `--encoder audio=NAME@layer9`, `--layer weighted` is `NAME@weighted`, and an
axis of layers is one of entries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from amber_cache.errors import ConfigError
from amber_cache.store import Cache, preferred
from amber_heads.configuration.options import GridConfig, TrainingConfig, encoder_axis
from amber_heads.policies.layers import WEIGHTED, layer_groups, parse_name

#: Where extraction's `layer` may stand too, as levels of origins: amber.toml and the environment.
_SHARED_LEVELS = (1, 2)


def spell_out_layers(
    config: TrainingConfig, origins: Mapping[str, int], cache: Cache
) -> tuple[TrainingConfig, Mapping[str, int]]:
    """A configuration without `layer`, and where its encoders came from then.

    A modality with one entry is used as it is. What amber.toml or the environment say of layers is
    said to `amber extract`: it chooses where it can, and is no reason to refuse.

    Raises:
        ConfigError: A layer is not there, is one of several encoders', or is said twice.
    """
    axes = {key.replace("-", "_") for key, _ in getattr(config, "grid", ())}
    if "layer" in axes and isinstance(config, GridConfig):
        config, origins = _axis_spelled_out(config, origins, cache)
    if config.layer is None:
        return config, origins
    word, level = str(config.layer), origins.get("layer", 0)
    shared = level in _SHARED_LEVELS and word != WEIGHTED
    config = replace(config, layer=None)
    if shared and not _is_number(word):
        return config, origins
    if "layer" in axes:
        if level > origins.get("grid", 0) or level in _SHARED_LEVELS:
            return config, origins
        raise ConfigError("--layer and --grid layer=... disagree")
    try:
        chosen = _chosen(config, cache, _checked(word, "--layer"), axes)
    except ConfigError:
        if shared:
            return config, origins
        raise
    return _with_encoders(config, origins, chosen, level=level)


def _chosen(config: TrainingConfig, cache: Cache, word: str, axes: set[str]) -> dict[str, str]:
    """By modality, the entry that a layer means; modalities that have but one entry are left out.

    Raises:
        ConfigError: There is none in any modality, or several.
    """
    named, left = _named(config), {}
    modalities = [m for m in _modalities(config, cache) if encoder_axis(m) not in axes]
    for modality in modalities:
        if entry := _entry(cache, modality, named.get(modality), word):
            left[modality] = entry
    if not left:
        there = "; ".join(f"{m}: {', '.join(cache.encoders(m))}" for m in modalities)
        raise ConfigError(
            f"--layer {word}: no modality of {cache.path} has {_wanted(word)} ({there}); "
            f"`amber extract --layer all --cache {cache.path}`, with the encoders' and the "
            "corpus's options, makes all layers of an encoder that has any (mel and hash have none)"
        )
    return left


def _axis_spelled_out(
    config: GridConfig, origins: Mapping[str, int], cache: Cache
) -> tuple[GridConfig, Mapping[str, int]]:
    """The grid with an axis of entries in the place of its axis of layers."""
    axes = {key.replace("-", "_") for key, _ in config.grid}
    layered = [
        one
        for one in _modalities(config, cache)
        if layer_groups(cache.encoders(one)) and encoder_axis(one) not in axes
    ]
    if not layered:
        raise ConfigError(
            f"--grid layer=...: no modality of {cache.path} has several layers of one encoder; "
            "`amber extract --layer all` makes them"
        )
    if len(layered) > 1:
        raise ConfigError(
            f"--grid layer=...: {' and '.join(layered)} of {cache.path} have several layers of one "
            f"encoder each, and the axis is one modality's; name entries instead, as "
            f"{_example_axis(cache, layered[0])}, or train one modality with --modalities"
        )
    modality, named = layered[0], _named(config)
    grid = []
    for key, text in config.grid:
        if key.replace("-", "_") != "layer":
            grid.append((key, text))
            continue
        words = [one.strip() for one in text.split(",") if one.strip()]
        found = [
            _entry(cache, modality, named.get(modality), _checked(one, "--grid layer"))
            for one in words
        ]
        for one, entry in zip(words, found, strict=True):
            if entry is None:
                raise ConfigError(f"--grid layer={one}: {modality} has no {_wanted(one)}")
        grid.append((encoder_axis(modality), ",".join(map(str, found))))
    # What named the encoder has done so: the axis has its entries.
    encoder = tuple(one for one in config.encoder if one[0] != modality)
    short = {f"{modality}_encoder": None} if modality in ("audio", "text") else {}
    config = replace(config, grid=tuple(grid), encoder=encoder, **short)  # type: ignore[arg-type]
    return config, {k: v for k, v in origins.items() if k != f"encoder.{modality}"}


def _example_axis(cache: Cache, modality: str) -> str:
    """An axis over entries that the cache has: --grid audio-encoder=NAME,NAME@weighted."""
    (base, entries), *_ = layer_groups(cache.encoders(modality)).items()
    return f"--grid {modality}-encoder={entries[-1]},{base}"


def _entry(cache: Cache, modality: str, named: str | None, word: str) -> str | None:
    """The entry that a layer of a modality means; None where its one entry is used as it is.

    Raises:
        ConfigError: The encoder that is named has no such layer, or several encoders have it.
    """
    names = cache.encoders(modality)
    groups = layer_groups(names)
    offered = list(groups) if word == WEIGHTED else [n for n in names if _has_layer(n, word)]
    found = preferred([one for one in offered if _is_of(one, named)])
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"--layer {word}: of {modality}, {' or '.join(found)} can be meant; name one with "
            f"--encoder {modality}=NAME"
        )
    own = preferred([one for one in names if _is_of(one, named)])
    if word == WEIGHTED and named is not None and any(named in some for some in groups.values()):
        raise ConfigError(
            f"--layer weighted: --encoder {modality}={named} is one layer of several; name the "
            "encoder without a layer, or leave --layer out"
        )
    if word == WEIGHTED or (len(own) == 1 and "@" not in own[0]):
        return None
    raise ConfigError(
        f"--layer {word}: {cache.path} has no layer {word} of {named or modality}; "
        f"of {modality} it has {', '.join(names)}"
    )


def _is_of(entry: str, named: str | None) -> bool:
    """Whether an entry is of the encoder that is named, or the very entry."""
    one = parse_name(entry)
    return named is None or named.replace("/", "--") in (entry, one.encoder, one.encoder + one.rest)


def _has_layer(entry: str, word: str) -> bool:
    return parse_name(entry).layer == int(word)


def _with_encoders(
    config: TrainingConfig, origins: Mapping[str, int], chosen: Mapping[str, str], *, level: int
) -> tuple[TrainingConfig, Mapping[str, int]]:
    """The chosen entries in the place of what named their encoders."""
    named = {modality: name for modality, name in config.encoder if modality not in chosen}
    short = {f"{m}_encoder": None for m in ("audio", "text") if m in chosen}
    before = {m: origins.get(f"encoder.{m}", 0) for m in chosen}
    levels = {f"encoder.{m}": max(level, before[m]) for m in chosen}
    encoder = tuple({**named, **chosen}.items())
    return replace(config, encoder=encoder, **short), {**origins, **levels}  # type: ignore[arg-type]


def _named(config: TrainingConfig) -> dict[str, str]:
    """By modality, the encoder that the user names."""
    short = {"audio": config.audio_encoder, "text": config.text_encoder}
    return dict(config.encoder) | {m: name for m, name in short.items() if name is not None}


def _modalities(config: TrainingConfig, cache: Cache) -> Sequence[str]:
    chosen = config.modalities or cache.modalities
    return [one for one in chosen if one in cache.modalities]


def _checked(word: str, option: str) -> str:
    if word != WEIGHTED and not _is_number(word):
        raise ConfigError(
            f"{option} {word}: a head reads one layer (a number; -1 is the last), or all of them "
            "as weighted; `amber grid --grid layer=6,9,weighted` compares them"
        )
    return word


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-?\d+", word) is not None


def _wanted(word: str) -> str:
    return "several layers of one encoder" if word == WEIGHTED else f"a layer {word} to choose"
