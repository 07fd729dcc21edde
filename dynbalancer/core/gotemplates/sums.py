"""sprig's functions for numbers. Whole ones have 64 bits, as in Go."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

from dynbalancer.core.gotemplates.builtins import ANY, Function
from dynbalancer.core.gotemplates.faults import Fault
from dynbalancer.core.gotemplates.printing import number, shown, whole


def _within(value: int) -> int:
    if not -(1 << 63) <= value < 1 << 63:
        raise Fault("a number of more than 64 bits")
    return value


def _over(function: Callable[[int, int], int]) -> Callable[..., int]:
    """A function of two numbers for any number of them, from the left."""

    def call(*values: object) -> int:
        return reduce(lambda left, right: _within(function(left, right)), map(whole, values))

    return call


def _quotient(left: int, right: int) -> int:
    # Go cuts towards zero.
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _atoi(text: object) -> int:
    """0 where it is no number, as in sprig."""
    try:
        return whole(text)
    except Fault:
        return 0


def _rounded(value: object, digits: object) -> float:
    places = whole(digits)
    if abs(places) > 20:
        raise Fault("round: more than 20 places")
    # Half is away from zero, not to the even one.
    scaled = number(value) * 10.0**places
    return math.copysign(math.floor(abs(scaled) + 0.5), scaled) / 10.0**places


FUNCTIONS: dict[str, Function] = {
    "add": (1, ANY, _over(lambda left, right: left + right)),
    "add1": (1, 1, lambda value: _within(whole(value) + 1)),
    "sub": (2, 2, _over(lambda left, right: left - right)),
    "mul": (1, ANY, _over(lambda left, right: left * right)),
    "div": (2, 2, _over(_quotient)),
    "mod": (2, 2, _over(lambda left, right: left - right * _quotient(left, right))),
    "max": (1, ANY, lambda *values: max(map(whole, values))),
    "min": (1, ANY, lambda *values: min(map(whole, values))),
    "floor": (1, 1, lambda value: float(math.floor(number(value)))),
    "ceil": (1, 1, lambda value: float(math.ceil(number(value)))),
    "round": (2, 2, _rounded),
    "atoi": (1, 1, _atoi),
    "int": (1, 1, _atoi),
    "int64": (1, 1, _atoi),
    "float64": (1, 1, lambda value: number(shown(value))),
}
