"""sprig's functions for texts, most of them by the examples of its documentation."""

from __future__ import annotations

import pytest

from dynbalancer.core.template import render
from dynbalancer.errors import ConfigurationError


@pytest.mark.parametrize(
    "expression, text",
    [
        ('trim "   hello    "', "hello"),
        ('trimAll "$" "$5.00"', "5.00"),
        ('trimall "$" "$5.00"', "5.00"),
        ('trimSuffix "-" "hello-"', "hello"),
        ('trimPrefix "-" "-hello"', "hello"),
        ('upper "hello"', "HELLO"),
        ('lower "HELLO"', "hello"),
        ('title "hello world-wide a_b"', "Hello World-Wide A_b"),
        ('untitle "Hello World"', "hello world"),
        ('swapcase "This Is"', "tHIS iS"),
        ('snakecase "FirstName"', "first_name"),
        ('kebabcase "FirstName Of"', "first-name-of"),
        ('camelcase "http_server"', "HttpServer"),
        ('nospace "hello w o r l d"', "helloworld"),
        ('initials "First Try"', "FT"),
        ('replace " " "-" "I Am Henry VIII"', "I-Am-Henry-VIII"),
        ('repeat 3 "hello"', "hellohellohello"),
        ('trunc 5 "hello world"', "hello"),
        ('trunc -5 "hello world"', "world"),
        ('abbrev 5 "hello world"', "he..."),
        ('abbrev 50 "hello world"', "hello world"),
        ('substr 0 5 "hello world"', "hello"),
        ('contains "cat" "catch"', "true"),
        ('hasPrefix "cat" "catch"', "true"),
        ('hasSuffix "cat" "catch"', "false"),
        ('quote "a" 1', '"a" "1"'),
        ('squote "a" 1', "'a' '1'"),
        ('cat "hello" "beautiful" 1', "hello beautiful 1"),
        ('indent 2 "a\\nb"', "  a\n  b"),
        ('nindent 1 "a"', "\n a"),
        ('plural "one" "many" 1', "one"),
        ('plural "one" "many" 2', "many"),
        ("toString 3", "3"),
        ('b64enc "hello"', "aGVsbG8="),
        ('b64dec "aGVsbG8="', "hello"),
        ('sha1sum "a"', "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        ('sha256sum "" | trunc 8', "e3b0c442"),
        ('sha512sum "" | trunc 8', "cf83e135"),
        ('adler32sum "a"', "6422626"),
        ('regexMatch "^[a-z]+@x$" "me@x"', "true"),
        ('mustRegexMatch "b" "a"', "false"),
        ('regexFind "[a-zA-Z][1-9]" "abcd1234"', "d1"),
        ('regexFind "x" "abcd"', ""),
        ('regexFindAll "[2,4,6,8]" "123456789" -1', "[2 4 6 8]"),
        ('regexFindAll "[2,4,6,8]" "123456789" 2', "[2 4]"),
        ('regexFindAll "x*" "axb" -1', "[ x ]"),
        ('regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W"', "-W-xxW-"),
        ('mustRegexReplaceAll "_+" "a__b" "-"', "a-b"),
        ('regexReplaceAll "z" "abc" "-"', "abc"),
        ('regexReplaceAllLiteral "a(x*)b" "-ab-axxb-" "${1}"', "-${1}-${1}-"),
        ('regexSplit "z+" "pizza" -1', "[pi a]"),
        ('regexSplit "-" "a-b-c" 2', "[a b-c]"),
        ('regexSplit "-" "a-b-c" 0', "[]"),
        ('regexQuoteMeta "1.2"', r"1\.2"),
        ('base "foo/bar/baz"', "baz"),
        ('dir "foo/bar/baz"', "foo/bar"),
        ('clean "foo/bar/../baz"', "foo/baz"),
        ('ext "foo.bar"', ".bar"),
    ],
)
def test_what_they_give(expression: str, text: str) -> None:
    assert render("{{ " + expression + " }}", {}) == text


@pytest.mark.parametrize(
    "expression, why",
    [
        ('b64dec "???"', "b64dec: Only base64 data is allowed"),
        ('regexMatch "(" "a"', "regexMatch: bad regular expression (: missing ): ("),
        ('regexReplaceAll "." (repeat 200 "a") "b"', "too many matches to replace"),
        ('indent 9000000 "a\\nb"', "its result is too long"),
        ('repeat "x" "a"', "'x' is not a whole number"),
    ],
)
def test_what_they_can_not_be_used_on(expression: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        render("{{ " + expression + " }}", {})
    assert refusal.value.why.startswith(why)
