"""A Docker engine of our own: its data, socket and pid file are in a directory that is thrown away later.

It needs root and Debian's ``docker.io`` (or any ``dockerd``). Nothing is pulled: images are built from
scratch or imported.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from eventually import LONG

CGROUPS = Path("/sys/fs/cgroup")
V1_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")


class EngineError(Exception):
    """The engine can't be started; the sentence says why."""


class Engine:
    """A running ``dockerd``, and the commands to use it."""

    def __init__(self, directory: Path, sockets: tuple[Path, ...]) -> None:
        self.directory = directory
        self.sockets = sockets
        self.log = directory / "dockerd.log"
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        # An own configuration file: the machine's /etc/docker/daemon.json is for another engine.
        (directory / "daemon.json").write_text("{}")

    @property
    def endpoint(self) -> str:
        """Where it listens, as DOCKER_HOST and --docker.endpoint want it."""
        return f"unix://{self.sockets[0]}"

    def start(self) -> None:
        """Start it and wait until it answers. EngineError with the end of its log if it doesn't."""
        if os.geteuid() != 0:
            raise EngineError("the end-to-end tests start a Docker engine, which needs root: sudo make e2e")
        if shutil.which("dockerd") is None:
            raise EngineError("dockerd is not installed: apt-get install docker.io docker-compose")
        ensure_cgroups()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log, env=_environment())
        self._wait_until_ready()

    def _command(self) -> list[str]:
        own = self.directory
        command = ["dockerd", "--config-file", str(own / "daemon.json"), "--data-root", str(own / "data")]
        command += ["--exec-root", str(own / "exec"), "--pidfile", str(own / "docker.pid")]
        # Containers outlive the engine, so that a test can take it away under the balancer.
        command += ["--live-restore", "--shutdown-timeout", "5"]
        for socket in self.sockets:
            command += ["--host", f"unix://{socket}"]
        return command

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 2 * LONG
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            if self._run(["docker", "version"], check=False).returncode == 0:
                return
            time.sleep(0.1)
        tail = self.log.read_text(errors="replace")[-4000:]
        raise EngineError(f"the Docker engine did not start; the end of its log:\n{tail}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the engine by its own pid and wait until it is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(LONG)

    def docker(self, *arguments: str, timeout: float = 2 * LONG) -> str:
        """What ``docker ARGUMENTS`` prints, without the last line end."""
        return self._run(["docker", *arguments], timeout=timeout).stdout.strip()

    def compose(self, directory: Path, *arguments: str) -> str:
        """Run ``docker-compose ARGUMENTS`` in a directory."""
        return self._run(["docker-compose", *arguments], cwd=directory).stdout

    def run(
        self, image: str, *command: str, name: str = "", labels: dict[str, str] | None = None, **more: str
    ) -> str:
        """Start a container in network ``global`` and give its id; ``more``: flags of ``docker run``."""
        more.setdefault("network", "global")
        flags = [f"--{flag}={value}" for flag, value in more.items()]
        flags += [f"--label={key}={value}" for key, value in (labels or {}).items()]
        if name:
            flags.append(f"--name={name}")
        return self.docker("run", "-d", *flags, image, *command)

    def remove_containers(self) -> None:
        """Remove every container, running or not."""
        containers = self.docker("ps", "-aq").split()
        if containers:
            self.docker("rm", "-f", "-v", *containers)

    def _run(
        self, command: list[str], check: bool = True, cwd: Path | None = None, timeout: float = 2 * LONG
    ) -> subprocess.CompletedProcess[str]:
        environment = {**_environment(), "DOCKER_HOST": self.endpoint, "DOCKER_BUILDKIT": "0"}
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout
        )
        if check and done.returncode != 0:
            said = f"{done.stdout}{done.stderr}"
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
        return done


def ensure_cgroups() -> None:
    """Mount the control groups where the machine has none, as in a bare chroot."""
    if any(CGROUPS.glob("*")):
        return
    CGROUPS.mkdir(parents=True, exist_ok=True)
    if _mount("cgroup2", CGROUPS):
        return
    _mount("tmpfs", CGROUPS)
    for controller in V1_CONTROLLERS:
        (CGROUPS / controller).mkdir(exist_ok=True)
        _mount("cgroup", CGROUPS / controller, "-o", controller)


def _mount(kind: str, where: Path, *options: str) -> bool:
    command = ["mount", "-t", kind, *options, kind, str(where)]
    return subprocess.run(command, capture_output=True).returncode == 0


def _environment() -> dict[str, str]:
    # A proxy setting or another engine of this machine must not leak in.
    unwanted = ("DOCKER_", "COMPOSE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    sbin = ("/usr/local/sbin", "/usr/sbin", "/sbin")
    kept["PATH"] = os.pathsep.join([kept.get("PATH", "/usr/bin:/bin"), *sbin])
    return kept
