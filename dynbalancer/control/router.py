"""The Router service: takes what providers say, and keeps the routing table that is in force.

Every published configuration is merged with what the other providers said, compiled, and put in force by one
assignment: whoever reads :attr:`RouterService.table` has either the old table or the new one, whole.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from dynbalancer.control.slices import Building
from dynbalancer.core import model
from dynbalancer.core.health import Key, Verdicts
from dynbalancer.core.merge import Merging, diff, only_removes_servers
from dynbalancer.core.model import Change, Configuration, ProviderStatus
from dynbalancer.core.streams import StreamService
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.interfaces import IConfigurationSink, IRouter

if TYPE_CHECKING:
    from dynbalancer.core.table import RoutingTable

    Compile = Callable[[Configuration, int, RoutingTable | None], RoutingTable]
    Listener = Callable[[RoutingTable, RoutingTable], object]

#: The provider of what entry points ask for.
PROVIDER = "internal"

#: How many changes are remembered, and how many causes are spelled out for one of them.
HISTORY = 100
CAUSES = 3


@implementer(IConfigurationSink)
class ProviderSink:
    """Where one provider says what it found. To be called in the reactor's thread."""

    def __init__(self, router: RouterService, name: str) -> None:
        self._router = router
        self._name = name

    def publish(self, configuration: Configuration, cause: str = "") -> None:
        """See :class:`~dynbalancer.interfaces.IConfigurationSink`."""
        self._router.published(self._name, configuration, cause)

    def lost(self, reason: str) -> None:
        """See :class:`~dynbalancer.interfaces.IConfigurationSink`."""
        self._router.source_lost(self._name, reason)


@implementer(IRouter)
class RouterService(Service):
    """The routing table in force, rebuilt when a provider publishes something else.

    ``compile_table(configuration, number, previous)`` makes a table of a merged configuration. The first
    change is in force at once; later ones wait until ``throttle`` seconds after the last, so that a storm
    costs one rebuild. What only takes servers out never waits: each moment of it is a request to somebody
    who is leaving.
    """

    name = "router"
    _log = Logger()

    def __init__(
        self,
        compile_table: Compile,
        clock: IReactorTime,
        *,
        throttle: float = 0.1,
        wall_time: Callable[[], float] = time.time,
        own: Configuration | None = None,
        complete: Callable[[Configuration], Configuration] = lambda configuration: configuration,
    ) -> None:
        """``own`` is there from the beginning, as what provider ``internal`` said.

        ``complete`` gets what a provider says, and adds what only we can read.
        """
        self._complete = complete
        self._compile = compile_table
        self._clock = clock
        self._throttle = throttle
        self._wall_time = wall_time
        self._statuses: dict[str, ProviderStatus] = {}
        self._merging = Merging()
        self._listeners: list[Listener] = []
        self._causes: list[str] = []
        self._delayed: IDelayedCall | None = None
        self._last_rebuild: float | None = None
        self._failure: Problem | None = None
        self._verdicts: Verdicts[model.Service] = Verdicts()
        self._tcp_verdicts: Verdicts[StreamService] = Verdicts()
        self._down: frozenset[Key] = frozenset()
        self._outages: tuple[Problem, ...] = ()
        #: What the providers say, merged, before health checks have a say in it.
        self.said = Configuration()
        self._stopped = False
        self.history: deque[Change] = deque(maxlen=HISTORY)
        if own is not None and own.routing != Configuration().routing:
            now = wall_time()
            self._statuses[PROVIDER] = ProviderStatus(PROVIDER, "fresh", now, now, "", complete(own))
        self.configuration = self._merged()
        self.table = compile_table(self.configuration, 0, None)
        found = [*self.configuration.problems, *self.table.problems]
        self.problems: tuple[Problem, ...] = tuple(dict.fromkeys(found))
        # Whoever starts us says what is wrong with the settings. What the first table lacks may be still to come.
        self._logged = frozenset(self.configuration.problems)

    @property
    def providers(self) -> tuple[ProviderStatus, ...]:
        """How each provider is doing, in the order they were added."""
        return tuple(self._statuses.values())

    def sink_for(self, name: str) -> ProviderSink:
        """Where provider ``name`` publishes. Raises ConfigurationError where that is no good name."""
        if not name or "@" in name:
            raise ConfigurationError(f"provider {name!r}", "the name must not be empty or contain '@'")
        if name in self._statuses:
            raise ConfigurationError(f"provider {name}", "there is a provider of this name already")
        self._statuses[name] = ProviderStatus(name, since=self._wall_time())
        return ProviderSink(self, name)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """See :class:`~dynbalancer.interfaces.IRouter`."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def startService(self) -> None:
        """Take what is published from now on."""
        super().startService()
        self._stopped = False

    def stopService(self) -> None:
        """Keep the table as it is; what is published after this is not heard."""
        self._stopped = True
        self._cancel_delayed()
        super().stopService()

    def published(self, name: str, configuration: Configuration, cause: str) -> None:
        """Provider ``name`` says its whole configuration."""
        if self._stopped:
            return
        configuration = self._complete(configuration)
        before, now = self._statuses[name], self._wall_time()
        since = before.since if before.state == "fresh" else now
        if before.state == "stale":
            self._log.info("Provider {provider} can be read again", provider=name)
        self._statuses[name] = ProviderStatus(name, "fresh", since, now, "", configuration)
        if configuration.routing != before.configuration.routing:
            self._causes.append(cause or f"provider {name} changed")
            self._rebuild_when_due(urgent=only_removes_servers(before.configuration, configuration))
        elif before.state != "fresh" or configuration != before.configuration:
            self._refresh_problems()

    def source_lost(self, name: str, reason: str) -> None:
        """Provider ``name`` can't read its source; what it said last stays in force."""
        before = self._statuses[name]
        if self._stopped or (before.state, before.reason) == ("stale", reason):
            return
        since = before.since if before.state == "stale" else self._wall_time()
        self._statuses[name] = replace(before, state="stale", since=since, reason=reason)
        self._refresh_problems()

    def judge(self, down: frozenset[Key], outages: tuple[Problem, ...], causes: Iterable[str]) -> None:
        """Of all servers, these don't pass their health checks: they get no requests, whatever providers say of them.

        ``outages`` are the problems that come of it. That a server is down is in force at once.
        """
        if self._stopped or (down, outages) == (self._down, self._outages):
            return
        before, self._down, self._outages = self._down, down, outages
        if down == before:
            self._refresh_problems()
            return
        self._causes.extend(causes)
        self._rebuild_when_due(urgent=not down <= before)

    def _rebuild_when_due(self, *, urgent: bool) -> None:
        wait = 0.0 if urgent else self._time_to_wait()
        if wait <= 0:
            self._rebuild()
        elif self._delayed is None:
            self._delayed = self._clock.callLater(wait, self._rebuild)

    def _time_to_wait(self) -> float:
        if self._last_rebuild is None:
            return 0.0
        since = self._clock.seconds() - self._last_rebuild
        # A reactor's clock may be the wall clock: set back by an hour it must not stop changes for an hour.
        return self._throttle - since if since >= 0 else self._throttle

    def _rebuild(self) -> None:
        self._cancel_delayed()
        merged = self._merged()
        causes, self._causes = self._causes, []
        if merged.routing == self.configuration.routing:
            # Something came and went while the change waited, or a failed table was taken back.
            self._failure = None
            self._refresh_problems()
            return
        old_table, started = self.table, self._clock.seconds()
        table = self._compiled(merged)
        self._last_rebuild = self._clock.seconds()
        if table is None:
            self._refresh_problems()
            return
        old, self.configuration, self.table = self.configuration, merged, table
        self._remember(old, causes, max(0.0, self._last_rebuild - started))
        self._update_problems(merged.problems)
        self._tell(old_table)

    def _compiled(self, configuration: Configuration) -> RoutingTable | None:
        number = self.table.number + 1
        building, table = Building(), None
        building.begin()
        try:
            table = self._compile(configuration, number, self.table)
        except ConfigurationError as error:
            self._failure = error.as_problem()
            return None
        except Exception as error:
            # This is a bug, ours or a plugin's. Serving goes on with the last good table.
            self._log.failure(
                "Table {number} could not be built; the one before stays in force", number=number
            )
            self._failure = Problem(
                f"routing table {number}", f"could not be built ({error!r}); the one before stays in force"
            )
            return None
        finally:
            building.end(0 if table is None else table.changes)
        self._failure = None
        return table

    def _remember(self, old: Configuration, causes: Sequence[str], seconds: float) -> None:
        difference = diff(old, self.configuration)
        change = Change(
            self.table.number,
            self._wall_time(),
            joined(causes),
            difference.added,
            difference.removed,
            difference.changed,
            seconds,
        )
        self.history.append(change)
        self._log.info(
            "Table {number}: {added} added, {removed} removed, {changed} changed; {cause}",
            number=change.number,
            added=len(change.added),
            removed=len(change.removed),
            changed=len(change.changed),
            cause=change.cause,
        )

    def _refresh_problems(self) -> None:
        """Take over what changed beside the routing: problems, items, states of providers."""
        merged = self._merged()
        self.configuration = replace(self.configuration, problems=merged.problems, items=merged.items)
        self._update_problems(merged.problems)
        self._tell(self.table)

    def _merged(self) -> Configuration:
        found = ((status.name, status.configuration) for status in self._statuses.values())
        said = self.said = self._merging.merge(found)
        services = self._verdicts.over(said.services, self._down)
        tcp_services = self._tcp_verdicts.over(said.tcp_services, self._down)
        if services is said.services and tcp_services is said.tcp_services:
            return said
        return replace(said, services=services, tcp_services=tcp_services)

    def _update_problems(self, merged: Sequence[Problem]) -> None:
        stale = [
            Problem(f"provider {status.name}", status.reason, _meanwhile(status))
            for status in self._statuses.values()
            if status.state == "stale"
        ]
        failure = [] if self._failure is None else [self._failure]
        # The table may repeat problems of the configuration it was made of.
        self.problems = tuple(
            dict.fromkeys([*stale, *failure, *self._outages, *merged, *self.table.problems])
        )
        self._log_new(problem for problem in self.problems if problem not in self._logged)
        self._logged = frozenset(self.problems)

    def _log_new(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            if problem.severity == "error":
                self._log.error("{problem}", problem=problem)
            elif problem.severity == "warning":
                self._log.warn("{problem}", problem=problem)
            else:
                self._log.info("{problem}", problem=problem)

    def _tell(self, old: RoutingTable) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(old, self.table)
            except Exception:
                self._log.failure("A listener of the router failed")

    def _cancel_delayed(self) -> None:
        if self._delayed is not None and self._delayed.active():
            self._delayed.cancel()
        self._delayed = None


def _meanwhile(status: ProviderStatus) -> str:
    if not status.published:
        return "it has said nothing yet, and is asked again and again"
    return "what it said last stays in force"


def joined(causes: Sequence[str]) -> str:
    """Several causes in one line: each once, the first few spelled out."""
    different = list(dict.fromkeys(causes))
    rest = len(different) - CAUSES
    return ", ".join(different[:CAUSES]) + (f" and {rest} more" if rest > 0 else "")
