"""What can be configured, as values.

A provider says what it found as one :class:`Configuration`. Values are frozen: change one with
``dataclasses.replace``. Names inside one provider are plain (``web``); after the merge they carry the provider
(``web@docker``). Keys of files and APIs are camelCase; only :mod:`dynbalancer.core.codec` translates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from dynbalancer.core.streams import StreamRouter, StreamService, StreamTransport
from dynbalancer.errors import Problem

#: What a server may be: taking requests, finishing the ones it has, not to be used, not yet there, taken out by hand.
SERVER_STATES = ("ready", "draining", "down", "starting", "maintenance")

#: Servers of its own, or other services in turn, with copies, in order, or by the client's address.
SERVICE_KINDS = ("loadBalancer", "weighted", "mirroring", "failover", "highestRandomWeight")

#: Which manner of Traefik's a definition was written in; a definition behaves as its own version did.
DIALECTS = ("v1", "v2", "v3")

#: What TLS may want of clients: not to be asked, to be asked, to show any certificate, to show none or one that is
#: verified, to show one that is verified.
CLIENT_AUTH = (
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
)
#: Those that keep clients out, and those that verify what they show.
DEMANDING = ("RequireAnyClientCert", "RequireAndVerifyClientCert")
VERIFYING = ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """Where we listen. ``host`` empty means every address. Addresses in ``trusted`` (CIDR or IP) may set X-Forwarded-*.

    ``as_default``: routers that name no entry point use those with this mark, or all where none has it.
    ``tls``: only TLS is spoken here, and every router attached to it answers over TLS, whatever it says itself.
    ``tls_options`` names those of its routers that have no ``tls`` of their own.
    Addresses in ``proxy_trusted`` may begin with a PROXY header that says who the client is.
    ``middlewares`` see the requests of every router attached to it, before the router's own.
    ``max_connections`` it has at a time, ``max_connections_per_address`` from one address; 0: any number.
    ``read_time`` is how long a request may take to come whole, ``idle_time`` how long a connection without one is kept,
    in seconds, 0 for ever; None: as long as the limits of all say.
    ``access_log``: its requests are written there, where there is one and their router doesn't say otherwise.
    ``udp``: datagrams come in here, and nothing else; a client that is silent for ``udp_timeout`` seconds is forgotten.
    ``escape_semicolons``: ``;`` in a query becomes ``%3B`` and not ``&``.
    """

    name: str
    port: int
    host: str = ""
    as_default: bool = False
    trusted: tuple[str, ...] = ()
    trust_all: bool = False
    tls: bool = False
    proxy_trusted: tuple[str, ...] = ()
    proxy_trust_all: bool = False
    middlewares: tuple[str, ...] = ()
    udp: bool = False
    udp_timeout: float = 3.0
    max_connections: int = 0
    max_connections_per_address: int = 0
    access_log: bool = True
    tls_options: str = ""
    read_time: float | None = None
    idle_time: float | None = None
    escape_semicolons: bool = False

    @property
    def takes_proxy_header(self) -> bool:
        """Whether a connection may begin with a PROXY header."""
        return self.proxy_trust_all or bool(self.proxy_trusted)

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}{'/udp' if self.udp else ''}"


@dataclass(frozen=True, slots=True)
class Server:
    """One place a service can send requests to.

    ``url`` is scheme, host and port (``http://10.0.0.2:80``, IPv6 in brackets). ``instance`` says *what* runs there
    (a container id): two servers with one URL but different instances never share a connection. ``name`` is for people.
    """

    url: str
    weight: int = 1
    state: str = "ready"
    name: str = ""
    instance: str = ""
    preserve_path: bool = False


@dataclass(frozen=True, slots=True)
class Sticky:
    """A cookie that keeps a client with its server, or with its member of a weighted service.

    ``name`` empty: one is made of the service's name. ``same_site`` is ``none``, ``lax``, ``strict`` or empty.
    ``max_age`` in seconds; 0: until the browser is closed, below 0: forgotten at once.
    """

    name: str = ""
    secure: bool = False
    http_only: bool = False
    same_site: str = ""
    max_age: int = 0
    path: str = "/"
    domain: str = ""


@dataclass(frozen=True, slots=True)
class PassiveHealth:
    """A server with so many failures (no answer, or 5xx) in a window of seconds is left out for as long."""

    failure_window: float = 10.0
    max_failed_attempts: int = 1


@dataclass(frozen=True, slots=True)
class Member:
    """A service that another one is made of. ``percent`` of the requests are copied to a mirror."""

    name: str
    weight: int = 1
    percent: int = 0


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How the servers of a service are asked how they are. Times are in seconds.

    Asked is ``path`` at the server itself; ``scheme`` and ``port`` (0: none) take the place of the server's,
    ``hostname`` that of its address in the Host field, ``headers`` are added. A server is up where it answers with
    ``status`` (0: any 2xx or 3xx) within ``timeout``. ``unhealthy_interval`` 0 means ``interval``.

    ``mode`` is ``http``, or ``tcp``: then to be connected counts, and after ``send`` what comes back has to begin with
    ``expect``. Without a ``path`` in mode ``http`` nobody is asked.

    The defaults are Traefik v3's. In v1 ``follow_redirects`` is always false; it has no ``mode``, ``method``,
    ``status``, ``timeout`` and ``unhealthy_interval``, and behaves by the defaults of these.
    """

    path: str = ""
    scheme: str = ""
    mode: str = "http"
    hostname: str = ""
    port: int = 0
    interval: float = 30.0
    unhealthy_interval: float = 0.0
    timeout: float = 5.0
    method: str = "GET"
    status: int = 0
    follow_redirects: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    send: str = ""
    expect: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """Servers and how to balance between them, or ``members``: other services and how to choose among those.

    ``strategy`` names a balancer (``wrr``). Which fields count depends on ``kind``: ``loadBalancer`` has servers;
    ``weighted`` and ``highestRandomWeight`` have members with weights; of ``mirroring`` the first member answers and
    the others get copies, of ``failover`` the second is asked where the first can't or answers with one of
    ``error_statuses`` (``500-599``). ``max_body`` is how much of a body is kept for a copy or the second one, in bytes;
    -1 is no limit. ``transport`` names a :class:`ServersTransport`. ``follows_health``: it is down when its members
    are. ``flush_interval`` is in seconds; below 0: at each write.
    """

    name: str
    servers: tuple[Server, ...] = ()
    strategy: str = "wrr"
    pass_host_header: bool = True
    dialect: str = "v3"
    origin: str = ""
    kind: str = "loadBalancer"
    sticky: Sticky | None = None
    passive_health: PassiveHealth | None = None
    transport: str = ""
    members: tuple[Member, ...] = ()
    middlewares: tuple[str, ...] = ()
    flush_interval: float = 0.1
    mirror_body: bool = True
    max_body: int = -1
    error_statuses: tuple[str, ...] = ()
    follows_health: bool = False
    health_check: HealthCheck | None = None


#: The serversTransport by which servers are shown the certificates of the entry points, as v1's passTLSCert asks for.
#: Whoever reads those of the settings gives it.
SHOWING_CERTIFICATES = "entrypoints@settings"


@dataclass(frozen=True, slots=True)
class ServersTransport:
    """How the servers of a service are connected to. What is None is as the settings say. Times in seconds.

    ``root_cas``, and the chains and keys of ``certificates`` (shown to servers that ask for one), are PEM texts.
    ``server_name`` is asked for by SNI, and checked; ``peer_uri`` must be among the names of a server's certificate.
    """

    name: str
    server_name: str = ""
    insecure: bool = False
    root_cas: tuple[str, ...] = ()
    certificates: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    cipher_suites: tuple[str, ...] = ()
    min_version: str = ""
    max_version: str = ""
    max_idle: int | None = None
    dial_time: float | None = None
    response_time: float | None = None
    idle_time: float | None = None
    peer_uri: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Middleware:
    """The definition of a middleware: its type (``addPrefix``) and settings, keys as in the configuration."""

    name: str
    type: str
    settings: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    origin: str = ""

    @property
    def asks(self) -> str:
        """The service that it asks for pages, as it is written; empty where it asks none."""
        if self.type.lower() != "errors":
            return ""
        return next(
            (str(value) for key, value in self.settings.items() if key.lower() == "service"), ""
        ).strip()


@dataclass(frozen=True, slots=True)
class Router:
    """Which requests go to which service.

    ``rule`` is kept as written; ``dialect`` says how to read it. ``priority`` 0 means: the length of the rule.
    ``entry_points`` empty means the default ones. ``tls`` None: plain requests only. ``tls_options`` empty: those named
    default. ``origin`` says where the definition came from, in the reader's words (``container web-1``).
    ``access_log``: whether its requests are written there; None: as its entry point says.
    """

    name: str
    rule: str
    service: str
    entry_points: tuple[str, ...] = ()
    middlewares: tuple[str, ...] = ()
    priority: int = 0
    dialect: str = "v3"
    tls: bool = False
    origin: str = ""
    access_log: bool | None = None
    tls_options: str = ""


@dataclass(frozen=True, slots=True)
class TLSOptions:
    """How TLS is spoken with clients, and whom it lets in. What is empty is as it is without options.

    ``min_version`` is spelled as Go does (``VersionTLS12``), ``cipher_suites`` and ``curves`` as OpenSSL does;
    ``protocols`` are those of ALPN, None: the usual ones. ``client_auth`` is one of :data:`CLIENT_AUTH`, and
    ``client_cas`` are the authorities, PEM texts, that clients' certificates are verified by. ``sni_strict``: a name
    without a certificate ends the handshake. ``broken`` says why they can't be used: then nobody is let in by them.
    """

    name: str
    min_version: str = ""
    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    protocols: tuple[str, ...] | None = None
    client_auth: str = "NoClientCert"
    client_cas: tuple[str, ...] = field(default=(), repr=False)
    sni_strict: bool = False
    tickets: bool = True
    broken: str = ""
    origin: str = ""

    @property
    def demands(self) -> bool:
        """Whether not everybody gets through a handshake."""
        return bool(self.broken) or self.client_auth in DEMANDING

    @property
    def admission(self) -> tuple[object, ...]:
        """Who gets through a handshake: equal for options that let the same clients in."""
        return self.client_auth, self.client_cas if self.client_auth in VERIFYING else (), self.broken


@dataclass(frozen=True, slots=True)
class Certificate:
    """A chain of certificates and the private key of its first, both as PEM text.

    ``names`` are the DNS names it is for, in small letters (``a.example``, ``*.a.example``). ``default``: it answers
    whoever asks for a name that no certificate has. ``expires`` is a Unix time. The key is never shown.
    """

    name: str
    chain: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    names: tuple[str, ...] = ()
    default: bool = False
    expires: float = 0.0
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing a provider looked at (a container, a file), used or not, and why.

    ``verdict`` is ``routed``, ``ignored`` or ``refused``; ``why`` explains it in a sentence. ``gave`` lists the names
    of routers and services it is part of. ``details`` are plain facts to show (image, networks, state …), ``labels``
    those with our prefixes.
    """

    id: str
    name: str
    kind: str = "container"
    verdict: str = "routed"
    why: str = ""
    gave: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    details: Mapping[str, str] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that one provider says, or all of them merged. Each mapping is keyed by the ``name`` of its values.

    Two configurations are *the same routing* if :attr:`routing` is equal; problems and items may differ.
    """

    routers: Mapping[str, Router] = field(default_factory=lambda: NOTHING)
    services: Mapping[str, Service] = field(default_factory=lambda: NOTHING)
    middlewares: Mapping[str, Middleware] = field(default_factory=lambda: NOTHING)
    problems: tuple[Problem, ...] = ()
    items: tuple[Item, ...] = ()
    certificates: Mapping[str, Certificate] = field(default_factory=lambda: NOTHING)
    transports: Mapping[str, ServersTransport] = field(default_factory=lambda: NOTHING)
    tcp_routers: Mapping[str, StreamRouter] = field(default_factory=lambda: NOTHING)
    tcp_services: Mapping[str, StreamService] = field(default_factory=lambda: NOTHING)
    tcp_middlewares: Mapping[str, Middleware] = field(default_factory=lambda: NOTHING)
    tcp_transports: Mapping[str, StreamTransport] = field(default_factory=lambda: NOTHING)
    udp_routers: Mapping[str, StreamRouter] = field(default_factory=lambda: NOTHING)
    udp_services: Mapping[str, StreamService] = field(default_factory=lambda: NOTHING)
    tls_options: Mapping[str, TLSOptions] = field(default_factory=lambda: NOTHING)

    @property
    def routing(self) -> tuple[Mapping[str, Any], ...]:
        """What decides about requests: routers, services, middlewares, certificates, transports; and of streams."""
        http = self.routers, self.services, self.middlewares, self.certificates, self.transports
        return *http, *self.streaming, self.tls_options

    @property
    def streaming(self) -> tuple[Mapping[str, Any], ...]:
        """What decides about connections that are not HTTP, and about datagrams."""
        tcp = self.tcp_routers, self.tcp_services, self.tcp_middlewares, self.tcp_transports
        return *tcp, self.udp_routers, self.udp_services


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """How a provider is doing. ``state``: ``waiting`` (said nothing yet), ``fresh`` or ``stale`` (last good kept).

    ``since`` and ``published`` are Unix times in seconds; ``reason`` is set when stale.
    """

    name: str
    state: str = "waiting"
    since: float = 0.0
    published: float = 0.0
    reason: str = ""
    configuration: Configuration = field(default_factory=Configuration)


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history: table ``number``, Unix time, cause, and the names that came, went or changed."""

    number: int
    time: float
    cause: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker: ``state`` is ``starting``, ``serving``, ``stopping`` or ``failed``; ``table``: what it last took."""

    number: int
    pid: int
    state: str
    table: int = 0
    restarts: int = 0
    since: float = 0.0
