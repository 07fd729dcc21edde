"""Middlewares that let only some addresses in: ipAllowList, and ipWhiteList, which is its older name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar

from dynbalancer.core.addresses import AddressRanges
from dynbalancer.core.exchange import Exchange, Response
from dynbalancer.middlewares.base import Middleware, Option, SettingsReader, plain
from dynbalancer.middlewares.sources import IP_STRATEGY_OPTIONS, IpStrategy, forwarded_for

_CODES = frozenset(status.value for status in HTTPStatus)

_RANGES = Option("sourceRange", "list", "Addresses and networks (CIDR) that are let in.", required=True)
_STRATEGY = Option("ipStrategy", "section", "Which address counts.", members=IP_STRATEGY_OPTIONS)


@dataclass(frozen=True, slots=True)
class IpAllowList(Middleware):
    """Let in who is in ``ranges``, and answer everybody else with ``status``.

    An address that the strategy doesn't find, or that is none, is not let in.
    """

    same_again: ClassVar[bool] = True

    ranges: AddressRanges
    strategy: IpStrategy = field(default_factory=IpStrategy)
    status: int = HTTPStatus.FORBIDDEN

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        _RANGES,
        _STRATEGY,
        Option(
            "rejectStatusCode",
            "number",
            "The answer to everybody else; its body is the name of the code.",
            403,
        ),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> IpAllowList:
        """Takes ``sourceRange``, ``ipStrategy`` and ``rejectStatusCode``."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        return cls(_ranges(reader), _strategy(reader), _status(reader))

    def on_request(self, exchange: Exchange) -> Response | None:
        if _without_port(self.strategy.address(exchange)) in self.ranges:
            return None
        return plain(self.status, HTTPStatus(self.status).phrase.encode())


@dataclass(frozen=True, slots=True)
class IpWhiteList(Middleware):
    """The same under the name it had in Traefik 2.

    ``any_forwarded`` is the manner of Traefik 1: any entry of X-Forwarded-For may be in ``ranges``, or the peer.
    """

    same_again: ClassVar[bool] = True

    ranges: AddressRanges
    strategy: IpStrategy = field(default_factory=IpStrategy)
    any_forwarded: bool = False

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        _RANGES,
        _STRATEGY,
        Option(
            "useXForwardedFor",
            "switch",
            "Traefik 1's manner: any entry of `X-Forwarded-For` is enough.",
            False,
        ),
    )

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> IpWhiteList:
        """Takes ``sourceRange``, ``ipStrategy``, and Traefik 1's ``useXForwardedFor``."""
        reader = SettingsReader(name, settings, cls.OPTIONS)
        any_forwarded = reader.switch("useXForwardedFor")
        if any_forwarded and reader.is_on("ipStrategy"):
            raise reader.wrong("useXForwardedFor", "excludes ipStrategy", "leave one of them")
        return cls(_ranges(reader), _strategy(reader), any_forwarded)

    def on_request(self, exchange: Exchange) -> Response | None:
        addresses = [self.strategy.address(exchange)]
        if self.any_forwarded:
            addresses += forwarded_for(exchange)
        if any(_without_port(address) in self.ranges for address in addresses):
            return None
        return plain(HTTPStatus.FORBIDDEN, b"Forbidden")


def _ranges(reader: SettingsReader) -> AddressRanges:
    words = reader.words("sourceRange")
    return reader.made("sourceRange", partial(AddressRanges, words))


def _strategy(reader: SettingsReader) -> IpStrategy:
    return IpStrategy.read(reader.below("ipStrategy"))


def _status(reader: SettingsReader) -> int:
    code = reader.number("rejectStatusCode", 0, 200, 599) or HTTPStatus.FORBIDDEN
    if code not in _CODES:
        raise reader.wrong("rejectStatusCode", f": {code} is no status code")
    return int(code)


def _without_port(address: str) -> str:
    """Some proxies write a port behind the address."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, colon, _ = address.partition(":")
    return host if colon and ":" not in address[len(host) + 1 :] else address
