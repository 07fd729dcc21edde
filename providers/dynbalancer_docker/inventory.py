"""All living containers as last seen, and which of them are stopping. Pure: time comes in as an argument.

The one place where something is believed without looking: ``kill`` with the stop signal makes a container
*draining*, and ``die`` takes it out, both at once. Everything else that happens only means "look again".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dynbalancer.core.labels.containers import Container
from dynbalancer.errors import Problem
from dynbalancer_docker.events import Event
from dynbalancer_docker.reading import STOP_TIMEOUT, Row, Seen
from dynbalancer_docker.signals import SIGKILL, SIGTERM

#: How long after its stop timeout a container that is still running counts as serving again. Seconds.
MERCY = 5.0

#: How long the end of a container outweighs an older look at it that comes in late. Seconds.
ECHO = 5.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A signal was sent to a container, at ``at`` seconds of our own clock."""

    signal: int
    at: float


@dataclass(frozen=True, slots=True)
class Difference:
    """What a fresh list says: ids to inspect because they are new or changed, and ids that are gone."""

    look: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self.look + self.gone)


class Inventory:
    """Living containers by id. Methods that change it return what happened in a few words, or nothing."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self._rows: dict[str, str] = {}
        self._marks: dict[str, Mark] = {}
        self._ended: dict[str, tuple[float, float]] = {}
        self._failed: dict[str, Problem] = {}

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was wrong with the engine's descriptions."""
        return (*(one for seen in self._seen.values() for one in seen.problems), *self._failed.values())

    def note(self, event: Event, now: float) -> str:
        """Believe what can be believed of an event: the words for it where that changed something."""
        seen = self._seen.get(event.id)
        if seen is not None and event.time and event.time < seen.started:
            return ""  # It speaks of an earlier life of the same container.
        if event.action == "start":
            self._marks.pop(event.id, None)
            return ""
        if event.action == "kill":
            return self._signalled(event, seen, now)
        if event.action not in ("die", "destroy"):
            return ""
        if event.time:
            self._ended[event.id] = (event.time, now + ECHO)
        name = self._drop(event.id)
        return f"container {name} {'died' if event.action == 'die' else 'was removed'}" if name else ""

    def _signalled(self, event: Event, seen: Seen | None, now: float) -> str:
        if event.signal is None or event.id in self._marks:
            return ""
        # A container not seen yet keeps its mark until it is; put() then knows its stop signal.
        if event.signal not in (SIGKILL, seen.stop_signal if seen else SIGTERM):
            return ""
        self._marks[event.id] = Mark(event.signal, now)
        return f"container {seen.container.name} is stopping" if seen else ""

    def difference(self, rows: Iterable[Row]) -> Difference:
        """What has to be looked at to be as the list says."""
        listed = {row.id: row.fingerprint for row in rows}
        look = tuple(id for id, fingerprint in listed.items() if self._rows.get(id) != fingerprint)
        return Difference(look, tuple(id for id in {**self._seen, **self._failed} if id not in listed))

    def remember(self, rows: Iterable[Row], looked: Iterable[str]) -> None:
        """The list whose changes were looked at; an id that wasn't is looked at again next time."""
        wanted = set(looked)
        self._rows |= {row.id: row.fingerprint for row in rows if row.id in wanted and row.id in self._seen}

    def put(self, id: str, seen: Seen | None, now: float) -> str:
        """What a look at one container showed; None where the engine does not know it."""
        if seen is None or not seen.lives:
            name = self._drop(id)
            return f"container {name} is gone" if name else ""
        ended, until = self._ended.get(id, (0.0, 0.0))
        # Seconds of the engine's clock decide, but not for long: that clock may be set back.
        if seen.started and seen.started < ended and now < until:
            return ""
        self._ended.pop(id, None)
        self._failed.pop(id, None)
        mark = self._marks.get(id)
        if mark is not None and mark.signal not in (SIGKILL, seen.stop_signal):
            del self._marks[id]
        before, self._seen[id] = self._seen.get(id), seen
        return _change(before, seen)

    def put_problem(self, id: str, problem: Problem) -> str:
        """One container can't be read: what was known of it stays, with the problem beside it."""
        before = self._failed.get(id)
        self._failed[id] = problem
        return problem.where + " can't be read" if before != problem else ""

    def drop(self, id: str) -> str:
        """The list does not have it any more."""
        name = self._drop(id)
        return f"container {name} is gone" if name else ""

    def _drop(self, id: str) -> str:
        """Forget it; its name, if it was known."""
        for known in (self._rows, self._marks, self._failed):
            known.pop(id, None)
        seen = self._seen.pop(id, None)
        return seen.container.name if seen else ""

    def undrain(self, now: float) -> str:
        """Take back the marks of containers that outlived their stop signal."""
        self._ended = {id: end for id, end in self._ended.items() if end[1] > now}
        late = [id for id in self._marks if self._deadline(id) <= now]
        for id in late:
            del self._marks[id]
        names = ", ".join(self._seen[id].container.name for id in late if id in self._seen)
        return f"container {names} did not stop, and serves again" if names else ""

    def deadline(self) -> float | None:
        """When to call :meth:`undrain`; None where nothing is stopping."""
        return min(map(self._deadline, self._marks), default=None)

    def _deadline(self, id: str) -> float:
        seen = self._seen.get(id)
        return self._marks[id].at + (seen.stop_timeout if seen else STOP_TIMEOUT) + MERCY

    def containers(self) -> tuple[Container, ...]:
        """All of them, those that are stopping in state ``draining``."""
        return tuple(self._shown(id, seen) for id, seen in self._seen.items())

    def _shown(self, id: str, seen: Seen) -> Container:
        return replace(seen.container, state="draining") if id in self._marks else seen.container

    def find(self, ids: Iterable[str]) -> Seen | None:
        """The first living container whose id begins with one of these; each has at least twelve digits."""
        for wanted in ids:
            for id, seen in self._seen.items():
                if len(wanted) >= 12 and id.startswith(wanted):
                    return seen
        return None

    def lender_of(self, seen: Seen) -> Seen | None:
        """The container whose network it uses, if it uses another's."""
        mode, _, of = seen.container.network_mode.partition(":")
        if mode != "container" or not of:
            return None
        return next(
            (one for one in self._seen.values() if of in (one.container.id, one.container.name)), None
        )


def _change(before: Seen | None, after: Seen) -> str:
    """What is different, in a few words; nothing where nothing is."""
    new = after.container
    if before is None:
        return f"container {new.name} started"
    old = before.container
    if old.name != new.name:
        return f"container {old.name} is now called {new.name}"
    if after.started != before.started and old.state == new.state:
        return f"container {new.name} restarted"
    if old.state != new.state:
        return f"container {new.name} is {new.state}"
    if old.health != new.health:
        return f"container {new.name} is {new.health or 'without a health check'}"
    if old.networks != new.networks:
        return f"container {new.name} changed its networks"
    return f"container {new.name} changed" if before != after else ""
