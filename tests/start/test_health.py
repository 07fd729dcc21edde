"""Whether a balancer is well, asked over connections whose answer is known."""

from __future__ import annotations

import http.client
import ssl
from typing import Any

import pytest

from dynbalancer.core.model import EntryPoint
from dynbalancer.core.settings import ApiSettings, Settings
from dynbalancer.start import health


class Connection:
    """Answers with a status, or raises."""

    answer: int | Exception = 200
    asked: list[tuple[Any, ...]] = []

    def __init__(self, host: str, port: int, timeout: float, context: ssl.SSLContext | None = None) -> None:
        self.host, self.port = host, port
        self.asked.append((host, port) if context is None else (host, port, context.verify_mode))

    def request(self, method: str, path: str) -> None:
        self.asked.append((method, path))
        if isinstance(self.answer, Exception):
            raise self.answer

    def getresponse(self) -> Any:
        return type("Answer", (), {"status": self.answer})

    def close(self) -> None:
        self.asked.append(("close",))


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> type[Connection]:
    kind = type("Known", (Connection,), {"asked": []})
    monkeypatch.setattr(http.client, "HTTPConnection", kind)
    monkeypatch.setattr(http.client, "HTTPSConnection", kind)
    return kind


@pytest.mark.parametrize(
    "answer, said",
    [
        (200, "OK"),
        (503, "127.0.0.1:9 answers with status 503"),
        (ConnectionRefusedError(111, "Connection refused"), "127.0.0.1:9 does not answer: [Errno 111]"),
        (http.client.BadStatusLine("SSH-2.0"), "127.0.0.1:9 does not answer: SSH-2.0"),
    ],
)
def test_the_api_is_asked_where_there_is_one(connection: Any, answer: Any, said: str) -> None:
    connection.answer = answer
    assert health.ask(Settings(api=ApiSettings("", 9))).startswith(said)
    assert connection.asked == [("127.0.0.1", 9), ("GET", "/ping"), ("close",)]


@pytest.mark.parametrize("host, asked", [("::", "::1"), ("0.0.0.0", "127.0.0.1"), ("192.0.2.1", "192.0.2.1")])
def test_an_address_that_means_all_is_asked_on_this_machine(connection: Any, host: str, asked: str) -> None:
    assert health.ask_api(ApiSettings(host, 9)) == "OK"
    assert connection.asked[0] == (asked, 9)


@pytest.mark.parametrize("answer, said", [(204, "OK"), (404, "127.0.0.1:80 answers with status 404")])
def test_without_an_api_the_first_entry_point_is_asked(connection: Any, answer: int, said: str) -> None:
    connection.answer = answer
    settings = Settings(entry_points=(EntryPoint("web", 80), EntryPoint("alt", 81)))
    assert health.ask(settings) == said
    assert connection.asked[:2] == [("127.0.0.1", 80), ("OPTIONS", "*")]


def test_entry_points_for_datagrams_are_not_asked(connection: Any) -> None:
    connection.answer = 204
    dns = EntryPoint("dns", 53, udp=True)
    assert health.ask(Settings(entry_points=(dns, EntryPoint("web", 80)))) == "OK"
    assert connection.asked[0] == ("127.0.0.1", 80)
    assert health.ask(Settings(entry_points=(dns,))) == "OK"


def test_an_entry_point_with_tls_is_asked_whatever_its_certificate(connection: Any) -> None:
    connection.answer = 204
    assert health.ask_entry_point(EntryPoint("web", 443, tls=True)) == "OK"
    assert connection.asked[0] == ("127.0.0.1", 443, ssl.CERT_NONE)


def test_where_the_system_chose_the_port_of_the_api_the_first_entry_point_is_asked(
    connection: type[Connection],
) -> None:
    connection.answer = 204
    settings = Settings((EntryPoint("web", 7),), ApiSettings("127.0.0.1", 0))
    assert health.ask(settings) == "OK"
    assert connection.asked[0] == ("127.0.0.1", 7)
