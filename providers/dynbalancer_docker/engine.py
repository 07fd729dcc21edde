"""The engine's API through the ``docker`` package: blocking, for private threads only, and unable to write.

Every request passes :meth:`ReadOnlyClient.send`, which lets six GETs through and nothing else, bounds the
size of answers and gives every request a time limit.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import docker
import docker.errors
import docker.tls
import docker.utils
from requests import PreparedRequest, Response

from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer_docker.events import FILTERS, Event, read_event
from dynbalancer_docker.reading import Row, Seen, read_container, read_row, stripped
from dynbalancer_docker.reasons import EngineError, engine_error, refused, rubbish, shown

DEFAULT_ENDPOINT = "unix:///var/run/docker.sock"

#: Seconds to connect, seconds without a byte of an answer, seconds for a whole answer.
CONNECT_TIME, SILENCE_TIME, ANSWER_TIME = 5.0, 10.0, 30.0

#: Bytes of one answer, and of one event.
ANSWER_LIMIT, EVENT_LIMIT = 48 << 20, 1 << 20

_ALLOWED = re.compile(r"(?:/v[0-9.]+)?/(?:version|info|events|networks|containers/(?:[^/]+/)?json)")


@dataclass(frozen=True, slots=True)
class Access:
    """How we get to an engine: TLS files, a password, and seconds it may be silent within an answer (0: 10)."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    insecure: bool = False
    authorization: str = field(default="", repr=False)
    silence: float = 0.0

    @property
    def encrypted(self) -> bool:
        """Whether something of TLS is said."""
        return bool(self.ca or self.certificate or self.key or self.insecure)


def access_of(settings: Mapping[str, Any]) -> Access:
    """From the options ``tls.…``, ``username``, ``password`` and ``httpclienttimeout``. Raises ConfigurationError."""
    username, password = settings.get("username", ""), settings.get("password", "")
    if password and not username:
        raise ConfigurationError("option docker.password", "there is no docker.username")
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    certificate, key = settings.get("tls.cert", ""), settings.get("tls.key", "")
    if bool(certificate) != bool(key):
        missing = "key" if certificate else "cert"
        given = "cert" if certificate else "key"
        raise ConfigurationError(f"option docker.tls.{given}", f"there is no docker.tls.{missing}")
    return Access(
        settings.get("tls.ca", ""),
        certificate,
        key,
        bool(settings.get("tls.insecureskipverify", False)),
        f"Basic {pair}" if username else "",
        float(settings.get("httpclienttimeout", 0.0)),
    )


class ReadOnlyClient(docker.APIClient):
    """The package's low-level client, kept to six requests that only read.

    ``address`` is what to call the engine in messages.
    """

    def __init__(self, address: str, access: Access, **options: Any) -> None:
        # Set first: the package asks for the version while it is being made.
        self.address = address
        self._authorization = access.authorization
        self._silence = access.silence or SILENCE_TIME
        super().__init__(**options)

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """See :meth:`requests.Session.send`. Raises EngineError for an error or an endless answer."""
        path = urlsplit(request.url or "").path
        if request.method != "GET" or not _ALLOWED.fullmatch(path.removeprefix(self._prefix())):
            raise EngineError(f"dynbalancer never sends {request.method} {path} to an engine")
        streams = kwargs.pop("stream", False)
        kwargs |= {"timeout": (CONNECT_TIME, self._silence), "allow_redirects": False}
        if self._authorization:
            request.headers["Authorization"] = self._authorization
        response = super().send(request, stream=True, **kwargs)
        if not streams or response.status_code != 200:
            response.raw = io.BytesIO(_whole(response, self.address))
        if response.status_code != 200:
            raise refused(response.status_code, path, _message(response), self.address)
        if streams:
            _be_patient(response)
        return response

    def _prefix(self) -> str:
        """The path of the endpoint itself, where it has one (tcp://engine.example:2375/docker)."""
        return urlsplit(str(self.base_url)).path.rstrip("/")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an engine listens: ``options`` for the client, ``address`` to show."""

    address: str
    options: Mapping[str, Any]
    access: Access = field(default_factory=Access)


def endpoint_of(written: str, environ: Mapping[str, str], access: Access | None = None) -> Endpoint:
    """The engine named by the option, else by DOCKER_HOST and its companions, else the local socket.

    Raises ConfigurationError where that can't be an engine.
    """
    access = access or Access()
    where = "option docker.endpoint" if written else "DOCKER_HOST"
    address = written
    try:
        # An empty mapping would make the package read the process's own environment.
        options = {"base_url": written} if written else docker.utils.kwargs_from_env({"": "", **environ})
        address = options.setdefault("base_url", DEFAULT_ENDPOINT)
        if access.encrypted:
            where = "options docker.tls"
            options["tls"] = _tls(access)
            where = "option docker.endpoint"
        docker.utils.parse_host(address, False, tls="tls" in options)
    except (docker.errors.DockerException, ValueError) as error:
        hint = "write unix:///var/run/docker.sock, tcp://host:2375 or ssh://user@host"
        raise ConfigurationError(where, str(error).replace(address, shown(address)), hint) from error
    return Endpoint(shown(address), options, access)


def _tls(access: Access) -> Any:
    for name, path in (("ca", access.ca), ("cert", access.certificate), ("key", access.key)):
        if path and not os.path.isfile(path):
            # The package says of a pair only that something is wrong with it.
            raise ConfigurationError(f"option docker.tls.{name}", f"there is no file {path}")
    pair = (access.certificate, access.key) if access.certificate else None
    return docker.tls.TLSConfig(client_cert=pair, ca_cert=access.ca or None, verify=not access.insecure)


class Engine:
    """A connection to an engine, with the API version it offers. Methods block and raise EngineError."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.address = endpoint.address
        self._streams: list[EventStream] = []
        self._closed = False
        with self._in_our_words():
            # Always the version that the engine offers: a pinned one is refused by newer or older engines.
            self._client = ReadOnlyClient(self.address, endpoint.access, **endpoint.options, version="auto")

    @property
    def api_version(self) -> str:
        """The API version in use."""
        return str(self._client.api_version)

    def version(self) -> Mapping[str, object]:
        """What the engine says of itself: Version, ApiVersion, Os …"""
        with self._in_our_words():
            return self._object(self._client.version(), "/version")

    def info(self) -> Mapping[str, object]:
        """The engine's state: Name, ID, Containers …"""
        with self._in_our_words():
            return self._object(self._client.info(), "/info")

    def list_containers(self) -> tuple[tuple[Row, ...], tuple[Problem, ...]]:
        """All running containers, and what was wrong with the list."""
        rows: list[Row] = []
        problems: list[Problem] = []
        with self._in_our_words():
            listed: object = self._client.containers()
            if not isinstance(listed, list):
                raise rubbish(self.address, "its list of containers is not a list")
            for entry in listed:
                try:
                    rows.append(read_row(entry))
                except ConfigurationError as error:
                    problems.append(error.as_problem("warning"))
        return tuple(rows), tuple(dict.fromkeys(problems))

    def inspect(self, ids: Iterable[str]) -> dict[str, Seen | Problem | None]:
        """Each container as it is now: None where there is none, a Problem if only this one can't be read."""
        return {id: self._inspect(id) for id in ids}

    def _inspect(self, id: str) -> Seen | Problem | None:
        if self._closed:
            raise EngineError(f"the connection to {self.address} was closed")
        try:
            with self._in_our_words():
                return read_container(stripped(self._client.inspect_container(id)))
        except ConfigurationError as error:
            return error.as_problem("warning")
        except EngineError as error:
            if error.status is None or error.status in (401, 403):
                raise
            return None if error.status == 404 else Problem(f"container {id[:12]}", error.reason)

    def events(self) -> EventStream:
        """What happens from now on."""
        if self._closed:
            raise EngineError(f"the connection to {self.address} was closed")
        with self._in_our_words():
            url = f"{self._client.base_url}/v{self._client.api_version}/events"
            response = self._client.get(url, params={"filters": json.dumps(FILTERS)}, stream=True)
        stream = EventStream(response, self.address)
        self._streams.append(stream)
        return stream

    def close(self) -> None:
        """End all event streams and idle connections. May be called from any thread."""
        self._closed = True
        for stream in self._streams:
            stream.close()
        self._client.close()

    @staticmethod
    def _object(answer: object, path: str) -> Mapping[str, object]:
        if not isinstance(answer, dict):
            raise EngineError(f"the engine's answer to {path} is not an object")
        return answer

    @contextlib.contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except (EngineError, ConfigurationError):
            raise
        except Exception as error:
            # Anything may come through the package: requests', urllib3's, the ssh library's errors.
            raise engine_error(error, self.address) from error


class EventStream:
    """Events, one by one, until the engine or :meth:`close` ends it. Iterating blocks; raises EngineError."""

    def __init__(self, response: Response, address: str) -> None:
        self._response = response
        self._address = address
        self._closed = False

    def __iter__(self) -> Iterator[Event]:
        try:
            for line in self._lines():
                event = read_event(json.loads(line))
                if event is not None:
                    yield event
        except EngineError:
            raise
        except Exception as error:
            if not self._closed:
                raise engine_error(error, self._address) from error
        finally:
            self._response.close()

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        # Behind an HTTP/1.0 proxy there are no chunks, and reading more than is there would wait for it.
        amount = 65536 if getattr(self._response.raw, "chunked", False) else 1
        for piece in self._response.raw.stream(amount, decode_content=True):
            *lines, rest = (rest + piece).split(b"\n")
            yield from filter(bytes.strip, lines)
            if len(rest) > EVENT_LIMIT:
                raise rubbish(self._address, "it sends an event without an end")

    def close(self) -> None:
        """End it, from any thread: one that waits for the next event is woken."""
        self._closed = True
        connection = getattr(self._response.raw, "connection", None)
        opened = getattr(connection, "sock", None)
        if opened is not None:
            # Shut, not closed: closing a socket under a waiting reader does not wake it.
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)


def _whole(response: Response, address: str) -> bytes:
    """The body, up to the limits."""
    body = bytearray()
    end = time.monotonic() + ANSWER_TIME
    for piece in response.raw.stream(65536, decode_content=True):
        body += piece
        if len(body) > ANSWER_LIMIT or time.monotonic() > end:
            response.close()
            raise rubbish(address, "its answer has no end")
    return bytes(body)


def _message(response: Response) -> str:
    """What the engine says is wrong, on one line."""
    try:
        said = json.loads(response.content).get("message", "")
    except (ValueError, AttributeError, RecursionError):
        said = ""
    return " ".join(said.split()) if isinstance(said, str) else ""


def _be_patient(response: Response) -> None:
    """An event stream may be silent for days; that it died is found out by the next full list."""
    opened = getattr(getattr(response.raw, "connection", None), "sock", None)
    if opened is not None:
        opened.settimeout(None)
