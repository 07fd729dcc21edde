"""An exchange whose client speaks HTTP/1: how its answer is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dynbalancer.core.chunks import LAST_CHUNK, chunk
from dynbalancer.core.exchange import CHUNKED, LARGE, UNTIL_CLOSE, Field, RequestHead, ResponseHead
from dynbalancer.core.http1 import write_response_head, write_trailers
from dynbalancer.core.repeating import is_taken
from dynbalancer.core.request_reader import LENGTH
from dynbalancer.proxy.forwarding import Forwarding
from dynbalancer.proxy.showing import certificates_of
from dynbalancer.proxy.transports import reset

if TYPE_CHECKING:
    from dynbalancer.core.model import TLSOptions
    from dynbalancer.proxy.http1 import ServerConnection

#: What is read and thrown away of a request whose answer is out, in bytes.
LINGER_SIZE = 65536

#: What a client is told that can't take it for granted.
CLOSE, KEEP_ALIVE = b"Connection: close\r\n", b"Connection: keep-alive\r\n"


class ClientExchange(Forwarding):
    """An exchange whose client speaks HTTP/1."""

    # Every exchange has these, and no middleware sets them but the head: they leave good places to others, see USUAL.
    __slots__ = ("client_connection", "head", "request_complete", "resource")

    _chunked: bool = False

    def __init__(self, connection: ServerConnection, head: RequestHead, body: bytes = b"") -> None:
        """``body``: the whole of it, where it came with the head."""
        # What Forwarding does, without the call.
        site, peer = connection.site, connection.peer
        self.client_connection = connection
        self.resource = resource = site.resource
        self.head = head
        self.entry_point = site.entry_point
        self.client = peer.client
        self.client_port = connection.client_port
        self.trusted = peer.trusted
        self.started = resource.clock()
        # Both stand on the class as well; here they are found quicker.
        self.tries = 0
        if body:
            self.request_complete = True
            self.bytes_in = len(body)
            self._body = [body]
        elif head.length:
            self.request_complete = False
            self._body = []
        else:
            self.request_complete = True

    def forwarded_fields(self, head: RequestHead, server: bytes) -> list[Field]:
        return self.client_connection.peer.forwarded_fields(head, server)

    def send_interim(self, head: ResponseHead) -> None:
        self.client_connection.transport.write(write_response_head(head))

    def send_head(self, head: ResponseHead) -> None:
        connection = self.client_connection
        self.status = head.status
        length = head.length
        close = not self.head.keep_alive or connection.closing
        if length in (CHUNKED, UNTIL_CLOSE):
            if self.head.version == 10:
                head.length = UNTIL_CLOSE
                close = True
            else:
                head.length = CHUNKED
                self._chunked = True
        if not self.request_complete and (self.head.expect_continue or not _short(self.head.length)):
            # Whoever still has much to send had better not wait for us to read it all.
            close = True
        extra = b""
        if close:
            connection.close_after()
            extra = CLOSE
        elif self.head.version == 10:
            extra = KEEP_ALIVE
        self.pending = write_response_head(head, extra)
        date = self.resource.date
        if date is not None and b"\r\nDate: " not in self.pending and b"date" not in head.headers:
            self.pending = _with_line(self.pending, date())
        if self.learning and not extra:
            self._learn(head)

    def _learn(self, head: ResponseHead) -> None:
        """What the middlewares made of the server's answer may come again, unless there is more to it than a head."""
        known, origin = self.client_connection.known, self.origin
        if (
            known is not None
            and known.head is self.head
            and origin is not None
            and self.sent is None
            and self.between is None
            and self.filters is None
        ):
            known.learn(self.learning, head, self.pending, origin)

    def body_at_hand(self) -> bool:
        connection = self.client_connection
        return connection.reading == LENGTH and connection.at_hand != b""

    def relay(self, head: ResponseHead, body: bytes | memoryview) -> bool:
        connection = self.client_connection
        request = self.head
        route = self.route
        undated = not (head.dated or self.resource.date is None)
        if route is None or undated or not self.request_complete:
            return False
        if route.middlewares:
            known = connection.known
            if known is None or known.head is not request or self.attendants:
                return False
            if known.told != head.wire or known.answer is None:
                if self.retry is None or is_taken(self.retry, self, head.status):
                    self.learning = head.wire
                return False
            head = known.answer
            self.origin = known.origin
        self.response = head
        self.status = head.status
        self.bytes_out = len(body)
        wire = head.wire
        if not request.keep_alive or connection.closing:
            connection.close_after()
            wire = _with_line(wire, CLOSE)
        elif request.version == 10:
            wire = _with_line(wire, KEEP_ALIVE)
        if len(body) <= LARGE:
            connection.transport.write(wire + body)
        else:
            connection.transport.writeSequence((wire, body))
        # The rest is response_ended and all that follows, for an answer without trailers that is out already.
        upstream, server = self._upstream, self.connection
        self.connection = self._upstream = self._candidates = None
        self.outcome = "done"
        self.over = True
        if upstream is not None:
            upstream.in_flight -= 1
        self.resource.exchange_over(self)
        if server is not None:
            server.release(self.finished)
        connection.exchange_over()
        return True

    def send_body(self, data: bytes) -> None:
        self.bytes_out += len(data)
        if self._chunked:
            data = chunk(data)
        if self.pending:
            pending, self.pending = self.pending, b""
            if len(data) > LARGE:
                self.client_connection.transport.writeSequence((pending, data))
                return
            data = pending + data
        self.client_connection.transport.write(data)

    def send_end(self, trailers: Sequence[Field]) -> None:
        if self._chunked:
            wanted = trailers and self.head.headers.get(b"te") is not None
            self.pending += write_trailers(trailers) if wanted else LAST_CHUNK
        if self.pending:
            self.flush()
        self.client_connection.exchange_over()

    def cut(self) -> None:
        connection = self.client_connection
        self.flush()
        connection.exchange = None
        if self._chunked:
            # Without its last chunk the body is visibly incomplete, and what was sent still arrives.
            connection.close()
        elif self.response is not None and self.response.length == UNTIL_CLOSE:
            # Here an ordinary end would say that the body is complete.
            connection.stop()
            reset(connection.transport)
        else:
            connection.abort()

    def flush(self) -> None:
        pending, self.pending = self.pending, b""
        if pending:
            self.client_connection.transport.write(pending)

    def pause_request(self) -> None:
        self.client_connection.pause(1)

    def resume_request(self) -> None:
        self.client_connection.resume(1)

    def start_tunnel(self, head: ResponseHead) -> bytes:
        connection = self.client_connection
        connection.transport.write(write_response_head(head, b"Connection: Upgrade\r\n"))
        connection.site.deadlines.set(connection, connection.limits.tunnel_time)
        ahead = connection.tunnel()
        connection.resume(2)
        return ahead

    @property
    def tls_options(self) -> TLSOptions | None:
        return self.client_connection.tls_options

    def client_certificates(self) -> Sequence[bytes]:
        connection = self.client_connection
        shown = connection.certificates
        if shown is None:
            shown = connection.certificates = certificates_of(connection.transport)
        return shown

    def end_tunnel(self, *, half: bool) -> None:
        self.flush()
        connection = self.client_connection
        if half:
            connection.transport.loseWriteConnection()
        else:
            connection.exchange = None
            connection.close()


#: What every exchange sets on its way, and in the last line what those through middlewares do.
# fmt: off
USUAL = (
    "entry_point", "client", "client_port", "trusted", "started", "bytes_in", "_body_size", "notes", "replayed",
    "tries", "table", "route", "wire", "_candidates", "forwarded", "_upstream", "server",
    "cancel", "connection", "response", "status", "bytes_out", "outcome", "over", "finished",
    "asked", "origin", "retry", "pending", "_body",
)
# fmt: on


def _lay_out() -> None:
    """Let the usual attributes have the best places.

    CPython finds the first thirty names that a class's instances were given without a dictionary. With others among
    them, because the first requests were unusual ones, each exchange costs a sixth more instructions, for ever.
    """
    first = ClientExchange.__new__(ClientExchange)
    for name in USUAL:
        setattr(first, name, None)


_lay_out()


def _with_line(wire: bytes, line: bytes) -> bytes:
    """A head with one more line at its end."""
    return b"%b%b\r\n" % (wire[:-2], line)


def _short(length: int | None) -> bool:
    """Whether a body is known to be short: of a chunked one nobody knows."""
    return length is not None and 0 <= length <= LINGER_SIZE
