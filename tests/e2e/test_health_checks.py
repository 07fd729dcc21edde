"""A server that fails its health check gets no requests, whoever forwards, and gets them again when it passes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from balancer import Start
from eventually import eventually

INTERVAL, TIMEOUT = 0.5, 0.4


class Patient:
    """A server of our own, whose health a test can change. It counts what it is asked."""

    def __init__(self, name: str) -> None:
        self.status = 200
        self.silent = False
        self.requests = 0
        self.checked: list[dict[str, str]] = []
        patient = self

        class Answering(BaseHTTPRequestHandler):
            """Answers as the patient is."""

            def do_GET(self) -> None:
                if self.path == "/health":
                    patient.checked.append(dict(self.headers))
                    if patient.silent:
                        time.sleep(2 * TIMEOUT)
                else:
                    patient.requests += 1
                self.send_response(patient.status)
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                self.wfile.write(name.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        class Listening(ThreadingHTTPServer):
            """One whose clients may leave when they like."""

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Health checks hang up on a silent server."""

        self._server = Listening(("127.0.0.1", 0), Answering)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def patients() -> Iterator[tuple[Patient, Patient]]:
    """Two servers in good health."""
    both = Patient("one"), Patient("two")
    yield both
    for patient in both:
        patient.stop()


@pytest.fixture
def routes(workdir: Path, patients: tuple[Patient, Patient]) -> Path:
    """A file that sends a.example to both, and has them asked."""
    servers = "".join(f"\n          - url: http://127.0.0.1:{patient.port}" for patient in patients)
    path = workdir / "routes.yml"
    path.write_text(f"""\
http:
  routers:
    web:
      rule: Host(`a.example`)
      service: web
  services:
    web:
      loadBalancer:
        servers:{servers}
        healthCheck:
          path: /health
          hostname: check.example
          interval: {INTERVAL}s
          timeout: {TIMEOUT}s
          headers:
            X-Probe: "yes"
""")
    return path


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_server_that_fails_gets_no_requests_until_it_passes(
    start: Start, routes: Path, patients: tuple[Patient, Patient], workers: int
) -> None:
    one, two = patients
    # Who is well does not fail because the machine is busy.
    routes.write_text(routes.read_text().replace(f"timeout: {TIMEOUT}s", "timeout: 60s"))
    balancer = start(f"--file.filename={routes}", f"--workers={workers}")
    eventually(lambda: balancer.ask("a.example").status == 200 and one.checked and two.checked)
    assert (one.checked[0]["Host"], one.checked[0]["X-Probe"]) == ("check.example", "yes")

    def bodies(count: int) -> list[str]:
        return [balancer.ask("a.example").body for _ in range(count)]

    one.status = 500
    # In all workers.
    eventually(lambda: bodies(24) == ["two"] * 24)
    one.requests = 0
    assert bodies(8) == ["two"] * 8
    assert one.requests == 0
    (service,) = balancer.api("/api/http/services")
    assert service["serverStatus"][f"http://127.0.0.1:{one.port}"] == "DOWN"
    (found,) = balancer.api("/api/state")["services"]
    failing = next(server for server in found["servers"] if server["url"].endswith(str(one.port)))
    assert (failing["state"], failing["health"]["why"]) == ("down", "status 500 from /health")

    one.status = 200
    eventually(lambda: set(bodies(4)) == {"one", "two"})
    assert balancer.output.count("fails its health check") == 2  # Its own line, and that of the table.


@pytest.mark.parametrize("workers", [0, 2])
def test_with_every_server_failing_the_router_answers_503_and_says_why(
    start: Start, routes: Path, patients: tuple[Patient, Patient], workers: int
) -> None:
    one, two = patients
    balancer = start(f"--file.filename={routes}", f"--workers={workers}")
    eventually(lambda: balancer.ask("a.example").status == 200 and one.checked and two.checked)
    one.status, two.silent = 503, True
    said = ("none of its servers is up", "status 503 from /health", f"no answer within {TIMEOUT}s")
    eventually(lambda: all(words in balancer.problems() for words in said))
    answer = eventually(
        lambda: found if "retry-after" in (found := balancer.ask("a.example")).fields else None
    )
    assert (answer.status, answer.fields["retry-after"]) == (503, "1")
    assert balancer.ask("b.example").status == 404

    one.status, two.silent = 200, False
    eventually(lambda: balancer.ask("a.example").status == 200)
    eventually(lambda: "none of its servers" not in balancer.problems())
