"""Flags, environment, files and defaults become one frozen, typed configuration.

A configuration is a frozen dataclass whose fields are `Annotated[type, "help"]`; the command line,
the `AMBER_*` variables and amber.toml are all read by those types and with the same words
(`lambda_mai` is `--lambda-mai`, `AMBER_LAMBDA_MAI` and `lambda-mai` in the file). What is nearer
to the user wins: flag, then `--config FILE`, then environment, then amber.toml, then default.
The encoder of a modality is one setting, whichever of its two options names it.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from amber_cache.errors import ConfigError
from amber_cache.records import Listing
from amber_cache.safe_files import read_json

#: `modality=name` pairs, as `--encoder` takes them.
Pairs = tuple[tuple[str, str], ...]

#: An encoder, as the user names it: a hub id, a local folder, or a built-in name.
EncoderName = NewType("EncoderName", str)

#: `modality=encoder` pairs of which one modality may have several.
Encoders = tuple[tuple[str, EncoderName], ...]

#: The number of a layer; -1 is the last.
Layer = NewType("Layer", int)

#: Layers as `--layer` takes them: "6", "0,6,12"; none stands for all of them.
Layers = tuple[Layer, ...]

ALL_LAYERS: Layers = ()

CORPUS_HELP = (
    "which reader: demo, manifest, iemocap, msp-podcast, crema-d, audformat or audformat:LABELS"
)
ROOT_HELP = (
    "where the corpus stands (manifest: its .csv, .jsonl or .parquet; audformat: its folder)"
)

#: Texts that may hold commas themselves, as `--subset` takes them.
Listings = tuple[Listing, ...]

T = TypeVar("T")


class Origin(IntEnum):
    """Where a value came from; a higher one wins."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    CONFIG = 3
    FLAG = 4


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """What `amber extract` does: which corpus, through which encoders, into which cache."""

    corpus: Annotated[str, CORPUS_HELP] = "demo"
    root: Annotated[Path | None, ROOT_HELP] = None
    votes_file: Annotated[Path | None, "the votes, where they are not beside the manifest"] = None
    cache: Annotated[Path, "the cache to write or to add to"] = Path("data/cache.h5")
    encoder: Annotated[
        Encoders, "a hub id, a local folder, mel or hash; repeatable, for one modality too"
    ] = ()
    audio_encoder: Annotated[str | None, "short for --encoder audio=NAME"] = None
    text_encoder: Annotated[str | None, "short for --encoder text=NAME"] = None
    layer: Annotated[
        Layers, "which layer's output: -1 the last, 0 the input embedding; a list 0,6,12, or all"
    ] = (Layer(-1),)
    pooling: Annotated[Literal["mean", "mean-std", "first"], "frames to one vector"] = "mean"
    precision: Annotated[
        Literal["float32", "bfloat16", "float16", "tf32"], "arithmetic of the encoder"
    ] = "float32"
    check: Annotated[
        int, "utterances that are computed again at the end, alone and in float32; 0 for none"
    ] = 4
    device: Annotated[str, "cpu, cuda or cuda:1"] = "cpu"
    gpu: Annotated[bool, "short for --device cuda"] = False
    shard: Annotated[str | None, "K/N: only that part of all batches; amber merge joins them"] = (
        None
    )


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """What `amber import` does: which features of which corpus, into which cache."""

    corpus: Annotated[str, CORPUS_HELP] = "manifest"
    root: Annotated[Path | None, ROOT_HELP] = None
    votes_file: Annotated[Path | None, "the votes, where they are not beside the manifest"] = None
    cache: Annotated[Path, "the cache to write or to add to"] = Path("data/cache.h5")
    features: Annotated[Pairs, "MODALITY=PATH: .npz, .npy, .csv or .parquet; repeatable"] = ()
    encoder: Annotated[Pairs, "MODALITY=NAME: what made them [default: the file's name]"] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a configuration, as the command line and the files see it."""

    name: str
    kind: Any
    help: str
    default: Any

    @property
    def flag(self) -> str:
        """Its option's name, "--lambda-mai"."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its environment variable's name, "AMBER_LAMBDA_MAI"."""
        return "AMBER_" + self.name.upper()

    @property
    def bare_kind(self) -> Any:
        """Its type without `None`."""
        options = [one for one in get_args(self.kind) if one is not type(None)]
        is_union = get_origin(self.kind) in (Union, types.UnionType)
        return options[0] if is_union else self.kind

    @property
    def is_switch(self) -> bool:
        """Whether it is given without a value."""
        return self.bare_kind is bool

    @property
    def is_repeatable(self) -> bool:
        """Whether its option may stand several times."""
        return self.kind in (Pairs, Encoders, Listings)

    @property
    def metavar(self) -> str | None:
        """What stands for its value in a help text."""
        if self.is_switch:
            return None
        if get_origin(self.bare_kind) is Literal:
            return "[" + "|".join(get_args(self.bare_kind)) + "]"
        names = {int: "N", float: "NUMBER", Path: "PATH", Pairs: "NAME=VALUE"}
        names |= {Encoders: "MODALITY=NAME", Layers: "N,...|all"}
        return names.get(self.bare_kind, "TEXT")

    @property
    def described(self) -> str:
        """Its help, with the default where there is a plain one."""
        if self.default in (None, (), "") or self.is_switch:
            return self.help
        default = self.default
        if isinstance(default, tuple):
            default = ",".join(map(str, default))
        return f"{self.help} [default: {default}]"


def with_shards_cache(config: ExtractConfig, *, is_cache_given: bool) -> ExtractConfig:
    """Give a shard a cache of its own, unless the user has named one for it.

    >>> config = ExtractConfig(shard="0/4")
    >>> with_shards_cache(config, is_cache_given=False).cache.as_posix()
    'data/cache.shard-0-of-4.h5'
    """
    if config.shard is None or is_cache_given:
        return config
    place, _, number = config.shard.partition("/")
    name = f"{config.cache.stem}.shard-{place}-of-{number}{config.cache.suffix}"
    return dataclasses.replace(config, cache=config.cache.parent / name)


def settings_of(config_type: type) -> tuple[Setting, ...]:
    """The fields of a configuration class, in order, with type, help and default."""
    hints = get_type_hints(config_type, include_extras=True)
    fields = dataclasses.fields(config_type)
    return tuple(_setting(field, hints[field.name]) for field in fields)


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


def coerce(kind: Any, value: object) -> Any:
    """Read one value (a string, or what TOML and JSON give) as a field's type.

    Raises:
        ValueError: It can't be read so; the message says what was wanted.

    Examples:
        >>> coerce(float, "0.5"), coerce(tuple[str, ...], "a, b"), coerce(int | None, None)
        (0.5, ('a', 'b'), None)
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = [option for option in get_args(kind) if option is not type(None)]
        return None if value is None else coerce(inner[0], value)
    if origin is Literal:
        return _choice(get_args(kind), value)
    if kind == Pairs:
        return _pairs(value)
    if kind == Encoders:
        return _encoders(value)
    if kind == Layers:
        return _layers(value)
    if kind == Listings:
        return _listings(value)
    if origin is tuple:
        return tuple(coerce(get_args(kind)[0], item) for item in _items(value))
    return _SCALARS[kind](value)


def _setting(field: dataclasses.Field[Any], hint: Any) -> Setting:
    kind, text = get_args(hint) if get_origin(hint) is Annotated else (hint, "")
    default = None if field.default is dataclasses.MISSING else field.default
    return Setting(field.name, kind, text, default)


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


def refuse_unknown_keys(config_types: Sequence[type], toml_file: Path = Path("amber.toml")) -> None:
    """Refuse a key of amber.toml that no command knows: it would be left out in silence.

    Raises:
        ConfigError: As said, naming the keys.
    """
    known = {setting.name for one in config_types for setting in settings_of(one)}
    if unknown := sorted(set(_from_toml(toml_file)) - known):
        names = ", ".join(name.replace("_", "-") for name in unknown)
        raise ConfigError(f"{toml_file}: no command knows {names}")


def refuse_mixture(of_run: Mapping[str, object], of_cache: Mapping[str, object]) -> None:
    """Refuse what `amber export` can't do: a run and a cache at once, or neither whole.

    Args:
        of_run: RUN, and where it goes, by option; None where not given.
        of_cache: --cache, --out, and how it is shared.

    Raises:
        ConfigError: As said.
    """
    runs, caches = (
        [name for name, one in some.items() if one is not None] for some in (of_run, of_cache)
    )
    if runs and caches:
        raise ConfigError(f"{caches[0]} has no effect with {runs[0]}; export one at a time")
    if caches and not {"--cache", "--out"} <= set(caches):
        raise ConfigError("a cache is shared with --cache CACHE --out FILE")
    if not caches and ("RUN" not in runs or len(runs) < 2):
        raise ConfigError(
            "nothing is asked for; give RUN --onnx FILE, RUN --hub FOLDER, or --cache CACHE --out "
            "FILE"
        )


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


def _choice(choices: Sequence[str], value: object) -> str:
    if value not in choices:
        raise ValueError(f"{value!r} is not on offer; choose from {', '.join(choices)}")
    return str(value)


def _items(value: object) -> list[object]:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    if isinstance(value, list | tuple):
        return [
            part for item in value for part in (_items(item) if isinstance(item, str) else [item])
        ]
    return [value]


def _pairs(value: object) -> Pairs:
    found = _all_pairs(value, of_list=_paired)
    if len(dict(found)) < len(found):
        raise ValueError("one name is given twice")
    return found


def _encoders(value: object) -> Encoders:
    """Pairs of which one name may come several times; in a table, its value is a list then."""
    found = list(_all_pairs(value, of_list=lambda item: item))
    pairs = [
        (modality, EncoderName(str(one)))
        for modality, item in found
        for one in (item if isinstance(item, list | tuple) else [item])
    ]
    if twice := [f"{one}={name}" for one, name in pairs if pairs.count((one, name)) > 1]:
        raise ValueError(f"{twice[0]} is given twice")
    return tuple(pairs)


def _all_pairs(value: object, *, of_list: Callable[[object], Any]) -> tuple[tuple[str, Any], ...]:
    if isinstance(value, Mapping):
        return tuple((str(key), of_list(item)) for key, item in value.items())
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        raise ValueError(f"{value!r} is not of the form NAME=VALUE")
    # A comma parts two pairs where a name follows it: "kappa=2,4,lambda-mai=0.5" is two.
    texts = [
        part
        for item in given
        for part in (re.split(r",(?=[\w -]+=)", item) if isinstance(item, str) else [item])
    ]
    return tuple(_pair(text) for text in texts)


def _layers(value: object) -> Layers:
    if isinstance(value, str) and value.strip() == "all":
        return ALL_LAYERS
    layers = tuple(Layer(_integer(item)) for item in _items(value))
    if not layers:
        raise ValueError("no layer is named; give numbers, or all")
    if twice := [layer for layer in layers if layers.count(layer) > 1]:
        raise ValueError(f"layer {twice[0]} is given twice")
    return layers


def _paired(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _pair(text: object) -> tuple[str, str]:
    if isinstance(text, list | tuple) and len(text) == 2:
        return str(text[0]), _paired(text[1])
    key, equals, item = str(text).partition("=")
    if not (key.strip() and equals and item.strip()):
        raise ValueError(f"{text!r} is not of the form NAME=VALUE")
    return key.strip(), item.strip()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text; put it in quotes")
    return value


def _listing(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_listing, value)) + ("," if len(value) == 1 else "")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(value)


def _listings(value: object) -> tuple[str, ...]:
    """One text or several; a table's keys stand before their values: "key=value,value"."""
    if isinstance(value, Mapping):
        return tuple(f"{key}={_paired(item)}" for key, item in value.items())
    return tuple(map(_text, [value] if not isinstance(value, list | tuple) else value))


def _path(value: object) -> Path:
    if not isinstance(value, str | Path):
        raise ValueError(f"{value!r} is no path; put it in quotes")
    return Path(value)


def _integer(value: object) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"{value!r} is not a whole number")
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{value!r} is not a whole number") from None


def _number(value: object) -> float:
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a number")
    try:
        return float(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{value!r} is not a number") from None


def _truth(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    try:
        return words[str(value).lower()]
    except KeyError:
        raise ValueError(f"{value!r} is neither true nor false") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


_SCALARS: dict[Any, Callable[[Any], Any]] = {
    str: _text,
    Listing: _listing,
    int: _integer,
    float: _number,
    bool: _truth,
    Path: _path,
}
