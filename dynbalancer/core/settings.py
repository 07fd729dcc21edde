"""What is fixed at start: entry points, limits, workers, logs. Filled in from flags, environment and file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from dynbalancer.core.model import NOTHING, Certificate, Configuration, EntryPoint

#: Before a path on the admin listener: the dashboard and nothing else, whatever the path is.
DASHBOARD_ALONE = "/dashboard@internal"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of anything one peer may send or hold. Sizes in bytes, times in seconds; 0 switches a time off.

    ``memory`` is what a process that serves clients may hold; 0: what its control group may.
    """

    request_line: int = 16384
    head: int = 32768
    fields: int = 100
    field_name: int = 256
    method: int = 32
    chunk_line: int = 1024
    trailers: int = 8192
    trailer_fields: int = 32
    response_head: int = 65536
    response_fields: int = 200
    interim_responses: int = 16
    pipelined: int = 16384
    handshake_time: float = 10.0
    head_time: float = 10.0
    body_time: float = 30.0
    request_time: float = 0.0
    idle_time: float = 60.0
    write_time: float = 60.0
    connect_time: float = 3.0
    response_time: float = 60.0
    tunnel_time: float = 3600.0
    upstream_idle_time: float = 90.0
    upstream_idle_connections: int = 200
    memory: int = 0

    #: What stands for ``;`` in a query once it is read: ``&``, as servers part at it that part at both.
    semicolon: ClassVar[bytes] = b"&"

    def at(self, entry_point: EntryPoint) -> Limits:
        """Those of an entry point, whose own times count; no part of a request has more time than all of it."""
        read, idle = entry_point.read_time, entry_point.idle_time
        whole = self.request_time if read is None else read
        parts = ("handshake_time", "head_time", "body_time")
        shorter: dict[str, Any] = {}
        if whole:
            shorter = {name: min(getattr(self, name) or whole, whole) for name in parts}
        idle = self.idle_time if idle is None else idle
        found = replace(self, request_time=whole, idle_time=idle, **shorter)
        return EscapingLimits(**asdict(found)) if entry_point.escape_semicolons else found


@dataclass(frozen=True, slots=True)
class EscapingLimits(Limits):
    """The same where a semicolon in a query is no separator: Traefik's ``encodeQuerySemicolons``."""

    semicolon: ClassVar[bytes] = b"%3B"


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The listener of the API and the dashboard. ``token`` empty: read-only for whoever reaches it.

    ``port`` 0: the system chooses. ``ping_only``: nothing but ``/ping`` is there. ``base_path`` (``/traefik``):
    all is there below this path too.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    dashboard: bool = True
    token: str = ""
    ping_only: bool = False
    base_path: str = ""


@dataclass(frozen=True, slots=True)
class AccessLogSettings:
    """Where each request is written, which ones, and what of them.

    ``path`` empty means standard output; ``format`` is ``common``, ``genericclf`` or ``json``; ``batch`` lines are
    written together (0: as many as seem good).

    A request is written where it has one of the ``statuses`` (ranges, both ends in), or was ``retried``, or took longer
    than ``slower_than`` seconds; with none of the three every request is.

    ``fields`` is ``keep`` or ``drop``, for all fields but those in ``field_modes`` (pairs of name and mode).
    ``headers`` and ``header_modes`` are the same for header fields, by lower-case name, and may be ``redact`` too;
    ``headers`` empty drops all but the two that the common line has. ``query`` is the same for the values of the query;
    empty redacts those that look like secrets.
    """

    path: str = ""
    format: str = "common"
    batch: int = 0
    statuses: tuple[tuple[int, int], ...] = ()
    retried: bool = False
    slower_than: float = 0.0
    fields: str = "keep"
    field_modes: tuple[tuple[str, str], ...] = ()
    headers: str = ""
    header_modes: tuple[tuple[str, str], ...] = ()
    query: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is fixed at start.

    ``providers`` maps the names of those switched on to their options. ``workers`` 0 means: forward in this process.
    ``user`` is ``user[:group]`` to become after the ports are bound, empty to stay; ``worker_user`` the one of the
    workers. ``accept_grace`` is how long requests are still accepted after SIGTERM, ``grace`` how long those in
    flight may go on then, ``throttle`` the least time between two routing tables, all in seconds. ``stall`` is how long
    the event loop of a process may stand still before that is logged, in seconds; 0 is for ever.
    ``secret`` is drawn at start, in hexadecimal: what workers sign and know again by it counts in all of them.
    ``certificates`` are pairs of files (or PEM texts), the certificate and its key; ``default_certificate`` is made at
    start, for names that no other certificate has. ``routing`` is what entry points ask for, redirections and
    middlewares of their own; whoever routes knows it as provider ``internal``. ``log_file`` is where our own lines go;
    empty: standard output.
    """

    entry_points: tuple[EntryPoint, ...] = (EntryPoint("http", 80),)
    api: ApiSettings | None = None
    providers: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: NOTHING)
    workers: int = 1
    access_log: AccessLogSettings | None = None
    limits: Limits = field(default_factory=Limits)
    accept_grace: float = 0.0
    grace: float = 10.0
    throttle: float = 0.1
    stall: float = 0.05
    retries: int = 2
    verify_upstream_tls: bool = True
    upstream_ca: str = ""
    log_level: str = "info"
    log_file: str = ""
    user: str = ""
    worker_user: str = ""
    secret: str = field(default="", repr=False)
    certificates: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    default_certificate: Certificate | None = None
    routing: Configuration = field(default_factory=Configuration)
