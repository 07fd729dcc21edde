"""The forms an answer can have."""

from __future__ import annotations

import gzip
import json

import pytest
from twisted.web.test.requesthelper import DummyRequest

from dynbalancer.admin import answers


@pytest.mark.parametrize("value", [{"a": [1, None, "é\u2028\ud800"]}, [], "x", 0])
def test_dumped_reads_back_as_it_was(value: object) -> None:
    found = answers.dumped(value)
    assert json.loads(found) == value
    assert found.isascii()


def header(request: DummyRequest, name: str) -> str:
    """The one value of a field of the answer."""
    (value,) = request.responseHeaders.getRawHeaders(name)
    return str(value)


def test_json_is_sized_and_typed() -> None:
    request = DummyRequest([b""])
    assert answers.as_json(request, {}, answers.JSON_V1) == b"{}"
    assert header(request, "content-type") == "application/json; charset=UTF-8"
    assert header(request, "content-length") == "2"


def test_an_error_is_json_sent_as_plain_text() -> None:
    request = DummyRequest([b""])
    assert json.loads(answers.in_words(request, 404, "router not found: x")) == {
        "message": "router not found: x"
    }
    assert (request.responseCode, header(request, "content-type")) == (404, "text/plain; charset=utf-8")


def test_not_found_as_v1_says_it() -> None:
    request = DummyRequest([b""])
    assert answers.page_not_found(request) == b"404 page not found\n"
    assert request.responseCode == 404


def test_moved_and_plain() -> None:
    request = DummyRequest([b""])
    assert answers.moved(request, 302, "/dashboard/") == b""
    assert (request.responseCode, header(request, "location")) == (302, "/dashboard/")
    assert answers.plain(request, 200, b"OK") == b"OK"


def test_long_json_is_packed_for_who_unpacks() -> None:
    request = DummyRequest([b""])
    value = ["x" * answers.LONG]
    assert json.loads(answers.as_json(request, value)) == value
    request = DummyRequest([b""])
    request.requestHeaders.setRawHeaders("accept-encoding", ["gzip"])
    body = answers.as_json(request, value)
    assert (header(request, "content-encoding"), header(request, "content-length")) == (
        "gzip",
        str(len(body)),
    )
    assert json.loads(gzip.decompress(body)) == value
