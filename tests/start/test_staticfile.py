"""The settings file, flattened."""

from __future__ import annotations

import pytest

from dynbalancer.errors import ConfigurationError
from dynbalancer.start.flags import Given
from dynbalancer.start.staticfile import settings_in

YAML = """\
api: {}
docker:
  exposedByDefault: false
  network: 017
entryPoints:
  Web:
    address: ":80"
    forwardedHeaders:
      trustedIPs: [10.0.0.0/8, 192.0.2.1]
file:
"""

TOML = """\
debug = true
[api]
[entryPoints.Web]
address = ":80"
[entryPoints.Web.forwardedHeaders]
trustedIPs = ["10.0.0.0/8", "192.0.2.1"]
"""


def test_yaml_is_flattened_with_its_lines_and_words_as_written() -> None:
    found = settings_in(YAML, "d.yml")
    assert [(given.key, given.text) for given in found] == [
        ("api", None),
        ("docker.exposedbydefault", "false"),
        ("docker.network", "017"),
        ("entrypoints.web.address", ":80"),
        ("entrypoints.web.forwardedheaders.trustedips", "10.0.0.0/8"),
        ("entrypoints.web.forwardedheaders.trustedips", "192.0.2.1"),
        ("file", None),
    ]
    assert found[3] == Given(
        "entrypoints.web.address", ":80", "d.yml:7: entryPoints.Web.address", "entryPoints.Web.address"
    )


def test_toml_is_flattened() -> None:
    assert [(given.key, given.text, given.where) for given in settings_in(TOML, "d.toml")] == [
        ("debug", "true", "d.toml: debug"),
        ("api", None, "d.toml: api"),
        ("entrypoints.web.address", ":80", "d.toml: entryPoints.Web.address"),
        (
            "entrypoints.web.forwardedheaders.trustedips",
            "10.0.0.0/8",
            "d.toml: entryPoints.Web.forwardedHeaders.trustedIPs",
        ),
        (
            "entrypoints.web.forwardedheaders.trustedips",
            "192.0.2.1",
            "d.toml: entryPoints.Web.forwardedHeaders.trustedIPs",
        ),
    ]


@pytest.mark.parametrize(
    "path, text",
    [
        (
            "d.yml",
            "tls:\n  domains:\n    - main: a.example\n      sans: ['*.a.example']\n    - main: b.example\n",
        ),
        (
            "d.toml",
            "[[tls.domains]]\nmain='a.example'\nsans=['*.a.example']\n[[tls.domains]]\nmain='b.example'",
        ),
    ],
)
def test_sections_in_a_list_are_numbered(path: str, text: str) -> None:
    assert [(given.key, given.text) for given in settings_in(text, path)] == [
        ("tls.domains[0].main", "a.example"),
        ("tls.domains[0].sans", "*.a.example"),
        ("tls.domains[1].main", "b.example"),
    ]


def test_an_empty_file_says_nothing() -> None:
    assert settings_in("", "d.yml") == []
    assert settings_in("", "d.toml") == []


@pytest.mark.parametrize(
    "path, text, sentence",
    [
        ("d.json", "{}", "must end with .yml, .yaml or .toml"),
        ("d.yml", "a: [", "d.yml:1: this is not YAML"),
        ("d.yml", "a\n", "expected settings as KEY: VALUE"),
        ("d.yml", "a: 1\nA: 2\n", "d.yml:2: A is there twice"),
        ("d.yml", "a: [[1]]", "expected a list of plain values"),
        ("d.yml", "[1]: 2", "a key must be a word"),
        ("d.yml", "a: &a {b: *a}", "nested too deeply"),
        ("d.yml", "[" * 5000, "nested too deeply"),
        ("d.yml", "a: \x00", "this is not YAML"),
        ("d.toml", "a = ", "d.toml: this is not TOML"),
        ("d.toml", "a = [[1]]", "expected a list of plain values"),
        ("d.toml", "a" + ".a" * 30 + " = 1", "nested too deeply"),
        ("d.yml", "a: [" + "1," * 10_001 + "]", "more than 10000 settings"),
    ],
)
def test_a_wrong_file_is_one_sentence(path: str, text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings_in(text, path)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize("section", ["[file]", "[file]\nwatch = true"])
def test_routes_of_traefik_1_in_the_settings_file_make_it_a_file_of_routes(section: str) -> None:
    routes = (
        '[backends.b.servers.s]\nurl = "http://192.0.2.1"\n[frontends.f]\nbackend = "b"\n[[tls]]\nx = 1\n'
    )
    found = settings_in(f"debug = true\n{section}\n{routes}", "t.toml")
    assert {given.key for given in found} - {"file", "file.watch"} == {"debug", "file.filename"}
    assert found[-1] == Given("file.filename", "t.toml", found[-2].where, "file.filename")


@pytest.mark.parametrize("section", ["", '[file]\nfilename = "r.toml"\n'])
def test_routes_of_traefik_1_without_an_empty_file_section_stay_where_they_do_not_belong(
    section: str,
) -> None:
    found = settings_in(f'{section}[backends.b.servers.s]\nurl = "http://192.0.2.1"\n', "t.toml")
    assert "backends.b.servers.s.url" in {given.key for given in found}
