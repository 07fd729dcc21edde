"""v1's labels about who may come in."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.v1auth import auth

USER = "ann:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"


def read(**labels: str) -> tuple[Any, list[str]]:
    """Type and settings of the middleware, and what is wrong."""
    findings = Findings("web-1")
    keys = {
        f"frontend.auth.{key.replace('__', '.')}".removesuffix("."): value for key, value in labels.items()
    }
    made = auth({key: Label(f"traefik.{key}", value) for key, value in keys.items()}, findings)
    return (made and (made.type, dict(made.settings))), [problem.why for problem in findings.problems]


def test_without_labels_everybody_may() -> None:
    assert read() == (None, [])


def test_a_server_that_is_asked() -> None:
    assert read(
        forward__address="http://login.example/auth",
        forward__authResponseHeaders="X-User, X-Group",
        forward__trustForwardHeader="true",
        forward__tls__ca="/ca.pem",
        forward__tls__caOptional="true",
        forward__tls__insecureSkipVerify="false",
    ) == (
        (
            "forwardAuth",
            {
                "address": "http://login.example/auth",
                "authResponseHeaders": ("X-User", "X-Group"),
                "trustForwardHeader": True,
                "tls": {"ca": "/ca.pem", "caOptional": True},
            },
        ),
        [],
    )


@pytest.mark.parametrize(
    ("labels", "kind", "unused"),
    [
        ({"basic__users": USER, "digest__users": "x", "forward__address": "http://x"}, "basicAuth", 2),
        ({"digest__users": "x", "forward__address": "http://x"}, "digestAuth", 1),
        ({"basic": USER, "forward__address": "http://x"}, "basicAuth", 1),
        ({"basic__removeHeader": "true", "forward__address": "http://x"}, "basicAuth", 1),
    ],
)
def test_of_several_kinds_the_first_counts(labels: dict[str, str], kind: str, unused: int) -> None:
    made, problems = read(**labels)
    assert made[0] == kind
    assert len([why for why in problems if "goes before it" in why]) == unused


def test_a_server_without_an_address_lets_nobody_in() -> None:
    made, problems = read(forward__trustForwardHeader="true")
    assert made == ("forwardAuth", {"address": "", "trustForwardHeader": True})
    assert problems == ["nobody is let in without label traefik.frontend.auth.forward.address"]


def test_a_file_of_users_beside_users() -> None:
    made, problems = read(basic__usersFile="/users", basic__users=USER)
    assert made == (
        "basicAuth",
        {"users": (USER,), "removeHeader": False, "headerField": "", "usersFile": "/users"},
    )
    assert problems == []


def test_a_field_for_the_user_s_name_is_not_for_servers_that_are_asked() -> None:
    _, problems = read(forward__address="http://x", headerField="X-User")
    assert problems == ["not used: it is for auth.basic and auth.digest"]
