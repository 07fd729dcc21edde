"""Expressions of circuit breakers: what they mean, and what is wrong with those that mean nothing."""

from __future__ import annotations

import pytest

from dynbalancer.core.breaker_rules import CODES, WITHIN, Counter, read_condition
from dynbalancer.errors import ConfigurationError


def holds(expression: str, answers: list[tuple[int, bool, int]]) -> bool:
    """Whether it holds for answers, each of a status, whether nobody answered, and milliseconds."""
    condition = read_condition(expression)

    def counts(counter: Counter, answer: tuple[int, bool, int]) -> bool:
        status, unanswered, milliseconds = answer
        if counter.kind == CODES:
            return counter.low <= status < counter.high
        if counter.kind == WITHIN:
            return milliseconds <= counter.high
        return unanswered or counter.kind == "all"

    return condition.holds(
        [float(sum(counts(counter, answer) for answer in answers)) for counter in condition.counters]
    )


OK, LATE, BAD, LOST = (200, False, 10), (200, False, 900), (500, False, 10), (502, True, 10)


@pytest.mark.parametrize(
    "expression, answers, found",
    [
        ("NetworkErrorRatio() > 0.5", [OK, LOST], False),
        ("NetworkErrorRatio() > 0.5", [OK, LOST, LOST], True),
        ("NetworkErrorRatio() >= 0.5", [OK, LOST], True),
        ("NetworkErrorRatio() == 0.5", [OK, LOST], True),
        ("NetworkErrorRatio() != 0.5", [OK, LOST], False),
        ("NetworkErrorRatio() < 0.5", [OK, OK, LOST], True),
        ("NetworkErrorRatio() <= 0.5", [OK, LOST], True),
        ("NetworkErrorRatio() > 0.0", [BAD], False),
        ("NetworkErrorRatio() > 0.5", [], False),
        ("ResponseCodeRatio(500, 600, 0, 600) > 0.25", [OK, OK, OK, BAD], False),
        ("ResponseCodeRatio(500, 600, 0, 600) > 0.24", [OK, OK, OK, BAD], True),
        ("ResponseCodeRatio(500,501,200,201)>=1.0", [OK, BAD], True),
        ("ResponseCodeRatio(200, 500, 0, 600) == 1.0", [OK, OK], True),
        ("ResponseCodeRatio(500, 600, 300, 400) > 0.0", [BAD], False),
        ("LatencyAtQuantileMS(50.0) > 100", [OK, OK, LATE], False),
        ("LatencyAtQuantileMS(50.0) > 100", [OK, LATE, LATE], True),
        ("LatencyAtQuantileMS(100.0) > 100", [*[OK] * 99, LATE], True),
        ("LatencyAtQuantileMS(95.0) > 100", [*[OK] * 95, *[LATE] * 5], False),
        ("LatencyAtQuantileMS(95.0) > 100", [*[OK] * 94, *[LATE] * 6], True),
        ("LatencyAtQuantileMS(50) > 100", [LATE], True),
        ("LatencyAtQuantileMS(50.0) > 900", [LATE], False),
        ("LatencyAtQuantileMS(50.0) >= 900", [LATE], True),
        ("LatencyAtQuantileMS(50.0) == 900", [LATE], True),
        ("LatencyAtQuantileMS(50.0) != 900", [LATE], False),
        ("LatencyAtQuantileMS(50.0) < 900", [LATE], False),
        ("LatencyAtQuantileMS(50.0) <= 900", [LATE], True),
        ("LatencyAtQuantileMS(0.0) < 900", [OK, LATE], True),
        ("NetworkErrorRatio() > 0.9 || LatencyAtQuantileMS(50.0) > 100", [LATE], True),
        ("NetworkErrorRatio() > 0.9 && LatencyAtQuantileMS(50.0) > 100", [LATE], False),
        ("NetworkErrorRatio() < 0.9 && LatencyAtQuantileMS(50.0) > 100", [LATE], True),
        ("!(NetworkErrorRatio() > 0.5)", [OK], True),
        ("!!(NetworkErrorRatio() > 0.5)", [OK], False),
        ("! NetworkErrorRatio() > 0.5", [OK], True),
        # && binds closer than ||.
        ("NetworkErrorRatio() < 0.1 || NetworkErrorRatio() < 0.1 && NetworkErrorRatio() > 0.9", [OK], True),
        (
            "(NetworkErrorRatio() < 0.1 || NetworkErrorRatio() < 0.1) && NetworkErrorRatio() > 0.9",
            [OK],
            False,
        ),
        (" ( ( NetworkErrorRatio( )>.5 ) ) ", [LOST], True),
        ("NetworkErrorRatio() > 5e-1", [LOST], True),
    ],
)
def test_expression(expression: str, answers: list[tuple[int, bool, int]], found: bool) -> None:
    assert holds(expression, answers) is found


@pytest.mark.parametrize(
    "expression, why, hint",
    [
        ("", "it is empty", ""),
        ("NetworkErrorsRatio() > 0.5", "there is no function NetworkErrorsRatio", "NetworkErrorRatio?"),
        ("networkErrorRatio() > 0.5", "no function networkErrorRatio", "did you mean NetworkErrorRatio?"),
        ("Foo() > 0.5", "no function Foo", "there is NetworkErrorRatio()"),
        ("NetworkErrorRatio() > 1", "compared with 1, which has no point", "write 1.0"),
        ("LatencyAtQuantileMS(50.0) > 100.5", "goes with whole numbers, not with 100.5", ""),
        ("LatencyAtQuantileMS(101.0) > 100", "there is no quantile 101", "from 0 to 100"),
        ("LatencyAtQuantileMS() > 100", "takes 1 arguments, not 0", ""),
        ("NetworkErrorRatio(1) > 0.5", "takes no arguments, not 1", ""),
        ("ResponseCodeRatio(500, 600) > 0.5", "takes 4 arguments, not 2", ""),
        ("ResponseCodeRatio(500, 600, 0, 60.5) > 0.5", "whole numbers, not with 60.5", ""),
        ("ResponseCodeRatio(500 600, 0, 600) > 0.5", "expected ,, found 600", ""),
        ("ResponseCodeRatio(500, a, 0, 600) > 0.5", "expected a number in ResponseCodeRatio", ""),
        ("NetworkErrorRatio > 0.5", "expected (, found >", ""),
        ("NetworkErrorRatio()", "expected a comparison after NetworkErrorRatio(…) at its end", ""),
        ("NetworkErrorRatio() 0.5", "expected a comparison after NetworkErrorRatio(…), found 0.5", ""),
        ("NetworkErrorRatio() >", "expected a number after > at its end", ""),
        ("NetworkErrorRatio() > x", "expected a number after >, found x", ""),
        ("NetworkErrorRatio() > -0.5", "found -", ""),
        ("NetworkErrorRatio() = 0.5", "expected a comparison", ""),
        ("0.5 < NetworkErrorRatio()", "expected a function, found 0.5", "write the function first"),
        ("NetworkErrorRatio() > 0.5 0.6", "unexpected 0.6", ""),
        ("NetworkErrorRatio() > 0.5 | NetworkErrorRatio() > 0.6", "unexpected |", ""),
        ("NetworkErrorRatio() > 0.5 &&", "expected a function at its end", ""),
        ("(NetworkErrorRatio() > 0.5", "expected ), found its end", ""),
        ("(" * 60 + "NetworkErrorRatio() > 0.5" + ")" * 60, "nested deeper than 50", ""),
        ("NetworkErrorRatio() > 0.5" + " " * 4096 + "&&", "longer than 4096", ""),
        (f"LatencyAtQuantileMS(50.0) > {10**20}", "whole numbers", ""),
    ],
)
def test_what_is_no_expression_says_why(expression: str, why: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_condition(expression)
    assert why in caught.value.why
    assert hint in caught.value.hint


def test_same_counts_are_counted_once() -> None:
    expression = "ResponseCodeRatio(500, 600, 0, 600) > 0.5 || ResponseCodeRatio(400, 500, 0, 600) > 0.5"
    counters = read_condition(expression).counters
    assert counters[2:] == (Counter(CODES, 500, 600), Counter(CODES, 0, 600), Counter(CODES, 400, 500))
