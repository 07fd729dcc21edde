"""Values of streams: they travel to workers and come back equal, and belong to what decides."""

from __future__ import annotations

import json
from dataclasses import replace

from dynbalancer.core import codec
from dynbalancer.core.merge import diff, merge
from dynbalancer.core.model import Configuration, HealthCheck, Member, Middleware
from dynbalancer.core.streams import StreamRouter, StreamServer, StreamService, StreamTransport

ALL = Configuration(
    tcp_routers={
        "db": StreamRouter("db", "HostSNI(`*`)", "db", ("tcp",), ("in",), 7, "v2", True, True, "here")
    },
    tcp_services={
        "db": StreamService(
            "db",
            (StreamServer("10.0.0.2:5432", True, "draining", "db-1", "4711"), StreamServer("[::1]:1")),
            transport="t",
            proxy_protocol=2,
            termination_delay=-1.0,
            health_check=HealthCheck(mode="tcp", send="PING\r\n", expect="+PONG", interval=2.0),
        ),
        "both": StreamService("both", members=(Member("db", 3), Member("db2")), kind="weighted"),
    },
    tcp_middlewares={"in": Middleware("in", "inFlightConn", {"amount": 2})},
    tcp_transports={"t": StreamTransport("t", 1.5, 0.0, 2.0, 1, "db.example", True, ("PEM",))},
    udp_routers={"dns": StreamRouter("dns", service="dns")},
    udp_services={"dns": StreamService("dns", (StreamServer("10.0.0.3:53"),))},
)


def test_snapshot_comes_back_equal() -> None:
    sent = json.loads(json.dumps(codec.snapshot(ALL)))
    assert codec.from_snapshot(sent) == ALL
    assert "termination_delay" not in sent["udp_services"]["dns"]


def test_merged_they_carry_their_provider_and_are_named_in_what_changed() -> None:
    merged = merge([("file", ALL)])
    assert list(merged.tcp_services) == ["db@file", "both@file"]
    assert merged.udp_routers["dns@file"].name == "dns@file"
    other = replace(merged, tcp_routers={}, udp_services={"dns@file": StreamService("dns@file")})
    difference = diff(merged, other)
    assert difference.removed == ("TCP router db@file",)
    assert difference.changed == ("UDP service dns@file",)


def test_they_are_part_of_what_decides() -> None:
    assert ALL.routing != Configuration().routing
    assert ALL.streaming == replace(ALL, routers={}).streaming
    assert ALL.streaming != replace(ALL, tcp_transports={}).streaming
