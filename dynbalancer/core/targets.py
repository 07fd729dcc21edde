"""The one normal form of host and path, for routing, middlewares, logs and the server alike (RFC 3986 section 6.2.2).

A path is normalised once, before anybody looks at it: unreserved octets are decoded, dot segments are resolved, empty
segments merged. What could be read in two ways is refused: backslashes, ``%00``, a broken escape, an encoded slash
beside dots, ``..;``.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

from dynbalancer.core.fields import CONTROLS
from dynbalancer.core.settings import Limits
from dynbalancer.errors import RequestError

#: A target in which there is nothing to normalise: no escape, no empty or dotted segment, no parameter in the path. Its
#: groups are path and query.
PLAIN_TARGET = (
    rb"(/|(?:/[A-Za-z0-9_~!$&'()*+,=:@^`{|}\"<>-][A-Za-z0-9._~!$&'()*+,=:@^`{|}\"<>-]*)+/?)"
    rb"(?:\?([!\"$-:<-~]*))?"
)
_plain_target = re.compile(PLAIN_TARGET).fullmatch
_escape = re.compile(rb"%([0-9A-Fa-f]{2})")
_unreserved = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_reserved_or_control = frozenset((*b":/?#[]@!$&'()*+,;=%", *range(0x20), 0x7F))
_hostname = re.compile(rb"[a-z0-9_](?:[a-z0-9_-]|\.(?!\.|\Z))*\Z").match
_authority = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{0,5}))?\Z").match
#: All that RFC 3986 knows only escaped. Controls but HTAB never come here, since they are refused in the whole head.
_unfit = bytes((*range(0x21), *range(0x7F, 0x100)))

#: Where nobody says what is usual.
USUAL = Limits()

_hosts: dict[bytes, tuple[bytes, int | None, bytes]] = {}
_REMEMBERED = 16384


def normal_host(authority: bytes) -> tuple[bytes, int | None]:
    """Host and port of a Host field: lower case, trailing dot off, port None where there is none.

    Raises RequestError 400 where it is not a name, an IPv4 or a bracketed IPv6 address (RFC 9110 section 7.2).
    """
    return read_authority(authority)[:2]


def read_authority(authority: bytes) -> tuple[bytes, int | None, bytes]:
    """The same, and the Host field that a server gets: those two, whatever the client's spelling of them."""
    found = _hosts.get(authority)
    if found is None:
        if len(_hosts) >= _REMEMBERED:
            _hosts.clear()
        host, port = _parse_authority(authority)
        found = _hosts[authority] = (host, port, host if port is None else b"%b:%d" % (host, port))
    return found


def _parse_authority(authority: bytes) -> tuple[bytes, int | None]:
    match = _authority(authority)
    if match is None:
        raise RequestError(400, "bad-host", "Host is not a host and a port")
    host, digits = match.group(1).lower(), match.group(2)
    port = int(digits) if digits else None
    if port is not None and port > 65535:
        raise RequestError(400, "bad-host", "port out of range")
    if host.startswith(b"["):
        try:
            IPv6Address(host[1:-1].decode("ascii"))
        except AddressValueError:
            raise RequestError(400, "bad-host", "Host is not an IPv6 address") from None
        return host, port
    host = host.removesuffix(b".")
    if len(host) > 255 or _hostname(host) is None:
        raise RequestError(400, "bad-host", "Host is not a name")
    return host, port


def split_target(target: bytes, limits: Limits = USUAL) -> tuple[bytes, bytes | None]:
    """Normal path and query (None without ``?``) of an origin-form target. Raises RequestError 400.

    ``limits`` say what becomes of ``;`` in a query.
    """
    plain = _plain_target(target)
    if plain is not None:
        return plain.groups()  # type: ignore[return-value]
    if len(target) != len(target.translate(None, CONTROLS)):
        raise RequestError(400, "bad-target", "control character in the target")
    path, mark, query = target.partition(b"?")
    if b"#" in target:
        raise RequestError(400, "bad-target", "fragment in the target")
    if len(target) != len(target.translate(None, _unfit)):
        raise RequestError(400, "bad-target", "blanks and octets above 7E must be escaped")
    # Some servers part at semicolons too: so that all read one query, none is left (Traefik's AllowQuerySemicolons).
    return normal_path(path), query.replace(b";", limits.semicolon) if mark else None


def normal_path(path: bytes) -> bytes:
    """The path in normal form. Raises RequestError 400 where it could be read in two ways."""
    if not path.startswith(b"/"):
        raise RequestError(400, "bad-target", "the path must begin with /")
    if b"\\" in path:
        raise RequestError(400, "bad-target", "backslash in the path")
    if path.count(b"%") != len(_escape.findall(path)):
        raise RequestError(400, "bad-target", "broken escape in the path")
    path = _escape.sub(_decode_unreserved, path)
    lower = path.lower()
    if b"%00" in lower:
        raise RequestError(400, "bad-target", "escaped NUL in the path")
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment in (b"", b"."):
            continue
        if segment == b"..":
            if kept:
                kept.pop()
        else:
            _refuse_hidden_dots(segment)
            kept.append(segment)
    slash_ended = segments[-1] in (b"", b".", b"..") and kept
    return b"/" + b"/".join(kept) + (b"/" if slash_ended else b"")


def routing_path(path: bytes) -> bytes:
    """The path as rules see it: as a normal one, but with escapes only of what is reserved (Traefik 3).

    So ``/my file`` and ``/bücher`` stand in a rule as people write them, and ``%c3`` is ``%C3``.
    What no pattern expects, controls and octets that are no UTF-8, stays escaped.
    """
    if b"%" not in path:
        return path
    found = _escape.sub(_decode_readable, path)
    try:
        found.decode()
    except UnicodeDecodeError:
        return _escape.sub(lambda match: match.group(0).upper(), path)
    return found


def _decode_readable(match: re.Match[bytes]) -> bytes:
    octet = int(match.group(1), 16)
    return match.group(0).upper() if octet in _reserved_or_control else bytes((octet,))


def _decode_unreserved(match: re.Match[bytes]) -> bytes:
    octet = int(match.group(1), 16)
    return bytes((octet,)) if octet in _unreserved else match.group(0)


def _refuse_hidden_dots(segment: bytes) -> None:
    """Some servers cut a segment at ``;`` or take %2F and %5C for slashes, and only then see the dots.

    Where they decode before they cut, %3B is such a ``;`` too.
    """
    if b"." not in segment:
        return
    parts = re.split(rb"%2[fF]|%5[cC]|%3[bB]|;", segment)
    if len(parts) > 1 and any(part in (b".", b"..") for part in parts):
        raise RequestError(400, "bad-target", "dot segment beside an escaped slash or a parameter")
