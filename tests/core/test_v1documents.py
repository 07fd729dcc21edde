"""Traefik v1's dynamic document: frontends and backends. What is seen of them is in tests/conformance/traefik."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core import v1documents
from dynbalancer.core.documents import from_document
from dynbalancer.core.model import SHOWING_CERTIFICATES, Configuration

BACKENDS = {"b": {"servers": {"s": {"url": "http://10.0.0.9:80"}}}}
ROUTES = {"r": {"rule": "Host:a.example"}}


def read(frontend: dict[str, Any], backends: dict[str, Any] | None = None, **others: Any) -> Configuration:
    whole = {"backend": "b", "routes": ROUTES} | frontend
    document = {"frontends": {"f": whole}, "backends": BACKENDS if backends is None else backends, **others}
    return from_document(document, "file dyn.toml")


def said(found: Configuration) -> list[str]:
    return [str(problem) for problem in found.problems]


def test_a_frontend_is_a_router_and_its_backend_a_service() -> None:
    found = read({"priority": 7, "entryPoints": ["http", "https"], "passHostHeader": True})
    router, service = found.routers["f"], found.services["b"]
    assert (router.rule, router.service, router.priority) == ("Host:a.example", "b", 7)
    assert (router.entry_points, router.dialect, router.origin) == (("http", "https"), "v1", "file dyn.toml")
    assert [server.url for server in service.servers] == ["http://10.0.0.9:80"]
    assert (service.pass_host_header, service.dialect) == (True, "v1")
    assert found.problems == ()


def test_rules_of_several_routes_are_one_with_the_sum_of_their_lengths() -> None:
    found = read({"routes": {"one": {"rule": "Host:a.example;"}, "two": {"rule": "Path:/x"}}})
    assert (found.routers["f"].rule, found.routers["f"].priority) == ("Host:a.example;Path:/x", 21)


def test_a_backend_without_frontend_is_a_service_too() -> None:
    found = read({}, {**BACKENDS, "c": {"servers": {"s": {"url": "http://10.0.0.8", "weight": "4"}}}})
    assert [server.weight for server in found.services["c"].servers] == [4]


def test_certificates_of_v1_are_those_of_the_newer_format() -> None:
    pair = {"certFile": "a.pem", "keyFile": "a.key"}
    document = {
        "frontends": {},
        "tls": [{"entryPoints": ["https"], "certificate": pair}],
        "logLevel": "DEBUG",
    }
    assert v1documents.rest_of(document) == {"tls": {"certificates": [pair]}}


def test_settings_read_at_start_are_a_warning_each() -> None:
    found = read({}, defaultEntryPoints=["http"], docker={})
    assert [problem.severity for problem in found.problems] == ["warning", "warning"]
    assert said(found)[0].startswith("file dyn.toml: defaultEntryPoints: it belongs to the settings")


def test_settings_in_the_settings_file_itself_are_no_matter() -> None:
    assert read({}, defaultEntryPoints=["http"], docker={}, file={}).problems == ()


def test_what_is_in_both_manners_keeps_its_newer_definition() -> None:
    newer = {"routers": {"f": {"rule": "Host(`b.example`)", "service": "b"}}}
    assert read({}, http=newer).routers["f"].rule == "Host(`b.example`)"


@pytest.mark.parametrize(
    ("frontend", "problem"),
    [
        ({"backend": "bb"}, "frontends.f.backend: there is no backend bb; did you mean b?"),
        ({"backend": None}, "frontends.f.backend: it names no backend; write backend"),
        ({"routes": {}}, "frontends.f: it has no rule; write routes.NAME.rule"),
        ({"routes": {"r": {}}}, "frontends.f.routes.r.rule: expected a text, got nothing"),
        ({"routes": {"r": {"rule": "Hots:a"}}}, "frontends.f.routes.r.rule: unsupported function: Hots"),
        ({"routes": {"r": "Host:a"}}, "frontends.f.routes.r: expected a section, got the text 'Host:a'"),
        (
            {"whitelist": {"sourceRnage": ["10.0.0.0/8"]}},
            "frontends.f: is off, since what is wrong may be meant",
        ),
    ],
)
def test_a_frontend_that_can_not_be_used_is_off(frontend: dict[str, Any], problem: str) -> None:
    found = read(frontend)
    assert found.routers == {}
    assert any(f"file dyn.toml: {problem}" in one for one in said(found)), said(found)


@pytest.mark.parametrize(
    ("backends", "problem"),
    [
        ({"b": {"servers": {"s": {"url": "10.0.0.9:80"}}}}, "backends.b.servers.s.url: expected a URL"),
        ({"b": {"servers": {"s": {}}}}, "backends.b.servers.s.url: expected a text, got nothing"),
        ({"b": {"servers": [1]}}, "backends.b.servers: expected a section, got a list"),
        (
            {"b": {"servers": {"s": {"url": "http://10.0.0.9", "weight": "much"}}}},
            "backends.b.servers.s.weight: 'much' is not a whole number; 1 is used",
        ),
        ({"b": {"loadBalancer": {"methd": "drr"}}}, "b.loadBalancer.methd: this key is unknown and not used"),
        ({"b": 1}, "backends.b: expected a section, got the number 1"),
        ({"b@x": {}}, "backends.b@x: a name must not be empty or contain '@'"),
    ],
)
def test_what_is_wrong_with_a_backend_is_told_with_its_place(backends: dict[str, Any], problem: str) -> None:
    assert any(problem in one for one in said(read({}, backends)))


def test_its_middlewares_are_in_the_order_of_v1() -> None:
    auth = {"basic": {"users": ["a:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="]}}
    options = {"auth": auth, "headers": {"frameDeny": True}, "whiteList": {"sourceRange": ["10.0.0.0/8"]}}
    backends = {"b": {**BACKENDS["b"], "maxConn": {"amount": 5}}}
    found = read({**options, "routes": {"r": {"rule": "PathPrefixStrip:/x"}}}, backends)
    types = ["ipWhiteList", "headers", "basicAuth", "stripPrefix", "inFlightReq"]
    assert list(found.routers["f"].middlewares) == [f"f-{type_}" for type_ in types]
    assert [found.middlewares[name].type for name in found.routers["f"].middlewares] == types


def test_the_clients_host_is_passed_on_for_the_frontends_that_say_so() -> None:
    document = {
        "backends": BACKENDS,
        "frontends": {
            "f": {"backend": "b", "routes": ROUTES},
            "g": {"backend": "b", "routes": ROUTES, "passHostHeader": "true"},
        },
    }
    found = from_document(document, "file dyn.toml")
    names = {name: router.service for name, router in found.routers.items()}
    assert names == {"f": "b", "g": "b-client-host"}
    passed = {name: found.services[name].pass_host_header for name in ("b", "b-client-host")}
    assert passed == {"b": False, "b-client-host": True}


def test_the_line_of_what_is_wrong_is_told_where_it_is_known() -> None:
    document = {"frontends": {"f": {"backend": "b", "prority": 1, "routes": ROUTES}}, "backends": BACKENDS}
    found = from_document(document, "file a.yml", lambda path: 7 if path[-1] == "prority" else None)
    assert said(found)[0].startswith("file a.yml, line 7: frontends.f.prority: this key is unknown")


def test_frontends_of_one_backend_each_say_whether_certificates_are_shown() -> None:
    frontends = {
        "f": {"backend": "b", "routes": ROUTES, "passTLSCert": True},
        "g": {"backend": "b", "routes": ROUTES},
        "h": {"backend": "b", "routes": ROUTES, "passTLSCert": "true"},
    }
    found = from_document({"backends": BACKENDS, "frontends": frontends}, "file dyn.toml")
    shown = {name: found.services[router.service].transport for name, router in found.routers.items()}
    assert shown == {"f": SHOWING_CERTIFICATES, "g": "", "h": SHOWING_CERTIFICATES}
