"""A deploy under load: containers are replaced one by one, and no request is lost.

The containers use the host's network, so that the load stays on loopback.
"""

from __future__ import annotations

import pytest
from balancer import Balancer, Start, free_port
from engine import Engine
from eventually import eventually
from web import WHOAMI, Load, ask


def deploy(engine: Engine, name: str, **changed: str) -> int:
    """Start a container that finishes its requests when it is stopped; gives its port.

    ``changed``: labels that differ; PORT in them is the port.
    """
    port = free_port()
    labels = {"traefik.enable": "true", "traefik.frontend.rule": f"Host:{WHOAMI}", "traefik.port": str(port)}
    if changed:
        labels = {key: value.replace("PORT", str(port)) for key, value in changed.items()}
    flags = ("--env=WHOAMI_DRAIN=5", f"--env=WHOAMI_NAME={name}")
    listed = [f"--label={key}={value}" for key, value in labels.items()]
    engine.docker(
        "run", "-d", "--network=host", f"--name={name}", *flags, *listed, "emilevauge/whoami", str(port)
    )
    eventually(lambda: ask(port).status == 200)
    return port


def names(balancer: Balancer, count: int) -> set[str]:
    """Who answers so many requests."""
    return {balancer.ask().lines.get("name", "nobody") for _ in range(count)}


@pytest.mark.parametrize("path", ["/", "/slow?ms=80"])
def test_replacing_every_container_under_load_loses_no_request(
    on_docker: Start, engine: Engine, path: str
) -> None:
    balancer = on_docker("--workers=2")
    ports = [deploy(engine, f"{slot}-0") for slot in "abc"]
    eventually(lambda: names(balancer, 6) == {"a-0", "b-0", "c-0"})

    load = Load(balancer.port, path=path, clients=8)
    # Asks one container by itself: shows that a deploy does take servers away from under their clients.
    unprotected = Load(ports[0], path=path, clients=1)
    load.start()
    unprotected.start()
    for version in (1, 2, 3):
        for slot in "abc":
            new = f"{slot}-{version}"
            deploy(engine, new)
            eventually(lambda new=new: new in load.seen)
            engine.docker("stop", f"{slot}-{version - 1}")
    eventually(lambda: names(balancer, 6) == {"a-3", "b-3", "c-3"})
    load.stop()
    unprotected.stop()

    assert load.failures == []
    assert load.seen == {f"{slot}-{version}" for slot in "abc" for version in range(4)}
    assert load.count > 150
    assert unprotected.failures


V3 = {
    "traefik.enable": "true",
    "traefik.http.routers.web.rule": f"Host(`{WHOAMI}`)",
    "traefik.http.routers.web.middlewares": "mark",
    "traefik.http.middlewares.mark.headers.customresponseheaders.X-Version": "1",
    "traefik.http.services.web.loadbalancer.server.port": "PORT",
}
V1 = {
    "traefik.enable": "true",
    "traefik.frontend.rule": f"Host:{WHOAMI}",
    "traefik.port": "PORT",
    "traefik.frontend.headers.customResponseHeaders": "X-Version:1",
}
CHANGES = {
    "v3": (V3, {**V3, "traefik.http.middlewares.mark.headers.customresponseheaders.X-Version": "2"}),
    "v1": (V1, {**V1, "traefik.frontend.headers.customResponseHeaders": "X-Version:2"}),
}


@pytest.mark.parametrize("manner", ["v1", "v3"])
def test_versions_whose_labels_differ_share_the_pool_and_a_problem_says_so(
    on_docker: Start, engine: Engine, manner: str
) -> None:
    """Traefik drops a middleware or a router that two containers define differently."""
    old, new = CHANGES[manner]
    balancer = on_docker("--workers=2")
    deploy(engine, "old", **old)
    eventually(lambda: names(balancer, 4) == {"old"})
    assert balancer.ask().fields["x-version"] == "1"
    assert balancer.problems().strip() == "[]"

    load = Load(balancer.port, clients=4)
    load.start()
    deploy(engine, "new", **new)
    eventually(lambda: names(balancer, 6) == {"old", "new"})
    problems = balancer.problems()
    assert "old" in problems and "new" in problems, problems
    engine.docker("stop", "old")
    eventually(lambda: names(balancer, 4) == {"new"})
    eventually(lambda: balancer.problems().strip() == "[]")
    eventually(lambda: {balancer.ask().fields["x-version"] for _ in range(16)} == {"2"})
    load.stop()
    assert load.failures == []
    assert load.seen == {"old", "new"}


def test_a_container_that_was_killed_costs_only_its_open_requests(on_docker: Start, engine: Engine) -> None:
    """Nobody can save what it was answering; the next request already goes elsewhere."""
    balancer = on_docker("--workers=1")
    deploy(engine, "stays")
    deploy(engine, "dies")
    eventually(lambda: names(balancer, 4) == {"stays", "dies"})
    engine.docker("kill", "dies")
    statuses = [balancer.ask().status for _ in range(10)]
    assert statuses == [200] * 10
    assert names(balancer, 4) == {"stays"}
