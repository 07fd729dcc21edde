"""Traefik v3's dynamic document (``http.routers``, ``.services``, ``.middlewares``, ``tls``) to the model, and back.

A document is what a YAML, TOML or JSON parser gives: mappings with text keys, lists, texts, numbers, true and
false. Each mistake becomes a :class:`~dynbalancer.errors.Problem` and switches off the key it is in. Where
the object can't do without that key, or the key restricts who gets through, the object is off: never a route
with its lock missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, count
from math import isfinite
from typing import Any

from dynbalancer.core import schema
from dynbalancer.core.durations import go_duration
from dynbalancer.core.model import Certificate, Configuration, Middleware, Router, Server, Service
from dynbalancer.core.rules.parser import read
from dynbalancer.core.schema import Key, WrongValueError, describe
from dynbalancer.core.sections import BELOW, READERS
from dynbalancer.errors import ConfigurationError, Problem, did_you_mean, printable

#: From the top of a document to a value; members of lists by their number.
Path = tuple[str, ...]

#: What a certificate's file and its key's file, or their PEM texts, give: the certificate, if it can be used, and what
#: there is to say about it. The places of these problems are filled in by the reader.
ReadCertificate = Callable[[str, str], tuple[Certificate | None, tuple[Problem, ...]]]

NOT_YET = "understood, but not supported in this version"

#: How deep settings of a middleware may be nested.
DEEPEST = 32


def from_document(
    document: object,
    where: str,
    line_of: Callable[[Path], int | None] | None = None,
    read_certificate: ReadCertificate | None = None,
) -> Configuration:
    """All that can be used of a document, and a Problem for each thing that can't.

    ``where`` names it (``file dyn.yml``); ``line_of`` gives the line of a path, where it is known. Without
    ``read_certificate`` its certificates are left out.
    """
    return _Reader(where, line_of, read_certificate).read(document)


def to_document(configuration: Configuration) -> dict[str, Any]:
    """The same as a document, JSON-able. The format has no room for states and instances of servers.

    Certificates are left out: what this gives may be shown, and there are keys in them.
    """
    families = {
        "routers": {name: _write(schema.ROUTER, router) for name, router in configuration.routers.items()},
        "services": {
            name: {"loadBalancer": _write(schema.LOAD_BALANCER, service)}
            for name, service in configuration.services.items()
        },
        "middlewares": {
            name: {middleware.type: plain(middleware.settings)}
            for name, middleware in configuration.middlewares.items()
        },
    }
    return {"http": {family: found for family, found in families.items() if found}}


def plain(value: object) -> Any:
    """As JSON knows it: dict, list, text, number, true, false and None."""
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    return value


def frozen(value: object) -> Any:
    """The opposite of :func:`plain`: lists become tuples, as in the model. Raises WrongValueError."""
    return _frozen(value, DEEPEST)


def _frozen(value: object, depth: int) -> Any:
    if depth == 0:
        raise WrongValueError(f"at most {DEEPEST} levels of sections")
    if isinstance(value, Mapping):
        return {str(key): _frozen(member, depth - 1) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(member, depth - 1) for member in value)
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and isfinite(value)):
        return value
    raise WrongValueError("a text, a number, true, false, a list or a section")


def _write(table: Iterable[Key], value: Any) -> dict[str, Any]:
    """A value by its table; what has its default is left out."""
    written: dict[str, Any] = {}
    for key in table:
        if not key.attribute:
            continue
        found = getattr(value, key.attribute)
        if key.always or key.required or found != key.default:
            write = _WRITERS.get(key.name) or _WRITERS_OF_KIND.get(key.kind, plain)
            written[key.name] = write(found)
    return written


_WRITERS_OF_KIND: Mapping[str, Callable[[Any], Any]] = {"wait": go_duration, "fields": dict}
_WRITERS: Mapping[str, Callable[[Any], Any]] = {
    "tls": lambda on: {},
    "servers": lambda servers: [_write(schema.SERVER, server) for server in servers],
    "healthCheck": lambda check: _write(BELOW["healthCheck"].keys, check),
}


def dotted(path: Path) -> str:
    """A path as people write it: ``http.services.web.loadBalancer.servers[0].url``."""
    words = [
        f"[{step}]" if before.lower() in ("servers", "certificates") and step.isdecimal() else f".{step}"
        for before, step in zip(("", *path), path, strict=False)
    ]
    return "".join(words).removeprefix(".")


class _UnusableError(Exception):
    """The object being read is off; its Problem has been noted."""


class _Reader:
    """Walks one document and notes its Problems."""

    def __init__(
        self,
        where: str,
        line_of: Callable[[Path], int | None] | None,
        read_certificate: ReadCertificate | None,
    ) -> None:
        self.where = where
        self.line_of = line_of
        self.read_certificate = read_certificate
        self.problems: list[Problem] = []

    def read(self, document: object) -> Configuration:
        found = self._section(document, ())
        sections = self._known(found, (), schema.DOCUMENT, ("http", "tls"))
        http = self._section(sections.get("http"), ("http",))
        families = self._known(http, ("http",), schema.HTTP, schema.HTTP[:3])
        tls = self._known(self._section(sections.get("tls"), ("tls",)), ("tls",), schema.TLS_SECTIONS)
        routers = dict(self._each(families, "routers", self._router))
        return Configuration(
            routers={} if self._asks_for_clients(tls.get("options")) else routers,
            services=dict(self._each(families, "services", self._service)),
            middlewares=dict(self._each(families, "middlewares", self._middleware)),
            certificates=self._certificates(tls),
            problems=tuple(self.problems),
        )

    # What is said about a place

    def note(self, path: Path, why: str, hint: str = "", severity: str = "error") -> None:
        line = None if self.line_of is None else self.line_of(path)
        place = self.where if line is None else f"{self.where}, line {line}"
        self.problems.append(Problem(f"{place}: {dotted(path)}" if path else place, why, hint, severity))

    def _refuse(self, path: Path, why: str, hint: str = "") -> _UnusableError:
        self.note(path, why, hint)
        return _UnusableError()

    # Sections whose keys are fixed words, and those whose keys are names

    def _section(self, value: object, path: Path) -> Mapping[str, Any]:
        try:
            return schema.section(value)
        except WrongValueError as wrong:
            self.note(path, f"expected {wrong.expected}, got {describe(value)}")
            return {}

    def _known(
        self,
        found: Mapping[str, Any],
        path: Path,
        words: tuple[str, ...],
        usable: tuple[str, ...] | None = None,
    ) -> dict[str, Any]:
        """The usable members of a section (by default all), by their right spelling."""
        spelling = {word.lower(): word for word in words}
        members: dict[str, Any] = {}
        for key, value in found.items():
            word = spelling.get(key.lower())
            if word is None:
                stranger = schema.STRANGERS.get(key.lower(), "")
                self.note(
                    (*path, key), f"expected one of {', '.join(words)}", stranger or did_you_mean(key, words)
                )
            elif word in members:
                self.note((*path, key), "given twice, in different letter case; the first one is used")
            elif usable is None or word in usable:
                members[word] = value
            elif value not in (None, {}, []):
                self.note((*path, key), NOT_YET, severity="warning")
        return members

    def _each(
        self, families: Mapping[str, Any], family: str, read: Callable[[str, Mapping[str, Any], Path], Any]
    ) -> Iterator[tuple[str, Any]]:
        path = ("http", family)
        for name, value in self._section(families.get(family), path).items():
            try:
                if "@" in name or not name.strip():
                    hint = f"write {name.partition('@')[0]}; @{name.partition('@')[2]} is appended by itself"
                    raise self._refuse(
                        (*path, name), "a name must not be empty or contain '@'", hint if name else ""
                    )
                yield name, read(name, self._object(value, (*path, name)), (*path, name))
            except _UnusableError:
                continue

    def _object(self, value: object, path: Path) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self._refuse(path, f"expected a section, got {describe(value)}")
        return value

    # By table

    def _attributes(self, table: tuple[Key, ...], found: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """A section by its table, as attributes of the model. Raises _UnusableError once all is noted."""
        by_name = {key.name.lower(): key for key in table}
        attributes: dict[str, Any] = {}
        seen: set[str] = set()
        usable = True
        for name, value in found.items():
            key = by_name.get(name.lower())
            if key is None:
                usable = self._unknown(table, name, (*path, name)) and usable
            elif key.name in seen:
                self.note((*path, name), "given twice, in different letter case")
                usable = usable and not key.restricts
            else:
                seen.add(key.name)
                usable = self._take(key, value, (*path, name), attributes) and usable
        for key in table:
            if key.required and key.name not in seen:
                meaning = key.meaning.replace("``", "").removesuffix(".")
                self.note((*path, key.name), f"missing: {meaning[0].lower()}{meaning[1:]}")
                usable = False
        if not usable:
            raise _UnusableError
        return attributes

    def _unknown(self, table: tuple[Key, ...], name: str, path: Path) -> bool:
        """Note a key that nobody knows. False where it was probably meant to restrict."""
        hint = did_you_mean(name, [key.name for key in table])
        restricts = any(key.restricts and f" {key.name}?" in hint for key in table)
        why = f"expected one of {', '.join(key.name for key in table)}"
        if restricts:
            why += f"; {_whole(path)} is off, since this was probably meant to restrict it"
        self.note(path, why, hint)
        return not restricts

    def _take(self, key: Key, value: object, path: Path, attributes: dict[str, Any]) -> bool:
        """Read one value into ``attributes``. False where the object can't be used without it."""
        if value is None and key.kind != "tls" and not key.required:
            return True
        if not key.attribute:
            if key.restricts:
                self.note(path, f"{NOT_YET}; {path[2]} is off, since this restricts it")
            else:
                self.note(path, NOT_YET, severity="warning")
            return not key.restricts
        if key.name in BELOW:
            return self._take_below(key, value, path, attributes)
        try:
            attributes[key.attribute] = READERS[key.kind](value)
        except WrongValueError as wrong:
            self.note(path, f"expected {wrong.expected}, got {describe(value)}", wrong.hint)
            return not (key.required or key.restricts)
        return True

    def _take_below(self, key: Key, value: object, path: Path, attributes: dict[str, Any]) -> bool:
        """Read a section that has a table of its own. False where the object can't be used without it."""
        section = BELOW[key.name]
        try:
            given = self._attributes(section.keys, self._object(value, path), path)
        except _UnusableError:
            self.note(path, "not used, because of what is wrong with it", severity="info")
            return not key.restricts
        made = attributes[key.attribute] = section.make(**given)
        for name, why, severity in section.doubts(made, given):
            self.note((*path, name), why, severity=severity)
        return True

    # The three families

    def _router(self, name: str, found: Mapping[str, Any], path: Path) -> Router:
        attributes = self._attributes(schema.ROUTER, found, path)
        for key, value in found.items():
            if key.lower() == "tls" and isinstance(value, Mapping):
                self._attributes(schema.TLS, _without_default_options(value), (*path, key))
        self._check_rule(attributes, found, path)
        return Router(name=name, origin=self.where, **attributes)

    def _check_rule(self, attributes: Mapping[str, Any], found: Mapping[str, Any], path: Path) -> None:
        """The table would find it too, but not its line; and a file with an error does not replace a good one."""
        try:
            read(attributes["rule"], attributes.get("dialect", "v3"))
        except ConfigurationError as error:
            spelled = next(key for key in found if key.lower() == "rule")
            raise self._refuse((*path, spelled), printable(error.why), printable(error.hint)) from error

    def _service(self, name: str, found: Mapping[str, Any], path: Path) -> Service:
        spelling = {word.lower(): word for word in schema.SERVICE_TYPES}
        kind = self._only_type(found, path)
        word = spelling.get(kind.lower())
        inner = (*path, kind)
        if word is None:
            why = f"expected one of {', '.join(schema.SERVICE_TYPES)}"
            raise self._refuse(inner, why, did_you_mean(kind, schema.SERVICE_TYPES))
        if word != "loadBalancer":
            self.note(inner, f"{NOT_YET}; service {name} is off", severity="warning")
            raise _UnusableError
        attributes = self._attributes(schema.LOAD_BALANCER, self._object(found[kind], inner), inner)
        servers = self._servers(found[kind], attributes.pop("servers", ()), inner)
        if attributes.get("strategy", "").lower() in schema.LATER_STRATEGIES:
            why = f"strategy {attributes.pop('strategy')} is {NOT_YET}; wrr is used"
            self.note((*inner, "strategy"), why, severity="warning")
        return Service(name=name, servers=servers, origin=self.where, **attributes)

    def _servers(self, found: Mapping[str, Any], members: Iterable[object], path: Path) -> tuple[Server, ...]:
        """The servers that can be used; one that can't takes no other with it."""
        spelled = next((key for key in found if key.lower() == "servers"), "servers")
        servers = []
        for number, member in enumerate(members):
            place = (*path, spelled, str(number))
            try:
                servers.append(Server(**self._attributes(schema.SERVER, self._object(member, place), place)))
            except _UnusableError:
                continue
        return tuple(servers)

    def _middleware(self, name: str, found: Mapping[str, Any], path: Path) -> Middleware:
        kind = self._only_type(found, path)
        value = found[kind]
        try:
            settings = {} if value is True else frozen(schema.section(value))
        except WrongValueError as wrong:
            raise self._refuse((*path, kind), f"expected {wrong.expected}, got {describe(value)}") from wrong
        return Middleware(name=name, type=kind, settings=settings, origin=self.where)

    def _only_type(self, found: Mapping[str, Any], path: Path) -> str:
        """The one key of a service or middleware, which says its type."""
        if len(found) == 1:
            return next(iter(found))
        kind = "service" if path[1] == "services" else "middleware"
        if not found:
            raise self._refuse(path, f'the {kind} "{path[2]}" does not have any type defined')
        raise self._refuse(path, f"expected one type, got {', '.join(found)}", f"give each its own {kind}")

    # TLS

    def _certificates(self, tls: Mapping[str, Any]) -> dict[str, Certificate]:
        """The certificates that can be used, each by the first name it is for."""
        path = ("tls", "certificates")
        found: dict[str, Certificate] = {}
        try:
            members = schema.sections(tls.get("certificates") or ())
        except WrongValueError as wrong:
            self.note(path, f"expected {wrong.expected}, got {describe(tls['certificates'])}")
            members = ()
        for number, member in enumerate(members):
            self._add_certificate(found, member, (*path, str(number)))
        store = ("tls", "stores")
        for name, value in self._section(tls.get("stores"), store).items():
            if name.lower() != "default":
                self.note((*store, name), "only the store named default is used", severity="warning")
                continue
            members_of = self._known(
                self._section(value, (*store, name)), (*store, name), schema.STORE, schema.STORE[:1]
            )
            if schema.STORE[0] in members_of:
                place = (*store, name, schema.STORE[0])
                self._add_certificate(found, members_of[schema.STORE[0]], place, default=True)
        return found

    def _add_certificate(
        self, found: dict[str, Certificate], value: object, path: Path, *, default: bool = False
    ) -> None:
        try:
            given = self._attributes(schema.CERTIFICATE, self._object(value, path), path)
        except _UnusableError:
            return
        if "default" not in given.get("stores", ("default",)):
            self.note((*path, "stores"), "only the store named default is used", severity="warning")
            return
        if self.read_certificate is None:
            return
        certificate, problems = self.read_certificate(given["chain"], given["key"])
        for problem in problems:
            self.note(path, problem.why, problem.hint, problem.severity)
        if certificate is not None:
            name = _unused("default" if default else certificate.name, found)
            found[name] = replace(certificate, name=name, default=default, origin=self.where)

    def _asks_for_clients(self, options: object) -> bool:
        """Note TLS options, and say whether those that hold for all routers restrict who may come in."""
        path = ("tls", "options")
        restricts = False
        for name, value in self._section(options, path).items():
            keys = {key.lower() for key in value} if isinstance(value, Mapping) else set()
            if name.lower() == "default" and "clientauth" in keys:
                why = f"{NOT_YET}; the routers of this file are off, since this restricts who may come in"
                self.note((*path, name, "clientAuth"), why)
                restricts = True
            else:
                self.note((*path, name), NOT_YET, severity="warning")
        return restricts


def _whole(path: Path) -> str:
    """What is off where a key of it can't be used: a section within a service, or the object."""
    return path[-2] if path[-2] in BELOW else path[2]


def _without_default_options(tls: Mapping[str, Any]) -> dict[str, Any]:
    """The options named default are those a router has anyway."""
    return {
        key: value
        for key, value in tls.items()
        if key.lower() != "options" or not isinstance(value, str) or value.partition("@")[0] != "default"
    }


def _unused(name: str, known: Mapping[str, object]) -> str:
    """The name, with a number where it is taken already."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(word for word in chain((name,), numbered) if word not in known)
