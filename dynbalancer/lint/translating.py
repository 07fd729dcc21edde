"""Labels of one version in the words of another, for each container; and as a file of routes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dynbalancer.core.documents import to_document
from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.labels.v1writer import v1_labels_of
from dynbalancer.core.labels.writer import UnwritableError, labels_of
from dynbalancer.core.merge import merge
from dynbalancer.core.model import Configuration, EntryPoint, Item, Middleware, Router
from dynbalancer.core.translation import Note, Translated, in_v3
from dynbalancer.core.typed import typed
from dynbalancer.core.verdicts import Verdict, by_container, verdicts
from dynbalancer.errors import Problem
from dynbalancer.lint.variables import Kept
from dynbalancer.middlewares.connections import TYPES, AllowConnections, InFlightConnections
from dynbalancer.start.compiling import compiler

#: Types of middlewares of connections, and their options, by their names in small letters.
_FOLDED_TYPES = {name.lower(): name for name in TYPES}
_FOLDED_OPTIONS = {
    option.name.lower(): option.name
    for made in (AllowConnections, InFlightConnections)
    for option in made.OPTIONS
}

#: Labels of neither version, and labels of things that only later versions have.
_NEUTRAL = ("traefik.enable", "traefik.tags", "traefik.docker.", "traefik.swarm.")
_LATER = ("traefik.http.", "traefik.tcp.", "traefik.udp.", "traefik.tls.")


@dataclass(slots=True)
class Sheet:
    """The labels of one container in other words, and what there is to say about it."""

    container: Container
    labels: dict[str, str] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Whole:
    """All containers read, in v3's words. ``shut`` are the routers that a broken middleware keeps shut, and why."""

    found: Configuration
    translated: Translated
    problems: tuple[Problem, ...]
    shut: Mapping[str, str] = field(default_factory=dict)


def whole_of(containers: Sequence[Container], defaults: Defaults | None = None) -> Whole:
    """What the labels of containers say, in v3's words."""
    found = configuration_of(containers, defaults or Defaults())
    translated = in_v3(found)
    routers = {name: _without_guess(router) for name, router in translated.configuration.routers.items()}
    for name, router in translated.configuration.routers.items():
        if routers[name] is not router:
            why = "its priority was the length of its rule, which depends on a variable; give it one"
            translated.notes.append(Note("router", name, why))
    translated.configuration = replace(translated.configuration, routers=routers)
    return Whole(found, translated, found.problems)


def _without_guess(router: Router) -> Router:
    return replace(router, priority=0) if router.priority and Kept.is_in(router.rule) else router


def sheets(containers: Sequence[Container], to: str, defaults: Defaults | None = None) -> list[Sheet]:
    """For each container its labels in the manner of ``v3`` or ``v1``."""
    containers = _with_ours(containers, defaults)
    whole = whole_of(containers, defaults)
    if to == "v1":
        # As v3's they stay shut by themselves.
        whole.shut = _shut(whole.found)
    items = {item.id: item for item in whole.found.items}
    return [_sheet(container, items[container.id], whole, to) for container in containers]


def _shut(found: Configuration) -> dict[str, str]:
    points = {point for router in found.routers.values() for point in router.entry_points} or {"web"}
    listening = [EntryPoint(name, 1 + number) for number, name in enumerate(sorted(points))]
    table = compiler(listening, lambda: 0.0)(merge([("docker", found)]), 1, None)
    return {
        name.removesuffix("@docker"): why
        for name, reasons in table.disabled.items()
        for why in reasons
        if why.startswith("middleware") and "can't be used" in why
    }


def document(
    containers: Sequence[Container], defaults: Defaults | None = None
) -> tuple[dict[str, Any], list[str]]:
    """All routers, services and middlewares as a file of routes, and comments."""
    ours = _with_ours(containers, defaults)
    whole = whole_of(ours, defaults)
    comments = [f"{one.name}: it has no labels of ours" for one in containers if one not in ours]
    comments += [_comment(note) for note in whole.translated.notes]
    said = by_container(whole.problems)
    for item in whole.found.items:
        judged = verdicts(item, said.get(item.name, ()))
        comments += [f"{item.name}: {line}" for line in _left_out(item, judged, ())]
        comments += [f"{item.name}: {line}" for line in _whole_problems(said.get(item.name, ()))]
    found = _in_one_file(whole.translated.configuration)
    middlewares = {name: typed(middleware) for name, middleware in found.middlewares.items()}
    admitting = {name: _spelled(typed(middleware)) for name, middleware in found.tcp_middlewares.items()}
    written = to_document(replace(found, middlewares=middlewares, tcp_middlewares=admitting))
    return {root: below for root, below in written.items() if below}, list(dict.fromkeys(comments))


def _in_one_file(found: Configuration) -> Configuration:
    """The same without ``@docker`` in the references: in a file they would lead to containers."""

    def changed(family: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _referring_plainly(definition) for name, definition in family.items()}

    return replace(
        found,
        routers=changed(found.routers),
        services=changed(found.services),
        tcp_routers=changed(found.tcp_routers),
        udp_routers=changed(found.udp_routers),
        middlewares={
            name: replace(one, settings=_plain_settings(one)) for name, one in found.middlewares.items()
        },
    )


def _referring_plainly(definition: Any) -> Any:
    changes: dict[str, Any] = {}
    if hasattr(definition, "service"):
        changes["service"] = _plain(definition.service)
    if hasattr(definition, "middlewares"):
        changes["middlewares"] = tuple(map(_plain, definition.middlewares))
    return replace(definition, **changes)


def _plain_settings(middleware: Middleware) -> dict[str, Any]:
    """Its settings, with plain names where it refers to other middlewares, or to a service of pages."""
    names = {"chain": "middlewares", "errors": "service"}.get(middleware.type)
    return {
        key: _plain_names(value) if key.lower() == names else value
        for key, value in middleware.settings.items()
    }


def _plain_names(value: Any) -> Any:
    if isinstance(value, str):
        return ",".join(map(_plain, value.split(",")))
    return tuple(_plain(str(name)) for name in value) if isinstance(value, (list, tuple)) else value


def _plain(name: str) -> str:
    return name.strip().removesuffix("@docker")


def _spelled(middleware: Middleware) -> Middleware:
    """The same with type and settings as Traefik writes them; labels have them in any letter case."""
    type_ = _FOLDED_TYPES.get(middleware.type.lower(), middleware.type)
    settings = {_FOLDED_OPTIONS.get(key.lower(), key): value for key, value in middleware.settings.items()}
    return replace(middleware, type=type_, settings=settings)


def _with_ours(containers: Sequence[Container], defaults: Defaults | None) -> list[Container]:
    """Those that have labels of ours, misspelt ones too."""
    items = {item.id: item for item in configuration_of(containers, defaults or Defaults()).items}
    return [one for one in containers if items[one.id].labels]


def _sheet(container: Container, item: Item, whole: Whole, to: str) -> Sheet:
    sheet = Sheet(container)
    kept = (*_NEUTRAL, *_LATER) if to == "v3" else _NEUTRAL
    stays = {
        key: value
        for key, value in container.labels.items()
        if key.lower().startswith(kept) or (to == "v1" and _is_v1(key))
    }
    problems = by_container(whole.problems).get(item.name, [])
    judged = verdicts(item, problems)
    sheet.labels = _translated(container, item, whole, to, sheet.comments)
    sheet.labels = stays | sheet.labels | _links(item, whole.found, sheet.labels) | stays
    sheet.comments += _left_out(item, judged, stays)
    sheet.comments += _whole_problems(problems)
    if to == "v1":
        sheet.comments += [
            f"{key}: v1 has no labels of this kind"
            for key in container.labels
            if key.lower().startswith(_LATER[1:])
        ]
    sheet.comments = list(dict.fromkeys(sheet.comments))
    return sheet


def _links(item: Item, found: Configuration, added: Mapping[str, str]) -> dict[str, str]:
    """The services of routers that stay as they are: they may have named none while the container had one."""
    if not any(key.startswith("traefik.http.services.") for key in added):
        return {}
    routers = (found.routers[name] for name in item.gave if name in found.routers)
    return {
        f"traefik.http.routers.{router.name}.service": router.service
        for router in routers
        if router.dialect != "v1"
    }


def _is_v1(key: str) -> bool:
    return key.lower().startswith("traefik.") and not key.lower().startswith((*_NEUTRAL, *_LATER))


def _translated(
    container: Container, item: Item, whole: Whole, to: str, comments: list[str]
) -> dict[str, str]:
    found, translated = whole.found, whole.translated
    dialects = ("v1",) if to == "v3" else ("v2", "v3")
    # A port of v1 counts for a service of v3 too.
    services = to == "v3" and any(_is_v1(key) for key in container.labels)
    wanted = [
        translated.names.get(name, name)
        for name in item.gave
        if (name in found.routers and found.routers[name].dialect in dialects)
        or (name in found.services and services)
    ]
    if not wanted:
        if to == "v1" and any(key.lower().startswith(_LATER[0]) for key in container.labels):
            comments.append("it has no router of version 2 or 3, and v1 has no labels for anything else")
        return {}
    comments += [_comment(note) for note in translated.notes if _concerns(note, wanted)]
    if to == "v1":
        wanted = [name for name in wanted if _can_be_said(name, container, whole, comments)]
        labels, notes = v1_labels_of(container.id, wanted, translated.configuration)
        comments += [_comment(note) for note in notes]
        return labels
    try:
        return labels_of(container.id, wanted, translated.configuration)
    except UnwritableError as error:
        comments.append(f"not translated: {error}")
        return {}


def _can_be_said(name: str, container: Container, whole: Whole, comments: list[str]) -> bool:
    """Whether a router may be written in v1's words, which would open what is shut, or lead to the container."""
    router = whole.found.routers.get(name)
    if router is None:
        return True
    url = f"traefik.http.services.{router.service}.loadbalancer.server.url".lower()
    why = whole.shut.get(name, "")
    if any(key.lower() == url for key in container.labels):
        why = "v1 has no servers but its containers"
    if why:
        comments.append(f"router {name}: {why}; the router is left out")
    return not why


def _concerns(note: Note, wanted: Iterable[str]) -> bool:
    return any(note.name == name or note.name.startswith(f"{name}-") for name in wanted)


def _comment(note: Note) -> str:
    return f"{note.kind} {note.name}: {note.why}".replace(" : ", ": ")


def _left_out(item: Item, judged: Mapping[str, Verdict], stays: Collection[str]) -> list[str]:
    """A line for each label that does nothing, and so is not translated."""
    ignored = item.verdict == "ignored"
    lines = [f"not routed, so that nothing is translated: {item.why}"] if ignored else []
    for key, verdict in judged.items():
        if verdict.verdict in ("unknown", "wrong") or (
            verdict.verdict == "ignored" and key not in stays and not ignored
        ):
            left = "" if key in stays else "; left out"
            lines.append(f"{key}: {verdict.why}{left}" + (f"; {verdict.hint}" if verdict.hint else ""))
    return lines


def _whole_problems(problems: Iterable[Problem]) -> list[str]:
    """What is wrong with a container as a whole."""
    return [
        problem.why for problem in problems if "label " not in problem.where and problem.severity == "error"
    ]
