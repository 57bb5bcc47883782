"""Read one value, as the command line, the environment, TOML or JSON give it, as a field's type."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from amber_cache.configuration.types import (
    ALL_LAYERS,
    EncoderName,
    Encoders,
    Layer,
    Layers,
    Listings,
    Pairs,
)
from amber_cache.records import Listing


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


_SCALARS: dict[Any, Callable[[Any], Any]] = {
    str: _text,
    Listing: _listing,
    int: _integer,
    float: _number,
    bool: _truth,
    Path: _path,
}
