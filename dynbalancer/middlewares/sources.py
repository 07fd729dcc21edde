"""Who asks: the address of a client, or what else tells one client from another.

Behind other proxies that is an entry of X-Forwarded-For. Only what a trusted peer said of it is looked at: the entry
point drops the rest, and appends the address that the connection came from, which is left out again here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from dynbalancer.core.addresses import AddressRanges, grouped
from dynbalancer.core.exchange import Exchange
from dynbalancer.core.fields import TOKEN
from dynbalancer.errors import did_you_mean
from dynbalancer.middlewares.base import Option, SettingsReader

IP_STRATEGY = ("depth", "excludedIPs", "ipv6Subnet")
SOURCE_CRITERION = ("ipStrategy", "requestHeaderName", "requestHost")

IP_STRATEGY_OPTIONS = (
    Option(
        "depth", "number", "The entry of `X-Forwarded-For` that counts, from the right; 1 is the last.", 0
    ),
    Option(
        "excludedIPs", "list", "The last entry that is in none of these ranges counts; `depth` goes before."
    ),
    Option("ipv6Subnet", "number", "So many bits of an IPv6 address count; not with `excludedIPs`."),
)


def source_option(default: str) -> Option:
    """The section ``sourceCriterion``; ``default`` says what counts where there is none."""
    members = (
        Option("ipStrategy", "section", "The address counts, and this one.", members=IP_STRATEGY_OPTIONS),
        Option("requestHeaderName", "text", "This field of the request counts."),
        Option("requestHost", "switch", "The host asked for counts.", default=False),
    )
    return Option(
        "sourceCriterion", "section", f"What tells one source from another: {default}.", members=members
    )


def forwarded_for(exchange: Exchange) -> list[str]:
    """The entries of X-Forwarded-For that a trusted peer sent, the nearest one last."""
    said = b",".join(exchange.head.headers.all(b"x-forwarded-for"))
    # Blanks and tabs: octets above 7F that Unicode takes for blanks are not.
    entries = [entry.strip(" \t") for entry in said.decode("latin-1").split(",")] if said else []
    if entries and entries[-1] == exchange.client:
        entries.pop()
    return entries


@dataclass(frozen=True, slots=True)
class IpStrategy:
    """Which address is that of the client.

    With ``depth``: that entry of X-Forwarded-For, from the right, the last one is 1. With ``excluded``: the last entry
    that is not in it. Otherwise the peer's. ``ipv6_subnet``: so many bits of an IPv6 address count (not with
    ``excluded``, as in Traefik).
    """

    depth: int = 0
    excluded: AddressRanges | None = None
    ipv6_subnet: int = 0

    @classmethod
    def read(cls, reader: SettingsReader | None) -> IpStrategy:
        """From the section ``ipStrategy``; None: there is none."""
        if reader is None:
            return cls()
        excluded = reader.words("excludedIPs", required=False)
        return cls(
            reader.number("depth", 0, 0, 1000),
            reader.made("excludedIPs", partial(AddressRanges, excluded)) if excluded else None,
            reader.number("ipv6Subnet", 0, 1, 128),
        )

    def address(self, exchange: Exchange) -> str:
        """The client's address, empty where the strategy finds none."""
        if self.depth:
            entries = forwarded_for(exchange)
            found = entries[-self.depth] if self.depth <= len(entries) else ""
        elif self.excluded is not None:
            entries = forwarded_for(exchange)
            return next((entry for entry in reversed(entries) if entry and entry not in self.excluded), "")
        else:
            found = exchange.client
        return grouped(found, self.ipv6_subnet) if self.ipv6_subnet else found


@dataclass(frozen=True, slots=True)
class SourceCriterion:
    """What tells one client from another: a field of its requests, the host it asks for, or its address."""

    strategy: IpStrategy = IpStrategy()
    header: bytes = b""
    host: bool = False

    @classmethod
    def read(cls, reader: SettingsReader | None, default: SourceCriterion) -> SourceCriterion:
        """From the section ``sourceCriterion``, of which one option may be given; ``default``: where none is."""
        if reader is None:
            return default
        given = [
            option for option in SOURCE_CRITERION if reader.is_on(option) or reader.is_empty_section(option)
        ]
        if len(given) > 1:
            raise reader.wrong(given[1], f"excludes {given[0]}", "leave one of them")
        header = reader.text("requestHeaderName", "").encode()
        if header.translate(None, TOKEN):
            raise reader.wrong("requestHeaderName", f": '{header.decode()}' is no name of a header field")
        strategy = IpStrategy.read(reader.below("ipStrategy", IP_STRATEGY))
        return cls(strategy, header.lower(), reader.switch("requestHost")) if given else default

    @classmethod
    def extractor(cls, reader: SettingsReader, option: str) -> SourceCriterion:
        """From an option in the manner of Traefik 1: client.ip, request.host or request.header.NAME."""
        written = reader.text(option)
        _, is_header, header = written.partition("request.header.")
        if written == "client.ip":
            return cls()
        if written == "request.host":
            return cls(host=True)
        if not is_header or not written.startswith("request.header.") or not header:
            expected = "expected client.ip, request.host or request.header.NAME"
            hint = did_you_mean(written, ("client.ip", "request.host", "request.header.NAME"))
            raise reader.wrong(option, f": {expected}, got '{written}'", hint)
        if header.encode().translate(None, TOKEN):
            raise reader.wrong(option, f": '{header}' is no name of a header field")
        return cls(header=header.encode().lower())

    def source(self, exchange: Exchange) -> str | None:
        """A text that is the same for all requests of one client; None where there is nothing to tell it by."""
        head = exchange.head
        if self.header:
            return (head.headers.get(self.header, b"") or b"").decode("latin-1")
        if self.host:
            return head.host.decode("latin-1")
        return self.strategy.address(exchange) or None
