"""Labels of v1 out of what v3 says, as far as v1 has words for it."""

from __future__ import annotations

import pytest

from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.labels.v1writer import v1_labels_of
from dynbalancer.core.translation import in_v3

RULE = "traefik.http.routers.r.rule"
M = "traefik.http.middlewares.m"
USE = {RULE: "Host(`a`)", "traefik.http.routers.r.middlewares": "m"}
PLAIN = {"frontend.rule": "Host:a", "frontend.priority": "9", "port": "80", "backend": "web-1"}


def translated(labels: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """v1's labels without their root, and what is said about them."""
    container = Container("id", "web-1", labels=labels, networks={"front": "192.0.2.1"}, ports=(80,))
    found = configuration_of([container], Defaults())
    said = in_v3(found)
    (item,) = found.items
    names = [said.names.get(name, name) for name in item.gave]
    out, notes = v1_labels_of("id", names, said.configuration)
    return {key.removeprefix("traefik."): value for key, value in out.items()}, [note.why for note in notes]


def test_a_plain_router() -> None:
    assert translated({RULE: "Host(`a`)"}) == (PLAIN, [])


@pytest.mark.parametrize(
    "labels, expected",
    [
        (
            {f"{M}.basicauth.users": "u:x", f"{M}.basicauth.headerfield": "X-U"},
            {"auth.basic.users": "u:x", "auth.headerField": "X-U"},
        ),
        ({f"{M}.digestauth.users": "u:r:x"}, {"auth.digest.users": "u:r:x"}),
        (
            {f"{M}.forwardauth.address": "http://x", f"{M}.forwardauth.tls.insecureskipverify": "true"},
            {"auth.forward.address": "http://x", "auth.forward.tls.insecureSkipVerify": "true"},
        ),
        (
            {f"{M}.headers.customrequestheaders.X-A": "1", f"{M}.headers.stsseconds": "5"},
            {"headers.customRequestHeaders": "X-A:1", "headers.STSSeconds": "5"},
        ),
        ({f"{M}.ipallowlist.sourcerange": "10.0.0.0/8"}, {"whiteList.sourceRange": "10.0.0.0/8"}),
        (
            {f"{M}.redirectregex.regex": "a", f"{M}.redirectregex.replacement": "b"},
            {"redirect.regex": "a", "redirect.replacement": "b"},
        ),
        (
            {f"{M}.errors.status": "404", f"{M}.errors.service": "e", f"{M}.errors.query": "/"},
            {"errors.m.status": "404", "errors.m.backend": "e", "errors.m.query": "/"},
        ),
        (
            {f"{M}.passtlsclientcert.pem": "true", f"{M}.passtlsclientcert.info.subject.commonname": "true"},
            {"passTLSClientCert.pem": "true", "passTLSClientCert.infos.subject.commonName": "true"},
        ),
    ],
)
def test_middlewares_that_v1_has_frontend_labels_for(
    labels: dict[str, str], expected: dict[str, str]
) -> None:
    out, notes = translated(USE | labels)
    assert out == PLAIN | {f"frontend.{key}": value for key, value in expected.items()}
    assert notes == []


@pytest.mark.parametrize(
    "labels, expected",
    [
        (
            {f"{M}.inflightreq.amount": "3", f"{M}.inflightreq.sourcecriterion.requestheadername": "X"},
            {"maxconn.amount": "3", "maxconn.extractorfunc": "request.header.X"},
        ),
        ({f"{M}.circuitbreaker.expression": "x"}, {"circuitbreaker.expression": "x"}),
        ({f"{M}.buffering.maxrequestbodybytes": "9"}, {"buffering.maxRequestBodyBytes": "9"}),
        (
            {"traefik.http.services.web-1.loadbalancer.sticky.cookie.name": "c"},
            {"loadbalancer.stickiness": "true", "loadbalancer.stickiness.cookieName": "c"},
        ),
        (
            {
                "traefik.http.services.web-1.loadbalancer.healthcheck.path": "/h",
                "traefik.http.services.web-1.loadbalancer.healthcheck.headers.X": "y",
            },
            {"healthcheck.path": "/h", "healthcheck.interval": "30s", "healthcheck.headers": "X:y"},
        ),
        (
            {"traefik.http.services.web-1.loadbalancer.responseforwarding.flushinterval": "1s"},
            {"responseForwarding.flushInterval": "1s"},
        ),
    ],
)
def test_what_v1_has_backend_labels_for(labels: dict[str, str], expected: dict[str, str]) -> None:
    own = USE if any(key.startswith(M) for key in labels) else {RULE: "Host(`a`)"}
    out, notes = translated(own | labels)
    assert out == PLAIN | {f"backend.{key}": value for key, value in expected.items()}
    assert notes == []


def test_rates_are_sets_of_their_own_names() -> None:
    criterion = {f"{M}.ratelimit.sourcecriterion.requesthost": "true"}
    out, notes = translated({**USE, f"{M}.ratelimit.average": "5", **criterion})
    assert {key: value for key, value in out.items() if "rateLimit" in key} == {
        "frontend.rateLimit.rateSet.m.average": "5",
        "frontend.rateLimit.rateSet.m.period": "1s",
        "frontend.rateLimit.rateSet.m.burst": "1",
        "frontend.rateLimit.extractorFunc": "request.host",
    }
    assert notes == ["v1 refuses at once what v3 holds back a little"]


def test_a_router_to_the_service_of_another_container_is_left_out() -> None:
    labels = {RULE: "Host(`a`)", "traefik.http.routers.r.service": "other"}
    one = Container("id", "web-1", labels=labels, networks={"front": "192.0.2.1"}, ports=(80,))
    other = {"traefik.http.services.other.loadbalancer.server.port": "80"}
    two = Container("id2", "web-2", labels=other, networks={"front": "192.0.2.2"}, ports=(80,))
    said = in_v3(configuration_of([one, two], Defaults()))
    out, notes = v1_labels_of("id", ["r"], said.configuration)
    assert out == {}
    assert "service of another container, other" in notes[0].why


@pytest.mark.parametrize(
    "rule, labels, expected",
    [
        ("PathPrefix(`/x`)", {f"{M}.stripprefix.prefixes": "/x"}, "PathPrefixStrip:/x"),
        ("Host(`a`) && Path(`/x`)", {f"{M}.stripprefix.prefixes": "/x"}, "Host:a;PathStrip:/x"),
        ("Host(`a`)", {f"{M}.addprefix.prefix": "/x"}, "Host:a;AddPrefix:/x"),
        ("Host(`a`)", {f"{M}.replacepath.path": "/x"}, "Host:a;ReplacePath:/x"),
        (
            "Host(`a`)",
            {f"{M}.replacepathregex.regex": "/(.*)", f"{M}.replacepathregex.replacement": "/x/$1"},
            "Host:a;ReplacePathRegex:/(.*) /x/$1",
        ),
        (
            "Host(`a`)",
            {f"{M}.chain.middlewares": "n", "traefik.http.middlewares.n.addprefix.prefix": "/x"},
            "Host:a;AddPrefix:/x",
        ),
    ],
)
def test_middlewares_that_are_in_v1_s_rules(rule: str, labels: dict[str, str], expected: str) -> None:
    out, notes = translated({**USE, RULE: rule, **labels})
    assert (out["frontend.rule"], notes) == (expected, [])


@pytest.mark.parametrize(
    "labels, word",
    [
        ({**USE, f"{M}.compress": "true"}, "v1 has no compress"),
        ({**USE, f"{M}.basicauth.users": "u:x", f"{M}.basicauth.realm": "r"}, "v1's basicAuth has no realm"),
        ({**USE, f"{M}.stripprefix.prefixes": "/x"}, "/x is not stripped"),
        (
            {
                **USE,
                f"{M}.chain.middlewares": "one,two",
                "traefik.http.middlewares.one.addprefix.prefix": "/a",
                "traefik.http.middlewares.two.addprefix.prefix": "/b",
            },
            "has each of these once, and in its own order: addPrefix, addPrefix",
        ),
        (
            {
                **USE,
                f"{M}.chain.middlewares": "one,two",
                "traefik.http.middlewares.one.replacepath.path": "/a",
                "traefik.http.middlewares.two.addprefix.prefix": "/b",
            },
            "in its own order: replacePath, addPrefix",
        ),
        (
            {
                RULE: "Host(`a`)",
                "traefik.http.services.s.loadbalancer.server.url": "http://192.0.2.9/x",
                "traefik.http.services.s.loadbalancer.server.preservepath": "true",
            },
            "v1 has no preservePath",
        ),
        ({**USE, f"{M}.redirectscheme.scheme": "https"}, "called https"),
        (
            {**USE, f"{M}.ratelimit.average": "1", f"{M}.ratelimit.sourcecriterion.ipstrategy.depth": "2"},
            "no ipStrategy",
        ),
        ({**USE}, "its middleware m is defined elsewhere; without it the router is left out"),
        ({**USE, f"{M}.plugin.x.y": "1"}, "the router that needs it is left out"),
        ({RULE: "Host(`a`)", "traefik.http.routers.r.tls": "true"}, "tls is left out"),
        ({RULE: "Host(`a`)", "traefik.http.routers.r.service": "x@file"}, "x@file is defined elsewhere"),
        ({RULE: "!Host(`a`)"}, "can't be said in v1"),
        ({RULE: "Query(`a`, `b`)"}, "looks at the first"),
        ({RULE: "Host(`a`)", "traefik.http.services.s.loadbalancer.strategy": "p2c"}, "v1 has no strategy"),
        (
            {
                RULE: "Host(`a`)",
                "traefik.http.services.s.loadbalancer.healthcheck.path": "/",
                "traefik.http.services.s.loadbalancer.healthcheck.method": "HEAD",
            },
            "health check has no",
        ),
        ({RULE: "Host(`a`)", "traefik.http.services.s.loadbalancer.sticky.cookie.maxage": "5"}, "no maxAge"),
    ],
)
def test_what_v1_has_no_words_for_is_said(labels: dict[str, str], word: str) -> None:
    _, notes = translated(labels)
    assert any(word in note for note in notes), notes


def test_several_routers_are_segments() -> None:
    labels = {
        RULE: "Host(`a`)",
        "traefik.http.routers.q.rule": "Host(`b`)",
        "traefik.http.routers.q.service": "two",
    }
    labels |= {
        "traefik.http.services.two.loadbalancer.server.port": "81",
        "traefik.http.routers.r.service": "one",
    }
    labels |= {"traefik.http.services.one.loadbalancer.server.port": "82"}
    out, notes = translated(labels)
    assert (out["r.frontend.rule"], out["r.port"], out["q.frontend.rule"], out["q.port"]) == (
        "Host:a",
        "82",
        "Host:b",
        "81",
    )
    assert notes == []


@pytest.mark.parametrize(
    "labels",
    [{}, {f"{M}.plugin.x.y": "1"}, {f"{M}.chain.middlewares": "nowhere"}, {f"{M}.stripprefx.y": "1"}],
)
def test_a_router_is_not_opened_without_what_may_keep_requests_out(labels: dict[str, str]) -> None:
    assert translated(USE | labels)[0] == {}


def test_references_may_carry_their_provider() -> None:
    out, notes = translated(
        {**USE, "traefik.http.routers.r.middlewares": "m@docker", f"{M}.addprefix.prefix": "/x"}
    )
    assert (out["frontend.rule"], notes) == ("Host:a;AddPrefix:/x", [])
