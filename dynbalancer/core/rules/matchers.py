"""What each matcher means. The tables at the end say which of them a dialect knows, by which name.

A maker takes the arguments as written and gives a :class:`~dynbalancer.core.rules.tree.Meaning`, or raises
ConfigurationError. Predicates compare bytes, and never fail whatever the request is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote_to_bytes

from dynbalancer.core.exchange import Exchange
from dynbalancer.core.rules.regex import finder
from dynbalancer.core.rules.templates import is_template, pattern_of
from dynbalancer.core.rules.tree import Hosts, Match, Meaning
from dynbalancer.core.targets import routing_path
from dynbalancer.errors import ConfigurationError, did_you_mean

Arguments = tuple[str, ...]
Maker = Callable[[Arguments], Meaning]
Finder = Callable[[bytes], bool]
Predicate = Callable[[Exchange], bool]

_host_name = re.compile(r"[a-z0-9_](?:[a-z0-9_-]|\.(?!\.))*|\[[0-9a-f:.]+\]").fullmatch
_unwritable = re.compile(r"[^!-~]+")
# Octets that an escape can't stand for, once a path is in its normal form.
_ordinary = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:@/-]*").fullmatch
# Not a counted repeat, \pL, \p{Greek} or \x{2a}.
_like_template = re.compile(r"(?<!\\[pPx])\{[A-Za-z_]\w*(?::(?:[^{}]|\{[^{}]*\})*)?\}").search


@dataclass(frozen=True, slots=True)
class Matcher:
    """One row of a dialect's table. ``counts``: how many arguments it takes; none means one or more."""

    make: Maker
    counts: tuple[int, ...] = ()


def match(table: Mapping[str, Matcher], name: str, arguments: Arguments, known: Mapping[str, str]) -> Match:
    """The clause for a call. ``known`` maps every accepted spelling of a name to the one in ``table``."""
    canonical = known.get(name)
    if canonical is None:
        raise ConfigurationError("rule", f"unsupported function: {name}", _elsewhere(name, table))
    matcher = table[canonical]
    if not arguments or (matcher.counts and len(arguments) not in matcher.counts):
        expected = f"one of [{' '.join(map(str, matcher.counts))}]" if matcher.counts else "at least 1"
        why = f"unexpected number of parameters; got {len(arguments)}, expected {expected}"
        raise ConfigurationError("rule", why, _several(canonical, arguments))
    return Match(canonical, arguments, matcher.make(arguments))


def _elsewhere(name: str, table: Mapping[str, Matcher]) -> str:
    """A hint for a name that this dialect doesn't know: another dialect's, or a slip of the pen."""
    instead = _INSTEAD.get(name.lower(), "")
    if instead and table is V3:
        return instead
    return did_you_mean(name, table)


def _several(name: str, arguments: Arguments) -> str:
    if not arguments:
        return (
            f"write {name}(`…`); between double quotes a shell runs what is in backticks: use single quotes"
        )
    if len(arguments) < 2 or name.startswith(("Header", "Query")):
        return ""
    return "write " + " || ".join(f"{name}(`{argument}`)" for argument in arguments[:3])


# Hosts.


def host(arguments: Arguments) -> Meaning:
    """The request is for one of these hosts. ``*.a.example`` takes one more label, ``*`` any host or none."""
    exact: set[bytes] = set()
    suffixes: set[bytes] = set()
    names = [argument.strip().lower().removesuffix(".") for argument in arguments]
    for written, name in zip(arguments, names, strict=True):
        wild = name.startswith("*.")
        if name != "*" and _host_name(name[2:] if wild else name) is None:
            raise _bad_host(written, name)
        (suffixes if wild else exact).add((name[2:] if wild else name).encode())
    return Meaning() if "*" in names else Meaning(hosts=Hosts(frozenset(exact), frozenset(suffixes)))


def host_v1(arguments: Arguments) -> Meaning:
    """As :func:`host`; but v1 compares texts, so that a name which no request can have does not harm the others."""
    good: list[str] = []
    bad: list[ConfigurationError] = []
    for argument in arguments:
        try:
            host((argument,))
            good.append(argument)
        except ConfigurationError as error:
            bad.append(error)
    if not good:
        raise bad[0]
    left_out = (f"{error.why}, so it is left out; {error.hint}".removesuffix("; ") for error in bad)
    return replace(host(tuple(good)), warnings=tuple(left_out))


def _bad_host(written: str, name: str) -> ConfigurationError:
    if not name:
        return ConfigurationError("rule", "Host has an empty name", "write the name, or * for any")
    if not name.isascii():
        why = f'invalid value "{written}" for Host matcher, non-ASCII characters are not allowed'
        try:
            return ConfigurationError("rule", why, f"write {name.encode('idna').decode()}")
        except UnicodeError:
            return ConfigurationError("rule", why)
    if re.search(r"&&|\|\|", name):
        return ConfigurationError("rule", f"bad host {written}", "v1 writes ; for and, and a comma for or")
    if re.search(r"\{\{", name):
        return ConfigurationError(
            "rule", f"bad host {written}", "write the name itself: templates don't work here"
        )
    if re.match(r"(?:path|host|method|headers|query|addprefix|replacepath)[a-z]*:", name):
        why = f"bad host {written}: after a comma comes another host"
        return ConfigurationError("rule", why, f"write a semicolon before {written}")
    bare = re.sub(r"^[a-z0-9+.-]+://|(:\d*)?(/.*)?$", "", name)
    if "*" in name:
        return ConfigurationError(
            "rule", f"bad host {written}", "* may stand for the first label only: *.a.example"
        )
    if bare != name and _host_name(bare):
        return ConfigurationError(
            "rule", f"bad host {written}: a host has no scheme, port or path", f"write {bare}"
        )
    return ConfigurationError("rule", f"bad host {written}")


def host_regexp(arguments: Arguments) -> Meaning:
    """The host contains a match of the regular expression."""
    (pattern,) = arguments
    if not pattern.isascii():
        why = f'invalid value "{pattern}" for HostRegexp matcher, non-ASCII characters are not allowed'
        raise ConfigurationError("rule", why)
    found = finder(pattern)
    return Meaning(
        lambda exchange: found(exchange.head.host), warnings=_template("HostRegexp", pattern, "[^.]+", "$")
    )


def _template(matcher: str, written: str, default: str, end: str) -> tuple[str, ...]:
    """A warning where an argument is written as v2 knows it: v3 takes the braces as they are."""
    looks_so = _like_template(written)
    if looks_so is None:
        return ()
    try:
        instead = f"write {matcher}(`^{pattern_of(written, default)}{end}`), or ruleSyntax=v2 beside the rule"
    except ConfigurationError:
        instead = "write ruleSyntax=v2 beside the rule"
    return (f"{looks_so[0]} is a template of v2, and just this text in v3; {instead}",)


def host_templates(arguments: Arguments) -> Meaning:
    """The host fits one of these templates, letter case aside."""
    fits = _each([finder(f"(?i)^{pattern_of(argument, '[^.]+')}$") for argument in arguments])
    return Meaning(lambda exchange: fits(exchange.head.host))


# Paths.


def path(arguments: Arguments) -> Meaning:
    """The path is this one."""
    warnings = _template("PathRegexp", arguments[0], "[^/]+", "$")
    return Meaning(_is_one_of(arguments), warnings=warnings)


def path_prefix(arguments: Arguments) -> Meaning:
    """The path begins with this text, whether or not a segment ends there."""
    warnings = _template("PathRegexp", arguments[0], "[^/]+", "")
    return Meaning(_begins_with(arguments), warnings=warnings)


def path_regexp(arguments: Arguments) -> Meaning:
    """The path contains a match of the regular expression."""
    return Meaning(_path_fits([arguments[0]]))


def path_templates(arguments: Arguments) -> Meaning:
    """The path is one of these, or fits one of these templates."""
    templates = [f"^{_path_pattern(template)}$" for template in arguments if is_template(template)]
    return Meaning(_either(_is_one_of(_plain(arguments)), templates))


def paths_v1(arguments: Arguments) -> Meaning:
    """As :func:`path_templates`, but for one slash at the end: v1 takes such requests too, and redirects them."""
    forms = [form for argument in _plain(arguments) for form in _slashed(argument)]
    templates = [template.removesuffix("/") for template in arguments if is_template(template)]
    patterns = [f"^{_path_pattern(template)}/?$" for template in templates]
    return Meaning(_either(_is_one_of(forms), patterns))


def _slashed(written: str) -> tuple[str, ...]:
    return (written,) if written == "/" else (written.removesuffix("/"), written.removesuffix("/") + "/")


def prefix_templates(arguments: Arguments) -> Meaning:
    """The path begins with one of these texts or templates."""
    templates = [f"^{_path_pattern(template)}" for template in arguments if is_template(template)]
    return Meaning(_either(_begins_with(_plain(arguments)), templates))


def _plain(arguments: Arguments) -> list[str]:
    return [argument for argument in arguments if not is_template(argument)]


def _is_one_of(written: Sequence[str]) -> Predicate:
    paths = tuple(path_bytes(one) for one in written)
    if _all_plain(paths):
        several = frozenset(paths)
        if len(several) == 1:
            [only] = several
            return lambda exchange: exchange.head.path == only
        return lambda exchange: exchange.head.path in several
    decoded = frozenset(map(routing_path, paths))
    return lambda exchange: routing_path(exchange.head.path) in decoded


def _begins_with(written: Sequence[str]) -> Predicate:
    paths = tuple(path_bytes(one) for one in written)
    if _all_plain(paths):
        wanted = paths[0] if len(paths) == 1 else paths
        return lambda exchange: exchange.head.path.startswith(wanted)
    decoded = tuple(map(routing_path, paths))
    return lambda exchange: routing_path(exchange.head.path).startswith(decoded)


def _all_plain(paths: Sequence[bytes]) -> bool:
    """Whether requests for these paths, and for what is below, can't have been written in another way."""
    return all(_ordinary(path) for path in paths)


def _path_fits(patterns: Sequence[str]) -> Predicate:
    fits = _each([finder(pattern) for pattern in patterns])
    return lambda exchange: fits(routing_path(exchange.head.path))


def _either(literal: Predicate, patterns: Sequence[str]) -> Predicate:
    if not patterns:
        return literal
    fits = _path_fits(patterns)
    return lambda exchange: literal(exchange) or fits(exchange)


def path_bytes(written: str) -> bytes:
    """A path as it stands in a request line: what can't stand there is percent-encoded."""
    if not written.startswith("/"):
        raise ConfigurationError("rule", f"path {written!r} does not start with a '/'", f"write /{written}")
    return _unwritable.sub(_percent, written).encode()


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{octet:02X}" for octet in found.group().encode())


def _path_pattern(template: str) -> str:
    path_bytes(template)
    return pattern_of(template, "[^/]+")


def _each(finders: Sequence[Finder]) -> Finder:
    return finders[0] if len(finders) == 1 else lambda value: any(found(value) for found in finders)


# Methods and addresses.


def method(arguments: Arguments) -> Meaning:
    """The method is one of these."""
    wanted = frozenset(argument.upper().encode() for argument in arguments)
    return Meaning(lambda exchange: exchange.head.method in wanted)


def client_ip(arguments: Arguments) -> Meaning:
    """The client's address is one of these, or in one of these networks. Never taken from X-Forwarded-For."""
    networks = tuple(_network(argument) for argument in arguments)

    def inside(exchange: Exchange) -> bool:
        address = _address(exchange.client)
        return address is not None and any(address in network for network in networks)

    return Meaning(inside)


def _network(written: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(written.strip(), strict=False)
    except ValueError:
        raise ConfigurationError(
            "rule", f"{written!r} is neither an address nor a network", "write 192.0.2.7 or 192.0.2.0/24"
        ) from None


@lru_cache(1024)
def _address(client: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(client)
    except ValueError:
        return None
    # A socket for both families shows an IPv4 client as ::ffff:192.0.2.7.
    return getattr(address, "ipv4_mapped", None) or address


# Headers.


def header(arguments: Arguments) -> Meaning:
    """Some value of the field is this one."""
    name, wanted = arguments[0].lower().encode(), arguments[1].encode()
    return Meaning(lambda exchange: wanted in _values(exchange, name))


def header_regexp(arguments: Arguments) -> Meaning:
    """Some value of the field contains a match."""
    name, found = arguments[0].lower().encode(), finder(arguments[1])
    return Meaning(lambda exchange: any(found(value) for value in _values(exchange, name)))


def headers(arguments: Arguments) -> Meaning:
    """Each field has the value that follows it; an empty one stands for any."""
    pairs = [(name.lower().encode(), value.encode()) for name, value in _pairs(arguments)]

    def every(exchange: Exchange) -> bool:
        for name, wanted in pairs:
            values = _values(exchange, name)
            if wanted not in values if wanted else not values:
                return False
        return True

    return Meaning(every)


def headers_regexp(arguments: Arguments) -> Meaning:
    """Each field has a value with a match of the regular expression that follows it."""
    pairs = [(name.lower().encode(), finder(pattern)) for name, pattern in _pairs(arguments)]

    def every(exchange: Exchange) -> bool:
        return all(any(map(found, _values(exchange, name))) for name, found in pairs)

    return Meaning(every)


def _values(exchange: Exchange, name: bytes) -> list[bytes]:
    # Host is kept apart from the other fields.
    return [exchange.head.authority] if name == b"host" else exchange.head.headers.all(name)


def _pairs(arguments: Arguments) -> list[tuple[str, str]]:
    if len(arguments) % 2:
        raise ConfigurationError(
            "rule", f"no value for header {arguments[-1]}", "write a name and a value for each"
        )
    return list(zip(arguments[::2], arguments[1::2], strict=True))


# Queries.


def parameters(query: bytes | None) -> list[tuple[bytes, bytes]]:
    """Names and values of a query, decoded. ``;`` separates as ``&`` does: a server might read it so."""
    if not query:
        return []
    pieces = query.replace(b";", b"&").replace(b"+", b" ").split(b"&")
    return [_parameter(piece) for piece in pieces if piece]


def _parameter(piece: bytes) -> tuple[bytes, bytes]:
    name, _, value = piece.partition(b"=")
    return unquote_to_bytes(name), unquote_to_bytes(value)


def query(arguments: Arguments) -> Meaning:
    """The query has this parameter with this value, or with an empty one where none is given."""
    wanted = (arguments[0].encode(), arguments[1].encode() if len(arguments) > 1 else b"")
    name, equals, value = arguments[0].partition("=")
    warnings = (
        (f"{arguments[0]} is the name of a parameter in v3; write Query(`{name}`, `{value}`)",)
        if equals and len(arguments) == 1
        else ()
    )
    return Meaning(lambda exchange: wanted in parameters(exchange.head.query), warnings=warnings)


def query_regexp(arguments: Arguments) -> Meaning:
    """The query has this parameter with a value that contains a match."""
    if len(arguments) == 1:
        return query(arguments)
    name, found = arguments[0].encode(), finder(arguments[1])
    return Meaning(
        lambda exchange: any(key == name and found(value) for key, value in parameters(exchange.head.query))
    )


def query_items(arguments: Arguments) -> Meaning:
    """Every ``name=value`` holds. Only the first value of a parameter counts; an empty one stands for any."""
    wanted = [_query_item(argument) for argument in arguments]

    def every(exchange: Exchange) -> bool:
        first = dict(reversed(parameters(exchange.head.query)))
        return all(name in first and (found is None or found(first[name])) for name, found in wanted)

    return Meaning(every)


def _query_item(argument: str) -> tuple[bytes, Finder | None]:
    name, equals, value = argument.partition("=")
    if not name or not equals:
        raise ConfigurationError("rule", f"bad query {argument!r}", f"write {name or 'name'}=value")
    if not value:
        return name.encode(), None
    if not is_template(value):
        return name.encode(), value.encode().__eq__
    return name.encode(), finder(f"^{pattern_of(value, '.*')}$")


# Dialects.

V1: Mapping[str, Matcher] = {
    "Host": Matcher(host_v1),
    "HostRegexp": Matcher(host_templates),
    "Path": Matcher(paths_v1),
    "PathPrefix": Matcher(prefix_templates),
    "PathStrip": Matcher(paths_v1),
    "PathStripRegex": Matcher(paths_v1),
    "PathPrefixStrip": Matcher(prefix_templates),
    "PathPrefixStripRegex": Matcher(prefix_templates),
    "Method": Matcher(method),
    "Headers": Matcher(headers),
    "HeadersRegexp": Matcher(headers_regexp),
    "Query": Matcher(query_items),
}

V2: Mapping[str, Matcher] = {
    "Host": Matcher(host),
    "HostHeader": Matcher(host),
    "HostRegexp": Matcher(host_templates),
    "ClientIP": Matcher(client_ip),
    "Path": Matcher(path_templates),
    "PathPrefix": Matcher(prefix_templates),
    "Method": Matcher(method),
    "Headers": Matcher(header, (2,)),
    "HeadersRegexp": Matcher(header_regexp, (2,)),
    "Query": Matcher(query_items),
}

V3: Mapping[str, Matcher] = {
    "Host": Matcher(host, (1,)),
    "HostRegexp": Matcher(host_regexp, (1,)),
    "ClientIP": Matcher(client_ip, (1,)),
    "Path": Matcher(path, (1,)),
    "PathPrefix": Matcher(path_prefix, (1,)),
    "PathRegexp": Matcher(path_regexp, (1,)),
    "Method": Matcher(method, (1,)),
    "Header": Matcher(header, (2,)),
    "HeaderRegexp": Matcher(header_regexp, (2,)),
    "Query": Matcher(query, (1, 2)),
    "QueryRegexp": Matcher(query_regexp, (1, 2)),
}

#: What v3 calls a thing that other dialects have another name for, in lower case.
_INSTEAD = {
    "headers": "did you mean Header? It was Headers before v3",
    "headersregexp": "did you mean HeaderRegexp? It was HeadersRegexp before v3",
    "hostheader": "did you mean Host?",
    "hostsni": "HostSNI is for TCP routers; write Host",
    "pathstrip": "write Path, and a stripPrefix middleware",
    "pathstripregex": "write PathRegexp, and a stripPrefixRegex middleware",
    "pathprefixstrip": "write PathPrefix, and a stripPrefix middleware",
    "pathprefixstripregex": "write PathRegexp, and a stripPrefixRegex middleware",
    "addprefix": "use an addPrefix middleware",
    "replacepath": "use a replacePath middleware",
    "replacepathregex": "use a replacePathRegex middleware",
}
