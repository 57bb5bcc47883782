"""Flags, environment, files and defaults, merged: what is nearer to the user wins.

Flag, then `--config FILE`, then environment, then amber.toml, then default. The encoder of a
modality is one setting, whichever of its two options names it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar

from amber_cache.configuration.settings import Setting, settings_of
from amber_cache.configuration.values import coerce
from amber_cache.errors import ConfigError
from amber_cache.files.safe_files import read_json

T = TypeVar("T")


class Origin(IntEnum):
    """Where a value came from; a higher one wins."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    CONFIG = 3
    FLAG = 4


def resolve(
    config_type: type[T],
    flags: Mapping[str, object],
    *,
    environ: Mapping[str, str] | None = None,
    config_file: Path | None = None,
    toml_file: Path | None = Path("amber.toml"),
) -> tuple[T, dict[str, Origin]]:
    """Merge all sources into one configuration.

    Args:
        config_type: A frozen dataclass with `Annotated[type, "help"]` fields.
        flags: By field name; None where the user did not give the flag.
        environ: The environment; only `AMBER_*` names of the fields count.
        config_file: A run's config.json, read in place of the lower sources' values.
        toml_file: amber.toml; one that does not exist is no error.

    Returns:
        The configuration and, for each field, where its value came from; for a pair of
        `--encoder` under `encoder.MODALITY` too.

    Raises:
        ConfigError: A value is not of its field's type, or a file can't be read.
    """
    sources: list[tuple[Origin, str, Mapping[str, object]]] = [
        (Origin.FLAG, "", {k: v for k, v in flags.items() if v is not None}),
        (Origin.CONFIG, str(config_file), _from_json(config_file) if config_file else {}),
        (Origin.ENVIRONMENT, "", _from_environment(config_type, environ or {})),
        (Origin.FILE, str(toml_file), _from_toml(toml_file) if toml_file else {}),
    ]
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for setting in settings_of(config_type):
        values[setting.name], origins[setting.name] = _pick(setting, sources)
    for setting in settings_of(config_type):
        if setting.name == "encoder":
            _settle_encoders(setting, values, origins, sources)
    return config_type(**values), origins


def refuse_unknown_keys(config_types: Sequence[type], toml_file: Path = Path("amber.toml")) -> None:
    """Refuse a key of amber.toml that no command knows: it would be left out in silence.

    Raises:
        ConfigError: As said, naming the keys.
    """
    known = {setting.name for one in config_types for setting in settings_of(one)}
    if unknown := sorted(set(_from_toml(toml_file)) - known):
        names = ", ".join(name.replace("_", "-") for name in unknown)
        raise ConfigError(f"{toml_file}: no command knows {names}")


def _pick(
    setting: Setting, sources: Sequence[tuple[Origin, str, Mapping[str, object]]]
) -> tuple[Any, Origin]:
    for origin, place, given in sources:
        if setting.name in given:
            return _coerced(setting, given[setting.name], origin, place), origin
    return setting.default, Origin.DEFAULT


def _coerced(setting: Setting, value: object, origin: Origin, place: str) -> Any:
    try:
        return coerce(setting.kind, value)
    except (ValueError, TypeError) as error:
        name = {
            Origin.FLAG: setting.flag,
            Origin.ENVIRONMENT: setting.variable,
        }.get(origin, f"{place}: {setting.name.replace('_', '-')}")
        raise ConfigError(f"{name}: {error}") from None


def _settle_encoders(
    setting: Setting,
    values: dict[str, Any],
    origins: dict[str, Origin],
    sources: Sequence[tuple[Origin, str, Mapping[str, object]]],
) -> None:
    """Let the nearest source name each modality's encoders, by the long form or the short.

    Where they came from is added to the origins as `encoder.MODALITY`.
    """
    named: dict[str, tuple[list[str], Origin]] = {}
    for origin, place, given in sources:  # nearest first
        here: dict[str, list[str]] = {}
        for modality, name in _coerced(setting, given.get("encoder", ()), origin, place):
            here.setdefault(modality, []).append(name)
        for modality, names in here.items():
            named.setdefault(modality, (names, origin))
    for modality in list(named):
        short, origin = f"{modality}_encoder", named[modality][1]
        if values.get(short) is None or origins[short] == origin:
            continue  # only one of them is there, or both are as near: who reads them compares
        if origins[short] > origin:
            del named[modality]
        else:
            values[short] = None
    values["encoder"] = tuple((one, name) for one, (names, _) in named.items() for name in names)
    origins |= {f"encoder.{modality}": origin for modality, (_, origin) in named.items()}


def _from_environment(config_type: type, environ: Mapping[str, str]) -> dict[str, object]:
    return {
        setting.name: environ[setting.variable]
        for setting in settings_of(config_type)
        if environ.get(setting.variable)
    }


def _from_toml(path: Path) -> dict[str, object]:
    """The file's settings; keys that belong to another command are left to that command."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {_one_line(error)}") from None
    return {key.replace("-", "_"): value for key, value in content.items()}


def _from_json(path: Path) -> dict[str, object]:
    try:
        settings = read_json(path)["settings"]
    except FileNotFoundError:
        raise ConfigError(f"--config {path}: no such file") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ConfigError(
            f"--config {path}: not the config.json of a run directory: {_one_line(error)}"
        ) from None
    if not isinstance(settings, dict):
        raise ConfigError(f"--config {path}: its 'settings' is no table")
    return settings


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
