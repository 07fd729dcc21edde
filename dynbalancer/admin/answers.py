"""The forms an answer can have: JSON, an error in words, and Traefik's two ways to say *not found*."""

from __future__ import annotations

import gzip
import json
from typing import Any

from twisted.web.server import Request

#: Content types as Traefik v1 and v3 spell them: clients exist that compare the whole value.
JSON_V1 = b"application/json; charset=UTF-8"
JSON_V3 = b"application/json"

#: From this size on JSON is worth compressing.
LONG = 16384


def dumped(value: Any) -> bytes:
    """Compact JSON in UTF-8. Lone surrogates, which no UTF-8 can carry, stay escapes."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _sized(request: Request, body: bytes) -> bytes:
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


def as_json(request: Request, value: Any, content_type: bytes = JSON_V3) -> bytes:
    """The value as the body of a good answer; a long one is compressed for who can read that."""
    request.setHeader(b"Content-Type", content_type)
    body = dumped(value)
    if len(body) >= LONG and b"gzip" in (request.getHeader(b"accept-encoding") or b""):
        request.setHeader(b"Content-Encoding", b"gzip")
        # The lowest level: most of the gain, for little of our time.
        body = gzip.compress(body, 1)
    return _sized(request, body)


def in_words(request: Request, status: int, why: str) -> bytes:
    """An error as Traefik v3 words it: JSON text that is sent as plain text."""
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return _sized(request, dumped({"message": why}) + b"\n")


def page_not_found(request: Request) -> bytes:
    """What v1 answers to anything it does not know."""
    request.setResponseCode(404)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return _sized(request, b"404 page not found\n")


def plain(request: Request, status: int, text: bytes) -> bytes:
    """A short text."""
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return _sized(request, text)


def moved(request: Request, status: int, location: str) -> bytes:
    """A redirection within this listener."""
    request.setResponseCode(status)
    request.setHeader(b"Location", location.encode("ascii"))
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return _sized(request, b"")
