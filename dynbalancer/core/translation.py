"""A configuration in the words of Traefik v3, whichever version its parts were written for.

What v3 has no words for is named in a note, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dynbalancer.core.durations import go_duration
from dynbalancer.core.entrypoints import V1_NAMES
from dynbalancer.core.model import SHOWING_CERTIFICATES, Configuration, Middleware, Router, Service
from dynbalancer.core.routes import priority_of
from dynbalancer.core.rules.translation import to_v3
from dynbalancer.errors import ConfigurationError

#: Entry points whose names say what is spoken there.
_SCHEMES = {"https": "https", "websecure": "https", "http": "http", "web": "http"}


@dataclass(frozen=True, slots=True)
class Note:
    """What is not quite the same, or is not there, after a translation; ``kind`` and ``name`` say of what."""

    kind: str
    name: str
    why: str


@dataclass(slots=True)
class Translated:
    """A configuration in v3's words. ``names`` maps routers and middlewares to what they are called now."""

    configuration: Configuration
    notes: list[Note] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)


def in_v3(found: Configuration) -> Translated:
    """The routers, services and middlewares of one provider in v3's words."""
    translated = Translated(Configuration(), names=_names(found))
    routers: dict[str, Router] = {}
    middlewares: dict[str, Middleware] = {}
    parts: dict[str, tuple[str, ...]] = {}
    older = {
        name for router in found.routers.values() if router.dialect == "v1" for name in router.middlewares
    }
    for name, middleware in found.middlewares.items():
        named = replace(middleware, name=translated.names[name])
        made = dict(_middlewares(named, translated.notes)) if name in older else {named.name: named}
        middlewares |= made
        parts[name] = tuple(made)
    for name, router in found.routers.items():
        made_router = _router(router, translated.names[name], parts, translated.notes)
        if made_router is not None:
            routers[made_router.name] = made_router
    services = {name: _service(service, translated.notes) for name, service in found.services.items()}
    translated.configuration = replace(
        found, routers=routers, services=services, middlewares=middlewares, problems=()
    )
    return translated


def _names(found: Configuration) -> dict[str, str]:
    """v1's routers have the names of their rules; their service's is a better one, where only one router has it."""
    users: dict[str, list[str]] = {}
    for name, router in found.routers.items():
        users.setdefault(router.service, []).append(name)
    names = {name: name for name in (*found.routers, *found.middlewares)}
    for service, routers in users.items():
        (name, *others) = routers
        if others or found.routers[name].dialect != "v1" or service in found.routers:
            continue
        names[name] = service
        for middleware in found.routers[name].middlewares:
            if middleware.startswith(f"{name}-") and middleware in names:
                names[middleware] = f"{service}-{middleware.removeprefix(f'{name}-')}"
    return names


def _router(
    router: Router, name: str, parts: Mapping[str, tuple[str, ...]], notes: list[Note]
) -> Router | None:
    try:
        translation = to_v3(router.rule, router.dialect)
    except ConfigurationError as error:
        notes.append(Note("router", name, f"rule {router.rule}: {error.why}; the router is left out"))
        return None
    notes += [Note("router", name, why) for why in translation.notes]
    middlewares = tuple(new for old in router.middlewares for new in parts.get(old, (old,)))
    priority = router.priority
    if router.dialect != "v3" and translation.rule != router.rule:
        # Its place among the others comes from the length of the rule as it was.
        priority = priority_of(router)
    if router.dialect == "v1" and any(_SCHEMES.get(point) == "https" for point in router.entry_points):
        why = "v1 answers over TLS wherever an entry point has it; in v3 a router needs tls=true for that"
        notes.append(Note("router", name, why))
    since = [f"{V1_NAMES[point]} for {point}" for point in router.entry_points if point in V1_NAMES]
    if router.dialect == "v1" and since:
        why = f"v3 wants entry points by their own names; where yours have those of now write {' and '.join(since)}"
        notes.append(Note("router", name, why))
    return replace(
        router, name=name, rule=translation.rule, dialect="v3", priority=priority, middlewares=middlewares
    )


def _service(service: Service, notes: list[Note]) -> Service:
    if service.dialect == "v1" and service.strategy == "drr":
        notes.append(Note("service", service.name, "v3 has no strategy drr; wrr is the nearest"))
        service = replace(service, strategy="wrr")
    if service.transport == SHOWING_CERTIFICATES:
        why = "v3 has no passTLSCert; a serversTransport in a file has certificates to show to servers"
        notes.append(Note("service", service.name, why))
        service = replace(service, transport="")
    return replace(service, dialect="v3")


# Middlewares


def _middlewares(middleware: Middleware, notes: list[Note]) -> Iterator[tuple[str, Middleware]]:
    change = _CHANGES.get(middleware.type)
    for made in (middleware,) if change is None else change(middleware, notes):
        settings = {key: value for key, value in made.settings.items() if key != "dialect"}
        yield made.name, replace(made, settings=_without_nothing(settings))


def _without_nothing(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without the texts, lists and switches that are as good as not there."""
    return {key: value for key, value in settings.items() if value not in ("", (), [], False)}


def _white_list(middleware: Middleware, notes: list[Note]) -> list[Middleware]:
    settings = dict(middleware.settings)
    if settings.pop("useXForwardedFor", False):
        why = "v1's useXForwardedFor looks at every address in X-Forwarded-For; in v3 say with ipStrategy.depth which"
        notes.append(Note("middleware", middleware.name, why))
    return [replace(middleware, type="ipAllowList", settings=settings)]


def _redirect(middleware: Middleware, notes: list[Note]) -> list[Middleware]:
    target = str(middleware.settings.get("entryPoint", ""))
    scheme = _SCHEMES.get(target, "")
    port = f"port {80 if scheme == 'http' else 443}"
    assumed = f"{port} is assumed" if scheme else f"https and {port} are assumed"
    why = f"v3 redirects to a scheme and a port, not to entry point {target}; {assumed}: say another in its port"
    notes.append(Note("middleware", middleware.name, why))
    settings = {"scheme": scheme or "https", "permanent": middleware.settings.get("permanent", False)}
    name = middleware.name.replace("redirectEntryPoint", "redirectScheme")
    return [replace(middleware, name=name, type="redirectScheme", settings=settings)]


def _redirect_regex(middleware: Middleware, notes: list[Note]) -> list[Middleware]:
    if middleware.settings.get("dialect") == "v1":
        why = "v3 knows no templates in a replacement: what is in {{…}} is sent as it is"
        notes.append(Note("middleware", middleware.name, why))
    return [middleware]


def _certificate(middleware: Middleware, notes: list[Note]) -> list[Middleware]:
    if middleware.settings.get("dialect") == "v1":
        why = "v3 writes the fields with the client's certificate in another form than v1"
        notes.append(Note("middleware", middleware.name, why))
    return [middleware]


def _rate_limit(middleware: Middleware, notes: list[Note]) -> list[Middleware]:
    """One for each rate: all of them hold, as in v1."""
    rates = middleware.settings.get("rateSet")
    if not isinstance(rates, Mapping):
        return [middleware]
    notes.append(Note("middleware", middleware.name, "v3 holds a request back a little before it refuses it"))
    criterion = _criterion(str(middleware.settings.get("extractorFunc", "")))
    return [
        replace(
            middleware,
            name=middleware.name if len(rates) == 1 else f"{middleware.name}-{name}",
            settings={**_rate(rate), **criterion},
        )
        for name, rate in rates.items()
    ]


def _in_flight(middleware: Middleware, notes: list[Note]) -> list[Middleware]:
    settings = dict(middleware.settings)
    extractor = settings.pop("extractorFunc", None)
    if extractor is None:
        return [middleware]
    # Here v3 goes by the host where nothing is said.
    criterion = _criterion(str(extractor)) or {"sourceCriterion": {"ipStrategy": {"depth": 0}}}
    return [replace(middleware, settings={**settings, **criterion})]


def _trailing_slash(middleware: Middleware, notes: list[Note]) -> list[Middleware]:
    if middleware.settings.get("keep"):
        # 404, as v3 does it anyway.
        return []
    paths = ", ".join(map(str, middleware.settings.get("paths", ())))
    why = f"v1 redirects from and to a slash at the end of {paths}; v3 answers such requests with 404"
    notes.append(Note("middleware", middleware.name, why))
    return []


def _rate(rate: Mapping[str, Any]) -> dict[str, Any]:
    period = rate.get("period", 1.0)
    return {
        "average": rate["average"],
        "period": go_duration(period) if isinstance(period, (int, float)) else period,
        "burst": rate["burst"],
    }


def _criterion(extractor: str) -> dict[str, Any]:
    """v3's words for v1's extractor; the client's address needs none."""
    if extractor == "request.host":
        return {"sourceCriterion": {"requestHost": True}}
    header = extractor.removeprefix("request.header.")
    return {} if header == extractor else {"sourceCriterion": {"requestHeaderName": header}}


_CHANGES: Mapping[str, Callable[[Middleware, list[Note]], list[Middleware]]] = {
    "ipWhiteList": _white_list,
    "redirectEntryPoint": _redirect,
    "passTLSClientCert": _certificate,
    "rateLimit": _rate_limit,
    "redirectRegex": _redirect_regex,
    "inFlightReq": _in_flight,
    "redirectTrailingSlash": _trailing_slash,
}
