"""Health checks, as far as they are thought: what a server is asked, what its answer means, when it is asked again.

And what follows for the routing: a server that does not pass gets no requests. Who asks is
:mod:`dynbalancer.control.healthchecks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar
from urllib.parse import urljoin, urlsplit

from dynbalancer.core.model import NOTHING, HealthCheck, Server, Service
from dynbalancer.core.schema import SERVER_PORTS
from dynbalancer.core.streams import StreamServer, StreamService
from dynbalancer.core.targets import split_target
from dynbalancer.errors import Problem, RequestError, printable

AnyService = Service | StreamService
AnyServer = Server | StreamServer
S = TypeVar("S", Service, StreamService)

#: A server of a service: name of the service, URL (or address), what runs there.
Key = tuple[str, str, str]

#: The families of services in a configuration whose servers may be asked.
FAMILIES = ("services", "tcp_services")

#: States of a server, in a provider's words, in which it is asked. One that is leaving, or just starts, is left alone.
ASKED = ("ready", "down")

#: How often a server may send us elsewhere (Go's client, and so Traefik, gives up after as many).
REDIRECTS = 10

#: A server that never passed is asked again after so many seconds, doubled with each failure, until it is the interval:
#: most need a moment to start.
FIRST_PATIENCE = 1.0

#: No server is asked more often than this, in seconds.
SHORTEST_WAIT = 0.05

#: This part of an interval is left to chance, so that many servers are not asked at the same moment.
JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Question:
    """What a server is asked: where it is, and what is sent. ``tls``: over TLS, as ``transport`` of ``service`` says.

    ``authority`` is the Host field, ``target`` path and query. ``timeout`` is for all of it, in seconds. ``mode``
    ``tcp``: the service is one of TCP.
    """

    service: str
    host: str
    port: int
    tls: bool = False
    transport: str = ""
    mode: str = "http"
    method: str = "GET"
    authority: str = ""
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    follows: bool = False
    send: bytes = b""
    expect: bytes = b""
    timeout: float = 5.0

    def request(self) -> bytes:
        """The octets to send."""
        if self.mode != "http":
            return self.send
        given = {name.lower() for name, _ in self.headers}
        fields = [
            *((name, value) for name, value in _OWN if name.lower() not in given),
            *self.headers,
            *(() if self.method in _BODILESS else (("Content-Length", "0"),)),
            ("Connection", "close"),
        ]
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        return f"{self.method} {self.target} HTTP/1.1\r\nHost: {self.authority}\r\n{lines}\r\n".encode()


#: Fields that are sent where the check has none of the name; and methods of which nobody expects a body.
_OWN = (("User-Agent", "dynbalancer"), ("Accept", "*/*"))
_BODILESS = ("GET", "HEAD", "OPTIONS", "TRACE", "DELETE")


def place_of(server: AnyServer) -> str:
    """Where it is: its URL, or its address."""
    return server.url if isinstance(server, Server) else server.address


def question_of(service: AnyService, server: AnyServer) -> Question | None:
    """What to ask a server of this service; None where there is no way or no wish to."""
    check = service.health_check
    http = isinstance(server, Server)
    if check is None or (check.mode == "http") is not http or (http and not check.path):
        return None
    try:
        parts = urlsplit(server.url if isinstance(server, Server) else f"//{server.address}")
        port = check.port or parts.port or SERVER_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    scheme = check.scheme or parts.scheme
    if not parts.hostname or not port or (http and scheme not in ("http", "https")):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Question(
        service.name,
        parts.hostname,
        port,
        scheme == "https" if isinstance(server, Server) else server.tls,
        service.transport,
        check.mode,
        check.method,
        check.hostname or f"{host}:{port}",
        check.path or "/",
        check.headers,
        check.follow_redirects,
        check.send.encode(),
        check.expect.encode(),
        check.timeout,
    )


def redirected(question: Question, status: int, location: bytes | None) -> Question | None:
    """What to ask next, where the answer sends us on and we go. Only ever at the same server.

    Who can set labels must not get us to ask whom he likes; so what leads to another place counts as it stands.
    """
    if not question.follows or location is None or status not in (301, 302, 303, 307, 308):
        return None
    scheme = "https" if question.tls else "http"
    try:
        parts = urlsplit(
            urljoin(f"{scheme}://{question.authority}{question.target}", location.decode("ascii").strip())
        )
        port = parts.port or SERVER_PORTS.get(parts.scheme, 0)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        split_target(target.encode("ascii"))
    except (ValueError, RequestError):
        return None
    here = {_place(question.authority, scheme), (question.host.lower(), question.port)}
    if parts.scheme != scheme or ((parts.hostname or "").lower(), port) not in here:
        return None
    keeps = status in (307, 308) or question.method in ("GET", "HEAD")
    return replace(question, target=target, method=question.method if keeps else "GET")


def _place(authority: str, scheme: str) -> tuple[str, int]:
    parts = urlsplit(f"//{authority}")
    return (parts.hostname or "").lower(), parts.port or SERVER_PORTS[scheme]


def fault(check: HealthCheck, status: int) -> str:
    """Why an answer with this status is not good; empty where it is."""
    if check.status:
        good, wanted = status == check.status, f", not {check.status}"
    else:
        good, wanted = 200 <= status < 400, ""
    return "" if good else f"status {status} from {check.path}{wanted}"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a server does in its health check.

    A server is up until it fails, as in Traefik. ``why`` is the last failure while it is down, ``failures`` how many
    there were in a row; ``since`` and ``checked`` are Unix times: of its state, and of the last answer (0: none yet).
    ``proven``: it has passed before.
    """

    since: float
    up: bool = True
    why: str = ""
    failures: int = 0
    checked: float = 0.0
    proven: bool = False

    def after(self, why: str, now: float) -> Standing:
        """What it is after one more answer; ``why`` is empty where that was good."""
        up = not why
        return Standing(
            self.since if up == self.up else now,
            up,
            why,
            0 if up else self.failures + 1,
            now,
            self.proven or up,
        )


def wait_after(standing: Standing, check: HealthCheck, spent: float, chance: float) -> float:
    """Seconds until a server is asked again. ``spent`` went by since it was; ``chance`` is a number in [0, 1)."""
    interval = check.interval
    if not standing.up:
        interval = check.unhealthy_interval or interval
        if not standing.proven:
            interval = min(interval, FIRST_PATIENCE * 2 ** min(standing.failures - 1, 30))
    return max(interval * (1 - JITTER * chance) - spent, SHORTEST_WAIT)


class Verdicts(Generic[S]):
    """Puts what health checks found over what providers say. What was the same the last time is the same object."""

    def __init__(self) -> None:
        self._said: Mapping[str, S] = NOTHING
        self._down: frozenset[Key] = frozenset()
        self._made: dict[str, S] = {}
        self._whole: Mapping[str, S] = NOTHING

    def over(self, said: Mapping[str, S], down: frozenset[Key]) -> Mapping[str, S]:
        """The services with those servers down."""
        if said is not self._said or down != self._down:
            self._made = {service.name: service for service in self._judged(said, down)}
            self._whole = {**said, **self._made} if self._made else said
            self._said, self._down = said, down
        return self._whole

    def _judged(self, said: Mapping[str, S], down: frozenset[Key]) -> Iterable[S]:
        for name in dict.fromkeys(sorted(key[0] for key in down)):
            service = said.get(name)
            if service is None:
                continue
            servers: Any = tuple(
                replace(server, state="down")
                if server.state == "ready" and key_of(service, server) in down
                else server
                for server in service.servers
            )
            if servers != service.servers:
                judged = replace(service, servers=servers)
                before = self._made.get(name)
                yield judged if before is None or before != judged else before


def key_of(service: AnyService, server: AnyServer) -> Key:
    """Which server it is, whatever else of it changes."""
    return service.name, place_of(server), server.instance


def outage(service: AnyService, standings: Mapping[Key, Standing]) -> Problem | None:
    """A Problem where no server of a service takes requests, and health checks have a part in that."""
    reasons = []
    for server in service.servers:
        standing = standings.get(key_of(service, server))
        failing = standing is not None and not standing.up
        if server.state == "ready" and not failing:
            return None
        if failing and standing is not None:
            reasons.append(f"{server.name or place_of(server)}: {standing.why}")
    if not reasons:
        return None
    what = "requests are answered with 503" if isinstance(service, Service) else "connections are closed"
    few = "; ".join(reasons[:3]) + (f"; and {len(reasons) - 3} more" if len(reasons) > 3 else "")
    return Problem(
        f"healthCheck {service.name}",
        f"none of its servers is up, {what} ({printable(few)})",
        "see what the servers say there, or correct the health check",
    )
