"""dynbalancer explain: what is asked, and what is shown of the answer."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from dynbalancer.core.settings import ApiSettings
from dynbalancer.errors import ConfigurationError
from dynbalancer.start.explaining import ask, lines, read

API = ApiSettings("", 9, token="sesame")


@pytest.mark.parametrize(
    ("argv", "target"),
    [
        (["http://a.example/x?y=1"], "/api/explain?url=http%3A%2F%2Fa.example%2Fx%3Fy%3D1"),
        (["-H", "A: b", "a.example", "-H", "C: d"], "/api/explain?url=a.example&header=A%3A+b&header=C%3A+d"),
        (["--METHOD=PUT", "--client", "192.0.2.1", "a"], "/api/explain?url=a&method=PUT&client=192.0.2.1"),
        (["tcp://db.example", "--entryPoint=db"], "/api/explain/tcp?entryPoint=db&sni=db.example"),
        (["UDP://", "-X", "GET"], "/api/explain/udp?"),
    ],
)
def test_a_command_line_is_a_question(argv: list[str], target: str) -> None:
    assert read(argv).target == target


def test_other_flags_are_those_of_the_balancer() -> None:
    question = read(["--api.address=:9", "a.example", "--json", "--docker"])
    assert (question.flags, question.raw) == (("--api.address=:9", "--docker"), True)


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["--json"], "there is no URL"),
        (["a", "--api.address", ":9"], "2 URLs: a, :9"),
        (["a", "-H"], "it needs a value"),
    ],
)
def test_what_is_no_question_is_told(argv: list[str], why: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read(argv)
    assert refusal.value.why == why


class Connection:
    """Answers with a status and a body, or raises."""

    status = 200
    body: bytes | Exception = b"{}"
    asked: list[Any]

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self.host, self.port = host, port

    def request(self, method: str, target: str, headers: dict[str, str]) -> None:
        self.asked.append((self.host, self.port, method, target, headers))
        if isinstance(self.body, Exception):
            raise self.body

    def getresponse(self) -> Any:
        return type("Answer", (), {"status": self.status, "read": lambda _: self.body})()

    def close(self) -> None:
        self.asked.append("closed")


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Any:
    kind = type("Known", (Connection,), {"asked": []})
    monkeypatch.setattr(http.client, "HTTPConnection", kind)
    return kind


def test_the_api_is_asked_with_its_token(connection: Any) -> None:
    connection.body = b'{"router": "web@docker"}'
    assert ask(read(["a"]), API) == {"router": "web@docker"}
    header = {"Authorization": "Bearer sesame"}
    assert connection.asked == [("127.0.0.1", 9, "GET", "/api/explain?url=a", header), "closed"]


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (401, b'{"message": "a token is needed"}', "127.0.0.1:9 wants its token"),
        (400, b'{"message": "ftp: not http or https"}', "ftp: not http or https"),
        (404, b"{}", "127.0.0.1:9 answers with status 404"),
        (200, b"<html>", "127.0.0.1:9 answers with status 200, and no JSON"),
        (200, ConnectionRefusedError(111, "refused"), "127.0.0.1:9 does not answer: [Errno 111] refused"),
    ],
)
def test_who_does_not_answer_well_is_told(
    connection: Any, status: int, body: bytes | Exception, why: str
) -> None:
    connection.status, connection.body = status, body
    with pytest.raises(ConfigurationError) as refusal:
        ask(read(["a"]), API)
    assert refusal.value.why == why


@pytest.mark.parametrize("api", [None, ApiSettings(port=0)])
def test_without_an_api_nobody_is_asked(connection: Any, api: ApiSettings | None) -> None:
    with pytest.raises(ConfigurationError, match="no API"):
        ask(read(["a"]), api)
    assert connection.asked == []


def candidate(name: str, matched: bool, trace: Any, why: str = "it says so") -> dict[str, Any]:
    """A router as the API shows it."""
    return {"name": name, "rule": "R", "priority": 7, "matched": matched, "why": why, "trace": trace}


def test_a_request_that_is_routed_is_shown_with_its_rules_as_trees() -> None:
    host = {"matcher": "Host", "arguments": ["a.example"], "matched": True}
    both = {
        "op": "and",
        "matched": True,
        "children": [host, {"op": "not", "matched": True, "children": [host]}],
    }
    request = {"method": "GET", "scheme": "http", "host": "a.example", "path": "/", "query": "q"}
    request |= {"entryPoint": "web", "client": "192.0.2.1"}
    found = {
        "router": "r",
        "why": "router r takes it",
        "table": 3,
        "middlewares": ["m", "n"],
        "request": request,
        "candidates": [candidate("r", True, both), candidate("s", False, None, "line\x1b[2J")],
    }
    assert list(lines(json.loads(json.dumps(found)))) == [
        "routed: router r takes it",
        "  GET http://a.example/?q on web, from 192.0.2.1, table 3",
        "  through m → n",
        "",
        "takes it: r, priority 7: R",
        "  ✓ all of",
        "    ✓ Host(`a.example`)",
        "    ✓ not",
        "      ✓ Host(`a.example`)",
        "",
        "no match: s, priority 7: R",
        "  line\\x1b[2J",
    ]


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        (
            {"entryPoint": "db", "client": "c", "tls": True, "sni": "x"},
            "connection with TLS for x on db, from c",
        ),
        ({"entryPoint": "db", "client": "c", "tls": True, "sni": ""}, "connection with TLS on db, from c"),
        (
            {"entryPoint": "db", "client": "c", "tls": False, "sni": ""},
            "connection without TLS on db, from c",
        ),
        ({"entryPoint": "dns"}, "datagrams on dns"),
    ],
)
def test_a_connection_is_shown_in_a_line(request_: dict[str, Any], shown: str) -> None:
    found = {"router": None, "why": "w", "table": 1, "middlewares": [], "request": request_, "candidates": []}
    assert list(lines(found)) == ["not routed: w", f"  {shown}, table 1"]


def test_of_very_many_routers_the_first_are_shown() -> None:
    found = {"router": None, "why": "w", "table": 1, "middlewares": [], "request": {"entryPoint": "dns"}}
    found["candidates"] = [candidate(f"r{number}", False, None) for number in range(60)]
    assert list(lines(found))[-1] == "\nand 10 more"
