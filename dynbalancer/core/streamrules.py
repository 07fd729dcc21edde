"""Rules of routers for connections: ``HostSNI``, ``HostSNIRegexp``, ``ClientIP``, ``ALPN``, in v3's and v2's manner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from dynbalancer.core.clienthello import Hello
from dynbalancer.core.exchange import Exchange
from dynbalancer.core.rules.matchers import Arguments, Matcher, client_ip, host
from dynbalancer.core.rules.regex import finder
from dynbalancer.core.rules.templates import pattern_of
from dynbalancer.core.rules.tree import Match, Meaning, Node
from dynbalancer.core.rules.v3 import parse_by
from dynbalancer.errors import ConfigurationError

#: What TLS certificates are asked for by; no router may take it (RFC 8737).
_CHALLENGE = "acme-tls/1"

LONGEST = 16384


@dataclass(frozen=True, slots=True)
class Caller:
    """What is known of a connection when its route is looked for."""

    client: str
    hello: Hello = field(default_factory=Hello)


Predicate = Callable[[Caller], bool]


@dataclass(frozen=True, slots=True)
class StreamRule:
    """A rule that was read. ``matches`` None: it takes every connection. ``asks_name``: some name is in it.

    ``catch_all``: it is ``HostSNI(`*`)`` and nothing more, and comes after everything else.
    """

    node: Node
    matches: Predicate | None
    asks_name: bool
    catch_all: bool


def read_stream_rule(text: str, dialect: str) -> StreamRule:
    """A rule, read. Raises ConfigurationError with ``rule`` for its place."""
    if not text.strip():
        raise ConfigurationError(
            "rule", "the rule is empty", "write HostSNI(`a.example`), or HostSNI(`*`) for any"
        )
    if len(text) > LONGEST:
        raise ConfigurationError("rule", f"the rule has {len(text)} characters; {LONGEST} are allowed")
    node = parse_by(text, _V2 if dialect == "v2" else _V3, "HostSNI(`a.example`)")
    catch_all = isinstance(node, Match) and node.matcher == "HostSNI" and "*" in node.arguments
    asks = any(
        clause.matcher in ("HostSNIRegexp", "ALPN")
        or (clause.matcher == "HostSNI" and "*" not in clause.arguments)
        for clause in _clauses(node)
    )
    return StreamRule(node, cast("Predicate | None", node.predicate()), asks, catch_all)


def _clauses(node: Node) -> Iterator[Match]:
    if isinstance(node, Match):
        yield node
    for part in node.children:
        yield from _clauses(part)


def _on_caller(predicate: Predicate) -> Meaning:
    # The tree hands on whatever it is given: here that is a Caller.
    return Meaning(cast("Callable[[Exchange], bool]", predicate))


def _host_sni(arguments: Arguments) -> Meaning:
    """The name asked for is one of these. ``*.a.example`` takes one more label, ``*`` any name or none."""
    try:
        hosts = host(arguments).hosts
    except ConfigurationError as error:
        raise ConfigurationError(error.where, error.why.replace("Host ", "HostSNI ", 1), error.hint) from None
    if hosts is None:
        return Meaning()
    return _on_caller(lambda caller: caller.hello.server_name.encode() in hosts)


def _host_sni_regexp(arguments: Arguments) -> Meaning:
    """The name asked for contains a match of the regular expression."""
    (pattern,) = arguments
    found = finder(pattern)
    return _on_caller(lambda caller: found(caller.hello.server_name.encode()))


def _host_sni_templates(arguments: Arguments) -> Meaning:
    """The name asked for fits one of these templates, letter case aside."""
    finders = [finder(f"(?i)^{pattern_of(argument, '[^.]+')}$") for argument in arguments]
    return _on_caller(lambda caller: any(found(caller.hello.server_name.encode()) for found in finders))


def _alpn(arguments: Arguments) -> Meaning:
    """One of these protocols is offered."""
    if _CHALLENGE in arguments:
        raise ConfigurationError(
            "rule", f"invalid protocol value for ALPN matcher, {_CHALLENGE} is not allowed"
        )
    wanted = frozenset(arguments)
    return _on_caller(lambda caller: not wanted.isdisjoint(caller.hello.protocols))


_V3: Mapping[str, Matcher] = {
    "HostSNI": Matcher(_host_sni, (1,)),
    "HostSNIRegexp": Matcher(_host_sni_regexp, (1,)),
    "ClientIP": Matcher(client_ip, (1,)),
    "ALPN": Matcher(_alpn, (1,)),
}
_V2: Mapping[str, Matcher] = {
    "HostSNI": Matcher(_host_sni),
    "HostSNIRegexp": Matcher(_host_sni_templates),
    "ClientIP": Matcher(client_ip),
    "ALPN": Matcher(_alpn),
}

#: Every matcher by its name, for whoever describes them.
MATCHERS: Mapping[str, Any] = _V3
