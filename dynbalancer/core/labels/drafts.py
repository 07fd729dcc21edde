"""What one container says, before it is put together with what the others say."""

from __future__ import annotations

from dataclasses import dataclass, field

from dynbalancer.core.labels.containers import Container
from dynbalancer.core.labels.v1rules import Modifier
from dynbalancer.core.model import Middleware, Router, Service


@dataclass(frozen=True, slots=True)
class RouterDraft:
    """A router as one container wants it.

    ``owner`` is what replicas have in common, ``pool`` what routers have in common that share their servers,
    ``rule_key`` one text for all spellings of the rule, ``demand`` the router without what differs between replicas
    anyway. ``transport`` is the serversTransport that v1's passTLSCert asks for.
    ``modifiers`` are what its rule does to the path, ``options`` what other labels do to requests.
    ``refused``: it must not be opened. ``numbered``: the place of the container among those with a v1 router
    belongs to its name.
    """

    router: Router
    container: Container
    owner: tuple[object, ...]
    pool: tuple[object, ...]
    rule_key: str
    pass_host_header: bool = True
    transport: str = ""
    modifiers: tuple[Modifier, ...] = ()
    options: tuple[Modifier, ...] = ()
    refused: bool = False
    numbered: bool = False
    demand: Router | None = None


@dataclass(frozen=True, slots=True)
class ServiceDraft:
    """A service as one container wants it; its servers are that container's.

    ``options`` are the middlewares that v1's backend labels ask for: every router of the service has them.
    """

    service: Service
    container: Container
    options: tuple[Modifier, ...] = ()


@dataclass(slots=True)
class Reading:
    """All that one container says in one dialect. ``idle`` says why that is nothing, ``serves`` whether it is up."""

    routers: list[RouterDraft] = field(default_factory=list)
    services: list[ServiceDraft] = field(default_factory=list)
    middlewares: list[Middleware] = field(default_factory=list)
    idle: str = ""
    serves: bool = True
