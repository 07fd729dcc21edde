"""Where the fuzzers begin: the rows of the case tables, and rules and labels as people write them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))
import request_cases
import response_cases
from payloads import payload

RULES = (
    "Host(`a.example`) && (PathPrefix(`/a`) || !Method(`GET`, `POST`))",
    "HostRegexp(`^[a-z]+\\.example$`) || Header(`X-A`, `1`) && Query(`a`, `b`) || ClientIP(`192.0.2.0/24`)",
    "Host:a.example,b.example;PathPrefixStrip:/a;Headers:X-A,1",
    'Path("/a/{b:[0-9]+}") || PathRegexp(`/x.*`) || QueryRegexp(`a`, `.*`)',
)
LABELS = (
    "traefik.enable=true\ntraefik.frontend.rule=Host:a.example\ntraefik.port=8080\ntraefik.weight=3",
    "traefik.web.frontend.rule=Host:a\ntraefik.web.port=80\ntraefik.backend=b\ntraefik.protocol=https",
    "traefik.http.routers.a.rule=Host(`a`)\ntraefik.http.services.a.loadbalancer.server.port=80",
    "traefik.http.middlewares.m.stripprefix.prefixes=/a,/b\ntraefik.http.routers.a.middlewares=m",
)


def requests(*, good: bool = False) -> list[bytes]:
    """Whole connections' worth of request octets; only those in which nothing is wrong, if wanted."""
    rows = request_cases.CASES
    return [payload(text) for _, text, verdict in rows if not good or set(verdict.split()) == {"200"}]


def responses() -> list[bytes]:
    """What servers send."""
    return [payload(case[3]) for case in response_cases.CASES]


def of(target: str) -> list[bytes]:
    """The seeds of a target."""
    if target == "request_head":
        return [data.split(b"\r\n\r\n")[0] for data in requests()]
    if target == "chunks":
        return [data.split(b"\r\n\r\n", 1)[-1] for data in requests() if b"chunked" in data]
    if target == "rules":
        return [rule.encode() for rule in RULES]
    if target == "labels":
        return [text.encode() for text in LABELS]
    return requests() if target == "requests" else responses()
