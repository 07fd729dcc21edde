"""Labels are written so that they are read as what they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dynbalancer.core.documents import from_document, to_document
from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.labels.writer import UnwritableError, labels_of
from dynbalancer.core.model import Configuration, Middleware, Router, Server, Service
from dynbalancer.core.translation import in_v3
from dynbalancer.core.typed import typed


def container(labels: dict[str, str]) -> Container:
    """A container with these labels."""
    return Container("id", "web-1", labels=labels, networks={"front": "192.0.2.1"}, ports=(80,))


def read(labels: dict[str, str]) -> Configuration:
    """What the labels of one container say."""
    return configuration_of([container(labels)], Defaults())


def written(found: Configuration) -> dict[str, str]:
    """All of a configuration as labels."""
    return labels_of("id", [*found.routers, *found.services], found)


def test_everything_of_a_router_and_its_service() -> None:
    router = Router("r", "Host(`a`)", "s", ("web", "x"), ("m",), -3, "v3", True)
    servers = (
        Server("https://192.0.2.1:8443", 3, instance="id"),
        Server("http://192.0.2.2:80", instance="other"),
    )
    service = Service("s", servers, pass_host_header=False, middlewares=("m", "n@file"), flush_interval=-1.0)
    middleware = Middleware("m", "headers", {"customRequestHeaders": {"X-Up": "a"}, "frameDeny": True})
    assert written(Configuration({"r": router}, {"s": service}, {"m": middleware})) == {
        "traefik.http.routers.r.rule": "Host(`a`)",
        "traefik.http.routers.r.service": "s",
        "traefik.http.routers.r.entrypoints": "web,x",
        "traefik.http.routers.r.middlewares": "m",
        "traefik.http.routers.r.priority": "-3",
        "traefik.http.routers.r.tls": "true",
        "traefik.http.services.s.loadbalancer.server.port": "8443",
        "traefik.http.services.s.loadbalancer.server.scheme": "https",
        "traefik.http.services.s.loadbalancer.server.weight": "3",
        "traefik.http.services.s.loadbalancer.passhostheader": "false",
        "traefik.http.services.s.loadbalancer.responseforwarding.flushinterval": "-1s",
        "traefik.http.services.s.middlewares": "m,n@file",
        "traefik.http.middlewares.m.headers.customrequestheaders.X-Up": "a",
        "traefik.http.middlewares.m.headers.framedeny": "true",
    }


def test_a_middleware_without_settings_and_the_members_of_a_chain() -> None:
    router = Router("r", "Host(`a`)", "s", middlewares=("c",))
    middlewares = {
        "c": Middleware("c", "chain", {"middlewares": "z, other@file"}),
        "z": Middleware("z", "compress"),
    }
    found = labels_of("id", ["r"], Configuration({"r": router}, {}, middlewares))
    assert found["traefik.http.middlewares.z.compress"] == "true"
    assert found["traefik.http.middlewares.c.chain.middlewares"] == "z, other@file"


@pytest.mark.parametrize(
    "found",
    [
        Configuration({"a.b": Router("a.b", "Host(`a`)", "s")}),
        Configuration(services={"s": Service("s", kind="weighted")}),
        Configuration(
            {"r": Router("r", "Host(`a`)", "s", middlewares=("m",))},
            {},
            {"m": Middleware("m", "stripPrefixRegex", {"regex": ("a{1,2}",)})},
        ),
    ],
)
def test_what_labels_have_no_room_for(found: Configuration) -> None:
    with pytest.raises(UnwritableError):
        written(found)


#: Labels of v1 and values that they may have; each may be there or not.
OPTIONS = {
    "traefik.frontend.rule": (
        "Host:a.example",
        "Host:a.example,b.example;PathPrefixStrip:/x",
        "Path:/x;AddPrefix:/y",
    ),
    "traefik.frontend.priority": ("5",),
    "traefik.frontend.entryPoints": ("http", "http,other"),
    "traefik.frontend.passHostHeader": ("false",),
    "traefik.port": ("8080",),
    "traefik.protocol": ("https",),
    "traefik.weight": ("7",),
    "traefik.backend": ("shop",),
    "traefik.frontend.auth.basic": ("u:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",),
    "traefik.frontend.auth.basic.removeHeader": ("true",),
    "traefik.frontend.auth.headerField": ("X-User",),
    "traefik.frontend.whiteList.sourceRange": ("10.0.0.0/8, 192.0.2.0/24",),
    "traefik.frontend.redirect.entryPoint": ("https",),
    "traefik.frontend.headers.customRequestHeaders": ("X-A:b||X-C:d",),
    "traefik.frontend.headers.STSSeconds": ("300",),
    "traefik.frontend.headers.allowedHosts": ("a.example,b.example",),
    "traefik.frontend.errors.e.status": ("404,500-599",),
    "traefik.frontend.errors.e.backend": ("shop",),
    "traefik.frontend.errors.e.query": ("/{status}.html",),
    "traefik.backend.loadbalancer.stickiness": ("true",),
    "traefik.backend.loadbalancer.stickiness.cookieName": ("c",),
    "traefik.backend.loadbalancer.stickiness.secure": ("true",),
    "traefik.backend.healthcheck.path": ("/health",),
    "traefik.backend.healthcheck.interval": ("10s", "1m30s"),
    "traefik.backend.healthcheck.headers": ("X-H: v",),
    "traefik.backend.responseForwarding.flushInterval": ("10ms",),
    "traefik.backend.maxconn.amount": ("3",),
    "traefik.backend.maxconn.extractorfunc": ("client.ip", "request.header.X-A"),
    "traefik.backend.circuitbreaker.expression": ("NetworkErrorRatio() > 0.5",),
    "traefik.backend.buffering.maxRequestBodyBytes": ("1000",),
    "traefik.frontend.rateLimit.extractorFunc": ("client.ip", "request.host"),
    "traefik.frontend.rateLimit.rateSet.r.period": ("10s",),
    "traefik.frontend.rateLimit.rateSet.r.average": ("5",),
    "traefik.frontend.rateLimit.rateSet.r.burst": ("9",),
    "traefik.frontend.passTLSClientCert.pem": ("true",),
    "traefik.frontend.passTLSClientCert.infos.subject.commonName": ("true",),
    "traefik.two.frontend.rule": ("Host:two.example",),
    "traefik.two.port": ("81",),
}
LABELS = some.fixed_dictionaries(
    {}, optional={key: some.sampled_from(values) for key, values in OPTIONS.items()}
)


@given(LABELS)
def test_labels_of_v1_are_the_same_routing_when_they_are_read_again_in_v3(labels: dict[str, str]) -> None:
    said = in_v3(read({"traefik.frontend.rule": "Host:a.example", **labels})).configuration
    labels = written(said)
    again = read(labels)
    assert again.problems == ()
    assert (again.routers, again.services) == (said.routers, said.services)
    assert written(again) == labels
    for name, middleware in again.middlewares.items():
        assert middleware.type == said.middlewares[name].type


@given(LABELS)
def test_labels_of_v1_are_the_same_routing_when_they_are_read_again_from_a_file(
    labels: dict[str, str],
) -> None:
    said = in_v3(read({"traefik.frontend.rule": "Host:a.example", **labels})).configuration
    again = from_document(to_document(said), "container web-1")
    assert again.problems == ()
    assert again.routers == said.routers
    assert {name: (m.type, m.settings) for name, m in again.middlewares.items()} == {
        name: (m.type, m.settings) for name, m in said.middlewares.items()
    }
    assert to_document(again) == to_document(said)


@given(LABELS)
def test_settings_read_from_labels_are_typed_as_they_were(labels: dict[str, str]) -> None:
    said = in_v3(read({"traefik.frontend.rule": "Host:a.example", **labels})).configuration
    for name, middleware in read(written(said)).middlewares.items():
        folded = _folded(typed(middleware).settings)
        assert folded == _folded(typed(said.middlewares[name]).settings)


def _folded(settings: object) -> object:
    """Settings without the letter case of their keys."""
    if isinstance(settings, dict):
        return {key.lower(): _folded(value) for key, value in settings.items()}
    return settings
