"""Sticky cookies while requests go by: who is meant by one, and who is told to come back to whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dynbalancer.core.exchange import ResponseHead
from dynbalancer.core.model import Service, Sticky
from dynbalancer.core.stickiness import cookie_name, sent, set_cookie, understood
from dynbalancer.proxy.attending import Attendant

if TYPE_CHECKING:
    from dynbalancer.proxy.forwarding import Forwarding
    from dynbalancer.proxy.upstream import Upstream

T = TypeVar("T")


class Keeping(Generic[T]):
    """Keeps each client with the one of the ``targets`` (servers, or services) that its cookie means.

    ``choices`` gives targets, the best first. ``owners`` says by which target a server is reached.
    """

    __slots__ = ("_choices", "_cookie", "_meant", "_name", "_owners", "_values")

    def __init__(
        self,
        service: Service,
        sticky: Sticky,
        targets: Iterable[T],
        choices: Callable[[Any], Iterator[T]],
        owners: Mapping[Upstream, T],
    ) -> None:
        self._cookie = sticky
        self._name = cookie_name(service, sticky)
        self._choices = choices
        self._owners = owners
        self._meant: dict[bytes, T] = {}
        self._values: dict[T, bytes] = {}
        # Those that are up first: a server on its way out may have the URL of its successor.
        for target in sorted(targets, key=lambda one: not getattr(one, "up", True)):
            known = list(understood(target.name))  # type: ignore[attr-defined]
            self._values[target] = known[0]
            if target.weight > 0:  # type: ignore[attr-defined]
                for value in known:
                    self._meant.setdefault(value, target)

    def choices(self, exchange: Forwarding) -> Iterator[T]:
        """The one that the client's cookie means first, unless it can't be used; then the others."""
        value = sent(exchange.head.headers, self._name)
        exchange.attendants = (*exchange.attendants, _Kept(self, value))
        target = None if value is None else self._meant.get(value)
        if target is None or not getattr(target, "up", True):
            return self._choices(exchange)
        return self._beginning_with(target, exchange)

    def _beginning_with(self, first: T, exchange: Forwarding) -> Iterator[T]:
        yield first
        for target in self._choices(exchange):
            if target is not first:
                yield target

    def field(self, upstream: Upstream, value: bytes | None) -> bytes | None:
        """What is to be set where this server answers a client with a cookie of that value; None: nothing."""
        owner = self._owners.get(upstream)
        if owner is None or self._values[owner] == value:
            return None
        return set_cookie(self._cookie, self._name, self._values[owner])


class _Kept(Attendant):
    """Tells one client to come back."""

    __slots__ = ("_keeping", "_value")

    def __init__(self, keeping: Keeping[Any], value: bytes | None) -> None:
        self._keeping = keeping
        self._value = value

    def answered(self, exchange: Forwarding, head: ResponseHead) -> bool:
        field = self._keeping.field(exchange.server, self._value)
        if field is not None:
            head.headers.add(b"Set-Cookie", field)
        return False
