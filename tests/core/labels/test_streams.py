"""Labels of TCP and UDP: what they make, what is said of mistakes, and what several containers make together."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.labels.containers import Binding, Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.model import Configuration, Middleware
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService

DB = "container db-1"
LABELS = {
    "traefik.tcp.routers.db.rule": "HostSNI(`db.example`)",
    "traefik.tcp.routers.db.tls": "true",
    "traefik.tcp.services.db.loadbalancer.server.port": "5432",
}


def container(
    labels: dict[str, str], name: str = "db-1", address: str = "10.0.0.2", **more: Any
) -> Container:
    about = {"networks": {"bridge": address}, "ports": (5432, 8080), **more}
    return Container(id=f"id of {name}", name=name, labels=labels, **about)


def read(*containers: Container) -> Configuration:
    return configuration_of(containers, Defaults())


def labelled(**more: str) -> Configuration:
    """What one container says; ``__`` stands for a dot."""
    return read(
        container(LABELS | {f"traefik.{key.replace('__', '.')}": value for key, value in more.items()})
    )


def test_router_and_service_of_a_container() -> None:
    found = labelled()
    assert found.tcp_routers == {"db": StreamRouter("db", "HostSNI(`db.example`)", "db", tls=True, origin=DB)}
    server = StreamServer("10.0.0.2:5432", name="db-1", instance="id of db-1")
    assert found.tcp_services == {"db": StreamService("db", (server,), origin=DB)}
    assert (found.routers, found.services, found.problems) == ({}, {}, ())
    assert (found.items[0].verdict, found.items[0].gave) == ("routed", ("db",))


def test_router_without_any_service_leads_to_its_container() -> None:
    labels = {"traefik.tcp.routers.db.rule": "HostSNI(`*`)", "traefik.udp.routers.dns.entrypoints": "dns"}
    found = read(container(labels, ports=(53,), bindings=(Binding(54, "0.0.0.0", 54, "udp"),)))
    assert (found.tcp_routers["db"].service, found.udp_routers["dns"].service) == ("db-1", "db-1")
    assert [server.address for server in found.tcp_services["db-1"].servers] == ["10.0.0.2:53"]
    assert found.problems == ()


def test_router_to_a_service_elsewhere_makes_none_of_its_container() -> None:
    found = read(
        container(
            {"traefik.tcp.routers.db.rule": "HostSNI(`*`)", "traefik.tcp.routers.db.service": "db@file"}
        )
    )
    assert (found.tcp_routers["db"].service, found.tcp_services) == ("db@file", {})


def test_every_label_there_is() -> None:
    found = read(
        container(
            {
                "traefik.tcp.routers.Db.rule": "HostSNI(`a.example`, `b.example`)",
                "traefik.tcp.routers.Db.rulesyntax": "v2",
                "traefik.tcp.routers.Db.entrypoints": "postgres,other",
                "traefik.tcp.routers.Db.middlewares": "in@file, own",
                "traefik.tcp.routers.Db.service": "pool",
                "traefik.tcp.routers.Db.priority": "-3",
                "traefik.tcp.routers.Db.tls": "",
                "traefik.tcp.routers.Db.tls.passthrough": "true",
                "traefik.tcp.services.pool.loadBalancer.server.port": "5433",
                "traefik.tcp.services.pool.loadbalancer.server.tls": "true",
                "traefik.tcp.services.pool.loadbalancer.serverstransport": "own@file",
                "traefik.tcp.services.pool.loadbalancer.proxyprotocol.version": "1",
                "traefik.tcp.services.pool.loadbalancer.terminationdelay": "250",
                "traefik.tcp.middlewares.own.ipallowlist.sourcerange": "10.0.0.0/8, 192.0.2.1",
                "traefik.udp.routers.dns.entrypoints": "dns",
                "traefik.udp.services.dns.loadbalancer.server.port": "53",
            }
        )
    )
    assert found.problems == ()
    assert found.tcp_routers["Db"] == StreamRouter(
        "Db",
        "HostSNI(`a.example`, `b.example`)",
        "pool",
        ("postgres", "other"),
        ("in@file", "own"),
        -3,
        "v2",
        True,
        True,
        DB,
    )
    pool = found.tcp_services["pool"]
    assert (pool.servers[0].address, pool.servers[0].tls) == ("10.0.0.2:5433", True)
    assert (pool.transport, pool.proxy_protocol, pool.termination_delay) == ("own@file", 1, 0.25)
    settings = {"sourcerange": "10.0.0.0/8, 192.0.2.1"}
    assert found.tcp_middlewares == {"own": Middleware("own", "ipallowlist", settings, DB)}
    assert found.udp_routers == {"dns": StreamRouter("dns", service="dns", entry_points=("dns",), origin=DB)}
    assert found.udp_services["dns"].servers[0].address == "10.0.0.2:53"


@pytest.mark.parametrize("written, version", [("", 2), ("true", 2), ("false", 0)])
def test_proxy_headers_may_be_switched_on_alone(written: str, version: int) -> None:
    found = labelled(tcp__services__db__loadbalancer__proxyprotocol=written)
    assert (found.tcp_services["db"].proxy_protocol, found.problems) == (version, ())


def test_lists_may_be_written_by_number() -> None:
    found = read(
        container(
            LABELS
            | {
                "traefik.tcp.routers.db.entryPoints[1]": "second",
                "traefik.tcp.routers.db.entrypoints[0]": "first",
                "traefik.tcp.routers.db.tls.domains[0].main": "a.example",
                "traefik.tcp.routers.db.tls.domains[0].sans": "b.example,c.example",
                "traefik.tcp.routers.db.tls.domains[1].main": "d.example",
                "traefik.tcp.middlewares.m.ipallowlist.sourcerange[0]": "10.0.0.0/8",
            }
        )
    )
    assert found.tcp_routers["db"].entry_points == ("first", "second")
    assert found.tcp_middlewares["m"].settings == {"sourcerange": ("10.0.0.0/8",)}
    assert [problem for problem in found.problems if problem.severity == "error"] == []


def test_lowest_port_is_taken_where_none_is_said() -> None:
    found = read(container({"traefik.tcp.services.db.loadbalancer.server.tls": "false"}))
    assert found.tcp_services["db"].servers[0].address == "10.0.0.2:5432"
    udp = {"traefik.udp.services.d.loadbalancer.server": ""}
    found = read(container(udp, bindings=(Binding(53, protocol="udp"), Binding(80))))
    assert found.udp_services["d"].servers[0].address == "10.0.0.2:53"
    found = read(container(udp))
    assert found.udp_services == {}
    assert found.problems[0].why == "no port exposed for UDP"


def test_http_and_tcp_of_one_container() -> None:
    found = labelled(
        http__routers__web__rule="Host(`a.example`)", http__services__web__loadbalancer__server__port="8080"
    )
    assert (list(found.routers), list(found.tcp_routers)) == (["web"], ["db"])
    assert found.items[0].gave == ("web", "db")
    assert found.services["web"].servers[0].url == "http://10.0.0.2:8080"


@pytest.mark.parametrize(
    "labels, place, why",
    [
        ({"tcp__routers__db__entrypoint": "x"}, "db.entrypoint", "probably meant to restrict it"),
        ({"tcp__routers__db__tls__optoins": "strict"}, "db.tls.optoins", "meant to restrict it"),
        ({"tcp__routers__db__tls": "maybe"}, "db.tls", "expected true or false"),
        ({"tcp__routers__db__rule": "Host(`a`)"}, "db.rule", "unsupported function: Host"),
        ({"tcp__routers__two__service": "db"}, "two.rule", "missing"),
        ({"tcp__services__db__loadbalancer__server__port": "http"}, "server.port", "is not a port"),
        ({"tcp__services__db__loadbalancer__server__tls": "maybe"}, "server.tls", "expected true or false"),
        ({"tcp__services__db__loadbalancer__server__url": "x"}, "server.url", "unknown and not used"),
        ({"tcp__services__db__loadbalancr__x": "y"}, "services.db", "expected one type"),
        (
            {"tcp__middlewares__m__a__b": "1", "tcp__middlewares__m__c__d": "1"},
            "middlewares.m",
            "several types",
        ),
        ({"tcp__router__db__rule": "x"}, "tcp.router", "expected one of routers"),
        ({"tcp__routers__db": "x"}, "tcp.routers.db", "unknown and not used"),
        (
            {"tcp__services__b__loadbalancer__server__port": "1", "tcp__routers__x__rule": "HostSNI(`*`)"},
            "x.service",
            "missing",
        ),
    ],
)
def test_mistakes_are_told_with_their_label(labels: dict[str, str], place: str, why: str) -> None:
    found = labelled(**labels)
    assert any(p.where.endswith(place) and why in p.why for p in found.problems), found.problems


@pytest.mark.parametrize("key", ["tcp__routers__db__tls__optoins", "tcp__routers__db__middleware"])
def test_router_that_was_meant_to_be_restricted_is_off(key: str) -> None:
    assert labelled(**{key: "strict"}).tcp_routers == {}


def test_replicas_share_their_service() -> None:
    found = read(
        container(LABELS, created=1.0),
        container(LABELS, "db-2", "10.0.0.3", created=2.0, state="draining"),
        container(LABELS, "db-3", "10.0.0.4", created=3.0, health="unhealthy"),
    )
    servers = found.tcp_services["db"].servers
    assert [(server.address, server.state) for server in servers] == [
        ("10.0.0.2:5432", "ready"),
        ("10.0.0.3:5432", "draining"),
        ("10.0.0.4:5432", "down"),
    ]
    assert found.problems == ()
    assert [item.gave for item in found.items] == [("db",)] * 3


def test_newest_that_serves_counts_where_labels_differ_and_all_stay_in_the_pool() -> None:
    changed = LABELS | {"traefik.tcp.routers.db.rule": "HostSNI(`new.example`)"}
    old = container(LABELS, created=1.0)
    for state, rule in (("running", "HostSNI(`new.example`)"), ("created", "HostSNI(`db.example`)")):
        new = container(changed, "db-2", "10.0.0.3", created=2.0, state=state)
        labels = {"traefik.docker.allownonrunning": "true"}
        found = read(old, Container(**{**_fields(new), "labels": changed | labels}))
        assert found.tcp_routers["db"].rule == rule
        assert len(found.problems) == 1
        assert "defined differently by container db-1, container db-2" in found.problems[0].why


def _fields(one: Container) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def test_container_that_is_not_enabled_gives_nothing() -> None:
    found = labelled(enable="false")
    assert (found.tcp_routers, found.items[0].verdict) == ({}, "ignored")
