"""The values of keys of services and serversTransports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dynbalancer.core import checks, schema, service_keys
from dynbalancer.core.model import Member, ServersTransport, Service
from dynbalancer.core.schema import Key, WrongValueError
from dynbalancer.core.sections import BELOW, READERS

TAKEN: list[tuple[Callable[[object], Any], object, object]] = [
    (service_keys.same_site, "Lax", "lax"),
    (service_keys.cookie_part, " pin ", "pin"),
    (service_keys.flushing, "50ms", 0.05),
    (service_keys.flushing, "-1", -1.0),
    (service_keys.flushing, -1, -1.0),
    (service_keys.flushing, 0, 0.0),
    (service_keys.percent, "10", 10),
    (service_keys.size, -5, -1),
    (service_keys.size, "1024", 1024),
    (service_keys.attempts, 3, 3),
    (service_keys.window, "10s", 10.0),
    (service_keys.statuses, ["500-599", 404], ("500-599", "404")),
    (service_keys.statuses, "500-599,404", ("500-599", "404")),
    (service_keys.statuses, 503, ("503",)),
    (service_keys.presence, {}, True),
    (service_keys.presence, None, True),
    (service_keys.presence, "", True),
    (service_keys.presence, False, False),
    (service_keys.presence, "false", False),
    (service_keys.tls_version, "VersionTLS12", "VersionTLS12"),
]


@pytest.mark.parametrize(("reader", "value", "taken"), TAKEN)
def test_a_right_value_is_taken(reader: Callable[[object], Any], value: object, taken: object) -> None:
    assert reader(value) == taken


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        (service_keys.same_site, "some", "none, lax or strict"),
        (service_keys.cookie_part, "a; Secure", "without semicolons"),
        (service_keys.cookie_part, "a\r\nb", "without semicolons"),
        (service_keys.percent, 101, "from 0 to 100"),
        (service_keys.attempts, 0, "from 1 to 1000"),
        (service_keys.window, 0, "above zero"),
        (service_keys.statuses, ["5xx"], "statuses such as"),
        (service_keys.statuses, ["599-500"], "statuses such as"),
        (service_keys.statuses, True, "a list"),
        (service_keys.presence, {"path": "/"}, "an empty section"),
        (service_keys.tls_version, "1.2", "VersionTLS12"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(
    reader: Callable[[object], Any], value: object, expected: str
) -> None:
    with pytest.raises(WrongValueError) as caught:
        reader(value)
    assert expected in caught.value.expected


@pytest.mark.parametrize(
    ("table", "model"),
    [
        (service_keys.MEMBER, Member),
        (service_keys.MIRROR, Member),
        (service_keys.TIMEOUTS, ServersTransport),
        (service_keys.TRANSPORT, ServersTransport),
        *((table, Service) for table in service_keys.BY_TYPE.values()),
    ],
)
def test_every_key_fits_the_model(table: tuple[Key, ...], model: type[Any]) -> None:
    """Its kind has a reader, and where its attribute is one of the model's, their defaults are the same."""
    defaults = {attribute.name: attribute.default for attribute in fields(model)}
    made_by_hand = {"main", "mirrors", "fallback", "errors", "timeouts", "no_http2"}
    for key in table:
        assert key.kind in READERS
        assert not key.attribute or key.attribute in defaults or key.attribute in made_by_hand
        assert key.required or defaults.get(key.attribute, key.default) == key.default


def test_every_key_has_its_row_in_the_page_of_services() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "services.md").read_text()
    tables = (
        schema.LOAD_BALANCER,
        *service_keys.BY_TYPE.values(),
        service_keys.TRANSPORT,
        service_keys.MIRROR,
    )
    sections = [section.keys for word, section in BELOW.items()]
    sections = [keys for keys in sections if keys not in (schema.OBSERVABILITY, checks.HEALTH_CHECK)]
    names = {key.name for table in (*tables, *sections) for key in table} - {"cookie"}
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert [name for name in names if not any(f"`{name}`" in row.split("|")[1] for row in rows)] == []
