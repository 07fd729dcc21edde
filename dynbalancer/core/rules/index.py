"""Finds the few entries that a host may concern, without looking at the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from dynbalancer.core.layered import Groups, Layered
from dynbalancer.core.rules.tree import Hosts


class Entry(Protocol):
    """What an index holds: entries are tried by ``order``, and have different names."""

    @property
    def name(self) -> str: ...

    @property
    def order(self) -> Any: ...


E = TypeVar("E", bound=Entry)
_By = Layered[bytes, tuple[E, ...]]

#: How many references the ready-made answers of one index may hold together.
BOUND = 1_000_000


class HostIndex(Generic[E]):
    """Entries by host: exact names, then one-label wildcards, then those for any host.

    It does not change; :meth:`draft` begins another that shares with it whatever stays. The answer for a host is put
    together when it is first asked for, and kept. What is kept is bounded by the hosts that are configured, never by
    those that clients send.
    """

    __slots__ = (
        *("_any", "_bound", "_exact", "_held", "_named", "_ready", "_ready_suffixes", "_rest", "_suffixes"),
    )

    def __init__(self, bound: int = BOUND) -> None:
        self._exact: _By[E] = Layered()
        self._suffixes: _By[E] = Layered()
        # Under one key.
        self._rest: _By[E] = Layered()
        #: Those for any host, and whether there are others.
        self._any: tuple[E, ...] = ()
        self._named = False
        self._ready: dict[bytes, tuple[E, ...]] = {}
        self._ready_suffixes: dict[bytes, tuple[E, ...]] = {}
        self._held = 0
        self._bound = bound

    def candidates(self, host: bytes) -> tuple[E, ...]:
        """The entries that an exchange for ``host`` may match, in order."""
        found = self._ready.get(host)
        return self._find(host) if found is None else found

    def names(self) -> Iterable[bytes]:
        """The exact names that entries are for."""
        return self._exact

    def draft(self) -> IndexDraft[E]:
        """To make the next one from."""
        return IndexDraft(self)

    def _find(self, host: bytes) -> tuple[E, ...]:
        if not self._named:
            return self._any
        exact = self._exact.get(host)
        label, _, suffix = host.partition(b".")
        wild = self._suffixes.get(suffix, ()) if label else ()
        if exact is not None:
            return self._together(self._ready, host, exact, wild)
        if not wild:
            return self._any
        # Kept by suffix: any number of hosts share the answer.
        found = self._ready_suffixes.get(suffix)
        return self._together(self._ready_suffixes, suffix, wild, ()) if found is None else found

    def _together(
        self, ready: dict[bytes, tuple[E, ...]], key: bytes, some: tuple[E, ...], others: tuple[E, ...]
    ) -> tuple[E, ...]:
        rest = self._any
        found = some
        if others or rest:
            found = tuple(sorted({*some, *others, *rest}, key=_order_of))
        if self._held + len(found) > self._bound:
            self._ready.clear()
            self._ready_suffixes.clear()
            self._held = 0
        if len(found) <= self._bound:
            self._held += len(found)
            ready[key] = found
        return found


class IndexDraft(Generic[E]):
    """An index on its way: entries come and go, and then it is :meth:`done`."""

    __slots__ = ("_before", "_exact", "_rest", "_suffixes")

    def __init__(self, before: HostIndex[E]) -> None:
        self._before = before
        self._exact: Groups[bytes, E] = Groups(before._exact, _name_of, _order_of)
        self._suffixes: Groups[bytes, E] = Groups(before._suffixes, _name_of, _order_of)
        self._rest: Groups[bytes, E] = Groups(before._rest, _name_of, _order_of)

    def add(self, hosts: Hosts | None, entry: E) -> None:
        """An entry for these hosts, None: for any."""
        if hosts is None:
            self._rest.add(b"", entry)
            return
        for name in hosts.exact:
            self._exact.add(name, entry)
        for suffix in hosts.suffixes:
            self._suffixes.add(suffix, entry)

    def remove(self, hosts: Hosts | None, entry: E) -> None:
        """Take an entry out that was put in for these hosts."""
        if hosts is None:
            self._rest.remove(b"", entry)
            return
        for name in hosts.exact:
            self._exact.remove(name, entry)
        for suffix in hosts.suffixes:
            self._suffixes.remove(suffix, entry)

    def closing(self) -> Iterator[None]:
        """Put things in order, a little at each step."""
        for groups in (self._exact, self._suffixes, self._rest):
            yield from groups.closing()

    def done(self) -> HostIndex[E]:
        """The index, after :meth:`closing`."""
        before = self._before
        if not (self._exact.open or self._suffixes.open or self._rest.open):
            return before
        made: HostIndex[E] = HostIndex(before._bound)
        made._exact, made._suffixes = self._exact.done(), self._suffixes.done()
        made._rest = self._rest.done()
        made._any = made._rest.get(b"", ())
        made._named = len(made._exact) + len(made._suffixes) > 0
        if not (self._suffixes.open or self._rest.open):
            self._hand_over(made)
        return made

    def _hand_over(self, made: HostIndex[E]) -> None:
        """The ready answers for other hosts are right still. Whoever asks the old index has them made again."""
        before = self._before
        made._ready, before._ready = before._ready, {}
        made._ready_suffixes, before._ready_suffixes = before._ready_suffixes, {}
        made._held, before._held = before._held, 0
        for host in self._exact.open:
            made._held -= len(made._ready.pop(host, ()))


def _name_of(entry: Entry) -> str:
    return entry.name


def _order_of(entry: Entry) -> Any:
    return entry.order
