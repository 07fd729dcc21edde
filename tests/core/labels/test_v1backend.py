"""v1's labels about a backend as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.v1backend import cookie_name, is_extractor, options_of, terms_of
from dynbalancer.core.model import HealthCheck, Sticky


def read(**labels: str) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """Types and settings of the middlewares, and what is wrong."""
    findings = Findings("web-1")
    keys = {f"backend.{key.replace('__', '.')}": value for key, value in labels.items()}
    made = options_of({key: Label(f"traefik.{key}", value) for key, value in keys.items()}, findings)
    return [(one.type, dict(one.settings)) for one in made], [problem.why for problem in findings.problems]


def test_without_labels_there_is_nothing() -> None:
    assert read() == ([], [])


def test_all_of_them_in_traefik_s_order() -> None:
    made, problems = read(
        maxconn__amount="10",
        buffering__maxRequestBodyBytes="1048576",
        buffering__memRequestBodyBytes="2048",
        buffering__maxResponseBodyBytes="3",
        buffering__memResponseBodyBytes="4",
        buffering__retryExpression="IsNetworkError() && Attempts() <= 2",
        circuitbreaker__expression="NetworkErrorRatio() > 0.5",
    )
    assert made == [
        ("circuitBreaker", {"expression": "NetworkErrorRatio() > 0.5"}),
        (
            "buffering",
            {
                "maxRequestBodyBytes": 1048576,
                "memRequestBodyBytes": 2048,
                "maxResponseBodyBytes": 3,
                "memResponseBodyBytes": 4,
                "retryExpression": "IsNetworkError() && Attempts() <= 2",
            },
        ),
        ("inFlightReq", {"dialect": "v1", "amount": 10, "extractorFunc": "request.host"}),
    ]
    assert problems == []


@pytest.mark.parametrize("extractor", ["client.ip", "request.host", "request.header.X-Api-Key"])
def test_what_tells_clients_apart(extractor: str) -> None:
    made, problems = read(maxconn__amount="10", maxconn__extractorfunc=extractor)
    assert made == [("inFlightReq", {"dialect": "v1", "amount": 10, "extractorFunc": extractor})]
    assert problems == []


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"maxconn__extractorfunc": "client.ip"}, "not used without label traefik.backend.maxconn.amount"),
        ({"maxconn__amount": "ten"}, "'ten' is not a whole number; the label is ignored"),
        ({"maxconn__amount": "-1"}, "-1 is not between 0 and 9223372036854775807; the label is ignored"),
    ],
)
def test_limits_without_a_number_are_left_out(labels: dict[str, str], why: str) -> None:
    assert read(**labels) == ([], [why])


def test_none_at_a_time_means_no_limit() -> None:
    assert read(maxconn__amount="0") == ([], [])


def test_an_unknown_extractor_is_told_and_the_limit_stays() -> None:
    made, problems = read(maxconn__amount="10", maxconn__extractorfunc="client.port")
    assert made == [("inFlightReq", {"dialect": "v1", "amount": 10, "extractorFunc": "request.host"})]
    assert problems == ["'client.port' is unknown; request.host is used"]


def test_a_label_without_a_size_switches_buffering_on_all_the_same() -> None:
    assert read(buffering__maxRequestBodyBytes="0") == ([("buffering", {})], [])


@pytest.mark.parametrize("written", ["client.port", "request.header.", "request.header.a b", "", "Client.ip"])
def test_no_extractors(written: str) -> None:
    assert not is_extractor(written)


def terms(**labels: str) -> tuple[dict[str, Any], list[str]]:
    """What is said of the service, and what is wrong."""
    findings = Findings("web-1")
    keys = {f"backend.{key.replace('__', '.')}": value for key, value in labels.items()}
    fields = {key: Label(f"traefik.{key}", value) for key, value in keys.items()}
    return terms_of(fields, "web-proj", findings), [problem.why for problem in findings.problems]


@pytest.mark.parametrize(
    ("labels", "cookie"),
    [
        ({"loadbalancer__sticky": "true"}, Sticky("_TRAEFIK_BACKEND")),
        ({"loadbalancer__stickiness": "true"}, Sticky(cookie_name("web-proj"))),
        (
            {
                "loadbalancer__stickiness": "true",
                "loadbalancer__sticky": "true",
                "loadbalancer__stickiness__cookieName": "my cookie;",
                "loadbalancer__stickiness__secure": "true",
                "loadbalancer__stickiness__httpOnly": "true",
                "loadbalancer__stickiness__sameSite": "Lax",
            },
            Sticky("my_cookie_", True, True, "lax"),
        ),
    ],
)
def test_cookies_that_keep_clients_with_their_server(labels: dict[str, str], cookie: Sticky) -> None:
    assert terms(**labels) == ({"sticky": cookie}, [])


def test_name_of_a_cookie_is_six_characters_of_a_hash_of_the_backend_s() -> None:
    # What `printf %s _TRAEFIK_BACKEND_backend-web-proj | sha1sum` begins with.
    assert cookie_name("web-proj") == "_972b6"


@pytest.mark.parametrize("key", ["loadbalancer__stickiness", "loadbalancer__sticky"])
def test_no_cookie_where_the_label_says_no(key: str) -> None:
    assert terms(**{key: "false"}) == ({}, [])


def test_options_of_a_cookie_that_is_not_there_are_told() -> None:
    why = "not used without label traefik.backend.loadbalancer.stickiness=true"
    assert terms(loadbalancer__stickiness__cookieName="c") == ({}, [why])


@pytest.mark.parametrize(
    ("written", "wanted"), [("10ms", {"flush_interval": 0.01}), ("1", {"flush_interval": 1.0}), ("0", {})]
)
def test_how_often_answers_are_flushed(written: str, wanted: dict[str, Any]) -> None:
    assert terms(responseForwarding__flushInterval=written) == (wanted, [])


def test_health_check_with_all_its_options() -> None:
    check, problems = terms(
        healthcheck__path="/health",
        healthcheck__scheme="https",
        healthcheck__port="8080",
        healthcheck__hostname="h.example",
        healthcheck__interval="10s",
        healthcheck__headers="X-A:1||X-B:2",
    )
    assert problems == []
    assert check == {
        "health_check": HealthCheck(
            path="/health",
            scheme="https",
            port=8080,
            hostname="h.example",
            interval=10.0,
            headers=(("X-A", "1"), ("X-B", "2")),
            follow_redirects=False,
        )
    }


def test_health_check_needs_a_path() -> None:
    check, problems = terms(healthcheck__interval="10s")
    assert check == {}
    assert problems == ["healthCheck is not used: its path is missing"]


def test_interval_that_can_not_be_read_is_the_usual_one() -> None:
    check, problems = terms(healthcheck__path="/health", healthcheck__interval="often")
    assert check["health_check"].interval == 30.0
    assert len(problems) == 1


def test_question_that_can_not_be_asked_takes_no_server_out() -> None:
    check, problems = terms(healthcheck__path="/health", healthcheck__headers="Content-Length:1")
    assert check == {}
    assert "servers are not checked" in problems[0]
