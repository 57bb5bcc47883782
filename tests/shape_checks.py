"""Every annotation checked at run time, at less than half of what it costs by jaxtyping alone.

A pytest plug-in, loaded before the packages are (`addopts` in pyproject.toml). What
`--jaxtyping-packages` puts around a function binds its arguments to their names at each call and
checks them twice. For one without a shape in its annotations beartype alone does the same; for one
with shapes, beartype within a scope of axis names of its own.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

import jaxtyping

#: jaxtyping's own, which this is held against.
by_jaxtyping = jaxtyping.jaxtyped


def _jaxtyped(checked: Any = None, **options: Any) -> Any:
    """What stands for `jaxtyping.jaxtyped`; generators and names not known yet are left to it."""
    if checked is None:
        return functools.partial(_jaxtyped, **options)
    if inspect.isclass(checked) and dataclasses.is_dataclass(checked):
        if "__init__" in vars(checked):
            checked.__init__ = _jaxtyped(checked.__init__, **options)
        return checked
    hints = _hints(checked)
    if hints is None or inspect.isgeneratorfunction(checked) or "typechecker" not in options:
        return by_jaxtyping(checked, **options)
    by_type = options["typechecker"](checked)
    return _with_own_axes(by_type) if any(map(_has_shape, hints)) else by_type


def _hints(function: Any) -> list[Any] | None:
    """The annotations of a plain function, or None where one names what is not there yet."""
    if not inspect.isfunction(function):
        return None
    try:
        return list(typing.get_type_hints(function, include_extras=True).values())
    except (NameError, TypeError, ValueError):
        return None


def _has_shape(hint: Any) -> bool:
    if isinstance(hint, list):  # the arguments of a Callable
        return any(map(_has_shape, hint))
    is_array = inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray)
    return is_array or any(map(_has_shape, typing.get_args(hint)))


def _with_own_axes(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def scoped(*arguments: Any, **options: Any) -> Any:
        with by_jaxtyping("context"):
            return function(*arguments, **options)

    return scoped


jaxtyping.jaxtyped = _jaxtyped
