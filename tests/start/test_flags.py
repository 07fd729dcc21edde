"""What settings take, and how a wrong one is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynbalancer.plugins import Option, ProviderMaker
from dynbalancer.start import flags
from dynbalancer.start.flags import Given, Vocabulary

MAKERS = {
    "docker": ProviderMaker("docker", "x.y", "Containers.", (Option("network", "", "Network."),)),
    "tags": ProviderMaker(
        "tags",
        "x.y",
        "Tags.",
        (Option("names", ("a", "b"), "Names."), Option("depth", 3, "Depth."), Option("every", 1.5, "Time.")),
    ),
}


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True", "yes", "on", ""])
def test_true(text: str) -> None:
    assert flags.boolean(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "no", "off"])
def test_false(text: str) -> None:
    assert flags.boolean(text) is False


def test_what_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(ValueError, match="'maybe' is neither true nor false"):
        flags.boolean("maybe")


@pytest.mark.parametrize(
    "text, expected",
    [
        (":80", ("", 80)),
        ("80", ("", 80)),
        ("*:80", ("", 80)),
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("localhost:1", ("localhost", 1)),
        ("[::1]:443", ("::1", 443)),
        ("[2001:db8:0::1]:443", ("2001:db8::1", 443)),
        (":80/tcp", ("", 80)),
        (":0", ("", 0)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert flags.address(text) == expected


@pytest.mark.parametrize(
    "text", ["", ":", "http", ":http", ":65536", "::1:80", ":80/udp", "a b:80", "[x]:80"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        flags.address(text)


@pytest.mark.parametrize("text, expected", [("auto", -1), ("AUTO", -1), ("0", 0), ("4", 4)])
def test_workers(text: str, expected: int) -> None:
    assert flags.workers(text) == expected


@pytest.mark.parametrize(
    "convert, text",
    [
        (flags.workers, "-1"),
        (flags.workers, "many"),
        (flags.size, "1.5"),
        (flags.count, "0"),
        (flags.whole, "x"),
        (flags.network, "10.0.0.0/33"),
        (flags.network, "example.com"),
        (flags.level, "loud"),
    ],
)
def test_other_wrong_values_are_named(convert: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        convert(text)  # type: ignore[operator]


def test_other_values() -> None:
    assert flags.size("32k") == 32768
    assert flags.size("1M") == 1048576
    assert flags.network("10.1.2.3/8") == "10.0.0.0/8"
    assert flags.network("192.0.2.1") == "192.0.2.1/32"
    assert flags.level("WARNING") == "warn"
    assert flags.level("FATAL") == "critical"
    assert flags.whole("-3") == -3


@pytest.mark.parametrize(
    "key, canonical",
    [
        ("Providers.Docker.Network", "docker.network"),
        ("providers.docker", "docker"),
        ("log.level", "loglevel"),
        ("limits.head_time", "limits.headtime"),
        ("limits.head-time", "limits.headtime"),
        ("insecureSkipVerify", "serverstransport.insecureskipverify"),
        ("providers.consul.x", "providers.consul.x"),
    ],
)
def test_one_setting_has_one_key(key: str, canonical: str) -> None:
    assert Vocabulary(MAKERS).canonical(key) == canonical


def test_options_of_providers_take_what_their_default_is() -> None:
    vocabulary = Vocabulary(MAKERS)
    names, depth, every = (vocabulary.find(f"tags.{name}") for name in ("names", "depth", "every"))
    assert names is not None and names.many and names.default == "a,b"
    assert depth is not None and depth.convert("7") == 7
    assert every is not None and every.convert("2s") == 2.0 and every.default == "1.5s"
    switch = vocabulary.find("tags")
    assert switch is not None and switch.is_bool


@pytest.mark.parametrize(
    "key, where, sentence",
    [
        ("dokcer", "--dokcer", "--dokcer: no such flag; did you mean --docker?"),
        ("docker.netwrok", "f.yml:3: docker.netwrok", "no such setting; did you mean docker.network?"),
        ("entrypoints.web.adress", "--entrypoints.web.adress", "did you mean --entrypoints.web.address?"),
        ("providers.nomad", "--providers.nomad", "Traefik has it, this version of dynbalancer has not"),
        ("entrypoints.web.tls.other", "--entrypoints, TLS.Other", "decides who gets in"),
        ("providers.swarm.network", "--providers.swarm.network", "Swarm services are not supported"),
        ("zzzzqqqq", "--zzzzqqqq", "no such flag"),
    ],
)
def test_an_unknown_setting_is_answered_in_one_sentence(key: str, where: str, sentence: str) -> None:
    said = str(Vocabulary(MAKERS).refuse(Given(key, "x", where)))
    assert sentence in said
    assert said.startswith(where)
    assert "\n" not in said


def test_the_reference_page_has_a_row_for_every_setting() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "options.md").read_text()
    vocabulary = Vocabulary({})
    rows = {*vocabulary.flags, *(f"entrypoints.NAME.{field}" for field in vocabulary.fields)}
    rows |= {f"{stem}.NAME" for stem in vocabulary.named}
    flags_without_a_row = [key for key in rows if f"\n| `{key}` | " not in page]
    assert flags_without_a_row == []


@pytest.mark.parametrize(
    "text, expected", [("/dev/stdout", ""), ("", ""), ("/var/log/a.log", "/var/log/a.log")]
)
def test_standard_output_is_no_file(text: str, expected: str) -> None:
    assert flags.log_path(text) == expected


@pytest.mark.parametrize(
    ("text", "path"), [("/", ""), ("", ""), ("/traefik", "/traefik"), ("/a/b/", "/a/b"), (" /x ", "/x")]
)
def test_a_path_that_the_api_is_below(text: str, path: str) -> None:
    assert flags.base_path(text) == path


@pytest.mark.parametrize("text", ["traefik", "/a//b", "/a`b", "/a b", "http://a"])
def test_what_is_no_such_path(text: str) -> None:
    with pytest.raises(ValueError, match="is not a path"):
        flags.base_path(text)
