"""What every end-to-end test gets: an engine, the whoami image, balancers that end with it, a time limit."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from balancer import Balancer, Serve, Start, free_port
from dose import MEASURED, Dose
from engine import Engine
from eventually import LONG, eventually
from places import EXAMPLES
from show import show
from web import ask

HOST_SOCKET = Path("/var/run/docker.sock")

#: With ``--full``, tests may take so many times as long.
PATIENCE = 25


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--full``: what ``make soak`` gives."""
    parser.addoption(
        "--full", action="store_true", help="only tests with a dose, each with all of it: takes about an hour"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--full``, leave out what has no larger dose."""
    if config.getoption("--full"):
        without = [item for item in items if "dose" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show what was measured."""
    measured = config.stash.get(MEASURED, [])
    if measured and config.getoption("--full"):
        terminalreporter.section("measured")
        for line in measured:
            terminalreporter.write_line(line)


@pytest.fixture
def dose(request: pytest.FixtureRequest) -> Dose:
    """How much of it: see :mod:`dose`."""
    return Dose(request.config, request.node.name)


@pytest.fixture(autouse=True)
def time_bound(request: pytest.FixtureRequest) -> Iterator[None]:
    """End a test that hangs, with a traceback of where."""
    marker = request.node.get_closest_marker("bound")
    seconds = (marker.args[0] if marker else 300) * (PATIENCE if request.config.getoption("--full") else 1)

    def too_late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"this test may take {seconds} seconds")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def whoami() -> Path:
    """The static whoami program, compiled from the project's own source."""
    built = Path(os.environ.get("E2E_WHOAMI") or Path(tempfile.mkdtemp()) / "whoami")
    if not built.exists():
        subprocess.run(["make", "-s", "-C", str(EXAMPLES / "whoami"), f"OUT={built}"], check=True)
    return built


@pytest.fixture(scope="session")
def running_engine(whoami: Path) -> Iterator[Engine]:
    """One Docker engine for all tests, with the whoami image and the article's network."""
    directory = Path(tempfile.mkdtemp(prefix="dynb-"))
    # The article's compose file mounts the usual socket. It is only taken where no other engine has it.
    own_run = os.environ.get("E2E_ISOLATED") == "1"
    engine = Engine(directory, (directory / "docker.sock", *((HOST_SOCKET,) if own_run else ())))
    try:
        engine.start()
        context = directory / "whoami"
        context.mkdir()
        shutil.copy(whoami, context / "whoami")
        shutil.copy(EXAMPLES / "whoami" / "Dockerfile", context)
        engine.docker("build", "-q", "-t", "emilevauge/whoami", str(context))
        engine.docker("network", "create", "global")
        yield engine
        engine.remove_containers()
    finally:
        engine.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def engine(running_engine: Engine) -> Iterator[Engine]:
    """The Docker engine; every container is removed after the test."""
    yield running_engine
    running_engine.remove_containers()


@pytest.fixture
def workdir() -> Iterator[Path]:
    """An empty directory with a short path, readable for everybody."""
    directory = Path(tempfile.mkdtemp(prefix="dynb-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def starting(directory: Path) -> Iterator[Start]:
    """What starts balancers in a directory; they end with it, and their log is shown when a test fails."""
    started: list[Balancer] = []

    def begin(*flags: str, **more: Any) -> Balancer:
        balancer = Balancer(directory, *flags, **more)
        started.append(balancer)
        return balancer.wait_until_ready()

    yield begin
    for balancer in started:
        try:
            balancer.stop()
        finally:
            show(f"the balancer on port {balancer.port}", balancer.output)


@pytest.fixture
def start(workdir: Path) -> Iterator[Start]:
    """``start(*flags, command="twistd", **environment)``: a balancer that is ready."""
    with starting(workdir) as begin:
        yield begin


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """The same for tests that leave a balancer as it was, and so share it."""
    with starting(tmp_path_factory.mktemp("shared")) as begin:
        yield begin


@pytest.fixture
def on_docker(start: Start, engine: Engine) -> Start:
    """``on_docker(*flags)``: a balancer as the article starts it, on our engine."""

    def begin(*flags: str, **more: Any) -> Balancer:
        docker = ("--docker", "--docker.exposedbydefault=false", f"--docker.endpoint={engine.endpoint}")
        return start(*docker, *flags, **more)

    return begin


@contextlib.contextmanager
def serving(whoami: Path) -> Iterator[Serve]:
    """What starts whoami processes on loopback, and ends them."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(name: str, **env: str) -> tuple[int, subprocess.Popen[bytes]]:
        port = free_port()
        own = {"WHOAMI_NAME": name, "WHOAMI_ADDRESS": "127.0.0.1", "WHOAMI_PORT": str(port)}
        process = subprocess.Popen([str(whoami)], env={**own, **env})
        started.append(process)
        eventually(lambda: ask(port).status == 200)
        return port, process

    yield begin
    for process in started:
        process.terminate()
        process.wait(LONG)


@pytest.fixture
def serve(whoami: Path) -> Iterator[Serve]:
    """``serve("blue", **environment)``: a whoami process on loopback; its port and its process."""
    with serving(whoami) as begin:
        yield begin


@pytest.fixture(scope="module")
def serve_shared(whoami: Path) -> Iterator[Serve]:
    """The same for tests that share it."""
    with serving(whoami) as begin:
        yield begin


@pytest.fixture
def article(workdir: Path) -> Path:
    """A copy of the article's two compose files, in directories named as there."""
    copy = workdir / "article"
    shutil.copytree(EXAMPLES / "article", copy)
    return copy
