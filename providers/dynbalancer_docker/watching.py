"""Private threads for a client that blocks: one to ask, one to listen. They report in the reactor's thread.

The reactor's own pool is not used: it also looks up host names, and an event stream would hold one of its threads
for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from dynbalancer_docker.events import Event

P = ParamSpec("P")
T = TypeVar("T")


class Stream(Protocol):
    """Events until :meth:`close`, which may be called from any thread."""

    def __iter__(self) -> Any: ...
    def close(self) -> None: ...


class Listener(Protocol):
    """Who wants to know of events; called in the reactor's thread."""

    def stream_opened(self) -> None: ...
    def stream_event(self, event: Event) -> None: ...
    def stream_ended(self, why: Exception | None) -> None: ...


class Caller:
    """Calls blocking functions one after the other, in one thread of its own."""

    def __init__(self, reactor: Any, name: str) -> None:
        self._reactor = reactor
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self.stopped: Deferred[None] = Deferred()

    def start(self) -> None:
        """Begin; calls made before are waiting."""
        self._thread.start()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """A Deferred with what ``function`` returns or raises."""
        result: Deferred[T] = Deferred()

        def work() -> None:
            try:
                value = function(*args, **kwargs)
            except Exception:
                self._reactor.callFromThread(result.errback, Failure())
            else:
                self._reactor.callFromThread(result.callback, value)

        self._waiting.put(work)
        return result

    def stop(self) -> Deferred[None]:
        """End after the calls that are waiting; fires when the thread is over."""
        self._waiting.put(None)
        return self.stopped

    def _work(self) -> None:
        while (work := self._waiting.get()) is not None:
            work()
        self._reactor.callFromThread(self.stopped.callback, None)


class Follower:
    """Opens one event stream in a thread of its own and passes on what comes, until it ends."""

    def __init__(
        self, reactor: Any, open_stream: Callable[[], Stream], listener: Listener, name: str
    ) -> None:
        self._reactor = reactor
        self._open = open_stream
        self._listener: Listener | None = listener
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self.stopped: Deferred[None] = Deferred()

    def start(self) -> None:
        """Open it."""
        self._thread.start()

    def stop(self) -> Deferred[None]:
        """Close it and say nothing more; fires when the thread is over."""
        self._listener = None
        if self._stream is not None:
            self._stream.close()
        return self.stopped

    def _work(self) -> None:
        why: Exception | None = None
        try:
            self._stream = self._open()
            self._tell("stream_opened")
            self._follow(self._stream)
        except Exception as error:
            why = error
        self._tell("stream_ended", why)
        self._reactor.callFromThread(self.stopped.callback, None)

    def _follow(self, stream: Iterable[Event]) -> None:
        if self._listener is None:
            # Stopped while it was being opened: nobody else will close it.
            self._close()
        for event in stream:
            self._tell("stream_event", event)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _tell(self, what: str, *args: object) -> None:
        self._reactor.callFromThread(self._told, what, args)

    def _told(self, what: str, args: tuple[object, ...]) -> None:
        if self._listener is not None:
            getattr(self._listener, what)(*args)


class Backoff:
    """How long to wait before the next try: 0.1 seconds, then twice as long each time up to 10, jittered."""

    def __init__(self, random: Callable[[], float], first: float = 0.1, most: float = 10.0) -> None:
        self._random = random
        self._first = first
        self._most = most
        self._next = first

    def reset(self) -> None:
        """It worked: begin again with the shortest."""
        self._next = self._first

    def next(self) -> float:
        """Seconds; between half and all of the nominal time, so that many clients don't come back as one."""
        delay = self._next
        self._next = min(self._most, delay * 2)
        return delay * (0.5 + self._random() / 2)
