"""Texts of labels as the lists, numbers and switches of files."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.model import Middleware
from dynbalancer.core.typed import typed


@pytest.mark.parametrize(
    "kind, settings, expected",
    [
        ("stripPrefix", {"prefixes": "/a, /b"}, {"prefixes": ("/a", "/b")}),
        ("stripPrefix", {"prefixes[1]": "/b", "prefixes[0]": "/a"}, {"prefixes": ("/a", "/b")}),
        ("stripPrefixRegex", {"regex": "^/a,^/b"}, {"regex": ("^/a", "^/b")}),
        ("redirectRegex", {"regex": "a{1,2}", "permanent": "true"}, {"regex": "a{1,2}", "permanent": True}),
        ("rateLimit", {"average": "5", "period": "1s"}, {"average": 5, "period": "1s"}),
        (
            "inFlightReq",
            {"sourceCriterion": {"ipStrategy": {"depth": "2"}}},
            {"sourceCriterion": {"ipStrategy": {"depth": 2}}},
        ),
        (
            "headers",
            {"customRequestHeaders": {"X-A": "1"}, "STSSeconds": "5"},
            {"customRequestHeaders": {"X-A": "1"}, "STSSeconds": 5},
        ),
        ("basicAuth", {"users": ("a:b",), "removeHeader": True}, {"users": ("a:b",), "removeHeader": True}),
    ],
)
def test_kinds_of_values(kind: str, settings: dict[str, Any], expected: dict[str, Any]) -> None:
    found = typed(Middleware("m", kind, settings))
    assert found.settings == expected
    assert typed(found) == found
