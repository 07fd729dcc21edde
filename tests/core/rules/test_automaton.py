"""Which patterns have a small automaton, and that the others are those that take long."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, reject
from hypothesis import strategies as some

from dynbalancer.core.rules.automaton import fits
from dynbalancer.core.rules.regex import finder
from dynbalancer.errors import ConfigurationError

SMALL = [
    b"",
    b"^/(api|admin|static)/v[0-9]+/(users|items)/[0-9]+$",
    b".*(iPhone|Android|BlackBerry|Opera Mini).*",
    b"(?i)(googlebot|bingbot|yandex|baiduspider|facebookexternalhit|linkedinbot)",
    rb"^(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}$",
    b"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    rb"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*\.example\.com",
    rb"\.(css|js|png|jpe?g|gif|svg|woff2?)$",
    b"^/(.*)/(.*)/(.*)$",
    b"^(a|b){900}c",
    b"a.{10}c",
    b"(x+x+)+y",
    rb"^(?P<sub>[[:alnum:]]+)(?:-\pL+)*\.\Qa.b(c\E(?i)x(?s:.)\C(?i-s:y)\z",
]

LARGE = [
    b"(a|b)*a(a|b){900}c",
    b"a(a|b){30}c",
    b"a" + b"." * 30 + b"c",
    b"(.{1,50}a){5}",
    b"^.*a(?:bc?|[a-z]{2}){30}",
    b"^((a{1,40}){1,40}){1,40}",
    # Not to be told, so not to be trusted.
    b"[\\x{100}-\\x{200}]{5}(a|b)*",
]


@pytest.mark.parametrize("pattern", SMALL)
def test_patterns_as_people_write_them_fit(pattern: bytes) -> None:
    assert fits(pattern)


@pytest.mark.parametrize("pattern", LARGE)
def test_patterns_that_would_have_to_be_tried_place_by_place_do_not(pattern: bytes) -> None:
    assert not fits(pattern)


@pytest.mark.parametrize("pattern", [b"(a|b)*a(a|b){900}c", b"a(a|b){30}c", b"(.{1,50}a){5}"])
def test_they_are_refused_with_what_to_write_instead(pattern: bytes) -> None:
    with pytest.raises(ConfigurationError) as raised:
        finder(pattern.decode())
    assert raised.value.why == f"regular expression {pattern.decode()} could take very long"
    assert raised.value.hint.startswith("begin it with ^")


PIECES = some.sampled_from(["a", "b", "[ab]", ".", "(a|b)", "(?:ab?)", "(a+b)", "c"])
COUNTS = some.sampled_from(["", "*", "+", "?", "{3}", "{2,7}", "{4,}"])
PATTERNS = some.lists(some.tuples(PIECES, COUNTS), min_size=1, max_size=6).map(
    lambda pairs: "".join(piece + count for piece, count in pairs)
)


@given(PATTERNS, some.booleans(), some.integers(0, 2**32))
def test_accepted_patterns_find_what_re_finds(pattern: str, anchored: bool, seed: int) -> None:
    written = f"^(?:{pattern})$" if anchored else pattern
    value = bytes(random.Random(seed).choices(b"abc", k=12))
    try:
        found = finder(written)
    except ConfigurationError:
        # Refused as it might take long: nothing is found with it.
        reject()
    assert found(value) is (re.search(written.encode(), value) is not None)
