"""Our own API, dashboard and ``/ping`` as services of routers: ``api@internal`` and its like, as in Traefik 2.

They lead to the admin listener, so that a routed request passes the same guard as a direct one: what needs the token
there needs it here. Only its Host is ours: which hosts are served is for the rule of the router to say.
"""

from __future__ import annotations

from dataclasses import replace

from dynbalancer.core.model import Configuration, Middleware, Server, Service
from dynbalancer.core.settings import DASHBOARD_ALONE
from dynbalancer.start.entrypoints import NOBODY, PROVIDER

#: What an address stands for that no request can be sent to.
_ON_THIS_MACHINE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}

_PING = "ping-path"
_DASHBOARD = "dashboard-path"


def with_internals(
    own: Configuration, admin: tuple[str, int] | None, *, ping_only: bool = False
) -> Configuration:
    """The same, with the services that are always there. ``admin`` is where the admin listener is, if there is one.

    ``ping_only``: nothing else is there.
    """
    services = {NOBODY: Service(NOBODY)}
    middlewares: dict[str, Middleware] = {}
    if admin is not None:
        servers = (Server(_url(*admin)),)
        middlewares = {
            # In Traefik it answers whatever the path is, and the dashboard alone shows nothing else. That is for the
            # listener to see to: a pattern would be all that loads ``re2`` in most places, 2.5 MiB in each process.
            _PING: Middleware(_PING, "replacePath", {"path": "/ping"}),
            _DASHBOARD: Middleware(_DASHBOARD, "addPrefix", {"prefix": DASHBOARD_ALONE}),
        }
        if not ping_only:
            services["api"] = _service("api", servers)
            services["dashboard"] = _service("dashboard", servers, f"{_DASHBOARD}@{PROVIDER}")
        services["ping"] = _service("ping", servers, f"{_PING}@{PROVIDER}")
    return replace(own, services={**services, **own.services}, middlewares={**middlewares, **own.middlewares})


def _service(name: str, servers: tuple[Server, ...], *middlewares: str) -> Service:
    # The listener knows itself by its address, and refuses other names.
    return Service(name, servers, pass_host_header=False, middlewares=middlewares)


def _url(host: str, port: int) -> str:
    reachable = _ON_THIS_MACHINE.get(host, host)
    return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"
