"""Search, filters, order and pages."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.admin.listing import select
from dynbalancer.errors import RequestError

ENTRIES: list[dict[str, Any]] = [
    {
        "name": "b@docker",
        "provider": "docker",
        "rule": "Host(`B.example`)",
        "service": "s",
        "status": "enabled",
        "priority": 3,
        "entryPoints": ["web"],
        "middlewares": ["m@docker"],
    },
    {
        "name": "a@file",
        "provider": "file",
        "rule": "Path(`/x`)",
        "service": "t",
        "status": "warning",
        "priority": 9,
    },
    {
        "name": "c@docker",
        "provider": "docker",
        "rule": "",
        "service": "s@file",
        "status": "disabled",
        "priority": 3,
    },
]


def names(**query: str) -> str:
    """The first letters of the names found."""
    return "".join(entry["name"][0] for entry in select(ENTRIES, query).entries)


@pytest.mark.parametrize(
    "query, found",
    [
        ({}, "abc"),
        ({"search": "b.EXAMPLE"}, "b"),
        ({"search": "@docker"}, "bc"),
        ({"search": "nothing"}, ""),
        ({"status": "warning"}, "a"),
        ({"status": "DISABLED"}, "c"),
        ({"serviceName": "s"}, "bc"),
        ({"serviceName": "s@file"}, "c"),
        ({"middlewareName": "m"}, "b"),
        ({"middlewareName": "m@docker"}, "b"),
        ({"middlewareName": "m@file"}, ""),
        ({"sortBy": "priority"}, "bca"),
        ({"sortBy": "priority", "direction": "desc"}, "acb"),
        ({"sortBy": "provider"}, "bca"),
        ({"sortBy": "status"}, "cba"),
        ({"sortBy": "entryPoints"}, "acb"),
        ({"sortBy": "__class__"}, "abc"),
        ({"direction": "desc"}, "cba"),
        ({"per_page": "2"}, "ab"),
        ({"per_page": "2", "page": "2"}, "c"),
    ],
)
def test_select(query: dict[str, str], found: str) -> None:
    assert names(**query) == found


def test_services_sort_by_their_number_of_servers() -> None:
    entries = [
        {"name": "two", "status": "enabled", "loadBalancer": {"servers": [1, 2]}},
        {"name": "one", "status": "enabled", "loadBalancer": {"servers": [1]}},
    ]
    assert [entry["name"] for entry in select(entries, {"sortBy": "servers"}).entries] == ["one", "two"]


@pytest.mark.parametrize("page, following", [("1", 2), ("2", 3), ("3", 1)])
def test_next_page_is_1_on_the_last(page: str, following: int) -> None:
    assert select(ENTRIES, {"per_page": "1", "page": page}).next == following


@pytest.mark.parametrize(
    "query",
    [
        {"page": "4", "per_page": "1"},
        {"page": "2"},
        {"page": "0"},
        {"page": "-1"},
        {"page": "x"},
        {"page": "²"},
        {"per_page": "0"},
        {"page": "9" * 5000},
    ],
)
def test_pages_that_cannot_be_are_refused(query: dict[str, str]) -> None:
    with pytest.raises(RequestError) as refused:
        select(ENTRIES, query)
    assert refused.value.status == 400
    assert "invalid request" in refused.value.why


def test_an_empty_list_has_one_page() -> None:
    page = select([], {})
    assert (list(page.entries), page.next) == ([], 1)
