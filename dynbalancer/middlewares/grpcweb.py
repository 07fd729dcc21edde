"""grpcWeb: browsers speak gRPC-Web; the server behind gets gRPC."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dynbalancer.core.exchange import Exchange, Field, Response, ResponseHead
from dynbalancer.core.fields import ask_for_trailers
from dynbalancer.middlewares.base import BodyFilter, Middleware, Option, SettingsReader, add_filter, plain

#: What the two content types begin with: octets as they are, and in base64.
BINARY, TEXT = b"application/grpc-web", b"application/grpc-web-text"
PLAIN = b"application/grpc"
_padded = re.compile(rb"[^=]*=*").findall

#: Fields that a browser lets a script read.
EXPOSED = b"grpc-status, grpc-message, grpc-status-details-bin"

#: A body in base64 is small: it is a message, not a stream.
LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class GrpcWeb(Middleware):
    """Translate for pages of these origins (``*``: all)."""

    origins: frozenset[bytes]
    everybody: bool

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("allowOrigins", "list", "Whose pages may ask: `https://a.example`, or `*`."),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> GrpcWeb:
        """Takes ``allowOrigins``."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        words = [word.encode().lower() for word in reader.words("allowOrigins", required=False)]
        return cls(frozenset(words), b"*" in words)

    def on_request(self, exchange: Exchange) -> Response | Awaitable[Response | None] | None:
        head = exchange.head
        if (
            head.method == b"OPTIONS"
            and b"x-grpc-web" in (head.headers.get(b"access-control-request-headers") or b"").lower()
        ):
            return self._preflight(exchange)
        said = (head.headers.get(b"content-type") or b"").lower()
        if head.method != b"POST" or not said.startswith(BINARY):
            return None
        if not self._may_ask(exchange):
            return plain(403, b"Forbidden")
        in_text = said.startswith(TEXT)
        exchange.notes = {} if exchange.notes is None else exchange.notes
        exchange.notes["grpc-web"] = said.partition(b";")[0].strip()
        kind = said[len(TEXT) if in_text else len(BINARY) :]
        head.headers.set(b"Content-Type", PLAIN + kind)
        ask_for_trailers(head.headers)
        return self._decoded(exchange) if in_text else None

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:
        said = None if exchange.notes is None else exchange.notes.get("grpc-web")
        if said is None:
            return
        headers = head.headers
        answered = (headers.get(b"content-type") or b"").lower()
        if answered.startswith(PLAIN) and head.length is not None:
            stem = TEXT if said.startswith(TEXT) else BINARY
            headers.set(b"Content-Type", stem + answered[len(PLAIN) :])
            headers.remove(b"trailer")
            add_filter(exchange, head, Framing(in_text=stem == TEXT))
        origin = exchange.head.headers.get(b"origin")
        if origin:
            headers.set(b"Access-Control-Allow-Origin", origin)
            headers.set(b"Access-Control-Expose-Headers", EXPOSED)
            headers.add(b"Vary", b"Origin")

    async def _decoded(self, exchange: Exchange) -> Response | None:
        whole = await exchange.whole_body(LARGEST, LARGEST)
        if whole is None:
            return plain(413, b"Request Entity Too Large")
        try:
            whole.replace(decoded(whole.octets()))
            exchange.head.length = whole.size
        except binascii.Error:
            return plain(400, b"Bad Request")
        return None

    def _preflight(self, exchange: Exchange) -> Response:
        if not self._may_ask(exchange):
            return plain(403, b"Forbidden")
        headers = exchange.head.headers
        return Response(
            204,
            b"",
            [
                (b"Access-Control-Allow-Origin", headers.get(b"origin") or b""),
                (b"Access-Control-Allow-Methods", b"POST"),
                (b"Access-Control-Allow-Headers", headers.get(b"access-control-request-headers") or b""),
                (b"Access-Control-Max-Age", b"600"),
                (b"Vary", b"Origin"),
            ],
        )

    def _may_ask(self, exchange: Exchange) -> bool:
        """A request that names no origin comes from no page."""
        origin = exchange.head.headers.get(b"origin")
        return origin is None or self.everybody or origin.lower() in self.origins


def decoded(text: bytes) -> bytes:
    """What base64 stands for, where each message may have been padded by itself. Raises binascii.Error."""
    parts = _padded(b"".join(text.split()))
    return b"".join(base64.b64decode(part, validate=True) for part in parts)


class Framing(BodyFilter):
    """Puts the trailers of gRPC at the end of the body, where a browser sees them."""

    __slots__ = ("_held", "_in_text", "_trailers")

    def __init__(self, *, in_text: bool) -> None:
        self._in_text = in_text
        self._held = b""
        self._trailers: Sequence[Field] = ()

    def feed(self, data: bytes) -> bytes:
        return self._coded(data) if self._in_text else data

    def flush(self) -> bytes:
        held, self._held = self._held, b""
        return base64.b64encode(held)

    def trailers(self, fields: Sequence[Field]) -> Sequence[Field]:
        self._trailers = fields
        return ()

    def finish(self) -> bytes:
        lines = b"".join(b"%b: %b\r\n" % (name, value) for name, value, _ in self._trailers)
        frame = b"\x80" + len(lines).to_bytes(4, "big") + lines
        return base64.b64encode(self._held + frame) if self._in_text else frame

    def _coded(self, data: bytes) -> bytes:
        data = self._held + data
        whole = len(data) // 3 * 3
        self._held = data[whole:]
        return base64.b64encode(data[:whole])
