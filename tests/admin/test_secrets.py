"""What is secret in labels and settings, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.admin.secrets import HIDDEN, redacted

CANARY = "s3cret"


@pytest.mark.parametrize(
    "key, value",
    [
        ("traefik.http.middlewares.a.basicauth.users", f"ann:{CANARY},bob:{CANARY}"),
        ("traefik.http.middlewares.a.digestauth.users", f"ann:realm:{CANARY}"),
        ("traefik.frontend.auth.basic", f"ann:{CANARY}"),
        ("traefik.frontend.auth.basic.users", f"ann:{CANARY}"),
        ("traefik.frontend.headers.customRequestHeaders", f"X-A:1||Authorization:Basic {CANARY}||X-B:2"),
        ("traefik.http.middlewares.a.headers.customrequestheaders.Authorization", f"Bearer {CANARY}"),
        ("traefik.http.middlewares.a.headers.customrequestheaders.X-Api-Key", CANARY),
        ("traefik.http.middlewares.a.headers.customrequestheaders.Cookie", f"sid={CANARY}"),
        ("traefik.http.middlewares.a.forwardauth.address", f"http://ann:{CANARY}@auth.example/"),
        ("settings", {"password": CANARY, "inner": {"clientSecret": CANARY, "tokens": [CANARY]}}),
        ("settings", {"users": [f"ann:{CANARY}"]}),
    ],
)
def test_secrets_are_hidden(key: str, value: Any) -> None:
    shown = str(redacted(key, value))
    assert CANARY not in shown
    assert HIDDEN in shown


def test_names_of_users_and_other_fields_stay() -> None:
    assert redacted("a.users", "ann:x,bob:y") == f"ann:{HIDDEN},bob:{HIDDEN}"
    shown = redacted("h", "X-A:1||Authorization:Basic x||X-B:2")
    assert shown == f"X-A:1||Authorization:{HIDDEN}||X-B:2"


@pytest.mark.parametrize(
    "key, value",
    [
        ("traefik.enable", "true"),
        ("traefik.http.services.a.loadbalancer.sticky.cookie", "true"),
        ("traefik.http.services.a.loadbalancer.sticky.cookie.name", "sid"),
        ("traefik.frontend.rule", "Host:a.example"),
        ("prefixes", ["/a"]),
        ("permanent", True),
        ("port", 80),
    ],
)
def test_what_is_no_secret_stays(key: str, value: Any) -> None:
    assert redacted(key, value) == value
