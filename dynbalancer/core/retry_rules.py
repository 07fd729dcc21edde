"""When buffering sends a request again: ``IsNetworkError() && Attempts() <= 2``, in Traefik's language."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dynbalancer.core.predicates import PredicateReader
from dynbalancer.errors import ConfigurationError, did_you_mean


@dataclass(frozen=True, slots=True)
class Tried:
    """How a request has fared: so many tries, what the last one came to."""

    attempts: int
    code: int
    network_error: bool
    method: str


Test = Callable[[Tried], bool]

_NUMBERS: dict[str, Callable[[Tried], Any]] = {
    "Attempts": operator.attrgetter("attempts"),
    "ResponseCode": operator.attrgetter("code"),
}
_TEXTS: dict[str, Callable[[Tried], Any]] = {"RequestMethod": operator.attrgetter("method")}
_TESTS: dict[str, Callable[[Tried], Any]] = {"IsNetworkError": operator.attrgetter("network_error")}
_FUNCTIONS = (*_NUMBERS, *_TEXTS, *_TESTS)
_EQUALITIES: dict[str, Callable[[Any, Any], bool]] = {"==": operator.eq, "!=": operator.ne}
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TOKEN = re.compile(
    r'\s*(?:(?P<number>\d{1,9}(?!\w))|"(?P<text>[^"\\]{0,100})"|(?P<name>[A-Za-z_]\w{0,99})'
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!()])|(?P<other>\S))"
)


def read_retry_rule(text: str) -> Test:
    """The test that an expression means. Raises ConfigurationError with what is wrong in it."""
    return _Reader(text).read()


class _Reader(PredicateReader[Tried]):
    """Reads the expression."""

    TOKEN = _TOKEN

    def read_comparison(self) -> Test:
        kind, word = self.take("a function")
        if kind != "name" or word not in _FUNCTIONS:
            known = f"there is {', '.join(f'{one}()' for one in _FUNCTIONS)}"
            raise ConfigurationError(
                "", f"there is no function {word}", did_you_mean(word, _FUNCTIONS) or known
            )
        self.expect("(")
        self.expect(")")
        if word in _TESTS:
            return _TESTS[word]
        of_texts = word in _TEXTS
        value = (_TEXTS if of_texts else _NUMBERS)[word]
        sign = self.take(f"a comparison after {word}()")[1]
        compare = _EQUALITIES.get(sign) or (None if of_texts else _ORDERS.get(sign))
        if compare is None:
            raise ConfigurationError("", f"expected a comparison after {word}(), found {sign}")
        kind, operand = self.take(f"a value after {sign}")
        if kind != ("text" if of_texts else "number"):
            wanted = 'a text such as "GET"' if of_texts else "a whole number"
            raise ConfigurationError("", f"{word}() is compared with {operand}, not with {wanted}")
        wanted_value: Any = operand if of_texts else int(operand)
        return lambda tried: compare(value(tried), wanted_value)
