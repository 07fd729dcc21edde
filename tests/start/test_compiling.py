"""Tables that find problems and forward nothing."""

from __future__ import annotations

from typing import Any

from dynbalancer.core.model import Configuration, EntryPoint, Middleware, Router, Server, Service
from dynbalancer.start.compiling import compiler


def no_fetch(*arguments: object, **options: object) -> Any:
    """Nothing is asked while a table is compiled."""
    raise AssertionError


COMPILE = compiler((EntryPoint("web", 80),), lambda: 0.0, no_fetch)
WEB = Router("web@x", "Host(`a.example`)", "web@x", middlewares=("m@x",))
SERVICE = Service("web@x", (Server("http://192.0.2.1:80"),))


def configuration(middleware: Middleware, service: Service = SERVICE) -> Configuration:
    """One router with one middleware and one service."""
    return Configuration({WEB.name: WEB}, {service.name: service}, {middleware.name: middleware})


def test_what_is_right_is_a_route_whose_service_is_its_definition() -> None:
    table = COMPILE(configuration(Middleware("m@x", "addPrefix", {"prefix": "/a"})), 5, None)
    assert table.number == 5
    assert [route.name for route in table.routes] == ["web@x"]
    assert table.routes[0].service == SERVICE
    assert table.problems == ()


def test_an_unknown_middleware_type_switches_its_router_off_with_the_nearest_name() -> None:
    table = COMPILE(configuration(Middleware("m@x", "addPrefex", {"prefix": "/a"})), 1, None)
    assert not table.routes
    assert "there is no middleware type addPrefex; did you mean addPrefix?" in " ".join(
        map(str, table.problems)
    )


def test_a_middleware_type_that_is_not_there_yet_switches_its_router_off() -> None:
    table = COMPILE(configuration(Middleware("m@x", "grpcweb", {"allowOrigins": "*"})), 1, None)
    assert not table.routes
    assert "middleware m@x: type grpcWeb is understood, but not supported in this version" in map(
        str, table.problems
    )


def test_wrong_settings_of_a_middleware_are_found() -> None:
    table = COMPILE(configuration(Middleware("m@x", "addPrefix", {"prefx": "/a"})), 1, None)
    assert any("m@x" in str(problem) for problem in table.problems)


def test_an_unknown_strategy_is_found() -> None:
    service = Service("web@x", SERVICE.servers, strategy="wrrr")
    table = COMPILE(configuration(Middleware("m@x", "addPrefix", {"prefix": "/a"}), service), 1, None)
    assert "there is no strategy wrrr; did you mean wrr?" in " ".join(map(str, table.problems))
