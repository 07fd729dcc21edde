"""compress: for whom, what, and that every octet comes back."""

from __future__ import annotations

import gzip
import sys
import zlib
from typing import Any

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.exchange import CHUNKED, UNTIL_CLOSE, Exchange, Headers, ResponseHead
from dynbalancer.middlewares.compression import CODERS, Compress, negotiated
from dynbalancer.testing import MiddlewareContract, exchange

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ALL = ("gzip", "br", "zstd")
READERS = {"gzip": gzip.decompress, "br": brotli.decompress, "zstd": zstd.decompress}


class TestCompress(MiddlewareContract):
    make = Compress.from_settings
    good: dict[str, Any] = {}
    bad = (
        {"encodings": ["deflate"]},
        {"defaultEncoding": "lzma"},
        {"excludedContentTypes": ["image/png"], "includedContentTypes": ["text/html"]},
        {"minResponseBodyBytes": -1},
        {"level": 9},
    )


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        (b"gzip", "gzip"),
        (b"br", "br"),
        (b"gzip, deflate, br, zstd", "gzip"),
        (b"gzip;q=0.5, br;q=0.8", "br"),
        (b"br;q=0.8, gzip;q=0.8, zstd;q=0.9", "zstd"),
        (b"gzip;q=0, *", "br"),
        (b"*", "gzip"),
        (b"*;q=0", None),
        (b"gzip;q=0", None),
        (b"identity", None),
        (b"identity;q=1, gzip;q=0.5", None),
        (b"identity;q=0.5, gzip;q=0.5", "gzip"),
        (b"deflate", None),
        (b"", None),
        (b"GZIP ; Q=0.7", "gzip"),
        (b"x-gzip", "gzip"),
        (b"gzip;q=high, br;q=0.1", "br"),
        (b"br;foo=1;q=0", None),
        (b",,gzip,", "gzip"),
    ],
)
def test_client_gets_what_it_likes_best(said: bytes, chosen: str | None) -> None:
    assert negotiated(said, ALL) == chosen


def test_among_equals_the_first_of_ours_is_taken() -> None:
    assert negotiated(b"gzip, br, zstd", ("zstd", "br")) == "zstd"


@given(st.binary(max_size=60))
def test_whatever_a_client_says_can_be_read(said: bytes) -> None:
    assert negotiated(said, ALL) in (*ALL, None)


def answered(
    middleware: Compress,
    *,
    accept: bytes | None = b"gzip",
    length: int | None = 2000,
    status: int = 200,
    method: bytes = b"GET",
    asked: dict[bytes, bytes] | None = None,
    **fields: bytes,
) -> tuple[Exchange, ResponseHead]:
    """What becomes of an answer; ``fields`` with ``_`` for ``-``."""
    headers = {} if accept is None else {b"Accept-Encoding": accept}
    made = exchange(method, headers={**headers, **(asked or {})})
    pairs = [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
    head = ResponseHead(status, headers=Headers.of(*pairs), length=length)
    middleware.on_response(made, head)
    return made, head


def compress(**settings: Any) -> Compress:
    return Compress.from_settings("small@test", settings)


def test_answer_says_how_it_is_coded_now() -> None:
    made, head = answered(compress(), etag=b'"x"', accept_ranges=b"bytes", content_md5=b"x", vary=b"Origin")
    assert head.length == CHUNKED
    assert list(head.headers) == [
        (b"vary", b"Origin"),
        (b"Vary", b"Accept-Encoding"),
        (b"Content-Encoding", b"gzip"),
        (b"ETag", b'W/"x"'),
    ]
    assert made.filters is not None and len(made.filters) == 1


def test_weak_tag_and_vary_stay_as_they_are() -> None:
    _, head = answered(compress(), etag=b'W/"x"', vary=b"Origin, accept-encoding")
    assert head.headers.all(b"etag") == [b'W/"x"']
    assert head.headers.all(b"vary") == [b"Origin, accept-encoding"]


@pytest.mark.parametrize(
    "about",
    [
        {"method": b"HEAD"},
        {"status": 206},
        {"status": 304, "length": None},
        {"length": 0},
        {"length": 1023},
        {"content_encoding": b"br"},
        {"content_range": b"bytes 0-1/2"},
        {"cache_control": b"public, No-Transform"},
        {"content_type": b"text/event-stream; charset=utf-8"},
        {"content_type": b"application/grpc+proto"},
        {"asked": {b"Content-Type": b"application/grpc"}},
    ],
)
def test_what_must_not_be_compressed_stays_as_it_is(about: dict[str, Any]) -> None:
    made, head = answered(compress(), **about)
    assert made.filters is None
    assert b"vary" not in head.headers
    assert head.headers.get(b"content-encoding") in (None, b"br")


def test_caches_learn_that_it_depends_on_the_client() -> None:
    made, head = answered(compress(), accept=b"identity")
    assert made.filters is None
    assert list(head.headers) == [(b"Vary", b"Accept-Encoding")]


def test_client_that_says_nothing_gets_the_default() -> None:
    assert answered(compress(), accept=None)[0].filters is None
    _, head = answered(compress(defaultEncoding="br"), accept=None)
    assert head.headers.get(b"content-encoding") == b"br"
    assert answered(compress(defaultEncoding="br"), accept=b"")[0].filters is None


@pytest.mark.parametrize(
    ("settings", "kind", "taken"),
    [
        ({"excludedContentTypes": ["image/png"]}, b"image/png", False),
        ({"excludedContentTypes": "Image/PNG,text/css"}, b"text/CSS;charset=utf-8", False),
        ({"excludedContentTypes": ["image/png"]}, b"image/svg+xml", True),
        ({"includedContentTypes": ["text/html"]}, b"text/html; charset=utf-8", True),
        ({"includedContentTypes": ["text/html"]}, b"text/css", False),
        ({"includedContentTypes": ["text/html"]}, b"", False),
        ({}, b"", True),
    ],
)
def test_types_decide(settings: dict[str, Any], kind: bytes, taken: bool) -> None:
    made, _ = answered(compress(**settings), content_type=kind)
    assert (made.filters is not None) is taken


def run(made: Exchange, pieces: list[bytes], *, flushing: bool = False) -> bytes:
    assert made.filters is not None
    (one,) = made.filters
    found = b""
    for piece in pieces:
        found += one.feed(piece)
        if flushing:
            found += one.flush()
    return found + bytes(one.finish())


@pytest.mark.parametrize("encoding", ALL)
@pytest.mark.parametrize("flushing", [False, True])
def test_every_octet_comes_back(encoding: str, flushing: bool) -> None:
    pieces = [b"hello " * 500, b"world", bytes(range(256)) * 10]
    made, _ = answered(compress(), accept=encoding.encode(), length=5561)
    found = run(made, pieces, flushing=flushing)
    assert READERS[encoding](found) == b"".join(pieces)
    assert len(found) < 1000


@pytest.mark.parametrize("encoding", ALL)
def test_what_was_flushed_can_be_read_at_once(encoding: str) -> None:
    readers: dict[str, Any] = {
        "gzip": lambda: zlib.decompressobj(31).decompress,
        "br": lambda: brotli.Decompressor().process,
        "zstd": lambda: zstd.ZstdDecompressor().decompress,
    }
    read, coder = readers[encoding](), CODERS[encoding]()
    for piece in (b"first", b"second"):
        assert read(coder.feed(piece) + coder.flush()) == piece


@pytest.mark.parametrize("length", [CHUNKED, UNTIL_CLOSE])
def test_body_of_unknown_length_waits_until_it_is_worth_it(length: int) -> None:
    made, head = answered(compress(minResponseBodyBytes=10), length=length)
    assert made.filters is not None
    (one,) = made.filters
    assert (one.undecided, one.feed(b"x" * 9), b"content-encoding" in head.headers) == (True, b"", False)
    found = one.feed(b"x")
    assert (one.undecided, head.headers.get(b"content-encoding")) == (False, b"gzip")
    assert gzip.decompress(found + one.finish()) == b"x" * 10


def test_short_body_of_unknown_length_stays_as_it_is() -> None:
    made, head = answered(compress(), length=CHUNKED, etag=b'"x"')
    assert run(made, [b"short"]) == b"short"
    assert head.headers.get(b"content-encoding") is None
    assert head.headers.get(b"etag") == b'"x"'


def test_slow_stream_is_compressed_after_all() -> None:
    made, _ = answered(compress(), length=CHUNKED)
    assert made.filters is not None
    (one,) = made.filters
    found = one.feed(b"slow") + one.flush()
    assert zlib.decompressobj(31).decompress(found) == b"slow"
    assert one.flush() == b""
    assert gzip.decompress(found + one.finish()) == b"slow"


def test_with_no_minimum_nothing_waits() -> None:
    made, _ = answered(compress(minResponseBodyBytes=0), length=CHUNKED)
    assert made.filters is not None and not made.filters[0].undecided


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=6), st.sampled_from(ALL), st.booleans())
def test_any_body_comes_back_or_stays(pieces: list[bytes], encoding: str, flushing: bool) -> None:
    made, head = answered(compress(minResponseBodyBytes=200), accept=encoding.encode(), length=CHUNKED)
    found = run(made, pieces, flushing=flushing)
    if b"content-encoding" in head.headers:
        found = READERS[encoding](found)
    assert found == b"".join(pieces)
