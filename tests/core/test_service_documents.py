"""Services of all types and serversTransports, from a document and back."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.documents import from_document, to_document
from dynbalancer.core.model import (
    Certificate,
    Configuration,
    Member,
    PassiveHealth,
    ServersTransport,
    Service,
    Sticky,
)
from dynbalancer.errors import ConfigurationError, Problem

WHERE = "file dyn.yml"
ONE, OTHER = Member("one"), Member("other@docker")


def service(**types: Any) -> Configuration:
    """A document with one service, ``web``, read."""
    return from_document({"http": {"services": {"web": types}}}, WHERE)


def read(kind: str, section: dict[str, Any]) -> Service:
    found = service(**{kind: section})
    assert found.problems == ()
    return found.services["web"]


BALANCED: dict[str, Any] = {
    "servers": [],
    "strategy": "p2c",
    "passHostHeader": True,
    "sticky": {"cookie": {"name": "pin", "secure": True, "httpOnly": True, "sameSite": "lax", "maxAge": 60,
                          "path": "/a", "domain": "a.example"}},
    "passiveHealthCheck": {"failureWindow": "3s", "maxFailedAttempts": 2},
    "responseForwarding": {"flushInterval": "-1s"},
    "serversTransport": "mutual",
}  # fmt: skip
WEIGHTED: dict[str, Any] = {
    "services": [{"name": "one", "weight": 3}, {"name": "other@docker", "weight": 1}],
    "sticky": {"cookie": {"path": "/"}},
    "healthCheck": {},
}
MIRRORING: dict[str, Any] = {
    "service": "one",
    "mirrorBody": False,
    "maxBodySize": 1024,
    "mirrors": [{"name": "other@docker", "percent": 10}],
    "healthCheck": {},
}
FAILOVER: dict[str, Any] = {
    "service": "one",
    "fallback": "other@docker",
    "errors": {"status": ["500-599"], "maxRequestBodyBytes": 100},
}
KINDS: list[tuple[str, dict[str, Any], Service]] = [
    (
        "loadBalancer",
        BALANCED,
        Service(
            "web",
            strategy="p2c",
            sticky=Sticky("pin", True, True, "lax", 60, "/a", "a.example"),
            passive_health=PassiveHealth(3.0, 2),
            flush_interval=-1.0,
            transport="mutual",
            origin=WHERE,
        ),
    ),
    (
        "weighted",
        WEIGHTED,
        Service(
            "web",
            kind="weighted",
            members=(Member("one", 3), OTHER),
            sticky=Sticky(),
            follows_health=True,
            origin=WHERE,
        ),
    ),
    (
        "highestRandomWeight",
        {"services": [{"name": "one", "weight": 1}]},
        Service("web", kind="highestRandomWeight", members=(ONE,), origin=WHERE),
    ),
    (
        "mirroring",
        MIRRORING,
        Service(
            "web",
            kind="mirroring",
            members=(ONE, Member("other@docker", percent=10)),
            mirror_body=False,
            max_body=1024,
            follows_health=True,
            origin=WHERE,
        ),
    ),
    (
        "failover",
        FAILOVER,
        Service(
            "web",
            kind="failover",
            members=(ONE, OTHER),
            error_statuses=("500-599",),
            max_body=100,
            origin=WHERE,
        ),
    ),
    ("failover", {"service": "one", "fallback": "other@docker"},
     Service("web", kind="failover", members=(ONE, OTHER), origin=WHERE)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "section", "expected"), KINDS)
def test_every_type_is_read_and_written(kind: str, section: dict[str, Any], expected: Service) -> None:
    found = read(kind, section)
    assert found == expected
    written = to_document(Configuration(services={"web": found}))["http"]["services"]["web"]
    assert written == {kind: section} or kind == "loadBalancer"
    assert read(kind, written[kind]) == expected


def test_what_a_balancer_says_is_what_was_read() -> None:
    written = to_document(service(loadBalancer=BALANCED))["http"]["services"]["web"]["loadBalancer"]
    assert written == {key: value for key, value in BALANCED.items() if key != "servers"}


@pytest.mark.parametrize("cookie", [{}, None, True, "true", ""])
def test_a_cookie_needs_no_option(cookie: object) -> None:
    assert read("loadBalancer", {"sticky": {"cookie": cookie}}).sticky == Sticky()


def test_sticky_without_a_cookie_does_nothing_and_says_so() -> None:
    found = service(loadBalancer={"sticky": {}})
    assert found.services["web"].sticky is None
    assert found.problems == (
        Problem(
            "file dyn.yml: http.services.web.loadBalancer.sticky.cookie",
            "missing; nobody is kept anywhere without it",
            severity="warning",
        ),
    )
    assert service(loadBalancer={"sticky": {"cookie": False}}).services["web"].sticky is None


@pytest.mark.parametrize(
    ("kind", "section", "said"),
    [
        ("weighted", {}, "weighted.services: missing"),
        ("weighted", {"services": {}}, "weighted.services: expected a list of sections"),
        ("mirroring", {"mirrors": []}, "mirroring.service: missing"),
        ("failover", {"service": "one"}, "failover.fallback: missing"),
        ("weigthed", {}, "did you mean weighted?"),
        ("loadBalancer", {"serversTransport": 5}, "serversTransport: expected a text"),
    ],
)
def test_what_a_service_can_not_do_without(kind: str, section: dict[str, Any], said: str) -> None:
    found = service(**{kind: section})
    assert found.services == {}
    assert said in str(found.problems[0])


def test_a_member_that_can_not_be_read_takes_no_other_with_it() -> None:
    found = service(weighted={"services": [{"weight": 1}, {"name": "one"}]})
    assert found.services["web"].members == (ONE,)
    assert found.problems[0].where.endswith("weighted.services[0].name")


PAIR = {"certFile": "c.pem", "keyFile": "c.key"}
TRANSPORT = {
    "serverName": "a.example",
    "insecureSkipVerify": True,
    "rootCAs": ["ca.pem"],
    "certificates": [PAIR],
    "cipherSuites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
    "minVersion": "VersionTLS12",
    "maxVersion": "VersionTLS13",
    "maxIdleConnsPerHost": 7,
    "forwardingTimeouts": {"dialTimeout": "2s", "responseHeaderTimeout": 3, "idleConnTimeout": "1m"},
    "disableHTTP2": True,
    "peerCertURI": "spiffe://a.example/web",
}


def transports(**keys: Any) -> Configuration:
    def pem(given: str) -> str:
        if given == "lost.pem":
            raise ConfigurationError("", "lost.pem can't be read: no such file")
        return f"PEM of {given}"

    def pair(chain: str, key: str) -> tuple[Certificate | None, tuple[Problem, ...]]:
        if chain == "lost.pem":
            return None, (Problem("", "lost.pem can't be read: no such file"),)
        return Certificate("a.example", f"PEM of {chain}", f"PEM of {key}"), ()

    return from_document({"http": {"serversTransports": {"mutual": keys}}}, WHERE, None, pair, pem)


def test_a_transport_is_read_with_its_files() -> None:
    found = transports(**TRANSPORT)
    assert found.problems == ()
    assert found.transports["mutual"] == ServersTransport(
        "mutual",
        "a.example",
        True,
        ("PEM of ca.pem",),
        (("PEM of c.pem", "PEM of c.key"),),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",),
        "VersionTLS12",
        "VersionTLS13",
        7,
        2.0,
        3.0,
        60.0,
        "spiffe://a.example/web",
        WHERE,
    )


def test_what_a_transport_does_not_say_is_as_the_settings_have_it() -> None:
    found = transports(maxIdleConnsPerHost=0)
    assert found.transports == {"mutual": ServersTransport("mutual", origin=WHERE)}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rootCAs": ["lost.pem"]}, "lost.pem can't be read: no such file; the serversTransport is off"),
        ({"certificates": [{**PAIR, "certFile": "lost.pem"}]}, "lost.pem can't be read"),
        ({"certificates": [{"certFile": "c.pem"}]}, "certificates[0].keyFile: missing"),
        ({"minVersion": "TLS1.2"}, "expected VersionTLS12"),
        ({"peerCertURI": 7}, "expected a text"),
        ({"spiffe": {"ids": ["a"]}}, "understood, but not supported in this version; mutual is off"),
        ({"rootCA": ["ca.pem"]}, "did you mean rootCAs?"),
    ],
)
def test_a_transport_that_can_not_say_whom_to_trust_is_off(keys: dict[str, Any], said: str) -> None:
    found = transports(**keys)
    assert found.transports == {}
    assert said in str(found.problems[0])


@pytest.mark.parametrize(("kind", "section"), [("loadBalancer", BALANCED), ("weighted", WEIGHTED)])
def test_middlewares_stand_beside_the_type(kind: str, section: dict[str, Any]) -> None:
    found = service(**{kind: section, "Middlewares": ["auth", "strip"]})
    assert found.problems == ()
    assert found.services["web"].middlewares == ("auth", "strip")
    written = to_document(found)["http"]["services"]["web"]
    assert written["middlewares"] == ["auth", "strip"]
    assert list(written) == [kind, "middlewares"]


@pytest.mark.parametrize("keys", [{"middlewares": {"a": 7}}, {"middlewares": ["a"], "Middlewares": ["b"]}])
def test_service_whose_middlewares_can_not_be_read_is_off(keys: dict[str, Any]) -> None:
    found = service(loadBalancer=BALANCED, **keys)
    assert found.services == {}
    assert found.problems


@pytest.mark.parametrize("keys", [{"rootCAs": ["ca.pem"]}, {"certificates": [PAIR]}])
def test_without_somebody_to_read_files_a_transport_with_files_is_off(keys: dict[str, Any]) -> None:
    found = from_document({"http": {"serversTransports": {"mutual": keys}}}, WHERE)
    assert found.transports == {}
    assert "files can't be read from here" in found.problems[0].why


def test_transports_and_their_keys_are_not_in_documents() -> None:
    assert to_document(transports(**TRANSPORT)) == {"http": {}}
