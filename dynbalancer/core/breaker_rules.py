"""When a circuit breaker opens: the expressions of Traefik 1, 2 and 3, which are one language.

``NetworkErrorRatio() > 0.5 || LatencyAtQuantileMS(50.0) > 100`` is read once, into counters that answers add to, and a
test over their sums. A quantile needs no histogram: whether it is above 100 ms is whether enough answers took longer.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dynbalancer.core.predicates import PredicateReader
from dynbalancer.errors import ConfigurationError, did_you_mean

#: What is counted: ``all``; ``network``; ``codes`` from ``low`` on, below ``high``; answers ``within`` ``high`` whole
#: milliseconds.
ALL, NETWORK, CODES, WITHIN = "all", "network", "codes", "within"

Test = Callable[[Sequence[float]], bool]

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FUNCTIONS = ("NetworkErrorRatio", "LatencyAtQuantileMS", "ResponseCodeRatio")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+)"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!(),])|(?P<other>\S))"
)
_LARGEST = 10**9


@dataclass(frozen=True, slots=True)
class Counter:
    """One thing to count of answers."""

    kind: str
    low: int = 0
    high: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """``holds(sums)`` of what the ``counters`` counted, in their order; the first two are ALL and NETWORK."""

    text: str
    counters: tuple[Counter, ...]
    holds: Test


def read_condition(text: str) -> Condition:
    """The condition that an expression means. Raises ConfigurationError with what is wrong in it."""
    reader = _Reader(text)
    test = reader.read()
    return Condition(text, tuple(reader.counters), test)


@dataclass(frozen=True, slots=True)
class _Ratio:
    """One sum by another."""

    above: int
    below: int

    def __call__(self, sums: Sequence[float]) -> float:
        return sums[self.above] / sums[self.below] if sums[self.below] else 0.0


class _Reader(PredicateReader[Sequence[float]]):
    """Reads the expression, and collects what has to be counted for it."""

    TOKEN = _TOKEN

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.counters = [Counter(ALL), Counter(NETWORK)]

    def read_comparison(self) -> Test:
        kind, word = self.take("a function")
        if kind != "name":
            hint = "write the function first: NetworkErrorRatio() > 0.5" if kind == "number" else ""
            raise _wrong(f"expected a function, found {word}", hint)
        if word not in _FUNCTIONS:
            raise _wrong(f"there is no function {word}", did_you_mean(word, _FUNCTIONS) or _known())
        arguments = self._arguments(word)
        sign = self.take(f"a comparison after {word}(…)")[1]
        if sign not in _COMPARISONS:
            raise _wrong(f"expected a comparison after {word}(…), found {sign}", "such as > 0.5")
        kind, number = self.take(f"a number after {sign}")
        if kind != "number":
            raise _wrong(f"expected a number after {sign}, found {number}")
        return self._test(word, arguments, sign, number)

    def _test(self, word: str, arguments: list[str], sign: str, number: str) -> Test:
        if word == "LatencyAtQuantileMS":
            return self._latency(float(arguments[0]), sign, _whole(word, number))
        if _is_whole(number):
            raise _wrong(f"{word}(…) is compared with {number}, which has no point", f"write {number}.0")
        ratio = _Ratio(1, 0)
        if word == "ResponseCodeRatio":
            bounds = [_whole(word, argument) for argument in arguments]
            ratio = _Ratio(*(self._counter(Counter(CODES, *bounds[at : at + 2])) for at in (0, 2)))
        compare, value = _COMPARISONS[sign], float(number)
        return lambda sums: compare(ratio(sums), value)

    def _latency(self, quantile: float, sign: str, value: int) -> Test:
        """Whether so many per cent took longer than that, which is what comparing the quantile comes to."""
        if not 0 <= quantile <= 100:
            raise _wrong(f"there is no quantile {quantile:g}", "quantiles go from 0 to 100, as in 95.0")
        within, below = self._counter(Counter(WITHIN, 0, value)), self._counter(Counter(WITHIN, 0, value - 1))
        share, compare = quantile / 100, _COMPARISONS[sign]

        def holds(sums: Sequence[float]) -> bool:
            rank = max(int(share * sums[0] + 0.5), 1)
            # -1, 0 or 1: the quantile is less than, equal to, or more than the value.
            return compare(-1 if sums[below] >= rank else 0 if sums[within] >= rank else 1, 0)

        return holds

    def _counter(self, counter: Counter) -> int:
        if counter not in self.counters:
            self.counters.append(counter)
        return self.counters.index(counter)

    def _arguments(self, word: str) -> list[str]:
        self.expect("(")
        found: list[str] = []
        while self.next is not None and self.next[1] != ")":
            if found:
                self.expect(",")
            kind, number = self.take("a number")
            if kind != "number":
                raise _wrong(f"expected a number in {word}(…), found {number}")
            found.append(number)
        self.expect(")")
        wanted = {"NetworkErrorRatio": 0, "LatencyAtQuantileMS": 1, "ResponseCodeRatio": 4}[word]
        if len(found) != wanted:
            raise _wrong(f"{word} takes {wanted or 'no'} arguments, not {len(found)}", _known())
        return found


def _is_whole(number: str) -> bool:
    return number.isdigit()


def _whole(word: str, number: str) -> int:
    if not _is_whole(number) or int(number) > _LARGEST:
        raise _wrong(f"{word} goes with whole numbers, not with {number}")
    return int(number)


def _known() -> str:
    return "there is NetworkErrorRatio(), LatencyAtQuantileMS(50.0), ResponseCodeRatio(500, 600, 0, 600)"


def _wrong(why: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError("", why, hint)
