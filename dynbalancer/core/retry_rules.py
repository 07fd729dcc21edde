"""When buffering sends a request again: ``IsNetworkError() && Attempts() <= 2``, in Traefik's language."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
_token = re.compile(
    r'\s*(?:(?P<number>\d{1,9}(?!\w))|"(?P<text>[^"\\]{0,100})"|(?P<name>[A-Za-z_]\w{0,99})'
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!()])|(?P<other>\S))"
)
_LONGEST, _DEEPEST = 4096, 50


def read_retry_rule(text: str) -> Test:
    """The test that an expression means. Raises ConfigurationError with what is wrong in it."""
    if len(text) > _LONGEST:
        raise ConfigurationError("", f"it is longer than {_LONGEST} characters")
    reader = _Reader(text)
    test = reader.either(0)
    reader.end()
    return test


class _Reader:
    """Reads an expression from left to right; ``!`` binds closest, then comparison, ``&&``, ``||``, as in Go."""

    def __init__(self, text: str) -> None:
        self._tokens = [
            (str(found.lastgroup), found[str(found.lastgroup)]) for found in _token.finditer(text.rstrip())
        ]
        self._at = 0
        if not self._tokens:
            raise ConfigurationError("", "it is empty")

    def end(self) -> None:
        """Raise ConfigurationError where there is more."""
        if self._at < len(self._tokens):
            raise ConfigurationError("", f"unexpected {self._tokens[self._at][1]}")

    def either(self, depth: int) -> Test:
        """Tests with ``||`` and ``&&`` between them."""
        if depth > _DEEPEST:
            raise ConfigurationError("", f"it is nested deeper than {_DEEPEST} levels")
        tests = [self._both(depth)]
        while self._takes("||"):
            tests.append(self._both(depth))
        return tests[0] if len(tests) == 1 else lambda tried: any(test(tried) for test in tests)

    def _both(self, depth: int) -> Test:
        tests = [self._one(depth)]
        while self._takes("&&"):
            tests.append(self._one(depth))
        return tests[0] if len(tests) == 1 else lambda tried: all(test(tried) for test in tests)

    def _one(self, depth: int) -> Test:
        opposite = False
        while self._takes("!"):
            opposite = not opposite
        if self._takes("("):
            test = self.either(depth + 1)
            self._expect(")")
        else:
            test = self._call()
        return (lambda tried: not test(tried)) if opposite else test

    def _call(self) -> Test:
        kind, word = self._take("a function")
        if kind != "name" or word not in _FUNCTIONS:
            known = f"there is {', '.join(f'{one}()' for one in _FUNCTIONS)}"
            raise ConfigurationError(
                "", f"there is no function {word}", did_you_mean(word, _FUNCTIONS) or known
            )
        self._expect("(")
        self._expect(")")
        if word in _TESTS:
            return _TESTS[word]
        of_texts = word in _TEXTS
        value = (_TEXTS if of_texts else _NUMBERS)[word]
        sign = self._take(f"a comparison after {word}()")[1]
        compare = _EQUALITIES.get(sign) or (None if of_texts else _ORDERS.get(sign))
        if compare is None:
            raise ConfigurationError("", f"expected a comparison after {word}(), found {sign}")
        kind, operand = self._take(f"a value after {sign}")
        if kind != ("text" if of_texts else "number"):
            wanted = 'a text such as "GET"' if of_texts else "a whole number"
            raise ConfigurationError("", f"{word}() is compared with {operand}, not with {wanted}")
        wanted_value: Any = operand if of_texts else int(operand)
        return lambda tried: compare(value(tried), wanted_value)

    def _takes(self, sign: str) -> bool:
        if self._at >= len(self._tokens) or self._tokens[self._at] != ("sign", sign):
            return False
        self._at += 1
        return True

    def _take(self, wanted: str) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise ConfigurationError("", f"expected {wanted} at its end")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            there = self._tokens[self._at][1] if self._at < len(self._tokens) else "its end"
            raise ConfigurationError("", f"expected {sign}, found {there}")
