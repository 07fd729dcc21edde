"""The balancer as a process, from the wheel that is installed beside these tests."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eventually import LONG, eventually
from web import Answer, api, ask, curl

BIN = Path(sys.executable).parent

Serve = Callable[..., tuple[int, subprocess.Popen[bytes]]]


#: Ports that the system gives nobody by itself. Of those that it does, one could go to a client of the tests between
#: the moment when it is chosen here and the moment when it is used.
_RESERVED = iter(random.Random(os.getpid()).sample(range(10_000, 32_000), 22_000))


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and nobody gets who does not ask for it."""
    for port in _RESERVED:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("every port was given away")


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what would steer the balancer."""
    unwanted = ("DYNBALANCER_", "DOCKER_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, **more}


class Balancer:
    """A running ``dynbalancer``: its two ports, its log, and how to end it."""

    def __init__(
        self, directory: Path, *flags: str, command: str = "twistd", descriptors: int = 0, **env: str
    ) -> None:
        """``descriptors`` is how many each of its processes may have, 0: as many as this one."""

        def limit() -> None:
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.port, self.api_port = free_port(), free_port()
        self.log = directory / f"balancer-{self.port}.log"
        program = [str(BIN / "dynbalancer"), command]
        if command == "twistd":
            program = [str(BIN / "twistd"), "-n", "--pidfile=", "dynbalancer"]
        own = [f"--entrypoints.web.address=127.0.0.1:{self.port}"]
        own += ["--api", f"--api.address=127.0.0.1:{self.api_port}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*program, *own, *flags],
                cwd=directory,
                stdout=log,
                stderr=log,
                env=environment(**env),
                preexec_fn=limit,
            )

    def wait_until_ready(self) -> Balancer:
        """Itself, once it answers on both ports."""

        def ready() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"the balancer ended with {self.process.returncode}:\n{self.output}")
            assert ask(self.api_port, "localhost", "/ping").status == 200
            return ask(self.port, "localhost").status > 0

        eventually(ready)
        return self

    @property
    def output(self) -> str:
        """Everything it printed so far."""
        return self.log.read_text(errors="replace")

    def ask(self, host: str = "whoami.docker.localhost", path: str = "/", **more: Any) -> Answer:
        """One request on a fresh connection to the entry point."""
        return ask(self.port, host, path, **more)

    def curl(self, host: str = "", path: str = "/", *arguments: str) -> str:
        """The same by curl, giving what it prints."""
        return curl(self.port, host, path, *arguments)

    def api(self, path: str) -> Any:
        """The JSON of the API at a path."""
        return api(self.api_port, path)

    def problems(self) -> str:
        """What /api/problems says, as text to look into."""
        return ask(self.api_port, "localhost", "/api/problems").body

    def worker_pids(self) -> list[int]:
        """The processes that the balancer started."""
        return children(self.process.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the parent process."""
        self.process.send_signal(number)

    def stop(self, within: float = LONG) -> int:
        """Ask it to end, wait, and give its exit code; kill it if it doesn't."""
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(LONG)
            raise AssertionError(f"the balancer did not end within {within} seconds of SIGTERM") from None


def children(parent: int) -> list[int]:
    """The process ids of the direct children of a process, in order."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        except OSError:
            # It ended while we looked.
            continue
        if fields.get("PPid") == str(parent):
            found.append(int(status.parent.name))
    return sorted(found)


def run_to_end(*arguments: str, timeout: float = LONG, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the installed wheel to its end: ``run_to_end("dynbalancer", "version")``."""
    program, *rest = arguments
    return subprocess.run(
        [str(BIN / program), *rest], capture_output=True, text=True, timeout=timeout, env=environment(**env)
    )


Start = Callable[..., Balancer]
