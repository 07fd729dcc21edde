"""grpcWeb: what a browser says becomes gRPC, and back."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable
from typing import Any

import pytest

from dynbalancer.core.exchange import CHUNKED, Exchange, Headers, Response, ResponseHead, field_of
from dynbalancer.core.model import EntryPoint
from dynbalancer.middlewares.grpcweb import GrpcWeb
from dynbalancer.testing import MiddlewareContract, exchange

ORIGIN = b"https://a.example"
MESSAGE = b"\x00\x00\x00\x00\x02hi"
TRAILERS = [field_of(b"Grpc-Status", b"0"), field_of(b"Grpc-Message", b"ok")]
LINES = b"grpc-status: 0\r\ngrpc-message: ok\r\n"
LAST = b"\x80" + len(LINES).to_bytes(4, "big") + LINES


class TestGrpcWeb(MiddlewareContract):
    make = GrpcWeb.from_settings
    good = {"allowOrigins": ["*"]}
    bad = ({"allowOrigins": {"a": 1}}, {"origins": "*"})


class Posting(Exchange):
    """An exchange with a body."""

    body: bytes | None = b""
    size = 0

    def octets(self) -> bytes:
        assert self.body is not None
        return self.body

    def replace(self, data: bytes) -> None:
        self.body = data
        self.size = len(data)

    def whole_body(self, most: int | None, memory: int) -> Awaitable[Posting | None]:
        async def found() -> Posting | None:
            return None if self.body is None else self

        return found()


def asked(kind: bytes, body: bytes | None = b"", **fields: bytes) -> Posting:
    headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    made = Posting(
        exchange(b"POST", headers={b"Content-Type": kind, **headers}).head, EntryPoint("web", 80), "192.0.2.1"
    )
    made.body = body
    return made


def middleware(*origins: str) -> GrpcWeb:
    return GrpcWeb.from_settings("web@test", {"allowOrigins": list(origins)})


async def _awaited(found: Awaitable[Response | None]) -> Response | None:
    return await found


def test_request_becomes_grpc() -> None:
    made = asked(b"application/grpc-web+proto", origin=ORIGIN)
    assert middleware("https://A.example").on_request(made) is None
    assert made.head.headers.get(b"content-type") == b"application/grpc+proto"
    assert made.head.headers.all(b"te") == [b"trailers"]
    assert made.head.headers.all(b"connection") == [b"TE"]


def decided(made: Posting) -> Response | None:
    found: Any = middleware("*").on_request(made)
    return asyncio.run(_awaited(found))


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(MESSAGE),
        base64.b64encode(MESSAGE[:4]) + base64.b64encode(MESSAGE[4:]),
        base64.b64encode(MESSAGE)[:4] + b"\r\n" + base64.b64encode(MESSAGE)[4:],
    ],
)
def test_text_becomes_octets(text: bytes) -> None:
    made = asked(b"application/grpc-web-text", text)
    assert decided(made) is None
    assert (made.body, made.head.length) == (MESSAGE, 7)
    assert made.head.headers.get(b"content-type") == b"application/grpc"


@pytest.mark.parametrize(("text", "status"), [(b"!!!!", 400), (b"abc", 400), (None, 413)])
def test_text_that_is_none_is_refused(text: bytes | None, status: int) -> None:
    found = decided(asked(b"application/grpc-web-text+proto", text))
    assert found is not None and found.status == status


@pytest.mark.parametrize("kind", [b"application/grpc", b"application/json", b""])
def test_other_requests_pass(kind: bytes) -> None:
    made = asked(kind)
    one = middleware()
    assert one.on_request(made) is None
    head = ResponseHead(headers=Headers.of((b"Content-Type", b"application/grpc")), length=CHUNKED)
    one.on_response(made, head)
    assert (made.filters, made.head.headers.get(b"content-type")) == (None, kind)


def test_page_of_another_origin_may_not_ask() -> None:
    found: Any = middleware("https://b.example").on_request(asked(b"application/grpc-web", origin=ORIGIN))
    assert found.status == 403
    assert middleware().on_request(asked(b"application/grpc-web")) is None


def test_browser_may_ask_whether_it_may() -> None:
    headers = {b"Origin": ORIGIN, b"Access-Control-Request-Headers": b"content-type,x-grpc-web"}
    found: Any = middleware("*").on_request(exchange(b"OPTIONS", headers=headers))
    assert (found.status, found.headers.get(b"access-control-allow-origin")) == (204, ORIGIN)
    found = middleware().on_request(exchange(b"OPTIONS", headers=headers))
    assert found.status == 403
    assert middleware().on_request(exchange(b"OPTIONS", headers={b"Origin": ORIGIN})) is None


def answered(kind: bytes) -> tuple[Posting, ResponseHead]:
    """The answer of a server to a request of this type."""
    made, one = asked(kind, base64.b64encode(MESSAGE), origin=ORIGIN), middleware("*")
    found: Any = one.on_request(made)
    if found is not None:
        asyncio.run(_awaited(found))
    fields = Headers.of((b"Content-Type", b"application/grpc+proto"), (b"Trailer", b"Grpc-Status"))
    head = ResponseHead(headers=fields, length=CHUNKED)
    one.on_response(made, head)
    return made, head


def test_trailers_come_at_the_end_of_the_body() -> None:
    made, head = answered(b"application/grpc-web+proto")
    assert head.headers.get(b"content-type") == b"application/grpc-web+proto"
    assert b"trailer" not in head.headers
    assert head.headers.get(b"access-control-allow-origin") == ORIGIN
    assert made.filters is not None
    (one,) = made.filters
    body = one.feed(MESSAGE) + one.flush()
    assert one.trailers(TRAILERS) == ()
    assert body + one.finish() == MESSAGE + LAST


def test_all_of_it_is_text_where_it_should_be() -> None:
    made, head = answered(b"application/grpc-web-text")
    assert head.headers.get(b"content-type") == b"application/grpc-web-text+proto"
    assert made.filters is not None
    (one,) = made.filters
    pieces = [one.feed(MESSAGE[:4]), one.feed(MESSAGE[4:]), one.flush()]
    assert pieces[0] == base64.b64encode(MESSAGE[:3])
    assert base64.b64decode(b"".join(pieces)) == MESSAGE
    one.trailers(TRAILERS)
    assert base64.b64decode(one.finish()) == LAST


def test_answer_that_is_no_grpc_stays_as_it_is() -> None:
    made, one = asked(b"application/grpc-web", origin=ORIGIN), middleware("*")
    one.on_request(made)
    head = ResponseHead(502, headers=Headers.of((b"Content-Type", b"text/plain")), length=3)
    one.on_response(made, head)
    assert (made.filters, head.length) == (None, 3)
