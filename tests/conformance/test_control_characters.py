"""A line end or a NUL in the configuration: what it stands in is refused when it is read, and reaches no wire."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.documents import from_document
from dynbalancer.core.merge import merge
from dynbalancer.core.model import EntryPoint
from dynbalancer.start.compiling import compiler

BAD = ("a\r\nX-Evil: y", "a\nb", "a\rb", "a\0b")
USER = "ann:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"

#: What it may stand in: the settings of a middleware.
MIDDLEWARES: dict[str, Any] = {
    "value for the server": lambda bad: {"headers": {"customRequestHeaders": {"X-A": bad}}},
    "value for the client": lambda bad: {"headers": {"customResponseHeaders": {"X-A": bad}}},
    "name of a field": lambda bad: {"headers": {"customResponseHeaders": {bad: "v"}}},
    "policy": lambda bad: {"headers": {"contentSecurityPolicy": bad}},
    "origin": lambda bad: {"headers": {"accessControlAllowOriginList": [bad]}},
    "redirect": lambda bad: {"redirectRegex": {"regex": "^.*$", "replacement": f"http://b.example/{bad}"}},
    "scheme": lambda bad: {"redirectScheme": {"scheme": bad}},
    "prefix": lambda bad: {"addPrefix": {"prefix": f"/{bad}"}},
    "path": lambda bad: {"replacePath": {"path": f"/{bad}"}},
    "realm": lambda bad: {"basicAuth": {"users": [USER], "realm": bad}},
    "field of the user": lambda bad: {"basicAuth": {"users": [USER], "headerField": bad}},
}


def compiled(middleware: dict[str, Any], rule: str = "Host(`a.example`)", **balancer: Any) -> Any:
    """A table with one router, whose middleware and service are these."""
    balancer = {"servers": [{"url": "http://10.0.0.1:80"}], **balancer}
    document = {
        "http": {
            "routers": {"r": {"rule": rule, "service": "s", "middlewares": ["m"]}},
            "services": {"s": {"loadBalancer": balancer}},
            "middlewares": {"m": middleware},
        }
    }
    found = from_document(document, "file dyn.yml")
    table = compiler((EntryPoint("web", 80),), lambda: 0.0)(merge([("file", found)]), 1, None)
    return table, (*found.problems, *table.problems)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", MIDDLEWARES)
def test_in_a_middleware_it_closes_the_routers_that_use_it(place: str, bad: str) -> None:
    table, problems = compiled(MIDDLEWARES[place](bad))
    # Fields for the client keep nobody out: the router goes on without all of that middleware.
    left_out = place in ("value for the client", "name of a field")
    assert [route.middlewares for route in table.routes] == ([()] if left_out else [])
    assert dict(table.middlewares) == {}
    assert problems


@pytest.mark.parametrize("bad", BAD)
def test_in_a_host_it_closes_the_router(bad: str) -> None:
    written = bad.replace("\r", "\\r").replace("\n", "\\n").replace("\0", "\\x00")
    table, problems = compiled({"headers": {}}, f'Host("{written}")')
    assert table.routes == ()
    assert problems


@pytest.mark.parametrize("bad", BAD)
def test_in_a_service_only_what_is_sound_is_used(bad: str) -> None:
    table, problems = compiled({"headers": {}}, sticky={"cookie": {"name": bad}})
    assert problems
    assert bad not in repr(table.configuration.services["s@file"].sticky)
    table, problems = compiled({"headers": {}}, servers=[{"url": f"http://10.0.0.1:80/{bad}"}])
    assert problems
    assert table.configuration.services["s@file"].servers == ()
