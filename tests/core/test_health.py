"""Health checks as decisions: the question, the answer, the wait, and the routing that comes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynbalancer.core.health import (
    Question,
    Standing,
    Verdicts,
    fault,
    key_of,
    outage,
    question_of,
    redirected,
    wait_after,
)
from dynbalancer.core.model import HealthCheck, Server, Service
from dynbalancer.core.streams import StreamServer, StreamService
from dynbalancer.errors import Problem

SERVER = Server("http://10.0.0.2:8080", instance="c0ffee")
TCP = HealthCheck(mode="tcp", send="PING\r\n", expect="+PONG")
HTTP = Question("web@file", "10.0.0.2", 8080, authority="10.0.0.2:8080", target="/health", follows=True)


def service(check: HealthCheck | None, *servers: Server, **more: str) -> Service:
    return Service("web@file", servers or (SERVER,), health_check=check, **more)  # type: ignore[arg-type]


def question(check: HealthCheck, url: str = SERVER.url) -> Question:
    found = question_of(service(check), Server(url))
    assert found is not None
    return found


# What is asked.


def test_the_server_itself_is_asked_for_the_path() -> None:
    found = question(HealthCheck("/health?full=1"))
    assert (found.host, found.port, found.tls) == ("10.0.0.2", 8080, False)
    assert found.request() == (
        b"GET /health?full=1 HTTP/1.1\r\nHost: 10.0.0.2:8080\r\n"
        b"User-Agent: dynbalancer\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("check", "url", "where"),
    [
        (HealthCheck("/", port=81), SERVER.url, ("10.0.0.2", 81, False, "10.0.0.2:81")),
        (HealthCheck("/", scheme="https"), SERVER.url, ("10.0.0.2", 8080, True, "10.0.0.2:8080")),
        (HealthCheck("/", scheme="http"), "https://10.0.0.2:443", ("10.0.0.2", 443, False, "10.0.0.2:443")),
        (HealthCheck("/", hostname="a.example"), SERVER.url, ("10.0.0.2", 8080, False, "a.example")),
        (HealthCheck("/"), "http://[fd00::2]:80", ("fd00::2", 80, False, "[fd00::2]:80")),
        (HealthCheck("/"), "https://b.example", ("b.example", 443, True, "b.example:443")),
    ],
)
def test_scheme_port_and_hostname_take_the_place_of_the_servers(
    check: HealthCheck, url: str, where: tuple[str, int, bool, str]
) -> None:
    found = question(check, url)
    assert (found.host, found.port, found.tls, found.authority) == where


def test_the_path_of_a_servers_url_is_not_asked_for() -> None:
    assert question(HealthCheck("/health"), "http://10.0.0.2:80/app").target == "/health"


def test_fields_of_the_check_replace_our_own() -> None:
    check = HealthCheck("/", method="POST", headers=(("user-agent", "me"), ("X-Token", "t")))
    assert question(check).request() == (
        b"POST / HTTP/1.1\r\nHost: 10.0.0.2:8080\r\n"
        b"Accept: */*\r\nuser-agent: me\r\nX-Token: t\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("server", "check", "where"),
    [
        (StreamServer("10.0.0.2:5432"), TCP, ("10.0.0.2", 5432, False)),
        (StreamServer("[fd00::2]:5432", tls=True), TCP, ("fd00::2", 5432, True)),
        (StreamServer("db.example:5432"), replace(TCP, port=81), ("db.example", 81, False)),
    ],
)
def test_a_server_of_tcp_is_asked_at_its_address(
    server: StreamServer, check: HealthCheck, where: tuple[str, int, bool]
) -> None:
    found = question_of(StreamService("db@file", (server,), health_check=check), server)
    assert found is not None
    assert (found.host, found.port, found.tls) == where
    assert (found.mode, found.request(), found.expect) == ("tcp", b"PING\r\n", b"+PONG")


@pytest.mark.parametrize("address", ["10.0.0.2", "10.0.0.2:x", ":80"])
def test_a_server_of_tcp_without_an_address_is_not_asked(address: str) -> None:
    server = StreamServer(address)
    assert question_of(StreamService("db@file", (server,), health_check=TCP), server) is None


@pytest.mark.parametrize(
    ("check", "url"),
    [
        (None, SERVER.url),
        (HealthCheck(), SERVER.url),
        (HealthCheck("/"), "h2c://10.0.0.2:80"),
        (HealthCheck("/"), "http://10.0.0.2:99999"),
        (HealthCheck("/"), "http://[::1"),
        (HealthCheck("/"), "nonsense"),
        (HealthCheck(mode="tcp"), SERVER.url),
    ],
)
def test_nobody_is_asked_without_a_wish_or_a_way(check: HealthCheck | None, url: str) -> None:
    assert question_of(service(check), Server(url)) is None


# What an answer means.


@pytest.mark.parametrize("status", [200, 204, 301, 399])
def test_any_2xx_and_3xx_is_good(status: int) -> None:
    assert fault(HealthCheck("/"), status) == ""


@pytest.mark.parametrize("status", [101, 400, 404, 500, 503])
def test_any_other_status_is_not(status: int) -> None:
    assert fault(HealthCheck("/health"), status) == f"status {status} from /health"


def test_a_status_of_ones_own_is_the_only_good_one() -> None:
    check = HealthCheck("/health", status=418)
    assert fault(check, 418) == ""
    assert fault(check, 200) == "status 200 from /health, not 418"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/login", "/login"),
        (b"deep?x=1", "/deep?x=1"),
        (b"http://10.0.0.2:8080/ok", "/ok"),
        (b"//10.0.0.2:8080", "/"),
    ],
)
def test_a_redirect_at_the_same_server_is_followed(location: bytes, target: str) -> None:
    assert redirected(HTTP, 302, location) == replace(HTTP, target=target)


def test_a_redirect_to_the_name_we_asked_for_stays_at_the_server() -> None:
    named = replace(HTTP, authority="a.example")
    assert redirected(named, 301, b"http://A.example/x") == replace(named, target="/x")


@pytest.mark.parametrize(
    "location",
    [
        b"http://169.254.169.254/latest",
        b"http://10.0.0.2/other-port",
        b"https://10.0.0.2:8080/other-scheme",
        b"ftp://10.0.0.2:8080/",
        b"http://[::1",
        b"http://10.0.0.2:99999/",
        b"/a b",
        b"/a\x00b",
        b"/%zz",
        b"/\xff",
    ],
)
def test_a_redirect_to_another_place_is_not_followed(location: bytes) -> None:
    assert redirected(HTTP, 302, location) is None


@pytest.mark.parametrize(("status", "location"), [(302, None), (200, b"/x"), (304, b"/x"), (300, b"/x")])
def test_what_sends_nobody_on_is_not_followed(status: int, location: bytes | None) -> None:
    assert redirected(HTTP, status, location) is None


def test_no_redirect_is_followed_where_none_is_to_be() -> None:
    assert redirected(replace(HTTP, follows=False), 302, b"/x") is None


@pytest.mark.parametrize(("status", "method"), [(302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_a_redirect_keeps_the_method_where_http_says_so(status: int, method: str) -> None:
    found = redirected(replace(HTTP, method="POST"), status, b"/x")
    assert found is not None and found.method == method


# How a server stands, and when it is asked again.


def test_a_server_is_up_until_it_fails_and_again_when_it_passes() -> None:
    new = Standing(100.0)
    assert new.up and not new.proven
    passed = new.after("", 101.0)
    assert passed == Standing(100.0, True, "", 0, 101.0, True)
    failed = passed.after("status 500 from /", 102.0)
    assert failed == Standing(102.0, False, "status 500 from /", 1, 102.0, True)
    assert failed.after("refused", 103.0) == Standing(102.0, False, "refused", 2, 103.0, True)
    assert failed.after("", 104.0) == Standing(104.0, True, "", 0, 104.0, True)


UP = Standing(0.0, proven=True)
DOWN = Standing(0.0, False, "refused", 1, proven=True)


@pytest.mark.parametrize(
    ("standing", "check", "seconds"),
    [
        (UP, HealthCheck("/", interval=10.0), 9.0),
        (UP, HealthCheck("/", interval=10.0, unhealthy_interval=2.0), 9.0),
        (DOWN, HealthCheck("/", interval=10.0), 9.0),
        (DOWN, HealthCheck("/", interval=10.0, unhealthy_interval=2.0), 1.0),
        (UP, HealthCheck("/", interval=0.5), 0.05),
    ],
)
def test_the_time_it_took_is_part_of_the_interval(
    standing: Standing, check: HealthCheck, seconds: float
) -> None:
    assert wait_after(standing, check, 1.0, 0.0) == seconds


def test_a_tenth_of_an_interval_is_left_to_chance_and_never_makes_it_longer() -> None:
    check = HealthCheck("/", interval=10.0)
    assert wait_after(UP, check, 0.0, 0.0) == 10.0
    assert wait_after(UP, check, 0.0, 0.999) == pytest.approx(9.0, abs=0.01)


def test_a_server_that_never_passed_is_asked_again_soon() -> None:
    check = HealthCheck("/", interval=10.0)
    waits = [wait_after(replace(DOWN, proven=False, failures=n), check, 0.0, 0.0) for n in (1, 2, 3, 4, 5)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert wait_after(replace(DOWN, proven=False, failures=10**6), check, 0.0, 0.0) == 10.0


# What comes of it.

TWO = service(HealthCheck("/"), SERVER, Server("http://10.0.0.3:8080"))
OTHER = Service("other@file", (SERVER,))
SAID = {"web@file": TWO, "other@file": OTHER}


def test_a_server_that_fails_is_down_and_everything_else_the_same_object() -> None:
    verdicts = Verdicts()
    found = verdicts.over(SAID, frozenset({key_of(TWO, SERVER)}))
    assert [server.state for server in found["web@file"].servers] == ["down", "ready"]
    assert found["other@file"] is OTHER
    assert list(found) == list(SAID)
    assert TWO.servers[0].state == "ready"


def test_with_nobody_down_it_is_the_very_mapping_that_was_given() -> None:
    verdicts = Verdicts()
    assert verdicts.over(SAID, frozenset()) is SAID
    assert verdicts.over(SAID, frozenset({("gone@file", "http://10.0.0.9:80", "")})) is SAID


def test_what_was_judged_so_before_is_the_same_object() -> None:
    verdicts, down = Verdicts(), frozenset({key_of(TWO, SERVER)})
    first = verdicts.over(SAID, down)
    assert verdicts.over(SAID, down) is first
    second = verdicts.over({**SAID, "new@file": OTHER}, down)
    assert second["web@file"] is first["web@file"]


@pytest.mark.parametrize("state", ["draining", "starting", "maintenance", "down"])
def test_a_state_that_takes_no_requests_anyway_stays_what_it_is(state: str) -> None:
    leaving = service(HealthCheck("/"), replace(SERVER, state=state))
    said = {"web@file": leaving}
    assert Verdicts().over(said, frozenset({key_of(leaving, SERVER)})) is said


def test_the_same_url_with_another_container_behind_it_is_another_server() -> None:
    said = {"web@file": TWO}
    assert Verdicts().over(said, frozenset({("web@file", SERVER.url, "another")})) is said


def test_no_outage_while_one_server_takes_requests() -> None:
    standings = {key_of(TWO, SERVER): DOWN}
    assert outage(TWO, standings) is None


def test_an_outage_names_each_server_and_its_reason() -> None:
    keys = [key_of(TWO, server) for server in TWO.servers]
    standings = {keys[0]: replace(DOWN, why="status 500 from /"), keys[1]: replace(DOWN, why="re\nfused")}
    assert outage(TWO, standings) == Problem(
        "healthCheck web@file",
        "none of its servers is up, requests are answered with 503 "
        "(http://10.0.0.2:8080: status 500 from /; http://10.0.0.3:8080: re\\nfused)",
        "see what the servers say there, or correct the health check",
    )


def test_an_outage_of_tcp_closes_connections() -> None:
    server = StreamServer("10.0.0.2:5432")
    database = StreamService("db@file", (server,), health_check=TCP)
    found = outage(database, {key_of(database, server): DOWN})
    assert found is not None
    assert found.why == "none of its servers is up, connections are closed (10.0.0.2:5432: refused)"


def test_an_outage_that_health_checks_have_no_part_in_is_not_theirs() -> None:
    leaving = service(HealthCheck("/"), replace(SERVER, state="draining"))
    assert outage(leaving, {key_of(leaving, SERVER): UP}) is None
    assert outage(service(HealthCheck("/")), {}) is None


def test_an_outage_of_many_names_a_few() -> None:
    many = service(HealthCheck("/"), *(Server(f"http://10.0.0.{n}:80", name=f"web-{n}") for n in range(1, 6)))
    found = outage(many, {key_of(many, server): DOWN for server in many.servers})
    assert found is not None
    assert "(web-1: refused; web-2: refused; web-3: refused; and 2 more)" in found.why
