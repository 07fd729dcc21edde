"""Putting together what the containers say: replicas, shared pools, contradictions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from dynbalancer.core.labels import naming
from dynbalancer.core.labels.containers import Container
from dynbalancer.core.labels.drafts import Reading, RouterDraft, ServiceDraft
from dynbalancer.core.labels.v1options import ORDER, keeps_out
from dynbalancer.core.labels.v1rules import Modifier
from dynbalancer.core.model import Middleware, Router, Server, Service
from dynbalancer.core.rules.parser import read as read_rule
from dynbalancer.errors import ConfigurationError, Problem, did_you_mean, printable

Definition = TypeVar("Definition", Middleware, Service, RouterDraft)


@dataclass(slots=True)
class Assembly:
    """The routing of all containers together.

    ``backends`` maps the names of v1's backends to those of services; ``pages`` are v1's error pages, each as a router
    and a middleware. ``gave`` maps container ids to the names of the routers and services that they are part of,
    ``refused`` to reasons.
    """

    routers: dict[str, Router] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    middlewares: dict[str, Middleware] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    backends: dict[str, str] = field(default_factory=dict)
    pages: list[tuple[str, str]] = field(default_factory=list)
    gave: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, list[str]] = field(default_factory=dict)

    def credit(self, container: Container, *names: str) -> None:
        """Note that a container is part of something."""
        known = self.gave.setdefault(container.id, [])
        known.extend(name for name in names if name not in known)

    def refuse(self, container: Container, why: str) -> None:
        """Note that something of a container is not in force."""
        known = self.refused.setdefault(container.id, [])
        if why not in known:
            known.append(why)


def assemble(v1: Iterable[Reading], v3: Iterable[Reading]) -> Assembly:
    """One routing from what each container says, oldest container first."""
    whole = Assembly()
    readings = list(v3)
    _join_middlewares(readings, whole)
    # v3 first: its service names are chosen by people, who use them elsewhere.
    _join_v3(readings, whole)
    _join_v1(list(v1), whole)
    return whole


def _join_middlewares(readings: Sequence[Reading], whole: Assembly) -> None:
    by_name: dict[str, list[tuple[Middleware, bool]]] = {}
    for reading in readings:
        for middleware in reading.middlewares:
            by_name.setdefault(middleware.name, []).append((middleware, reading.serves))
    for name, found in by_name.items():
        chosen = _newest(found)[0]
        whole.middlewares[name] = chosen
        if any((m.type, m.settings) != (chosen.type, chosen.settings) for m, _ in found):
            origins = [middleware.origin for middleware, _ in found]
            whole.problems.append(_contradiction("middleware", name, origins, chosen.origin))


def _newest(found: Sequence[tuple[Definition, bool]]) -> tuple[Definition, bool]:
    """The last one that takes requests: a version that never gets healthy must not change what the old one serves."""
    return next((pair for pair in reversed(found) if pair[1]), found[-1])


def _contradiction(kind: str, name: str, origins: Iterable[str], chosen: str, also: str = "") -> Problem:
    names = list(dict.fromkeys(origins))
    which = f"the newest ({chosen})" if chosen == names[-1] else f"{chosen}, the newest that takes requests,"
    why = f"defined differently by {_listed(names)}; {which} counts{also}"
    return Problem(f"{kind} {name}", why, "give it the same labels everywhere, or another name", "warning")


def _listed(names: Sequence[str]) -> str:
    few = [*names[:2], f"{len(names) - 3} others"] if len(names) > 4 else names[:-1]
    return f"{', '.join(few)} and {names[-1]}"


def _join_v3(readings: Sequence[Reading], whole: Assembly) -> None:
    services = _by_name(draft for reading in readings for draft in reading.services)
    for name, drafts in services.items():
        newest = _newest([(draft.service, draft.container.serves) for draft in drafts])[0]
        whole.services[name] = replace(newest, servers=_servers(drafts))
        if any(_terms(draft.service) != _terms(newest) for draft in drafts):
            origins = [draft.service.origin for draft in drafts]
            also = "; all stay in the pool"
            whole.problems.append(_contradiction("service", name, origins, newest.origin, also))
        for draft in drafts:
            whole.credit(draft.container, name)
    pools: dict[tuple[object, ...], list[RouterDraft]] = {}
    users: dict[str, set[str]] = {}
    for wish in (wish for reading in readings for wish in reading.routers):
        pools.setdefault(wish.pool, []).append(wish)
        users.setdefault(wish.router.service, set()).add(wish.router.name)
    for wishes in pools.values():
        _open_v3(wishes, services, users, whole)


def _open_v3(
    drafts: list[RouterDraft],
    services: Mapping[str, list[ServiceDraft]],
    users: Mapping[str, set[str]],
    whole: Assembly,
) -> None:
    """One router of that name: the newest one; others with the same rule share their servers with it."""
    newest = _newest([(draft, draft.container.serves) for draft in drafts])[0]
    router = newest.router
    if newest.refused:
        _refuse(drafts, whole, router.name)
        return
    others = [draft for draft in drafts if draft.rule_key != newest.rule_key]
    joined = [draft for draft in drafts if draft.rule_key == newest.rule_key]
    if any(draft.demand != newest.demand for draft in drafts):
        also = "; all containers with its rule stay in the pool"
        origins = [draft.router.origin for draft in drafts]
        whole.problems.append(_contradiction("router", router.name, origins, router.origin, also))
    for draft in others:
        which = "which is newer" if newest is drafts[-1] else "which counts until this one takes requests"
        why = f"router {router.name} is defined differently by {router.origin}, {which}"
        whole.refuse(draft.container, why)
    names = {draft.router.service for draft in joined}
    service = router.service
    if len(names) > 1 and names <= whole.services.keys():
        members = _members(services, names)
        union = replace(whole.services[service], servers=_servers(members))
        service = _claim(union, router.name, whole, alone=users[service] == {router.name})
    whole.routers[router.name] = replace(router, service=service)
    for draft in joined:
        whole.credit(draft.container, router.name)
        if service in whole.services:
            whole.credit(draft.container, service)


def _join_v1(readings: Sequence[Reading], whole: Assembly) -> None:
    services = _by_name(draft for reading in readings for draft in reading.services)
    routed = [reading.routers[0].container.id for reading in readings if reading.routers]
    positions = {id: position for position, id in enumerate(routed)}
    owners: dict[tuple[object, ...], list[RouterDraft]] = {}
    for draft in (draft for reading in readings for draft in reading.routers):
        owners.setdefault(draft.owner, []).append(draft)
    pools: dict[tuple[object, ...], list[list[RouterDraft]]] = {}
    for replicas in owners.values():
        _report_replicas(replicas, whole)
        pools.setdefault(replicas[0].pool, []).append(replicas)
    _report_backends(services, whole)
    for sets in pools.values():
        _open_v1(sets, services, positions, whole)
    _wire_error_pages(whole)


def _report_replicas(replicas: list[RouterDraft], whole: Assembly) -> None:
    first = replicas[0]
    for draft in replicas[1:]:
        if (draft.pool, *_asking(draft)) != (first.pool, *_asking(first)):
            where = f"container {draft.container.name}"
            why = f"its frontend labels differ from those of {first.router.origin}, a replica, which count"
            whole.problems.append(
                Problem(where, why, "recreate the containers of this service together", "warning")
            )


def _open_v1(
    sets: list[list[RouterDraft]],
    services: Mapping[str, list[ServiceDraft]],
    positions: Mapping[str, int],
    whole: Assembly,
) -> None:
    """One router for all with one rule: named by the first, with the servers of all."""
    first = sets[0][0]
    everyone = [draft for replicas in sets for draft in replicas]
    names = {draft.router.service for draft in everyone}
    members = _members(services, names)
    backend = _first(members, first.router.service)
    union = replace(
        backend.service,
        servers=_servers(members),
        pass_host_header=first.pass_host_header,
        transport=first.transport,
    )
    name = first.router.name
    if first.numbered:
        name = naming.numbered(name, positions[first.container.id])
    name = naming.unique(name, whole.routers)
    service = _claim(union, name, whole)
    for draft in members:
        whole.backends.setdefault(draft.service.name, service)
        whole.credit(draft.container, service)
    if any(draft.refused for draft in everyone):
        _refuse(everyone, whole, name)
        return
    _report_pool(sets, service, whole)
    # Whoever keeps requests out decides: a version without a password must not open what the other one closes.
    strict = next((draft for draft in everyone if keeps_out(draft.options)), first)
    _report_options(everyone, strict, whole)
    wanted = (
        (strict.router.origin, strict.options),
        (first.router.origin, first.modifiers),
        (backend.service.origin, backend.options),
    )
    added = in_order(name, wanted)
    whole.middlewares.update({middleware.name: middleware for middleware in added})
    whole.pages += [(name, middleware.name) for middleware in added if middleware.type == "errors"]
    middlewares = tuple(middleware.name for middleware in added)
    whole.routers[name] = replace(first.router, name=name, service=service, middlewares=middlewares)
    for container in (draft.container for draft in everyone):
        whole.credit(container, name)


def in_order(router: str, wanted: Iterable[tuple[str, Iterable[Modifier]]]) -> list[Middleware]:
    """The middlewares of a v1 router in Traefik's order, from who asks for them and what."""
    found = [(ORDER.index(m.type), m, origin) for origin, modifiers in wanted for m in modifiers]
    return [
        Middleware(
            "-".join(filter(None, (router, m.type, m.name))), m.type, m.settings, f"{m.where} of {origin}"
        )
        for _, m, origin in sorted(found, key=lambda one: one[0])
    ]


def _report_backends(services: Mapping[str, list[ServiceDraft]], whole: Assembly) -> None:
    """v1 takes the options of a backend from its first container; say so where others have other ones."""
    for name, drafts in services.items():
        first = drafts[0]
        for draft in drafts[1:]:
            if _backend(draft) != _backend(first):
                why = (
                    f"its backend labels differ from those of {first.service.origin}, which count for {name}"
                )
                hint = "give all containers of this backend the same ones"
                whole.problems.append(Problem(f"container {draft.container.name}", why, hint, "warning"))


def _backend(draft: ServiceDraft) -> tuple[object, ...]:
    # v1's passHostHeader and passTLSCert are a frontend's, and told as such.
    return draft.options, replace(_terms(draft.service), pass_host_header=True, transport="")


def _asking(draft: RouterDraft) -> tuple[object, ...]:
    """How a v1 frontend has its servers asked: which Host they see, and which certificate."""
    return draft.pass_host_header, draft.transport


def _wire_error_pages(whole: Assembly) -> None:
    """Put services in the place of the names of backends, now that all are known.

    A page of a backend that isn't there is left out, and the router goes on without it (Traefik v1.7).
    """
    for router, name in whole.pages:
        middleware = whole.middlewares[name]
        written = str(middleware.settings["service"])
        service = whole.backends.get(naming.normalize(written), written)
        if service in whole.services:
            whole.middlewares[name] = replace(
                middleware, settings={**middleware.settings, "service": service}
            )
            continue
        why = f"there is no backend {written}; this error page is left out"
        where = f"router {router}, {middleware.origin}"
        whole.problems.append(Problem(where, why, did_you_mean(written, whole.backends)))
        del whole.middlewares[name]
        kept = tuple(other for other in whole.routers[router].middlewares if other != name)
        whole.routers[router] = replace(whole.routers[router], middlewares=kept)


def _report_pool(sets: list[list[RouterDraft]], service: str, whole: Assembly) -> None:
    first = sets[0][0]
    for replicas in sets[1:]:
        where, origin = f"container {replicas[0].container.name}", first.router.origin
        why = f"rule {replicas[0].router.rule} is that of {origin} too: they share one pool, {service}"
        whole.problems.append(Problem(where, why, severity="info"))
        for label, ours, theirs in zip(
            ("passHostHeader", "passTLSCert"), _asking(replicas[0]), _asking(first), strict=True
        ):
            if ours != theirs:
                why = f"its {label} differs from that of {origin} with the same rule, which counts"
                whole.problems.append(Problem(where, why, severity="warning"))


def _report_options(drafts: Iterable[RouterDraft], chosen: RouterDraft, whole: Assembly) -> None:
    for draft in drafts:
        if draft.options != chosen.options:
            what = "auth, whiteList, redirect, headers, errors or limits"
            why = f"its labels for {what} differ from those of {chosen.router.origin}, which count"
            hint = "give all containers with this rule the same ones"
            where = f"container {draft.container.name}"
            whole.problems.append(Problem(where, why, hint, "warning"))


def _refuse(drafts: Iterable[RouterDraft], whole: Assembly, name: str) -> None:
    for draft in drafts:
        why = f"router {name} is not opened: a label that keeps requests out can't be obeyed"
        whole.refuse(draft.container, why)
        try:
            read_rule(draft.router.rule, draft.router.dialect)
        except ConfigurationError as error:
            # The routing table doesn't see it; whoever corrects the label is to be told of the rule at once.
            where = f"router {name} of {draft.router.origin}: rule {printable(draft.router.rule)}"
            whole.problems.append(Problem(where, printable(error.why), printable(error.hint)))


def _members(services: Mapping[str, list[ServiceDraft]], names: Collection[str]) -> list[ServiceDraft]:
    """Those with one of these names, the oldest container first."""
    if len(names) == 1:
        return services.get(next(iter(names)), [])
    found = [draft for name in sorted(names) for draft in services.get(name, [])]
    # Stable: of one container's services the names decide.
    return sorted(
        found, key=lambda draft: (draft.container.created, draft.container.name, draft.container.id)
    )


def _first(members: Sequence[ServiceDraft], name: str) -> ServiceDraft:
    return next(draft for draft in members if draft.service.name == name)


def _claim(service: Service, router: str, whole: Assembly, *, alone: bool = False) -> str:
    """The name under which a service is kept: its own, or one with the router's where another has that.

    ``alone``: nobody else uses the service of that name, so that this one may take its place.
    """
    name = service.name
    for candidate in (name, naming.normalize(f"{name}-{router}")):
        known = whole.services.get(candidate)
        if known is not None and _same(known, service):
            return candidate
        if known is None or (alone and candidate == name):
            break
    else:
        candidate = naming.unique(candidate, whole.services)
    whole.services[candidate] = replace(service, name=candidate)
    return candidate


def _same(one: Service, other: Service) -> bool:
    return (one.servers, _terms(one)) == (other.servers, _terms(other))


def _terms(service: Service) -> Service:
    """What two services of one name may differ in: all but servers, and what only says where they come from."""
    return replace(service, name="", servers=(), origin="", dialect="")


def _by_name(drafts: Iterable[ServiceDraft]) -> dict[str, list[ServiceDraft]]:
    found: dict[str, list[ServiceDraft]] = {}
    for draft in drafts:
        found.setdefault(draft.service.name, []).append(draft)
    return found


def _servers(drafts: Iterable[ServiceDraft]) -> tuple[Server, ...]:
    """All servers in the order of their containers, each once."""
    found: dict[tuple[str, str], Server] = {}
    for server in (server for draft in drafts for server in draft.service.servers):
        found.setdefault((server.url, server.instance), server)
    return tuple(found.values())
