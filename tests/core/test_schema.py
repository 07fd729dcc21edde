"""The table of keys: what each kind of value takes, and what it says to the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dynbalancer.core import schema
from dynbalancer.core.model import Router, Server, Service
from dynbalancer.core.schema import Key, WrongValueError
from dynbalancer.errors import Problem

TAKEN: list[tuple[Callable[[object], Any], object, object]] = [
    (schema.text, " web ", "web"),
    (schema.names, "web, api", ("web", "api")),
    (schema.names, ["web", "api"], ("web", "api")),
    (schema.names, [], ()),
    (schema.names, " web,api, ", ("web", "api")),
    (schema.names, [404, "500-599"], ("404", "500-599")),
    (schema.names, 404, ("404",)),
    (schema.whole_number, 7, 7),
    (schema.whole_number, "-7", -7),
    (schema.weight, "3", 3),
    (schema.switch, True, True),
    (schema.switch, "False", False),
    *((schema.switch, word, True) for word in ("1", "t", "T", "TRUE", 1)),
    *((schema.switch, word, False) for word in ("0", "f", "F", "FALSE", 0)),
    (schema.section, None, {}),
    (schema.sections, [{}], ({},)),
    (schema.dialect, "V2", "v2"),
    (schema.tls, None, True),
    (schema.tls, {}, True),
    (schema.tls, False, False),
    (schema.tls, "true", True),
    (schema.server_url, "http://10.0.0.2:8080", "http://10.0.0.2:8080"),
    (schema.server_url, "HTTP://Web.Example/", "http://web.example:80"),
    (schema.server_url, "https://[2001:db8::1]", "https://[2001:db8::1]:443"),
    (schema.server_url, "http://10.0.0.2/base/", "http://10.0.0.2:80/base"),
]


@pytest.mark.parametrize(("reader", "value", "taken"), TAKEN)
def test_a_right_value_is_taken(reader: Callable[[object], Any], value: object, taken: object) -> None:
    assert reader(value) == taken


REFUSED: list[tuple[Callable[[object], Any], object, str]] = [
    (schema.text, "", "a text"),
    (schema.text, 5, "a text"),
    (schema.names, True, "a list of names"),
    (schema.names, ["web", None], "a list of names"),
    (schema.names, " ,", "none of them empty"),
    (schema.names, "web,,api", "none of them empty"),
    (schema.whole_number, True, "a whole number"),
    (schema.whole_number, 1.5, "a whole number"),
    (schema.whole_number, "9" * 30, "a whole number"),
    (schema.whole_number, "٣", "a whole number"),
    (schema.weight, -1, "from 0 to"),
    (schema.switch, "yes", "true or false"),
    (schema.switch, 2, "true or false"),
    (schema.switch, 1.0, "true or false"),
    (schema.section, [], "a section"),
    (schema.sections, {}, "a list of sections"),
    (schema.dialect, "v4", "v2 or v3"),
    (schema.tls, "maybe", "true or false"),
    (schema.tls, 5, "a section"),
    (schema.server_url, "10.0.0.2:80", "a URL"),
    (schema.server_url, "ftp://10.0.0.2", "http, https or h2c"),
    (schema.server_url, "http://10.0.0.2:99999", "a URL"),
    (schema.server_url, "http://10.0.0.2:0", "a URL"),
    (schema.server_url, "http://[::1", "a URL"),
    (schema.server_url, "http://me:secret@10.0.0.2", "without user"),
    (schema.server_url, "http://10.0.0.2/?a=b", "without user, query"),
    (schema.server_url, "http:///x", "a URL"),
]


@pytest.mark.parametrize(("reader", "value", "expected"), REFUSED)
def test_a_wrong_value_is_refused_with_what_was_expected(
    reader: Callable[[object], Any], value: object, expected: str
) -> None:
    with pytest.raises(WrongValueError) as caught:
        reader(value)
    assert expected in caught.value.expected


def test_a_server_without_a_scheme_is_shown_with_one() -> None:
    with pytest.raises(WrongValueError) as caught:
        schema.server_url("10.0.0.2:80")
    assert caught.value.hint == "write http://10.0.0.2:80"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "true"),
        (5, "the number 5"),
        ("a", "the text 'a'"),
        ("a" * 99, f"the text '{'a' * 57}...'"),
        ({}, "a section"),
        ((), "a list"),
        (b"a", "the bytes b'a'"),
    ],
)
def test_values_are_described_in_words(value: object, words: str) -> None:
    assert schema.describe(value) == words


@pytest.mark.parametrize(
    ("table", "model"), [(schema.ROUTER, Router), (schema.LOAD_BALANCER, Service), (schema.SERVER, Server)]
)
def test_every_key_fits_the_model(table: tuple[Key, ...], model: type[Any]) -> None:
    """A key's attribute exists, its default is the model's, and its kind has a reader."""
    defaults = {attribute.name: attribute.default for attribute in fields(model)}
    for key in table:
        assert key.kind in schema.READERS
        assert not key.attribute or key.attribute in defaults
        assert not key.attribute or key.required or defaults[key.attribute] == key.default


def test_every_key_that_is_used_has_its_row_in_the_reference_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "providers" / "file.md").read_text()
    for key in (*schema.ROUTER, *schema.LOAD_BALANCER, *schema.SERVER):
        assert not key.attribute or f"| `{key.name}` |" in page, key.name


@pytest.mark.parametrize(
    ("written", "why", "hint"),
    [
        ("basicauth", "type basicAuth is understood, but not supported in this version", ""),
        ("stripPrefixRegex", "type stripPrefixRegex is understood, but not supported in this version", ""),
        ("striprefix", "there is no middleware type striprefix", "did you mean stripPrefix?"),
        ("mine", "there is no middleware type mine", "did you mean mime?"),
        ("xyzzy", "there is no middleware type xyzzy", ""),
    ],
)
def test_a_type_nobody_makes_is_told_from_one_that_is_misspelt(written: str, why: str, hint: str) -> None:
    error = schema.no_such_type("m@docker", written, ["mime"])
    assert error.as_problem() == Problem("middleware m@docker", why, hint)
