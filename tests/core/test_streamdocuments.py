"""The sections tcp and udp of a document: to the model and back, and what is said of each mistake."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.documents import from_document, to_document
from dynbalancer.core.model import Certificate, HealthCheck, Member, Middleware
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService, StreamTransport
from dynbalancer.errors import ConfigurationError, Problem

HERE = "file dyn.yml"


def tcp(**families: Any) -> dict[str, Any]:
    return {"tcp": families}


def service(**settings: Any) -> dict[str, Any]:
    return tcp(services={"db": {"loadBalancer": settings}})


ONE = [{"address": "10.0.0.2:5432"}]


def test_everything_that_can_be_said() -> None:
    document = {
        "tcp": {
            "routers": {
                "db": {
                    "rule": "HostSNI(`db.example`)",
                    "service": "db",
                    "entryPoints": ["tcp"],
                    "middlewares": ["in"],
                    "priority": 7,
                    "ruleSyntax": "v2",
                    "tls": {"passthrough": True, "options": "default"},
                },
                "term": {"rule": "HostSNI(`t.example`)", "service": "both", "tls": {}},
                "any": {"rule": "HostSNI(`*`)", "service": "db@docker"},
            },
            "services": {
                "db": {
                    "loadBalancer": {
                        "servers": [*ONE, {"address": "[::1]:1", "tls": True}],
                        "proxyProtocol": {"version": 1},
                        "terminationDelay": 250,
                        "serversTransport": "t",
                    }
                },
                "both": {"weighted": {"services": [{"name": "db", "weight": 3}, {"name": "other"}]}},
            },
            "middlewares": {"in": {"inFlightConn": {"amount": 2}}},
            "serversTransports": {
                "t": {
                    "dialTimeout": "2s",
                    "dialKeepAlive": "0s",
                    "terminationDelay": "1s",
                    "proxyProtocol": {},
                    "tls": {"serverName": "db.example", "insecureSkipVerify": True, "rootCAs": ["ca.pem"]},
                }
            },
        },
        "udp": {
            "routers": {"dns": {"service": "dns", "entryPoints": ["dns"]}},
            "services": {"dns": {"loadBalancer": {"servers": [{"address": "10.0.0.3:53"}]}}},
        },
    }
    found = from_document(document, HERE, read_pem=lambda path: f"content of {path}")
    assert found.problems == ()
    assert found.tcp_routers == {
        "db": StreamRouter("db", "HostSNI(`db.example`)", "db", ("tcp",), ("in",), 7, "v2", True, True, HERE),
        "term": StreamRouter("term", "HostSNI(`t.example`)", "both", tls=True, origin=HERE),
        "any": StreamRouter("any", "HostSNI(`*`)", "db@docker", origin=HERE),
    }
    servers = (StreamServer("10.0.0.2:5432"), StreamServer("[::1]:1", tls=True))
    assert found.tcp_services == {
        "db": StreamService(
            "db", servers, transport="t", proxy_protocol=1, termination_delay=0.25, origin=HERE
        ),
        "both": StreamService(
            "both", members=(Member("db", 3), Member("other")), kind="weighted", origin=HERE
        ),
    }
    assert found.tcp_middlewares == {"in": Middleware("in", "inFlightConn", {"amount": 2}, HERE)}
    assert found.tcp_transports == {
        "t": StreamTransport("t", 2.0, 0.0, 1.0, 2, "db.example", True, ("content of ca.pem",), origin=HERE)
    }
    assert found.udp_routers == {
        "dns": StreamRouter("dns", service="dns", entry_points=("dns",), origin=HERE)
    }
    assert found.udp_services["dns"].servers == (StreamServer("10.0.0.3:53"),)
    again = from_document(to_document(found), HERE)
    assert (again.tcp_routers, again.tcp_services) == (found.tcp_routers, found.tcp_services)
    assert (again.tcp_middlewares, again.problems) == (found.tcp_middlewares, ())
    assert (again.udp_routers, again.udp_services) == (found.udp_routers, found.udp_services)


def test_document_without_streams_is_written_without_their_sections() -> None:
    assert to_document(from_document({"http": {}}, HERE)) == {"http": {}}


@pytest.mark.parametrize(
    "written, version",
    [(None, 2), (True, 2), ("true", 2), ("", 2), ({}, 2), ({"version": "1"}, 1), (False, 0), ("false", 0)],
)
def test_proxy_headers_may_be_switched_on_in_several_ways(written: object, version: int) -> None:
    found = from_document(service(servers=ONE, proxyProtocol=written), HERE)
    assert (found.tcp_services["db"].proxy_protocol, found.problems) == (version, ())


@pytest.mark.parametrize(
    "document, place, why",
    [
        (tcp(router={}), "tcp.router", "expected one of routers"),
        (tcp(routers={"a": {"service": "b"}}), "tcp.routers.a.rule", "missing"),
        (tcp(routers={"a": {"rule": "HostSNI(`*`)"}}), "tcp.routers.a.service", "missing"),
        (
            tcp(routers={"a": {"rule": "Host(`x`)", "service": "b"}}),
            "tcp.routers.a.rule",
            "unsupported function",
        ),
        (tcp(routers={"a@b": {}}), "tcp.routers.a@b", "must not be empty or contain"),
        (
            tcp(routers={"a": {"rule": "HostSNI(`*`)", "service": "b", "tls": {"optoins": "strict"}}}),
            "tcp.routers.a.tls.optoins",
            "meant to restrict it",
        ),
        (
            tcp(routers={"a": {"rule": "HostSNI(`*`)", "service": "b", "middleware": ["c"]}}),
            "tcp.routers.a.middleware",
            "probably meant to restrict it",
        ),
        (tcp(services={"a": {}}), "tcp.services.a", "does not have any type defined"),
        (tcp(services={"a": {"loadBalancer": {}, "weighted": {}}}), "tcp.services.a", "expected one type"),
        (
            tcp(services={"a": {"mirroring": {}}}),
            "tcp.services.a.mirroring",
            "expected one of loadBalancer, weighted",
        ),
        (service(servers={}), "tcp.services.db.loadBalancer.servers", "expected a list of sections"),
        (service(servers=[{"address": "10.0.0.2"}]), "loadBalancer.servers[0].address", "with a port"),
        (
            service(servers=[{"url": "http://10.0.0.2:1"}]),
            "loadBalancer.servers[0].url",
            "expected one of address",
        ),
        (
            service(servers=ONE, proxyProtocol={"version": 3}),
            "loadBalancer.proxyProtocol.version",
            "expected 1 or 2",
        ),
        (
            service(servers=ONE, terminationDelay="soon"),
            "loadBalancer.terminationDelay",
            "expected a whole number",
        ),
        (
            tcp(serversTransports={"t": {"tls": {"rootCAs": ["x"]}}}),
            "t.tls.rootCAs",
            "can't be read from here",
        ),
        (tcp(serversTransports={"t": {"tls": {"spiffe": {}}}}), "t.tls.spiffe", "since this restricts it"),
        (
            tcp(serversTransports={"t": {"tls": {"peerCertURI": "a:b"}}}),
            "t.tls.peerCertURI",
            "since this restricts it",
        ),
        (tcp(middlewares={"m": {"a": {}, "b": {}}}), "tcp.middlewares.m", "expected one type"),
        (
            {"udp": {"routers": {"d": {"service": "x", "rule": "HostSNI(`*`)"}}}},
            "udp.routers.d.rule",
            "expected one of",
        ),
        ({"udp": {"middlewares": {}}}, "udp.middlewares", "expected one of routers, services"),
    ],
)
def test_mistakes_are_told_with_their_place(document: object, place: str, why: str) -> None:
    found = from_document(document, HERE)
    assert any(problem.where.endswith(place) and why in problem.why for problem in found.problems), (
        found.problems
    )


def test_one_bad_server_takes_no_other_with_it() -> None:
    found = from_document(service(servers=[{"address": "nowhere"}, *ONE]), HERE)
    assert found.tcp_services["db"].servers == (StreamServer("10.0.0.2:5432"),)


def test_a_health_check_tries_to_connect() -> None:
    wanted = {"interval": "10s", "timeout": "1s", "send": "PING\r\n", "expect": "+PONG", "port": 81}
    found = from_document(service(servers=ONE, healthCheck=wanted), HERE)
    assert found.problems == ()
    check = HealthCheck(mode="tcp", port=81, interval=10.0, timeout=1.0, send="PING\r\n", expect="+PONG")
    assert found.tcp_services["db"].health_check == check
    assert from_document(to_document(found), HERE).tcp_services == found.tcp_services


def test_a_health_check_that_asks_wrongly_is_off_and_the_service_is_not() -> None:
    found = from_document(service(servers=ONE, healthCheck={"port": "db"}), HERE)
    assert found.tcp_services["db"].health_check is None
    assert found.tcp_services["db"].servers
    assert [problem.severity for problem in found.problems] == ["error", "info"]


def test_authorities_that_cannot_be_read_switch_the_transport_off() -> None:
    def read_pem(path: str) -> str:
        raise ConfigurationError("", f"{path} is not there")

    found = from_document(tcp(serversTransports={"t": {"tls": {"rootCAs": ["x"]}}}), HERE, read_pem=read_pem)
    assert found.tcp_transports == {}
    assert "says whom to trust" in found.problems[0].why


def test_a_router_names_its_tls_options() -> None:
    document = tcp(routers={"a": {"rule": "HostSNI(`*`)", "service": "b", "tls": {"options": "mtls"}}})
    found = from_document(document, HERE)
    assert (found.tcp_routers["a"].tls_options, found.problems) == ("mtls", ())
    assert from_document(to_document(found), HERE).tcp_routers == found.tcp_routers


@pytest.mark.parametrize("written", [{}, True, None])
def test_a_weighted_service_may_ask_to_follow_the_health_of_its_members(written: object) -> None:
    weighted = {"services": [{"name": "db"}], "healthCheck": written}
    found = from_document(tcp(services={"both": {"weighted": weighted}}), HERE)
    assert not found.problems
    assert found.tcp_services["both"].members == (Member("db"),)


def test_certificates_to_show_to_servers_are_read_as_those_of_http() -> None:
    pair = {"certFile": "a.pem", "keyFile": "a.key"}
    document = tcp(serversTransports={"t": {"tls": {"certificates": [pair]}}})
    assert from_document(document, HERE).tcp_transports == {}

    def read(chain: str, key: str) -> tuple[Certificate, tuple[Problem, ...]]:
        return Certificate("a", f"content of {chain}", f"content of {key}"), ()

    found = from_document(document, HERE, read_certificate=read)
    assert found.tcp_transports["t"].certificates == (("content of a.pem", "content of a.key"),)
    lost = from_document(document, HERE, read_certificate=lambda chain, key: (None, (Problem("", "lost"),)))
    assert lost.tcp_transports == {}
    assert [problem.why for problem in lost.problems] == ["lost"]
