"""forwardAuth: what the authority is asked, and what its answer does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from dynbalancer.core.exchange import Exchange, Headers, Response, ResponseHead
from dynbalancer.core.model import EntryPoint
from dynbalancer.errors import AnswerTooLarge, ConfigurationError, ConnectError
from dynbalancer.middlewares.forwardauth import IN_MEMORY, LARGEST, ForwardAuth
from dynbalancer.testing import MiddlewareContract, exchange

ADDRESS = "http://auth.example/check"


class Authority:
    """Gives the same answer to everybody, and remembers what it was asked."""

    def __init__(self, *fields: tuple[bytes, bytes], status: int = 200, body: bytes = b"") -> None:
        self.answer = Response(status, body, fields)
        self.failure: Exception | None = None
        self.asked: list[tuple[str, str, Headers, bytes]] = []
        self.about: list[dict[str, Any]] = []
        self.said: list[str] = []

    async def fetch(self, method: str, url: str, headers: Any, body: bytes, **about: Any) -> Response:
        self.asked.append((method, url, Headers(headers), body))
        self.about.append(about)
        if self.failure is not None:
            raise self.failure
        return self.answer

    def make(self, **settings: Any) -> ForwardAuth:
        return ForwardAuth.from_settings(
            "door@file",
            {"address": ADDRESS, **settings},
            fetch=self.fetch,
            trusting=trusting,
            say=self.said.append,
        )

    def decide(self, asked: Exchange | None = None, **settings: Any) -> Response | None:
        """What comes of a request."""
        found = self.make(**settings).on_request(exchange() if asked is None else asked)

        async def waiting() -> Response | None:
            return await found

        return asyncio.run(waiting())

    @property
    def seen(self) -> dict[bytes, bytes]:
        """The fields it got, without X-Forwarded ones unless they are its business."""
        return dict(self.asked[-1][2])


def trusting(*texts: str, insecure: bool) -> tuple[Any, ...]:
    if "bad" in texts:
        raise ConfigurationError("", "can't be read")
    return (*texts, insecure)


class TestForwardAuth(MiddlewareContract):
    make = staticmethod(
        lambda name, settings: ForwardAuth.from_settings(
            name, settings, fetch=Authority().fetch, trusting=trusting, say=lambda _: None
        )
    )
    good = {"address": ADDRESS, "tls": {"ca": "x", "insecureSkipVerify": "true"}}
    bad = (
        {},
        {"address": "auth:8080"},
        {"address": "ftp://auth/"},
        {"address": "http:///x"},
        {"address": "http://[::1"},
        {"address": "http://auth.example:99999/"},
        {"address": ADDRESS, "tls": {"ca": "bad"}},
        {"address": ADDRESS, "tls": {"cafile": "x"}},
        {"address": ADDRESS, "authResponseHeaders": ["Content-Length"]},
        {"address": ADDRESS, "authResponseHeadersRegex": "("},
        {"address": ADDRESS, "maxBodySize": -2},
        {"address": ADDRESS, "adress": "x"},
    )


def test_authority_sees_what_is_asked_for() -> None:
    authority = Authority()
    fields = {b"Cookie": b"a=b", b"X-Forwarded-For": b"192.0.2.1", b"X-Forwarded-Server": b"proxy"}
    asked = exchange(b"POST", b"/x", query=b"q=1", scheme=b"https", headers=fields)
    assert authority.decide(asked) is None
    method, url, headers, body = authority.asked[0]
    assert (method, url, body) == ("GET", ADDRESS, b"")
    assert dict(headers) == {
        b"Cookie": b"a=b",
        b"X-Forwarded-Server": b"proxy",
        b"X-Forwarded-Method": b"POST",
        b"X-Forwarded-Proto": b"https",
        b"X-Forwarded-Host": b"a.example",
        b"X-Forwarded-Uri": b"/x?q=1",
        b"X-Forwarded-For": b"192.0.2.1",
    }
    assert authority.about == [{"trust": None, "most": LARGEST}]


FORGED = {
    b"X-Forwarded-For": b"10.0.0.1, 192.0.2.1",
    b"X-Forwarded-Method": b"HEAD",
    b"X-Forwarded-Uri": b"/free",
    b"X_Forwarded_Uri": b"/free",
}


@pytest.mark.parametrize(("trusted", "option"), [(False, True), (True, False), (False, False)])
def test_what_the_client_says_of_itself_is_not_believed(trusted: bool, option: bool) -> None:
    authority = Authority()
    authority.decide(exchange(headers=FORGED, trusted=trusted), trustForwardHeader=option)
    assert b"X_Forwarded_Uri" not in authority.seen
    seen = [authority.seen[b"X-Forwarded-" + name] for name in (b"For", b"Method", b"Uri")]
    assert seen == [b"192.0.2.1", b"GET", b"/"]


def test_what_a_trusted_peer_says_is_passed_on() -> None:
    authority = Authority()
    authority.decide(exchange(headers=FORGED, trusted=True), trustForwardHeader="true")
    seen = [authority.seen[b"X-Forwarded-" + name] for name in (b"For", b"Method", b"Uri", b"Host")]
    assert seen == [b"10.0.0.1, 192.0.2.1", b"HEAD", b"/free", b"a.example"]


def test_authority_sees_only_the_fields_it_may() -> None:
    authority = Authority()
    headers = {b"Authorization": b"x", b"Cookie": b"a=b"}
    authority.decide(exchange(headers=headers), authRequestHeaders="authorization")
    assert b"Cookie" not in authority.seen
    assert authority.seen[b"Authorization"] == b"x"
    assert b"X-Forwarded-Uri" in authority.seen


def test_method_is_that_of_the_request_where_it_should_be() -> None:
    authority = Authority()
    authority.decide(exchange(b"DELETE"), preserveRequestMethod=True)
    assert authority.asked[0][0] == "DELETE"


def test_trust_and_bounds_are_passed_on() -> None:
    authority = Authority()
    authority.decide(maxResponseBodySize=7, tls={"ca": "a", "cert": "b", "key": "c"})
    assert authority.about == [{"trust": ("a", "b", "c", False), "most": 7}]


class Body:
    """A body that is complete."""

    size = 5

    def octets(self) -> bytes:
        return b"hello"

    def replace(self, data: bytes) -> None:
        raise AssertionError(data)


class Posting(Exchange):
    """An exchange whose body has five octets."""

    limits: list[tuple[int | None, int]]

    def whole_body(self, most: int | None, memory: int) -> Awaitable[Body | None]:
        self.limits = [(most, memory)]

        async def found() -> Body | None:
            return Body() if most is None or most >= 5 else None

        return found()


def posting() -> Posting:
    return Posting(exchange(b"POST").head, EntryPoint("web", 80), "192.0.2.1")


def test_body_goes_to_the_authority_where_it_should() -> None:
    authority, asked = Authority(), posting()
    assert authority.decide(asked, forwardBody=True) is None
    assert authority.asked[0][3] == b"hello"
    assert asked.limits == [(None, IN_MEMORY)]


def test_too_large_body_is_401() -> None:
    authority = Authority()
    found = authority.decide(posting(), forwardBody=True, maxBodySize=4)
    assert found is not None and found.status == 401
    assert authority.asked == []


def test_answer_that_says_no_is_the_clients() -> None:
    authority = Authority(
        (b"WWW-Authenticate", b"Basic"),
        (b"Content-Length", b"99"),
        (b"Keep-Alive", b"1"),
        status=403,
        body=b"who?",
    )
    found = authority.decide()
    assert found is not None
    assert (found.status, found.body, list(found.headers)) == (
        403,
        b"who?",
        [(b"WWW-Authenticate", b"Basic")],
    )


@pytest.mark.parametrize(
    ("said", "keeps", "told"),
    [
        (b"/login", False, b"http://auth.example/login"),
        (b"login?a=b", False, b"http://auth.example/login?a=b"),
        (b"https://b.example/", False, b"https://b.example/"),
        (b"/login", True, b"/login"),
    ],
)
def test_way_to_a_login_leads_there(said: bytes, keeps: bool, told: bytes) -> None:
    found = Authority((b"Location", said), status=302).decide(preserveLocationHeader=keeps)
    assert found is not None
    assert (found.status, found.headers.all(b"location")) == (302, [told])


def test_unknown_client_is_sent_to_sign_in() -> None:
    url = "https://login.example/?rd=x"
    found = Authority(status=401, body=b"no").decide(authSigninURL=url)
    assert found is not None
    assert (found.status, found.body, found.headers.get(b"location")) == (302, b"", url.encode())
    other = Authority(status=403).decide(authSigninURL=url)
    assert other is not None and other.status == 403


def test_server_gets_what_the_authority_says_and_nothing_the_client_made_up() -> None:
    authority = Authority((b"X-User", b"ann"), (b"X-Role", b"a"), (b"X-Role", b"b"), (b"X-Other", b"1"))
    forged = {b"X-User": b"root", b"X_User": b"root", b"x-missing": b"root", b"Accept": b"*/*"}
    asked = exchange(headers=forged)
    assert authority.decide(asked, authResponseHeaders="X-User,X-Role,X-Missing") is None
    assert list(asked.head.headers) == [
        (b"Accept", b"*/*"),
        (b"X-User", b"ann"),
        (b"X-Role", b"a"),
        (b"X-Role", b"b"),
    ]


def test_fields_may_be_chosen_by_a_pattern() -> None:
    authority = Authority((b"x-auth-user", b"ann"), (b"X-Other", b"1"), (b"Content-Length", b"0"))
    asked = exchange(headers={b"X-AUTH-ROLE": b"root", b"X_Auth_Role": b"root", b"X-Other": b"mine"})
    authority.decide(asked, authResponseHeadersRegex="^X-Auth-|^Content-")
    assert list(asked.head.headers) == [(b"X-Other", b"mine"), (b"x-auth-user", b"ann")]


def test_user_is_named_in_the_log() -> None:
    asked = exchange()
    Authority((b"X-User", b"ann")).decide(asked, headerField="X-User")
    assert asked.user == b"ann"
    assert b"x-user" not in asked.head.headers


def test_client_gets_the_cookies_it_should() -> None:
    authority = Authority((b"Set-Cookie", b"session=new; Path=/"), (b"Set-Cookie", b"inner=1"))
    asked = exchange()
    middleware = authority.make(addAuthCookiesToResponse=["session"])

    async def run() -> None:
        await middleware.on_request(asked)

    asyncio.run(run())
    fields = Headers.of((b"Set-Cookie", b"session=old"), (b"Set-Cookie", b"theme=dark"), (b"X-A", b"1"))
    head = ResponseHead(headers=fields)
    middleware.on_response(asked, head)
    assert list(head.headers) == [
        (b"Set-Cookie", b"theme=dark"),
        (b"X-A", b"1"),
        (b"Set-Cookie", b"session=new; Path=/"),
    ]
    other = ResponseHead(headers=Headers.of((b"Set-Cookie", b"session=old")))
    middleware.on_response(exchange(), other)
    assert other.headers.all(b"set-cookie") == [b"session=old"]


def test_authority_that_can_not_be_asked_lets_nobody_in_and_that_is_said_once() -> None:
    authority = Authority()
    authority.failure = ConnectError("auth.example:80: refused")
    middleware = authority.make()

    async def run() -> Response | None:
        return await middleware.on_request(exchange())

    for _ in range(2):
        found = asyncio.run(run())
        assert found is not None and found.status == 500
    assert authority.said == [f"middleware door@file: {ADDRESS} can't be asked: auth.example:80: refused"]


def test_too_large_answer_lets_nobody_in() -> None:
    authority = Authority()
    authority.failure = AnswerTooLarge("")
    found = authority.decide(maxResponseBodySize=1)
    assert found is not None and found.status == 401
