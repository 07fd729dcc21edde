"""Labels in the manner of Traefik v2 and v3: ``traefik.http.routers.web.rule=Host(`a.example`)``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dynbalancer.core import template
from dynbalancer.core.labels import naming
from dynbalancer.core.labels.addresses import Place, server_at, state_of
from dynbalancer.core.labels.drafts import Reading, RouterDraft, ServiceDraft
from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.sections import section_of
from dynbalancer.core.labels.sheet import Fields, Sheet
from dynbalancer.core.labels.values import boolean, choice, csv, integer, is_false, port, text
from dynbalancer.core.model import Middleware, Router, Server, Service
from dynbalancer.core.schema import SPELLED_TYPES, WrongValueError, meant_options, server_url
from dynbalancer.errors import ConfigurationError, Problem

#: Traefik's own default rule, for containers with v3 labels where the provider names none.
DEFAULT_RULE = "Host(`{{ normalize .Name }}`)"

_SCHEMES = ("http", "https", "h2c")
_STRATEGIES = ("wrr", "p2c", "hrw", "leasttime")
_MOST = 2**63 - 1001


def read(place: Place, sheet: Sheet, findings: Findings, *, automatic: bool = True) -> Reading:
    """What a container's v3 labels ask for.

    ``automatic``: a container without a router gets one by the default rule.
    """
    container = place.container
    reading = Reading(middlewares=_middlewares(sheet, container.name, findings), serves=container.serves)
    if reading.middlewares and not (sheet.routers or sheet.services or container.ports):
        findings.note(f"it only defines middlewares: {', '.join(m.name for m in reading.middlewares)}")
        return reading
    name = naming.normalize(naming.service_name(container))
    services = dict(sheet.services) or _automatic_service(sheet, name, place)
    # A v1 port beside v3 labels can only mean this.
    fallback = min(container.ports, default=None)
    lowest = port(sheet.v1.get("port"), fallback, findings, known=container.ports_known)
    for service, fields in services.items():
        if service.lower() not in sheet.restricted_services:
            _read_service(place, service, fields, lowest, findings, reading)
    if services and not reading.services and not sheet.restricted_services:
        reading.idle = "no port exposed"
        return reading
    # A router whose every label was refused as maybe protecting is not to be replaced by an automatic one.
    if len(services) > 1 and not sheet.routers and automatic:
        names = ", ".join(services)
        why = f"it declares several services ({names}) and no router, so that none is made by itself"
        findings.whole(why, "add label traefik.http.routers.NAME.rule=…", "info")
    implied = automatic and not sheet.restricted_routers and len(services) < 2
    routers = dict(sheet.routers) or ({name: Fields()} if implied and services else {})
    for router, fields in routers.items():
        _read_router(place, router, fields, tuple(services), sheet, findings, reading)
    return reading


def _automatic_service(sheet: Sheet, name: str, place: Place) -> dict[str, Fields]:
    """One service where none is declared, unless all routers lead elsewhere and there is no port."""
    elsewhere = sheet.routers and all(text(fields.get("service")) for fields in sheet.routers.values())
    return {} if elsewhere and not place.container.ports else {name: Fields()}


def _read_service(
    place: Place, name: str, fields: Fields, port: int | None, findings: Findings, reading: Reading
) -> None:
    def option(key: str) -> Label | None:
        return fields.get(f"loadbalancer.{key}")

    container = place.container
    servers: tuple[Server, ...] = ()
    if not container.stopped:
        found = _server(place, name, fields, port, findings)
        if found is None:
            return
        servers = found
    sticky, alone = option("sticky.cookie"), option("sticky")
    if alone and not sticky and not any(key.startswith("loadbalancer.sticky.") for key in fields):
        findings.label(alone.key, "does nothing by itself", f"write {alone.key}.cookie=true", "warning")
    flush = section_of("responseForwarding", "loadbalancer.responseforwarding.", fields, findings)
    service = Service(
        name,
        servers,
        choice(option("strategy"), "wrr", _STRATEGIES, findings),
        boolean(option("passhostheader"), True, findings),
        origin=f"container {container.name}",
        sticky=section_of("cookie", "loadbalancer.sticky.cookie.", fields, findings),
        health_check=section_of("healthCheck", "loadbalancer.healthcheck.", fields, findings),
        passive_health=section_of("passiveHealthCheck", "loadbalancer.passivehealthcheck.", fields, findings),
        transport=text(option("serverstransport")),
        middlewares=csv(text(fields.get("middlewares"))),
        **({} if flush is None else {"flush_interval": flush}),
    )
    reading.services.append(ServiceDraft(service, container))


def _server(
    place: Place, name: str, fields: Fields, fallback: int | None, findings: Findings
) -> tuple[Server, ...] | None:
    """The server of a service, none where it has no address, None (and a Problem) where it has no port."""

    def option(key: str) -> Label | None:
        return fields.get(f"loadbalancer.server.{key}")

    weight = integer(option("weight"), 1, findings, 0, 2**31 - 1)
    keeps = boolean(option("preservepath"), False, findings)
    url = option("url")
    if url and text(url):
        address = _url(url, findings)
        if not address:
            return ()
        for other in (option("port"), option("scheme")):
            if other:
                findings.label(other.key, f"{url.key} says it already; this label is not used")
        state = state_of(place.container, findings)
        server = Server(address, weight or 0, state, place.container.name, place.container.id, keeps)
        return (server,)
    number = port(option("port"), fallback, findings, known=place.container.ports_known)
    if number is None:
        hint = f"add label traefik.http.services.{name}.loadbalancer.server.port=…"
        findings.whole("no port exposed", hint, "error" if fields or place.container.labels else "info")
        return None
    scheme = choice(option("scheme"), "http", _SCHEMES, findings)
    at = server_at(place, number, findings, scheme=scheme, weight=weight or 0, preserve_path=keeps)
    return (at,) if at else ()


def _url(label: Label, findings: Findings) -> str:
    """The URL of a server somewhere else, or an empty string: then the container itself is not asked instead."""
    hint = ""
    try:
        found = server_url(label.value)
        if not found.startswith("h2c:"):
            return found
    except WrongValueError as wrong:
        hint = wrong.hint
    why = "it is not a URL of a server; the service has no server"
    findings.label(label.key, why, hint if hint.startswith("write") else "write http://HOST:PORT")
    return ""


def _read_router(
    place: Place,
    name: str,
    fields: Fields,
    services: tuple[str, ...],
    sheet: Sheet,
    findings: Findings,
    reading: Reading,
) -> None:
    rule = text(fields.get("rule")) or _default_rule(place, name, findings)
    service = text(fields.get("service")) or _only(services, name, place, findings)
    if not rule or not service:
        return
    demand = Router(
        name,
        rule,
        service,
        csv(text(fields.get("entrypoints"))),
        csv(text(fields.get("middlewares"))),
        integer(fields.get("priority"), 0, findings, -_MOST, _MOST) or 0,
        choice(fields.get("rulesyntax"), place.defaults.default_rule_syntax, ("v2", "v3"), findings),
        _wants_tls(fields),
        access_log=_access_log(fields, findings),
        tls_options=meant_options(text(fields.get("tls.options"))),
    )
    router = replace(demand, origin=f"container {place.container.name}")
    key = "".join(rule.split())
    # Protection that was asked for in v1's manner counts as well, unless the router has its own.
    refused = name.lower() in sheet.restricted_routers or service.lower() in sheet.restricted_services
    if not router.middlewares:
        refused = refused or bool(sheet.restricted_segments) or _is_closed_in_v1(router, sheet, findings)
    owner = ("v3", name)
    draft = RouterDraft(router, place.container, owner, owner, key, refused=refused, demand=demand)
    reading.routers.append(draft)


def _is_closed_in_v1(router: Router, sheet: Sheet, findings: Findings) -> bool:
    label = sheet.v1_closing
    if label is None:
        return False
    why = f"keeps requests out of routers of v1 only; router {router.name} is not opened without a middleware"
    findings.label(label.key, why, f"add label traefik.http.routers.{router.name}.middlewares=…")
    return True


def _only(services: tuple[str, ...], router: str, place: Place, findings: Findings) -> str:
    """The service of a router that names none."""
    if len(services) == 1:
        return services[0]
    names = f"several services ({', '.join(services)})" if services else "no service"
    meant = next((name for name in services if name.lower() == router.lower()), *services[:1] or ("…",))
    hint = f"add label traefik.http.routers.{router}.service={meant}"
    findings.whole(
        f"router {router} names no service, and the container declares {names}; it is left out", hint
    )
    return ""


def _wants_tls(fields: Fields) -> bool:
    """Whether it answers over TLS, and then over nothing else."""
    tls = fields.get("tls")
    if tls is not None:
        # False switches it off whatever is below it, as in Traefik.
        return not is_false(tls.value)
    return any(key.startswith("tls.") for key in fields)


def _access_log(fields: Fields, findings: Findings) -> bool | None:
    """Whether its requests are in the access log; None where it doesn't say."""
    label = fields.get("observability.accesslogs")
    return boolean(label, True, findings) if label and text(label) else None


def _default_rule(place: Place, router: str, findings: Findings) -> str:
    container = place.container
    text_ = place.defaults.default_rule or DEFAULT_RULE
    values = {
        "Name": naming.normalize(naming.service_name(container)),
        "ContainerName": container.name,
        "Labels": dict(container.labels),
    }
    try:
        rule = template.render(text_, values).strip()
    except ConfigurationError as error:
        findings.problems.append(Problem(f"default rule {text_}", error.why, error.hint))
        findings.note("the default rule can't be used")
        return ""
    if not rule:
        hint = f"add label traefik.http.routers.{router}.rule=…"
        findings.whole(f"router {router} has no rule, and the default rule gives none", hint)
    return rule


#: What a type by itself may say: that it is there.
_ALONE = ("", "true", "t", "1", "false", "f", "0")


def _middlewares(sheet: Sheet, container: str, findings: Findings) -> list[Middleware]:
    found = []
    for name, labels in sheet.middlewares.items():
        types = {path[0].lower(): path[0] for path, _ in labels}
        if len(types) > 1:
            several = ", ".join(types.values())
            why = f"middleware {name} has several types ({several}); routers with it are not opened"
            findings.label(labels[0][1].key, why, "give each type a name of its own")
            continue
        folded, written = next(iter(types.items()))
        for path, label in labels:
            if len(path) == 1 and label.value.strip().lower() not in _ALONE:
                why = f"{written} takes no value but true: its options stand below it"
                findings.label(label.key, why, f"write {label.key}.OPTION=…")
        type_ = SPELLED_TYPES.get(folded, written)
        found.append(Middleware(name, type_, _settings(labels), f"container {container}"))
    return found


def _settings(labels: list[tuple[tuple[str, ...], Label]]) -> dict[str, Any]:
    """Nested settings from dotted keys; ``compress=true`` alone gives none."""
    settings: dict[str, Any] = {}
    # Shorter keys first: whatever only says that a level is there gives way to what is below it.
    for path, label in sorted(labels, key=lambda pair: len(pair[0])):
        level = settings
        for written in path[1:-1]:
            step = _same_key(written, level)
            below = level.get(step)
            if not isinstance(below, dict):
                below = level[step] = {}
            level = below
        if len(path) > 1:
            level[_same_key(path[-1], level)] = label.value
    return settings


def _same_key(key: str, level: dict[str, Any]) -> str:
    """The spelling under which a setting is there already: letter case makes no difference in labels."""
    return next((known for known in level if known.lower() == key.lower()), key)
