"""digestAuth: who proves to know a password, who only seems to, and nonces that are old or made up."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.digest import LIFETIME, DigestAuth, parameters
from dynbalancer.testing import MiddlewareContract, exchange


def hashed(algorithm: str, *parts: str) -> str:
    name = algorithm.replace("-", "").lower()
    return hashlib.new(name, ":".join(parts).encode()).hexdigest()


ANN = f"ann:traefik:{hashed('MD5', 'ann', 'traefik', 'test')}"
BOB = f"bob:traefik:{hashed('SHA-256', 'bob', 'traefik', 'secret')}"


class Now:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def digest(*users: str, clock: Now | None = None, secret: bytes = b"s", **settings: Any) -> DigestAuth:
    wanted = {"users": users or (ANN, BOB), **settings}
    return DigestAuth.from_settings("d@file", wanted, clock=clock or Now(), secret=secret)


def challenges(found: Response | None) -> list[dict[bytes, bytes]]:
    """The parameters of each challenge of an answer."""
    assert found is not None
    assert (found.status, found.body) == (401, b"401 Unauthorized\n")
    values = found.headers.all(b"www-authenticate")
    assert all(value.startswith(b"Digest ") for value in values)
    return [parameters(value[7:]) or {} for value in values]


def nonce_of(made: DigestAuth, client: str = "192.0.2.1") -> str:
    return challenges(made.on_request(exchange(client=client)))[0][b"nonce"].decode()


def credentials(
    nonce: str, user: str = "ann", password: str = "test", algorithm: str = "MD5", **changed: Any
) -> str:
    """As a client writes them; ``changed`` parameters replace right ones, None leaves one out."""
    said = {"username": user, "realm": "traefik", "nonce": nonce, "uri": "/p?q=1", "nc": "00000001"}
    said |= {"cnonce": "c0ffee", "qop": "auth", "algorithm": algorithm}
    said |= {name: value for name, value in changed.items() if name in said}
    method = changed.get("method", "GET")
    if "response" not in changed and all(value is not None for value in said.values()):
        ha1 = hashed(algorithm, user, "traefik", password)
        ha2 = hashed(algorithm, method, said["uri"])
        told = (said["nonce"], said["nc"], said["cnonce"], said["qop"])
        said["response"] = hashed(algorithm, ha1, *told, ha2)
    said |= {"response": changed["response"]} if "response" in changed else {}
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in said.items() if value is not None)


def asking(said: str, **request: Any) -> Exchange:
    about = {"path": b"/p", "query": b"q=1", **request}
    return exchange(headers={b"Authorization": said.encode(), b"X-User": b"root"}, **about)


class TestDigestAuth(MiddlewareContract):
    make = partial(DigestAuth.from_settings, clock=Now(), secret=b"")
    good = {"users": f"{ANN},{BOB}", "removeHeader": "true", "headerField": "X-User"}
    bad = (
        {},
        {"users": []},
        {"users": "ann:traefik"},
        {"users": "ann:" + ANN},
        {"users": "ann:traefik:0123"},
        {"users": "ann:traefik:" + "x" * 32},
        {"users": "ann\x00:traefik:" + "0" * 32},
        {"usersFile": "/etc/users"},
        {"users": ANN, "realm": "a\nb"},
        {"users": ANN, "headerField": "TE"},
        {"user": ANN},
    )


def test_example_of_the_standard() -> None:
    """RFC 7616 section 3.9.1, but for its nonce, which is not ours."""
    made = DigestAuth.from_settings(
        "d@file",
        {
            "users": [
                f"Mufasa:http-auth@example.org:{hashed('SHA-256', 'Mufasa', 'http-auth@example.org', 'Circle of Life')}"
            ],
            "realm": "http-auth@example.org",
        },
        clock=Now(),
        secret=b"",
    )
    said = parameters(
        b'username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=SHA-256, '
        b'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
        b'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, '
        b'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", '
        b'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    assert said is not None
    assert made._is_right(exchange(path=b"/dir/index.html").head, said)


@pytest.mark.parametrize(
    ("user", "password", "algorithm"), [("ann", "test", "MD5"), ("bob", "secret", "SHA-256")]
)
def test_right_proof_comes_in(user: str, password: str, algorithm: str) -> None:
    made = digest()
    a = asking(credentials(nonce_of(made), user, password, algorithm))
    assert made.on_request(a) is None
    assert a.user == user.encode()
    assert a.head.headers.all(b"x-user") == [b"root"]


def test_server_may_be_told_the_name_and_not_the_proof() -> None:
    made = digest(removeHeader="true", headerField="X-User")
    a = asking(credentials(nonce_of(made)))
    assert made.on_request(a) is None
    assert list(a.head.headers) == [(b"X-User", b"ann")]


def test_clients_that_name_no_algorithm_mean_md5_and_may_leave_quotes_out() -> None:
    made = digest()
    said = (
        credentials(nonce_of(made)).replace(', algorithm="MD5"', "").replace('nc="00000001"', "nc=00000001")
    )
    assert made.on_request(asking(said)) is None


@pytest.mark.parametrize("uri", ["/p?q=1", "/./p?q=1", "//p?q=1", "/%70?q=1"])
def test_uri_is_compared_in_normal_form(uri: str) -> None:
    made = digest()
    assert made.on_request(asking(credentials(nonce_of(made), uri=uri))) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"password": "Test"},
        {"user": "eve"},
        {"user": "bob"},
        {"user": ""},
        {"algorithm": "SHA-256"},
        {"response": ""},
        {"response": "0" * 32},
        {"response": None},
        {"uri": "/"},
        {"uri": "/p"},
        {"uri": "/p?q=2"},
        {"uri": "http://a.example/p?q=1"},
        {"uri": "/\\p?q=1"},
        {"uri": None},
        {"method": "POST"},
        {"nc": "1"},
        {"nc": "0000000g"},
        {"nc": None},
        {"cnonce": ""},
        {"cnonce": None},
        {"qop": "auth-int"},
        {"qop": ""},
        {"qop": None},
        {"username": None},
    ],
)
def test_everybody_else_is_asked_again_and_the_nonce_is_no_excuse(changed: dict[str, Any]) -> None:
    made = digest()
    nonce = nonce_of(made)
    a = asking(credentials(nonce, **changed))
    for challenge in challenges(made.on_request(a)):
        assert b"stale" not in challenge
    assert a.head.headers.all(b"x-user") == [b"root"]


def test_name_of_who_was_refused_is_for_the_access_log() -> None:
    made = digest()
    a = asking(credentials(nonce_of(made), "e" * 1000, "x"))
    challenges(made.on_request(a))
    assert a.user == b"e" * 256


@pytest.mark.parametrize(
    "algorithm, users, offered",
    [
        ("both", (ANN, BOB), [b"SHA-256", b"MD5"]),
        ("MD5", (ANN,), [b"MD5"]),
        ("SHA-256", (BOB,), [b"SHA-256"]),
    ],
)
def test_offered_is_what_some_user_has_a_hash_for(
    algorithm: str, users: tuple[str, ...], offered: list[bytes]
) -> None:
    found = challenges(digest(*users).on_request(exchange()))
    assert [challenge[b"algorithm"] for challenge in found] == offered
    assert {(challenge[b"realm"], challenge[b"qop"]) for challenge in found} == {(b"traefik", b"auth")}


@pytest.mark.parametrize(
    ("later", "fresh"), [(0, True), (LIFETIME, True), (LIFETIME + 1, False), (-10, False), (10**9, False)]
)
def test_old_nonce_is_replaced_without_asking_for_the_password(later: float, fresh: bool) -> None:
    clock = Now()
    made = digest(clock=clock)
    nonce = nonce_of(made)
    clock.seconds += later
    found = made.on_request(asking(credentials(nonce)))
    assert (found is None) is fresh
    if not fresh:
        (again, *_) = challenges(found)
        assert again[b"stale"] == b"true"
        assert made.on_request(asking(credentials(again[b"nonce"].decode()))) is None


def test_nonce_holds_for_every_worker_and_for_one_client() -> None:
    nonce = nonce_of(digest())
    assert digest().on_request(asking(credentials(nonce))) is None
    for other in (
        digest(secret=b"of the next run").on_request(asking(credentials(nonce))),
        digest().on_request(asking(credentials(nonce), client="192.0.2.2")),
    ):
        assert challenges(other)[0][b"stale"] == b"true"


@pytest.mark.parametrize("nonce", ["", "0" * 48, "x" * 48, "0" * 16, "\u00e9"])
def test_nonce_that_was_made_up_is_not_taken(nonce: str) -> None:
    assert challenges(digest().on_request(asking(credentials(nonce))))[0][b"stale"] == b"true"


@given(st.integers(0, 47), st.sampled_from("0123456789abcdef"))
def test_nonce_with_one_digit_changed_is_not_taken(place: int, digit: str) -> None:
    made = digest()
    nonce = nonce_of(made)
    changed = nonce[:place] + digit + nonce[place + 1 :]
    assert (made.on_request(asking(credentials(changed))) is None) is (changed == nonce)


@pytest.mark.parametrize(
    "said",
    [None, "", "Digest", "Digest x", "Basic YW5uOnRlc3Q=", 'Digest username="ann', 'Digest a="1" b="2"'],
)
def test_what_are_no_credentials_is_not_guessed_at(said: str | None) -> None:
    headers = {} if said is None else {b"Authorization": said.encode()}
    assert challenges(digest().on_request(exchange(headers=headers)))


def test_two_fields_of_credentials_are_none() -> None:
    made = digest()
    a = asking(credentials(nonce_of(made)))
    a.head.headers.add(b"authorization", b"Basic YW5uOnRlc3Q=")
    assert challenges(made.on_request(a))


@pytest.mark.parametrize(
    ("credentials", "found"),
    [
        (b"", {}),
        (b"a=1", {b"a": b"1"}),
        (b'A="x, \\"y\\\\", b = 2 ,c="" ', {b"a": b'x, "y\\', b"b": b"2", b"c": b""}),
        (b'a="1", A="2"', None),
        (b"a=1 b=2", None),
        (b'a="1', None),
        (b"=1", None),
        (b",a=1", None),
        (b'a="' + b"\\" * 5000, None),
    ],
)
def test_parameters_are_read_or_all_refused(credentials: bytes, found: dict[bytes, bytes] | None) -> None:
    assert parameters(credentials) == found


def test_user_of_another_realm_is_told_and_stays_out() -> None:
    made = digest(ANN.replace("traefik", "old"))
    assert made.notices == ("user ann is of the realm old and can't come in: here it is traefik",)
    assert challenges(made.on_request(asking(credentials(nonce_of(made)))))


def test_bad_entries_are_named_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        digest(ANN, "bob:traefik:secret")
    assert "the hash of entry 2 (bob) is neither MD5 nor SHA-256" in caught.value.why
    assert "secret" not in str(caught.value)
