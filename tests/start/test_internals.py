"""Which of our own services a router may name, and what is seen of them through it."""

from __future__ import annotations

import pytest

from dynbalancer.core.codec import to_document
from dynbalancer.core.merge import merge
from dynbalancer.core.model import Configuration, EntryPoint, Middleware, Router, Service
from dynbalancer.core.table import RoutingTable
from dynbalancer.middlewares.paths import AddPrefix, ReplacePath
from dynbalancer.start.compiling import compiler
from dynbalancer.start.internals import with_internals
from dynbalancer.testing import exchange

LISTENER = ("127.0.0.1", 8080)
WEB = EntryPoint("web", 80)


def table(service: str, admin: tuple[str, int] | None = LISTENER) -> RoutingTable:
    """A table with one router, of a provider, that leads to ``service``."""
    docker = Configuration({"r": Router("r", "Host(`traefik.example.com`)", service)})
    own = with_internals(Configuration(), admin)
    return compiler((WEB,), lambda: 0.0)(merge([("internal", own), ("docker", docker)]), 1, None)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (("127.0.0.1", 8080), "http://127.0.0.1:8080"),
        (("", 8081), "http://127.0.0.1:8081"),
        (("0.0.0.0", 8080), "http://127.0.0.1:8080"),
        (("::", 8080), "http://[::1]:8080"),
        (("10.0.0.5", 9000), "http://10.0.0.5:9000"),
        (("fd00::5", 9000), "http://[fd00::5]:9000"),
    ],
)
def test_service_leads_to_where_the_listener_is_and_under_its_own_name(
    address: tuple[str, int], url: str
) -> None:
    services = with_internals(Configuration(), address).services
    assert {name: [server.url for server in service.servers] for name, service in services.items()} == {
        "noop": [],
        "api": [url],
        "dashboard": [url],
        "ping": [url],
    }
    assert not any(services[name].pass_host_header for name in ("api", "dashboard", "ping"))


@pytest.mark.parametrize("service", ["api@internal", "dashboard@internal", "ping@internal", "noop@internal"])
def test_router_of_any_provider_may_name_it(service: str) -> None:
    found = table(service)
    assert [(route.name, route.service_name) for route in found.routes] == [("r@docker", service)]
    assert not found.problems


def test_without_a_listener_a_router_is_closed_and_told_how_to_open_it() -> None:
    found = table("api@internal", None)
    assert not found.routes
    (problem,) = found.problems
    assert problem.why == 'service "api@internal" does not exist'
    assert problem.hint == "the API is off: add --api"


def test_router_to_nobody_needs_no_listener() -> None:
    assert [route.name for route in table("noop@internal", None).routes] == ["r@docker"]


@pytest.mark.parametrize(
    ("service", "path", "seen"),
    [
        ("ping@internal", b"/", b"/ping"),
        ("ping@internal", b"/ping", b"/ping"),
        ("dashboard@internal", b"/", b"/dashboard@internal/"),
        ("dashboard@internal", b"/dashboard/page.js", b"/dashboard@internal/dashboard/page.js"),
        ("dashboard@internal", b"/api/state", b"/dashboard@internal/api/state"),
        ("api@internal", b"/api/state", b"/api/state"),
    ],
)
def test_what_the_listener_is_asked_for(service: str, path: bytes, seen: bytes) -> None:
    (route,) = table(service).routes
    asked = exchange(path=path)
    for middleware in route.middlewares:
        assert isinstance(middleware, (AddPrefix, ReplacePath))
        middleware.on_request(asked)
    assert asked.head.path == seen


def test_what_entry_points_ask_for_stays() -> None:
    redirect = Middleware("redirect-x", "redirectScheme", {"scheme": "https"})
    own = Configuration(
        {"x": Router("x", "HostRegexp(`^.+$`)", "noop@internal")},
        {"noop": Service("noop")},
        {"redirect-x": redirect},
    )
    found = with_internals(own, LISTENER)
    assert to_document(found)["http"]["routers"] == to_document(own)["http"]["routers"]
    assert set(found.middlewares) == {"redirect-x", "ping-path", "dashboard-path"}


def test_plain_name_never_means_what_is_ours() -> None:
    found = table("api")
    assert [problem.why for problem in found.problems] == ['service "api@docker" does not exist']


def test_where_only_ping_is_no_router_may_name_the_rest() -> None:
    assert set(with_internals(Configuration(), LISTENER, ping_only=True).services) == {"noop", "ping"}
