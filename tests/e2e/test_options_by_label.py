"""What labels of containers switch on beside routing: middlewares and options of both versions, on a real engine."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from balancer import Balancer, Start, free_port
from engine import Engine
from eventually import eventually
from web import Answer, ask

IMAGE = "emilevauge/whoami"
HOST = "a.example"
ENABLE = {"traefik.enable": "true"}
V1 = {**ENABLE, "traefik.frontend.rule": f"Host:{HOST}"}
V3 = {**ENABLE, "traefik.http.routers.web.rule": f"Host(`{HOST}`)"}
# As in a compose file, where a dollar sign is written twice. The password is "test".
COMPOSE = """\
version: '3'
services:
  one:
    image: emilevauge/whoami
    hostname: one
    networks: [global]
    labels:
      - "traefik.enable=true"
      - "traefik.frontend.rule=Host:one.example"
      - "traefik.frontend.auth.basic.users=test:$$apr1$$H6uskkkW$$IgXLP6ewTrSuBkTrqE8wj/"
      - "traefik.frontend.auth.headerField=X-User"
  three:
    image: emilevauge/whoami
    hostname: three
    networks: [global]
    labels:
      traefik.enable: "true"
      traefik.http.routers.web.rule: Host(`three.example`)
      traefik.http.routers.web.middlewares: login
      traefik.http.middlewares.login.basicauth.users: test:$$apr1$$H6uskkkW$$IgXLP6ewTrSuBkTrqE8wj/
      traefik.http.middlewares.login.basicauth.headerfield: X-User
networks:
  global: {external: true}
"""


def router(name: str, middlewares: str, rule: str = "") -> dict[str, str]:
    """Labels of version 3 for a router with middlewares."""
    prefix = f"traefik.http.routers.{name}"
    return {**ENABLE, f"{prefix}.rule": rule or f"Host(`{HOST}`)", f"{prefix}.middlewares": middlewares}


def serving(balancer: Balancer, host: str = HOST) -> None:
    """Wait until somebody is routed there; spends no request that would reach a server."""
    eventually(lambda: any(host in found["rule"] for found in balancer.api("/api/http/routers")))


def login(user: str, password: str) -> dict[str, str]:
    """The field that says who asks."""
    word = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {word}"}


def hosts(balancer: Balancer, count: int = 6, host: str = HOST) -> set[str]:
    """The containers that answer so many requests."""
    return {balancer.ask(host).hostname for _ in range(count)}


def test_passwords_from_a_compose_file_open_routers_of_both_versions(
    on_docker: Start, engine: Engine, workdir: Path
) -> None:
    balancer = on_docker("--workers=0")
    project = workdir / "locked"
    project.mkdir()
    (project / "docker-compose.yml").write_text(COMPOSE)
    engine.compose(project, "up", "-d")
    for name in ("one", "three"):
        host = f"{name}.example"
        serving(balancer, host)
        asked = balancer.ask(host)
        assert (asked.status, asked.fields["www-authenticate"]) == (401, 'Basic realm="traefik"')
        assert balancer.ask(host, fields=login("test", "wrong")).status == 401
        let_in = balancer.ask(host, fields=login("test", "test"))
        assert (let_in.hostname, let_in.lines["x-user"]) == (name, "test")


@pytest.mark.parametrize("workers", [0, 2])
def test_rate_limits_of_both_versions_hold_whoever_answers(
    on_docker: Start, engine: Engine, workers: int
) -> None:
    balancer = on_docker(f"--workers={workers}")
    one = {
        **ENABLE,
        "traefik.frontend.rule": "Host:one.example",
        "traefik.frontend.rateLimit.extractorFunc": "client.ip",
        "traefik.frontend.rateLimit.rateSet.slow.period": "1h",
        "traefik.frontend.rateLimit.rateSet.slow.average": "3",
        "traefik.frontend.rateLimit.rateSet.slow.burst": "3",
    }
    three = {
        **router("web", "slow", "Host(`three.example`)"),
        "traefik.http.middlewares.slow.ratelimit.average": "3",
        "traefik.http.middlewares.slow.ratelimit.period": "1h",
        "traefik.http.middlewares.slow.ratelimit.burst": "3",
    }
    engine.run(IMAGE, labels=one)
    engine.run(IMAGE, labels=three)
    for host in ("one.example", "three.example"):
        eventually(lambda host=host: balancer.ask(host).status != 404)
        statuses = [balancer.ask(host).status for _ in range(6)]
        # One was let through while we waited.
        assert statuses == [200, 200, 429, 429, 429, 429], host


def test_middlewares_that_labels_chain_work_in_their_order_and_across_containers(
    on_docker: Start, engine: Engine
) -> None:
    balancer = on_docker("--workers=0")
    chain = {
        **router("web", "all"),
        "traefik.http.middlewares.all.chain.middlewares": "cut,add,mark@docker",
        "traefik.http.middlewares.cut.stripprefix.prefixes": "/api",
        "traefik.http.middlewares.add.addprefix.prefix": "/v2",
    }
    # Another container defines one of them.
    mark = {
        **router("other", "mark", "Host(`b.example`)"),
        "traefik.http.middlewares.mark.headers.customrequestheaders.X-Seen-By": "chain",
        "traefik.http.middlewares.mark.headers.customresponseheaders.X-Answered-By": "chain",
    }
    engine.run(IMAGE, hostname="one", labels=chain)
    engine.run(IMAGE, hostname="two", labels=mark)

    def chained() -> Answer:
        answer = balancer.ask(HOST, "/api/users?a=b")
        assert answer.status == 200
        return answer

    answer = eventually(chained)
    assert "GET /v2/users?a=b HTTP/1.1" in answer.body
    assert (answer.lines["x-seen-by"], answer.fields["x-answered-by"]) == ("chain", "chain")
    assert answer.lines["x-forwarded-prefix"] == "/api"
    assert balancer.ask("b.example").fields["x-answered-by"] == "chain"


def test_v1_redirects_from_one_entry_point_to_the_other(on_docker: Start, engine: Engine) -> None:
    secure = free_port()
    balancer = on_docker(
        "--workers=0",
        f"--entrypoints.websecure.address=127.0.0.1:{secure}",
        "--entrypoints.websecure.http.tls=true",
    )
    redirected = {
        **V1,
        "traefik.frontend.entryPoints": "http,https",
        "traefik.frontend.redirect.entryPoint": "https",
        "traefik.frontend.redirect.permanent": "true",
    }
    engine.run(IMAGE, hostname="one", labels=redirected)
    serving(balancer)
    answer = balancer.ask(HOST, "/a?b=c")
    assert (answer.status, answer.fields["location"]) == (301, f"https://{HOST}:{secure}/a?b=c")
    assert balancer.ask(HOST, "/a", method="POST").status == 308
    followed = balancer.curl(
        HOST, "/a?b=c", "-k", "-L", "--resolve", f"{HOST}:{secure}:127.0.0.1", "--location-trusted"
    )
    assert "Hostname: one" in followed
    assert "GET /a?b=c HTTP/1.1" in followed
    assert "X-Forwarded-Proto: https" in followed


@pytest.mark.parametrize("manner", ["v1", "v3"])
def test_a_container_that_begins_to_answer_500_is_left_out_until_it_is_well(
    on_docker: Start, engine: Engine, manner: str
) -> None:
    labels = {
        "v1": {
            **V1,
            "traefik.backend": "web",
            "traefik.backend.healthcheck.path": "/health",
            "traefik.backend.healthcheck.interval": "300ms",
        },
        "v3": {
            **V3,
            "traefik.http.services.web.loadbalancer.healthcheck.path": "/health",
            "traefik.http.services.web.loadbalancer.healthcheck.interval": "300ms",
            "traefik.http.services.web.loadbalancer.healthcheck.timeout": "200ms",
        },
    }[manner]
    balancer = on_docker("--workers=1")
    ports = {name: free_port() for name in ("well", "ill")}
    for name, port in ports.items():
        engine.run(IMAGE, hostname=name, publish=f"127.0.0.1:{port}:80", labels=labels)
    eventually(lambda: hosts(balancer) == {"well", "ill"})
    ask(ports["ill"], path="/health", method="POST", body=b"500")
    eventually(lambda: hosts(balancer) == {"well"})
    (service,) = balancer.api("/api/state")["services"]
    (failing,) = [server for server in service["servers"] if server["state"] == "down"]
    assert failing["health"]["why"] == "status 500 from /health"
    ask(ports["ill"], path="/health", method="POST", body=b"200")
    eventually(lambda: hosts(balancer) == {"well", "ill"})
