"""Which containers of a real engine are routed, by which labels, and where they are reached."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from balancer import Balancer, Start, free_port
from engine import Engine
from eventually import eventually

IMAGE = "emilevauge/whoami"
HOST = "a.example"
V1 = {"traefik.enable": "true", "traefik.frontend.rule": f"Host:{HOST}"}
COMPOSE = """\
version: '3'
services:
  web:
    image: emilevauge/whoami
    networks: [global]
    labels:
      - "traefik.enable=true"
      - "traefik.http.routers.web.rule=Host(`{host}`)"
networks:
  global: {{external: true}}
"""


def v3(rule: str = f"Host(`{HOST}`)", name: str = "web", **more: str) -> dict[str, str]:
    """Labels of version 3 for one router; ``more``: labels of its service's load balancer, ``_`` for a dot."""
    labels = {"traefik.enable": "true", f"traefik.http.routers.{name}.rule": rule}
    for key, value in more.items():
        labels[f"traefik.http.services.{name}.loadbalancer.{key.replace('_', '.')}"] = value
    return labels


def hosts(balancer: Balancer, count: int = 6, host: str = HOST) -> set[str]:
    """The containers that answer so many requests; a status in parentheses where none did."""
    return {balancer.ask(host).hostname for _ in range(count)}


def servers(balancer: Balancer) -> dict[str, str]:
    """Every server's URL and state, as the API has them."""
    found = balancer.api("/api/state")["services"]
    return {server["url"]: server["state"] for service in found for server in service["servers"]}


def answers(check: Callable[[], object], expected: object) -> None:
    """Wait until ``check`` gives just that."""

    def same() -> bool:
        given = check()
        assert given == expected, f"{given}, not {expected}"
        return True

    eventually(same)


@pytest.fixture
def shell(engine: Engine, workdir: Path) -> str:
    """The whoami image with a shell in it, for health commands and ``docker exec``."""
    context = workdir / "shell"
    linked = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout
    wanted = [word for word in linked.split() if word.startswith("/")]
    for path in ("/bin/sh", *wanted):
        copy = context / "root" / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(path), copy)
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY root /\n")
    engine.docker("build", "-q", "-t", "example/shell", str(context))
    return "example/shell"


def test_v1_and_v3_containers_and_one_with_both_kinds_of_labels_share_a_host(
    on_docker: Start, engine: Engine
) -> None:
    balancer = on_docker("--workers=2")
    engine.run(IMAGE, hostname="one", labels={**V1, "traefik.frontend.rule": f"Host:{HOST};PathPrefix:/one"})
    engine.run(IMAGE, hostname="three", labels=v3(f"Host(`{HOST}`) && Path(`/three`)", "three"))
    both = {
        **V1,
        **v3("Host(`b.example`)", server_port="8123"),
        "traefik.frontend.rule": "Host:c.example",
        "traefik.port": "8123",
    }
    engine.run(IMAGE, "8123", hostname="both", labels=both)
    answers(lambda: balancer.ask(HOST, "/one/x").hostname, "one")
    answers(lambda: balancer.ask(HOST, "/three").hostname, "three")
    answers(lambda: balancer.ask("b.example").hostname, "both")
    answers(lambda: balancer.ask("c.example").hostname, "both")
    assert balancer.ask(HOST, "/three/x").status == 404
    assert balancer.ask(HOST).status == 404


def test_segments_and_several_v3_services_are_ports_of_one_container(
    on_docker: Start, engine: Engine
) -> None:
    """Two programs in one container: the second one runs in the network of the first."""
    balancer = on_docker("--workers=0")
    segments = {
        "traefik.enable": "true",
        "traefik.frontend.priority": "7",
        "traefik.web.port": "80",
        "traefik.web.frontend.rule": "Host:web.example",
        "traefik.admin.port": "8123",
        "traefik.admin.frontend.rule": "Host:admin.example;PathPrefixStrip:/admin",
        "traefik.http.routers.alt.rule": "Host(`alt.example`)",
        "traefik.http.routers.alt.service": "alt",
        "traefik.http.services.alt.loadbalancer.server.port": "8123",
        "traefik.http.routers.main.rule": "Host(`main.example`)",
        "traefik.http.routers.main.service": "main",
        "traefik.http.services.main.loadbalancer.server.port": "80",
    }
    container = engine.run(IMAGE, hostname="two-ports", env="WHOAMI_NAME=first", labels=segments)
    engine.run(
        IMAGE,
        "8123",
        env="WHOAMI_NAME=second",
        network=f"container:{container}",
        label="traefik.enable=false",
    )

    def programs() -> list[str]:
        names = ("web.example", "main.example", "alt.example")
        plain = [balancer.ask(host).lines.get("name", "nobody") for host in names]
        return [*plain, balancer.ask("admin.example", "/admin/x").lines.get("name", "nobody")]

    answers(programs, ["first", "first", "second", "second"])
    assert "GET /x HTTP/1.1" in balancer.ask("admin.example", "/admin/x").body
    assert balancer.ask("two-ports").status == 404


def test_of_two_networks_the_label_picks_one_else_the_option_else_the_first_by_name(
    on_docker: Start, engine: Engine
) -> None:
    for network in ("net-b", "net-a"):
        engine.docker("network", "create", network)
    try:
        choosing = {"plain": {}, "picky": {"traefik.docker.network": "net-b"}}
        for name, more in choosing.items():
            engine.run(IMAGE, name=name, network="net-b", hostname=name, labels={**V1, **more})
            engine.docker("network", "connect", "net-a", name)

        def address(container: str, network: str) -> str:
            shape = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
            return f"http://{engine.docker('inspect', '-f', shape, container)}:80"

        chosen = {address("plain", "net-a"), address("picky", "net-b")}
        balancer = on_docker("--workers=0")
        answers(lambda: set(servers(balancer)), chosen)
        assert hosts(balancer) == {"plain", "picky"}
        named = on_docker("--workers=0", "--docker.network=net-b")
        answers(lambda: set(servers(named)), {address("plain", "net-b"), address("picky", "net-b")})
        assert hosts(named) == {"plain", "picky"}
    finally:
        engine.remove_containers()
        engine.docker("network", "rm", "net-a", "net-b")


def test_a_published_port_is_used_where_the_option_says_so(on_docker: Start, engine: Engine) -> None:
    port = free_port()
    engine.run(IMAGE, name="bound", hostname="bound", publish=f"127.0.0.1:{port}:80", labels=V1)
    engine.run(IMAGE, name="everywhere", hostname="everywhere", publish="80", labels=V1)
    shape = "{{.NetworkSettings.Networks.global.IPAddress}}"
    bound, everywhere = (
        f"http://{engine.docker('inspect', '-f', shape, name)}:80" for name in ("bound", "everywhere")
    )
    inside = on_docker("--workers=0")
    answers(lambda: set(servers(inside)), {bound, everywhere})
    published = on_docker("--workers=0", "--docker.usebindportip=true")
    answers(lambda: set(servers(published)), {f"http://127.0.0.1:{port}", everywhere})
    assert hosts(published) == {"bound", "everywhere"}


@pytest.mark.parametrize("labels", [V1, v3()], ids=["v1", "v3"])
def test_a_container_gets_requests_while_its_own_health_check_passes(
    on_docker: Start, engine: Engine, shell: str, labels: dict[str, str]
) -> None:
    balancer = on_docker("--workers=1")
    check = {
        "health-cmd": 'read state < /state && [ "$state" = well ]',
        "health-interval": "300ms",
        "health-retries": "1",
        "health-start-period": "60s",
    }

    def become(name: str, state: str) -> None:
        engine.docker("exec", name, "/bin/sh", "-c", f"echo {state} > /state")

    engine.run(shell, name="first", hostname="first", labels=labels, **check)
    # Its check has not passed yet: the router is there, and says when to come again.
    answers(lambda: balancer.ask(HOST).status, 503)
    assert "retry-after" in balancer.ask(HOST).fields
    assert list(servers(balancer).values()) == ["starting"]

    become("first", "well")
    answers(lambda: hosts(balancer), {"first"})
    engine.run(shell, name="second", hostname="second", labels=labels, **check)
    become("second", "well")
    answers(lambda: hosts(balancer), {"first", "second"})

    become("first", "ill")
    answers(lambda: hosts(balancer), {"second"})
    assert set(servers(balancer).values()) == {"down", "ready"}
    become("first", "well")
    answers(lambda: hosts(balancer), {"first", "second"})


def test_constraints_of_both_versions_choose_containers(on_docker: Start, engine: Engine) -> None:
    engine.run(IMAGE, hostname="api", labels={**V1, "traefik.tags": "api-2,other", "tier": "web"})
    engine.run(IMAGE, hostname="shop", labels={**V1, "traefik.tags": "shop", "tier": "web"})
    engine.run(IMAGE, hostname="bare", labels={**V1, "tier": "back"})
    by_tag = on_docker("--workers=0", "--docker.constraints=tag==api-*")
    by_label = on_docker(
        "--workers=0", "--docker.constraints=Label(`tier`,`web`) && !Label(`traefik.tags`,`shop`)"
    )
    by_regex = on_docker("--workers=0", "--docker.constraints=LabelRegex(`tier`,`^(web|back)$`)")
    answers(lambda: hosts(by_tag), {"api"})
    answers(lambda: hosts(by_label), {"api"})
    answers(lambda: hosts(by_regex), {"api", "shop", "bare"})


def test_one_off_containers_of_compose_are_left_out_unless_wanted(
    on_docker: Start, engine: Engine, workdir: Path
) -> None:
    project = workdir / "shop"
    project.mkdir()
    (project / "docker-compose.yml").write_text(COMPOSE.format(host=HOST))
    engine.compose(project, "up", "-d")
    engine.compose(project, "run", "-d", "web")
    everybody = set(engine.docker("ps", "-q").split())
    served = set(engine.docker("ps", "-q", "--filter=label=com.docker.compose.oneoff=False").split())
    assert (len(everybody), len(served)) == (2, 1)
    balancer = on_docker("--workers=0")
    answers(lambda: hosts(balancer), served)
    wanting = on_docker("--workers=0", "--docker.oneoffs=true")
    answers(lambda: hosts(wanting), everybody)


def test_a_service_whose_containers_are_all_paused_answers_503(on_docker: Start, engine: Engine) -> None:
    """With ``allowEmptyServices`` as without: a router does not disappear while its container is there."""
    balancer = on_docker("--workers=0", "--providers.docker.allowemptyservices=true")
    engine.run(IMAGE, name="only", hostname="only", labels=v3())
    answers(lambda: hosts(balancer, 2), {"only"})
    engine.docker("pause", "only")
    # Asked before the engine has said so, a paused container would take the request and be silent.
    answers(lambda: list(servers(balancer).values()), ["down"])
    answers(lambda: balancer.ask(HOST).status, 503)
    engine.docker("unpause", "only")
    answers(lambda: hosts(balancer, 2), {"only"})
    engine.docker("rm", "-f", "only")
    answers(lambda: balancer.ask(HOST).status, 404)
