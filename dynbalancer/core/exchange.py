"""One request and its answer, as every part of the proxy sees it.

A :class:`RequestHead` or :class:`ResponseHead` is a message but its body. An :class:`Exchange` is both, with what was
decided on the way. Header names are looked up in lower case and keep the spelling they came with. Everything on the
wire is ``bytes``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dynbalancer.core.model import EntryPoint, TLSOptions
    from dynbalancer.core.table import Route, RoutingTable

#: Length of a body whose end is marked by its last chunk.
CHUNKED = -1

#: Of a request's body, what is held to send it again to another server, in octets, unless somebody wants more.
REPLAYED = 65536

#: From this size on, in bytes, it is dearer to put two pieces together, or one apart, than to handle both.
LARGE = 8192

#: A field: name in lower case, value without blanks around it, and both as they go on the wire (``Name: value`` CRLF).
Field = tuple[bytes, bytes, bytes]


def field_of(name: bytes, value: bytes) -> Field:
    """A field; the name may be in any letter case."""
    return name.lower(), value, b"%b: %b\r\n" % (name, value)


class Headers:
    """Header fields in order, duplicates kept. Names given to methods are lower case."""

    __slots__ = ("fields",)

    def __init__(self, fields: Iterable[Field] | None = None) -> None:
        self.fields: list[Field] = [] if fields is None else list(fields)

    @classmethod
    def of(cls, *pairs: tuple[bytes, bytes]) -> Headers:
        """From ``(name, value)`` pairs in any letter case."""
        return cls([field_of(name, value) for name, value in pairs])

    def get(self, name: bytes, default: bytes | None = None) -> bytes | None:
        """The first value of a field."""
        for lower, value, _ in self.fields:
            if lower == name:
                return value
        return default

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a field, in order."""
        return [value for lower, value, _ in self.fields if lower == name]

    def set(self, name: bytes, value: bytes) -> None:
        """Replace every field of this name (any letter case) by one."""
        lower = name.lower()
        self.fields = [field for field in self.fields if field[0] != lower]
        self.fields.append(field_of(name, value))

    def add(self, name: bytes, value: bytes) -> None:
        """Append one more field of this name (any letter case)."""
        self.fields.append(field_of(name, value))

    def remove(self, *names: bytes) -> None:
        """Drop every field with one of these lower-case names."""
        self.fields = [field for field in self.fields if field[0] not in names]

    def copy(self) -> Headers:
        """Independent of this one."""
        twin = Headers.__new__(Headers)
        twin.fields = self.fields.copy()
        return twin

    def __contains__(self, name: object) -> bool:
        return any(field[0] == name for field in self.fields)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return ((line[: len(lower)], value) for lower, value, line in self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.fields == other.fields

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"


class Alike:
    """What was made of the fields that several requests have in common.

    ``lines`` is how ``fields``, all of the last of them, go to a server: whoever uses it compares them, since anybody
    may have changed his own. ``said`` is what the access log says of fields that nobody has changed (empty: not known
    yet).
    """

    __slots__ = ("fields", "lines", "said")

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self.lines = b""
        self.said = ""

    def learn(self, fields: list[Field]) -> bytes:
        """Other fields now. Returns their lines."""
        self.fields = fields.copy()
        self.lines = lines = b"".join([line for _, _, line in fields])
        return lines


class RequestHead:
    """A request but its body, in the one normal form that routing, middlewares, logs and the server all use.

    ``host`` is lower case, without port and trailing dot (empty for an HTTP/1.0 request without Host); ``authority`` is
    the Host the server gets. ``path`` begins with ``/`` and is normalised (dot segments resolved, unreserved octets
    decoded); ``query`` is what followed ``?``, or None. ``version`` is 10 or 11 (HTTP/2: 20). ``length`` is None for no
    body, :data:`CHUNKED`, or the Content-Length. ``headers`` holds neither Host nor framing fields.
    """

    # Each of them is looked at several times for a request: nothing is found quicker than a slot.
    # fmt: off
    __slots__ = (
        "alike", "authority", "expect_continue", "final", "headers", "host", "keep_alive", "length", "logged",
        "method", "path", "port", "query", "scheme", "shared", "stamped", "upgrade", "version",
    )
    # fmt: on
    host: bytes
    authority: bytes
    port: int | None
    scheme: bytes
    version: int
    length: int | None
    keep_alive: bool
    upgrade: bytes | None
    expect_continue: bool
    #: It is for us and for no server: ``OPTIONS *``, or one that may go no further.
    final: bool
    #: What it has in common with others on its connection, where those were seen.
    alike: Alike | None
    #: What the access log says of it, where it was asked before: the target, and the fields.
    logged: tuple[str, str] | None
    #: The same with what holds for a second: see accesslines.
    stamped: tuple[float, str, str] | None
    #: It serves several exchanges, which all asked for the same: nobody may change it.
    shared: bool

    def __init__(
        self,
        method: bytes = b"GET",
        path: bytes = b"/",
        query: bytes | None = None,
        *,
        headers: Headers | None = None,
        **about: Any,
    ) -> None:
        """``about``: any of the attributes above. ``authority`` defaults to ``host``."""
        self.method = method
        self.path = path
        self.query = query
        self.headers = Headers() if headers is None else headers
        self.host = self.authority = b""
        self.scheme = b"http"
        self.version = 11
        self.port = self.length = self.upgrade = self.alike = self.logged = self.stamped = None
        self.keep_alive = True
        self.expect_continue = self.final = self.shared = False
        if about:
            about.setdefault("authority", about.get("host", b""))
            for name, value in about.items():
                setattr(self, name, value)

    def copy(self) -> RequestHead:
        """Independent of this one."""
        return self.but(self.method, self.path, self.query)

    def but(self, method: bytes, path: bytes, query: bytes | None) -> RequestHead:
        """A copy that asks for something else."""
        twin = RequestHead.__new__(RequestHead)
        twin.method = method
        twin.path = path
        twin.query = query
        twin.headers = self.headers.copy()
        twin.host = self.host
        twin.authority = self.authority
        twin.port = self.port
        twin.scheme = self.scheme
        twin.version = self.version
        twin.length = self.length
        twin.keep_alive = self.keep_alive
        twin.upgrade = self.upgrade
        twin.expect_continue = self.expect_continue
        twin.final = self.final
        twin.alike = self.alike
        # What the log says of this one, and whom it serves, need not hold for the copy.
        twin.logged = twin.stamped = None
        twin.shared = False
        return twin

    @property
    def target(self) -> bytes:
        """Path and query as they go on a request line."""
        return self.path if self.query is None else b"%b?%b" % (self.path, self.query)


class ResponseHead:
    """An answer but its body. ``length`` is None where there is no body, :data:`CHUNKED`, UNTIL_CLOSE or a length.

    ``wire`` is how it goes to an HTTP/1.1 client whose connection stays open, where that is known already; ``dated``
    whether that has a Date. Such a head may serve several answers: take a :meth:`copy` before you change it.
    """

    version: int = 11
    keep_alive: bool = True
    wire: bytes = b""
    dated: bool = False

    def __init__(
        self,
        status: int = 200,
        reason: bytes = b"",
        *,
        headers: Headers | None = None,
        length: int | None = 0,
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = Headers() if headers is None else headers
        self.length = length

    def copy(self) -> ResponseHead:
        """Independent of this one, and to be written anew."""
        twin = ResponseHead(self.status, self.reason, headers=self.headers.copy(), length=self.length)
        twin.version, twin.keep_alive = self.version, self.keep_alive
        return twin


#: Length of a response body that ends with its connection.
UNTIL_CLOSE = -2


class Response:
    """A whole answer that we give ourselves: what a middleware returns instead of asking a server."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.status = status
        self.body = body
        self.headers = Headers.of(*headers)


class WholeBody(Protocol):
    """A body that is complete; ``size`` in octets."""

    size: int

    def octets(self) -> bytes:
        """All of it, in memory."""

    def replace(self, data: bytes) -> None:
        """This in its place; whoever does that sets the length of the request's head too."""


class Exchange:
    """One request and its answer, and what was decided about them.

    ``client`` is the address of the peer (after the PROXY protocol), ``client_port`` its port. ``trusted`` says whether
    that peer may set X-Forwarded-* fields. ``started`` is a monotonic time in seconds. ``route`` and ``server`` stay
    None where no router matched and no server was asked. ``tries`` counts the servers asked. ``outcome`` is empty while
    it runs, then ``done``, ``refused`` (by us), ``client-gone``, or the reason of an
    :class:`~dynbalancer.errors.UpstreamError`.
    Where middlewares may have changed them, ``asked`` keeps path and query as they came, and ``origin`` status and
    fields of the server's answer. ``sent`` is the head of an answer of ours, ``forwarded`` when a server was first
    asked (monotonic seconds).
    ``notes`` is for middlewares to leave something for themselves between their hooks.

    What middlewares may ask for: ``filters``, through which the body of the answer goes (see IBodyFilter); ``retry``,
    which says whether another server is asked (see IRetryPolicy), and ``replayed``, how many octets of a request's body
    may be held for that; ``whole_answer``, how large the server's answer may be (None: any size) and how much of it is
    kept in memory, where it is to be complete before its head is sent (500 is the answer where it is larger);
    :meth:`whole_body`.
    """

    # Defaults stand on the class, see RequestHead.
    finished: float = 0.0
    table: RoutingTable | None = None
    route: Route | None = None
    server: Any = None
    response: ResponseHead | None = None
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    tries: int = 0
    outcome: str = ""
    user: bytes = b""
    notes: dict[str, Any] | None = None
    asked: tuple[bytes, bytes | None] | None = None
    origin: tuple[int, tuple[Field, ...]] | None = None
    sent: ResponseHead | None = None
    forwarded: float = 0.0
    filters: list[Any] | None = None
    retry: Any = None
    replayed: int = REPLAYED
    whole_answer: tuple[int | None, int] | None = None

    def __init__(
        self,
        head: RequestHead,
        entry_point: EntryPoint,
        client: str,
        client_port: int = 0,
        *,
        trusted: bool = False,
        started: float = 0.0,
    ) -> None:
        self.head = head
        self.entry_point = entry_point
        self.client = client
        self.client_port = client_port
        self.trusted = trusted
        self.started = started

    @property
    def tls_options(self) -> TLSOptions | None:
        """By which options its connection was begun; None where there was no connection."""
        return None

    def whole_body(self, most: int | None, memory: int) -> Awaitable[WholeBody | None]:
        """The request's body, once it is complete: to be waited for in ``on_request``.

        None where it has more than ``most`` octets. What goes beyond ``memory`` octets is kept in a file. The server
        gets it from there then, with its length.
        """
        raise NotImplementedError

    def client_certificates(self) -> Sequence[bytes]:
        """The certificates that the client has shown, its own first, in DER; none where it was not asked."""
        return ()
