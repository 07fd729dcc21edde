"""How many connections an entry point may have, in all workers together, and how many of them from one address.

An entry point without such a limit has nothing of this: its connections are in plain sets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from dynbalancer.core.addresses import grouped
from dynbalancer.core.forwarded import TrustedPeers
from dynbalancer.core.inflight import FULL, InFlight
from dynbalancer.core.model import EntryPoint
from dynbalancer.core.regions import Sources
from dynbalancer.core.repeats import Repeats

#: Reasons of refusals, as they are counted.
TOO_MANY, TOO_MANY_OF_ADDRESS = "connections", "connections-of-address"

#: How many addresses can be told apart at once, and how many bits of an IPv6 address say whose it is.
_ADDRESSES, _IPV6_BITS = 16384, 64


class Admission:
    """Who may connect to an entry point now. ``refusals`` counts by reason who may not.

    The address of a peer that may say where requests come from is another proxy's, and has no limit of its own.
    """

    _log = Logger()

    def __init__(
        self,
        entry_point: EntryPoint,
        shared: Any,
        secret: bytes,
        refusals: dict[str, int],
        clock: Callable[[], float],
    ) -> None:
        name = f"connections {entry_point.name}"
        self._entry_point = entry_point
        self._all = InFlight(shared.region(name, 64, 8), entry_point.max_connections)
        self._by_address = InFlight(
            shared.region(f"{name} by address", 8 * _ADDRESSES, _ADDRESSES),
            entry_point.max_connections_per_address,
        )
        self._sources = Sources(secret)
        self._proxies = TrustedPeers(entry_point.trusted)
        self._refusals = refusals
        self._clock = clock
        self._repeats = Repeats()

    def connections(self, address_of: Callable[[Any], str], *, refuses: bool = True) -> Connections:
        """A set for connections of a kind; who is not admitted does not get into it, and is cut, where it ``refuses``.

        An empty address counts with all, and not by itself.
        """
        return Connections(self, address_of, refuses)

    def enter(self, address: str) -> tuple[int, int] | str:
        """One more: what :meth:`leave` wants to be given, or the reason why not."""
        row = self._all.enter(1) if self._all.most else FULL
        if row == FULL and self._all.most:
            return TOO_MANY
        of_address = FULL
        if self._by_address.most and address and address not in self._proxies:
            of_address = self._by_address.enter(self._sources.number(grouped(address, _IPV6_BITS)))
            if of_address == FULL:
                self.leave((row, FULL))
                return TOO_MANY_OF_ADDRESS
        return row, of_address

    def leave(self, rows: tuple[int, int]) -> None:
        """One less."""
        for counts, row in zip((self._all, self._by_address), rows, strict=True):
            if row != FULL:
                counts.leave(row)

    def refused(self, address: str, reason: str) -> None:
        """Count it, and say it a few times."""
        self._refusals[reason] = self._refusals.get(reason, 0) + 1
        unsaid = self._repeats.passes(reason, self._clock())
        if unsaid is not None:
            self._log.warn(
                "Refused a connection from {address} to entry point {entry_point}: {reason}{more}",
                address=address,
                entry_point=self._entry_point.name,
                reason=reason,
                more=f"; {unsaid} more since the last line" if unsaid else "",
            )


class Connections(set[Any]):
    """Connections that count. One that is refused is cut before it can do anything."""

    def __init__(self, admission: Admission, address_of: Callable[[Any], str], refuses: bool) -> None:
        super().__init__()
        self._admission = admission
        self._address_of = address_of
        self._refuses = refuses
        self._rows: dict[Any, tuple[int, int]] = {}

    def add(self, connection: Any) -> None:
        """Count it, or cut it."""
        address = self._address_of(connection)
        found = self._admission.enter(address)
        if not isinstance(found, str):
            self._rows[connection] = found
        elif self._refuses:
            self._admission.refused(address, found)
            connection.abort()
            return
        super().add(connection)

    def discard(self, connection: Any) -> None:
        """Count it no more."""
        super().discard(connection)
        rows = self._rows.pop(connection, None)
        if rows is not None:
            self._admission.leave(rows)


def admission_of(
    entry_point: EntryPoint,
    shared: Any,
    secret: bytes,
    refusals: dict[str, int],
    clock: Callable[[], float],
) -> Admission | None:
    """The admission to an entry point, None where everybody is admitted."""
    if not (entry_point.max_connections or entry_point.max_connections_per_address):
        return None
    return Admission(entry_point, shared, secret, refusals, clock)
