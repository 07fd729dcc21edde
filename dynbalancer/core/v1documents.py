"""Traefik v1's dynamic document (``frontends``, ``backends``, ``tls``) to the model.

Its keys are those of v1's labels, below a frontend or a backend of a name: so each becomes the label it would be, and
is read as one. Mistakes are told with their place in the file. What v1 kept in the same file though it is read at
start (``logLevel``, ``entryPoints`` …) is left out with a warning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dynbalancer.core import schema
from dynbalancer.core.labels import v1backend, v1options, v1rules
from dynbalancer.core.labels import vocabulary as words
from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.pools import in_order
from dynbalancer.core.labels.sheet import Fields
from dynbalancer.core.labels.v1rules import Modifier
from dynbalancer.core.labels.values import boolean, choice, csv, integer, text
from dynbalancer.core.model import Configuration, Middleware, Router, Server, Service
from dynbalancer.core.rules.parser import read as read_rule
from dynbalancer.core.schema import WrongValueError, describe
from dynbalancer.core.tables import Path
from dynbalancer.errors import ConfigurationError, Problem, did_you_mean, printable

_OURS = ("frontends", "backends")
_MOST = 2**31 - 1
#: Labels that hold names and values in one text, where a document has a section.
_MAPS = frozenset(
    (
        *("frontend.headers.customRequestHeaders", "frontend.headers.customResponseHeaders"),
        *("frontend.headers.SSLProxyHeaders", "backend.healthcheck.headers"),
    )
)
#: Keys that no label has.
_ALIASES = {"frontend.basicauth": "frontend.auth.basic.users"}
_STICKINESS = "backend.loadbalancer.stickiness"


def rest_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What of such a document is for the reader of newer ones: certificates, and sections that are new."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        if key.lower() == "tls" and isinstance(value, (list, tuple)):
            # v1: [[tls]] with [tls.certificate] below.
            found[key] = {"certificates": [_certificate(one) for one in value]}
        elif key.lower() in schema.DOCUMENT:
            found[key] = value
    return found


def _certificate(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return next((below for key, below in value.items() if key.lower() == "certificate"), value)


def read(
    document: Mapping[str, Any], where: str, line_of: Callable[[Path], int | None] | None = None
) -> Configuration:
    """The frontends and backends of a document, and a Problem for each thing that can't be used."""
    reader = _Reader(_Notes(where, line_of=line_of))
    # With [file] it is the settings file itself, whose settings were read at start.
    settings = any(key.lower() == "file" for key in document)
    for key in document:
        if not settings and key.lower() not in (*_OURS, *schema.DOCUMENT):
            why = "it belongs to the settings read at start, and is not used here"
            reader.notes.place((key,), why, severity="warning")
    for key, value in document.items():
        if key.lower() == "backends":
            reader.backends(key, value)
    for key, value in document.items():
        if key.lower() == "frontends":
            reader.frontends(key, value)
    return reader.configuration()


@dataclass(slots=True)
class _Notes(Findings):
    """Problems with their place in a file. ``paths`` are where the labels that were made stand there."""

    line_of: Callable[[Path], int | None] | None = None
    paths: dict[str, Path] = field(default_factory=dict)

    def label(
        self, key: str, why: str, hint: str = "", severity: str = "error", *, root: bool = False
    ) -> None:
        """One key can't be used as written."""
        self.place(self.paths.get(key, (key,)), why, hint, severity)

    def whole(self, why: str, hint: str = "", severity: str = "error") -> None:
        """Something about what is being read as a whole."""
        self.place((), why, hint, severity)

    def place(self, path: Path, why: str, hint: str = "", severity: str = "error") -> None:
        """Something about one place."""
        line = None if self.line_of is None else self.line_of(path)
        place = self.container if line is None else f"{self.container}, line {line}"
        named = f"{place}: {printable('.'.join(path))}" if path else place
        self.problems.append(Problem(named, printable(why), printable(hint), severity))


@dataclass(frozen=True, slots=True)
class _Backend:
    """A backend as it is read: its service, and the middlewares of every router that leads to it."""

    service: Service
    options: tuple[Modifier, ...]


class _Reader:
    """Reads one document, and gathers what it gives."""

    def __init__(self, notes: _Notes) -> None:
        self.notes = notes
        self._backends: dict[str, _Backend] = {}
        self._routers: dict[str, Router] = {}
        self._services: dict[str, Service] = {}
        self._middlewares: dict[str, Middleware] = {}

    def configuration(self) -> Configuration:
        """All that was read. Backends that no frontend uses are services too."""
        for name, backend in self._backends.items():
            self._services.setdefault(name, backend.service)
        return Configuration(
            routers=self._routers,
            services=self._services,
            middlewares=self._middlewares,
            problems=tuple(self.notes.problems),
        )

    def backends(self, key: str, value: object) -> None:
        """The section ``backends``."""
        for name, found in self._each((key,), value):
            path = (key, name)
            servers = tuple(self._servers(found, path))
            fields, _ = self._fields("backend", found, path, ("servers",))
            if boolean(fields.get(_STICKINESS), False, self.notes):
                # The name that v1 makes: there is no prefix in files, as there is in labels.
                made = hashlib.sha1(f"_TRAEFIK_BACKEND_{name}".encode(), usedforsecurity=False).hexdigest()
                fields.setdefault(f"{_STICKINESS}.cookieName", Label("cookieName", f"_{made[:5]}"))
            method = choice(fields.get("backend.loadbalancer.method"), "wrr", ("wrr", "drr"), self.notes)
            terms = v1backend.terms_of(fields, name, self.notes)
            service = Service(name, servers, method, dialect="v1", origin=self.notes.container, **terms)
            self._backends[name] = _Backend(service, v1backend.options_of(fields, self.notes))

    def frontends(self, key: str, value: object) -> None:
        """The section ``frontends``, once all backends are known."""
        for name, found in self._each((key,), value):
            path = (key, name)
            fields, closed = self._fields("frontend", found, path, ("routes", "backend"))
            rule, rules = self._rule(found, path)
            backend = self._backend(found, path)
            if closed:
                self.notes.place(path, "is off, since what is wrong may be meant to keep requests out")
            if rule and backend is not None and not closed:
                self._open(name, rule, rules, backend, fields)

    def _open(self, name: str, rule: str, rules: int, backend: _Backend, fields: Fields) -> None:
        # v1's default in files is false, unlike in labels.
        pass_host = boolean(fields.get("frontend.passHostHeader"), False, self.notes)
        transport = v1backend.transport_of(fields, self.notes)
        origin = self.notes.container
        options = tuple(self._pages(v1options.options_of(fields, self.notes)))
        wanted = ((origin, options), (origin, v1rules.modifiers_of(rule)), (origin, backend.options))
        middlewares = in_order(name, wanted)
        self._middlewares.update({middleware.name: middleware for middleware in middlewares})
        # v1 adds up the lengths of all rules; what joins them is not counted.
        computed = len(rule) - (rules - 1) if rules > 1 else 0
        self._routers[name] = Router(
            name,
            rule,
            self._service(backend.service, pass_host, transport),
            csv(text(fields.get("frontend.entryPoints"))),
            tuple(middleware.name for middleware in middlewares),
            integer(fields.get("frontend.priority"), 0, self.notes, 0, _MOST) or computed,
            "v1",
            origin=origin,
        )

    def _service(self, service: Service, pass_host: bool, transport: str) -> str:
        """The service of a backend for a frontend: which Host and which certificate servers see, v1's frontends say."""
        wanted = replace(service, pass_host_header=pass_host, transport=transport)
        host = f"{service.name}-{'client' if pass_host else 'server'}-host"
        for name in (service.name, host, f"{host}-{'with' if transport else 'without'}-certificate"):
            known = self._services.setdefault(name, replace(wanted, name=name))
            if (known.pass_host_header, known.transport) == (pass_host, transport):
                return name
        return service.name

    def _pages(self, options: tuple[Modifier, ...]) -> Iterator[Modifier]:
        """The options without error pages of backends that are not there (Traefik v1.7 goes on without them)."""
        for option in options:
            page = option.settings.get("service") if option.type == "errors" else None
            if page is None or page in self._backends:
                yield option
            else:
                why = f"there is no backend {page}; this error page is left out"
                self.notes.label(option.where.removeprefix("label "), why, did_you_mean(page, self._backends))

    # What stands in a section

    def _each(self, path: Path, value: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for name, found in self._section(value, path).items():
            if "@" in name or not name.strip():
                self.notes.place((*path, name), "a name must not be empty or contain '@'")
            elif isinstance(found, Mapping):
                yield name, found
            else:
                self.notes.place((*path, name), f"expected a section, got {describe(found)}")

    def _section(self, value: object, path: Path) -> Mapping[str, Any]:
        try:
            return schema.section(value)
        except WrongValueError as wrong:
            self.notes.place(path, f"expected {wrong.expected}, got {describe(value)}")
            return {}

    def _servers(self, found: Mapping[str, Any], path: Path) -> Iterator[Server]:
        key, value = _member(found, "servers")
        for name, given in self._each((*path, key), value):
            place = (*path, key, name)
            written, url = _member(given, "url")
            heavy, weight = _member(given, "weight")
            try:
                address = schema.server_url(url)
            except WrongValueError as wrong:
                self.notes.place(
                    (*place, written), f"expected {wrong.expected}, got {describe(url)}", wrong.hint
                )
                continue
            self.notes.paths["weight"] = (*place, heavy)
            label = None if weight is None else Label("weight", _text(weight))
            # v1 takes weight 0 for 1.
            yield Server(address, integer(label, 1, self.notes, 0, _MOST) or 1, name=name)

    def _rule(self, found: Mapping[str, Any], path: Path) -> tuple[str, int]:
        """The rules of all routes as one, for all of them must hold; and how many they are. Empty if one is wrong."""
        key, value = _member(found, "routes")
        rules = []
        for name, route in self._each((*path, key), value):
            written, rule = _member(route, "rule")
            try:
                rules.append(schema.text(rule).rstrip("; "))
                read_rule(rules[-1], "v1")
            except WrongValueError as wrong:
                place = (*path, key, name, written)
                self.notes.place(place, f"expected {wrong.expected}, got {describe(rule)}")
                return "", 0
            except ConfigurationError as error:
                self.notes.place((*path, key, name, written), error.why, error.hint)
                return "", 0
        if not rules:
            self.notes.place(path, "it has no rule", "write routes.NAME.rule")
        return ";".join(rules), len(rules)

    def _backend(self, found: Mapping[str, Any], path: Path) -> _Backend | None:
        key, value = _member(found, "backend")
        backend = self._backends.get(value) if isinstance(value, str) else None
        if backend is None:
            hint = did_you_mean(value, self._backends) if isinstance(value, str) else "write backend"
            why = f"there is no backend {value}" if isinstance(value, str) else "it names no backend"
            self.notes.place((*path, key), why, hint)
        return backend

    def _fields(
        self, root: str, found: Mapping[str, Any], path: Path, but: tuple[str, ...]
    ) -> tuple[Fields, bool]:
        """Its keys as labels, by their names without ``traefik.``; and whether a wrong one may keep requests out."""
        fields: Fields = {}
        closed = False
        for place, value in _leaves({key: one for key, one in found.items() if key.lower() not in but}, root):
            rest = ".".join((root, *place))
            rest = _ALIASES.get(rest.lower(), rest)
            known = words.v1_key(rest)
            where = ".".join((*path, *place))
            self.notes.paths[where] = (*path, *place)
            if known is None:
                right = words.nearest(f"traefik.{rest}").removeprefix(f"traefik.{root}.")
                hint = f"did you mean {right}?" if right and not right.startswith("traefik.") else ""
                self.notes.label(where, "this key is unknown and not used", hint)
                closed = closed or words.v1_restricts(rest) or words.v1_restricts(f"{root}.{right}")
            elif known[1] == words.LATER:
                self.notes.label(
                    where, "is understood, but not supported in this version", severity="warning"
                )
            elif value not in ("", None, [], ()) or (known[0] in words.V1_CLOSES and len(place) > 1):
                # What is meant to keep requests out, and says nothing, is refused by its middleware.
                fields[known[0]] = Label(where, _text(value))
        return fields, closed


def _leaves(found: Mapping[str, Any], root: str, above: Path = ()) -> Iterator[tuple[Path, object]]:
    """Values with their paths; sections that one label stands for are one value."""
    for key, value in found.items():
        path = (*above, key)
        known = words.v1_key(".".join((root, *path)))
        if not isinstance(value, Mapping) or (known and known[0] in _MAPS):
            yield path, value
            continue
        if known and known[0] == _STICKINESS:
            # To be there is enough: [backends.b.loadBalancer.stickiness].
            yield path, True
        yield from _leaves(value, root, path)


def _member(found: Mapping[str, Any], name: str) -> tuple[str, Any]:
    """A member in any letter case, and how it is spelt."""
    return next(((key, value) for key, value in found.items() if key.lower() == name), (name, None))


def _text(value: object) -> str:
    """A value as a label has it."""
    if isinstance(value, Mapping):
        return "||".join(f"{key}:{_text(one)}" for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def joined(one: Configuration, other: Configuration) -> Configuration:
    """What a file says in both manners; a name that is in both keeps its newer definition."""
    return replace(
        one,
        routers={**other.routers, **one.routers},
        services={**other.services, **one.services},
        middlewares={**other.middlewares, **one.middlewares},
        problems=(*one.problems, *other.problems),
    )
