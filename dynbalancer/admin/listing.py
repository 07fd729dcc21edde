"""Which entries of a list a query asks for: search, filters, order and page, as Traefik v3's API has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynbalancer.errors import RequestError

Entry = Mapping[str, Any]

#: What a search looks into.
SEARCHED = ("name", "rule", "service")

#: Keys that a list may be ordered by.
SORTABLE = ("name", "provider", "priority", "status", "rule", "service", "entryPoints", "type", "servers")

PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class Page:
    """The entries of one page; ``next`` is the number of the following page, or 1 on the last one."""

    entries: Sequence[Entry]
    next: int


def select(entries: Sequence[Entry], query: Mapping[str, str]) -> Page:
    """One page of what the query asks for. Raises RequestError 400 for a page that can't be."""
    found = [entry for entry in entries if _wanted(entry, query)]
    by = query.get("sortBy", "name")
    by = by if by in SORTABLE else "name"
    found.sort(key=lambda entry: (_order(entry, by), entry["name"]), reverse=query.get("direction") == "desc")
    return _page(found, query)


def _wanted(entry: Entry, query: Mapping[str, str]) -> bool:
    search = query.get("search", "").lower()
    if search and not any(search in str(entry.get(key, "")).lower() for key in SEARCHED):
        return False
    status = query.get("status", "").lower()
    if status and entry["status"] != status:
        return False
    service = query.get("serviceName", "")
    if service and not _names(entry.get("service", ""), service):
        return False
    middleware = query.get("middlewareName", "")
    return not middleware or any(_names(name, middleware) for name in entry.get("middlewares", ()))


def _names(found: str, wanted: str) -> bool:
    return found == wanted or ("@" not in wanted and found.partition("@")[0] == wanted)


def _order(entry: Entry, by: str) -> Any:
    if by == "priority":
        return entry.get("priority", 0)
    if by == "entryPoints":
        return ",".join(entry.get("entryPoints", ()))
    if by == "servers":
        return len(entry.get("loadBalancer", {}).get("servers", ()))
    return str(entry.get(by, ""))


def _page(found: Sequence[Entry], query: Mapping[str, str]) -> Page:
    per_page = _positive(query, "per_page", PER_PAGE)
    page = _positive(query, "page", 1)
    start = (page - 1) * per_page
    if start and start >= len(found):
        raise RequestError(400, "bad-page", f"invalid request: page: {page}, per_page: {per_page}")
    end = start + per_page
    return Page(found[start:end], page + 1 if end < len(found) else 1)


def _positive(query: Mapping[str, str], key: str, default: int) -> int:
    written = query.get(key, "")
    if not written:
        return default
    # isascii first: isdigit is also true of digits that int() does not take.
    number = int(written) if written.isascii() and written.isdigit() and len(written) < 10 else 0
    if number <= 0:
        raise RequestError(400, "bad-page", f"invalid request: {key}: {written[:40]}")
    return number
