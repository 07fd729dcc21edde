"""What can be said of an exchange that has ended, by the names that Traefik's access log has for it.

A value is bytes or text, a number, or None where it is not known. Times are in nanoseconds, as in Traefik's JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone

from dynbalancer.core.exchange import Exchange

#: An exchange, the time of its end (Unix seconds) and its number in this process make a value.
Value = Callable[[Exchange, float, int], object]

#: Version and cipher of an encrypted connection.
Encryption = Callable[[Exchange], tuple[str, str] | None]

#: How many seconds the local time is ahead, at a Unix time.
Offset = Callable[[float], int]

#: What Traefik has and we can't say; keeping or dropping it is no mistake.
UNKNOWN = (
    "GzipRatio",
    "KubernetesIngressName",
    "KubernetesIngressNamespace",
    "KubernetesServiceName",
    "KubernetesServicePort",
    "SpanId",
    "TLSClientSubject",
    "TraceId",
    "span_id",
    "trace_id",
    "RequestLine",
    "OriginStatusLine",
    "DownstreamStatusLine",
)

#: Names of Traefik 1.
RENAMED = {
    "FrontendName": "RouterName",
    "BackendName": "ServiceName",
    "BackendURL": "ServiceURL",
    "BackendAddr": "ServiceAddr",
}


def target(exchange: Exchange) -> tuple[bytes, bytes | None]:
    """Path and query as the client asked, whatever middlewares made of them."""
    head = exchange.head
    return exchange.asked or (head.path, head.query)


def client_host(exchange: Exchange) -> bytes | str:
    """The client; where a trusted peer says for whom it asks, what it says."""
    if not exchange.trusted:
        return exchange.client
    said = exchange.head.headers.get(b"x-forwarded-for")
    if said is not None and exchange.route is not None:
        # On the way to its server the peer itself was put at the end.
        said = said.rpartition(b", ")[0]
    return said or exchange.client


def values(offset: Offset, encryption: Encryption) -> Mapping[str, Value]:
    """Every field by name but the target of the request, which settings have a say in."""
    return {
        **_SIMPLE,
        "StartUTC": _start(lambda seconds: 0),
        "StartLocal": _start(offset),
        "TLSVersion": lambda x, now, count: _nth(encryption(x), 0),
        "TLSCipher": lambda x, now, count: _nth(encryption(x), 1),
    }


def instant(seconds: int, ahead: int = 0) -> tuple[str, str]:
    """Date and time of a whole second as RFC 3339 writes it, and its zone."""
    text = datetime.fromtimestamp(seconds, timezone(timedelta(seconds=ahead))).isoformat()
    return text[:19], text[19:] if ahead else "Z"


class Remembered(dict[int, tuple[str, str]]):
    """:func:`instant` by second; most exchanges of a second ask for the same."""

    MOST = 600

    def __init__(self, offset: Offset) -> None:
        self._offset = offset

    def __missing__(self, second: int) -> tuple[str, str]:
        if len(self) >= self.MOST:
            self.clear()
        self[second] = found = instant(second, self._offset(second))
        return found


def _start(offset: Offset) -> Value:
    """When it began, to the microsecond."""
    instants = Remembered(offset)

    def start(x: Exchange, now: float, count: int) -> str:
        begun = now - (x.finished - x.started)
        second = int(begun)
        date, zone = instants[second]
        return f"{date}.{int((begun - second) * 1e6):06d}{zone}"

    return start


def _nth(found: tuple[str, str] | None, index: int) -> str | None:
    return found[index] if found is not None else None


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _origin_duration(x: Exchange, now: float, count: int) -> int | None:
    return _nanoseconds(x.finished - x.forwarded) if x.forwarded else None


def _overhead(x: Exchange, now: float, count: int) -> int:
    return _nanoseconds((x.forwarded or x.finished) - x.started)


def _origin_status(x: Exchange, now: float, count: int) -> int | None:
    if x.origin is not None:
        return x.origin[0]
    return x.response.status if x.response is not None else None


def _origin_size(x: Exchange, now: float, count: int) -> int | None:
    # An answer of ours in the place of the server's says nothing of the size of that.
    return x.bytes_out if x.response is not None and x.sent is None else None


def _protocol(x: Exchange, now: float, count: int) -> str:
    version = x.head.version
    return f"HTTP/{version // 10}.{version % 10}"


def _service_address(x: Exchange, now: float, count: int) -> str | None:
    return x.server.server.url.partition("://")[2].partition("/")[0] if x.server is not None else None


def _client_address(x: Exchange, now: float, count: int) -> str:
    host = f"[{x.client}]" if ":" in x.client else x.client
    return f"{host}:{x.client_port}"


_SIMPLE: Mapping[str, Value] = {
    "Duration": lambda x, now, count: _nanoseconds(x.finished - x.started),
    "RouterName": lambda x, now, count: x.route.name if x.route is not None else None,
    "ServiceName": lambda x, now, count: x.route.service_name if x.route is not None else None,
    "ServiceURL": lambda x, now, count: x.server.server.url if x.server is not None else None,
    "ServiceAddr": _service_address,
    "ClientAddr": _client_address,
    "ClientHost": lambda x, now, count: client_host(x),
    "ClientPort": lambda x, now, count: str(x.client_port),
    "ClientUsername": lambda x, now, count: x.user or "-",
    "RequestAddr": lambda x, now, count: x.head.authority,
    "RequestHost": lambda x, now, count: x.head.host,
    "RequestPort": lambda x, now, count: str(x.head.port) if x.head.port is not None else "-",
    "RequestMethod": lambda x, now, count: x.head.method,
    "RequestProtocol": _protocol,
    "RequestScheme": lambda x, now, count: x.head.scheme,
    "RequestContentSize": lambda x, now, count: x.bytes_in,
    "OriginDuration": _origin_duration,
    "OriginContentSize": _origin_size,
    "OriginStatus": _origin_status,
    "DownstreamStatus": lambda x, now, count: x.status,
    "DownstreamContentSize": lambda x, now, count: x.bytes_out,
    "RequestCount": lambda x, now, count: count,
    "Overhead": _overhead,
    "RetryAttempts": lambda x, now, count: max(x.tries - 1, 0),
    "entryPointName": lambda x, now, count: x.entry_point.name,
    "Outcome": lambda x, now, count: x.outcome if x.outcome != "done" else None,
}

#: Every name a setting may have, by its lower-case form: ours for Traefik's.
NAMES: Mapping[str, str] = {
    **{name.lower(): name for name in (*_SIMPLE, *UNKNOWN)},
    **{name.lower(): name for name in ("StartUTC", "StartLocal", "RequestPath", "TLSVersion", "TLSCipher")},
    **{old.lower(): new for old, new in RENAMED.items()},
}
