"""Who connects: what connections from the same address have in common, from the one to the next.

A health check, another proxy or a client without keep-alive comes again over a new connection, and mostly says what it
said before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynbalancer.core.exchange import Field, RequestHead
from dynbalancer.core.forwarded import TrustedPeers, forwarded_fields, with_host
from dynbalancer.proxy.transports import NativeTransport

if TYPE_CHECKING:
    from dynbalancer.proxy.repetition import KnownRequest

#: How many addresses are remembered at an entry point. Each may have a request that it makes again.
REMEMBERED = 512


class Peer:
    """An address that connections come from, at one entry point.

    ``client`` is how servers and logs are told of it, ``trusted`` whether it may say where requests come from.
    ``known`` is a request that came again from there, ``last`` the mark of the last one.
    """

    __slots__ = ("_forwarded", "_host", "_port", "client", "known", "last", "trusted")

    def __init__(self, client: str, *, trusted: bool = False) -> None:
        self.client = client
        self.trusted = trusted
        self.last = 0
        self.known: KnownRequest | None = None
        self._host = b""
        self._port: int | None = None
        self._forwarded: list[Field] = []

    def forwarded_fields(self, head: RequestHead, server: bytes) -> list[Field]:
        """The X-Forwarded-* fields of a request from here; ``server`` is our name, always the same.

        A client rarely talks to two hosts: what was said last time mostly holds.
        """
        if head.upgrade is not None:
            return forwarded_fields(head, self._encoded, server)
        if head.authority != self._host or head.port != self._port or not self._forwarded:
            if self._forwarded and head.port == self._port:
                self._forwarded = with_host(self._forwarded, head.authority)
            else:
                self._forwarded = forwarded_fields(head, self._encoded, server)
            self._host, self._port = head.authority, head.port
        return self._forwarded

    @property
    def _encoded(self) -> bytes:
        return self.client.encode("ascii", "replace")


class Peers:
    """The peers of an entry point, by address. Whoever makes connections from ever new addresses can't make it grow."""

    def __init__(self, trusted: TrustedPeers) -> None:
        self._trusted = trusted
        self._known: dict[str, Peer] = {}

    def at(self, address: str) -> Peer:
        """Who connects from there."""
        found = self._known.get(address)
        return self._meet(address) if found is None else found

    def _meet(self, address: str) -> Peer:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        client = address.removeprefix("::ffff:")
        peer = self._known[address] = Peer(client, trusted=client in self._trusted)
        return peer

    def forget(self) -> None:
        """Another table is in force: what requests came to by the old one is of no use any more."""
        self._known.clear()


def far_end(transport: Any) -> tuple[str, int]:
    """Address and port of who is at the other end of either kind of transport; an empty one where it has none."""
    if isinstance(transport, NativeTransport) and transport.peer is None:
        found = transport.about("peername")
        return (found[0], found[1]) if found else ("", 0)
    peer = transport.getPeer()
    return getattr(peer, "host", "") or "", getattr(peer, "port", 0)
