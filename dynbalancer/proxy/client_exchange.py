"""An exchange whose client speaks HTTP/1: how its answer is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dynbalancer.core.chunks import LAST_CHUNK, chunk
from dynbalancer.core.exchange import CHUNKED, UNTIL_CLOSE, Field, RequestHead, ResponseHead
from dynbalancer.core.http1 import write_response_head, write_trailers
from dynbalancer.proxy.forwarding import Forwarding
from dynbalancer.proxy.transports import reset

if TYPE_CHECKING:
    from dynbalancer.proxy.http1 import ServerConnection

#: What is read and thrown away of a request whose answer is out, in bytes.
LINGER_SIZE = 65536


class ClientExchange(Forwarding):
    """An exchange whose client speaks HTTP/1."""

    _chunked: bool = False

    def __init__(self, connection: ServerConnection, head: RequestHead) -> None:
        site = connection.site
        Forwarding.__init__(
            self,
            site.resource,
            head,
            site.entry_point,
            connection.client,
            connection.client_port,
            connection.trusted,
        )
        self.client_connection = connection

    def forwarded_fields(self, server: bytes) -> list[Field]:
        # A client rarely talks to two hosts over one connection: what was said last time mostly holds.
        connection = self.client_connection
        head = self.head
        key = (head.authority, head.upgrade)
        if connection.forwarded_for != key:
            connection.forwarded_for = key
            connection.forwarded = Forwarding.forwarded_fields(self, server)
        return connection.forwarded

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
            extra = b"Connection: close\r\n"
        elif self.head.version == 10:
            extra = b"Connection: keep-alive\r\n"
        self.pending = write_response_head(head, extra)

    def send_body(self, data: bytes) -> None:
        self.bytes_out += len(data)
        if self._chunked:
            data = chunk(data)
        if self.pending:
            data = self.pending + data
            self.pending = b""
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

    def end_tunnel(self, *, half: bool) -> None:
        self.flush()
        connection = self.client_connection
        if half:
            connection.transport.loseWriteConnection()
        else:
            connection.exchange = None
            connection.close()


def _short(length: int | None) -> bool:
    return length is not None and length <= LINGER_SIZE
