"""The base of middlewares: settings of both kinds read the same, and fields can't be doubled by spelling."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.exchange import CHUNKED, Headers, ResponseHead, field_of
from dynbalancer.errors import ConfigurationError
from dynbalancer.interfaces import IMiddleware
from dynbalancer.middlewares.base import (
    BodyFilter,
    FieldEdits,
    Middleware,
    Option,
    SettingsReader,
    add_filter,
    dialect_of,
    folded,
)
from dynbalancer.testing import exchange

KNOWN = ("prefix", "prefixes", "permanent", "customHeaders")


def reader(**settings: Any) -> SettingsReader:
    return SettingsReader("m@file", settings, KNOWN)


def test_a_middleware_has_no_hook_unless_it_defines_one() -> None:
    made = Middleware()
    assert IMiddleware.providedBy(made)
    assert (made.on_request, made.on_response, made.on_finish) == (None, None, None)


def test_typed_settings_and_texts_read_the_same() -> None:
    typed = reader(prefix="/a", prefixes=("/a", "/b"), permanent=True)
    texts = reader(PREFIX="/a", Prefixes="/a, /b", permanent="true")
    for found in (typed, texts):
        assert found.text("prefix") == "/a"
        assert found.words("prefixes") == ("/a", "/b")
        assert found.switch("permanent") is True


def test_a_list_may_be_written_member_by_member() -> None:
    found = SettingsReader("m@file", {"prefixes[1]": "/b", "prefixes[0]": "/a"}, KNOWN)
    assert found.words("prefixes") == ("/a", "/b")


def test_what_is_not_given_has_its_default() -> None:
    found = reader()
    assert found.text("prefix", "x") == "x"
    assert reader(prefix="").text("prefix", "x") == "x"
    assert found.switch("permanent") is False
    assert found.pairs("customHeaders") == ()
    assert not found.is_on("permanent")


@pytest.mark.parametrize(
    ("value", "on"), [(True, True), ("x", True), (0, True), (False, False), ("false", False), ((), False)]
)
def test_an_option_is_on_unless_false_or_empty(value: object, on: bool) -> None:
    assert reader(permanent=value).is_on("permanent") is on


def test_values_of_a_section_become_texts_and_keep_their_order() -> None:
    found = reader(customHeaders={"X-B": 1, "X-A": True, "X-C": None, "X-D": "", "X-E": False})
    assert found.pairs("customHeaders") == (
        ("X-B", "1"),
        ("X-A", "true"),
        ("X-C", ""),
        ("X-D", ""),
        ("X-E", "false"),
    )


@pytest.mark.parametrize(
    ("settings", "read", "said"),
    [
        ({"prefx": "/a"}, None, "unknown option prefx; expected prefix, prefixes, .*; did you mean prefix?"),
        ({"prefix": "/a", "Prefix": "/b"}, None, "given twice"),
        ({}, lambda found: found.text("prefix"), "option prefix is missing"),
        ({"prefix": ["/a"]}, lambda found: found.text("prefix"), "expected a text, got a list"),
        ({"permanent": "yes"}, lambda found: found.switch("permanent"), "expected true or false"),
        ({"prefixes": []}, lambda found: found.words("prefixes"), "expected at least one"),
        ({"customHeaders": "X"}, lambda found: found.pairs("customHeaders"), "expected a section"),
        (
            {"customHeaders": {"X": []}},
            lambda found: found.pairs("customHeaders"),
            "customHeaders.X: expected",
        ),
    ],
)
def test_what_can_not_be_used_is_refused_in_words(settings: dict[str, Any], read: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        read(SettingsReader("m@file", settings, KNOWN))
    assert caught.value.where == "middleware m@file"


def test_a_text_where_pairs_belong_is_refused_with_how_they_are_written() -> None:
    reader = SettingsReader("m@file", {"customHeaders": "X-A:1"}, KNOWN)
    with pytest.raises(ConfigurationError) as caught:
        reader.pairs("customHeaders")
    assert caught.value.hint == "write customHeaders.NAME with the value of each"


def test_many_options_are_not_all_listed_to_who_mistypes_one() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SettingsReader("m@file", {"x": 1}, [f"option{number}" for number in range(20)])
    assert caught.value.why == "unknown option x"


def test_edits_replace_every_spelling_and_leave_the_rest() -> None:
    headers = Headers.of((b"x-user", b"evil"), (b"X_User", b"evil"), (b"Accept", b"*/*"), (b"X-Gone", b"1"))
    FieldEdits.of([(b"X-User", b"ann"), (b"x-gone", b"")]).apply(headers)
    assert list(headers) == [(b"Accept", b"*/*"), (b"X-User", b"ann")]


def test_of_two_edits_of_one_field_the_last_one_counts() -> None:
    headers = Headers()
    FieldEdits.of([(b"X-A", b"1"), (b"x_a", b"2")]).apply(headers)
    assert list(headers) == [(b"x_a", b"2")]


def test_names_that_servers_confuse_fold_to_one() -> None:
    assert folded(b"X_Forwarded-Prefix") == b"x-forwarded-prefix"


DECLARED = (
    Option("average", "number", "How many.", 0),
    Option("period", "duration", "In which time.", 1.0),
    Option("words", "list", "Some.", ("a", "b")),
    Option("names", "list", "Which.", required=True),
    Option("on", "switch", "Whether.", default=True),
    Option("query", "text", "What for.", "/"),
    Option("inside", "section", "More.", members=(Option("depth", "number", "How deep.", 7),)),
)


def test_what_is_not_given_has_the_default_of_its_declaration() -> None:
    found = SettingsReader("m@file", {"inside": {}}, DECLARED)
    assert (found.number("average"), found.duration("period"), found.words("words")) == (0, 1.0, ("a", "b"))
    assert (found.switch("on"), found.text("query")) == (True, "/")
    inside = found.below("inside")
    assert inside is not None
    assert inside.number("depth") == 7


def test_what_is_given_goes_before_the_declaration() -> None:
    given = {
        "average": "5",
        "period": "1m30s",
        "words": "x",
        "on": "false",
        "query": "q",
        "inside": {"depth": 2},
    }
    found = SettingsReader("m@file", given, DECLARED)
    assert (found.number("average"), found.duration("period"), found.words("words")) == (5, 90.0, ("x",))
    assert (found.switch("on"), found.text("query")) == (False, "q")
    inside = found.below("inside")
    assert inside is not None
    assert inside.number("depth") == 2


def test_what_is_declared_as_required_must_be_there() -> None:
    with pytest.raises(ConfigurationError, match="names is missing"):
        SettingsReader("m@file", {}, DECLARED).words("names")


def test_a_duration_must_be_one() -> None:
    with pytest.raises(
        ConfigurationError, match="expected a duration such as 10s or 1m30s, got the text 'soon'"
    ):
        SettingsReader("m@file", {"period": "soon"}, DECLARED).duration("period")


def test_sections_with_names_of_the_user_s_are_read_each() -> None:
    members = (Option("average", "number", "", required=True),)
    found = reader(customHeaders={"one": {"average": "3"}, "two": {"AVERAGE": 4}}).named(
        "customHeaders", members
    )
    assert {name: below.number("average") for name, below in found.items()} == {"one": 3, "two": 4}
    assert reader().named("customHeaders", members) == {}
    with pytest.raises(ConfigurationError, match=r"unknown option customHeaders\.one\.avrage"):
        reader(customHeaders={"one": {"avrage": 3}}).named("customHeaders", members)


@pytest.mark.parametrize(
    "settings, found",
    [
        ({"a": 1}, ("v3", {"a": 1})),
        ({"dialect": "v1", "a": 1}, ("v1", {"a": 1})),
        ({"Dialect": "V1"}, ("v1", {})),
        ({"dialect": "v2"}, ("v3", {})),
    ],
)
def test_settings_say_whose_manner_they_are_in(settings: dict[str, Any], found: tuple[str, Any]) -> None:
    assert dialect_of(settings) == found


def test_filter_lets_everything_pass() -> None:
    one = BodyFilter()
    fields = [field_of(b"X-A", b"1")]
    assert (one.undecided, one.feed(b"a"), one.flush(), one.finish()) == (False, b"a", b"", b"")
    assert one.trailers(fields) is fields


def test_filters_are_added_in_order_and_leave_the_length_to_the_proxy() -> None:
    made, head, one, other = exchange(), ResponseHead(length=5), BodyFilter(), BodyFilter()
    add_filter(made, head, one)
    add_filter(made, head, other)
    assert (made.filters, head.length) == ([one, other], CHUNKED)


@pytest.mark.parametrize("name", [b"X-User", b"X-Real-Client-Address", b"A-B-C-D-E-F-G-H-I-J", b"Plain"])
def test_every_spelling_of_a_name_is_replaced_and_no_other_field(name: bytes) -> None:
    mixed = name.replace(b"-", b"_", 1).upper()
    others = [(b"X-Other", b"1"), (name + b"-More", b"2"), (b"Cookie", b"3")]
    headers = Headers.of((name, b"a"), (name.replace(b"-", b"_"), b"b"), (mixed, b"c"), *others)
    FieldEdits.of([(name, b"ours")]).apply(headers)
    assert list(headers) == [*others, (name, b"ours")]
