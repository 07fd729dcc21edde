"""Names of servers, with a resolver that answers when it is told to and a loop whose clock stands still."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest

from dynbalancer.proxy import names
from dynbalancer.proxy.names import (
    FRESH,
    MOST,
    PATIENCE,
    THREADS,
    Names,
    connect_by_name,
    first_address,
    in_thread,
    is_address,
    names_of,
    system_addresses,
)

NO_SUCH_NAME = socket.gaierror(socket.EAI_NONAME, "no such name")
NO_ANSWER = socket.gaierror(socket.EAI_AGAIN, "no answer")


class Loop(asyncio.SelectorEventLoop):
    """One whose time is ``now``."""

    now = 100.0

    def time(self) -> float:
        return self.now

    def turn(self) -> None:
        """Let what is due happen."""
        for _ in range(6):
            self.call_soon(self.stop)
            self.run_forever()

    def asked(self, question: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """What becomes of a coroutine, as far as it gets at once."""
        task = self.create_task(question)
        self.turn()
        return task


class Resolver:
    """Looks up by ``says``, in ``threads`` that run when :meth:`answer` is called."""

    def __init__(self) -> None:
        self.says: dict[str, Sequence[str] | OSError] = {}
        self.asked: list[str] = []
        self.threads: list[Callable[[], None]] = []

    def look_up(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        found = self.says[host]
        if isinstance(found, OSError):
            raise found
        return found

    def answer(self) -> None:
        """All lookups that run come to their end."""
        threads, self.threads = self.threads, []
        for thread in threads:
            thread()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def resolver() -> Resolver:
    return Resolver()


@pytest.fixture
def known(loop: Loop, resolver: Resolver) -> Names:
    """Names that know where a.example is, since just now."""
    made = names._of_loops[loop] = Names(
        loop, resolver.look_up, lambda thread: resolver.threads.append(thread)
    )
    resolver.says["a.example"] = ("192.0.2.1",)
    asked = loop.asked(made.addresses("a.example"))
    assert not asked.done()
    resolver.answer()
    loop.turn()
    assert asked.result() == ("192.0.2.1",)
    return made


def test_name_is_not_looked_up_again_at_once(loop: Loop, resolver: Resolver, known: Names) -> None:
    assert loop.asked(known.addresses("a.example")).result() == ("192.0.2.1",)
    assert resolver.asked == ["a.example"]


def test_server_that_moved_is_found_by_the_next_connection(
    loop: Loop, resolver: Resolver, known: Names
) -> None:
    resolver.says["a.example"] = ("192.0.2.2",)
    loop.now += FRESH
    asked = loop.asked(known.addresses("a.example"))
    assert not asked.done()
    resolver.answer()
    loop.turn()
    assert asked.result() == ("192.0.2.2",)


def test_last_address_stays_while_a_lookup_hangs(loop: Loop, resolver: Resolver, known: Names) -> None:
    loop.now += FRESH
    first = loop.asked(known.addresses("a.example"))
    loop.now += PATIENCE
    loop.turn()
    assert first.result() == ("192.0.2.1",)
    # Nobody waits for it a second time, and there is no second lookup.
    assert loop.asked(known.addresses("a.example")).result() == ("192.0.2.1",)
    assert len(resolver.threads) == 1


def test_last_address_stays_where_the_name_server_fails(loop: Loop, resolver: Resolver, known: Names) -> None:
    resolver.says["a.example"] = NO_ANSWER
    loop.now += FRESH
    asked = loop.asked(known.addresses("a.example"))
    resolver.answer()
    loop.turn()
    assert asked.result() == ("192.0.2.1",)


def test_name_that_is_gone_has_no_address_any_more(loop: Loop, resolver: Resolver, known: Names) -> None:
    resolver.says["a.example"] = NO_SUCH_NAME
    loop.now += FRESH
    asked = loop.asked(known.addresses("a.example"))
    resolver.answer()
    loop.turn()
    assert str(asked.exception()) == str(NO_SUCH_NAME)
    # For a moment that is not asked again.
    assert loop.asked(known.addresses("a.example")).exception() is not None
    assert resolver.threads == []
    resolver.says["a.example"] = ("192.0.2.9",)
    loop.now += FRESH
    asked = loop.asked(known.addresses("a.example"))
    resolver.answer()
    loop.turn()
    assert asked.result() == ("192.0.2.9",)


def test_connections_to_a_new_name_wait_for_one_lookup(loop: Loop, resolver: Resolver, known: Names) -> None:
    resolver.says["b.example"] = ("192.0.2.3",)
    asked = [loop.asked(known.addresses("b.example")) for _ in range(3)]
    asked[0].cancel()
    loop.turn()
    resolver.answer()
    loop.turn()
    assert [one.result() for one in asked[1:]] == [("192.0.2.3",)] * 2
    assert resolver.asked == ["a.example", "b.example"]


def test_names_that_hang_leave_the_others_their_addresses(
    loop: Loop, resolver: Resolver, known: Names
) -> None:
    hanging = [loop.asked(known.addresses(f"{i}.example")) for i in range(THREADS + 1)]
    assert len(resolver.threads) == THREADS
    loop.now += FRESH
    asked = loop.asked(known.addresses("a.example"))
    loop.now += PATIENCE
    loop.turn()
    assert asked.result() == ("192.0.2.1",)
    resolver.says.update({f"{i}.example": ("192.0.2.4",) for i in range(THREADS + 1)})
    while resolver.threads:
        resolver.answer()
        loop.turn()
    assert {one.result() for one in hanging} == {("192.0.2.4",)}


def test_names_that_nobody_needs_any_more_are_forgotten(loop: Loop, resolver: Resolver, known: Names) -> None:
    for i in range(MOST):
        known._met(f"{i}.example")
    assert len(known._known) == MOST
    assert "a.example" not in known._known


def test_lookup_that_ends_after_the_loop_is_nobodys_business(resolver: Resolver) -> None:
    loop = Loop()
    resolver.says["a.example"] = ("192.0.2.1",)
    asked = loop.asked(Names(loop, resolver.look_up, resolver.threads.append).addresses("a.example"))
    asked.cancel()
    loop.turn()
    loop.close()
    resolver.answer()
    assert resolver.asked == ["a.example"]


@pytest.mark.parametrize(
    "host, expected",
    [("192.0.2.1", True), ("2001:db8::1", True), ("fe80::1%eth0", True), ("a.example", False), ("1", False)],
)
def test_addresses_are_not_looked_up(host: str, expected: bool) -> None:
    assert is_address(host) is expected


def test_system_is_asked_for_addresses_and_each_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (2, 1, 6, "", ("192.0.2.1", 0)),
        (2, 1, 6, "", ("192.0.2.2", 0)),
        (2, 1, 6, "", ("192.0.2.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **how: found)
    assert system_addresses("a.example") == ("192.0.2.1", "192.0.2.2")


def test_what_can_be_no_name_is_none() -> None:
    with pytest.raises(socket.gaierror):
        system_addresses("a" * 70 + ".example")


def test_thread_is_not_waited_for_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []

    class Thread:
        def __init__(self, **about: Any) -> None:
            self.about = about

        def start(self) -> None:
            begun.append(self.about)

    monkeypatch.setattr(names, "Thread", Thread)
    in_thread(print)
    assert begun == [{"target": print, "name": "names", "daemon": True}]


def test_names_belong_to_their_loop(loop: Loop) -> None:
    assert names_of(loop) is names_of(loop)
    other = Loop()
    assert names_of(other) is not names_of(loop)
    other.close()


class Servers:
    """Connects; ``down`` are addresses that refuse, and how."""

    def __init__(self) -> None:
        self.tried: list[str] = []
        self.down: dict[str, OSError] = {}

    async def connect_to(self, address: str) -> None:
        self.tried.append(address)
        if address in self.down:
            raise self.down[address]


@pytest.mark.parametrize(
    "down, tried, raised",
    [
        ({}, ["192.0.2.1"], None),
        ({"192.0.2.1": ConnectionRefusedError()}, ["192.0.2.1", "192.0.2.2"], None),
        (
            {"192.0.2.1": ConnectionRefusedError(), "192.0.2.2": TimeoutError()},
            ["192.0.2.1", "192.0.2.2"],
            TimeoutError,
        ),
        ({"192.0.2.1": ssl.SSLError("bad certificate")}, ["192.0.2.1"], ssl.SSLError),
    ],
)
def test_addresses_of_a_name_are_tried_in_order(
    loop: Loop,
    resolver: Resolver,
    known: Names,
    down: dict[str, OSError],
    tried: list[str],
    raised: type[OSError] | None,
) -> None:
    servers = Servers()
    servers.down = down
    resolver.says["b.example"] = ("192.0.2.1", "192.0.2.2")
    asked = loop.asked(connect_by_name(loop, "b.example", servers.connect_to))
    resolver.answer()
    loop.turn()
    assert servers.tried == tried
    assert (raised is None and asked.exception() is None) or type(asked.exception()) is raised


def test_address_is_connected_to_as_it_is(loop: Loop, resolver: Resolver, known: Names) -> None:
    servers = Servers()
    loop.asked(connect_by_name(loop, "192.0.2.8", servers.connect_to))
    assert servers.tried == ["192.0.2.8"]
    assert resolver.asked == ["a.example"]


def test_first_address_of_a_name(loop: Loop, known: Names) -> None:
    assert loop.asked(first_address(loop, "a.example")).result() == "192.0.2.1"
