"""The provider: follows one Docker engine and publishes the routing that its containers' labels ask for.

All of this runs in the reactor's thread; :mod:`~dynbalancer_docker.watching` keeps what blocks in threads of its
own, and :mod:`~dynbalancer_docker.inventory` decides what an event or a look changes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from dynbalancer.core.labels.constraints import Constraints
from dynbalancer.core.labels.containers import Defaults
from dynbalancer.core.labels.reader import Reader
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.interfaces import IProvider
from dynbalancer_docker.engine import Engine, access_of, endpoint_of
from dynbalancer_docker.events import Event
from dynbalancer_docker.inventory import Inventory
from dynbalancer_docker.own import host_address, own_ids, placed
from dynbalancer_docker.reading import Row, Seen
from dynbalancer_docker.reasons import EngineError
from dynbalancer_docker.watching import Backoff, Caller, Follower, Stream

# All in seconds.
TOGETHER = 0.02  #: Events this near to each other are one look.
STEADY = 5.0  #: An event stream that lived this long was a success.
OPENING = 15.0  #: Time to open one.
DOUBT = 1.0  #: After that an unexpectedly empty list is asked for again.
LATE = 2.0  #: A change that a list shows is given this time to be announced by an event too.
ENDING = 3.0  #: Time for threads to end.
REST = 4.0  #: Times as long as publishing took, nothing is published; it bounds what a storm of stops costs …
REST_AT_MOST = 0.2  #: … but never longer than this.


class IsEngine(Protocol):
    """What is asked of an engine; all of it blocks."""

    @property
    def api_version(self) -> str: ...
    @property
    def address(self) -> str: ...
    def list_containers(self) -> tuple[tuple[Row, ...], tuple[Problem, ...]]: ...
    def inspect(self, ids: Iterable[str]) -> Mapping[str, Seen | Problem | None]: ...
    def events(self) -> Stream: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Means:
    """How the provider reaches the world; tests put others in."""

    connect: Callable[[], IsEngine]
    caller: Callable[[], Any]
    follower: Callable[[Callable[[], Stream], Any], Any]
    own_ids: Callable[[], tuple[str, ...]] = own_ids
    host_address: Callable[[], str] = host_address
    random: Callable[[], float] = random.random


def make_provider(settings: Mapping[str, Any], sink: Any, reactor: Any) -> DockerProvider:
    """The provider for these options. Raises ConfigurationError where they can't work."""
    if settings.get("swarmmode"):
        raise ConfigurationError(
            "option docker.swarmmode",
            "Swarm services are not supported in this version yet",
            "without it, the containers of this one engine are routed",
        )
    seconds = float(settings.get("refreshseconds", 15.0))
    if not 0 < seconds < 86400:
        raise ConfigurationError(
            "option docker.refreshseconds", "has to be above 0 and below 86400", "try 15"
        )
    endpoint = endpoint_of(settings.get("endpoint", ""), os.environ, access_of(settings))
    means = Means(
        connect=lambda: Engine(endpoint),
        caller=lambda: Caller(reactor, "docker-calls"),
        follower=lambda open_stream, listener: Follower(reactor, open_stream, listener, "docker-events"),
    )
    defaults = Defaults(
        exposed_by_default=bool(settings.get("exposedbydefault", True)),
        network=settings.get("network", ""),
        domain=settings.get("domain", ""),
        default_rule=settings.get("defaultrule", ""),
        use_bind_port_ip=bool(settings.get("usebindportip", False)),
        keep_trailing_slash=bool(settings.get("keeptrailingslash", False)),
        one_offs=bool(settings.get("oneoffs", False)),
        default_rule_syntax=settings.get("defaultrulesyntax", "") or "v3",
        constraints=_constraints(settings.get("constraints", "")),
    )
    watch = bool(settings.get("watch", True))
    return DockerProvider(defaults, sink, reactor, means, watch=watch, refresh_seconds=seconds)


def _constraints(text: str) -> Constraints:
    try:
        return Constraints.of(text)
    except ConfigurationError as error:
        raise ConfigurationError("option docker.constraints", error.why, error.hint) from None


@implementer(IProvider)
class DockerProvider(Service):
    """Follows an engine: events first, then a full list, then events; reconnects for ever."""

    name = "docker"
    _log = Logger()

    def __init__(
        self,
        defaults: Defaults,
        sink: Any,
        reactor: Any,
        means: Means,
        *,
        watch: bool = True,
        refresh_seconds: float = 15.0,
    ) -> None:
        self._defaults = defaults
        self._sink = sink
        self._reactor = reactor
        self._means = means
        self._watch = watch
        self._refresh_seconds = refresh_seconds
        self._backoff = Backoff(means.random)
        self._inventory = Inventory()
        self._reader = Reader()
        self._list_problems: tuple[Problem, ...] = ()
        self._own_ids: tuple[str, ...] = ()
        self._host = ""
        self._caller: Any = None
        self._engine: IsEngine | None = None
        self._follower: Any = None
        self._ending: set[Deferred[None]] = set()
        self._timers: dict[str, IDelayedCall] = {}
        self._connecting = self._reading = False
        self._list_due = self._listed = self._doubted = False
        self._touched: set[str] = set()
        self._opened_at: float | None = None
        self._heard_at = 0.0
        self._fresh = False
        self._reason = ""
        self._unsaid: list[str] = []
        self._rest_until = 0.0
        self._asked: list[Deferred[None]] = []
        self._served: list[Deferred[None]] = []

    # Life

    def startService(self) -> None:
        """Start the threads and connect."""
        super().startService()
        self._own_ids = self._means.own_ids()
        self._host = self._means.host_address()
        self._caller = self._means.caller()
        self._caller.start()
        self._connect()

    def stopService(self) -> Deferred[None]:
        """Close the connection and end the threads; fires when they are over, or after three seconds."""
        super().stopService()
        self._disconnect()
        for name in list(self._timers):
            self._cancel(name)
        self._answer()
        if self._caller is not None:
            self._ends(self._caller.stop())
            self._caller = None
        ended: Deferred[Any] = DeferredList(list(self._ending), consumeErrors=True)
        # An engine that hangs keeps a thread for as long as its request may take: not waited for.
        ended.addTimeout(ENDING, self._reactor, onTimeoutCancel=lambda _result, _seconds: None)
        return ended.addCallback(lambda _: None)

    def refresh(self) -> Deferred[None]:
        """Read the full list now. Fires with None once it was published or the engine reported lost."""
        if not self.running:
            return succeed(None)
        asked: Deferred[None] = Deferred()
        self._asked.append(asked)
        if self._engine is not None:
            self._list_now()
        else:
            self._connect()
        return asked

    # The connection

    def _connect(self) -> None:
        self._cancel("connect")
        if self.running and not self._connecting:
            self._connecting = True
            self._run(self._connected())

    async def _connected(self) -> None:
        try:
            engine = await self._caller.call(self._means.connect)
        except Exception as error:
            self._connecting = False
            self._failed(error)
            return
        self._connecting = False
        if not self.running:
            engine.close()
            return
        self._engine = engine
        self._listed = False
        self._log.info(
            "Docker engine at {address}, API {api}", address=engine.address, api=engine.api_version
        )
        if not self._watch:
            self._list_now()
            return
        self._later("opening", OPENING, self._not_opened)
        self._follower = self._means.follower(engine.events, self)
        self._follower.start()

    def _disconnect(self) -> None:
        for name in ("opening", "look", "list", "late"):
            self._cancel(name)
        self._touched.clear()
        self._list_due = False
        follower, self._follower = self._follower, None
        engine, self._engine = self._engine, None
        if follower is not None:
            self._ends(follower.stop())
        if engine is not None:
            engine.close()

    def _not_opened(self) -> None:
        address = self._engine.address if self._engine else ""
        self._failed(EngineError(f"the Docker engine at {address} does not send events"))

    def _failed(self, error: Exception) -> None:
        """The engine can't be read: say so once for each reason, and try again."""
        if not self.running:
            return
        if isinstance(error, EngineError):
            reason = error.reason
        else:
            reason = f"a fault in the Docker provider: {error!r}"
            self._log.failure("A fault in the Docker provider; it starts over", failure=Failure(error))
        self._disconnect()
        if self._unsaid:
            self._publish()
        self._fresh = False
        if reason != self._reason:
            self._reason = reason
            self._sink.lost(reason)
        self._answer()
        self._again()

    def _again(self) -> None:
        now = self._reactor.seconds()
        if self._opened_at is not None and now - self._opened_at >= STEADY:
            self._backoff.reset()
        self._opened_at = None
        self._later("connect", self._backoff.next(), self._connect)

    # Events

    def stream_opened(self) -> None:
        """From now on nothing is missed: read the list."""
        self._cancel("opening")
        self._opened_at = self._reactor.seconds()
        self._list_now()

    def stream_ended(self, why: Exception | None) -> None:
        """Open another one. An end without an error is a restart or a proxy's time limit: no alarm yet."""
        if why is not None or self._opened_at is None:
            self._failed(why or EngineError("the Docker engine ended its event stream at once"))
            return
        self._disconnect()
        self._again()

    def stream_event(self, event: Event) -> None:
        """Believe a stop at once; look at anything else a moment later."""
        self._heard_at = self._reactor.seconds()
        change = self._inventory.note(event, self._heard_at)
        if event.action not in ("kill", "destroy"):
            self._touched.add(event.id)
            if "look" not in self._timers:
                self._later("look", TOGETHER, self._wake)
        self._say([change])
        self._arm()

    def _arm(self) -> None:
        """Be there when a container that was told to stop should long have stopped."""
        deadline = self._inventory.deadline()
        if deadline is not None:
            self._later("drain", max(0.0, deadline - self._reactor.seconds()), self._undrain)

    def _undrain(self) -> None:
        # While the engine is away nobody knows whether it stopped; the next list comes back here.
        if self._engine is not None:
            change = self._inventory.undrain(self._reactor.seconds())
            self._say([change])
            self._arm()

    # Reading

    def _list_now(self) -> None:
        self._list_due = True
        self._wake()

    def _wake(self) -> None:
        if self._engine is not None and not self._reading and (self._list_due or self._touched):
            self._reading = True
            self._run(self._read(self._engine))

    async def _read(self, engine: IsEngine) -> None:
        """Read until there is nothing left to read, or the connection is another one."""
        try:
            while self._engine is engine and (self._list_due or self._touched):
                if self._list_due:
                    await self._read_list(engine)
                else:
                    await self._read_touched(engine)
        except Exception as error:
            if self._engine is engine:
                self._failed(error)
        finally:
            self._reading = False
        self._wake()

    async def _read_touched(self, engine: IsEngine) -> None:
        touched, self._touched = self._touched, set()
        self._cancel("look")
        found = await self._caller.call(engine.inspect, tuple(touched))
        if self._engine is not engine:
            return
        self._say(self._take(found))
        self._arm()

    async def _read_list(self, engine: IsEngine) -> None:
        began = self._reactor.seconds()
        self._list_due = False
        self._served, self._asked = self._served + self._asked, []
        rows, problems = await self._caller.call(engine.list_containers)
        if self._engine is not engine:
            return
        if not rows and len(self._inventory) and not self._doubted:
            # No event said so: an engine that is just starting shows nothing yet.
            self._doubted = True
            self._later("list", DOUBT, self._list_now)
            return
        self._doubted = False
        difference = self._inventory.difference(rows)
        found = await self._caller.call(engine.inspect, difference.look) if difference.look else {}
        if self._engine is not engine:
            return
        unannounced = bool(difference.ids - self._touched)
        changes = list(filter(None, [*map(self._inventory.drop, difference.gone), *self._take(found)]))
        self._inventory.remember(rows, difference.look)
        if self._listed and changes and unannounced:
            self._later("late", LATE, lambda: self._check_stream(began))
        self._taken_over(changes, problems)

    def _taken_over(self, changes: list[str], problems: tuple[Problem, ...]) -> None:
        """The inventory is as the list says: publish, answer those who asked, and come again."""
        if not self._fresh:
            changes = [f"read {len(self._inventory)} containers"]
        elif self._served and not changes:
            changes = ["asked to read again"]
        if changes or problems != self._list_problems:
            self._list_problems = problems
            self._fresh = True
            self._unsaid += changes or ["the engine's list of containers"]
            self._publish()
        self._listed = True
        self._answer(self._served)
        self._served = []
        self._arm()
        if self._watch:
            self._later("list", self._refresh_seconds, self._list_now)
        elif not self._list_due:
            self._disconnect()

    def _take(self, found: Mapping[str, Seen | Problem | None]) -> list[str]:
        now = self._reactor.seconds()
        changes = []
        for id, one in found.items():
            if isinstance(one, Problem):
                changes.append(self._inventory.put_problem(id, one))
            else:
                changes.append(self._inventory.put(id, one, now))
        return changes

    def _check_stream(self, began: float) -> None:
        """A list showed changes that no event announced, and still none has: that stream is dead."""
        if self._heard_at < began:
            self._log.warn(
                "The event stream of the Docker engine is silent though things change; opening another"
            )
            self._disconnect()
            self._again()

    def _say(self, changes: Iterable[str]) -> None:
        """Publish these changes now, or with others after a rest."""
        changes = list(filter(None, changes))
        if not changes or not self._fresh:
            return
        self._unsaid += changes
        if "publish" not in self._timers:
            rest = self._rest_until - self._reactor.seconds()
            if rest > 0:
                self._later("publish", rest, self._publish)
            else:
                self._publish()

    def _publish(self) -> None:
        self._cancel("publish")
        changes, self._unsaid = self._unsaid, []
        began = self._reactor.seconds()
        place = placed(self._defaults, self._inventory, self._own_ids, self._host)
        configuration = self._reader.read(self._inventory.containers(), place)
        problems = (*configuration.problems, *self._inventory.problems, *self._list_problems)
        self._reason = ""
        self._sink.publish(replace(configuration, problems=problems), _in_words(changes))
        ended = self._reactor.seconds()
        self._rest_until = ended + min(REST_AT_MOST, REST * (ended - began))

    # Small things

    def _answer(self, asked: list[Deferred[None]] | None = None) -> None:
        """Fire the Deferreds of these refreshes, or of all."""
        if asked is None:
            asked = self._served + self._asked
            self._served, self._asked = [], []
        for one in asked:
            one.callback(None)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(
            lambda failure: self._log.failure("A fault in the Docker provider", failure=failure)
        )

    def _ends(self, ended: Deferred[None]) -> None:
        """Something that takes time to end; stopService waits for it."""
        self._ending.add(ended)
        ended.addBoth(lambda _: self._ending.discard(ended))

    def _later(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        self._cancel(name)

        def now() -> None:
            del self._timers[name]
            what()

        self._timers[name] = self._reactor.callLater(seconds, now)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _in_words(changes: list[str]) -> str:
    """The first three, and how many more."""
    more = len(changes) - 3
    return ", ".join(changes[:3]) + (f" and {more} more" if more > 0 else "")
