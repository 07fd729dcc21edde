"""Finds the few entries that a host may concern, without looking at the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from dynbalancer.core.rules.tree import Hosts

T = TypeVar("T")

#: How many references the ready-made answers of one index may hold together.
BOUND = 1_000_000


class HostIndex(Generic[T]):
    """Entries by host: exact names, then one-label wildcards, then those for any host; in the order given.

    The answer for a host is put together when it is first asked for, and kept. What is kept is bounded by the
    hosts that are configured, never by those that clients send.
    """

    __slots__ = (
        "_bound",
        "_entries",
        "_exact",
        "_exact_ready",
        "_held",
        "_rest",
        "_suffixes",
        "_suffixes_ready",
    )

    def __init__(self, entries: Iterable[tuple[Hosts | None, T]], bound: int = BOUND) -> None:
        self._entries: list[T] = []
        self._exact: dict[bytes, list[int]] = {}
        self._suffixes: dict[bytes, list[int]] = {}
        rest: list[int] = []
        for position, (hosts, entry) in enumerate(entries):
            self._entries.append(entry)
            if hosts is None:
                rest.append(position)
                continue
            for name in hosts.exact:
                self._exact.setdefault(name, []).append(position)
            for suffix in hosts.suffixes:
                self._suffixes.setdefault(suffix, []).append(position)
        self._rest = rest, tuple(self._entries[position] for position in rest)
        self._exact_ready: dict[bytes, tuple[T, ...]] = {}
        self._suffixes_ready: dict[bytes, tuple[T, ...]] = {}
        self._held = 0
        self._bound = bound

    def candidates(self, host: bytes) -> tuple[T, ...]:
        """The entries that an exchange for ``host`` may match, in order."""
        found = self._exact_ready.get(host)
        return self._find(host) if found is None else found

    def names(self) -> Iterable[bytes]:
        """The exact names that entries are for."""
        return self._exact

    def _find(self, host: bytes) -> tuple[T, ...]:
        exact = self._exact.get(host)
        label, _, suffix = host.partition(b".")
        wild = self._suffixes.get(suffix, ()) if label else ()
        if exact is not None:
            return self._merged(self._exact_ready, host, (*exact, *wild))
        if not wild:
            return self._rest[1]
        # Kept by suffix: any number of hosts share the answer.
        found = self._suffixes_ready.get(suffix)
        return self._merged(self._suffixes_ready, suffix, wild) if found is None else found

    def _merged(
        self, ready: dict[bytes, tuple[T, ...]], key: bytes, positions: Iterable[int]
    ) -> tuple[T, ...]:
        together = sorted({*positions, *self._rest[0]})
        found = tuple(self._entries[position] for position in together)
        if self._held + len(found) > self._bound:
            self._exact_ready.clear()
            self._suffixes_ready.clear()
            self._held = 0
        if len(found) <= self._bound:
            self._held += len(found)
            ready[key] = found
        return found
