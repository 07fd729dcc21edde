"""What files refer to and others define that are not among those checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dynbalancer.core.model import SHOWING_CERTIFICATES, Configuration, Middleware, ServersTransport, Service
from dynbalancer.errors import Problem
from dynbalancer.start.userfiles import users_file

#: A middleware that does nothing may stand for one that isn't known.
_NEUTRAL, _SETTINGS = "contentType", {"autoDetect": False}


def with_stand_ins(found: Configuration) -> tuple[Configuration, tuple[Problem, ...]]:
    """The same with something for each name of a provider of which nothing is given, and what to say of it."""
    families = (found.routers, found.services, found.middlewares)
    given = {name.rpartition("@")[2] for family in families for name in family}
    services, middlewares = dict(found.services), dict(found.middlewares)
    notes: list[Problem] = []
    for kind, name, where in _references(found):
        provider = name.partition("@")[2]
        known = services if kind == "service" else middlewares
        if not provider or provider in given or provider == "internal":
            continue
        if name not in known and kind == "service":
            services[name] = Service(name)
        elif name not in known:
            middlewares[name] = Middleware(name, _NEUTRAL, _SETTINGS)
        why = f"{kind} {name} is in none of the files checked, and taken to be there"
        notes.append(Problem(where, why, "check the file that defines it together with this one", "info"))
    for name, middleware in found.middlewares.items():
        if path := users_file(middleware):
            middlewares[name] = _without_file(middleware)
            why = f"usersFile {path} is not looked at: it is read where the balancer runs"
            notes.append(Problem(_where(middleware), why, severity="info"))
    found = replace(found, services=services, middlewares=middlewares)
    if any(service.transport == SHOWING_CERTIFICATES for service in found.services.values()):
        # Which certificates the entry points have is known where the balancer runs.
        showing = ServersTransport(SHOWING_CERTIFICATES)
        found = replace(found, transports={SHOWING_CERTIFICATES: showing, **found.transports})
    return found, tuple(dict.fromkeys(notes))


def _without_file(middleware: Middleware) -> Middleware:
    """The same without its file; where nothing else says who may come in, something that stands for it."""
    settings = {key: value for key, value in middleware.settings.items() if key.lower() != "usersfile"}
    if any(key.lower() == "users" and value for key, value in settings.items()):
        return replace(middleware, settings=settings)
    return replace(middleware, type=_NEUTRAL, settings=_SETTINGS)


def _where(middleware: Middleware) -> str:
    return f"middleware {middleware.name}" + (f" of {middleware.origin}" if middleware.origin else "")


def _references(found: Configuration) -> Iterator[tuple[str, str, str]]:
    """Kind and name of all that is referred to, and where."""
    for router in found.routers.values():
        where = f"router {router.name}" + (f" of {router.origin}" if router.origin else "")
        yield "service", router.service, where
        for name in router.middlewares:
            yield "middleware", name, where
    for middleware in found.middlewares.values():
        if middleware.asks:
            yield "service", middleware.asks, _where(middleware)
        if middleware.type.lower() == "chain":
            where = _where(middleware)
            members = middleware.settings.get("middlewares", ())
            for name in members.split(",") if isinstance(members, str) else members:
                yield "middleware", str(name).strip(), where
