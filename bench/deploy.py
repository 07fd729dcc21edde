"""How soon a container is routed, and how soon no more: on a real Docker engine. ``python -m bench deploy``."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors

from bench import machine, report
from bench.processes import BenchError, Program, end_in_order, tries
from bench.proxies import checkout, free_port, twistd

HEADING = "Containers"
TIMES = 20
IMAGE = "emilevauge/whoami"
#: Time between two requests: the figures are no finer than this.
PAUSE = 0.005
#: How long anything may take to be seen, in seconds.
PATIENCE = 15.0
#: How long a container is given to end by itself, and how long we go on asking after it has ended.
STOP_TIME, AFTERMATH = 1, 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when it was sent and when answered (Unix times), by whom, and the status (0: none)."""

    sent: float
    answered: float
    status: int
    server: str


@dataclass(slots=True)
class Measured:
    """All that was measured, in seconds, and what went wrong."""

    routed: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    requests: int = 0
    failed: int = 0
    late: int = 0


class Client:
    """Asks for one host on a connection that is kept as long as both sides like."""

    def __init__(self, port: int, host: str) -> None:
        self._host = host
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)

    def ask(self) -> Asked:
        """One request."""
        sent = time.time()
        try:
            self._connection.request("GET", "/", headers={"Host": self._host})
            response = self._connection.getresponse()
            body = response.read().decode("latin-1")
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return Asked(sent, time.time(), 0, "")
        first = body.partition("\n")[0]
        return Asked(sent, time.time(), response.status, first.removeprefix("Hostname: ").strip())

    def close(self) -> None:
        """Done."""
        self._connection.close()


class Engine:
    """The Docker engine: starts and stops containers of ours, and knows when it said so."""

    def __init__(self, endpoint: str, network: str) -> None:
        self._api = docker.APIClient(base_url=endpoint, timeout=60)
        self._network = network
        self._made: list[str] = []
        self._times: dict[tuple[str, str], float] = {}
        self._stream: Any = None

    def __enter__(self) -> Engine:
        self._stream = self._api.events(decode=True, filters={"type": "container"})
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        for container in self._made:
            with contextlib.suppress(docker.errors.APIError):
                self._api.remove_container(container, force=True, v=True)
        self._stream.close()
        self._api.close()

    def version(self) -> str:
        """The engine's version."""
        return str(self._api.version()["Version"])

    def _listen(self) -> None:
        # The stream ends with an error when it is closed under us.
        with contextlib.suppress(Exception):
            for event in self._stream:
                seen = event["Actor"]["ID"], event["Action"]
                self._times.setdefault(seen, event["timeNano"] / 1e9)

    def time_of(self, container: str, action: str) -> float:
        """When the engine says that it happened, as Unix time."""
        for _ in tries(PATIENCE, every=0.01):
            if (container, action) in self._times:
                return self._times[container, action]
        raise BenchError(f"the engine sent no {action} event")

    def create(self, name: str, host: str) -> str:
        """A container for a host, not started. Gives its id."""
        labels = {"traefik.enable": "true", "traefik.frontend.rule": f"Host:{host}", "traefik.port": "80"}
        config = self._api.create_host_config(network_mode=self._network)
        made: str = self._api.create_container(IMAGE, name=name, labels=labels, host_config=config)["Id"]
        self._made.append(made)
        return made

    def start(self, container: str) -> None:
        """Start it."""
        self._api.start(container)

    def stop(self, container: str) -> None:
        """``docker stop``: the stop signal, and an end after STOP_TIME."""
        self._api.stop(container, timeout=STOP_TIME)

    def remove(self, container: str) -> None:
        """Remove it, running or not."""
        self._api.remove_container(container, force=True, v=True)
        self._made.remove(container)

    def check(self) -> None:
        """Raises BenchError where the image or the network is missing."""
        try:
            self._api.inspect_image(IMAGE)
            self._api.inspect_network(self._network)
        except docker.errors.NotFound as error:
            hint = "make -C examples/whoami image builds the image"
            raise BenchError(f"the engine lacks something: {error.explanation}; {hint}") from None


def measure_start(engine: Engine, port: int, number: int, into: Measured) -> None:
    """A container starts: how long from the engine's event to the first 200."""
    host = f"start-{number}.example.com"
    container = engine.create(f"bench-start-{os.getpid()}-{number}", host)
    client, starting = Client(port, host), threading.Thread(target=engine.start, args=(container,))
    starting.start()
    answer = None
    for _ in tries(PATIENCE, PAUSE):
        answer = client.ask()
        if answer.status == 200:
            break
    starting.join()
    client.close()
    if answer is None or answer.status != 200:
        raise BenchError(f"a container was not routed within {PATIENCE:g} seconds")
    into.routed.append(answer.answered - engine.time_of(container, "start"))
    engine.remove(container)


def measure_stop(engine: Engine, port: int, number: int, into: Measured) -> None:
    """One of two containers is stopped under requests: how long after the signal's event it still got new ones."""
    host = f"stop-{number}.example.com"
    pair = [engine.create(f"bench-stop-{os.getpid()}-{number}-{which}", host) for which in "ab"]
    for container in pair:
        engine.start(container)
    client, going = Client(port, host), pair[0]
    _wait_for_both(client, pair)
    stopping = threading.Thread(target=engine.stop, args=(going,))
    stopping.start()
    asked = []
    end = time.time() + PATIENCE
    while time.time() < end:
        asked.append(client.ask())
        if not stopping.is_alive():
            end = min(end, time.time() + AFTERMATH)
        time.sleep(PAUSE)
    stopping.join()
    client.close()
    signalled = engine.time_of(going, "kill")
    last = max((one.sent for one in asked if _by(one, going)), default=0.0)
    # None after the event is 0: how long before it the last one came says nothing.
    into.left.append(max(0.0, last - signalled))
    into.requests += len(asked)
    into.failed += sum(one.status != 200 for one in asked)
    into.late += sum(_by(one, going) and one.sent > signalled for one in asked)
    for container in pair:
        engine.remove(container)


def _by(one: Asked, container: str) -> bool:
    return bool(one.server) and container.startswith(one.server)


def _wait_for_both(client: Client, pair: Sequence[str]) -> None:
    seen: set[str] = set()
    for _ in tries(PATIENCE, PAUSE):
        answer = client.ask()
        seen |= {container for container in pair if answer.status == 200 and _by(answer, container)}
        if len(seen) == len(pair):
            return
    raise BenchError(f"two containers were not both routed within {PATIENCE:g} seconds")


@contextlib.contextmanager
def balancer(endpoint: str, network: str, directory: Path) -> Iterator[int]:
    """Ours on that engine while ``with`` lasts; gives its port."""
    port = free_port()
    command = twistd(
        "--workers=1",
        f"--entrypoints.web.address=127.0.0.1:{port}",
        "--docker",
        "--docker.exposedbydefault=false",
        f"--docker.endpoint={endpoint}",
        f"--docker.network={network}",
    )
    output = directory / "dynbalancer.out"
    with Program(command, core=None, output=output, env=checkout(), cwd=directory) as program:
        client = Client(port, "nobody.example.com")
        for _ in tries(PATIENCE):
            program.check()
            if client.ask().status == 404:
                break
        client.close()
        yield port


def rows(found: Measured) -> list[list[str]]:
    """The table."""
    return [
        ["milliseconds", "times", "median", "slowest"],
        ["start event to first 200", str(len(found.routed)), *report.median_and_max(found.routed)],
        ["stop signal's event to last new request", str(len(found.left)), *report.median_and_max(found.left)],
    ]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m bench deploy", description=__doc__)
    default = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    made.add_argument("--endpoint", default=default, help="engine on this machine [%(default)s]")
    made.add_argument("--network", default="bridge", help="network of the containers [%(default)s]")
    made.add_argument("--times", type=int, default=TIMES, help="[%(default)s]")
    made.add_argument("--results", type=Path, default=machine.ROOT / "bench")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write. 1 where a request failed."""
    wanted = parser().parse_args(argv)
    end_in_order()
    busy = machine.warn_if_busy()
    found = Measured()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as temporary,
            Engine(wanted.endpoint, wanted.network) as engine,
            balancer(wanted.endpoint, wanted.network, Path(temporary)) as port,
        ):
            engine.check()
            versions = [f"dynbalancer {machine.own_version()}", f"Docker {engine.version()}"]
            for number in range(wanted.times):
                measure_start(engine, port, number, found)
                measure_stop(engine, port, number, found)
    except docker.errors.DockerException as error:
        raise BenchError(f"the Docker engine at {wanted.endpoint}: {error}") from None
    table = rows(found)
    told = f"While stopping: {found.requests} requests, {found.failed} failed, {found.late} reached the leaving server."
    print(report.aligned(table), told, sep="\n")
    fineness = f"Requests are {PAUSE * 1000:g} ms apart, so the figures are no finer than that."
    trial = report.TRIAL if wanted.times < TIMES else ""
    text = [report.measured_on(*versions), fineness, trial, busy, report.markdown(table), told]
    report.write_section(wanted.results / "results.md", HEADING, "\n\n".join(part for part in text if part))
    return int(found.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
