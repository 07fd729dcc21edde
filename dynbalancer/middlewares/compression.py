"""compress: bodies of answers are made smaller for clients that can read them so."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import brotli

from dynbalancer.core.exchange import CHUNKED, UNTIL_CLOSE, Exchange, Headers, ResponseHead
from dynbalancer.middlewares.base import BodyFilter, Middleware, Option, SettingsReader, add_filter

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Levels at which the three take about as long as each other, and not so long that others wait.
GZIP_LEVEL, BROTLI_LEVEL, ZSTD_LEVEL = 6, 4, 3

#: What says how a body was before: true no more, or not of the new octets.
OUTDATED = (b"content-length", b"accept-ranges", b"content-md5", b"digest", b"content-digest", b"repr-digest")


class Coder(Protocol):
    """Compresses one body."""

    def feed(self, data: bytes) -> bytes:
        """What is ready."""

    def flush(self) -> bytes:
        """What makes all that was fed readable."""

    def finish(self) -> bytes:
        """The end."""


class Gzip:
    """RFC 1952."""

    def __init__(self) -> None:
        self._coder = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        self.feed = self._coder.compress

    def flush(self) -> bytes:
        return self._coder.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._coder.flush()


class Brotli:
    """RFC 7932."""

    def __init__(self) -> None:
        coder = brotli.Compressor(quality=BROTLI_LEVEL)
        self.feed: Callable[[bytes], bytes] = coder.process
        self.flush: Callable[[], bytes] = coder.flush
        self.finish: Callable[[], bytes] = coder.finish


class Zstandard:
    """RFC 8878, within the window that RFC 9659 has browsers accept."""

    def __init__(self) -> None:
        self._coder = zstd.ZstdCompressor(level=ZSTD_LEVEL)
        self.feed = self._coder.compress

    def flush(self) -> bytes:
        return self._coder.flush(self._coder.FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._coder.flush(self._coder.FLUSH_FRAME)


CODERS: dict[str, Callable[[], Coder]] = {"gzip": Gzip, "br": Brotli, "zstd": Zstandard}


@dataclass(frozen=True, slots=True)
class Compress(Middleware):
    """Compress bodies of at least ``minimum`` octets.

    ``types`` are those left out, or with ``only`` those taken.
    """

    same_again: ClassVar[bool] = True

    encodings: tuple[str, ...]
    default: str
    minimum: int
    types: frozenset[bytes]
    only: bool

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("excludedContentTypes", "list", "Leave these as they are: `image/png`."),
        Option("includedContentTypes", "list", "Compress nothing but these; not with the other one."),
        Option("minResponseBodyBytes", "number", "Bodies that are smaller stay as they are.", 1024),
        Option(
            "encodings", "list", "What may be used, and is preferred in this order.", ("gzip", "br", "zstd")
        ),
        Option(
            "defaultEncoding",
            "text",
            "For clients that do not say what they can read; without this none.",
            "",
        ),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> Compress:
        """Takes the options of Traefik 3; 1 had none."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        encodings = tuple(dict.fromkeys(reader.words("encodings", required=False))) or tuple(CODERS)
        default = reader.text("defaultEncoding", "")
        for option, written in (("encodings", encodings), ("defaultEncoding", (default,) if default else ())):
            for one in written:
                if one not in CODERS:
                    raise reader.wrong(
                        option, f": there is no encoding '{one}'", f"write {', '.join(CODERS)}"
                    )
        excluded, included = (
            frozenset(_media_type(one.encode()) for one in reader.words(option, required=False))
            for option in ("excludedContentTypes", "includedContentTypes")
        )
        if excluded and included:
            raise reader.refuse(
                "excludedContentTypes and includedContentTypes exclude each other", "write one"
            )
        minimum = reader.number("minResponseBodyBytes")
        return cls(encodings, default, minimum, included or excluded, bool(included))

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:
        length = head.length
        if not length or length in range(self.minimum) or not self._may_be_compressed(exchange, head):
            return
        _vary(head.headers)
        encoding = self._encoding(exchange.head.headers)
        if encoding is None:
            return
        one = Compressing(head, encoding, self.minimum)
        add_filter(exchange, head, one)
        if length not in (CHUNKED, UNTIL_CLOSE) or not self.minimum:
            one.begin()

    def _may_be_compressed(self, exchange: Exchange, head: ResponseHead) -> bool:
        headers = head.headers
        if head.status in (204, 206, 304) or head.status < 200 or exchange.head.method == b"HEAD":
            return False
        if (headers.get(b"content-encoding") or b"identity").strip().lower() != b"identity":
            return False
        if any(b"no-transform" in value.lower() for value in headers.all(b"cache-control")):
            # RFC 9110 section 7.7: nobody on the way may change it.
            return False
        kind = _media_type(headers.get(b"content-type") or b"")
        asked = _media_type(exchange.head.headers.get(b"content-type") or b"")
        if kind == b"text/event-stream" or b"content-range" in headers:
            return False
        if kind.startswith(b"application/grpc") or asked.startswith(b"application/grpc"):
            return False
        return kind in self.types if self.only else kind not in self.types

    def _encoding(self, headers: Headers) -> str | None:
        said = headers.all(b"accept-encoding")
        if not said:
            return self.default or None
        return negotiated(b",".join(said), self.encodings)


def negotiated(said: bytes, encodings: Sequence[str]) -> str | None:
    """The encoding that a client likes best of these, None for none (RFC 9110 section 12.5.3).

    Of those that it likes equally, the first of ``encodings``.
    """
    weights: dict[str, float] = {}
    for part in said.split(b","):
        name, *parameters = part.decode("latin-1").strip().lower().split(";")
        weights.setdefault(name.strip().replace("x-gzip", "gzip"), _weight(parameters))
    others = weights.get("*", 0.0)
    best, chosen = 0.0, None
    for encoding in encodings:
        weight = weights.get(encoding, others)
        if weight > best:
            best, chosen = weight, encoding
    return None if weights.get("identity", 0.0) > best else chosen


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            value = value.strip()
            if not value.replace(".", "", 1).isdigit() or not value.isascii():
                return 0.0
            return min(float(value), 1.0)
    return 1.0


def _media_type(written: bytes) -> bytes:
    return written.partition(b";")[0].strip().lower()


def _vary(headers: Headers) -> None:
    """RFC 9110 section 12.5.5: a cache must know that another client gets other octets."""
    named = {name.strip().lower() for value in headers.all(b"vary") for name in value.split(b",")}
    if not named & {b"accept-encoding", b"*"}:
        headers.add(b"Vary", b"Accept-Encoding")


class Compressing(BodyFilter):
    """One body on its way. Where its length is not known, it is held until it is long enough to be worth it."""

    __slots__ = ("_coder", "_encoding", "_fed", "_head", "_held", "_minimum", "undecided")

    def __init__(self, head: ResponseHead, encoding: str, minimum: int) -> None:
        self._head = head
        self._encoding = encoding
        self._minimum = minimum
        self._held = b""
        self._coder: Coder | None = None
        self._fed = False
        self.undecided = True

    def begin(self) -> None:
        """It is to be compressed."""
        self.undecided = False
        self._coder = CODERS[self._encoding]()
        headers = self._head.headers
        headers.remove(*OUTDATED)
        headers.set(b"Content-Encoding", self._encoding.encode())
        tag = headers.get(b"etag")
        if tag is not None and not tag.startswith(b"W/"):
            # RFC 9110 section 8.8.1: the octets are others now, what they mean is not.
            headers.set(b"ETag", b"W/" + tag)

    def feed(self, data: bytes) -> bytes:
        if self._coder is None:
            self._held += data
            if len(self._held) < self._minimum:
                return b""
            data, self._held = self._held, b""
            self.begin()
        assert self._coder is not None
        self._fed = True
        return self._coder.feed(data)

    def flush(self) -> bytes:
        if self._coder is None:
            # It comes slowly: whoever reads it does not want to wait for the rest.
            data, self._held = self._held, b""
            self.begin()
            return (self.feed(data) + self.flush()) if data else b""
        if not self._fed:
            return b""
        self._fed = False
        return self._coder.flush()

    def finish(self) -> bytes:
        if self._coder is None:
            # Too short to be worth it: it goes out as it came.
            self.undecided = False
            held, self._held = self._held, b""
            return held
        return self._coder.finish()
