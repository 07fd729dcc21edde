"""What is defined in files that nobody checks."""

from __future__ import annotations

from dataclasses import replace

from dynbalancer.core.model import Configuration, Middleware, Router, Service
from dynbalancer.lint.elsewhere import with_stand_ins


def routing(*, service: str = "s", middlewares: tuple[str, ...] = ()) -> Configuration:
    """One router of the provider docker, and its service."""
    router = Router("r@docker", "Host(`a`)", service, middlewares=middlewares, origin="container c")
    return Configuration({"r@docker": router}, {"s@docker": Service("s@docker")})


def test_what_another_provider_has_is_taken_to_be_there_and_said() -> None:
    found, notes = with_stand_ins(routing(service="x@file", middlewares=("a@file", "a@file", "b@consul")))
    assert set(found.services) == {"s@docker", "x@file"}
    assert set(found.middlewares) == {"a@file", "b@consul"}
    assert [note.why.partition(" is in")[0] for note in notes] == [
        "service x@file",
        "middleware a@file",
        "middleware b@consul",
    ]
    assert {(note.where, note.severity) for note in notes} == {("router r@docker of container c", "info")}


def test_what_a_provider_that_is_checked_has_not_is_missing() -> None:
    given = routing(service="x@docker", middlewares=("a", "b@docker", "c@internal"))
    assert with_stand_ins(given) == (given, ())


def test_members_of_chains() -> None:
    chain = Middleware("c@docker", "chain", {"middlewares": "a@file, b"}, "container c")
    found, notes = with_stand_ins(Configuration(middlewares={"c@docker": chain}))
    assert set(found.middlewares) == {"c@docker", "a@file"}
    assert [note.where for note in notes] == ["middleware c@docker of container c"]


def test_files_of_users_are_where_the_balancer_runs() -> None:
    given = {
        "alone@docker": Middleware("alone@docker", "basicAuth", {"usersFile": "/users"}, "container c"),
        "both@docker": Middleware("both@docker", "basicAuth", {"usersFile": "/users", "users": "a:b"}),
    }
    found, notes = with_stand_ins(Configuration(middlewares=given))
    assert found.middlewares["alone@docker"].type == "contentType"
    assert found.middlewares["both@docker"].settings == {"users": "a:b"}
    assert [(note.where, note.severity) for note in notes] == [
        ("middleware alone@docker of container c", "info"),
        ("middleware both@docker", "info"),
    ]


def test_who_has_the_pages_of_errors_may_be_elsewhere_too() -> None:
    pages = Middleware("pages@docker", "errors", {"service": "other@file"})
    found, notes = with_stand_ins(replace(routing(), middlewares={"pages@docker": pages}))
    assert set(found.services) == {"s@docker", "other@file"}
    assert [note.where for note in notes] == ["middleware pages@docker"]
