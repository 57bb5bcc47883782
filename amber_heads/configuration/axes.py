"""The axes of a grid: `--grid NAME=V,V,...` as typed values, and back to text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from amber_cache.errors import ConfigError
from amber_heads.configuration.options import (
    LOSS_SETTINGS,
    RUN_SETTINGS,
    TrainingConfig,
    encoder_axis,
)


def parse_axes(config: TrainingConfig) -> dict[str, tuple[Any, ...]]:
    """The values of each axis by the setting's name; none for a plain fit.

    A modality of the configuration has an axis `MODALITY_encoder`, of names of the cache's entries.

    Raises:
        ConfigError: A name is no setting of a run or stands there twice, or a value can't be read.
    """
    encoders = [encoder_axis(modality) for modality in config.modalities]
    axes: dict[str, tuple[Any, ...]] = {}
    for key, text in getattr(config, "grid", ()):
        name = key.replace("-", "_")
        if name.endswith("_encoder") and name not in encoders:
            there = ", ".join(config.modalities)
            raise ConfigError(f"--grid {key}: no such modality is used; the modalities are {there}")
        if name not in (*RUN_SETTINGS, *encoders):
            known = ", ".join(one.replace("_", "-") for one in (*RUN_SETTINGS, *encoders))
            raise ConfigError(f"--grid {key}: no such axis; choose from {known}")
        if name in axes:
            raise ConfigError(f"--grid {key}: stands there twice")
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if name in encoders:
            refuse_twins(key, parts)
        axes[name] = tuple(dict.fromkeys(_axis_value(key, name, part) for part in parts))
        if not axes[name]:
            raise ConfigError(f"--grid {key}={text}: no values")
    return axes


def refuse_twins(key: str, entries: Sequence[str]) -> None:
    """Refuse an entry of the cache that stands on an axis twice.

    Raises:
        ConfigError: As said.
    """
    if twins := [one for one in dict.fromkeys(entries) if entries.count(one) > 1]:
        raise ConfigError(f"--grid {key}: the entry {twins[0]} stands there twice")


def encoder_levels(config: TrainingConfig, origins: Mapping[str, int]) -> dict[str, int]:
    """By axis, where the one encoder came from that a modality was given; 0 where it was not."""
    named = {m: origins.get(f"encoder.{m}", origins.get("encoder", 0)) for m, _ in config.encoder}
    for modality in ("audio", "text"):
        if getattr(config, f"{modality}_encoder") is not None:
            level = origins.get(f"{modality}_encoder", 0)
            named[modality] = max(level, named.get(modality, 0))
    ungiven = {"audio_encoder": 0, "text_encoder": 0}
    return ungiven | {encoder_axis(modality): level for modality, level in named.items()}


def encoders_without_axes(
    encoders: Sequence[tuple[str, str]], axes: Collection[str]
) -> tuple[tuple[str, str], ...]:
    """What `--encoder` says, but of modalities whose encoder is an axis."""
    return tuple(one for one in encoders if encoder_axis(one[0]) not in axes)


def axis_text(value: object) -> str:
    """One value as `parse_axes` reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _axis_value(key: str, name: str, text: str) -> Any:
    read = str if name.endswith("_encoder") else _AXIS_KINDS.get(name, float)
    try:
        value = read(text)
    except (ValueError, KeyError):
        wanted = f"; several are parted by commas, as --grid {key}=A,B"
        raise ConfigError(f"--grid {key}: {text!r} is no value for it{wanted}") from None
    if name == "loss" and value not in LOSS_SETTINGS:
        raise ConfigError(f"--grid loss: {text!r} is not one of {', '.join(LOSS_SETTINGS)}")
    return value


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


_AXIS_KINDS: dict[str, Callable[[str], Any]] = {
    "loss": str,
    "student": str,
    "hidden": int,
    "batch_size": int,
    "epochs": int,
    "patience": int,
    "attach_weights": _truth,
}
