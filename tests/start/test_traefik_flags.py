"""Which of Traefik's settings are passed over, and which are not."""

from __future__ import annotations

import pytest

from dynbalancer.start.traefik_flags import instead_of, tolerated


@pytest.mark.parametrize(
    "key, severity",
    [
        ("sendanonymoususage", "info"),
        ("global.checknewversion", "info"),
        ("ping.entrypoint", "info"),
        ("docker.allowemptyservices", "info"),
        ("docker.filename", "warning"),
        ("entrypoints.web.http2.maxconcurrentstreams", "warning"),
        ("entrypoints.web.transport.lifecycle.gracetimeout", "warning"),
        ("entrypoints.web.http.sanitizepath", "warning"),
        ("entrypoints.web.http.tls.options", ""),
        ("entrypoints.web.auth.basic.other", ""),
        ("entrypoints.web.proxyprotocol.other", ""),
        ("acme.email", ""),
        ("nonsense", ""),
    ],
)
def test_what_can_be_passed_over(key: str, severity: str) -> None:
    assert tolerated(key) == severity


@pytest.mark.parametrize(
    "key, known",
    [
        ("acme.email", True),
        ("metrics.prometheus.buckets", True),
        ("providers.consul.endpoint", True),
        ("docker.tls.caoptional", True),
        ("entrypoints.https.tls.minversion", True),
        ("entrypoints.web.http.redirections.entrypoint.other", True),
        ("entrypoints.web.nonsense", False),
        ("acmes", False),
        ("nonsense", False),
    ],
)
def test_what_only_traefik_has(key: str, known: bool) -> None:
    assert (instead_of(key) is not None) == known


def test_the_longest_match_says_what_to_do_instead() -> None:
    assert instead_of("serverstransport.servername") == (
        "--serverstransport.insecureskipverify and --serverstransport.rootcas exist"
    )
