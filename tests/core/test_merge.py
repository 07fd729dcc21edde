"""Merging what providers say, and saying what a change amounts to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.merge import Difference, Merging, diff, merge, only_removes_servers
from dynbalancer.core.model import (
    Certificate,
    Configuration,
    Item,
    Middleware,
    Router,
    Server,
    ServersTransport,
    Service,
)
from dynbalancer.errors import Problem

A = Server("http://10.0.0.1:80")
B = Server("http://10.0.0.2:80")
C = Server("http://10.0.0.3:80")


def routing(*servers: Server, rule: str = "Host(`a.example`)", **services: Service) -> Configuration:
    """One router ``web`` to one service ``web``, and more services if given."""
    return Configuration(
        {"web": Router("web", rule, "web", middlewares=("strip",))},
        {"web": Service("web", servers), **services},
        {"strip": Middleware("strip", "stripPrefix")},
    )


def test_names_and_keys_carry_their_provider() -> None:
    merged = merge([("docker", routing(A)), ("file", routing(B))])
    for family in merged.routing:
        assert all(key == value.name for key, value in family.items())
    assert list(merged.routers) == ["web@docker", "web@file"]
    assert list(merged.services) == ["web@docker", "web@file"]
    assert list(merged.middlewares) == ["strip@docker", "strip@file"]


def test_references_stay_as_written() -> None:
    router = merge([("docker", routing(A))]).routers["web@docker"]
    assert (router.service, router.middlewares) == ("web", ("strip",))


def test_name_with_an_at_sign_is_refused_and_the_rest_kept() -> None:
    found = replace(routing(A), services={"web": Service("web"), "x@file": Service("x@file")})
    merged = merge([("docker", found)])
    assert list(merged.services) == ["web@docker"]
    (problem,) = merged.problems
    assert problem.where == "service x@file of provider docker"
    assert "'@'" in problem.why
    assert "write x;" in problem.hint


def test_problems_and_items_are_collected_in_the_order_of_providers() -> None:
    first = Configuration(problems=(Problem("b", "late"),), items=(Item("1", "web-1", gave=("web",)),))
    second = Configuration(problems=(Problem("a", "early"),), items=(Item("2", "web-2"),))
    merged = merge([("docker", first), ("file", second)])
    assert [problem.where for problem in merged.problems] == ["b", "a"]
    assert [(item.name, item.gave) for item in merged.items] == [("web-1", ("web@docker",)), ("web-2", ())]


definitions = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d@x"]), st.sampled_from(["", "here", "there"]), max_size=3
)


@given(st.lists(st.dictionaries(st.sampled_from(["docker", "file", "kv"]), definitions), max_size=5))
def test_merging_again_is_merging_anew(steps: list[dict[str, dict[str, str]]]) -> None:
    merging = Merging()
    for step in steps:
        given_now = [
            (
                provider,
                Configuration(
                    {name: Router(name, "Path(`/`)", "s", origin=origin) for name, origin in found.items()},
                    {name: Service(name, origin=origin) for name, origin in found.items()},
                    problems=(Problem(provider, "wrong"),),
                    items=tuple(Item(name, origin, gave=(name,)) for name, origin in found.items()),
                    certificates={
                        name: Certificate(name, default=origin == "here") for name, origin in found.items()
                    },
                ),
            )
            for provider, found in step.items()
        ]
        again, anew = merging.merge(given_now), merge(given_now)
        assert again.routing == anew.routing
        assert again.items == anew.items
        assert sorted(map(str, again.problems)) == sorted(map(str, anew.problems))


def test_what_was_said_before_is_the_same_object() -> None:
    merging, first, other = Merging(), routing(A), routing(B)
    item = Item("1", "web-1", gave=("web",))
    before = merging.merge([("docker", replace(first, items=(item,))), ("file", other)])
    equal = replace(routing(A), items=(item,), problems=(Problem("a", "new"),))
    after = merging.merge([("docker", equal), ("file", other)])
    assert all(new is old for new, old in zip(after.routing, before.routing, strict=True))
    assert after.items[0] is before.items[0]
    changed = merging.merge([("docker", replace(first, services={"web": Service("web")})), ("file", other)])
    assert changed.routers is before.routers
    assert changed.services["web@file"] is before.services["web@file"]
    assert changed.services["web@docker"].servers == ()


def certificates(*names: str, default: bool = False) -> Configuration:
    return Configuration(certificates={name: Certificate(name, default=default) for name in names})


def test_certificates_carry_their_provider_too() -> None:
    merged = merge([("file", certificates("a.example")), ("other", certificates("a.example"))])
    assert {name: one.name for name, one in merged.certificates.items()} == {
        "a.example@file": "a.example@file",
        "a.example@other": "a.example@other",
    }


def test_one_default_certificate_stays_and_two_cancel_each_other_out() -> None:
    one = merge([("file", certificates("default", default=True)), ("other", certificates("a.example"))])
    assert (one.certificates["default@file"].default, one.problems) == (True, ())
    two = merge([(name, certificates("default", default=True)) for name in ("file", "other")])
    assert [certificate.default for certificate in two.certificates.values()] == [False, False]
    (problem,) = two.problems
    assert "default@file, default@other" in problem.why


def test_a_renewed_certificate_is_a_change_and_shows_no_key() -> None:
    old = merge([("file", certificates("a.example"))])
    new = merge([("file", certificates("a.example", default=True))])
    assert diff(old, new) == Difference(changed=("certificate a.example@file",))
    assert not only_removes_servers(old, new)


def test_nothing_merges_to_nothing() -> None:
    assert merge([]) == Configuration()


WEB = "of web@docker"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(routing(A), routing(A), Difference(), id="equal"),
        pytest.param(
            Configuration(),
            routing(A),
            Difference(added=("router web@docker", "service web@docker", "middleware strip@docker")),
            id="all new",
        ),
        pytest.param(
            routing(A),
            Configuration(),
            Difference(removed=("router web@docker", "service web@docker", "middleware strip@docker")),
            id="all gone",
        ),
        pytest.param(
            routing(A),
            routing(A, rule="Host(`b.example`)"),
            Difference(changed=("router web@docker",)),
            id="router changed",
        ),
        pytest.param(
            routing(A, B),
            routing(replace(A, state="draining"), C),
            Difference(
                added=(f"server {C.url} {WEB}",),
                removed=(f"server {B.url} {WEB}",),
                changed=(f"server {A.url} {WEB}",),
            ),
            id="servers",
        ),
        pytest.param(
            routing(A),
            replace(routing(A), services={"web": Service("web", (A,), strategy="p2c")}),
            Difference(changed=("service web@docker",)),
            id="service changed",
        ),
        pytest.param(
            routing(replace(A, instance="1")),
            routing(replace(A, instance="2")),
            Difference(changed=(f"server {A.url} {WEB}",)),
            id="same address, other container",
        ),
        pytest.param(
            routing(replace(A, instance="1"), replace(A, instance="2")),
            routing(replace(A, instance="2")),
            Difference(changed=(f"server {A.url} {WEB}",)),
            id="one of two at the same address",
        ),
    ],
)
def test_diff_names_what_happened(old: Configuration, new: Configuration, expected: Difference) -> None:
    assert diff(merge([("docker", old)]), merge([("docker", new)])) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(routing(A, B), routing(B), True, id="removed"),
        pytest.param(routing(A), routing(), True, id="the last one removed"),
        pytest.param(routing(A, B), routing(A, replace(B, state="draining")), True, id="draining"),
        pytest.param(routing(A, B), routing(replace(A, state="down")), True, id="one down, one removed"),
        pytest.param(routing(A), routing(A, B), False, id="added"),
        pytest.param(routing(A), routing(B), False, id="replaced"),
        pytest.param(routing(A, B), routing(B, A), False, id="other order"),
        pytest.param(routing(replace(A, state="down")), routing(A), False, id="back up"),
        pytest.param(routing(A, B), routing(replace(A, weight=2)), False, id="weight changed as well"),
        pytest.param(routing(A, B), routing(A, rule="Host(`b.example`)"), False, id="router changed as well"),
        pytest.param(routing(A, B), routing(A, other=Service("other")), False, id="service added as well"),
        pytest.param(
            routing(A, B),
            replace(routing(A), services={"web": Service("web", (A,), strategy="p2c")}),
            False,
            id="strategy changed as well",
        ),
        pytest.param(routing(A, B), replace(routing(A), middlewares={}), False, id="middleware went as well"),
        pytest.param(
            routing(A, B),
            replace(routing(A), transports={"t": ServersTransport("t")}),
            False,
            id="transport came as well",
        ),
    ],
)
def test_only_removes_servers(old: Configuration, new: Configuration, expected: bool) -> None:
    assert only_removes_servers(old, new) is expected
