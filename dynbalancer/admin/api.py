"""The paths of the admin listener: Traefik v1's, Traefik v3's, our own, and the dashboard."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException

from dynbalancer.admin import dashboard, explain, state, streams, traefik1, traefik3
from dynbalancer.admin.answers import JSON_V1, as_json, in_words, moved, page_not_found, plain
from dynbalancer.admin.events import EventStream
from dynbalancer.admin.listing import select
from dynbalancer.core.settings import DASHBOARD_ALONE
from dynbalancer.errors import RequestError
from dynbalancer.version import version

_prefix = re.compile(r"(?:/[A-Za-z0-9._~-]+)*\Z").match

#: What v1 called its releases, and shows beside the version.
CODENAME = "roundrobin"


def query_of(request: Request) -> dict[str, str]:
    """The first value of each key of the query."""
    return {
        key.decode("utf-8", "replace"): values[0].decode("utf-8", "replace")
        for key, values in request.args.items()
    }


def all_of_query(request: Request) -> dict[str, list[str]]:
    """All values of each key of the query."""
    return {
        key.decode("utf-8", "replace"): [value.decode("utf-8", "replace") for value in values]
        for key, values in request.args.items()
    }


@dataclass(slots=True)
class Recent:
    """What only someone who looks every second can know."""

    statuses: Mapping[int, int] = field(default_factory=dict)


class Api:
    """Answers from what the sources say now. ``stopping`` tells whether we were told to end."""

    app = Klein()
    _log = Logger()

    def __init__(
        self,
        sources: state.Sources,
        stream: EventStream,
        recent: Recent,
        pages: dict[str, dashboard.Page],
        *,
        clock: Callable[[], float],
        stopping: Callable[[], bool],
    ) -> None:
        self._sources = sources
        self._stream = stream
        self._recent = recent
        self._pages = pages
        self._clock = clock
        self._stopping = stopping

    # Traefik v1.

    @app.route("/api")
    @app.route("/api/providers", endpoint="providers")
    def v1(self, request: Request) -> bytes:
        return as_json(request, self._providers(), JSON_V1)

    @app.route("/api/providers/<name>")
    @app.route("/api/providers/<name>/<path:rest>", endpoint="provider_part")
    def v1_provider(self, request: Request, name: str, rest: str = "") -> bytes:
        found = self._providers().get(name)
        if found is not None:
            found = traefik1.part(found, rest.split("/") if rest else ())
        return page_not_found(request) if found is None else as_json(request, found, JSON_V1)

    def _providers(self) -> dict[str, Any]:
        return traefik1.providers(self._sources.router.providers, self._sources.entry_points)

    @app.route("/health")
    def health(self, request: Request) -> bytes:
        now = self._clock()
        found = traefik1.health(
            self._sources.statistics.totals(),
            self._recent.statuses,
            pid=os.getpid(),
            hostname=socket.gethostname(),
            uptime=max(0.0, now - self._sources.started),
            now=now,
        )
        return as_json(request, found, JSON_V1)

    @app.route("/ping")
    def ping(self, request: Request) -> bytes:
        if self._stopping():
            return plain(request, 503, b"Service Unavailable")
        return plain(request, 200, b"OK")

    # Traefik v3.

    @app.route("/api/overview")
    def overview(self, request: Request) -> bytes:
        names = [status.name for status in self._sources.router.providers if status.name != "internal"]
        found = traefik3.overview(self._sources.runtime(), names, access_log=self._sources.access_log)
        return as_json(request, found)

    @app.route("/api/version")
    def version(self, request: Request) -> bytes:
        started = traefik1.rfc3339(self._sources.started)
        return as_json(request, {"Version": version(), "Codename": CODENAME, "startDate": started})

    @app.route("/api/rawdata")
    def rawdata(self, request: Request) -> bytes:
        return as_json(request, traefik3.rawdata(self._sources.runtime()))

    @app.route("/api/entrypoints")
    def entry_points(self, request: Request) -> bytes:
        return as_json(request, [traefik3.entry_point(point) for point in self._sources.entry_points])

    @app.route("/api/entrypoints/<path:name>")
    def entry_point(self, request: Request, name: str) -> bytes:
        for point in self._sources.entry_points:
            if point.name == name:
                return as_json(request, traefik3.entry_point(point))
        return in_words(request, 404, f"entry point not found: {name}")

    @app.route("/api/http/<any(routers,services,middlewares):family>")
    def http_list(self, request: Request, family: str) -> bytes:
        page = select(self._sources.runtime().family(family), query_of(request))
        request.setHeader(b"X-Next-Page", b"%d" % page.next)
        return as_json(request, page.entries)

    @app.route("/api/http/<any(routers,services,middlewares):family>/<path:name>")
    def http_one(self, request: Request, family: str, name: str) -> bytes:
        for entry in self._sources.runtime().family(family):
            if entry["name"] == name:
                return as_json(request, entry)
        return in_words(request, 404, f"{traefik3.FAMILIES[family]} not found: {name}")

    @app.route("/api/<any(tcp,udp):root>/<any(routers,services,middlewares):family>")
    def stream_list(self, request: Request, root: str, family: str) -> bytes:
        found = self._sources.runtime().streams.get((root, family))
        if found is None:
            return page_not_found(request)
        page = select(found, query_of(request))
        request.setHeader(b"X-Next-Page", b"%d" % page.next)
        flows = self._sources.statistics.totals().flows
        return as_json(request, [streams.counted(entry, root, family, flows) for entry in page.entries])

    @app.route("/api/<any(tcp,udp):root>/<any(routers,services,middlewares):family>/<path:name>")
    def stream_one(self, request: Request, root: str, family: str, name: str) -> bytes:
        for entry in self._sources.runtime().streams.get((root, family), ()):
            if entry["name"] == name:
                flows = self._sources.statistics.totals().flows
                return as_json(request, streams.counted(entry, root, family, flows))
        kind = streams.FAMILIES[root].get(family)
        return (
            page_not_found(request) if kind is None else in_words(request, 404, f"{kind} not found: {name}")
        )

    # Our own.

    @app.route("/api/state")
    def state(self, request: Request) -> bytes:
        return as_json(request, state.whole(self._sources))

    @app.route("/api/problems")
    def problems(self, request: Request) -> bytes:
        return as_json(request, state.problems(self._sources.router))

    @app.route("/api/items")
    def items(self, request: Request) -> bytes:
        return as_json(request, state.items(self._sources.router))

    @app.route("/api/history")
    def history(self, request: Request) -> bytes:
        return as_json(request, state.history(self._sources.router.history))

    @app.route("/api/workers")
    def workers(self, request: Request) -> bytes:
        return as_json(request, state.workers(self._sources.workforce.workers))

    @app.route("/api/statistics")
    def statistics(self, request: Request) -> bytes:
        source = self._sources.statistics
        return as_json(request, state.statistics(source.totals(), source.per_second()))

    @app.route("/api/explain")
    def explain(self, request: Request) -> bytes:
        asked = explain.exchange_of(all_of_query(request), self._sources.entry_points)
        return as_json(request, explain.explained(self._sources.router.table, asked))

    @app.route("/api/explain/<any(tcp,udp):root>")
    def explain_stream(self, request: Request, root: str) -> bytes:
        table, points = self._sources.router.table, self._sources.entry_points
        return as_json(request, explain.explained_stream(table, root, all_of_query(request), points))

    @app.route("/api/events")
    def events(self, request: Request) -> bytes | Deferred[bytes]:
        return self._stream.join(request)

    # The dashboard.

    @app.route("/")
    @app.route("/dashboard", endpoint="dashboard_bare")
    @app.route("/dashboard/status", endpoint="dashboard_status")
    @app.route(f"{DASHBOARD_ALONE}/dashboard/status", endpoint="alone_status")
    @app.route(f"{DASHBOARD_ALONE}/", endpoint="alone")
    @app.route(f"{DASHBOARD_ALONE}/<path:other>", endpoint="alone_other")
    def to_dashboard(self, request: Request, other: str = "") -> bytes:
        if not self._pages:
            return page_not_found(request)
        prefix = request.getHeader("x-forwarded-prefix") or ""
        # What is not plainly a path could lead to a foreign host.
        prefix = prefix.rstrip("/") if _prefix(prefix.rstrip("/")) else ""
        return moved(request, 302, f"{prefix}/dashboard/")

    @app.route("/dashboard/")
    @app.route("/dashboard/<name>", endpoint="dashboard_file")
    @app.route(f"{DASHBOARD_ALONE}/dashboard/", endpoint="alone_page")
    @app.route(f"{DASHBOARD_ALONE}/dashboard/<name>", endpoint="alone_file")
    def dashboard(self, request: Request, name: str = "") -> bytes:
        return dashboard.answer(request, self._pages, name)

    # What went wrong.

    @app.handle_errors(RequestError)
    def refused(self, request: Any, failure: Failure) -> bytes:
        error = failure.value
        assert isinstance(error, RequestError)
        return in_words(request, error.status, error.why)

    @app.handle_errors(HTTPException)
    def unknown(self, request: Any, failure: Failure) -> bytes:
        return page_not_found(request)

    @app.handle_errors(Exception)
    def broken(self, request: Any, failure: Failure) -> bytes:
        self._log.failure(
            "{method} {path} can't be answered", failure, method=request.method, path=request.path
        )
        return in_words(request, 500, "internal error; the log has more")
