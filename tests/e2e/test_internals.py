"""The dashboard behind a router of one's own, as people write it for Traefik: a host, a password, ``api@internal``."""

from __future__ import annotations

from pathlib import Path

import pytest
from balancer import Start
from eventually import eventually
from web import ask

ROUTES = """\
http:
  routers:
    dashboard:
      rule: Host(`traefik.example.com`) && (PathPrefix(`/api`) || PathPrefix(`/dashboard`))
      service: api@internal
      middlewares: [auth]
    ping:
      rule: Host(`ping.example.com`)
      service: ping@internal
    everything:
      rule: Host(`open.example.com`)
      service: dashboard@internal
  middlewares:
    auth:
      basicAuth:
        users: ["admin:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc="]
"""
ADMIN = {"Authorization": "Basic YWRtaW46YWRtaW4="}


@pytest.mark.parametrize("workers", [0, 1])
def test_routers_may_lead_to_dashboard_api_and_ping(start: Start, workdir: Path, workers: int) -> None:
    (workdir / "routes.yml").write_text(ROUTES)
    balancer = start(f"--file.filename={workdir / 'routes.yml'}", f"--workers={workers}")
    eventually(lambda: balancer.ask("ping.example.com").body == "OK")

    assert balancer.ask("traefik.example.com", "/dashboard/").status == 401
    page = balancer.ask("traefik.example.com", "/dashboard/", fields=ADMIN)
    direct = ask(balancer.api_port, "localhost", "/dashboard/")
    assert (page.status, page.body) == (200, direct.body)
    listed = balancer.ask("traefik.example.com", "/api/http/routers", fields=ADMIN)
    assert '"dashboard@file"' in listed.body
    moved = balancer.ask("traefik.example.com", "/dashboard", fields=ADMIN)
    assert (moved.status, moved.fields["location"]) == (302, "/dashboard/")
    # The dashboard alone is no door to the API.
    assert balancer.ask("open.example.com", "/dashboard/").status == 200
    assert balancer.ask("open.example.com", "/api/http/routers").status == 302
    assert not balancer.api("/api/problems")


def test_routed_requests_need_the_token_too(start: Start, workdir: Path) -> None:
    (workdir / "routes.yml").write_text(ROUTES)
    balancer = start(f"--file.filename={workdir / 'routes.yml'}", "--api.token=secret-of-the-api")
    eventually(lambda: balancer.ask("ping.example.com").body == "OK")
    assert balancer.ask("traefik.example.com", "/dashboard/", fields=ADMIN).status == 200
    assert balancer.ask("traefik.example.com", "/api/state", fields=ADMIN).status == 401
