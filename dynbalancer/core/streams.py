"""What can be configured for connections that are not HTTP, and for datagrams, as values.

Part of :mod:`dynbalancer.core.model`. Middlewares of connections are ordinary definitions of middlewares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynbalancer.core.model import HealthCheck, Member

#: Servers of its own, or other services in turn.
STREAM_SERVICE_KINDS = ("loadBalancer", "weighted")

#: How long the second half of a connection may stay open when the first is closed, in seconds (Traefik's default).
TERMINATION_DELAY = 0.1


@dataclass(frozen=True, slots=True)
class StreamRouter:
    """Which connections, or datagrams, go to which service. Routers of datagrams have no rule.

    ``tls``: connections that begin with TLS, which ends here unless ``passthrough``, by ``tls_options`` if they are
    named. ``dialect`` is ``v2`` or ``v3``;
    ``priority`` 0 means: the length of the rule, and after all others where it is ``HostSNI(`*`)``.
    """

    name: str
    rule: str = ""
    service: str = ""
    entry_points: tuple[str, ...] = ()
    middlewares: tuple[str, ...] = ()
    priority: int = 0
    dialect: str = "v3"
    tls: bool = False
    passthrough: bool = False
    origin: str = ""
    tls_options: str = ""


@dataclass(frozen=True, slots=True)
class StreamServer:
    """One place connections or datagrams go to: ``address`` is host and port (``10.0.0.2:5432``, IPv6 in brackets).

    ``tls``: it is spoken to with TLS. The rest is as of a model.Server.
    """

    address: str
    tls: bool = False
    state: str = "ready"
    name: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class StreamService:
    """Servers in turn, or ``members``: other services by their weights.

    ``proxy_protocol`` is the version of the header that servers get first, 0 for none. ``termination_delay`` in
    seconds, below 0 for ever; None: as the transport says. ``transport`` names a :class:`StreamTransport`.
    """

    name: str
    servers: tuple[StreamServer, ...] = ()
    members: tuple[Member, ...] = ()
    kind: str = "loadBalancer"
    transport: str = ""
    proxy_protocol: int = 0
    termination_delay: float | None = None
    origin: str = ""
    health_check: HealthCheck | None = None


@dataclass(frozen=True, slots=True)
class StreamTransport:
    """How servers are connected to. Times in seconds; None: as the settings say.

    ``root_cas``, and the chains and keys of ``certificates`` (shown to servers that ask for one), are PEM texts.
    """

    name: str
    dial_time: float | None = None
    keep_alive: float = 15.0
    termination_delay: float = TERMINATION_DELAY
    proxy_protocol: int = 0
    server_name: str = ""
    insecure: bool = False
    root_cas: tuple[str, ...] = ()
    certificates: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    origin: str = ""
