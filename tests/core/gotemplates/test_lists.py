"""sprig's functions for lists and maps."""

from __future__ import annotations

import pytest

from dynbalancer.core.template import render
from dynbalancer.errors import ConfigurationError

VALUES = {"L": ["b", "a", "", "b"], "M": {"k": "v", "j": "w"}}


@pytest.mark.parametrize(
    "expression, text",
    [
        ("list 1 2", "[1 2]"),
        ("tuple", "[]"),
        ("first .L", "b"),
        ("last .L", "b"),
        ("first (list)", ""),
        ("rest .L", "[a  b]"),
        ("initial (list 1 2 3)", "[1 2]"),
        ('append (list 1) "x"', "[1 x]"),
        ('push (list 1) "x"', "[1 x]"),
        ('prepend (list 1) "x"', "[x 1]"),
        ("concat (list 1) (list 2 3)", "[1 2 3]"),
        ("reverse (list 1 2)", "[2 1]"),
        ("uniq .L", "[b a ]"),
        ('without .L "b"', "[a ]"),
        ('has "a" .L', "true"),
        ("compact .L", "[b a b]"),
        ("slice (list 1 2 3) 1 2", "[2]"),
        ("sortAlpha .L", "[ a b b]"),
        ("toStrings (list 1 true)", "[1 true]"),
        ('get (split "$" "foo$bar$baz") "_1"', "bar"),
        ('get (splitn "$" 2 "foo$bar$baz") "_1"', "bar$baz"),
        ('splitList "" "ab"', "[a b]"),
        ('join "-" (list 1 "a")', "1-a"),
        ('join "-" "alone"', "alone"),
        ("until 3", "[0 1 2]"),
        ("until -2", "[0 -1]"),
        ("untilStep 3 9 3", "[3 6]"),
        ("untilStep 3 9 0", "[]"),
        ("seq 3", "1 2 3"),
        ("seq 2 4", "2 3 4"),
        ("seq 5 -2 1", "5 3 1"),
        ('dict "a" 1 "b"', "map[a:1 b:]"),
        ('get .M "k"', "v"),
        ('set (dict "a" 1) "a" 2', "map[a:2]"),
        ('unset (dict "a" 1) "a"', "map[]"),
        ('hasKey .M "k"', "true"),
        ("keys .M", "[j k]"),
        ("values .M", "[w v]"),
        ('pluck "k" .M (dict "k" 2) (dict)', "[v 2]"),
        ('pick .M "k"', "map[k:v]"),
        ('omit .M "k"', "map[j:w]"),
        ('merge (dict "k" 1) .M', "map[j:w k:1]"),
        ('dig "k" "none" .M', "v"),
        ('dig "x" "y" "none" .M', "none"),
        ('toJson (dict "a" (list 1 true nil))', '{"a":[1,true,null]}'),
        ('get (fromJson `{"a":{"b":1}}`) "a"', "map[b:1]"),
        ('default "d" ""', "d"),
        ('"x" | default "d"', "x"),
        ("empty 0", "true"),
        ('coalesce 0 "" "c"', "c"),
        ("coalesce 0", ""),
        ("ternary 1 2 true", "1"),
        ("all 1 0", "false"),
        ("any 1 0", "true"),
    ],
)
def test_what_they_give(expression: str, text: str) -> None:
    assert render("{{ " + expression + " }}", VALUES) == text


def test_a_map_of_the_template_itself_is_changed_in_its_place() -> None:
    assert render('{{ $d := dict "a" 1 }}{{ $_ := set $d "b" 2 }}{{ $d.b }}', {}) == "2"


@pytest.mark.parametrize(
    "expression, why",
    [
        ('set .M "k" "x"', "only a map made by dict can be changed"),
        ('first "abc"', "first can't be used on values of this type"),
        ('hasKey "abc" "a"', "hasKey can't be used on values of this type"),
        ("fromJson `{`", "fromJson: Expecting"),
        ('fail "no site"', "no site"),
        ("untilStep 0 1000000 1", "more than 10000 numbers"),
    ],
)
def test_what_they_can_not_be_used_on(expression: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        render("{{ " + expression + " }}", VALUES)
    assert refusal.value.why.startswith(why)
    assert VALUES["M"] == {"k": "v", "j": "w"}
