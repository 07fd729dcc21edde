"""Compiling a table to find problems and to explain, where nothing is forwarded: in the parent, and in ``check``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from dynbalancer import pem, plugins
from dynbalancer.core.ciphers import openssl_names
from dynbalancer.core.model import Configuration, EntryPoint, Middleware, ServersTransport, Service
from dynbalancer.core.regions import LocalRegions
from dynbalancer.core.schema import no_such_type
from dynbalancer.core.streamtable import compile_streams
from dynbalancer.core.table import RoutingTable, compile_table
from dynbalancer.core.tlschoice import with_objections
from dynbalancer.errors import ConfigurationError, did_you_mean
from dynbalancer.middlewares.connections import connection_middleware
from dynbalancer.proxy.streamservers import checking_streams
from dynbalancer.tls.contexts import objection

Compile = Callable[[Configuration, int, RoutingTable | None], RoutingTable]


def compiler(entry_points: Sequence[EntryPoint], clock: Callable[[], float]) -> Compile:
    """A function ``(merged configuration, number, previous table)`` that gives the table for these entry points.

    Middlewares are made, so that wrong settings are found; a service stands for itself.
    """
    offers: dict[str, Any] = {**_OFFERS, "clock": clock, "shared": LocalRegions()}
    offers["entry_points"] = {point.name: point for point in entry_points}
    middlewares, services = plugins.middleware_makers(), _Services(plugins.balancer_makers())

    def make_middleware(definition: Middleware) -> Any:
        maker = middlewares.get(definition.type.lower())
        if maker is None:
            running = [maker.type for maker in middlewares.values()]
            raise no_such_type(definition.name, definition.type, running)
        return maker.make_middleware(definition.name, definition.settings, offers)

    make_streams = partial(
        compile_streams,
        entry_points=entry_points,
        make_middleware=partial(connection_middleware, shared=offers["shared"], secret=b""),
        make_service=checking_streams,
    )

    def compiled(configuration: Configuration, number: int, previous: RoutingTable | None) -> RoutingTable:
        services.transports = configuration.transports
        return compile_table(
            with_objections(configuration, objection),
            entry_points,
            number=number,
            previous=previous,
            make_middleware=make_middleware,
            make_service=services.make,
            make_streams=make_streams,
        )

    return compiled


class _Services:
    """Services that stand for themselves, once it is clear that they can be made."""

    def __init__(self, balancers: Mapping[str, Any]) -> None:
        self.transports: Mapping[str, ServersTransport] = {}
        self._balancers = balancers

    def make(self, service: Service, previous: object, parts: object = ()) -> Service:
        """The service itself. Raises ConfigurationError where nobody could run it."""
        if service.transport:
            wanted = self.transports[service.transport]
            openssl_names(wanted.cipher_suites, f"serversTransport {wanted.name}")
        if service.kind == "loadBalancer" and service.strategy.lower() not in self._balancers:
            hint = did_you_mean(service.strategy, [maker.kind for maker in self._balancers.values()])
            why = f"there is no strategy {service.strategy}"
            raise ConfigurationError(f"service {service.name}", why, hint)
        return service


def _unused(*_: object) -> Any:
    raise AssertionError("a middleware that is made to be looked at serves nobody")


#: What a middleware is offered that serves nobody.
_OFFERS: dict[str, Any] = {
    **dict.fromkeys(("ask", "fetch", "in_thread", "later", "say"), _unused),
    "secret": b"",
    # Whether it can be read is to be found out.
    "trusting": pem.client_context,
}
