"""Who may ask for what: methods, names and the token."""

from __future__ import annotations

import pytest

from dynbalancer.admin.guard import host_allowed, is_loopback, refusal, token_matches
from dynbalancer.core.settings import ApiSettings
from tests.admin.fakes import AdminCase

LOOPBACK = ApiSettings()
WITH_TOKEN = ApiSettings(token="s3cret")

OURS = [
    "localhost",
    "localhost:8080",
    "LOCALHOST",
    "localhost.",
    "127.0.0.1",
    "127.0.0.1:8080",
    "127.9.8.7",
    "[::1]:8080",
    "dash.localhost",
]
FOREIGN = [
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evillocalhost",
    "192.0.2.1",
    "[2001:db8::1]",
    "0.0.0.0",
    "2130706433",
    "127.1",
    "0x7f.0.0.1",
    "localhost@evil.example",
    "localhost/evil.example",
    "localhost evil.example",
    "localhost:8080:80",
    "localhost:port",
    "[::1",
    "::1",
    "",
    "localhost\t",
]


@pytest.mark.parametrize(
    "path, status", [("/ping", None), ("/", 404), ("/api/overview", 404), ("/dashboard/", 404)]
)
def test_where_only_ping_is_nothing_else_is_there(path: str, status: int | None) -> None:
    found = refusal("GET", ["localhost"], path, "", ApiSettings(ping_only=True, token="t"))
    assert (found and found.status) == status


@pytest.mark.parametrize("host", OURS)
def test_names_of_this_machine_are_allowed_on_loopback(host: str) -> None:
    assert host_allowed(host, "127.0.0.1")


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_names_are_refused_on_loopback(host: str) -> None:
    assert not host_allowed(host, "127.0.0.1")


def test_any_name_is_allowed_where_others_can_reach_the_listener() -> None:
    assert host_allowed("balancer.example", "0.0.0.0")
    assert host_allowed("balancer.example", "")


@pytest.mark.parametrize(
    "host, loopback",
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("", False), ("0.0.0.0", False), ("::", False)],
)
def test_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    "field, same",
    [
        ("Bearer s3cret", True),
        ("bearer s3cret", True),
        ("Bearer  s3cret ", True),
        ("Bearer s3cre", False),
        ("Bearer s3crets", False),
        ("Basic s3cret", False),
        ("s3cret", False),
        ("Bearer", False),
        ("Bearer é", False),
        ("", False),
    ],
)
def test_token(field: str, same: bool) -> None:
    assert token_matches(field, "s3cret") is same


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", ""]
)
def test_methods_that_do_not_read_are_refused(method: str) -> None:
    found = refusal(method, ["localhost"], "/api", "", LOOPBACK)
    assert found is not None and found.status == 405


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/", "/api/state", "/health", "//api", "/Ping", "/dashboardx", "/x", "/dashboard@internal"],
)
def test_with_a_token_set_all_but_listed_paths_need_it(path: str) -> None:
    found = refusal("GET", ["localhost"], path, "", WITH_TOKEN)
    assert found is not None and found.status == 401
    assert refusal("GET", ["localhost"], path, "Bearer s3cret", WITH_TOKEN) is None


@pytest.mark.parametrize(
    "path", ["/", "/ping", "/dashboard", "/dashboard/", "/dashboard/app.js", "/dashboard@internal/dashboard/"]
)
def test_the_page_and_ping_are_free(path: str) -> None:
    assert refusal("GET", ["localhost"], path, "", WITH_TOKEN) is None


def test_two_host_fields_are_refused_and_none_is_fine() -> None:
    found = refusal("GET", ["localhost", "localhost"], "/ping", "", LOOPBACK)
    assert found is not None and found.status == 400
    assert refusal("GET", [], "/ping", "", LOOPBACK) is None


class GuardTests(AdminCase):
    """The same over HTTP."""

    settings = WITH_TOKEN

    def test_every_answer_carries_the_security_fields(self) -> None:
        for path in ("/ping", "/api", "/nowhere", "/dashboard/"):
            response, _ = self.ask(path)
            policy = response.headers.getRawHeaders("content-security-policy")[0]
            self.assertIn("default-src 'self'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(response.headers.getRawHeaders("x-content-type-options"), ["nosniff"])
            self.assertEqual(response.headers.getRawHeaders("referrer-policy"), ["no-referrer"])
            self.assertEqual(response.headers.getRawHeaders("server"), ["dynbalancer"])
            self.assertFalse(response.headers.hasHeader("access-control-allow-origin"))

    def test_a_foreign_host_is_misdirected(self) -> None:
        response, body = self.ask("/ping", host="evil.example")
        self.assertEqual(response.code, 421)
        self.assertIn(b"localhost", body)

    def test_posting_is_not_allowed_and_says_what_is(self) -> None:
        response, _ = self.ask("/api", "POST", data=b"x")
        self.assertEqual((response.code, response.headers.getRawHeaders("allow")), (405, ["GET, HEAD"]))

    def test_without_the_token_there_is_no_answer_and_with_it_there_is(self) -> None:
        response, _ = self.ask("/health")
        self.assertEqual((response.code, response.headers.hasHeader("www-authenticate")), (401, True))
        response, _ = self.ask("/health", headers={"Authorization": "Bearer s3cret"})
        self.assertEqual(response.code, 200)
        self.assertEqual(response.headers.getRawHeaders("cache-control"), ["no-store"])

    def test_an_escaped_path_does_not_get_around_the_token(self) -> None:
        for path in ("/%61pi/state", "/api%2Fstate", "/dashboard%2F..%2Fapi", "/ping%00", "/ping%0A"):
            response, _ = self.ask(path)
            self.assertIn(response.code, (401, 404), path)

    def test_a_path_that_is_not_text_is_a_bad_request(self) -> None:
        response, _ = self.ask("/api/%ff")
        self.assertEqual(response.code, 400)
