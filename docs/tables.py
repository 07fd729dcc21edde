"""Writes the option tables of the reference from what the readers of options read by: ``make reference``.

A table stands between two comments in its page::

    <!-- options of middleware headers: customRequestHeaders customResponseHeaders -->
    <!-- end of options -->

After the colon are the options it shows, in that order; without one it shows them all.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from twisted.python.reflect import namedAny

from dynbalancer import plugins
from dynbalancer.core import checks, schema, service_keys, tlsdocuments
from dynbalancer.core.durations import go_duration
from dynbalancer.core.sections import below
from dynbalancer.middlewares.base import Option

REFERENCE = Path(__file__).parent / "reference"

HEAD = "| name | type | default | meaning |\n|---|---|---|---|\n"

_table = re.compile(
    r"(<!-- options of (?P<kind>\w+) (?P<name>[\w.]+)(?P<only>: [^>]*?)? -->\n).*?(<!-- end of options -->)",
    re.DOTALL,
)

#: What the reader of each kind of value takes, in words.
KINDS: Mapping[str, str] = {
    "switch": "true or false",
    "tls": "section",
    "presence": "section",
    "section": "section",
    "sections": "list of sections",
    "fields": "section of texts",
    "list": "list",
    "statuses": "list",
    "dialect": "`v2` or `v3`",
    "url": "URL",
    "duration": "duration",
    "wait": "duration",
    "window": "duration",
    "flush": "duration",
    "scheme": "`http` or `https`",
    "mode": "text",
    "host": "text",
    "path": "text",
    "port": "number",
    "status": "number",
    "method": "text",
    "payload": "text",
    "sameSite": "`none`, `lax` or `strict`",
    "cookie": "text",
    "tlsVersion": "text",
    "weight": "number",
    "percent": "number",
    "size": "number",
    "attempts": "number",
    "idle": "number",
}

#: Tables of keys by the name that pages give them.
KEYS: Mapping[str, tuple[schema.Key, ...]] = {
    "router": schema.ROUTER,
    "tls": schema.TLS,
    "certificate": schema.CERTIFICATE,
    "service": schema.SERVICE,
    "loadBalancer": schema.LOAD_BALANCER,
    "server": schema.SERVER,
    "cookie": service_keys.COOKIE,
    "passiveHealthCheck": service_keys.PASSIVE_HEALTH,
    "weighted": service_keys.WEIGHTED,
    "member": service_keys.MEMBER,
    "mirroring": service_keys.MIRRORING,
    "mirror": service_keys.MIRROR,
    "failover": service_keys.FAILOVER,
    "errors": service_keys.ERRORS,
    "highestRandomWeight": service_keys.HIGHEST_RANDOM_WEIGHT,
    "serversTransport": service_keys.TRANSPORT,
    "forwardingTimeouts": service_keys.TIMEOUTS,
    "healthCheck": checks.HEALTH_CHECK,
    "tcpHealthCheck": checks.TCP_HEALTH_CHECK,
    "tlsOptions": tlsdocuments.OPTIONS,
    "clientAuth": tlsdocuments.CLIENT,
}


def middleware_options(type_: str) -> tuple[Option, ...]:
    """The options of a middleware of HTTP, by its type in lower case."""
    found: tuple[Option, ...] = namedAny(plugins.middleware_makers()[type_].factory).OPTIONS
    return found


def _of_middleware(name: str) -> Iterator[tuple[str, str]]:
    return _rows(middleware_options(name.lower()))


def _rows(options: Iterable[Option], before: str = "") -> Iterator[tuple[str, str]]:
    for option in options:
        name = f"{before}{option.name}"
        if option.members:
            yield from _rows(option.members, f"{name}.")
            continue
        kind = "section of texts" if option.kind == "section" else KINDS.get(option.kind, option.kind)
        default = "required" if option.required else _default(option.kind, option.default)
        yield name, _row(name, kind, default, option.meaning)


def _of_provider(name: str) -> Iterator[tuple[str, str]]:
    for option in plugins.provider_makers()[name].options:
        kind = _type_of(option.default)
        default = _default("duration" if kind == "duration" else "", option.default)
        yield option.name, _row(option.name, kind, default, option.description)


def _type_of(default: object) -> str:
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, tuple):
        return "list"
    return {int: "number", float: "duration"}.get(type(default), "text")


def _of_keys(name: str) -> Iterator[tuple[str, str]]:
    for key in KEYS[name]:
        kind = KINDS.get(key.kind, key.kind)
        default = "required" if key.required else _default(key.kind, key.default)
        if (below(key) is not None or kind == "section") and not key.required:
            # What it holds has a table of its own; by default it isn't there.
            default = "none"
        yield key.name, _row(key.name, kind, default, key.meaning)


def _row(name: str, kind: str, default: str, meaning: str) -> str:
    return f"| `{name}` | {kind} | {default} | {_in_table(meaning)} |\n"


def _in_table(meaning: str) -> str:
    return meaning.replace("|", "\\|").replace("<", "&lt;")


def _default(kind: str, value: object) -> str:
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, (list, tuple)):
        return f"`{', '.join(map(str, value))}`"
    if isinstance(value, (int, float)) and KINDS.get(kind) == "duration":
        return f"`{go_duration(value)}`"
    return f"`{value}`"


SOURCES: Mapping[str, Callable[[str], Iterator[tuple[str, str]]]] = {
    "middleware": _of_middleware,
    "provider": _of_provider,
    "keys": _of_keys,
}


def shown(page: str) -> dict[tuple[str, str], list[str]]:
    """Which options the tables of a page show, by kind and name."""
    found: dict[tuple[str, str], list[str]] = {}
    for match in _table.finditer(page):
        place = found.setdefault((match["kind"], match["name"]), [])
        place += _chosen(match["only"]) or [name for name, _ in SOURCES[match["kind"]](match["name"])]
    return found


def _chosen(only: str | None) -> list[str]:
    return only[2:].split() if only else []


def written(page: str) -> str:
    """A page with its tables made anew. Raises KeyError for a table of what there is not."""

    def table(match: re.Match[str]) -> str:
        rows = dict(SOURCES[match["kind"]](match["name"]))
        chosen = _chosen(match["only"]) or list(rows)
        return f"{match[1]}\n{HEAD}{''.join(rows[name] for name in chosen)}\n{match[5]}"

    return _table.sub(table, page)


def main(paths: Sequence[Path]) -> int:
    """Write the tables of all pages; which changed is printed."""
    for path in paths:
        page = path.read_text()
        made = written(page)
        if made != page:
            path.write_text(made)
            print(path.relative_to(REFERENCE.parent))
    return 0


if __name__ == "__main__":
    sys.exit(main(sorted(REFERENCE.rglob("*.md"))))
