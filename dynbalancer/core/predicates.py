"""The language in which Traefik writes predicates: calls and comparisons, joined by ``&&``, ``||``, ``!`` and brackets.

What may be called is up to who reads: :mod:`~dynbalancer.core.breaker_rules` and :mod:`~dynbalancer.core.retry_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Generic, TypeVar

from dynbalancer.errors import ConfigurationError

#: What predicates are about.
Subject = TypeVar("Subject")

_LONGEST, _DEEPEST = 4096, 50


class PredicateReader(Generic[Subject]):
    """Reads a predicate from left to right; ``!`` binds closest, then comparison, ``&&``, ``||``, as in Go.

    A subclass says what tokens there are, by a pattern whose groups name their kinds (``sign`` for operators and
    brackets, ``other`` for what is none), and reads calls and comparisons.
    """

    TOKEN: re.Pattern[str]

    def __init__(self, text: str) -> None:
        """Raises ConfigurationError where it is empty, or too long to be looked at."""
        if len(text) > _LONGEST:
            raise ConfigurationError("", f"it is longer than {_LONGEST} characters")
        found = self.TOKEN.finditer(text.rstrip())
        self._tokens = [(str(one.lastgroup), one[str(one.lastgroup)]) for one in found]
        self._at = 0

    def read(self) -> Callable[[Subject], bool]:
        """The test that it means. Raises ConfigurationError with what is wrong in it."""
        if not self._tokens:
            raise ConfigurationError("", "it is empty")
        test = self._either(0)
        if self.next is not None:
            raise ConfigurationError("", f"unexpected {self.next[1]}")
        return test

    def read_comparison(self) -> Callable[[Subject], bool]:
        """What stands between the operators."""
        raise NotImplementedError

    @property
    def next(self) -> tuple[str, str] | None:
        """Kind and text of what comes next."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def takes(self, sign: str) -> bool:
        """Whether this operator or bracket comes next; if so, it is read."""
        if self.next != ("sign", sign):
            return False
        self._at += 1
        return True

    def take(self, wanted: str) -> tuple[str, str]:
        """Kind and text of what comes next, which is read. Raises ConfigurationError at the end."""
        found = self.next
        if found is None:
            raise ConfigurationError("", f"expected {wanted} at its end")
        self._at += 1
        return found

    def expect(self, sign: str) -> None:
        """Read this operator or bracket. Raises ConfigurationError where there is another."""
        if not self.takes(sign):
            raise ConfigurationError("", f"expected {sign}, found {self.next[1] if self.next else 'its end'}")

    def _either(self, depth: int) -> Callable[[Subject], bool]:
        if depth > _DEEPEST:
            raise ConfigurationError("", f"it is nested deeper than {_DEEPEST} levels")
        tests = [self._both(depth)]
        while self.takes("||"):
            tests.append(self._both(depth))
        return tests[0] if len(tests) == 1 else lambda subject: any(test(subject) for test in tests)

    def _both(self, depth: int) -> Callable[[Subject], bool]:
        tests = [self._one(depth)]
        while self.takes("&&"):
            tests.append(self._one(depth))
        return tests[0] if len(tests) == 1 else lambda subject: all(test(subject) for test in tests)

    def _one(self, depth: int) -> Callable[[Subject], bool]:
        opposite = False
        while self.takes("!"):
            opposite = not opposite
        if self.takes("("):
            test = self._either(depth + 1)
            self.expect(")")
        else:
            test = self.read_comparison()
        return (lambda subject: not test(subject)) if opposite else test
