"""Rules for connections: what they take, in both manners, and what is wrong with those that can't be read."""

from __future__ import annotations

import pytest

from dynbalancer.core.clienthello import Hello
from dynbalancer.core.streamrules import Caller, read_stream_rule
from dynbalancer.errors import ConfigurationError


def takes(
    rule: str, name: str = "", protocols: tuple[str, ...] = (), client: str = "192.0.2.1", dialect: str = "v3"
) -> bool:
    """Whether a rule takes a connection."""
    matches = read_stream_rule(rule, dialect).matches
    return matches is None or matches(Caller(client, Hello(name, protocols)))


@pytest.mark.parametrize(
    "rule, name, taken",
    [
        ("HostSNI(`a.example`)", "a.example", True),
        ("HostSNI(`A.Example.`)", "a.example", True),
        ("HostSNI(`a.example`)", "b.example", False),
        ("HostSNI(`a.example`)", "", False),
        ("HostSNI(`*.a.example`)", "x.a.example", True),
        ("HostSNI(`*.a.example`)", "y.x.a.example", False),
        ("HostSNI(`*.a.example`)", "a.example", False),
        ("HostSNI(`*`)", "", True),
        ("HostSNI(`*`)", "a.example", True),
        ("!HostSNI(`a.example`)", "b.example", True),
        ("HostSNI(`a.example`) || HostSNI(`b.example`)", "b.example", True),
        ("HostSNI(`a.example`) && ClientIP(`192.0.2.0/24`)", "a.example", True),
        ("HostSNI(`a.example`) && ClientIP(`192.0.3.0/24`)", "a.example", False),
        ("HostSNIRegexp(`^[a-c]\\.example$`)", "b.example", True),
        ("HostSNIRegexp(`^[a-c]\\.example$`)", "d.example", False),
        ("hostsni(`a.example`)", "a.example", True),
    ],
)
def test_names(rule: str, name: str, *, taken: bool) -> None:
    assert takes(rule, name) is taken


@pytest.mark.parametrize(
    "rule, protocols, taken",
    [
        ("ALPN(`h2`)", ("h2", "http/1.1"), True),
        ("ALPN(`h2`)", ("http/1.1",), False),
        ("ALPN(`h2`)", (), False),
        ("HostSNI(`*`) && !ALPN(`h2`)", (), True),
    ],
)
def test_protocols(rule: str, protocols: tuple[str, ...], *, taken: bool) -> None:
    assert takes(rule, "a.example", protocols) is taken


def test_addresses_inside_ipv6_count_as_ipv4() -> None:
    assert takes("ClientIP(`192.0.2.1`)", client="::ffff:192.0.2.1")
    assert takes("ClientIP(`2001:db8::/32`)", client="2001:db8::7")
    assert not takes("ClientIP(`2001:db8::/32`)", client="nonsense")


@pytest.mark.parametrize(
    "rule, name, taken",
    [
        ("HostSNI(`a.example`, `b.example`)", "b.example", True),
        ("HostSNIRegexp(`{sub:[a-z]+}.example`, `x`)", "abc.example", True),
        ("HostSNIRegexp(`{sub:[a-z]+}.example`)", "ABC1.example", False),
        ("HostSNIRegexp(`{sub}.example`)", "abc-1.example", True),
        ("ClientIP(`10.0.0.0/8`, `192.0.2.0/24`)", "", True),
    ],
)
def test_v2s_manner(rule: str, name: str, *, taken: bool) -> None:
    assert takes(rule, name, dialect="v2") is taken


@pytest.mark.parametrize(
    "rule, asks, catch_all",
    [
        ("HostSNI(`*`)", False, True),
        ("HostSNI(`*`) && ClientIP(`10.0.0.0/8`)", False, False),
        ("ClientIP(`10.0.0.0/8`)", False, False),
        ("HostSNI(`a.example`)", True, False),
        ("HostSNI(`*`) || HostSNI(`a.example`)", True, False),
        ("HostSNIRegexp(`.*`)", True, False),
        ("ALPN(`h2`)", True, False),
    ],
)
def test_whether_a_name_is_asked_for_and_all_is_taken(rule: str, *, asks: bool, catch_all: bool) -> None:
    read = read_stream_rule(rule, "v3")
    assert (read.asks_name, read.catch_all) == (asks, catch_all)


@pytest.mark.parametrize(
    "rule, dialect, why",
    [
        ("", "v3", "the rule is empty"),
        ("x" * 17000, "v3", "17000 characters"),
        ("Host(`a.example`)", "v3", "unsupported function: Host"),
        ("HostSNI(`a`, `b`)", "v3", "unexpected number of parameters"),
        ("HostSNI()", "v2", "unexpected number of parameters"),
        ("HostSNI(`ä.example`)", "v3", "non-ASCII"),
        ("HostSNI(`a.*.example`)", "v3", "bad host"),
        ("HostSNI(``)", "v3", "HostSNI has an empty name"),
        ("HostSNIRegexp(`(`)", "v3", "bad regular expression"),
        ("ClientIP(`a.example`)", "v3", "neither an address nor a network"),
        ("ALPN(`acme-tls/1`)", "v3", "not allowed"),
        ("HostSNI(`a.example`", "v3", "unexpected end"),
    ],
)
def test_what_is_wrong_with_a_rule(rule: str, dialect: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_stream_rule(rule, dialect)
    assert why in caught.value.why
