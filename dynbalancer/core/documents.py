"""Traefik v3's dynamic document (``http.routers``, ``.services``, ``.middlewares``, ``tls``) to the model, and back.

A document is what a YAML, TOML or JSON parser gives: mappings with text keys, lists, texts, numbers, true and
false. Each mistake becomes a :class:`~dynbalancer.errors.Problem` and switches off the key it is in. Where
the object can't do without that key, or the key restricts who gets through, the object is off: never a route
with its lock missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import chain, count
from typing import Any

from dynbalancer.core import schema, service_documents
from dynbalancer.core.model import Certificate, Configuration, Middleware, Router, ServersTransport, Service
from dynbalancer.core.rules.parser import read
from dynbalancer.core.schema import WrongValueError, describe
from dynbalancer.core.streamdocuments import StreamDocument, stream_sections
from dynbalancer.core.tables import Path, TableReader, UnusableError, frozen, plain, write
from dynbalancer.core.tlsdocuments import options_of
from dynbalancer.errors import ConfigurationError, Problem, printable

#: What a certificate's file and its key's file, or their PEM texts, give: the certificate, if it can be used, and what
#: there is to say about it. The places of these problems are filled in by the reader.
ReadCertificate = Callable[[str, str], tuple[Certificate | None, tuple[Problem, ...]]]

#: What a file of certificates, or their PEM text, says. Raises ConfigurationError.
ReadPem = Callable[[str], str]

#: What only documents of Traefik 1 have.
_OLDER = ("frontends", "backends")


def from_document(
    document: object,
    where: str,
    line_of: Callable[[Path], int | None] | None = None,
    read_certificate: ReadCertificate | None = None,
    read_pem: ReadPem | None = None,
    dialect: str = "v3",
) -> Configuration:
    """All that can be used of a document, and a Problem for each thing that can't.

    ``where`` names it (``file dyn.yml``); ``line_of`` gives the line of a path, where it is known. Without
    ``read_certificate`` its certificates are left out, and serversTransports that show some; without ``read_pem`` those
    that name whom to trust, and nobody is let in by TLS options that do. ``dialect`` is that of rules that don't say
    theirs.
    """
    reader = _Reader(where, line_of, read_certificate, read_pem)
    reader.dialect = dialect
    if not isinstance(document, Mapping) or not any(str(key).lower() in _OLDER for key in document):
        return reader.read(document)
    # Workers get their configuration otherwise: they have no use for the readers of labels, which this loads.
    from dynbalancer.core import v1documents

    newer = reader.read(v1documents.rest_of(document))
    return v1documents.joined(newer, v1documents.read(document, where, line_of))


def to_document(configuration: Configuration) -> dict[str, Any]:
    """The same as a document, JSON-able. The format has no room for states and instances of servers.

    Certificates, serversTransports and TLS options are left out: what this gives may be shown, and there are keys in
    the first two of them.
    """
    families = {
        "routers": {name: _router_written(router) for name, router in configuration.routers.items()},
        "services": {
            name: service_documents.written(service) for name, service in configuration.services.items()
        },
        "middlewares": {
            name: {middleware.type: plain(middleware.settings)}
            for name, middleware in configuration.middlewares.items()
        },
    }
    http = {"http": {family: found for family, found in families.items() if found}}
    return http | stream_sections(configuration)


def _router_written(router: Router) -> dict[str, Any]:
    written = write(schema.ROUTER, router)
    if router.tls_options:
        written["tls"] = {"options": router.tls_options}
    return written


class _Reader(TableReader):
    """Walks one document and notes its Problems."""

    def __init__(
        self,
        where: str,
        line_of: Callable[[Path], int | None] | None,
        read_certificate: ReadCertificate | None,
        read_pem: ReadPem | None,
    ) -> None:
        super().__init__(where, line_of)
        self.read_certificate = read_certificate
        self.read_pem = read_pem

    def read(self, document: object) -> Configuration:
        found = self.section(document, ())
        sections = self.known(found, (), schema.DOCUMENT)
        http = self.section(sections.get("http"), ("http",))
        families = self.known(http, ("http",), schema.HTTP)
        tls = self.known(self.section(sections.get("tls"), ("tls",)), ("tls",), schema.TLS_SECTIONS)
        of_http = service_documents.Transports(self, self.read_certificate, self.read_pem)
        streams = StreamDocument(self, self._middleware, of_http)
        streaming = streams.read(sections.get("tcp"), sections.get("udp"))
        return Configuration(
            routers=dict(self.each(families, "routers", self._router)),
            services=dict(self.each(families, "services", self._service)),
            middlewares=dict(self.each(families, "middlewares", self._middleware)),
            certificates=self._certificates(tls),
            transports=dict(self.each(families, "serversTransports", self._transport)),
            tls_options=options_of(self, self.section(tls.get("options"), ("tls", "options")), self.read_pem),
            **streaming,
            problems=tuple(self.problems),
        )

    # The families

    def _router(self, name: str, found: Mapping[str, Any], path: Path) -> Router:
        attributes = {"dialect": self.dialect, **self.attributes(schema.ROUTER, found, path)}
        for key, value in found.items():
            if key.lower() == "tls" and isinstance(value, Mapping):
                inner = schema.without_default_options(value)
                attributes |= self.attributes(schema.TLS, inner, (*path, key))
        self._check_rule(attributes, found, path)
        return Router(name=name, origin=self.where, **attributes)

    def _check_rule(self, attributes: Mapping[str, Any], found: Mapping[str, Any], path: Path) -> None:
        """The table would find it too, but not its line; and a file with an error does not replace a good one."""
        try:
            read(attributes["rule"], attributes["dialect"])
        except ConfigurationError as error:
            spelled = next(key for key in found if key.lower() == "rule")
            raise self.refuse((*path, spelled), printable(error.why), printable(error.hint)) from error

    def _service(self, name: str, found: Mapping[str, Any], path: Path) -> Service:
        shared, typed = service_documents.split(found)
        return service_documents.service(self, name, found, path, self._only_type(typed, path), shared)

    def _transport(self, name: str, found: Mapping[str, Any], path: Path) -> ServersTransport:
        read = service_documents.Transports(self, self.read_certificate, self.read_pem)
        return read.transport(name, found, path)

    def _middleware(self, name: str, found: Mapping[str, Any], path: Path) -> Middleware:
        kind = self._only_type(found, path)
        value = found[kind]
        try:
            settings = {} if value is True else frozen(schema.section(value))
        except WrongValueError as wrong:
            raise self.refuse((*path, kind), f"expected {wrong.expected}, got {describe(value)}") from wrong
        return Middleware(name=name, type=kind, settings=settings, origin=self.where)

    def _only_type(self, found: Mapping[str, Any], path: Path) -> str:
        """The one key of a service or middleware, which says its type."""
        if len(found) == 1:
            return next(iter(found))
        kind = "service" if path[1] == "services" else "middleware"
        if not found:
            raise self.refuse(path, f'the {kind} "{path[2]}" does not have any type defined')
        raise self.refuse(path, f"expected one type, got {', '.join(found)}", f"give each its own {kind}")

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
        for name, value in self.section(tls.get("stores"), store).items():
            if name.lower() != "default":
                self.note((*store, name), "only the store named default is used", severity="warning")
                continue
            members_of = self.known(
                self.section(value, (*store, name)), (*store, name), schema.STORE, schema.STORE[:1]
            )
            if schema.STORE[0] in members_of:
                place = (*store, name, schema.STORE[0])
                self._add_certificate(found, members_of[schema.STORE[0]], place, default=True)
        return found

    def _add_certificate(
        self, found: dict[str, Certificate], value: object, path: Path, *, default: bool = False
    ) -> None:
        try:
            given = self.attributes(schema.CERTIFICATE, self.mapping(value, path), path)
        except UnusableError:
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


def _unused(name: str, known: Mapping[str, object]) -> str:
    """The name, with a number where it is taken already."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(word for word in chain((name,), numbered) if word not in known)
