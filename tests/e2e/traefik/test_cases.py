"""Every case of tests/conformance/traefik: its model, and what is seen of it over real sockets."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cases import Case, cases
from eventually import LONG
from models import Model, differences, fits, lacking, model_of
from plane import Planes
from rawclient import Client, Closed, Reply
from servers import grown

#: Where the access log of a case is written; the table writes LOG for it.
LOG = "LOG"

#: How often a case that goes by time is tried again: what is wrong is wrong each time.
TRIES = 4


class Asker:
    """Sends the requests of one case, and says what is not as expected."""

    def __init__(self, planes: Planes, ports: Mapping[str, int], model: Model, log: Path) -> None:
        self.servers = planes.servers
        self.ports = ports
        self.points = model.settings.entry_points
        self.log = log
        self.cookies: dict[str, str] | None = None

    def step(self, step: Mapping[str, Any]) -> Iterator[str]:
        """Send it as often as it says, and compare each answer; then the sums."""
        time.sleep(step.get("after", 0))
        if "connect" in step:
            for _ in range(step.get("times", 1)):
                yield from self._stream_differs(step)
            return
        self.servers.seen.clear()
        statuses: Counter[int] = Counter()
        by: Counter[str] = Counter()
        for reply in self._replies(step):
            statuses[reply.status] += 1
            if "statuses" not in step:
                yield from self._answer_differs(step, reply)
        time.sleep(step.get("settle", 0))
        by.update(seen.server for seen in self.servers.seen)
        if "statuses" in step and dict(statuses) != step["statuses"]:
            yield f"statuses: expected {step['statuses']}, got {dict(statuses)}"
        if "counts" in step and dict(by) != {name: n for name, n in step["counts"].items() if n}:
            yield f"counts: expected {step['counts']}, got {dict(by)}"
        yield from self._arrival_differs(step)
        if "log" in step:
            yield from self._log_differs(step["log"])

    def _stream_differs(self, step: Mapping[str, Any]) -> Iterator[str]:
        """Say something on a connection, or in a datagram, and compare what is heard; null is nothing."""
        heard, wanted = self._heard(step), step.get("hear")
        if not fits(wanted, heard):
            yield f"hear: expected {wanted!r}, got {heard!r}"

    def _heard(self, step: Mapping[str, Any]) -> str:
        [udp] = [point.udp for point in self.points if point.name == step["connect"]]
        if udp:
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.settimeout(LONG if step.get("hear") else 1)
                sock.sendto(step["say"].encode(), ("127.0.0.1", self.ports[step["connect"]]))
                with contextlib.suppress(TimeoutError):
                    return sock.recv(65536).decode()
            return ""
        patience = LONG if step.get("hear") else 2
        with Client(self.ports[step["connect"]], patience, source=step.get("client", "")) as client:
            try:
                if "sni" in step:
                    encrypt(client, step["sni"])
                client.send(step["say"].encode())
                return client.sock.recv(65536).decode()
            except OSError:
                return ""

    def _replies(self, step: Mapping[str, Any]) -> Iterator[Reply]:
        if "together" not in step:
            for _ in range(step.get("times", 1)):
                yield self._reply(step)
            return
        with ThreadPoolExecutor(step["together"]) as pool:
            asked = [pool.submit(self._reply, step) for _ in range(step["together"])]
            yield from [one.result() for one in asked]

    def _reply(self, step: Mapping[str, Any]) -> Reply:
        method, _, url = step.get("ask", "GET http://a.example/").partition(" ")
        scheme, rest = url.split("://", 1)
        host, slash, path = rest.partition("/")
        fields = {"Host": host, **step.get("with", {})}
        if self.cookies:
            fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        lines = [
            f"{name}: {self.servers.placed(grown(one))}"
            for name, value in fields.items()
            if value is not None
            for one in _each(value)
        ]
        body = grown(step.get("send", "")).encode()
        target = fields.pop(":target", slash + path or "/")
        lines = [line for line in lines if not line.startswith(":")]
        port = self.ports[step.get("on") or self._point(scheme)]
        with Client(port, source=step.get("client", "")) as client:
            if scheme in ("https", "wss"):
                encrypt(client, urlsplit(url).hostname or "")
            length = [f"Content-Length: {len(body)}"] if body else []
            head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, *length, "", ""])
            client.send(head.encode("latin-1"), body)
            reply = client.reply(method.encode())
            if "tunnel" in step:
                client.send(step["tunnel"].encode())
                reply.body = client.read(len(step["tunnel"]))
        self._remember(reply)
        return reply

    def _point(self, scheme: str) -> str:
        """The entry point that a URL of this scheme goes to: by its port, else the first."""
        port = 443 if scheme in ("https", "wss") else 80
        return next((point.name for point in self.points if point.port == port), self.points[0].name)

    def _remember(self, reply: Reply) -> None:
        if self.cookies is None:
            return
        for name, value in reply.fields:
            if name == b"set-cookie":
                key, _, rest = value.decode().partition("=")
                self.cookies[key] = rest.partition(";")[0]

    def _answer_differs(self, step: Mapping[str, Any], reply: Reply) -> Iterator[str]:
        wanted = step.get("status", 101 if "tunnel" in step else 200)
        if wanted is not None and reply.status != wanted:
            yield f"status: expected {wanted}, got {reply.status} {reply.body[:200]!r}"
        fields: dict[str, str] = {}
        for name, value in reply.fields:
            text = self.servers.named(value.decode("latin-1"))
            known = fields.get(name.decode())
            fields[name.decode()] = text if known is None else f"{known}, {text}"
        yield from lacking(step.get("answer", {}), fields, "answer")
        if "tunnel" in step and reply.body.decode() != step["tunnel"]:
            yield f"tunnel: expected {step['tunnel']!r}, got {reply.body!r}"
        elif "body" in step and not fits(step["body"], reply.body.decode("latin-1")):
            yield f"body: expected {step['body']!r}, got {reply.body[:300]!r}"
        if not reply.complete:
            yield "the answer was cut"

    def _arrival_differs(self, step: Mapping[str, Any]) -> Iterator[str]:
        seen = self.servers.seen
        if "by" in step:
            names = [one.server for one in seen]
            if names != list(_each(step["by"] or [])):
                yield f"by: expected {step['by']}, got {names}"
        wanted = step.get("seen")
        if not wanted:
            return
        if not seen:
            yield "seen: no server got anything"
            return
        for name, value in wanted.items():
            found = seen[-1].get(name)
            found = self.servers.named(found) if found is not None else None
            if value is None and found is not None:
                yield f"seen.{name}: expected nothing, got {found!r}"
            elif value is not None and (found is None or not fits(value, found)):
                yield f"seen.{name}: expected {value!r}, got {found!r}"

    def _log_differs(self, wanted: str) -> Iterator[str]:
        deadline = time.monotonic() + LONG
        text = ""
        while not text.endswith("\n") and time.monotonic() < deadline:
            time.sleep(0.01)
            text = self.log.read_text() if self.log.exists() else ""
        last = self.servers.named(text.rstrip("\n").rpartition("\n")[2])
        if not fits(wanted, last):
            yield f"log: expected {wanted!r}, got {last!r}"


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def encrypt(client: Client, name: str) -> None:
    """TLS on a connection, as a client that trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client.sock = context.wrap_socket(client.sock, server_hostname=name or None)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_case(case: Case, planes: Planes, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    case = replace(case, flags=tuple(flag.replace(LOG, str(log)) for flag in case.flags))
    model = model_of(case)
    found = [*differences(case, model), *seen_of(case, model, planes, log)]
    for _ in range(TRIES if found and is_timed(case) else 0):
        found = [*differences(case, model), *seen_of(case, model, planes, log)]
        if not found:
            break
    assert not found, "\n".join(found)


def is_timed(case: Case) -> bool:
    """Whether what is seen goes by the time between requests, of which a busy machine may take more than it should."""
    waiting = {"slow", "silent"} & {word for told in case.servers.values() for word in told}
    timed = {"after", "settle", "together", "statuses", "hear"}
    return bool(waiting) or any(timed & set(step) for step in case.steps)


def seen_of(case: Case, model: Model, planes: Planes, log: Path) -> list[str]:
    """What is not as the case has it. Nothing of an earlier time is remembered."""
    found: list[str] = []
    planes.servers.begin(case.names, case.servers)
    ports = planes.route(case.flags, model.settings, model.configuration)
    asker = Asker(planes, ports, model, log)
    asker.cookies = {} if case.jar else None
    for number, step in enumerate(case.steps, 1):
        try:
            found += [f"step {number}: {difference}" for difference in asker.step(step)]
        except (Closed, OSError) as error:
            found.append(f"step {number}: {error!r}")
    return found
