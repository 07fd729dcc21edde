"""The engine goes away, comes back, or was never there: requests go on, the balancer says what it knows."""

from __future__ import annotations

from pathlib import Path

from balancer import Balancer, Serve, Start
from engine import Engine
from eventually import eventually
from web import WHOAMI, ask

LABELS = {"traefik.enable": "true", "traefik.frontend.rule": f"Host:{WHOAMI}"}


def docker_is_stale(balancer: Balancer) -> bool:
    """Whether the API calls what the docker provider said out of date."""
    [docker] = [one for one in balancer.api("/api/state")["providers"] if one["name"] == "docker"]
    return bool(docker["state"] == "stale")


def test_requests_go_on_while_the_engine_is_away_and_changes_are_seen_when_it_is_back(
    on_docker: Start, engine: Engine
) -> None:
    balancer = on_docker("--workers=2")
    engine.run("emilevauge/whoami", name="lasting", hostname="lasting", labels=LABELS)
    eventually(lambda: balancer.ask().hostname == "lasting")

    engine.stop()
    eventually(lambda: docker_is_stale(balancer))
    assert {balancer.ask().hostname for _ in range(10)} == {"lasting"}

    engine.start()
    eventually(lambda: not docker_is_stale(balancer))
    engine.run("emilevauge/whoami", hostname="later", labels=LABELS)
    eventually(lambda: {balancer.ask().hostname for _ in range(4)} == {"lasting", "later"})
    assert "Traceback" not in balancer.output


def test_a_socket_that_is_not_there_is_one_problem_not_an_end(
    start: Start, workdir: Path, serve: Serve
) -> None:
    missing = workdir / "nobody.sock"
    balancer = start("--docker", f"--docker.endpoint=unix://{missing}", "--workers=1")
    eventually(lambda: str(missing) in balancer.problems())
    assert balancer.ask().status == 404
    assert "Traceback" not in balancer.output


def test_an_engine_that_answers_rubbish_is_a_problem(start: Start, serve: Serve) -> None:
    """Any web server that is not an engine will do."""
    port, _ = serve("rubbish")
    balancer = start("--docker", f"--docker.endpoint=tcp://127.0.0.1:{port}", "--workers=1")
    eventually(lambda: "docker" in balancer.problems() and len(balancer.problems()) > 10)
    assert ask(balancer.port).status == 404
    assert "Traceback" not in balancer.output
