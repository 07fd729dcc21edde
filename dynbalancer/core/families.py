"""The services, or the middlewares, of a table: what runs, what can't, and what the next table makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dynbalancer.core import chains, model
from dynbalancer.core.layered import Groups, Layered, moved
from dynbalancer.core.references import OURS, MissingError, Said, found, plain
from dynbalancer.core.routes import problem_of
from dynbalancer.errors import ConfigurationError

#: The kind of service that is made of servers and nothing else.
LONE = "loadBalancer"

D = TypeVar("D", bound="model.Service | model.Middleware")

#: Takes the problems that a definition of some kind has now.
Say = Callable[[str, Any, list[Said]], None]


@dataclass(frozen=True, slots=True)
class Family:
    """The services, or the middlewares, of a table: what runs, why others don't, and who uses what.

    ``members`` are those of chains, as written, and ``unfolded`` what they come to. ``by_plain`` gives full names by
    plain ones, ``users`` routers by the plain names of what they refer to. ``composed`` are services made of others,
    with the full names of those, ``guards`` services with middlewares of their own, with the plain names of those.
    ``spared`` are those of the failed that are left out where they are used: they would keep nobody out. ``asks`` are
    the services, as written, that middlewares ask.
    """

    live: Layered[str, Any] = field(default_factory=Layered)
    failed: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unfolded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by_plain: Layered[str, tuple[str, ...]] = field(default_factory=Layered)
    users: Layered[str, tuple[str, ...]] = field(default_factory=Layered)
    composed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    guards: Mapping[str, frozenset[str]] = field(default_factory=dict)
    spared: frozenset[str] = frozenset()
    asks: Mapping[str, str] = field(default_factory=dict)


class FamilyDraft(Generic[D]):
    """A family on its way, from the definitions ``old`` to ``new``. ``say`` hears the problems of each looked at.

    ``touched`` are the plain names of what is another now, ``replaced`` the full ones of what no longer runs as it did.
    """

    def __init__(
        self, kind: str, before: Family, old: Mapping[str, D], new: Mapping[str, D], say: Say
    ) -> None:
        self.kind = kind
        self.new = new
        self.failed = dict(before.failed)
        self.spared = set(before.spared)
        self.asks = dict(before.asks)
        self.members = dict(before.members)
        self.unfolded = before.unfolded
        self.live = before.live.draft()
        self.users = Groups(before.users, str)
        self.composed = dict(before.composed)
        self.guards = dict(before.guards)
        #: Those that are left for later, since they are made of others.
        self.later: list[str] = []
        self.touched: set[str] = set()
        self.replaced: list[str] = []
        self._say = say
        self._before = before
        self._old = old
        self._changed, self._gone = moved(old, new)
        self._plain = Groups(before.by_plain, str, str)

    def making(
        self, make: Callable[[D, Any], Any], keeps: Callable[[D, D], bool], also: Iterable[str] = ()
    ) -> Iterator[None]:
        """Make what is new or failed before, and ``also`` these, one at each step.

        ``make(definition, running)`` gets what runs under that name so far; ``keeps(old, new)`` says whether that can
        stay though the definition is another.
        """
        for name in self._gone:
            self._plain.remove(plain(name), name)
            self._lose(name)
            self.asks.pop(name, None)
            self._say(self.kind, self._old[name], [])
            yield
        again = [name for name in (*self._before.failed, *also) if name in self.new]
        for name in dict.fromkeys([*self._changed, *again]):
            if name not in self._old and not name.endswith(OURS):
                self._plain.add(plain(name), name)
            self.asks.pop(name, None)
            if asked := getattr(self.new[name], "asks", ""):
                self.asks[name] = asked
            if getattr(self.new[name], "kind", LONE) == LONE:
                self.composed.pop(name, None)
                self.renew(name, make, keeps)
            else:
                self.later.append(name)
            yield
        self.touched.update(plain(name) for name in self._changed)
        yield from self._plain.closing()
        self.by_plain = self._plain.done()
        if self.touched and (self.members or self._before.members):
            self._unfold_chains()

    def renew(self, name: str, make: Callable[[D, Any], Any], keeps: Callable[[D, D], bool]) -> None:
        """Make one, or find out that it can't be used."""
        wanted, old, running = self.new[name], self._old.get(name), self.live.get(name)
        if running is None or old is None or not keeps(old, wanted):
            self._make(name, make, running)
        if name not in self.failed:
            self._say(self.kind, wanted, self._noticed(name))

    def _noticed(self, name: str) -> list[Said]:
        notices = getattr(self.live.get(name), "notices", ())
        return [Said(problem_of(self.kind, self.new[name], notice, "", "warning")) for notice in notices]

    def asking(self, services: FamilyDraft[model.Service]) -> None:
        """Say which of these ask services that can't be asked. They go on: what the client gets is what there is."""
        for name, reference in self.asks.items():
            if name in self.failed:
                continue
            said, wanted = self._noticed(name), self.new[name]
            try:
                services.check(services.named(reference, name), wanted)
            except ConfigurationError as error:
                why = f"{error.why}; its pages are not shown"
                missing = error.missing if isinstance(error, MissingError) else None
                said.append(Said(problem_of(self.kind, wanted, why, error.hint, "warning"), missing))
            self._say(self.kind, wanted, said)

    def _make(self, name: str, make: Callable[[D, Any], Any], running: Any) -> None:
        try:
            made = make(self.new[name], running)
        except ConfigurationError as error:
            self.fail(name, error)
            return
        self._lose(name)
        self.live[name] = made
        # Of chains: a service that is made of others may have members too, which are no names.
        if self.kind == "middleware" and hasattr(made, "members"):
            self.members[name] = made.members

    def fail(self, name: str, error: ConfigurationError) -> None:
        """It can't be used, and why."""
        if self.failed.get(name) != error.why:
            self._lose(name)
        self.failed[name] = error.why
        (self.spared.add if error.harmless else self.spared.discard)(name)
        self._say(self.kind, self.new[name], [said_of(self.kind, self.new[name], error)])

    def _unfold_chains(self) -> None:
        """Learn what each one with ``members`` stands for."""
        before = self.unfolded
        self.unfolded, failed = chains.unfold(self.members, self.named)
        for name, error in failed.items():
            # Made anew next time: what it refers to may be there then.
            self.fail(name, error)
        for name, leaves in self.unfolded.items():
            if leaves != before.get(name) or any(plain(leaf) in self.touched for leaf in leaves):
                self.touched.add(plain(name))

    def _lose(self, name: str) -> None:
        self.failed.pop(name, None)
        self.spared.discard(name)
        self.members.pop(name, None)
        self.composed.pop(name, None)
        self.live.discard(name)
        self.touched.add(plain(name))
        self.replaced.append(name)

    def find(self, reference: str, user: model.Router | model.Service) -> str:
        """The full name of what somebody refers to. Raises ConfigurationError where that can't be used."""
        name = self.named(reference, user.name)
        self.check(name, user)
        return name

    def named(self, reference: str, owner: str) -> str:
        """The full name of what ``owner`` refers to. Raises ConfigurationError where there is no such thing."""
        return found(self.kind, reference, owner, self.new, self.by_plain)

    def check(self, name: str, user: model.Router | model.Service | model.Middleware) -> None:
        """Raise ConfigurationError where this can't be used by whoever refers to it."""
        failure = self.failed.get(name)
        if failure is not None and name not in self.spared:
            origin = self.new[name].origin
            whose = f" of {origin}" if origin not in ("", user.origin) else ""
            raise ConfigurationError("", f'{self.kind} "{name}"{whose} can\'t be used: {failure}')

    def done(self) -> Family:
        """The family, when its users are in order."""
        return Family(
            self.live.done(),
            self.failed,
            self.members,
            self.unfolded,
            self.by_plain,
            self.users.done(),
            self.composed,
            self.guards,
            frozenset(self.spared),
            self.asks,
        )

    def guard(self, middlewares: Callable[[D], Iterable[str]], touched: set[str]) -> None:
        """Learn which have middlewares of their own; those with one that was ``touched`` are so too."""
        for name in (*self._gone, *self._changed):
            self.guards.pop(name, None)
            names = frozenset(map(plain, middlewares(self.new[name]))) if name in self.new else frozenset()
            if names:
                self.guards[name] = names
        self.touched.update(plain(name) for name, names in self.guards.items() if names & touched)

    def affected(self) -> Iterator[str]:
        """The routers that refer to something touched."""
        for name in self.touched:
            yield from self._before.users.get(name, ())


def said_of(
    kind: str, about: model.Router | model.Middleware | model.Service, error: ConfigurationError
) -> Said:
    """What is wrong with a definition, as it is remembered."""
    missing = error.missing if isinstance(error, MissingError) else None
    why = f"{error.why}; what uses it goes on without it" if error.harmless else error.why
    return Said(problem_of(kind, about, why, error.hint), missing)
