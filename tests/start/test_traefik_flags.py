"""Which of Traefik's settings are passed over, and which are not."""

from __future__ import annotations

import pytest

from dynbalancer.start.traefik_flags import Verdict, implied, unnumbered, verdict


def found(key: str, text: str | None = None) -> Verdict:
    """The verdict, which there is."""
    one = verdict(key, text)
    assert one is not None
    return one


@pytest.mark.parametrize(
    "key, severity",
    [
        ("sendanonymoususage", "info"),
        ("global.checknewversion", "info"),
        ("log", "info"),
        ("docker.allowemptyservices", "info"),
        ("docker.filename", "warning"),
        ("certificatesresolvers.le.acme.email", "warning"),
        ("acme.domains[0].main", "warning"),
        ("metrics.prometheus.buckets", "warning"),
        ("tracing.jaeger.samplingparam", "warning"),
        ("experimental.plugins.x.version", "warning"),
        ("experimental.fastproxy", "info"),
        ("pilot.token", "warning"),
        ("log.maxsize", "warning"),
        ("accesslog.otlp.http.endpoint", "warning"),
        ("tcpserverstransport.dialtimeout", "warning"),
        ("entrypoints.web.http2.maxconcurrentstreams", "warning"),
        ("entrypoints.web.transport.respondingtimeouts.writetimeout", "warning"),
        ("entrypoints.web.http.sanitizepath", "info"),
        ("entrypoints.web.http.tls.certresolver", "warning"),
        ("entrypoints.web.http.tls.domains[0].sans", "warning"),
        ("entrypoints.web.http.tls.other", "error"),
        ("entrypoints.web.auth.basic.other", "error"),
        ("entrypoints.web.proxyprotocol.other", "error"),
        ("entrypoints.https.tls.maxversion", "error"),
        ("entrypoints.web", "warning"),
        ("providers.consul.endpoint", "error"),
        ("providers.swarm.endpoint", "error"),
        ("rest", "error"),
        ("hostresolver.cnameflattening", "error"),
        ("serverstransport.servername", "error"),
        ("tcpserverstransport.tls.insecureskipverify", "error"),
        ("http.routers.web.rule", "error"),
        ("backends.b.servers.s.url", "error"),
    ],
)
def test_what_becomes_of_what_only_traefik_has(key: str, severity: str) -> None:
    assert found(key).severity == severity
    assert found(key).refuses == (severity == "error")


@pytest.mark.parametrize(
    "key",
    ["nonsense", "acmes", "log.levell", "providers.dokcer.network", "entrypoints.web.nonsense", "globall.x"],
)
def test_what_traefik_has_not_either_is_nothing(key: str) -> None:
    assert verdict(key) is None


@pytest.mark.parametrize(
    "key, text",
    [
        ("entrypoints.web.http.sanitizepath", "true"),
        ("entrypoints.web.http.underscoreheadersstrategy", "keep"),
        ("entrypoints.web.reuseport", "false"),
        ("metrics", "false"),
        ("tracing", "false"),
        ("providers.kubernetescrd", "false"),
        ("rest", "False"),
    ],
)
def test_what_says_what_is_so_anyway_is_worth_no_warning(key: str, text: str) -> None:
    assert found(key, text).severity == "info"


@pytest.mark.parametrize(
    "key, text, severity",
    [
        ("entrypoints.web.http.sanitizepath", "false", "warning"),
        ("entrypoints.web.http.underscoreheadersstrategy", "reject", "error"),
        ("providers.kubernetescrd", "true", "error"),
        ("providers.kubernetescrd.ingressclass", "false", "error"),
    ],
)
def test_what_says_otherwise_is(key: str, text: str, severity: str) -> None:
    assert found(key, text).severity == severity


def test_settings_of_one_family_and_entry_point_are_one() -> None:
    assert found("metrics.prometheus").family == found("metrics.statsd.address").family == "metrics"
    assert found("entrypoints.web.http3").family == "entrypoints.web.http3"


def test_the_longest_match_says_what_to_do_instead() -> None:
    assert found("serverstransport.servername").hint.startswith("--serverstransport.insecureskipverify")


def test_certificates_that_are_ordered_mean_tls() -> None:
    assert implied("entrypoints.s.http.tls.certresolver") == "entrypoints.s.http.tls"
    assert implied("entrypoints.s.http.tls.domains[0].main") == "entrypoints.s.http.tls"
    assert implied("entrypoints.s.http.sanitizepath") == ""
    assert implied("metrics") == ""


def test_numbers_of_members_don_t_count() -> None:
    assert unnumbered("a.domains[0].main") == "a.domains.main"
    assert unnumbered("a[1][20]") == "a"
    assert unnumbered("plain") == "plain"
