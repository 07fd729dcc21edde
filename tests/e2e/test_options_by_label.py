"""What labels of containers switch on beside routing: middlewares and options of both versions, on a real engine."""

from __future__ import annotations

import base64
import contextlib
import http.client
from pathlib import Path

import pytest
from balancer import Balancer, Start, free_port
from engine import Engine
from eventually import eventually
from web import Answer, ask, takes_turns

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

        def status(host: str = host) -> int:
            found = balancer.ask(host).status
            assert found != 404, "not routed yet, by the worker that was asked"
            return found

        assert [eventually(status) for _ in range(7)] == [200] * 3 + [429] * 4, host


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
            "traefik.http.services.web.loadbalancer.healthcheck.timeout": "5s",
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
    failing = [server["health"]["why"] for server in service["servers"] if server["state"] == "down"]
    assert "status 500 from /health" in failing
    ask(ports["ill"], path="/health", method="POST", body=b"200")
    eventually(lambda: hosts(balancer) == {"well", "ill"})


@pytest.mark.parametrize("manner", ["v1", "v3"])
def test_a_cookie_keeps_a_client_with_one_of_four_containers_until_it_is_gone(
    on_docker: Start, engine: Engine, manner: str
) -> None:
    labels = {
        "v1": {
            **V1,
            "traefik.backend": "shop",
            "traefik.backend.loadbalancer.stickiness": "true",
            "traefik.backend.loadbalancer.stickiness.cookieName": "kept",
        },
        "v3": {
            **V3,
            "traefik.http.services.web.loadbalancer.sticky.cookie.name": "kept",
            "traefik.http.services.web.loadbalancer.sticky.cookie.httponly": "true",
        },
    }[manner]
    balancer = on_docker("--workers=2")
    everybody = {"one", "two", "three", "four"}
    for name in everybody:
        engine.run(IMAGE, name=name, hostname=name, labels=labels)
    # In all workers: by chance sixteen never take turns.
    eventually(lambda: takes_turns([balancer.ask(HOST).hostname for _ in range(16)], 4))
    clients = {}
    for answer in [balancer.ask(HOST) for _ in range(4)]:
        cookie = answer.fields["set-cookie"]
        assert cookie.startswith("kept=") and ("HttpOnly" in cookie) == (manner == "v3")
        clients[answer.hostname] = {"Cookie": cookie.partition(";")[0]}
    # Without a cookie each is another's client; with it each stays, whichever worker takes the connection.
    assert set(clients) == everybody
    for name, fields in clients.items():
        answers = [balancer.ask(HOST, fields=fields) for _ in range(4)]
        assert {answer.hostname for answer in answers} == {name}
        assert not any("set-cookie" in answer.fields for answer in answers)

    engine.docker("stop", "two")
    moved = balancer.ask(HOST, fields=clients["two"])
    assert moved.hostname in everybody - {"two"}
    assert moved.fields["set-cookie"].startswith("kept=")


def test_a_file_weighs_blue_and_green_containers(on_docker: Start, engine: Engine, workdir: Path) -> None:
    routes = workdir / "routes.yml"

    def weigh(blue: int, green: int) -> None:
        routes.write_text(f"""\
http:
  routers:
    shop: {{rule: "Host(`{HOST}`)", service: shop}}
  services:
    shop:
      weighted:
        services: [{{name: blue@docker, weight: {blue}}}, {{name: green@docker, weight: {green}}}]
""")

    weigh(3, 1)
    for name in ("blue", "green"):
        named = {**ENABLE, f"traefik.http.services.{name}.loadbalancer.server.port": "80"}
        own = {f"traefik.http.routers.{name}.rule": f"Host(`{name}.example`)"}
        engine.run(IMAGE, hostname=name, labels={**named, **own})
    balancer = on_docker("--workers=2", f"--file.filename={routes}")

    def shares() -> tuple[int, int]:
        seen = [balancer.ask(HOST).hostname for _ in range(12)]
        return seen.count("blue"), seen.count("green")

    eventually(lambda: shares() == (9, 3))
    weigh(0, 1)
    eventually(lambda: shares() == (0, 12))


def test_error_pages_come_from_another_container(on_docker: Start, engine: Engine) -> None:
    balancer = on_docker("--workers=1")
    three = {
        **router("web", "pages", "Host(`three.example`)"),
        "traefik.http.middlewares.pages.errors.status": "500-599",
        "traefik.http.middlewares.pages.errors.service": "pages",
        "traefik.http.middlewares.pages.errors.query": "/page/{status}",
    }
    one = {
        **ENABLE,
        "traefik.frontend.rule": "Host:one.example",
        "traefik.frontend.errors.down.status": "500-599",
        "traefik.frontend.errors.down.backend": "errorpages",
        "traefik.frontend.errors.down.query": "/page/{status}",
    }
    engine.run(IMAGE, hostname="three", labels=three)
    engine.run(IMAGE, hostname="one", labels=one)
    pages = {
        **router("pages", "", "Host(`pages.example`)"),
        "traefik.http.services.pages.loadbalancer.server.port": "80",
    }
    del pages["traefik.http.routers.pages.middlewares"]
    engine.run(IMAGE, hostname="pages", labels=pages)
    old = {**ENABLE, "traefik.backend": "errorpages", "traefik.frontend.rule": "Host:old-pages.example"}
    engine.run(IMAGE, hostname="old-pages", labels=old)
    for host, page in (("three.example", "pages"), ("one.example", "old-pages")):

        def shown(host: str = host, page: str = page) -> bool:
            answer = balancer.ask(host, "/status?code=503")
            assert (answer.status, answer.hostname) == (503, page)
            return "GET /page/503 HTTP/1.1" in answer.body

        eventually(shown)
        well = balancer.ask(host, "/status?code=404")
        assert (well.status, well.hostname) == (404, host.partition(".")[0])


def test_what_one_container_answers_badly_is_asked_of_the_next(on_docker: Start, engine: Engine) -> None:
    balancer = on_docker("--workers=1")
    again = {
        **router("web", "again"),
        "traefik.http.routers.once.rule": "Host(`once.example`)",
        "traefik.http.middlewares.again.retry.attempts": "2",
        "traefik.http.middlewares.again.retry.status": "500-599",
    }
    ports = {name: free_port() for name in ("well", "ill")}
    for name, port in ports.items():
        engine.run(IMAGE, hostname=name, publish=f"127.0.0.1:{port}:80", labels=again)
    eventually(lambda: hosts(balancer) == {"well", "ill"})
    ask(ports["ill"], path="/health", method="POST", body=b"500")
    assert {balancer.ask("once.example", "/health").status for _ in range(4)} == {200, 500}
    assert [balancer.ask(HOST, "/health").status for _ in range(6)] == [200] * 6


def test_answers_are_compressed_for_who_can_read_it(on_docker: Start, engine: Engine) -> None:
    balancer = on_docker("--workers=1")
    engine.run(IMAGE, labels={**router("web", "small"), "traefik.http.middlewares.small.compress": "true"})
    eventually(lambda: balancer.ask(HOST).status == 200)
    plain = balancer.curl(HOST, "/bytes?n=5000")
    assert len(plain) == 5000
    head = balancer.curl(HOST, "/bytes?n=5000", "--compressed", "-D", "-", "-o", "/dev/null").lower()
    assert "\ncontent-encoding: " in head and "\nvary: accept-encoding\n" in head
    assert balancer.curl(HOST, "/bytes?n=5000", "--compressed") == plain
    for coding in ("gzip", "br", "zstd"):
        asked = (
            "-H",
            f"Accept-Encoding: {coding}",
            "-o",
            "/dev/null",
            "-w",
            "%{size_download} %header{content-encoding}",
        )
        size, said = balancer.curl(HOST, "/bytes?n=5000", *asked).split()
        assert said == coding and int(size) < 1000


def test_a_tcp_router_takes_every_connection_of_its_entry_point(on_docker: Start, engine: Engine) -> None:
    """Whatever is said on it: here HTTP, which nobody reads on the way."""
    db, closed = free_port(), free_port()
    balancer = on_docker(
        "--workers=2",
        f"--entrypoints.db.address=127.0.0.1:{db}",
        f"--entrypoints.closed.address=127.0.0.1:{closed}",
    )
    labels = {
        **ENABLE,
        "traefik.tcp.routers.db.rule": "HostSNI(`*`)",
        "traefik.tcp.routers.db.entrypoints": "db",
        "traefik.tcp.routers.db.service": "db",
        "traefik.tcp.routers.closed.rule": "HostSNI(`*`)",
        "traefik.tcp.routers.closed.entrypoints": "closed",
        "traefik.tcp.routers.closed.service": "db",
        "traefik.tcp.routers.closed.middlewares": "elsewhere",
        "traefik.tcp.middlewares.elsewhere.ipallowlist.sourcerange": "192.0.2.0/24",
        "traefik.tcp.services.db.loadbalancer.server.port": "8123",
    }
    for name in ("one", "two"):
        engine.run(IMAGE, "8123", hostname=name, labels=labels)
    eventually(lambda: {ask(db).hostname for _ in range(6)} == {"one", "two"})
    text = ask(db, "anything.example", "/x").body
    assert "Host: anything.example" in text and "X-Forwarded" not in text

    def shuts() -> bool:
        with contextlib.suppress(ConnectionError, http.client.RemoteDisconnected):
            return ask(closed) is None
        return True

    # In all workers.
    eventually(lambda: all(shuts() for _ in range(16)))
    assert balancer.ask("anything.example").status == 404
