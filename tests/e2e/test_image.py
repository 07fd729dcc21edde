"""Our image under the article's name: its compose file works as it is, and nobody in it is root for long."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer import children
from engine import Engine
from eventually import eventually
from places import REPOSITORY
from show import show
from web import WHOAMI, Answer, ask, curl, takes_turns


@pytest.fixture(scope="module")
def image(running_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Built without pulling: a base of Debian packages, and the wheels that these tests run from."""
    base, wheels = os.environ["E2E_BASE"], Path(os.environ["E2E_WHEELS"])
    running_engine.docker("import", base, "example/base", timeout=300)
    context = tmp_path_factory.mktemp("image")
    shutil.copy(REPOSITORY / "Dockerfile", context)
    shutil.copytree(wheels, context / "wheels")
    build = ("build", "-q", "--network=none", "--build-arg=BASE=example/base", "-t", "traefik", str(context))
    running_engine.docker(*build, timeout=280)
    return "traefik"


@pytest.fixture
def balancer(engine: Engine, image: str, article: Path) -> Iterator[str]:
    """The article's balancer, up; its container id."""
    engine.compose(article / "traefik", "up", "-d")
    container = engine.docker("ps", "-q", "--no-trunc", "--filter=ancestor=traefik")
    eventually(lambda: ask(8080, "localhost", "/ping").status == 200)
    yield container
    show("the container", engine.docker("logs", container))


def processes(engine: Engine, container: str) -> dict[str, list[dict[str, str]]]:
    """What /proc says of the parent and of the workers."""
    parent = int(engine.docker("inspect", "-f", "{{.State.Pid}}", container))
    return {"parent": [proc_status(parent)], "workers": [proc_status(pid) for pid in children(parent)]}


def proc_status(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def id_of(engine: Engine, image: str, user: str) -> str:
    """The number of a user of the image."""
    return engine.docker("run", "--rm", "--network=none", "--entrypoint=id", image, "-u", user)


@pytest.mark.bound(400)
def test_the_articles_balancer_runs_in_our_image(engine: Engine, balancer: str, article: Path) -> None:
    assert curl(80) == "404 page not found\n"
    assert ask(8080, "localhost", "/dashboard/").status == 200

    engine.compose(article / "whoami", "up", "-d", "--scale", "whoami=4")

    def names(count: int) -> list[str]:
        return [Answer(200, {}, curl(80, WHOAMI)).hostname for _ in range(count)]

    eventually(lambda: takes_turns(names(16), 4))

    lines = Answer(200, {}, curl(80, WHOAMI)).lines
    assert lines["x-forwarded-port"] == "80"
    assert lines["x-forwarded-server"] == balancer[:12]
    assert lines["x-forwarded-host"] == WHOAMI


def test_nobody_in_the_container_is_root_and_workers_can_not_reach_the_engine(
    engine: Engine, image: str, balancer: str
) -> None:
    socket_group = str(os.stat("/var/run/docker.sock").st_gid)
    own, worker = id_of(engine, image, "dynbalancer"), id_of(engine, image, "dynbalancer-worker")

    def all_workers_gave_up_root() -> bool:
        found = processes(engine, balancer)["workers"]
        return bool(found) and all(status["Uid"].split() == [worker] * 4 for status in found)

    eventually(all_workers_gave_up_root)
    found = processes(engine, balancer)
    [parent], workers = found["parent"], found["workers"]

    # The parent's real user is the workers': that lets it start them as such though nobody is root any more.
    assert parent["Uid"].split() == [worker, own, own, own]
    assert socket_group in parent["Groups"].split() + parent["Gid"].split()
    for status in workers:
        assert socket_group not in status["Groups"].split() + status["Gid"].split()
    for status in (parent, *workers):
        assert "0" not in status["Groups"].split() + status["Gid"].split()
        assert int(status["CapEff"], 16) == 0
        assert int(status["CapPrm"], 16) == 0


def test_the_health_check_is_green_and_stop_drains_with_exit_code_0(engine: Engine, balancer: str) -> None:
    test = engine.docker("inspect", "-f", "{{json .Config.Healthcheck.Test}}", balancer)
    assert test == '["CMD","dynbalancer","healthcheck"]'
    engine.docker("exec", balancer, "dynbalancer", "healthcheck")
    engine.docker("stop", balancer)
    assert engine.docker("inspect", "-f", "{{.State.ExitCode}}", balancer) == "0"
    assert "Traceback" not in engine.docker("logs", balancer)


def test_it_runs_as_any_user_from_the_start(engine: Engine, image: str, article: Path) -> None:
    """With --user there is nothing to give up, and high ports and the socket's group are enough."""
    group = os.stat("/var/run/docker.sock").st_gid
    flags = ["--user=12345:12345", f"--group-add={group}", "--network=global"]
    flags += ["--volume=/var/run/docker.sock:/var/run/docker.sock", "--publish=8000:8000"]
    command = ["--docker", "--docker.exposedbydefault=false", "--entrypoints.web.address=:8000"]
    container = engine.docker("run", "-d", *flags, image, *command)
    engine.compose(article / "whoami", "up", "-d")
    try:
        eventually(lambda: ask(8000, WHOAMI).status == 200)
        found = processes(engine, container)
        assert {status["Uid"].split()[0] for group in found.values() for status in group} == {"12345"}
    finally:
        show("the container", engine.docker("logs", container))


def test_several_workers_in_the_image_keep_the_turn(engine: Engine, image: str, article: Path) -> None:
    flags = ["--network=global", "--volume=/var/run/docker.sock:/var/run/docker.sock", "--publish=8000:80"]
    container = engine.docker(
        "run", "-d", *flags, image, "--docker", "--docker.exposedbydefault=false", "--workers=3"
    )
    engine.compose(article / "whoami", "up", "-d", "--scale", "whoami=3")
    try:
        eventually(lambda: takes_turns([ask(8000, WHOAMI).hostname for _ in range(18)], 3))
        assert len(processes(engine, container)["workers"]) == 3
    finally:
        show("the container", engine.docker("logs", container))


def test_a_container_in_two_networks_is_reached_in_the_one_we_are_in_too(
    engine: Engine, image: str, balancer: str
) -> None:
    """The other one comes first by name, and from in here nothing in it can be reached."""
    engine.docker("network", "create", "apart")
    try:
        rule = {"traefik.enable": "true", "traefik.frontend.rule": "Host:two.example"}
        engine.run("emilevauge/whoami", name="two", hostname="two", network="apart", labels=rule)
        eventually(lambda: ask(80, "two.example").status in (502, 503, 504))
        said = ask(8080, "localhost", "/api/problems").body
        assert "apart" in said and "global" in said
        engine.docker("network", "connect", "global", "two")
        eventually(lambda: ask(80, "two.example").hostname == "two")
        eventually(lambda: "apart" not in ask(8080, "localhost", "/api/problems").body)
    finally:
        engine.docker("rm", "-f", "two")
        engine.docker("network", "rm", "apart")


def test_the_image_says_how_to_stop_it_and_what_it_opens(engine: Engine, image: str) -> None:
    shape = "{{.Config.StopSignal}} {{.Config.Entrypoint}} {{json .Config.ExposedPorts}}"
    said = engine.docker("inspect", "-f", shape, image)
    assert said == 'SIGTERM [dynbalancer run] {"80/tcp":{},"8080/tcp":{}}'
    done = subprocess.run(
        ["docker", "-H", engine.endpoint, "run", "--rm", "--network=none", image, "--dokcer"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert "--docker" in done.stderr
