"""A deploy under load: containers are replaced one by one, and no request is lost.

The containers use the host's network, so that the load stays on loopback.
"""

from __future__ import annotations

import pytest
from balancer import Balancer, Start, free_port
from engine import Engine
from eventually import eventually
from web import WHOAMI, Load, ask


def deploy(engine: Engine, name: str) -> int:
    """Start a container that finishes its requests when it is stopped; gives its port."""
    port = free_port()
    labels = {"traefik.enable": "true", "traefik.frontend.rule": f"Host:{WHOAMI}", "traefik.port": str(port)}
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


@pytest.mark.bound(120)
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
