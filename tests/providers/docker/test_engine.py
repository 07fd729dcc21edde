"""The engine's client over a recording transport: what it sends, and what it makes of the answers."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import requests.adapters
import urllib3

from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer_docker import engine as module
from dynbalancer_docker.engine import (
    DEFAULT_ENDPOINT,
    Access,
    Endpoint,
    Engine,
    ReadOnlyClient,
    access_of,
    endpoint_of,
)
from dynbalancer_docker.reading import Seen
from dynbalancer_docker.reasons import EngineError
from tests.providers.docker.fake_engine import container_id, description, row_of

WEB = container_id("web")


class Recorder(requests.adapters.BaseAdapter):
    """Answers from a table of paths; keeps every request."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[str, str]] = []
        self.seen: set[tuple[str | None, Any]] = set()
        self.answers: dict[str, Any] = {
            "/version": {"Version": "20.10.24", "ApiVersion": "1.41"},
            "/v1.41/version": {"Version": "20.10.24", "ApiVersion": "1.41"},
            "/v1.41/info": {"Name": "host"},
            "/v1.41/containers/json": [row_of(description("web"))],
            f"/v1.41/containers/{WEB}/json": description("web"),
        }

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        path = urlsplit(request.url or "").path
        self.requests.append((request.method or "", path))
        self.seen.add((request.headers.get("Authorization"), kwargs.get("timeout")))
        answer = self.answers.get(path, (404, {"message": "no such thing"}))
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = requests.Response()
        response.status_code = status
        response.url = request.url or ""
        response.request = request
        response.raw = urllib3.HTTPResponse(io.BytesIO(data), status=status, preload_content=False)
        self.query = parse_qs(urlsplit(request.url or "").query)
        return response

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Everything that any client sends goes to it."""
    made = Recorder()
    monkeypatch.setattr(ReadOnlyClient, "get_adapter", lambda self, url: made)
    return made


@pytest.fixture
def engine(recorder: Recorder) -> Iterator[Engine]:
    """An engine that is connected to the recorder."""
    made = Engine(Endpoint("tcp://engine.example.com:2375", {"base_url": "tcp://engine.example.com:2375"}))
    yield made
    made.close()


def test_everything_the_provider_does_is_one_of_the_allowed_reads(engine: Engine, recorder: Recorder) -> None:
    recorder.answers["/v1.41/events"] = b""
    engine.version()
    engine.info()
    engine.list_containers()
    engine.inspect([WEB])
    assert list(engine.events()) == []
    assert recorder.requests == [
        ("GET", "/version"),
        ("GET", "/v1.41/version"),
        ("GET", "/v1.41/info"),
        ("GET", "/v1.41/containers/json"),
        ("GET", f"/v1.41/containers/{WEB}/json"),
        ("GET", "/v1.41/events"),
    ]


def test_version_is_the_one_the_engine_offers(engine: Engine) -> None:
    assert engine.api_version == "1.41"
    assert engine.version()["ApiVersion"] == "1.41"
    assert engine.info()["Name"] == "host"


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "/containers/create"),
        ("DELETE", f"/containers/{WEB}"),
        ("POST", f"/containers/{WEB}/json"),
        ("GET", f"/containers/{WEB}/logs"),
        ("GET", f"/containers/{WEB}/archive"),
        ("GET", "/images/json"),
        ("GET", "/containers/../images/json"),
        ("HEAD", "/version"),
    ],
)
def test_anything_else_is_never_sent(engine: Engine, recorder: Recorder, method: str, path: str) -> None:
    recorder.requests.clear()
    client = engine._client
    with pytest.raises(EngineError, match="never sends"):
        client.request(method, f"{client.base_url}/v1.41{path}")
    assert recorder.requests == []


def test_list_gives_rows_and_leaves_rubbish_out_with_a_problem(engine: Engine, recorder: Recorder) -> None:
    recorder.answers["/v1.41/containers/json"] = [row_of(description("web")), {"Id": 7}, None]
    rows, problems = engine.list_containers()
    assert [row.name for row in rows] == ["web"]
    assert [problem.severity for problem in problems] == ["warning"]


def test_inspect_tells_a_container_from_a_missing_and_an_unreadable_one(
    engine: Engine, recorder: Recorder
) -> None:
    recorder.answers["/v1.41/containers/broken/json"] = (500, {"message": "driver\nfailed"})
    recorder.answers["/v1.41/containers/rubbish/json"] = ["not a container"]
    found = engine.inspect([WEB, "gone", "broken", "rubbish"])
    assert isinstance(found[WEB], Seen)
    assert found["gone"] is None
    assert "500: driver failed" in str(found["broken"])
    assert isinstance(found["rubbish"], Problem)


def test_environment_does_not_leave_the_engine(engine: Engine) -> None:
    assert "SECRET" not in repr(engine.inspect([WEB]))


@pytest.mark.parametrize(
    "answer, words",
    [
        (b"<html>hello</html>", "not a Docker engine"),
        (b"[" * 20000, "not a Docker engine"),
        (b"", "not a Docker engine"),
        ({"a": 1}, "not a list"),
        (None, "not a list"),
        ((403, {"message": "forbidden"}), "socket proxy"),
        ((500, b"\xff\xfe"), "with 500"),
        ((302, b""), "with 302"),
        (PermissionError(13, "denied"), "no permission"),
    ],
)
def test_rubbish_and_refusals_are_said_in_words(
    engine: Engine, recorder: Recorder, answer: Any, words: str
) -> None:
    recorder.answers["/v1.41/containers/json"] = answer
    with pytest.raises(EngineError) as caught:
        engine.list_containers()
    assert words in caught.value.reason


@pytest.mark.parametrize("answer", [[], {}, None, {"ApiVersion": 7}, {"ApiVersion": "nine"}, b"rubbish"])
def test_what_is_no_engine_is_refused_when_connecting(recorder: Recorder, answer: Any) -> None:
    recorder.answers["/version"] = answer
    with pytest.raises(EngineError):
        Engine(Endpoint("tcp://engine.example.com:2375", {"base_url": "tcp://engine.example.com:2375"}))


def test_answer_without_an_end_is_given_up(
    engine: Engine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_LIMIT", 100_000)
    recorder.answers["/v1.41/containers/json"] = b" " * 200_000
    with pytest.raises(EngineError, match="no end"):
        engine.list_containers()


def test_proxy_that_refuses_one_inspect_is_a_loss_not_a_problem(engine: Engine, recorder: Recorder) -> None:
    recorder.answers[f"/v1.41/containers/{WEB}/json"] = (403, b"")
    with pytest.raises(EngineError, match="socket proxy"):
        engine.inspect([WEB])


def event_line(action: str) -> bytes:
    """An event as it is on the wire."""
    return json.dumps({"Type": "container", "Action": action, "Actor": {"ID": WEB}}).encode() + b"\n"


def test_events_are_asked_for_by_kind_and_read_one_by_one(engine: Engine, recorder: Recorder) -> None:
    recorder.answers["/v1.41/events"] = event_line("start") + b"\n" + event_line("attach") + event_line("die")
    assert [event.action for event in engine.events()] == ["start", "die"]
    filters = json.loads(recorder.query["filters"][0])
    assert "kill" in filters["event"]
    assert filters["type"] == ["container", "network"]


@pytest.mark.parametrize(
    "body, words", [(b"<html>\n", "not a Docker engine"), (b"x" * 3000, "without an end")]
)
def test_events_that_are_rubbish_end_the_stream_in_words(
    engine: Engine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, body: bytes, words: str
) -> None:
    monkeypatch.setattr(module, "EVENT_LIMIT", 2000)
    recorder.answers["/v1.41/events"] = event_line("start") + body
    with pytest.raises(EngineError, match=words):
        list(engine.events())


def test_engine_that_does_not_give_events_says_so_when_they_are_opened(
    engine: Engine, recorder: Recorder
) -> None:
    recorder.answers["/v1.41/events"] = (403, b"")
    with pytest.raises(EngineError, match="events"):
        engine.events()


def test_closed_engine_asks_nothing_more(engine: Engine, recorder: Recorder) -> None:
    engine.close()
    recorder.requests.clear()
    with pytest.raises(EngineError):
        engine.inspect([WEB])
    with pytest.raises(EngineError):
        engine.events()
    assert recorder.requests == []


@pytest.mark.parametrize(
    "written, environ, address",
    [
        ("", {}, DEFAULT_ENDPOINT),
        ("", {"DOCKER_HOST": "tcp://a.example.com:2375"}, "tcp://a.example.com:2375"),
        ("unix:///run/other.sock", {"DOCKER_HOST": "tcp://a.example.com:2375"}, "unix:///run/other.sock"),
        ("ssh://me@a.example.com", {}, "ssh://me@a.example.com"),
    ],
)
def test_endpoint_is_the_option_else_the_environment_else_the_local_socket(
    written: str, environ: Mapping[str, str], address: str
) -> None:
    assert endpoint_of(written, environ).address == address


@pytest.mark.parametrize(
    "written, environ, words",
    [
        ("ftp://a.example.com", {}, "option docker.endpoint"),
        ("", {"DOCKER_HOST": "nonsense://x"}, "DOCKER_HOST"),
        (
            "",
            {
                "DOCKER_HOST": "tcp://a.example.com:1",
                "DOCKER_TLS_VERIFY": "1",
                "DOCKER_CERT_PATH": "/nowhere",
            },
            "TLS",
        ),
    ],
)
def test_endpoint_that_can_not_be_one_is_refused(
    written: str, environ: Mapping[str, str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        endpoint_of(written, environ)


def test_password_and_files_for_the_engine() -> None:
    access = access_of(
        {
            "username": "ann",
            "password": "secret",
            "tls.ca": "/ca.pem",
            "tls.cert": "/cert.pem",
            "tls.key": "/key.pem",
            "httpclienttimeout": 3.0,
        }
    )
    assert access == Access("/ca.pem", "/cert.pem", "/key.pem", False, "Basic YW5uOnNlY3JldA==", 3.0)
    assert "YW5u" not in repr(access)


def test_without_options_nothing_is_shown_to_the_engine() -> None:
    assert access_of({}) == Access()
    assert not Access().encrypted


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"password": "secret"}, "there is no docker.username"),
        ({"tls.cert": "/c"}, "there is no docker.tls.key"),
        ({"tls.key": "/k"}, "there is no docker.tls.cert"),
    ],
)
def test_half_of_what_the_engine_wants_is_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        access_of(settings)


def test_an_encrypted_endpoint_is_spoken_to_over_tls() -> None:
    endpoint = endpoint_of("tcp://engine.example.com:2376", {}, Access(insecure=True))
    assert endpoint.options["tls"].verify is False
    assert endpoint.address == "tcp://engine.example.com:2376"


@pytest.mark.parametrize("name, option", [("ca", "ca"), ("certificate", "cert")])
def test_files_that_are_not_there_are_told(name: str, option: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        endpoint_of("tcp://engine.example.com:2376", {}, Access(**{name: "/nowhere/x.pem"}))
    assert str(caught.value) == f"option docker.tls.{option}: there is no file /nowhere/x.pem"


def test_every_request_says_who_we_are_and_waits_as_long_as_it_may(recorder: Recorder) -> None:
    where = "tcp://engine.example.com:2375"
    access = access_of({"username": "ann", "password": "secret", "httpclienttimeout": 3.0})
    made = Engine(Endpoint(where, {"base_url": where}, access))
    made.list_containers()
    made.close()
    assert recorder.seen == {("Basic YW5uOnNlY3JldA==", (5.0, 3.0))}
