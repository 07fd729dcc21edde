"""Asking, as a user does: by curl on a fresh connection, or by http.client on a kept one."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eventually import LONG

WHOAMI = "whoami.docker.localhost"


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. ``lines`` has the lines of a whoami answer by their name, in lower case."""

    status: int
    fields: Mapping[str, str]
    body: str

    @property
    def lines(self) -> dict[str, str]:
        """The ``Name: value`` lines of the body; the first of each name."""
        found: dict[str, str] = {}
        for line in self.body.splitlines():
            name, colon, value = line.partition(": ")
            if colon:
                found.setdefault(name.lower(), value)
        return found

    @property
    def hostname(self) -> str:
        """Which container answered; the status where none did."""
        return self.lines.get("hostname", f"({self.status})")


def curl(port: int, host: str = "", path: str = "/", *arguments: str) -> str:
    """What ``curl -s -H "Host: HOST" http://localhost:PORT/`` prints: always a fresh connection."""
    command = ["curl", "-s", "-m", str(LONG), "--noproxy", "*", *arguments]
    if host:
        command += ["-H", f"Host: {host}"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, timeout=2 * LONG
    )
    assert done.returncode == 0, f"curl ended with {done.returncode}: {done.stderr}"
    return done.stdout


def ask(
    port: int,
    host: str = WHOAMI,
    path: str = "/",
    method: str = "GET",
    body: bytes | None = None,
    fields: Mapping[str, str] | None = None,
    timeout: float = LONG,
) -> Answer:
    """One request on a fresh connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        return ask_on(connection, host, path, method, body, fields)
    finally:
        connection.close()


def ask_on(
    connection: http.client.HTTPConnection,
    host: str = WHOAMI,
    path: str = "/",
    method: str = "GET",
    body: bytes | None = None,
    fields: Mapping[str, str] | None = None,
) -> Answer:
    """One request on this connection, which stays open if the other side agrees."""
    connection.request(method, path, body, {"Host": host, **(fields or {})})
    response = connection.getresponse()
    text = response.read().decode("utf-8", "replace")
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)


def api(port: int, path: str) -> Any:
    """The JSON that the API has at a path."""
    answer = ask(port, "localhost", path)
    assert answer.status == 200, f"{path}: {answer.status} {answer.body[:500]}"
    return json.loads(answer.body)


def takes_turns(names: list[str], count: int) -> bool:
    """Whether these are so many again and again, always in the same order."""
    assert len(set(names[:count])) == count and names == names[:count] * (len(names) // count), names
    return True


@dataclass
class Load:
    """Several clients that ask without pause, each on a kept connection, until ``stop``."""

    port: int
    host: str = WHOAMI
    path: str = "/"
    clients: int = 4
    failures: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    count: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin; returns at once."""
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, after each client's last answer."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(2 * LONG)

    def _client(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        while not self._stopped.is_set():
            try:
                self._note(ask_on(connection, self.host, self.path))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                connection.close()
            # Enough to keep every server busy, little enough for two cores.
            time.sleep(0.005)
        connection.close()

    def _note(self, answer: Answer) -> None:
        self.count += 1
        self.seen.add(answer.lines.get("name", answer.hostname))
        if answer.status != 200:
            self.failures.append(f"{answer.status} {answer.body.strip()[:100]}")
