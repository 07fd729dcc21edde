"""Middlewares that let a source do only so much, in all workers together: rateLimit and inFlightReq.

A middleware counts for all routers that use it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

from dynbalancer.core import inflight
from dynbalancer.core.buckets import Rate, TokenBuckets
from dynbalancer.core.durations import go_duration
from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.core.inflight import InFlight
from dynbalancer.core.regions import Region, Sources
from dynbalancer.errors import ConfigurationError
from dynbalancer.middlewares.base import Middleware, Option, SettingsReader, dialect_of, plain
from dynbalancer.middlewares.sources import SourceCriterion, source_option

TOO_MANY = HTTPStatus.TOO_MANY_REQUESTS
NO_SOURCE = b"could not extract source of request"

#: Octets for the sources of a rate limit, and where there is no room for that.
_ROOM, _LITTLE_ROOM = 1 << 20, 1 << 16

#: Slower than one in a second, nobody waits longer than this for his turn (Traefik 3). Seconds.
_LONGEST_WAIT = 0.5

_HOST, _ADDRESS = SourceCriterion(host=True), SourceCriterion()

#: The options of one rate of Traefik 1.
RATE_SET = (
    Option("period", "duration", "The time that `average` is about.", required=True),
    Option("average", "number", "Requests in each `period`.", required=True),
    Option("burst", "number", "How many may come at once, where that many were saved up.", required=True),
)

_REDIS = "is understood, but not supported"
_REDIS_HINT = "leave it out: all workers of a process count together without it"


def _no_source() -> Response:
    return plain(HTTPStatus.INTERNAL_SERVER_ERROR, NO_SOURCE)


@dataclass(frozen=True, slots=True)
class Unlimited(Middleware):
    """A limit that is none, with a notice that says so."""

    same_again: ClassVar[bool] = True

    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RateLimit(Middleware):
    """Let a source do so many requests in a time; it may save up some.

    Who is only a little early waits, in the manner of Traefik 2 and 3. ``v1`` is that of Traefik 1, where nobody waits
    and there may be several rates.
    """

    same_again: ClassVar[bool] = True

    buckets: TokenBuckets
    sources: Sources
    criterion: SourceCriterion
    clock: Callable[[], float]
    later: Callable[[float], Awaitable[None]]
    v1: bool = False

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("average", "number", "Requests in each `period`; 0: no limit.", 0),
        Option("period", "duration", "The time that `average` is about.", 1.0),
        Option("burst", "number", "How many may come at once, where that many were saved up.", 1),
        source_option("the address of the peer"),
        Option("redis", "section", "Not supported."),
    )
    OPTIONS_V1: ClassVar[tuple[Option, ...]] = (
        Option("rateSet", "section", "Rates by any names, each with `period`, `average` and `burst`."),
        Option("extractorFunc", "text", "`client.ip`, `request.host`, `request.header.NAME`.", required=True),
    )

    @classmethod
    def from_settings(
        cls,
        name: str,
        settings: Mapping[str, Any],
        *,
        clock: Callable[[], float],
        later: Callable[[float], Awaitable[None]],
        secret: bytes,
        shared: Any,
    ) -> RateLimit | Unlimited:
        """Takes the options of Traefik 3, or with ``dialect: v1`` those of Traefik 1."""
        dialect, settings = dialect_of(settings)
        if dialect == "v1":
            reader = SettingsReader(name, settings, cls.OPTIONS_V1)
            criterion, rates, patience = (
                SourceCriterion.extractor(reader, "extractorFunc"),
                _rates(reader),
                0.0,
            )
        else:
            reader = SettingsReader(name, settings, cls.OPTIONS)
            criterion, rates = _criterion(reader, _ADDRESS), _rate(reader)
            if not rates:
                return Unlimited(("average is 0: nothing is limited",))
            patience = _patience(rates[0])
        region = _region(shared, f"rateLimit {name} {len(rates)}")
        return cls(
            TokenBuckets(region, rates, patience), Sources(secret), criterion, clock, later, dialect == "v1"
        )

    def on_request(self, exchange: Exchange) -> Response | Awaitable[None] | None:
        source = self.criterion.source(exchange)
        if source is None:
            return _no_source()
        wait = self.buckets.wait(self.sources.number(source), self.clock())
        return self._stop(wait) if wait else None

    def once_more(self, exchange: Exchange) -> Callable[[Exchange], Response | Awaitable[None] | None] | None:
        """See IRepeatable: the same request comes from the same source."""
        source = self.criterion.source(exchange)
        if source is None:
            return None
        wait_of, clock, stop = self.buckets.waiting(self.sources.number(source)), self.clock, self._stop

        def ask(exchange: Exchange) -> Response | Awaitable[None] | None:
            wait = wait_of(clock())
            return stop(wait) if wait else None

        return ask

    def _stop(self, wait: float) -> Response | Awaitable[None]:
        return self.later(wait) if wait <= self.buckets.patience else self._refusal(wait)

    def _refusal(self, wait: float) -> Response:
        # A field has no room for Go's µ.
        retry_in = go_duration(wait).replace("µ", "u").encode()
        body = b"max rate reached: retry-in " + retry_in if self.v1 else TOO_MANY.phrase.encode()
        seconds = b"%d" % math.ceil(wait)
        return plain(TOO_MANY, body, (b"Retry-After", seconds), (b"X-Retry-In", retry_in))


@dataclass(frozen=True, slots=True)
class InFlightReq(Middleware):
    """Let a source have only so many requests at once; v1's ``maxconn`` too."""

    same_again: ClassVar[bool] = True

    in_flight: InFlight
    sources: Sources
    criterion: SourceCriterion
    note: str

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("amount", "number", "How many at once; 0: none.", required=True),
        source_option("the host asked for"),
    )
    OPTIONS_V1: ClassVar[tuple[Option, ...]] = (
        Option("amount", "number", "How many at once; 0: none.", required=True),
        Option(
            "extractorFunc", "text", "`client.ip`, `request.host`, `request.header.NAME`.", "request.host"
        ),
    )

    @classmethod
    def from_settings(
        cls, name: str, settings: Mapping[str, Any], *, secret: bytes, shared: Any
    ) -> InFlightReq:
        """Takes ``amount`` and ``sourceCriterion``, or with ``dialect: v1`` ``extractorFunc``."""
        dialect, settings = dialect_of(settings)
        if dialect == "v1":
            reader = SettingsReader(name, settings, cls.OPTIONS_V1)
            criterion = SourceCriterion.extractor(reader, "extractorFunc")
        else:
            reader = SettingsReader(name, settings, cls.OPTIONS)
            criterion = _criterion(reader, _HOST)
        note = f"inFlightReq {name}"
        region = shared.region(note, 8 * inflight.ROOM, inflight.ROOM)
        return cls(InFlight(region, reader.number("amount")), Sources(secret), criterion, note)

    def on_request(self, exchange: Exchange) -> Response | None:
        source = self.criterion.source(exchange)
        if source is None:
            return _no_source()
        return self._enter(exchange, self.sources.number(source))

    def once_more(self, exchange: Exchange) -> Callable[[Exchange], Response | None] | None:
        """See IRepeatable: the same request comes from the same source."""
        source = self.criterion.source(exchange)
        if source is None:
            return None
        number = self.sources.number(source)
        return lambda exchange: self._enter(exchange, number)

    def _enter(self, exchange: Exchange, number: int) -> Response | None:
        notes = exchange.notes
        if notes is None:
            notes = exchange.notes = {}
        elif self.note in notes:
            # Twice on one route, it counts once.
            return None
        row = self.in_flight.enter(number)
        if row == inflight.FULL:
            return plain(TOO_MANY, b"max connections reached: %d" % self.in_flight.most)
        notes[self.note] = row
        return None

    def on_finish(self, exchange: Exchange, outcome: str) -> None:
        notes = exchange.notes
        if notes is not None:
            row = notes.pop(self.note, None)
            if row is not None:
                self.in_flight.leave(row)


def _criterion(reader: SettingsReader, default: SourceCriterion) -> SourceCriterion:
    return SourceCriterion.read(reader.below("sourceCriterion"), default)


def _rate(reader: SettingsReader) -> tuple[Rate, ...]:
    """The one rate of Traefik 3, or none where nothing is limited."""
    if reader.is_on("redis"):
        raise reader.wrong("redis", _REDIS, _REDIS_HINT)
    average = reader.number("average")
    period, burst = reader.duration("period") or 1.0, reader.number("burst")
    return (Rate(average, period, max(burst, 1)),) if average else ()


def _rates(reader: SettingsReader) -> tuple[Rate, ...]:
    """Those of Traefik 1, under any names."""
    found = []
    for rate in reader.named("rateSet", RATE_SET).values():
        period = rate.duration("period")
        if not period:
            raise rate.wrong("period", "must be more than 0")
        found.append(Rate(rate.number("average", low=1), period, rate.number("burst", low=1)))
    if not found:
        raise reader.wrong(
            "rateSet", ": expected at least one rate", "rateSet.NAME.period, .average and .burst"
        )
    return tuple(found)


def _patience(rate: Rate) -> float:
    """Half the time of one request: so the rate is kept whether somebody waits or comes again (Traefik 3)."""
    per_second = rate.average / rate.period
    return _LONGEST_WAIT if per_second < 1 else _LONGEST_WAIT / int(per_second)


def _region(shared: Any, name: str) -> Region:
    try:
        found: Region = shared.region(name, _ROOM)
    except ConfigurationError:
        found = shared.region(name, _LITTLE_ROOM)
    return found
