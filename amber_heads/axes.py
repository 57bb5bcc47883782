"""The axes of a grid: `--grid NAME=V,V,...` as typed values, and back to text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amber_cache.errors import ConfigError
from amber_heads.options import LOSS_SETTINGS, RUN_SETTINGS, FitConfig


def parse_axes(config: FitConfig) -> dict[str, tuple[Any, ...]]:
    """The values of each axis by the setting's name; none for a plain fit.

    Raises:
        ConfigError: A name is no setting of a run or stands there twice, or a value can't be read.
    """
    axes: dict[str, tuple[Any, ...]] = {}
    for key, text in getattr(config, "grid", ()):
        name = key.replace("-", "_")
        if name not in RUN_SETTINGS:
            known = ", ".join(one.replace("_", "-") for one in RUN_SETTINGS)
            raise ConfigError(f"--grid {key}: no such axis; choose from {known}")
        if name in axes:
            raise ConfigError(f"--grid {key}: stands there twice")
        parts = [part.strip() for part in text.split(",") if part.strip()]
        axes[name] = tuple(dict.fromkeys(_axis_value(key, name, part) for part in parts))
        if not axes[name]:
            raise ConfigError(f"--grid {key}={text}: no values")
    return axes


def axis_text(value: object) -> str:
    """One value as `parse_axes` reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _axis_value(key: str, name: str, text: str) -> Any:
    read = _AXIS_KINDS.get(name, float)
    try:
        value = read(text)
    except (ValueError, KeyError):
        raise ConfigError(f"--grid {key}: {text!r} is no value for it") from None
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
