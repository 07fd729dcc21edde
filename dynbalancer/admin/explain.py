"""Which router would take a request, and which clause keeps the others from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from dynbalancer.core.clienthello import Hello
from dynbalancer.core.exchange import Exchange, Headers, RequestHead
from dynbalancer.core.model import EntryPoint
from dynbalancer.core.streamexplanation import explain_connection, explain_datagrams
from dynbalancer.core.streamrules import Caller
from dynbalancer.core.table import RoutingTable
from dynbalancer.core.targets import read_authority, split_target
from dynbalancer.errors import RequestError

Arguments = Mapping[str, Sequence[str]]

_AS_WRITTEN = "/?#[]@!$&'()*+,;=:%~\"<>\\^`{|}"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def exchange_of(arguments: Arguments, entry_points: Sequence[EntryPoint]) -> Exchange:
    """The request that is asked about.

    Arguments: ``url`` (``http://a.example/path?x``, the scheme may be missing), ``method``, ``header``
    (``Name: value``, may repeat), ``client`` (an address) and ``entryPoint``. Raises RequestError 400
    where they make no request.
    """
    url = _first(arguments, "url")
    if not url:
        raise RequestError(400, "no-url", "url is missing: /api/explain?url=http://a.example/path")
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "http", url
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise RequestError(400, "bad-url", f"{scheme[:20]}: not http or https")
    cut = min((at for at in map(rest.find, "/?") if at >= 0), default=len(rest))
    site, target = rest[:cut], rest[cut:].partition("#")[0]
    headers = [_field(line) for line in arguments.get("header", ())]
    named = next((value for name, value in headers if name.lower() == b"host"), site.encode())
    host, port, authority = read_authority(named)
    # As a browser would send it: what is not ASCII goes as escapes.
    escaped = quote(
        target if target.startswith("/") else f"/{target}", safe="/?#[]@!$&'()*+,;=:%~\"<>\\^`{|}"
    )
    path, query = split_target(escaped.encode("ascii"))
    head = RequestHead(
        (_first(arguments, "method") or "GET").upper().encode("latin-1", "replace"),
        path,
        query,
        host=host,
        authority=authority,
        port=port,
        scheme=scheme.encode("ascii"),
        headers=Headers.of(*(field for field in headers if field[0].lower() != b"host")),
    )
    point = _entry_point(_first(arguments, "entryPoint"), port or _DEFAULT_PORTS[scheme], entry_points)
    return Exchange(head, point, _first(arguments, "client") or "127.0.0.1")


def _first(arguments: Arguments, key: str) -> str:
    return next(iter(arguments.get(key, ())), "").strip()


def _field(line: str) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise RequestError(400, "bad-header", f"header {line[:60]!r}: write Name: value")
    return name.strip().encode("latin-1", "replace"), value.strip().encode("utf-8")


def _entry_point(name: str, port: int, entry_points: Sequence[EntryPoint]) -> EntryPoint:
    """The one that is named, else the one on that port, else the first that routers are on by default."""
    if not entry_points:
        raise RequestError(400, "no-entry-point", "there is no entry point")
    if not name:
        ordered = sorted(entry_points, key=lambda point: (point.port != port, not point.as_default))
        return ordered[0]
    for point in entry_points:
        if point.name == name:
            return point
    known = ", ".join(point.name for point in entry_points)
    raise RequestError(400, "no-entry-point", f"there is no entry point {name[:40]}; there are: {known}")


def explained(table: RoutingTable, exchange: Exchange) -> dict[str, Any]:
    """The verdict on one request, with the request as it was understood."""
    head = exchange.head
    route = table.route(exchange)
    return {
        "request": {
            "method": head.method.decode("latin-1"),
            "scheme": head.scheme.decode("latin-1"),
            "host": head.host.decode("latin-1"),
            "path": head.path.decode("latin-1"),
            "query": None if head.query is None else head.query.decode("latin-1"),
            "entryPoint": exchange.entry_point.name,
            "client": exchange.client,
        },
        "table": table.number,
        "middlewares": [] if route is None else list(route.router.middlewares),
        **table.explain(exchange).as_dict(),
    }


def explained_stream(
    table: RoutingTable, root: str, arguments: Arguments, entry_points: Sequence[EntryPoint]
) -> dict[str, Any]:
    """The verdict on a connection (``root`` is ``tcp``), or on the datagrams of an entry point (``udp``).

    Arguments: ``entryPoint``, ``client`` (an address), ``sni`` (the name asked for), ``alpn`` (protocols that are
    offered; commas, may repeat) and ``tls`` (``true`` or ``false``; with ``sni`` or ``alpn`` it is true). Raises
    RequestError 400 where there is no such entry point.
    """
    udp = root == "udp"
    routes = table.streams.datagrams if udp else table.streams.routes
    used = {name for route in routes for name in route.entry_points}
    # Without a name it is one with such routers, if there is one.
    points = sorted((p for p in entry_points if p.udp == udp), key=lambda point: point.name not in used)
    point = _entry_point(_first(arguments, "entryPoint"), points[0].port if points else 0, points)
    asked = {"entryPoint": point.name}
    if udp:
        return {"request": asked, "table": table.number, **explain_datagrams(table, point.name)}
    offered = [word.strip() for text in arguments.get("alpn", ()) for word in text.split(",")]
    hello = Hello(_first(arguments, "sni").lower().rstrip("."), tuple(filter(None, offered)))
    client = _first(arguments, "client") or "127.0.0.1"
    encrypted = bool(hello.server_name or hello.protocols)
    if not encrypted:
        encrypted = _first(arguments, "tls").lower() in ("1", "true", "yes", "on") or point.tls
    request = asked | {
        "client": client,
        "tls": encrypted,
        "sni": hello.server_name,
        "alpn": list(hello.protocols),
    }
    found = explain_connection(table, point.name, Caller(client, hello), encrypted=encrypted)
    return {"request": request, "table": table.number, **found}
