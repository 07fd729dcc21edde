"""The X-Forwarded-* fields: where a request came from, for the server (Traefik's set, in its order)."""

from __future__ import annotations

from dynbalancer.core.addresses import AddressRanges
from dynbalancer.core.exchange import Field, Headers, RequestHead, field_of
from dynbalancer.errors import ConfigurationError


def forwarded_fields(head: RequestHead, client: bytes, server: bytes) -> list[Field]:
    """All six fields for a request whose peer is not trusted. ``server`` is the name of this machine."""
    secure = head.scheme == b"https"
    if head.upgrade is not None and head.upgrade.lower() == b"websocket":
        scheme = b"wss" if secure else b"ws"
    else:
        scheme = head.scheme
    port = b"%d" % head.port if head.port is not None else (b"443" if secure else b"80")
    return [
        field_of(b"X-Forwarded-For", client),
        field_of(b"X-Forwarded-Host", head.authority),
        field_of(b"X-Forwarded-Port", port),
        field_of(b"X-Forwarded-Proto", scheme),
        field_of(b"X-Forwarded-Server", server),
        field_of(b"X-Real-Ip", client),
    ]


def with_host(fields: list[Field], authority: bytes) -> list[Field]:
    """The fields that :func:`forwarded_fields` gave for another host, for this one. All else must be the same."""
    client, _, *others = fields
    return [client, (b"x-forwarded-host", authority, b"X-Forwarded-Host: %b\r\n" % authority), *others]


def merge_forwarded(headers: Headers, fresh: list[Field]) -> None:
    """Add to what a trusted peer said: its fields stay, our client joins the list, our name replaces.

    Where it says that the client came over TLS, the port that nobody named is that of TLS (Traefik 1 and 3).
    """
    over_tls = headers.get(b"x-forwarded-proto") in (b"https", b"wss")
    for lower, value, line in fresh:
        name = line[: len(lower)]
        if over_tls and lower == b"x-forwarded-port" and value == b"80" and not _names_port(fresh):
            value = b"443"
        if lower == b"x-forwarded-for":
            earlier = headers.all(lower)
            headers.set(name, b", ".join([*earlier, value]))
        elif lower == b"x-forwarded-server" or lower not in headers:
            headers.set(name, value)


def _names_port(fresh: list[Field]) -> bool:
    """Whether the Host has a port of its own."""
    return any(lower == b"x-forwarded-host" and value.endswith(b":80") for lower, value, _ in fresh)


class TrustedPeers:
    """Which peers may say where a request came from."""

    __slots__ = ("_everybody", "_ranges")

    def __init__(self, ranges: tuple[str, ...], *, everybody: bool = False) -> None:
        """Raises ConfigurationError for a range that is neither an address nor a network."""
        self._everybody = everybody
        try:
            self._ranges = AddressRanges(ranges)
        except ValueError as error:
            raise ConfigurationError("forwardedHeaders.trustedIPs", str(error)) from None

    def __contains__(self, address: object) -> bool:
        if self._everybody or not self._ranges:
            return self._everybody
        return address in self._ranges
