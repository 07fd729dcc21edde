"""The sections ``tcp`` and ``udp`` of Traefik v3's dynamic document: to the model, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dynbalancer.core import schema
from dynbalancer.core.checks import TCP_HEALTH_CHECK
from dynbalancer.core.model import Configuration, Member, Middleware
from dynbalancer.core.schema import Key, WrongValueError, describe
from dynbalancer.core.service_documents import Transports
from dynbalancer.core.streamrules import read_stream_rule
from dynbalancer.core.streams import (
    STREAM_SERVICE_KINDS,
    StreamRouter,
    StreamServer,
    StreamService,
    StreamTransport,
)
from dynbalancer.core.tables import Path, TableReader, UnusableError, plain, write
from dynbalancer.errors import ConfigurationError, did_you_mean, printable

ReadMiddleware = Callable[[str, Mapping[str, Any], Path], Middleware]

#: The sections of ``tcp`` and of ``udp``.
TCP_SECTIONS = ("routers", "services", "middlewares", "serversTransports")
UDP_SECTIONS = ("routers", "services")

_ENTRY_POINTS = Key(
    "entryPoints", "list", "Where they come in; none: all.", "entry_points", (), restricts=True
)

ROUTER = (
    Key("rule", "text", "Which connections it takes, like ``HostSNI(`a.example`)``.", "rule", required=True),
    Key("service", "text", "Where they go: ``db``, or ``db@docker``.", "service", required=True),
    _ENTRY_POINTS,
    Key("middlewares", "list", "Who decides whether they are taken.", "middlewares", (), restricts=True),
    Key("priority", "number", "The highest is asked first; 0: the length of the rule.", "priority", 0),
    Key("ruleSyntax", "dialect", "The manner the rule is written in, v2 or v3.", "dialect", "v3"),
    Key("tls", "tls", "Takes connections with TLS only; else plain ones only.", "tls", False, restricts=True),
)
TLS = (
    Key("passthrough", "switch", "Leave TLS to the server.", "passthrough", False),
    Key("certResolver", "text", "Who gets its certificates."),
    Key("options", "text", "Name of a set of TLS options.", "tls_options", "", restricts=True),
    Key("domains", "sections", "The names its certificates are for."),
)
UDP_ROUTER = (
    Key("service", "text", "Where datagrams go.", "service", required=True),
    _ENTRY_POINTS,
)
SERVER = (
    Key("address", "text", "Host and port, like 10.0.0.2:5432.", "address", required=True),
    Key("tls", "switch", "Speak TLS with it.", "tls", False),
)
UDP_SERVER = SERVER[:1]
LOAD_BALANCER = (
    Key("serversTransport", "text", "How servers are connected to.", "transport", ""),
    Key("terminationDelay", "number", "Milliseconds a half-closed connection lasts; -1: for ever.", "delay"),
    Key("healthCheck", "tcpHealthCheck", "Try whether servers can be connected to.", "health_check"),
)
TRANSPORT = (
    Key("dialTimeout", "duration", "How long connecting may take.", "dial_time"),
    Key("dialKeepAlive", "duration", "Probe idle connections; 0: don't.", "keep_alive", 15.0),
    Key("terminationDelay", "duration", "How long a half-closed connection lasts.", "termination_delay", 0.1),
)
TRANSPORT_TLS = (
    Key("serverName", "text", "The name to ask for and to check.", "server_name", ""),
    Key("insecureSkipVerify", "switch", "Accept any certificate.", "insecure", False),
    Key("rootCAs", "list", "Files of certificate authorities to trust, or their PEM text.", "root_cas", ()),
    Key("certificates", "sections", "What to show to servers that ask.", "certificates", (), restricts=True),
    Key("peerCertURI", "text", "A URI that must be in the server's certificate.", restricts=True),
    Key("spiffe", "section", "Identities by SPIFFE.", restricts=True),
)


class StreamDocument:
    """Reads the two sections."""

    def __init__(
        self, reader: TableReader, middleware: ReadMiddleware, transports: Transports | None = None
    ) -> None:
        """``transports`` reads what serversTransports say of whom to trust; without, nothing can be read."""
        self._reader = reader
        self._middleware = middleware
        self._transports = transports or Transports(reader, None, None)

    def read(self, tcp: object, udp: object) -> dict[str, Any]:
        """The families of a Configuration that are in them."""
        reader = self._reader
        of_tcp = reader.known(reader.section(tcp, ("tcp",)), ("tcp",), TCP_SECTIONS)
        of_udp = reader.known(reader.section(udp, ("udp",)), ("udp",), UDP_SECTIONS)
        return {
            "tcp_routers": dict(reader.each(of_tcp, "routers", self.router, "tcp")),
            "tcp_services": dict(reader.each(of_tcp, "services", self.service, "tcp")),
            "tcp_middlewares": dict(reader.each(of_tcp, "middlewares", self._middleware, "tcp")),
            "tcp_transports": dict(reader.each(of_tcp, "serversTransports", self.transport, "tcp")),
            "udp_routers": dict(reader.each(of_udp, "routers", self.router, "udp")),
            "udp_services": dict(reader.each(of_udp, "services", self.service, "udp")),
        }

    def router(self, name: str, found: Mapping[str, Any], path: Path) -> StreamRouter:
        """A router. Raises UnusableError once all is noted."""
        reader, where = self._reader, self._reader.where
        if path[0] == "udp":
            return StreamRouter(name=name, origin=where, **reader.attributes(UDP_ROUTER, found, path))
        given = {"dialect": reader.dialect, **reader.attributes(ROUTER, found, path)}
        for key, value in found.items():
            if key.lower() == "tls" and isinstance(value, Mapping):
                given |= reader.attributes(TLS, schema.without_default_options(value), (*path, key))
        try:
            read_stream_rule(given["rule"], given["dialect"])
        except ConfigurationError as error:
            spelled = next(key for key in found if key.lower() == "rule")
            raise reader.refuse((*path, spelled), printable(error.why), printable(error.hint)) from error
        return StreamRouter(name=name, origin=where, **given)

    def service(self, name: str, found: Mapping[str, Any], path: Path) -> StreamService:
        """A service. Raises UnusableError once all is noted."""
        reader = self._reader
        if len(found) != 1:
            why = f"expected one type, got {', '.join(found)}" if found else ""
            why = why or f'the service "{name}" does not have any type defined'
            raise reader.refuse(path, why, "give each its own service" if found else "")
        written = next(iter(found))
        inner = (*path, written)
        kinds = {kind.lower(): kind for kind in STREAM_SERVICE_KINDS}
        kind = kinds.get(written.lower())
        if kind is None:
            why = f"expected one of {', '.join(STREAM_SERVICE_KINDS)}"
            raise reader.refuse(inner, why, did_you_mean(written, STREAM_SERVICE_KINDS))
        section = reader.mapping(found[written], inner)
        if kind == "weighted":
            members = self._listed("services", section, inner, _MEMBER)
            reader.attributes(WEIGHTED_REST, _without(section, "services"), inner)
            made = tuple(Member(**member) for member in members)
            return StreamService(name=name, kind=kind, members=made, origin=reader.where)
        udp = path[0] == "udp"
        servers = [
            StreamServer(**given)
            for given in self._listed("servers", section, inner, UDP_SERVER if udp else SERVER)
        ]
        rest = _without(section, "servers", "proxyprotocol")
        given = reader.attributes(() if udp else LOAD_BALANCER, rest, inner)
        delay = given.pop("delay", None)
        return StreamService(
            name=name,
            servers=tuple(servers),
            termination_delay=None if delay is None else delay / 1000,
            proxy_protocol=0 if udp else self._proxy_protocol(section, inner),
            origin=reader.where,
            **given,
        )

    def _listed(
        self, name: str, section: Mapping[str, Any], path: Path, table: tuple[Key, ...]
    ) -> Iterator[dict[str, Any]]:
        """The sections of a list; one that can't be used takes no other with it."""
        reader = self._reader
        for key, value in section.items():
            if key.lower() != name:
                continue
            try:
                members = schema.sections(value)
            except WrongValueError as wrong:
                raise reader.refuse(
                    (*path, key), f"expected {wrong.expected}, got {describe(value)}"
                ) from wrong
            for number, member in enumerate(members):
                place = (*path, key, str(number))
                try:
                    given = reader.attributes(table, reader.mapping(member, place), place)
                    address = given.get("address", "a:1")
                    if not _is_address(address):
                        why = f"expected an address with a port, got {address}"
                        raise reader.refuse((*place, "address"), why, "write 10.0.0.2:5432")
                except UnusableError:
                    continue
                yield given

    def _proxy_protocol(self, section: Mapping[str, Any], path: Path) -> int:
        """The version of the header that servers get first; 0: none."""
        for key, value in section.items():
            if key.lower() != "proxyprotocol":
                continue
            if value is None or value is True or (isinstance(value, str) and value.lower() in ("", "true")):
                return 2
            if value is False or (isinstance(value, str) and value.lower() == "false"):
                return 0
            place = (*path, key)
            given = self._reader.attributes(_PROXY_PROTOCOL, self._reader.mapping(value, place), place)
            version: int = given.get("version", 2)
            if version not in (1, 2):
                raise self._reader.refuse((*place, "version"), f"expected 1 or 2, got {version}")
            return version
        return 0

    def transport(self, name: str, found: Mapping[str, Any], path: Path) -> StreamTransport:
        """A serversTransport. Raises UnusableError once all is noted."""
        reader = self._reader
        given = reader.attributes(TRANSPORT, _without(found, "tls", "proxyprotocol"), path)
        given["proxy_protocol"] = self._proxy_protocol(found, path)
        for key, value in found.items():
            if key.lower() == "tls":
                place = (*path, key)
                given |= reader.attributes(TRANSPORT_TLS, reader.section(value, place), place)
                read = self._transports
                given["root_cas"] = tuple(read.authority(one, place) for one in given.get("root_cas", ()))
                given["certificates"] = tuple(
                    read.pair(chain, key_file, place) for chain, key_file in given.get("certificates", ())
                )
        return StreamTransport(name=name, origin=reader.where, **given)


_PROXY_PROTOCOL = (Key("version", "number", "Version of the header, 1 or 2.", "version", 2),)
_MEMBER = (
    Key("name", "text", "Name of the service.", "name", required=True),
    Key("weight", "weight", "Its share; 0: none.", "weight", 1),
)
#: What it asks for is so anyway: a member without a server that may be asked is passed over.
WEIGHTED_REST = (Key("healthCheck", "presence", "It is down when its services are.", "follows_health"),)


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and port.isascii() and 0 < int(port) < 65536 and " " not in host


def _without(section: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key.lower() not in names}


def stream_sections(configuration: Configuration) -> dict[str, Any]:
    """The sections ``tcp`` and ``udp``, JSON-able; what is empty is left out."""
    families = {
        "tcp": {
            "routers": {name: router_written(one) for name, one in configuration.tcp_routers.items()},
            "services": {name: service_written(one) for name, one in configuration.tcp_services.items()},
            "middlewares": {
                name: {one.type: plain(one.settings)} for name, one in configuration.tcp_middlewares.items()
            },
        },
        "udp": {
            "routers": {name: write(UDP_ROUTER, one) for name, one in configuration.udp_routers.items()},
            "services": {name: service_written(one) for name, one in configuration.udp_services.items()},
        },
    }
    found = {root: {name: one for name, one in below.items() if one} for root, below in families.items()}
    return {root: below for root, below in found.items() if below}


def router_written(router: StreamRouter) -> dict[str, Any]:
    """A router for connections, JSON-able."""
    written = write(ROUTER, router)
    if router.tls:
        written["tls"] = {"passthrough": True} if router.passthrough else {}
        if router.tls_options:
            written["tls"]["options"] = router.tls_options
    return written


def _server_written(server: StreamServer) -> dict[str, Any]:
    return {"address": server.address, "tls": True} if server.tls else {"address": server.address}


def service_written(service: StreamService) -> dict[str, Any]:
    """A service under its type, JSON-able."""
    if service.kind == "weighted":
        return {"weighted": {"services": [write(_MEMBER, member) for member in service.members]}}
    found: dict[str, Any] = {"servers": [_server_written(server) for server in service.servers]}
    if service.transport:
        found["serversTransport"] = service.transport
    if service.proxy_protocol:
        found["proxyProtocol"] = {"version": service.proxy_protocol}
    if service.termination_delay is not None:
        found["terminationDelay"] = round(service.termination_delay * 1000)
    if service.health_check is not None:
        found["healthCheck"] = write(TCP_HEALTH_CHECK, service.health_check)
    return {"loadBalancer": found}
