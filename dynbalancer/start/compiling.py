"""Compiling a table to find problems and to explain, where nothing is forwarded: in the parent, and in ``check``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dynbalancer import plugins
from dynbalancer.core.model import Configuration, EntryPoint, Middleware, Service
from dynbalancer.core.table import RoutingTable, compile_table
from dynbalancer.errors import ConfigurationError, did_you_mean

Compile = Callable[[Configuration, int, RoutingTable | None], RoutingTable]


def compiler(
    entry_points: Sequence[EntryPoint], clock: Callable[[], float], fetch: Callable[..., Any]
) -> Compile:
    """A function ``(merged configuration, number, previous table)`` that gives the table for these entry points.

    Middlewares are made, so that wrong settings are found; a service stands for itself.
    """
    middlewares, balancers = plugins.middleware_makers(), plugins.balancer_makers()

    def make_middleware(definition: Middleware) -> Any:
        where = f"middleware {definition.name}"
        known = [maker.type for maker in middlewares.values()]
        maker = _known(middlewares, definition.type, where, "middleware type", known)
        return maker.make_middleware(definition.name, definition.settings, clock, fetch)

    def make_service(service: Service, previous: object) -> Service:
        known = [maker.kind for maker in balancers.values()]
        _known(balancers, service.strategy, f"service {service.name}", "strategy", known)
        return service

    def compiled(configuration: Configuration, number: int, previous: RoutingTable | None) -> RoutingTable:
        return compile_table(
            configuration,
            entry_points,
            number=number,
            previous=previous,
            make_middleware=make_middleware,
            make_service=make_service,
        )

    return compiled


def _known(makers: Mapping[str, Any], word: str, where: str, kind: str, names: Sequence[str]) -> Any:
    maker = makers.get(word.lower())
    if maker is None:
        raise ConfigurationError(where, f"there is no {kind} {word}", did_you_mean(word, names))
    return maker
