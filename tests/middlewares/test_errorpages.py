"""errors: which answers are replaced, what is asked for, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from dynbalancer.core.exchange import Exchange, RequestHead, Response, ResponseHead
from dynbalancer.errors import NoServer
from dynbalancer.middlewares.errorpages import Errors
from dynbalancer.testing import MiddlewareContract, exchange


class Asked:
    """Stands for the service with the pages."""

    def __init__(self, found: Response | Exception | None = None) -> None:
        self.found = found or Response(200, b"<h1>sorry</h1>", [(b"Content-Type", b"text/html")])
        self.heads: list[RequestHead] = []
        self.names: list[tuple[str, str]] = []
        self.said: list[str] = []

    async def ask(self, service: str, owner: str, head: RequestHead, body: bytes = b"") -> Response:
        self.names.append((service, owner))
        self.heads.append(head)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def make(self, **settings: Any) -> Errors:
        whole = {"status": "500-599", "service": "pages", **settings}
        return Errors.from_settings("sorry@file", whole, ask=self.ask, say=self.said.append)


class TestErrors(MiddlewareContract):
    make = staticmethod(
        lambda name, settings: Errors.from_settings(name, settings, ask=Asked().ask, say=lambda _: None)
    )
    good = {"status": ["500-599"], "service": "pages", "query": "/{status}.html"}
    bad = (
        {"service": "pages"},
        {"status": "500"},
        {"status": "5xx", "service": "pages"},
        {"status": "500", "service": "pages", "statusRewrites": {"418": "teapot"}},
        {"status": "500", "service": "pages", "statusRewrites": {"teapot": "404"}},
        {"status": "500", "service": "pages", "errorRequestHeaders": ["X:"]},
        {"status": "500", "service": "pages", "backend": "pages"},
    )


def page(made: Errors, status: int = 502, asked: Exchange | None = None) -> Response | None:
    """What comes of an answer with this status."""
    found = made.on_response(exchange() if asked is None else asked, ResponseHead(status))
    return None if found is None else asyncio.run(_awaited(found))


async def _awaited(found: Awaitable[Response | None]) -> Response | None:
    return await found


def test_page_is_shown_with_the_status_of_the_error() -> None:
    service = Asked()
    found = page(service.make(), 503)
    assert found is not None
    assert (found.status, found.body, found.headers.get(b"content-type")) == (
        503,
        b"<h1>sorry</h1>",
        b"text/html",
    )
    assert service.names == [("pages", "sorry@file")]


@pytest.mark.parametrize("status", [200, 404, 499])
def test_other_answers_go_their_way(status: int) -> None:
    service = Asked()
    assert service.make().on_response(exchange(), ResponseHead(status)) is None
    assert service.heads == []


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("/{status}.html", b"/404.html"),
        ("{originalStatus}?to={status}", b"/502?to=404"),
        ("/?url={url}", b"/?url=%2Fa%2520b%3Fq%3D1"),
        ("", b"/"),
        ("/é x#part", b"/%C3%A9%20x"),
    ],
)
def test_question_has_what_it_should_be_about(query: str, target: bytes) -> None:
    service = Asked()
    made = service.make(query=query, statusRewrites={"502": 404})
    asked = exchange(b"POST", b"/inner", query=b"changed")
    asked.asked = (b"/a%20b", b"q=1")
    found = page(made, 502, asked)
    assert (service.heads[0].method, service.heads[0].target) == (b"GET", target)
    assert found is not None and found.status == 404


def test_ranges_are_rewritten_too() -> None:
    made = Asked().make(status=["400-599"], statusRewrites={"500-502": "404", 418: 400})
    found = []
    for status in (500, 502, 503, 418):
        shown = page(made, status)
        found.append(shown and shown.status)
    assert found == [404, 404, 503, 400]


def test_service_sees_the_request_but_what_is_about_its_own_page() -> None:
    service = Asked()
    fields = {b"Cookie": b"a=b", b"If-None-Match": b"x", b"Range": b"bytes=0-1", b"Content-Type": b"text/x"}
    page(service.make(), asked=exchange(host=b"a.example", headers=fields))
    (head,) = service.heads
    assert (head.authority, list(head.headers)) == (b"a.example", [(b"Cookie", b"a=b")])


def test_service_sees_only_the_fields_it_may() -> None:
    service = Asked()
    made = service.make(errorRequestHeaders=["accept-language"])
    page(made, asked=exchange(headers={b"Cookie": b"a=b", b"Accept-Language": b"de"}))
    assert list(service.heads[0].headers) == [(b"Accept-Language", b"de")]


def test_answer_goes_its_way_where_there_is_no_page_and_that_is_said_once() -> None:
    service = Asked(NoServer("no server is up"))
    made = service.make()
    assert page(made) is None
    assert page(made) is None
    assert service.said == ["middleware sorry@file: service pages shows no page: no server is up"]
