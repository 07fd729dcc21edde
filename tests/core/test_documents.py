"""The dynamic document: what is read, what is written, and what is said about mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.documents import from_document, to_document
from dynbalancer.core.model import (
    Certificate,
    Configuration,
    HealthCheck,
    Middleware,
    Router,
    Server,
    Service,
)
from dynbalancer.core.tables import DEEPEST, dotted
from dynbalancer.errors import Problem

WHERE = "file dyn.yml"
ROUTER = {"rule": "Host(`a.example`)", "service": "web"}
SERVER = {"url": "http://10.0.0.2:8080"}


def read(document: object) -> Configuration:
    return from_document(document, WHERE)


def router(**keys: Any) -> Configuration:
    return read({"http": {"routers": {"web": {**ROUTER, **keys}}}})


def load_balancer(**keys: Any) -> Configuration:
    return read({"http": {"services": {"web": {"loadBalancer": keys}}}})


def only(configuration: Configuration) -> Problem:
    (problem,) = configuration.problems
    return problem


def test_routers_services_and_middlewares_are_read() -> None:
    configuration = read(
        {
            "http": {
                "routers": {
                    "web": {
                        **ROUTER,
                        "entryPoints": ["web", "api"],
                        "middlewares": ["strip"],
                        "priority": 7,
                        "ruleSyntax": "v2",
                        "tls": {},
                    }
                },
                "services": {
                    "web": {
                        "loadBalancer": {
                            "servers": [{**SERVER, "weight": 3}, {"url": "http://10.0.0.3"}],
                            "passHostHeader": False,
                            "strategy": "mine",
                        }
                    }
                },
                "middlewares": {"strip": {"stripPrefix": {"prefixes": ["/a"]}}},
            }
        }
    )
    assert configuration.problems == ()
    assert configuration.routers == {
        "web": Router(
            "web", "Host(`a.example`)", "web", ("web", "api"), ("strip",), 7, "v2", True, origin=WHERE
        )
    }
    servers = (Server("http://10.0.0.2:8080", 3), Server("http://10.0.0.3:80"))
    assert configuration.services == {"web": Service("web", servers, "mine", False, origin=WHERE)}
    assert configuration.middlewares == {
        "strip": Middleware("strip", "stripPrefix", {"prefixes": ("/a",)}, origin=WHERE)
    }


def test_letter_case_of_keys_does_not_count_but_that_of_names_does() -> None:
    configuration = read({"HTTP": {"Routers": {"Web": {"RULE": "Path(`/`)", "Service": "S", "TLS": None}}}})
    assert configuration.routers["Web"] == Router("Web", "Path(`/`)", "S", tls=True, origin=WHERE)
    assert configuration.problems == ()


@pytest.mark.parametrize("document", [None, {}, {"http": None}, {"http": {"routers": None, "services": {}}}])
def test_an_empty_document_is_an_empty_configuration(document: object) -> None:
    assert read(document) == Configuration()


@pytest.mark.parametrize(
    ("key", "value", "why", "hint"),
    [
        ("prority", 7, "expected one of rule, service, ", "did you mean priority?"),
        ("priority", "high", "expected a whole number, got the text 'high'", ""),
        ("ruleSyntax", "v9", "expected v2 or v3, got the text 'v9'", ""),
    ],
)
def test_a_wrong_key_is_off_and_the_router_stays(key: str, value: object, why: str, hint: str) -> None:
    configuration = router(**{key: value})
    assert configuration.routers == {
        "web": Router("web", "Host(`a.example`)", "web", origin=WHERE),
    }
    problem = only(configuration)
    assert problem.where == f"file dyn.yml: http.routers.web.{key}"
    assert problem.why.startswith(why)
    assert problem.hint == hint
    assert problem.severity == "error"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rule", 5),
        ("rule", None),
        ("service", ""),
        ("middlewares", {"a": 5}),
        ("middlewares", [{"auth": 1}]),
        ("middleware", ["auth"]),
        ("entryPoints", {"web": {}}),
        ("entrypoint", ["internal"]),
        ("tls", 5),
        ("parentRefs", ["parent"]),
    ],
)
def test_a_router_whose_lock_or_rule_is_broken_is_off(key: str, value: object) -> None:
    configuration = router(**{key: value})
    assert configuration.routers == {}
    assert only(configuration).where == f"file dyn.yml: http.routers.web.{key}"


@pytest.mark.parametrize(
    ("fields", "why", "hint"),
    [
        ({"rule": "Hots(`a`)"}, "unsupported function: Hots", "did you mean Host?"),
        (
            {"Rule": "Host:a"},
            "unexpected : at character 5",
            "v3 writes Host(`a.example`), not Host:a.example",
        ),
        (
            {"rule": "Host(`a`, `b`)", "ruleSyntax": "v3"},
            "unexpected number of parameters; got 2, expected one of [1]",
            "write Host(`a`) || Host(`b`)",
        ),
        (
            {"rule": 'Host(`{{ env "NAME" }}`)'},
            'bad host {{ env "NAME" }}',
            "write the name itself: templates don't work here",
        ),
        ({"rule": "Host(`\x1b[2J`)"}, "bad host \\x1b[2J", ""),
    ],
)
def test_a_wrong_rule_is_told_with_its_place(fields: dict[str, str], why: str, hint: str) -> None:
    configuration = read({"http": {"routers": {"web": {"service": "web", **fields}, "on": ROUTER}}})
    assert list(configuration.routers) == ["on"]
    problem = only(configuration)
    assert (problem.where, problem.why, problem.hint) == (
        f"file dyn.yml: http.routers.web.{next(iter(fields))}",
        why,
        hint,
    )


def test_a_rule_is_read_in_its_own_manner() -> None:
    assert router(rule="Host(`a`, `b`)", ruleSyntax="v2").problems == ()


def test_a_restricting_key_given_twice_switches_the_router_off() -> None:
    assert router(middlewares=["a"], MIDDLEWARES=["b"]).routers == {}
    assert router(priority=1, Priority=2).routers["web"].priority == 1


def test_missing_keys_are_named_one_by_one() -> None:
    configuration = read({"http": {"routers": {"web": {}}}})
    assert [problem.where for problem in configuration.problems] == [
        "file dyn.yml: http.routers.web.rule",
        "file dyn.yml: http.routers.web.service",
    ]
    assert [(problem.why, problem.hint) for problem in configuration.problems] == [
        ("missing", "write rule (which requests it takes, like Host(`a.example`))"),
        ("missing", "write service (where its requests go: web, or web@docker)"),
    ]
    assert configuration.routers == {}


def test_one_bad_router_leaves_the_others() -> None:
    configuration = read({"http": {"routers": {"bad": [], "web": ROUTER}}})
    assert list(configuration.routers) == ["web"]
    assert only(configuration).why == "expected a section, got a list"


def test_tls_with_options_is_tls_and_says_what_it_lacks() -> None:
    configuration = router(tls={"certResolver": "le", "options": "default", "domain": "x"})
    assert configuration.routers["web"].tls
    first, second = configuration.problems
    assert first == Problem(
        "file dyn.yml: http.routers.web.tls.certResolver",
        "understood, but not supported in this version",
        "it answers over TLS, with a certificate that a file gives for its name, or else with a generated one",
        "warning",
    )
    assert second.hint == "did you mean domains?"


@pytest.mark.parametrize("written, name", [("mtls@file", "mtls@file"), ("default", ""), ("default@file", "")])
def test_a_router_names_its_tls_options(written: str, name: str) -> None:
    configuration = router(tls={"options": written})
    assert (configuration.routers["web"].tls_options, configuration.problems) == (name, ())
    assert from_document(to_document(configuration), "file dyn.yml").routers == configuration.routers


@pytest.mark.parametrize("tls", [{"optoins": "mtls@file"}, {"options": ["mtls"]}])
def test_a_router_whose_tls_options_cannot_be_read_is_off(tls: dict[str, Any]) -> None:
    configuration = router(tls=tls)
    assert configuration.routers == {}
    assert configuration.problems


HEALTH = {"path": "/health", "interval": "10s", "headers": {"X-A": "b"}, "followRedirects": False}


def test_a_health_check_is_read_and_written() -> None:
    configuration = load_balancer(servers=[SERVER], healthCheck=HEALTH)
    check = HealthCheck("/health", interval=10.0, follow_redirects=False, headers=(("X-A", "b"),))
    assert configuration.services["web"].health_check == check
    assert configuration.problems == ()
    written = to_document(configuration)["http"]["services"]["web"]["loadBalancer"]["healthCheck"]
    assert written == {**HEALTH, "mode": "http", "timeout": "5s"}
    assert load_balancer(servers=[SERVER], healthCheck=written) == configuration


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("mode", "grpc", "expected http, got the text 'grpc'"),
        ("status", 99, "expected a status from 200 to 599, got the number 99"),
        ("hostnames", "x", "healthCheck is off, since this was probably meant to restrict it"),
    ],
)
def test_a_health_check_that_asks_wrongly_is_off_and_the_service_is_not(
    key: str, value: object, why: str
) -> None:
    configuration = load_balancer(servers=[SERVER], healthCheck={**HEALTH, key: value})
    assert configuration.services["web"].health_check is None
    assert len(configuration.services["web"].servers) == 1
    wrong, off = configuration.problems
    assert wrong.where == f"file dyn.yml: http.services.web.loadBalancer.healthCheck.{key}"
    assert why in wrong.why
    assert (off.why, off.severity) == ("not used, because of what is wrong with it", "info")


def test_a_timeout_of_a_health_check_above_its_interval_is_a_warning() -> None:
    configuration = load_balancer(servers=[SERVER], healthCheck={"path": "/", "interval": 2, "timeout": 3})
    assert only(configuration).where.endswith("healthCheck.timeout")
    assert only(configuration).severity == "warning"


def test_middlewares_of_a_service_that_can_not_be_read_switch_it_off() -> None:
    service = {"loadBalancer": {"servers": [SERVER]}, "middlewares": {"auth": {}}}
    configuration = read({"http": {"services": {"web": service}}})
    assert configuration.services == {}
    assert only(configuration).why.startswith("expected a list of names")


def test_middlewares_of_a_service_at_the_wrong_place_switch_it_off() -> None:
    configuration = load_balancer(servers=[SERVER], middlewares=["auth"])
    assert configuration.services == {}
    assert only(configuration).why == "middlewares stand beside loadBalancer, not below it; web is off"


def test_a_bad_server_leaves_the_others() -> None:
    configuration = load_balancer(servers=[{"uri": "x"}, {"url": "10.0.0.2:80"}, 5, {**SERVER, "weight": -1}])
    assert configuration.services["web"].servers == (Server("http://10.0.0.2:8080"),)
    place = "file dyn.yml: http.services.web.loadBalancer.servers"
    assert [str(problem).removeprefix(place) for problem in configuration.problems] == [
        "[0].uri: expected one of url, weight, preservePath; did you mean url?",
        "[0].url: missing; write url (scheme, host and port)",
        (
            "[1].url: expected a URL with http, https or h2c, like http://10.0.0.2:80, "
            "got the text '10.0.0.2:80'; write http://10.0.0.2:80"
        ),
        "[2]: expected a section, got the number 5",
        "[3].weight: expected a whole number from 0 to 1000000, got the number -1",
    ]


@pytest.mark.parametrize(
    ("family", "value", "said"),
    [
        ("services", {}, 'the service "x" does not have any type defined'),
        ("middlewares", {}, 'the middleware "x" does not have any type defined'),
        ("services", {"loadBalancer": {}, "weighted": {}}, "expected one type, got loadBalancer, weighted"),
        ("services", {"loadBalancr": {}}, "did you mean loadBalancer?"),
        ("services", {"loadBalancer": []}, "expected a section, got a list"),
        ("middlewares", {"addPrefix": "x"}, "expected a section, got the text 'x'"),
        ("middlewares", {"addPrefix": {"prefix": b"x"}}, "expected a text, a number, true, false"),
        ("middlewares", {"addPrefix": {"prefix": float("nan")}}, "expected a text, a number, true, false"),
    ],
)
def test_a_service_or_middleware_without_one_right_type_is_off(family: str, value: object, said: str) -> None:
    configuration = read({"http": {family: {"x": value}}})
    assert not any(configuration.routing)
    assert said in str(only(configuration))


@pytest.mark.parametrize(
    ("value", "settings"),
    [
        ({"compress": None}, {}),
        ({"compress": True}, {}),
        ({"headers": {"customRequestHeaders": {"X-A": "b"}}}, {"customRequestHeaders": {"X-A": "b"}}),
        ({"mine": {"list": [1, {"a": [2.5, None]}]}}, {"list": (1, {"a": (2.5, None)})}),
    ],
)
def test_settings_of_any_type_are_passed_on(value: dict[str, Any], settings: dict[str, Any]) -> None:
    configuration = read({"http": {"middlewares": {"m": value}}})
    assert configuration.middlewares["m"].settings == settings
    assert configuration.middlewares["m"].type == next(iter(value))


def test_settings_nested_without_end_are_refused() -> None:
    value: object = "x"
    for _ in range(DEEPEST + 1):
        value = {"a": value}
    configuration = read({"http": {"middlewares": {"m": {"mine": value}}}})
    assert configuration.middlewares == {}
    assert f"at most {DEEPEST} levels" in only(configuration).why


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"htp": {}}, "file dyn.yml: htp: expected one of http, tcp, udp, tls; did you mean http?"),
        ({"entryPoints": {}}, "settings read at start"),
        (
            {"http": {"router": {}}},
            "file dyn.yml: http.router: expected one of routers, services, middlewares",
        ),
        ({"http": [1]}, "file dyn.yml: http: expected a section, got a list"),
        ({"http": {"routers": 5}}, "file dyn.yml: http.routers: expected a section, got the number 5"),
        ({"http": {}, "HTTP": {}}, "given twice"),
        ([], "file dyn.yml: expected a section, got a list"),
        ("text", "file dyn.yml: expected a section, got the text 'text'"),
    ],
)
def test_a_wrong_section_is_named(document: object, said: str) -> None:
    configuration = read(document)
    assert not any(configuration.routing)
    assert said in str(only(configuration))


@pytest.mark.parametrize(("name", "hint"), [("web@docker", "write web; "), ("", "")])
def test_a_name_that_could_be_taken_for_another_providers_is_refused(name: str, hint: str) -> None:
    configuration = read({"http": {"routers": {name: ROUTER}}})
    assert configuration.routers == {}
    assert only(configuration).hint.startswith(hint)


def test_lines_are_named_where_they_are_known() -> None:
    lines = {("http", "routers", "web", "prority"): 12}
    document = {"http": {"routers": {"web": {**ROUTER, "prority": 5}}}}
    problem = only(from_document(document, WHERE, lines.get))
    assert problem.where == "file dyn.yml, line 12: http.routers.web.prority"


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (("http",), "http"),
        (("http", "services", "s", "loadBalancer", "Servers", "0", "url"),
         "http.services.s.loadBalancer.Servers[0].url"),
        (("http", "routers", "5"), "http.routers.5"),
        ((), ""),
    ],
)  # fmt: skip
def test_paths_are_written_as_people_do(path: tuple[str, ...], written: str) -> None:
    assert dotted(path) == written


def test_what_has_its_default_is_not_written_but_what_traefik_always_shows_is() -> None:
    configuration = Configuration(
        {"web": Router("web", "Path(`/`)", "web", dialect="v1", tls=True)},
        {"web": Service("web", (Server("http://10.0.0.2:80", state="draining", instance="c0ffee"),))},
        {"add": Middleware("add", "addPrefix", {"prefix": "/a"})},
    )
    assert to_document(configuration) == {
        "http": {
            "routers": {"web": {"rule": "Path(`/`)", "service": "web", "ruleSyntax": "v1", "tls": {}}},
            "services": {
                "web": {
                    "loadBalancer": {
                        "servers": [{"url": "http://10.0.0.2:80"}],
                        "strategy": "wrr",
                        "passHostHeader": True,
                        "responseForwarding": {"flushInterval": "100ms"},
                    }
                }
            },
            "middlewares": {"add": {"addPrefix": {"prefix": "/a"}}},
        }
    }
    assert to_document(Configuration()) == {"http": {}}


_word = st.from_regex(r"[a-zA-Z][a-zA-Z0-9-]{0,7}", fullmatch=True)
_words = st.lists(_word, max_size=3).map(tuple)
_origin = st.just(WHERE)
_rules = st.builds("Path(`/{}`)".format, _word) | st.builds("!Host(`{}`)".format, _word)
_routers = st.builds(
    Router, _word, _rules, _word, _words, _words, st.integers(-9, 9), st.sampled_from(["v2", "v3"]),
    st.booleans(), origin=_origin,
)  # fmt: skip
_server = st.builds(
    Server,
    st.builds("http://{}.example:{}".format, _word.map(str.lower), st.integers(1, 65535)),
    st.integers(0, 9),
    preserve_path=st.booleans(),
)
_services = st.builds(
    Service, _word, st.lists(_server, max_size=3).map(tuple), _word, st.booleans(), origin=_origin
)
_middlewares = st.builds(
    Middleware, _word, _word, st.dictionaries(_word, st.booleans() | _word | _words), origin=_origin
)


def _by_name(definitions: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(definitions, max_size=3).map(lambda found: {value.name: value for value in found})


@given(st.builds(Configuration, _by_name(_routers), _by_name(_services), _by_name(_middlewares)))
def test_a_document_that_was_written_reads_back_the_same(configuration: Configuration) -> None:
    assert from_document(to_document(configuration), WHERE) == configuration


# Certificates

PAIR = {"certFile": "a.pem", "keyFile": "a.key"}


def read_pair(chain: str, key: str) -> tuple[Certificate | None, tuple[Problem, ...]]:
    """Stands for files: of b.pem there is nothing good to say."""
    if chain == "b.pem":
        return None, (Problem("", "no certificate", "give one", "warning"),)
    return Certificate(chain.removesuffix(".pem"), chain, key, (chain,)), ()


def certificates(tls: Any) -> Configuration:
    return from_document({"tls": tls}, WHERE, read_certificate=read_pair)


def test_certificates_are_named_for_what_they_are_for() -> None:
    configuration = certificates({"certificates": [PAIR, {"CERTFILE": "c.pem", "keyfile": "c.key"}, PAIR]})
    assert configuration.certificates == {
        "a": Certificate("a", "a.pem", "a.key", ("a.pem",), origin=WHERE),
        "c": Certificate("c", "c.pem", "c.key", ("c.pem",), origin=WHERE),
        "a-2": Certificate("a-2", "a.pem", "a.key", ("a.pem",), origin=WHERE),
    }
    assert configuration.problems == ()


def test_default_certificate_of_the_default_store() -> None:
    configuration = certificates({"stores": {"Default": {"defaultCertificate": PAIR}}})
    assert configuration.certificates == {
        "default": Certificate("default", "a.pem", "a.key", ("a.pem",), True, origin=WHERE)
    }


@pytest.mark.parametrize(
    "tls, said",
    [
        ({"certificates": {}}, None),
        ({"certificates": "x"}, "tls.certificates: expected a list of sections, got the text 'x'"),
        ({"certificates": [5]}, "tls.certificates[0]: expected a section, got the number 5"),
        (
            {"certificates": [{"certFile": "a.pem"}]},
            "tls.certificates[0].keyFile: missing; write keyFile (path of",
        ),
        ({"certificates": [{**PAIR, "certFile": "b.pem"}]}, "tls.certificates[0]: no certificate; give one"),
        ({"certificates": [{**PAIR, "stores": ["other"]}]}, "tls.certificates[0].stores: only the store"),
        ({"stores": {"other": {"defaultCertificate": PAIR}}}, "tls.stores.other: only the store named"),
        ({"stores": {"default": {"defaultGeneratedCert": {"resolver": "le"}}}}, "not supported"),
        ({"stores": {"default": {"defaultCertificates": PAIR}}}, "did you mean defaultCertificate?"),
        ({"certificate": [PAIR]}, "did you mean certificates?"),
        ([], "tls: expected a section, got a list"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_left_out_and_named(tls: Any, said: str | None) -> None:
    configuration = certificates(tls)
    assert configuration.certificates == {}
    problems = [str(problem) for problem in configuration.problems]
    assert len(problems) == (said is not None)
    assert said is None or said in problems[0]


def test_certificates_nobody_reads_are_left_out() -> None:
    assert read({"tls": {"certificates": [PAIR]}}) == Configuration()


_anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "http",
                    "routers",
                    "services",
                    "middlewares",
                    "rule",
                    "tls",
                    "certificates",
                    "stores",
                    "options",
                    "certFile",
                    "keyFile",
                    "loadBalancer",
                    "servers",
                    "x@y",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(_anything)
def test_no_document_makes_it_fail(document: object) -> None:
    configuration = from_document(document, WHERE, read_certificate=read_pair)
    assert all(problem.where.startswith(WHERE) and problem.why for problem in configuration.problems)


def test_rules_that_don_t_say_their_language_have_the_usual_one() -> None:
    two = {"rule": "Host(`a.example`, `b.example`)", "service": "web"}
    tcp = {"rule": "HostSNI(`a.example`, `b.example`)", "service": "db", "tls": {}}
    document = {"http": {"routers": {"web": two}}, "tcp": {"routers": {"db": tcp}}}
    found = from_document(document, WHERE, dialect="v2")
    assert not found.problems
    assert (found.routers["web"].dialect, found.tcp_routers["db"].dialect) == ("v2", "v2")
    assert not from_document(document, WHERE).routers


def test_a_router_says_whether_its_requests_are_in_the_access_log() -> None:
    found = router(observability={"accessLogs": False})
    assert found.routers["web"].access_log is False
    assert not found.problems
    assert to_document(found)["http"]["routers"]["web"]["observability"] == {"accessLogs": False}
    assert router(observability={}).routers["web"].access_log is None


def test_what_is_counted_and_traced_of_a_router_can_not_be_chosen() -> None:
    found = router(observability={"accessLogs": True, "metrics": False, "tracing": False})
    assert found.routers["web"].access_log is True
    assert [(problem.severity, problem.hint) for problem in found.problems] == [
        ("warning", "its requests are counted as all others are"),
        ("warning", "no traces are sent"),
    ]
