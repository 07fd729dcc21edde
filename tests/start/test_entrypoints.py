"""What entry points do to all requests: which middlewares and redirections their settings become."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.merge import merge
from dynbalancer.core.model import Configuration, EntryPoint, Middleware, Router, Service
from dynbalancer.core.settings import Settings
from dynbalancer.core.table import RoutingTable
from dynbalancer.errors import ConfigurationError
from dynbalancer.start.compiling import compiler
from dynbalancer.start.entrypoints import with_routing
from dynbalancer.start.options import parse
from dynbalancer.testing import exchange

HTTPS = ("--entrypoints.https.address=:443", "--entrypoints.https.tls")
USER = "ann:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"


def settings(*argv: str) -> Settings:
    return parse(argv, {}, str)


def v1(*words: str) -> Settings:
    """Traefik 1's form of the entry point ``http``, beside ``https``."""
    return settings(" ".join(["--entryPoints=Name:http Address::80", *words]), *HTTPS)


def own(found: Settings) -> list[tuple[str, dict[str, Any]]]:
    """Types and settings of the middlewares of the first entry point, in order."""
    middlewares = found.routing.middlewares
    names = [name.removesuffix("@internal") for name in found.entry_points[0].middlewares]
    return [(middlewares[name].type, dict(middlewares[name].settings)) for name in names]


def table(found: Settings) -> RoutingTable:
    """The table of these settings, and of one router that every entry point has."""
    given = Configuration(
        {"web": Router("web", "Host(`a.example`)", "web")},
        {"web": Service("web")},
        {"mark": Middleware("mark", "addPrefix", {"prefix": "/x"})},
    )
    compiled = compiler(found.entry_points, lambda: 0.0)
    return compiled(merge([("internal", found.routing), ("file", given)]), 1, None)


def test_entry_points_without_such_settings_ask_for_nothing() -> None:
    found = settings("--entrypoints.web.address=:80")
    assert (found.entry_points, found.routing) == ((EntryPoint("web", 80),), Configuration())


def test_middlewares_in_their_order() -> None:
    found = settings(
        "--entrypoints.web.address=:80",
        "--entryPoints.web.http.middlewares=a@file,b@docker",
        "--entryPoints.web.http.middlewares=c",
    )
    assert found.entry_points[0].middlewares == ("a@file", "b@docker", "c")


@pytest.mark.parametrize(
    ("argv", "name", "redirect", "priority"),
    [
        (
            ["to=https"],
            "web-to-https",
            {"scheme": "https", "port": "443", "permanent": True},
            2**63 - 2,
        ),
        (
            ["to=:8443", "scheme=http", "permanent=false", "priority=10"],
            "web-to-8443",
            {"scheme": "http", "port": "8443", "permanent": False},
            10,
        ),
    ],
)
def test_redirections_of_traefik_3(
    argv: list[str], name: str, redirect: dict[str, Any], priority: int
) -> None:
    flags = [f"--entrypoints.web.http.redirections.entryPoint.{one}" for one in argv]
    found = settings("--entrypoints.web.address=:80", *HTTPS, *flags)
    where = "--entrypoints.web.http.redirections.entryPoint.to"
    assert found.routing == Configuration(
        {
            name: Router(
                name,
                "HostRegexp(`^.+$`)",
                "noop@internal",
                ("web",),
                (f"redirect-{name}@internal",),
                priority,
                origin=where,
            )
        },
        {"noop": Service("noop")},
        {f"redirect-{name}": Middleware(f"redirect-{name}", "redirectScheme", redirect, where)},
    )


def test_redirection_goes_before_every_router_and_after_the_entry_point_s_middlewares() -> None:
    found = settings(
        "--entrypoints.web.address=:80",
        *HTTPS,
        "--entrypoints.web.http.redirections.entrypoint.to=https",
        "--entrypoints.web.http.middlewares=mark@file",
    )
    compiled = table(found)
    assert compiled.problems == ()
    for host in (b"a.example", b"other.example"):
        route = compiled.route(exchange(entry_point="web", host=host))
        assert route is not None
        assert route.name == "web-to-https@internal"
        assert [type(one).__name__ for one in route.middlewares] == ["AddPrefix", "RedirectScheme"]
    route = compiled.route(exchange(entry_point="https", scheme=b"https", host=b"a.example"))
    assert route is not None
    assert (route.name, route.middlewares) == ("web@file", ())


@pytest.mark.parametrize("target", ["https", "HTTPS"])
def test_redirection_of_traefik_1_leads_to_the_port_and_scheme_of_the_other(target: str) -> None:
    compiled = table(v1(f"Redirect.EntryPoint:{target}"))
    assert compiled.problems == ()
    for host in (b"a.example", b"other.example"):
        asked = exchange(entry_point="http", host=host, path=b"/p", query=b"q")
        route = compiled.route(asked)
        assert route is not None
        answer = route.middlewares[0].on_request(asked)
        assert (answer.status, answer.headers.get(b"location")) == (302, b"https://%b:443/p?q" % host)


def test_redirections_of_traefik_1_by_a_pattern() -> None:
    found = v1("Redirect.Regex:^http://a/(.*)", "Redirect.Replacement:http://b/$1", "Redirect.Permanent:true")
    assert own(found) == [
        ("redirectRegex", {"regex": "^http://a/(.*)", "replacement": "http://b/$1", "permanent": True})
    ]
    assert found.routing.routers == {}


def test_redirection_of_traefik_1_to_itself_is_none() -> None:
    found = v1("Redirect.EntryPoint:http")
    assert (found.entry_points[0].middlewares, found.routing) == ((), Configuration())


def test_settings_of_traefik_1_in_its_order() -> None:
    found = v1(
        "WhiteList.SourceRange:10.0.0.0/8,192.0.2.1",
        "WhiteList.UseXForwardedFor:true",
        f"Auth.Basic.Users:{USER},bob:x",
        "Auth.Basic.RemoveHeader:true",
        "Auth.HeaderField:X-User",
        "Compress",
        "Redirect.EntryPoint:https",
    )
    assert own(found) == [
        ("redirectEntryPoint", {"entryPoint": "https", "permanent": False}),
        ("basicAuth", {"users": (USER, "bob:x"), "removeHeader": True, "headerField": "X-User"}),
        ("compress", {"encodings": ("gzip",), "minResponseBodyBytes": 1400}),
        ("ipWhiteList", {"sourceRange": ("10.0.0.0/8", "192.0.2.1/32"), "useXForwardedFor": True}),
    ]


@pytest.mark.parametrize(
    ("words", "made"),
    [
        (
            ["Auth.Digest.Users:ann:traefik:3d61b38f63ee56d3f68c21055bc11503"],
            (
                "digestAuth",
                {
                    "users": ("ann:traefik:3d61b38f63ee56d3f68c21055bc11503",),
                    "removeHeader": False,
                    "headerField": "",
                },
            ),
        ),
        (
            [
                "Auth.Forward.Address:http://login.example/",
                "Auth.Forward.AuthResponseHeaders:X-User,X-Group",
                "Auth.Forward.TrustForwardHeader:true",
                "Auth.Forward.TLS.CA:/ca.pem",
                "Auth.Forward.TLS.InsecureSkipVerify:true",
            ],
            (
                "forwardAuth",
                {
                    "address": "http://login.example/",
                    "trustForwardHeader": True,
                    "authResponseHeaders": ("X-User", "X-Group"),
                    "tls": {"ca": "/ca.pem", "insecureSkipVerify": True},
                },
            ),
        ),
        (
            ["Auth.Basic.UsersFile:/users"],
            (
                "basicAuth",
                {"users": (), "usersFile": "/users", "removeHeader": False, "headerField": ""},
            ),
        ),
        (
            ["WhiteListSourceRange:10.0.0.0/8", "WhiteList.UseXForwardedFor:true"],
            ("ipWhiteList", {"sourceRange": ("10.0.0.0/8",), "useXForwardedFor": False}),
        ),
    ],
)
def test_who_is_let_in_by_an_entry_point_of_traefik_1(
    words: list[str], made: tuple[str, dict[str, Any]]
) -> None:
    assert own(v1(*words)) == [made]


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (
            ["--entrypoints.web.http.redirections.entrypoint.to=htps"],
            "htps; did you mean https?",
        ),
        (["--entrypoints.web.http.redirections.entrypoint.to=:99999"], "99999 is not a port"),
        (["--entrypoints.web.http.redirections.entrypoint.permanent=true"], "redirects to nowhere"),
        (["--entrypoints.web.http.redirections.entrypoint.scheme=ftp"], "'ftp' is neither http nor https"),
        (["--entrypoints.web.redirect.entrypoint=x"], "there is no entry point x"),
        (["--entrypoints.web.redirect.regex=^x"], "not without a redirect.replacement"),
        (["--entrypoints.web.auth.headerfield=X-User"], "there is no auth.basic.users"),
        (["--entrypoints.web.whitelist.usexforwardedfor"], "there is no whitelist.sourcerange"),
        (["--entrypoints.web.whitelist.sourcerange=here"], "'here' is not an IP address or network"),
    ],
)
def test_what_leads_nowhere_or_would_let_everybody_in_is_told_at_start(argv: list[str], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings("--entrypoints.web.address=:80", *HTTPS, *argv)
    assert why in str(caught.value)


def test_a_file_of_settings_says_the_same() -> None:
    text = """
entryPoints:
  web:
    address: ":80"
    http:
      middlewares: [a@file, b@docker]
      redirections: {entryPoint: {to: Secure, scheme: https}}
  Secure: {address: ":8443", http: {tls: {}}}
"""
    found = parse(["--configfile=d.yml"], {}, {"d.yml": text}.__getitem__)
    assert found.entry_points[0].middlewares == ("a@file", "b@docker")
    assert found.routing.middlewares["redirect-web-to-Secure"].settings["port"] == "8443"


def test_each_entry_point_has_its_own() -> None:
    points = (EntryPoint("a", 1), EntryPoint("b", 2))
    assert with_routing(points, {}) == (points, Configuration())


def test_encoded_characters_that_are_not_let_pass_are_refused_before_all_else() -> None:
    found = parse(
        [
            "--entrypoints.web.address=:80",
            "--entrypoints.web.http.encodedcharacters.allowencodedslash=false",
            "--entrypoints.web.http.encodedcharacters.allowencodedhash=true",
            "--entrypoints.web.http.middlewares=auth@file",
        ],
        {},
        str,
    )
    assert found.entry_points[0].middlewares == ("encodedcharacters-web@internal", "auth@file")
    settings = found.routing.middlewares["encodedcharacters-web"].settings
    assert [name for name, allowed in settings.items() if not allowed] == ["allowEncodedSlash"]


def test_encoded_characters_that_pass_anyway_need_no_middleware() -> None:
    flags = [
        "--entrypoints.web.address=:80",
        "--entrypoints.web.http.encodedcharacters.allowencodedslash=true",
    ]
    assert not parse(flags, {}, str).routing.middlewares
