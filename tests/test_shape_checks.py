"""What is refused at run time is what jaxtyping refuses by itself, argument by argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, Int

from amber_cache.pooling import masked_mean
from tests.shape_checks import by_jaxtyping

Array = np.ndarray


def product(
    left: Float[Array, "row inner"], right: Float[Array, "inner column"]
) -> Float[Array, "row column"]:
    return left @ right


def turned(values: Float[Array, "row column"]) -> Float[Array, "row column"]:
    return values.T


def scaled(values: list[Float[Array, " row"]] | None, *, by: float = 1.0) -> int:
    return round(by * len(values or []))


def counted(names: tuple[str, ...], *more: int) -> dict[str, int]:
    return dict.fromkeys(names, more[0] if more else 0)


def miscounted(names: tuple[str, ...]) -> int:
    return names  # type: ignore[return-value]


def applied(change: Callable[[Float[Array, " row"]], Any], values: Float[Array, " row"]) -> Any:
    return change(values)


def rows_of(values: Float[Array, "row column"]) -> Iterator[Float[Array, " column"]]:
    yield from values


@dataclass(frozen=True)
class Pair:
    first: Float[Array, " row"]
    second: Int[Array, " row"]


@dataclass
class Named:
    name: str
    next: Named | None = None


def _floats(*shape: int) -> Array:
    return np.zeros(shape)


CALLS: list[tuple[Any, tuple[Any, ...], dict[str, Any], bool]] = [
    (product, (_floats(2, 3), _floats(3, 4)), {}, True),
    (product, (_floats(2, 3), _floats(4, 3)), {}, False),
    (product, (_floats(2, 3), np.zeros((3, 4), int)), {}, False),
    (product, (_floats(2, 3),), {"right": _floats(3)}, False),
    (turned, (_floats(3, 3),), {}, True),
    (turned, (_floats(2, 3),), {}, False),
    (scaled, ([_floats(2)],), {"by": 2.0}, True),
    (scaled, (None,), {}, True),
    (scaled, ([_floats(2, 2)],), {}, False),
    (scaled, ([_floats(2)],), {"by": "2"}, False),
    (counted, (("a", "b"), 1, 2), {}, True),
    (counted, (["a", "b"],), {}, False),
    (counted, (("a",), "b"), {}, False),
    (miscounted, (("a",),), {}, False),
    (applied, (np.sum, _floats(2)), {}, True),
    (applied, (3, _floats(2)), {}, False),
    (rows_of, (_floats(2, 2),), {}, True),
    (rows_of, (_floats(2),), {}, False),
    (Pair, (_floats(2), np.zeros(2, int)), {}, True),
    (Pair, (_floats(2), np.zeros(3, int)), {}, False),
    (Named, ("a", None), {}, True),
    (Named, (1,), {}, False),
]


def _is_taken(checked: Any, given: tuple[Any, ...], options: dict[str, Any]) -> bool:
    try:
        checked(*given, **options)
    except (BeartypeCallHintViolation, jaxtyping.TypeCheckError):
        return False
    return True


def _copied(thing: Any) -> Any:
    """A class is changed where it stands, so each decorator gets its own."""
    own = {"__init__": thing.__init__}
    return type(thing.__name__, (thing,), own) if isinstance(thing, type) else thing


@pytest.mark.parametrize(("thing", "given", "options", "is_right"), CALLS)
def test_it_takes_and_refuses_what_jaxtyping_does(
    thing: Any, given: tuple[Any, ...], options: dict[str, Any], is_right: bool
) -> None:
    for decorator in (jaxtyping.jaxtyped, by_jaxtyping):
        checked = decorator(typechecker=beartype)(_copied(thing))
        assert _is_taken(checked, given, options) == is_right


def test_axes_of_one_call_say_nothing_of_the_next() -> None:
    checked = jaxtyping.jaxtyped(typechecker=beartype)(product)
    for inner in (3, 4):
        assert checked(_floats(2, inner), _floats(inner, 1)).shape == (2, 1)


def test_axes_of_a_caller_say_nothing_of_what_it_calls() -> None:
    inner = jaxtyping.jaxtyped(typechecker=beartype)(turned)

    def outer(values: Float[Array, "row column"]) -> Float[Array, "row column"]:
        inner(_floats(5, 5))
        return values

    outer.__annotations__ = turned.__annotations__
    assert jaxtyping.jaxtyped(typechecker=beartype)(outer)(_floats(2, 3)).shape == (2, 3)


def test_the_packages_are_under_it() -> None:
    with pytest.raises(BeartypeCallHintViolation, match="mask"):
        masked_mean(torch.zeros(2, 3, 4), torch.ones(2, 5, dtype=torch.bool))
