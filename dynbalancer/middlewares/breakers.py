"""circuitBreaker: asks no server for a while when too many answers were bad, late, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar

from dynbalancer import errors
from dynbalancer.core.breaker_rules import read_condition
from dynbalancer.core.breakers import CLOSED, OPEN, Breaker, Breakers, Times, size
from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.core.regions import Sources
from dynbalancer.middlewares.base import Middleware, Option, SettingsReader, dialect_of, plain

#: Outcomes of exchanges that no server answered, for which we say 502 or 504.
NETWORK_ERRORS = frozenset(
    kind.reason
    for kind in (
        errors.UpstreamError,
        errors.ConnectError,
        errors.ConnectTimeout,
        errors.UpstreamClosed,
        errors.ResponseTimeout,
        errors.BadResponse,
    )
)

#: How many routers a process knows the breakers of by heart.
_KNOWN = 1024


@dataclass(frozen=True, slots=True)
class CircuitBreaker(Middleware):
    """Answer with ``refusal`` while the breaker of the request's router is open. Each router has one."""

    same_again: ClassVar[bool] = True

    name: str
    breakers: Breakers
    refusal: int
    clock: Callable[[], float]
    say: Callable[[str], object]
    routers: Sources
    note: str
    known: dict[str, Breaker] = field(default_factory=dict)

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("expression", "text", "When it opens.", required=True),
        Option("checkPeriod", "duration", "How often the expression is looked at.", 0.1),
        Option("fallbackDuration", "duration", "How long it stays open.", 10.0),
        Option("recoveryDuration", "duration", "How long it lets only a part through after that.", 10.0),
        Option(
            "responseCode", "number", "The answer while it is open; its body is the name of the code.", 503
        ),
    )

    @classmethod
    def from_settings(
        cls,
        name: str,
        settings: Mapping[str, Any],
        *,
        clock: Callable[[], float],
        say: Callable[[str], object],
        secret: bytes,
        shared: Any,
    ) -> CircuitBreaker:
        """Takes ``expression`` and the times; Traefik 1 had the first only."""
        reader = SettingsReader(name, dialect_of(settings)[1], cls.OPTIONS)
        written = reader.text("expression")
        condition = reader.made("expression", partial(read_condition, written))
        times = Times(
            *(reader.duration(f"{word}") for word in ("checkPeriod", "fallbackDuration", "recoveryDuration"))
        )
        note = f"circuitBreaker {name}"
        region = shared.region(f"{note} {written}", size(condition))
        refusal = reader.number("responseCode", low=200, high=599)
        return cls(name, Breakers(region, condition, times), refusal, clock, say, Sources(secret), note)

    def on_request(self, exchange: Exchange) -> Response | None:
        now = self.clock()
        breaker = self._breaker(exchange, now)
        if breaker.state != CLOSED and not self._admits(breaker, exchange, now):
            return plain(self.refusal, _phrase(self.refusal))
        notes = exchange.notes
        if notes is None:
            notes = exchange.notes = {}
        notes[self.note] = now
        return None

    def once_more(self, exchange: Exchange) -> Callable[[Exchange], Response | None]:
        """See IRepeatable: what is asked for does not count."""
        return self.on_request

    def on_finish(self, exchange: Exchange, outcome: str) -> None:
        began = None if exchange.notes is None else exchange.notes.pop(self.note, None)
        if began is None:
            # It did not get as far as this.
            return
        now = self.clock()
        breaker = self._breaker(exchange, now)
        unanswered = outcome in NETWORK_ERRORS and exchange.response is None
        status = exchange.origin[0] if exchange.origin is not None else exchange.status
        # A tunnel takes as long as its two ends like.
        took = 0.0 if status == HTTPStatus.SWITCHING_PROTOCOLS else now - began
        if breaker.record(now, status, took, network_error=unanswered):
            self._tell(exchange, "opens")

    def standings(self) -> list[tuple[str, str, float]]:
        """Routers whose breakers are not closed, how they stand, and for how many seconds more."""
        now = self.clock()
        found = [(router, *one.standing(now)) for router, one in self.known.items() if not one.lost]
        return [one for one in found if one[1] != "closed"]

    def _breaker(self, exchange: Exchange, now: float) -> Breaker:
        name = exchange.route.name if exchange.route is not None else ""
        found = self.known.get(name)
        if found is None or found.lost:
            if len(self.known) >= _KNOWN:
                self.known.clear()
            found = self.known[name] = self.breakers.breaker(self.routers.number(name), now)
        return found

    def _admits(self, breaker: Breaker, exchange: Exchange, now: float) -> bool:
        before = breaker.state
        admitted = breaker.admits(now)
        if breaker.state != before:
            self._tell(exchange, "lets some requests pass again" if before == OPEN else "closes")
        return admitted

    def _tell(self, exchange: Exchange, what: str) -> None:
        router = exchange.route.name if exchange.route is not None else ""
        self.say(f"Circuit breaker {self.name} of router {router} {what}: {self.breakers.condition.text}")


def _phrase(status: int) -> bytes:
    return HTTPStatus(status).phrase.encode() if status in HTTPStatus._value2member_map_ else b""
