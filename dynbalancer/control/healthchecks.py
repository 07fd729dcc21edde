"""Active health checks: servers are asked how they are, and those that don't pass get no requests.

All of them are asked by the parent, whatever the number of workers; the workers learn the result with the routing
table, as they learn of a server that left. Of a table only what changed is sent and compiled.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from random import random
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from dynbalancer.core import model
from dynbalancer.core.health import (
    ASKED,
    FAMILIES,
    AnyService,
    Key,
    Question,
    Standing,
    fault,
    key_of,
    outage,
    question_of,
    wait_after,
)
from dynbalancer.core.layered import moved
from dynbalancer.errors import DynbalancerError, UpstreamError, printable
from dynbalancer.interfaces import IHealth

if TYPE_CHECKING:
    from dynbalancer.control.router import RouterService
    from dynbalancer.core.table import RoutingTable

#: Fires with a status, or fails with an UpstreamError. It can be cancelled.
Ask = Callable[[Question], Deferred[int]]

#: How many servers are asked at a time. The others wait for their turn.
MOST = 64

#: Servers that are new together are asked this far apart, in seconds, and within this much of their interval.
APART = 0.005
EARLY = 0.5

#: Results are put in force at once, then so many seconds later all that came meanwhile.
BATCH = 0.05


#: A service: its family, and its name.
Home = tuple[str, str]


class Watch:
    """One server, and when it is asked."""

    __slots__ = ("asked", "asking", "check", "due", "home", "key", "question", "queued", "standing")

    def __init__(
        self, home: Home, key: Key, check: model.HealthCheck, question: Question, standing: Standing
    ) -> None:
        self.home = home
        self.key = key
        self.check = check
        self.question = question
        self.standing = standing
        self.asked = 0.0
        self.asking: Deferred[int] | None = None
        self.due: IDelayedCall | None = None
        self.queued = False


@implementer(IHealth)
class HealthChecks(Service):
    """Follows the services of ``router`` and tells it which of their servers don't pass.

    A server keeps its state and its turn over every change that leaves it and its check as they were. A new one counts
    as up until it fails, and is asked at once.
    """

    name = "health checks"
    _log = Logger()

    def __init__(
        self,
        router: RouterService,
        ask: Ask,
        reactor: Any,
        *,
        chance: Callable[[], float] = random,
        wall_time: Callable[[], float] = time.time,
    ) -> None:
        self._router = router
        self._ask = ask
        self._reactor = reactor
        self._chance = chance
        self._wall_time = wall_time
        self._services: dict[str, Mapping[str, AnyService]] = dict.fromkeys(FAMILIES, model.NOTHING)
        self._watches: dict[Key, Watch] = {}
        self._by_service: dict[Home, tuple[Key, ...]] = {}
        self._down: set[Key] = set()
        self._queue: deque[Watch] = deque()
        self._busy = 0
        self._causes: list[str] = []
        self._telling: IDelayedCall | None = None
        self._untold = False
        self._unsubscribe: Callable[[], None] = lambda: None

    def standing(self, service: str, url: str, instance: str) -> Standing | None:
        """How a server does; None where it is not checked."""
        watch = self._watches.get((service, url, instance))
        return None if watch is None else watch.standing

    def startService(self) -> None:
        """Ask the servers there are, and follow the router."""
        super().startService()
        self._unsubscribe = self._router.subscribe(self._router_changed)
        self._follow(self._router.said)

    def stopService(self) -> None:
        """Ask no more. What was found stays in force."""
        super().stopService()
        self._unsubscribe()
        for watch in self._queue:
            watch.queued = False
        self._queue.clear()
        for key in list(self._watches):
            self._forget(key)
        self._by_service.clear()
        self._services = dict.fromkeys(FAMILIES, model.NOTHING)
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    # Which servers there are.

    def _router_changed(self, old: RoutingTable, new: RoutingTable) -> None:
        self._follow(self._router.said)

    def _follow(self, said: model.Configuration) -> None:
        """Stop for servers that left, begin for those that came; of the others nothing changes."""
        fresh: list[Watch] = []
        moves = [self._follow_family(family, getattr(said, family), fresh) for family in FAMILIES]
        for number, watch in enumerate(fresh):
            latest = watch.check.interval * EARLY
            self._ask_in(watch, min(number * APART, latest * self._chance()))
        if any(moves):
            # Whoever left may have been the last one up, or down. This is heard while the router tells of its table.
            self._untold = True
            self._tell_later()

    def _follow_family(self, family: str, services: Mapping[str, AnyService], fresh: list[Watch]) -> bool:
        changed, gone = moved(self._services[family], services)
        self._services[family] = services
        for name in gone:
            for key in self._by_service.pop((family, name), ()):
                self._forget(key)
        for name in changed:
            self._follow_one((family, name), services[name], fresh)
        return bool(changed or gone)

    def _follow_one(self, home: Home, service: AnyService, fresh: list[Watch]) -> None:
        wanted: dict[Key, Question] = {}
        if service.health_check is not None:
            for server in service.servers:
                question = question_of(service, server) if server.state in ASKED else None
                if question is not None:
                    wanted[key_of(service, server)] = question
        for key in self._by_service.pop(home, ()):
            if key not in wanted:
                self._forget(key)
        if wanted:
            self._by_service[home] = tuple(wanted)
        for key, question in wanted.items():
            self._watch(home, key, service.health_check or model.HealthCheck(), question, fresh)

    def _watch(
        self, home: Home, key: Key, check: model.HealthCheck, question: Question, fresh: list[Watch]
    ) -> None:
        before = self._watches.get(key)
        if before is not None and (before.check, before.question) == (check, question):
            return
        standing = Standing(self._wall_time()) if before is None else before.standing
        if before is not None:
            self._stop(before)
        watch = self._watches[key] = Watch(home, key, check, question, standing)
        fresh.append(watch)

    def _forget(self, key: Key) -> None:
        self._stop(self._watches.pop(key))
        self._down.discard(key)

    def _stop(self, watch: Watch) -> None:
        if watch.due is not None:
            watch.due.cancel()
            watch.due = None
        if watch.queued:
            watch.queued = False
            self._queue.remove(watch)
        if watch.asking is not None:
            watch.asking.cancel()

    # Asking.

    def _ask_in(self, watch: Watch, seconds: float) -> None:
        watch.due = self._reactor.callLater(seconds, self._is_due, watch)

    def _is_due(self, watch: Watch) -> None:
        watch.due = None
        watch.queued = True
        self._queue.append(watch)
        self._ask_next()

    def _ask_next(self) -> None:
        while self._queue and self._busy < MOST:
            watch = self._queue.popleft()
            watch.queued = False
            watch.asked = self._reactor.seconds()
            self._busy += 1
            asking = watch.asking = self._ask(watch.question)
            heard = asking.addCallbacks(
                self._answered, self._failed, callbackArgs=(watch,), errbackArgs=(watch,)
            )
            heard.addErrback(lambda failure: self._log.failure("A health check could not be heard", failure))

    def _answered(self, status: int, watch: Watch) -> None:
        self._heard(watch, fault(watch.check, status) if watch.check.mode == "http" else "")

    def _failed(self, failure: Failure, watch: Watch) -> None:
        error = failure.value
        if failure.check(CancelledError):
            # It is not asked any more; somebody else may be.
            self._released(watch)
            return
        if not isinstance(error, DynbalancerError):
            self._log.failure("A health check failed", failure)
        self._heard(watch, error.why if isinstance(error, UpstreamError) and error.why else repr(error))

    def _released(self, watch: Watch) -> None:
        watch.asking = None
        self._busy -= 1
        self._ask_next()

    def _heard(self, watch: Watch, why: str) -> None:
        """A server answered, or didn't."""
        before, now = watch.standing, self._wall_time()
        watch.standing = before.after(printable(why), now)
        # A reactor's clock may be the wall clock: set back, it must not make anybody wait longer.
        spent = max(0.0, self._reactor.seconds() - watch.asked)
        self._ask_in(watch, wait_after(watch.standing, watch.check, spent, self._chance()))
        if watch.standing.up != before.up:
            self._changed(watch, before)
        elif why and why != before.why:
            # Nobody gets other requests for it, but it may be what explains an outage.
            self._tell_soon("")
        self._released(watch)

    def _changed(self, watch: Watch, before: Standing) -> None:
        service, url, _ = watch.key
        if watch.standing.up:
            self._down.discard(watch.key)
            self._log.info(
                "Server {url} of {service} passes its health check again, after {seconds:.0f} seconds",
                url=url,
                service=service,
                seconds=max(0.0, watch.standing.since - before.since),
            )
            self._tell_soon(f"server {url} passes its health check again")
            return
        self._down.add(watch.key)
        self._log.warn(
            "Server {url} of {service} fails its health check and gets no requests: {why}",
            url=url,
            service=service,
            why=watch.standing.why,
        )
        self._tell_soon(f"server {url} fails its health check ({watch.standing.why})")

    # Telling.

    def _tell_soon(self, cause: str) -> None:
        """Have it put in force: now, or with all that comes in a moment."""
        if cause:
            self._causes.append(cause)
        if self._telling is None:
            self._tell_later()
            self._tell()
        else:
            self._untold = True

    def _tell_later(self) -> None:
        if self._telling is None:
            self._telling = self._reactor.callLater(BATCH, self._told)

    def _told(self) -> None:
        self._telling = None
        if self._untold:
            self._tell_later()
            self._tell()

    def _tell(self) -> None:
        self._untold = False
        causes, self._causes = self._causes, []
        problems = []
        for family, name in sorted({self._watches[key].home for key in self._down}):
            standings = {key: self._watches[key].standing for key in self._by_service[family, name]}
            wrong = outage(self._services[family][name], standings)
            if wrong is not None:
                problems.append(wrong)
        self._router.judge(frozenset(self._down), tuple(problems), causes)
