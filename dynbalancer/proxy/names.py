"""Addresses of servers that have names: looked up beside the event loop, and kept.

The system's resolver blocks a thread for as long as it likes, tens of seconds where a name server is silent. The loop's
own few threads would all stand there soon, and every connection to any name would fail. So names have threads of their
own, one lookup of each at a time, and the last addresses hold until there are others.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from ipaddress import ip_address
from threading import Thread
from weakref import WeakKeyDictionary

#: A name is looked up anew by the first connection after so many seconds: servers move.
FRESH = 1.0

#: As long as that is waited for where there are addresses from before, in seconds. Most name servers need a hundredth.
PATIENCE = 0.2

#: So many lookups run at a time; a name that hangs keeps one of them.
THREADS = 10

#: So many names are kept.
MOST = 4096

#: There is no such name any more. What else fails says nothing of it.
_GONE = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))

#: Looks a name up; raises OSError. It may take its time.
LookUp = Callable[[str], Sequence[str]]


@lru_cache(MOST)
def is_address(host: str) -> bool:
    """Whether there is nothing to look up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def system_addresses(host: str) -> Sequence[str]:
    """What the system's resolver says, the best first. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "no name can look like this") from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def in_thread(function: Callable[[], None]) -> None:
    """Run it in a thread that nobody waits for, at the end of the process neither."""
    Thread(target=function, name="names", daemon=True).start()


class _Name:
    """What is known of one name. ``looking`` is done when the lookup at hand is."""

    __slots__ = ("addresses", "began", "error", "known_at", "looking")

    def __init__(self) -> None:
        self.addresses: Sequence[str] = ()
        self.error: OSError = socket.gaierror(socket.EAI_AGAIN, "not looked up yet")
        self.began = self.known_at = float("-inf")
        self.looking: asyncio.Future[None] | None = None


class Names:
    """The addresses of names, for all connections of one loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        look_up: LookUp = system_addresses,
        start: Callable[[Callable[[], None]], None] = in_thread,
    ) -> None:
        self._loop = loop
        self._look_up = look_up
        self._start = start
        self._known: dict[str, _Name] = {}
        self._running = 0
        self._queue: deque[Callable[[], None]] = deque()

    async def addresses(self, host: str) -> Sequence[str]:
        """The addresses of ``host``, at least one: new ones, or the last where those take long or can't be had.

        Raises OSError where there is no such name, or where nothing is known of it and it can't be looked up.
        """
        name = self._known.get(host) or self._met(host)
        now = self._loop.time()
        if name.looking is None and now - name.known_at >= FRESH:
            self._begin(host, name, now)
        if name.looking is not None:
            left = PATIENCE - (now - name.began) if name.addresses else None
            if left is None or left > 0:
                await asyncio.wait((name.looking,), timeout=left)
        if not name.addresses:
            raise OSError(*name.error.args)
        return name.addresses

    def _met(self, host: str) -> _Name:
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        name = self._known[host] = _Name()
        return name

    def _begin(self, host: str, name: _Name, now: float) -> None:
        name.began = now
        name.looking = self._loop.create_future()
        self._queue.append(partial(self._look, host, name))
        self._run()

    def _run(self) -> None:
        while self._queue and self._running < THREADS:
            self._running += 1
            self._start(self._queue.popleft())

    def _look(self, host: str, name: _Name) -> None:
        """In a thread."""
        found: Sequence[str] | OSError
        try:
            found = self._look_up(host)
        except OSError as error:
            found = error
        # The loop may be closed by now.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._looked, name, found)

    def _looked(self, name: _Name, found: Sequence[str] | OSError) -> None:
        self._running -= 1
        looking, name.looking = name.looking, None
        name.known_at = self._loop.time()
        if not isinstance(found, OSError):
            name.addresses = found
        else:
            name.error = found
            if found.errno in _GONE:
                # Another may have its address soon.
                name.addresses = ()
        if looking is not None and not looking.done():
            looking.set_result(None)
        self._run()


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Names] = WeakKeyDictionary()


def names_of(loop: asyncio.AbstractEventLoop) -> Names:
    """The names that all connections of a loop go by."""
    found = _of_loops.get(loop)
    if found is None:
        found = _of_loops[loop] = Names(loop)
    return found


async def connect_by_name(
    loop: asyncio.AbstractEventLoop, host: str, connect_to: Callable[[str], Awaitable[object]]
) -> None:
    """Connect to the first address of ``host`` that can be connected to. Raises the last one's OSError otherwise."""
    if is_address(host):
        await connect_to(host)
        return
    *others, last = await names_of(loop).addresses(host)
    for address in others:
        try:
            await connect_to(address)
        except ssl.SSLError:
            # It is there. The next one is the same server.
            raise
        except OSError:
            continue
        return
    await connect_to(last)


async def first_address(loop: asyncio.AbstractEventLoop, host: str) -> str:
    """The best address of ``host``. Raises OSError where it has none."""
    return (await names_of(loop).addresses(host))[0]
