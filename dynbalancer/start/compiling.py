"""Compiling a table to find problems and to explain, where nothing is forwarded: in the parent, and in ``check``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dynbalancer import pem, plugins
from dynbalancer.core.model import Configuration, EntryPoint, Middleware, Service
from dynbalancer.core.regions import LocalRegions
from dynbalancer.core.schema import no_such_type
from dynbalancer.core.streamtable import compile_streams
from dynbalancer.core.table import RoutingTable, compile_table
from dynbalancer.errors import ConfigurationError, did_you_mean
from dynbalancer.middlewares.connections import connection_middleware
from dynbalancer.proxy.streamservers import checking_streams

Compile = Callable[[Configuration, int, RoutingTable | None], RoutingTable]


def compiler(entry_points: Sequence[EntryPoint], clock: Callable[[], float]) -> Compile:
    """A function ``(merged configuration, number, previous table)`` that gives the table for these entry points.

    Middlewares are made, so that wrong settings are found; a service stands for itself.
    """
    offers: dict[str, Any] = {**_OFFERS, "clock": clock, "shared": LocalRegions()}
    offers["entry_points"] = {point.name: point for point in entry_points}
    middlewares, balancers = plugins.middleware_makers(), plugins.balancer_makers()

    def make_middleware(definition: Middleware) -> Any:
        maker = middlewares.get(definition.type.lower())
        if maker is None:
            running = [maker.type for maker in middlewares.values()]
            raise no_such_type(definition.name, definition.type, running)
        return maker.make_middleware(definition.name, definition.settings, offers)

    def make_service(service: Service, previous: object) -> Service:
        if service.strategy.lower() not in balancers:
            hint = did_you_mean(service.strategy, [maker.kind for maker in balancers.values()])
            raise ConfigurationError(
                f"service {service.name}", f"there is no strategy {service.strategy}", hint
            )
        return service

    make_streams = partial(
        compile_streams,
        entry_points=entry_points,
        make_middleware=partial(connection_middleware, shared=offers["shared"], secret=b""),
        make_service=checking_streams,
    )

    def compiled(configuration: Configuration, number: int, previous: RoutingTable | None) -> RoutingTable:
        return compile_table(
            configuration,
            entry_points,
            number=number,
            previous=previous,
            make_middleware=make_middleware,
            make_service=make_service,
            make_streams=make_streams,
        )

    return compiled


def _unused(*_: object) -> Any:
    raise AssertionError("a middleware that is made to be looked at serves nobody")


#: What a middleware is offered that serves nobody.
_OFFERS: dict[str, Any] = {
    **dict.fromkeys(("ask", "fetch", "in_thread", "later", "say"), _unused),
    "secret": b"",
    # Whether it can be read is to be found out.
    "trusting": pem.client_context,
}
