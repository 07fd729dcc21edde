"""Errors say whose fault it is, what to answer, and what to write instead."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from dynbalancer.errors import (
    BadResponse,
    ConfigurationError,
    ConnectError,
    ConnectTimeout,
    DynbalancerError,
    NoServer,
    Problem,
    RequestError,
    ResponseTimeout,
    Untrusted,
    UpstreamClosed,
    UpstreamError,
    did_you_mean,
    printable,
)


@pytest.mark.parametrize(
    "hint, text",
    [("", "label traefik.port: not a number"), ("write 80", "label traefik.port: not a number; write 80")],
)
def test_problem_reads_as_a_sentence(hint: str, text: str) -> None:
    problem = Problem("label traefik.port", "not a number", hint)
    assert (str(problem), problem.severity) == (text, "error")
    with pytest.raises(FrozenInstanceError):
        problem.why = "other"  # type: ignore[misc]


def test_configuration_error_becomes_the_same_problem() -> None:
    error = ConfigurationError("router web", "no rule", "write Host(`a.example`)")
    assert error.as_problem() == Problem("router web", "no rule", "write Host(`a.example`)")
    assert error.as_problem("warning").severity == "warning"
    assert str(error) == "router web: no rule; write Host(`a.example`)"


def test_request_error_carries_status_and_reason() -> None:
    error = RequestError(431, "too-many-fields", "101 fields")
    assert (error.status, error.reason, error.why) == (431, "too-many-fields", "101 fields")


@pytest.mark.parametrize(
    "error, status, reason, retryable",
    [
        (UpstreamError("w"), 502, "upstream", False),
        (ConnectError("w"), 502, "connect", True),
        (ConnectTimeout("w"), 504, "connect-timeout", True),
        (Untrusted("w"), 500, "untrusted", True),
        (UpstreamClosed("w"), 502, "closed", False),
        (UpstreamClosed("w", retryable=True), 502, "closed", True),
        (ResponseTimeout("w"), 504, "response-timeout", False),
        (BadResponse("w"), 502, "bad-response", False),
        (NoServer("w"), 503, "no-server", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_upstream_errors_know_what_to_answer_and_whether_to_ask_another(
    error: UpstreamError, status: int, reason: str, retryable: bool
) -> None:
    assert (error.status, error.reason, error.retryable, error.why) == (status, reason, retryable, "w")
    assert isinstance(error, DynbalancerError)


def test_marking_one_error_marks_no_other() -> None:
    UpstreamClosed(retryable=True)
    assert not UpstreamClosed().retryable


@pytest.mark.parametrize(
    "word, known, found",
    [
        ("Hots", ("Host", "Path"), "did you mean Host?"),
        ("host", ("Host",), "did you mean Host?"),
        ("addprefix", ("addPrefix", "stripPrefix"), "did you mean addPrefix?"),
        ("xyz", ("Host", "Path"), ""),
        ("anything", (), ""),
        ("", ("Host",), ""),
    ],
)
def test_nearest_known_word_is_offered_if_it_is_near(word: str, known: tuple[str, ...], found: str) -> None:
    assert did_you_mean(word, known) == found


@pytest.mark.parametrize(
    "text, shown", [("añ b", "añ b"), ("a\nb", "a\\nb"), ("\x1b[2J\x00\x85", "\\x1b[2J\\x00\\x85"), ("", "")]
)
def test_text_that_is_safe_to_print(text: str, shown: str) -> None:
    assert printable(text) == shown
