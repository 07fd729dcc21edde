"""The request of an exchange, on its way from the client to a server.

:class:`Receiving` is the half of an exchange that takes the request's body: it passes it on as it comes, and holds what
may have to be sent again, or all of it where a middleware wants that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed

from dynbalancer.core.chunks import LAST_CHUNK, chunk
from dynbalancer.core.exchange import CHUNKED, Field, ResponseHead
from dynbalancer.core.http1 import allowed_trailers, write_trailers
from dynbalancer.errors import RequestError
from dynbalancer.proxy.answering import Answering, plain_response
from dynbalancer.proxy.bodies import Copied, KeptBody, Pump

if TYPE_CHECKING:
    from dynbalancer.proxy.upstream_connection import UpstreamConnection


class Receiving(Answering):
    """An exchange while its request comes."""

    # Defaults stand on the class: what a request doesn't need isn't set.
    tunnelling: bool = False
    #: The request's body where that is kept as a whole.
    kept: KeptBody | None = None
    #: The pieces of the body so far, while they may have to be sent (again); None once they are gone.
    _body: list[bytes] | None = None
    _body_size: int = 0
    #: The head for the server, while octets of the body are at hand that it can be written with.
    _unsent: bytes = b""
    _trailers: Sequence[Field] = ()
    _paused: bool = False
    _complete: Deferred[KeptBody | None] | None = None
    _pump: Pump | None = None
    #: What the body may have at most, in octets, and copies of it for others.
    most_body: int | None = None
    copies: tuple[Copied, ...] = ()

    def pause_request(self) -> None:
        """Take no more of the request's body for now."""
        raise NotImplementedError

    def resume_request(self) -> None:
        """Go on."""
        raise NotImplementedError

    def body_at_hand(self) -> bool:
        """Whether octets of the body will come before anything else happens."""
        return False

    def request_body(self, data: bytes) -> None:
        """Octets of the request's body, or of the tunnel, came from the client."""
        self.bytes_in += len(data)
        if self.tunnelling:
            if self.connection is not None:
                self.connection.transport.write(data)
            return
        if self.most_body is not None and self.bytes_in > self.most_body:
            self.limit_body(self.most_body)
            return
        for copied in self.copies:
            copied.add(data)
        if self._body is not None:
            self._body_size += len(data)
            if self._body_size <= self.replayed or self.connection is None:
                self._body.append(data)
                if self._body_size > self.replayed and not self._paused:
                    self._paused = True
                    self.pause_request()
            else:
                self._body = None
        elif self.kept is not None:
            self._keep(data)
            return
        if self.connection is not None:
            self._write_body(data)

    def request_ended(self, trailers: list[Field]) -> None:
        """The request's body is complete."""
        self.request_complete = True
        self._trailers = trailers
        if self.kept is not None:
            if not trailers:
                self.head.length = self.kept.size
            self._kept(self.kept)
        elif self.connection is not None:
            self._end_request(self.connection)

    def _write_body(self, data: bytes) -> None:
        assert self.connection is not None
        if self._unsent:
            data = self._unsent + data
            self._unsent = b""
            self.connection.transport.write(data)
        elif data:
            self.connection.transport.write(chunk(data) if self.head.length == CHUNKED else data)

    def _end_request(self, connection: UpstreamConnection) -> None:
        if self.head.length == CHUNKED:
            announced = self.head.headers.get(b"trailer", b"") or b""
            names = {name.strip().lower() for name in announced.split(b",")}
            fields = [field for field in allowed_trailers(self._trailers) if field[0] in names]
            connection.transport.write(write_trailers(fields) if fields else LAST_CHUNK)
        connection.await_response()

    # What services want of a request's body.

    def limit_body(self, most: int) -> None:
        """Refuse the request with 413 as soon as its body has more octets than this (RFC 9110 section 15.5.14)."""
        if (self.head.length or 0) > most or self.bytes_in > most:
            self.refuse(RequestError(413, "body-too-large", f"more than {most} bytes"))
        else:
            self.most_body = most

    def keep_copy(self, most: int) -> Copied:
        """Collects the body for somebody else, as long as it has not more octets than this."""
        copied = Copied(most)
        for piece in self._body or ():
            copied.add(piece)
        if self.kept is not None:
            copied.add(self.kept.octets() if self.kept.size <= most else bytes(most + 1))
        self.copies = (*self.copies, copied)
        return copied

    # A request's body as a whole.

    def whole_body(self, most: int | None, memory: int) -> Deferred[KeptBody | None]:
        """See :meth:`Exchange.whole_body`. Never fires where the client leaves."""
        kept = self.kept
        if kept is not None:
            fits = not kept.too_large and (most is None or kept.size <= most)
            return succeed(kept if fits else None)
        head = self.head
        kept = KeptBody(most, memory)
        if not head.length:
            return succeed(kept)
        self.kept = kept
        if most is not None and head.length > most:
            kept.too_large = True
            return succeed(None)
        for piece in self._body or ():
            kept.append(piece)
        self._body = None
        if kept.too_large or self.request_complete:
            return succeed(None if kept.too_large else kept)
        if head.expect_continue:
            # The client waits for somebody to want the body: that is us now, not the server.
            head.expect_continue = False
            self.send_interim(ResponseHead(100, length=None))
        if self._paused:
            self._paused = False
            self.resume_request()
        self._complete = Deferred()
        return self._complete

    def _keep(self, data: bytes) -> None:
        assert self.kept is not None
        self.kept.append(data)
        if self.kept.too_large:
            self._kept(None)

    def _kept(self, body: KeptBody | None) -> None:
        complete, self._complete = self._complete, None
        if complete is not None:
            complete.callback(body)

    def _send_kept(self, connection: UpstreamConnection, kept: KeptBody) -> None:
        if kept.too_large:
            # Whoever wanted the whole of it let the request pass nevertheless: there is no whole.
            self.answer(plain_response(413))
            return
        self._pump = Pump(kept, self._write_body, partial(self._end_request, connection))
        self._pump.run()

    def server_stalled(self) -> None:
        """The server takes no more of the request for now."""
        if self._pump is not None:
            self._pump.pause()
        else:
            self.pause_request()

    def server_resumed(self) -> None:
        """It takes more."""
        if self._pump is not None:
            self._pump.resume()
        else:
            self.resume_request()
