"""Templates about a request within the replacement of a redirect."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.exchange import Response
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.redirects import RedirectRegex
from dynbalancer.middlewares.requesttemplates import RequestTemplates
from dynbalancer.testing import exchange


def answer(
    replacement: str, regex: str = "^http://[^/]+/(.*)$", dialect: str = "v1", **request: Any
) -> Response | None:
    settings = {"regex": regex, "replacement": replacement, "dialect": dialect}
    a = exchange(host=b"a.example", **{"path": b"/p/q", "query": b"x=1", **request})
    a.head.authority, a.head.port = b"a.example:8080", 8080
    return RedirectRegex.from_settings("m@docker", settings).on_request(a)


def location(*arguments: str, **request: Any) -> bytes | None:
    found = answer(*arguments, **request)
    assert found is not None
    return found.headers.get(b"location")


@pytest.mark.parametrize(
    ("replacement", "wanted"),
    [
        ("https://{{.Request.Host}}/new/$1", b"https://a.example:8080/new/p/q?x=1"),
        ("/x{{ .Request.RequestURI }}", b"/x/p/q?x=1"),
        ("/x?{{.Request.URL.RawQuery}}&m={{.Request.Method}}", b"/x?x=1&m=GET"),
        ('/x/{{.Request.Header.Get "X-Name"}}', b"/x/ann"),
        ("/x/{{.Request.Header.Get `x-name` | upper}}/$1", b"/x/ANN/p/q?x=1"),
        ('/x/{{.Request.Header.Get "X-None"}}', b"/x/"),
    ],
)
def test_what_a_template_says_of_a_request(replacement: str, wanted: bytes) -> None:
    headers = {b"X-Name": b"ann"}
    assert location(replacement, headers=headers) == wanted


def test_what_a_client_sends_is_no_template() -> None:
    """v1 read what a pattern had found as a template too."""
    path = b"/{{.Request.Host}}"
    assert location("/x{{.Request.Method}}/$1", path=path, query=None) == b"/xGET/{{.Request.Host}}"


@pytest.mark.parametrize(
    "replacement",
    [
        'https://{{.Request.Header.Get "X-Host"}}/',
        "https:/{{.Request.URL.Path}}",
        'https://b.example{{.Request.Header.Get "X-Host"}}/',
    ],
)
def test_no_client_chooses_the_host(replacement: str) -> None:
    headers = {b"X-Host": b".evil.example"}
    found = answer(replacement, headers=headers, path=b"/evil.example", query=None)
    assert found is not None
    assert (found.status, found.headers.get(b"location")) == (400, None)


def test_what_comes_of_a_template_is_escaped() -> None:
    headers = {b"X-Name": "a b\u00e9".encode("latin-1")}
    assert location('/{{.Request.Header.Get "X-Name"}}', headers=headers) == b"/a%20b%C3%A9"


@pytest.mark.parametrize(
    ("replacement", "why"),
    [
        ("/{{.Request.Hots}}", "there is no .Request.Hots; did you mean .Request.Host?"),
        ("/{{.Host}}", "there is no field .Host"),
        ("/{{uper .Request.Host}}", "there is no function uper"),
        ("/~~{{.Request.Host}}", "~~ has no place beside a template"),
        ("/{{range .Request.Host}}", "range without an end"),
        ("/{{.Request.Header}}", "there is no .Request.Header"),
    ],
)
def test_templates_that_can_not_be_used_are_told(replacement: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match="option replacement") as caught:
        answer(replacement)
    assert why in str(caught.value)


def test_without_templates_there_are_none() -> None:
    assert RequestTemplates.of("/x/$1") is None
    assert location("/{{.Request.Host}}", "^http://[^/]+/.*$", "v3") == b"/{{.Request.Host}}"
