"""basicAuth: who comes in, who does not, and what a storm of logins costs."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import pytest

from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.auth import (
    ADMISSION,
    MOST_WAITING,
    MOST_WRONG,
    Admission,
    BasicAuth,
    unauthorized,
)
from dynbalancer.middlewares.base import SettingsReader
from dynbalancer.testing import MiddlewareContract, exchange

APR1 = "ann:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"  # test
SHA1 = "bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="  # secret
BCRYPT = "cyd:$2b$04$SOamswDPZK4fTUDb3j0rKOGRNzePMMrZHyTkZHCC.bs24gHSjP7uK"  # secret


class Threads:
    """Stands for threads: a function runs when its coroutine is gone on with; counts what ran."""

    def __init__(self) -> None:
        self.ran = 0

    def __call__(self, function: Callable[..., bool], *arguments: Any) -> Threads._Later:
        return self._Later(self, partial(function, *arguments))

    class _Later:
        def __init__(self, threads: Threads, call: Callable[[], bool]) -> None:
            self.threads, self.call = threads, call

        def __await__(self) -> Generator[None, None, bool]:
            yield
            self.threads.ran += 1
            return self.call()


def basic(*users: str, threads: Threads | None = None, **settings: Any) -> BasicAuth:
    wanted = {"users": users or (APR1, SHA1, BCRYPT), **settings}
    return BasicAuth.from_settings("a@file", wanted, in_thread=threads or Threads(), secret=b"s")


def login(user: bytes, password: bytes, **request: Any) -> Exchange:
    said = b"Basic " + base64.b64encode(user + b":" + password)
    return exchange(headers={b"Authorization": said, b"X-User": b"root"}, **request)


def asked(made: BasicAuth, a: Exchange) -> Response | None:
    """What comes of a request, threads and all."""
    found = made.on_request(a)
    return found if found is None or isinstance(found, Response) else asyncio.run(_finished(found))


async def _finished(found: Any) -> Response | None:
    answer: Response | None = await found
    return answer


class TestBasicAuth(MiddlewareContract):
    make = partial(BasicAuth.from_settings, in_thread=Threads(), secret=b"")
    good = {"users": f"{APR1},{SHA1}", "removeHeader": "true", "headerField": "X-User", "realm": "all"}
    bad = (
        {},
        {"users": []},
        {"users": ""},
        {"users": "ann"},
        {"users": ":" + APR1},
        {"users": APR1 + ":x"},
        {"users": "ann:secret"},
        {"users": ["ann\r\nX-A:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"]},
        {"usersFile": "/etc/users"},
        {"users": APR1, "usersFile": "/etc/users"},
        {"users": APR1, "headerField": "X User"},
        {"users": APR1, "headerField": "Content-Length"},
        {"users": APR1, "headerField": "Connection"},
        {"users": APR1, "headerField": "Host"},
        {"users": APR1, "realm": "a\r\nb"},
        {"users": APR1, "removeHeader": "yes"},
        {"user": APR1},
    )


@pytest.mark.parametrize(("user", "password"), [(b"ann", b"test"), (b"bob", b"secret"), (b"cyd", b"secret")])
def test_right_password_of_each_kind_comes_in(user: bytes, password: bytes) -> None:
    a = login(user, password)
    assert asked(basic(), a) is None
    assert a.user == user
    assert b"authorization" in a.head.headers
    assert a.head.headers.all(b"x-user") == [b"root"]


def test_server_may_be_told_the_name_and_not_the_password() -> None:
    a = login(b"ann", b"test")
    a.head.headers.add(b"X_User", b"root")
    assert asked(basic(removeHeader=True, headerField="X-User"), a) is None
    assert list(a.head.headers) == [(b"X-User", b"ann")]


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (b"ann", b"Test"),
        (b"ann", b""),
        (b"ann", b"secret"),
        (b"", b""),
        (b"", b"test"),
        (b"eve", b"test"),
        (b"ANN", b"test"),
        (b"ann ", b"test"),
        (b"ann", b"test\0"),
        (b"bob", b"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="),
        (b"ann", b"x" * 30000),
        (b"a" * 30000, b"test"),
        (b"\xff\r\n", b"\xff"),
    ],
)
def test_everybody_else_is_asked_again(user: bytes, password: bytes) -> None:
    made = basic(removeHeader=True, headerField="X-User")
    a = login(user, password)
    # What was wrong once is so from memory as well.
    for _ in range(2):
        found = asked(made, a)
        assert found is not None
        assert (found.status, found.body) == (401, b"401 Unauthorized\n")
        assert found.headers.all(b"www-authenticate") == [b'Basic realm="traefik"']
    # The name is for the access log; the request is as it came.
    assert a.user == user[:256]
    assert a.head.headers.all(b"x-user") == [b"root"]


@pytest.mark.parametrize(
    "said",
    [
        [],
        [b""],
        [b"Basic"],
        [b"Basic "],
        [b"Basic YW5u"],
        [b"Basic YW5uOnRlc3Q"],
        [b"Basic YW5uOnRlc3Q=!"],
        [b"Basic YW5uOnRl c3Q="],
        [b"Basic\tYW5uOnRlc3Q="],
        [b"Bearer YW5uOnRlc3Q="],
        [b"YW5uOnRlc3Q="],
        [b"Basic YW5uOnRlc3Q=", b"Basic YW5uOnRlc3Q="],
        [b"Basic YW5uOnRlc3Q=", b"Bearer x"],
        [b"Basic YW5uOnRlc3Q=, Bearer x"],
    ],
)
def test_what_are_no_credentials_is_not_guessed_at(said: list[bytes]) -> None:
    a = exchange()
    for value in said:
        a.head.headers.add(b"Authorization", value)
    threads = Threads()
    found = asked(basic(threads=threads), a)
    assert found is not None
    assert (found.status, threads.ran) == (401, 0)


def test_letter_case_of_the_scheme_and_blanks_behind_it_do_not_count() -> None:
    assert asked(basic(), exchange(headers={b"Authorization": b"bAsIc   YW5uOnRlc3Q="})) is None


def test_password_may_hold_colons_and_any_octets() -> None:
    made = basic("dan:$1$xyzxyzxy$OYeRVlrdqWUvLLJR1d2Vr1", "g\u00fcn:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=")
    assert asked(made, login(b"dan", "k\u00e4se".encode())) is None
    assert asked(made, login("g\u00fcn".encode(), b"secret")) is None
    assert asked(made, login(b"dan", b"a:b")) is not None


def test_realm_is_quoted() -> None:
    found = asked(basic(realm='say "hi" \\o/'), exchange())
    assert found is not None
    assert found.headers.get(b"www-authenticate") == b'Basic realm="say \\"hi\\" \\\\o/"'


def test_what_was_found_out_is_remembered() -> None:
    threads = Threads()
    made = basic(threads=threads)
    for _ in range(3):
        assert asked(made, login(b"ann", b"test")) is None
        assert asked(made, login(b"ann", b"wrong")) is not None
        assert asked(made, login(b"eve", b"test")) is not None
    assert threads.ran == 3


def test_neither_passwords_nor_plain_hashes_of_them_are_kept() -> None:
    made = basic()
    asked(made, login(b"ann", b"test"))
    asked(made, login(b"ann", b"wrong"))
    kept = repr((made._right, made._wrong)).encode()
    assert b"test" not in kept and b"wrong" not in kept
    other = BasicAuth.from_settings("a@file", {"users": APR1}, in_thread=Threads(), secret=b"other")
    asked(other, login(b"ann", b"test"))
    assert made._right[b"ann"] != other._right[b"ann"]


def test_many_wrong_passwords_push_out_no_right_one_and_fill_no_memory() -> None:
    threads = Threads()
    made = basic(SHA1, threads=threads)
    asked(made, login(b"bob", b"secret"))
    for number in range(MOST_WRONG + 10):
        asked(made, login(b"bob", b"%d" % number))
    assert len(made._wrong) == MOST_WRONG
    before = threads.ran
    assert asked(made, login(b"bob", b"secret")) is None
    assert threads.ran == before


def test_name_and_password_are_not_run_together() -> None:
    made = basic(SHA1, "bo:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=")
    assert asked(made, login(b"bob", b"secret")) is None
    assert asked(made, login(b"bo", b"b:secret")) is not None


def test_storm_of_logins_waits_only_so_long_and_known_users_do_not_wait() -> None:
    made = basic()
    assert asked(made, login(b"ann", b"test")) is None
    waiting: list[Any] = [made.on_request(login(b"ann", b"%d" % number)) for number in range(MOST_WAITING)]
    for one in waiting:
        one.send(None)
    found = made.on_request(login(b"bob", b"secret"))
    assert isinstance(found, Response)
    assert (found.status, found.headers.get(b"retry-after")) == (503, b"1")
    assert made.on_request(login(b"ann", b"test")) is None
    for one in waiting:
        with pytest.raises(StopIteration) as ended:
            one.send(None)
        assert ended.value.value.status == 401
    assert asked(made, login(b"bob", b"secret")) is None


def test_same_credentials_at_once_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = basic(APR1)
    checked: list[bytes] = []

    def noted(_: object, password: bytes) -> bool:
        checked.append(password)
        return True

    monkeypatch.setattr(type(made._dearest), "fits", noted)
    waiting: list[Any] = [made.on_request(login(b"ann", b"test")) for _ in range(6)]
    for one in waiting:
        one.send(None)
    for one in waiting:
        with pytest.raises(StopIteration) as ended:
            one.send(None)
        assert ended.value.value is None
    assert checked == [b"test"]


@pytest.mark.parametrize(
    ("user", "password", "checks"),
    [
        (b"eve", b"x", ["cyd"]),
        (b"bob", b"x", ["bob", "cyd"]),
        (b"cyd", b"x", ["cyd"]),
        (b"bob", b"secret", ["bob"]),
    ],
)
def test_unknown_user_costs_what_the_dearest_known_one_does(
    user: bytes, password: bytes, checks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = basic()
    names = {id(stored): name.decode() for name, stored in made._users.items()}
    checked: list[str] = []
    fits = type(made._dearest).fits

    def noted(stored: Any, password: bytes) -> bool:
        checked.append(names[id(stored)])
        return fits(stored, password)

    monkeypatch.setattr(type(made._dearest), "fits", noted)
    asked(made, login(user, password))
    assert checked == checks


def test_thread_that_fails_lets_nobody_in_and_is_not_counted_for_ever() -> None:
    async def failing(*_: object) -> bool:
        raise RuntimeError("no threads")

    made = BasicAuth.from_settings("a@file", {"users": APR1}, in_thread=failing, secret=b"")
    with pytest.raises(RuntimeError, match="no threads"):
        asked(made, login(b"ann", b"test"))
    assert made._waiting == 0


@pytest.mark.parametrize(
    ("users", "why"),
    [
        (["ann:secret"], "the password of entry 1 (ann) is not a hash"),
        ([APR1, "bob"], "entry 2 is not of the form USER:HASH"),
        (["hunter2"], "entry 1 is not of the form USER:HASH"),
    ],
)
def test_bad_entries_are_named_and_not_shown(users: list[str], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        basic(*users)
    assert why in caught.value.why
    assert "secret" not in str(caught.value) and "hunter2" not in str(caught.value)


def test_admission_without_options_leaves_the_request_as_it_is() -> None:
    a = exchange(headers={b"Authorization": b"x"})
    Admission.read(SettingsReader("a@file", {}, ADMISSION)).admit(a, b"ann")
    assert (list(a.head.headers), a.user) == ([(b"Authorization", b"x")], b"ann")


def test_several_challenges_are_several_fields() -> None:
    assert unauthorized(b"A", b"B").headers.all(b"www-authenticate") == [b"A", b"B"]
