"""The middleware contentType: who gets a Content-Type by the first octets, and when."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.exchange import CHUNKED, UNTIL_CLOSE, Exchange, Headers, ResponseHead
from dynbalancer.errors import ConfigurationError
from dynbalancer.interfaces import IMiddleware
from dynbalancer.middlewares.base import BodyFilter
from dynbalancer.middlewares.contenttypes import ContentType
from dynbalancer.testing import MiddlewareContract, exchange

HTML = b"text/html; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"


class TestContentType(MiddlewareContract):
    make = ContentType.from_settings
    good: dict[str, Any] = {}
    bad = ({"autoDetect": "maybe"}, {"detect": True})


def answer(length: int | None, *fields: tuple[bytes, bytes], status: int = 200) -> ResponseHead:
    """The head of an answer."""
    return ResponseHead(status, headers=Headers.of(*fields), length=length)


def answered(head: ResponseHead) -> Exchange:
    """The exchange after that head."""
    made = ContentType.from_settings("t@docker", {})
    found = exchange()
    made.on_response(found, head)
    return found


def fed(head: ResponseHead, *pieces: bytes) -> bytes:
    """What comes out for a body."""
    (one,) = answered(head).filters or ()
    return b"".join([*map(one.feed, pieces), one.finish()])


@pytest.mark.parametrize("settings", [{"autoDetect": "false"}, {"autoDetect": False}])
def test_without_detection_there_is_no_hook(settings: dict[str, Any]) -> None:
    made = ContentType.from_settings("t@docker", settings)
    assert IMiddleware.providedBy(made)
    assert (made.on_request, made.on_response, made.on_finish) == (None, None, None)


@pytest.mark.parametrize("length", [14, CHUNKED, UNTIL_CLOSE])
def test_an_answer_without_a_type_gets_one_and_keeps_its_length_and_octets(length: int) -> None:
    head = answer(length)
    assert fed(head, b"<html>", b"<p>hello") == b"<html><p>hello"
    assert (head.headers.get(b"content-type"), head.length) == (HTML, length)


def test_the_beginning_is_held_until_it_tells_enough() -> None:
    head = answer(CHUNKED)
    (one,) = answered(head).filters or ()
    assert (one.feed(b"<htm"), one.undecided) == (b"", True)
    assert (one.flush(), one.undecided) == (b"<htm", False)
    assert head.headers.get(b"content-type") == TEXT
    assert (one.feed(b"l>"), one.flush(), one.finish()) == (b"l>", b"", b"")


def test_five_hundred_and_twelve_octets_are_enough() -> None:
    head = answer(CHUNKED)
    (one,) = answered(head).filters or ()
    assert one.feed(b"<p>" + b"a" * 508) == b""
    assert one.feed(b"bc") == b"<p>" + b"a" * 508 + b"bc"
    assert head.headers.get(b"content-type") == HTML


def test_an_empty_body_gets_no_type() -> None:
    head = answer(CHUNKED)
    assert fed(head) == b""
    assert b"content-type" not in head.headers


@pytest.mark.parametrize(
    ("field", "inner", "kind"),
    [
        ((b"Content-Type", b"text/x-own"), False, b"text/x-own"),
        # Encoded behind this one: what it sees is not.
        ((b"Content-Encoding", b"gzip"), False, HTML),
        ((b"Content-Encoding", b"gzip"), True, None),
    ],
)
def test_what_others_say_meanwhile(field: tuple[bytes, bytes], inner: bool, kind: bytes | None) -> None:
    head, asked = answer(CHUNKED), exchange()
    asked.filters = [BodyFilter()] if inner else None
    ContentType.from_settings("t@docker", {}).on_response(asked, head)
    head.headers.set(*field)
    assert (asked.filters or ())[-1].feed(b"<p>" * 200) == b"<p>" * 200
    assert head.headers.get(b"content-type") == kind


@pytest.mark.parametrize(
    "head",
    [
        answer(5, (b"Content-Type", b"text/x-own")),
        answer(5, (b"Content-Type", b"")),
        answer(5, (b"Content-Encoding", b"br")),
        answer(5, (b"Content-Range", b"bytes 0-4/9"), status=206),
        answer(None, status=204),
        answer(0),
    ],
)
def test_answers_that_need_none_are_left_alone(head: ResponseHead) -> None:
    assert not answered(head).filters


def test_what_is_no_option_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="autoDetect"):
        ContentType.from_settings("t@docker", {"autoDetect": "maybe"})
