"""What can be configured, as values: frozen, comparable, and harmless by default."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from dynbalancer.core.model import (
    DIALECTS,
    NOTHING,
    SERVER_STATES,
    SERVICE_KINDS,
    Change,
    Configuration,
    EntryPoint,
    Item,
    Member,
    Middleware,
    PassiveHealth,
    ProviderStatus,
    Router,
    Server,
    ServersTransport,
    Service,
    Sticky,
    WorkerStatus,
)
from dynbalancer.errors import Problem

VALUES: list[Any] = [
    EntryPoint("web", 80),
    Server("http://10.0.0.2:80"),
    Service("web"),
    Middleware("add", "addPrefix"),
    Router("web", "Host(`a.example`)", "web"),
    Item("1", "web-1"),
    Configuration(),
    ProviderStatus("docker"),
    Change(1, 0.0, "started"),
    WorkerStatus(1, 2, "serving"),
    Member("web"),
    PassiveHealth(),
    ServersTransport("mutual"),
    Sticky(),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_equal_when_their_fields_are_and_never_change(value: Any) -> None:
    assert replace(value) == value
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, "other")
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize(
    "host, address",
    [("", ":80"), ("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("web.example", "web.example:80")],
)
def test_address_of_an_entry_point_can_be_pasted(host: str, address: str) -> None:
    assert EntryPoint("web", 80, host).address == address


def test_defaults_are_the_harmless_ones() -> None:
    entry_point, server, router = EntryPoint("web", 80), Server("http://a"), Router("r", "", "s")
    assert (entry_point.trusted, entry_point.trust_all, entry_point.as_default) == ((), False, False)
    assert (server.weight, server.state, server.instance) == (1, "ready", "")
    assert (router.entry_points, router.middlewares, router.priority, router.tls) == ((), (), 0, False)
    assert (Service("s").strategy, Service("s").pass_host_header) == ("wrr", True)
    assert server.state in SERVER_STATES
    assert Service("s").kind in SERVICE_KINDS
    assert not ServersTransport("t").insecure
    assert {router.dialect, Service("s").dialect} <= set(DIALECTS)


def test_routing_leaves_out_problems_and_items() -> None:
    plain = Configuration({"web": VALUES[4]}, {"web": VALUES[2]}, {"add": VALUES[3]})
    explained = replace(plain, problems=(Problem("label", "odd"),), items=(Item("1", "web-1"),))
    assert explained != plain
    assert explained.routing == plain.routing
    assert plain.routing[:3] == ({"web": VALUES[4]}, {"web": VALUES[2]}, {"add": VALUES[3]})
    assert replace(plain, services={}).routing != plain.routing


def test_shared_empty_mapping_takes_nothing_in() -> None:
    assert Configuration().routers is NOTHING
    with pytest.raises(TypeError):
        NOTHING["a"] = 1  # type: ignore[index]


@pytest.mark.parametrize(
    "type_, settings, asked",
    [
        ("errors", {"service": "pages"}, "pages"),
        ("Errors", {"Service": " pages@file "}, "pages@file"),
        ("errors", {}, ""),
        ("headers", {"service": "pages"}, ""),
    ],
)
def test_which_service_a_middleware_asks(type_: str, settings: dict[str, str], asked: str) -> None:
    assert Middleware("m", type_, settings).asks == asked
