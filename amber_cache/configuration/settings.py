"""The fields of a configuration class, as the command line and the files see them."""

from __future__ import annotations

import dataclasses
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from amber_cache.configuration.types import Encoders, Layers, Listings, Pairs


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


def settings_of(config_type: type) -> tuple[Setting, ...]:
    """The fields of a configuration class, in order, with type, help and default."""
    hints = get_type_hints(config_type, include_extras=True)
    fields = dataclasses.fields(config_type)
    return tuple(_setting(field, hints[field.name]) for field in fields)


def _setting(field: dataclasses.Field[Any], hint: Any) -> Setting:
    kind, text = get_args(hint) if get_origin(hint) is Annotated else (hint, "")
    default = None if field.default is dataclasses.MISSING else field.default
    return Setting(field.name, kind, text, default)
