"""The article's walk, with its own compose file, letter for letter, on a real engine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from balancer import Balancer, Start
from engine import Engine
from eventually import eventually
from web import WHOAMI, takes_turns

HOST_RULE = {"traefik.enable": "true", "traefik.frontend.rule": f"Host:{WHOAMI}"}


def hostnames(balancer: Balancer, count: int) -> list[str]:
    """The containers that answer so many curls in a row, each on a fresh connection."""
    lines = [line for _ in range(count) for line in balancer.curl(WHOAMI).splitlines()]
    return [line.removeprefix("Hostname: ") for line in lines if line.startswith("Hostname: ")]


def wait_for_pool(balancer: Balancer, expected: set[str]) -> None:
    """Until every worker sends to just these containers: three rounds in a row saw them all, no other."""
    rounds = 3 * max(len(expected), 1)

    def settled() -> bool:
        seen = hostnames(balancer, rounds)
        assert len(seen) == rounds and set(seen) == expected, f"{seen} answered, not {expected}"
        return True

    eventually(settled)


def running(engine: Engine) -> set[str]:
    """The short ids of the running containers: their host names."""
    return set(engine.docker("ps", "-q").split())


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_articles_walk(on_docker: Start, engine: Engine, article: Path, workers: int) -> None:
    balancer = on_docker(f"--workers={workers}")
    assert len(balancer.worker_pids()) == workers

    # No service yet: 404 with Traefik's body.
    assert balancer.curl() == "404 page not found\n"
    assert balancer.ask("localhost").status == 404

    # One container, found without touching the balancer.
    engine.compose(article / "whoami", "up", "-d")
    wait_for_pool(balancer, running(engine))
    assert balancer.curl("localhost") == "404 page not found\n"

    # Four of them take turns, strictly, whichever worker takes the connection.
    engine.compose(article / "whoami", "up", "-d", "--scale", "whoami=4")
    wait_for_pool(balancer, running(engine))
    # Not at once where one of them has not yet been told of all four; by chance sixteen never do.
    eventually(lambda: takes_turns(hostnames(balancer, 16), 4))

    # Down again: nobody is left, and the balancer knows at once.
    engine.compose(article / "whoami", "down")
    eventually(lambda: balancer.curl(WHOAMI) == "404 page not found\n")
    assert balancer.stop() == 0


def test_the_container_sees_the_request_and_who_forwarded_it(
    on_docker: Start, engine: Engine, article: Path
) -> None:
    balancer = on_docker("--workers=1")
    engine.compose(article / "whoami", "up", "-d")
    wait_for_pool(balancer, running(engine))
    text = balancer.curl(WHOAMI, "/a/b?c=d")
    head = text[text.index("GET ") :].splitlines()
    assert head[0] == "GET /a/b?c=d HTTP/1.1"
    fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    assert fields["host"] == WHOAMI
    assert fields["user-agent"].startswith("curl/")
    assert fields["accept"] == "*/*"
    assert fields["x-forwarded-for"] == "127.0.0.1"
    assert fields["x-forwarded-host"] == WHOAMI
    # As Traefik has it: the port that the client named, else the scheme's.
    assert fields["x-forwarded-port"] == "80"
    assert fields["x-forwarded-proto"] == "http"
    assert fields["x-forwarded-server"] == socket.gethostname()
    assert fields["x-real-ip"] == "127.0.0.1"
    assert text.startswith("Hostname: ")
    assert text.endswith("\n\n")


def test_another_image_and_port_with_the_same_rule_join_the_pool(
    on_docker: Start, engine: Engine, article: Path
) -> None:
    balancer = on_docker("--workers=2")
    engine.compose(article / "whoami", "up", "-d", "--scale", "whoami=2")
    blue = running(engine)
    wait_for_pool(balancer, blue)

    engine.docker("tag", "emilevauge/whoami", "example/green:2")
    engine.run("example/green:2", "8123", name="green", labels={**HOST_RULE, "traefik.port": "8123"})
    wait_for_pool(balancer, running(engine))
    assert len(running(engine)) == 3

    # The old version goes; the new one answers alone.
    engine.compose(article / "whoami", "down")
    wait_for_pool(balancer, running(engine) - blue)


def test_a_container_without_the_label_is_not_exposed(on_docker: Start, engine: Engine) -> None:
    balancer = on_docker("--workers=1")
    engine.run(
        "emilevauge/whoami", name="hidden", labels={"traefik.frontend.rule": "Host:hidden.example.com"}
    )
    engine.run("emilevauge/whoami", name="off", labels={**HOST_RULE, "traefik.enable": "false"})
    shown = {"traefik.enable": "true", "traefik.frontend.rule": "Host:shown.example.com"}
    engine.run("emilevauge/whoami", name="shown", labels=shown)
    eventually(lambda: balancer.ask("shown.example.com").status == 200)
    assert balancer.ask("hidden.example.com").status == 404
    assert balancer.ask(WHOAMI).status == 404


def test_stopping_and_removing_a_container_is_followed_at_once(on_docker: Start, engine: Engine) -> None:
    balancer = on_docker("--workers=2")
    for name in ("one", "two", "three"):
        engine.run("emilevauge/whoami", name=name, labels=HOST_RULE, hostname=name)
    wait_for_pool(balancer, {"one", "two", "three"})

    engine.docker("stop", "two")
    # Not eventually: whatever is asked after the stop goes to the others.
    assert set(hostnames(balancer, 8)) == {"one", "three"}
    engine.docker("rm", "-f", "one")
    assert set(hostnames(balancer, 4)) == {"three"}
    engine.docker("start", "two")
    wait_for_pool(balancer, {"two", "three"})
    engine.docker("pause", "two")
    engine.docker("unpause", "two")
    wait_for_pool(balancer, {"two", "three"})


def test_v3_labels_work_beside_v1_labels(on_docker: Start, engine: Engine) -> None:
    balancer = on_docker("--workers=1")
    engine.run("emilevauge/whoami", hostname="old", labels=HOST_RULE)
    v3 = {
        "traefik.enable": "true",
        "traefik.http.routers.web.rule": "Host(`a.example`)",
        "traefik.http.services.web.loadbalancer.server.port": "8080",
    }
    engine.run("emilevauge/whoami", "8080", hostname="new", labels=v3)
    eventually(lambda: balancer.ask("a.example").hostname == "new")
    eventually(lambda: balancer.ask(WHOAMI).hostname == "old")


def test_rules_of_both_languages_choose_by_path_method_and_header(on_docker: Start, engine: Engine) -> None:
    balancer = on_docker("--workers=1")
    enable = {"traefik.enable": "true"}
    v1 = {**enable, "traefik.frontend.rule": "Host:b.example;PathPrefixStrip:/api"}
    v3 = {
        **enable,
        "traefik.http.routers.posts.rule": "Host(`b.example`) && Method(`POST`) && Header(`X-Try`, `yes`)",
        "traefik.http.routers.posts.priority": "1000",
    }
    engine.run("emilevauge/whoami", hostname="api", labels=v1)
    engine.run("emilevauge/whoami", hostname="posts", labels=v3)
    eventually(lambda: balancer.ask("b.example", "/api/users").hostname == "api")
    assert "GET /users HTTP/1.1" in balancer.ask("b.example", "/api/users").body
    eventually(lambda: balancer.ask("b.example", method="POST", fields={"X-Try": "yes"}).hostname == "posts")
    assert balancer.ask("b.example", method="POST").status == 404
    assert balancer.ask("b.example", "/other").status == 404


def test_a_misspelt_label_is_a_problem_that_names_container_label_and_the_right_one(
    on_docker: Start, engine: Engine
) -> None:
    balancer = on_docker("--workers=1")
    labels = {**HOST_RULE, "traefik.prot": "80", "traefik.frontend.prioritty": "5"}
    engine.run("emilevauge/whoami", name="typo", hostname="typo", labels=labels)
    # The rest of the container stays.
    eventually(lambda: balancer.ask(WHOAMI).hostname == "typo")
    problems = balancer.problems()
    for word in (
        "typo",
        "traefik.frontend.prioritty",
        "traefik.frontend.priority",
        "traefik.prot",
        "traefik.port",
    ):
        assert word in problems
    assert "Traceback" not in balancer.output

    engine.docker("rm", "-f", "typo")
    eventually(lambda: "prioritty" not in balancer.problems())


def test_containers_that_run_before_the_start_are_found(on_docker: Start, engine: Engine) -> None:
    engine.run("emilevauge/whoami", hostname="early", labels=HOST_RULE)
    balancer = on_docker("--workers=1")
    eventually(lambda: balancer.ask(WHOAMI).hostname == "early")
