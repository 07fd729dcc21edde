"""encodedCharacters: what is refused unless it is allowed."""

from __future__ import annotations

import pytest

from dynbalancer.middlewares.encodings import CHARACTERS, EncodedCharacters
from dynbalancer.testing import MiddlewareContract, exchange


class TestEncodedCharacters(MiddlewareContract):
    make = EncodedCharacters.from_settings
    good = {"allowEncodedSlash": "true"}
    bad = ({"allowEncodedSlash": "maybe"}, {"allowEncodedSpace": True})


@pytest.mark.parametrize("option", CHARACTERS)
@pytest.mark.parametrize("spelling", [bytes.lower, bytes.upper])
def test_each_is_refused_unless_it_is_allowed(option: str, spelling: type[bytes]) -> None:
    asked = exchange(path=b"/a" + spelling(CHARACTERS[option][0]) + b"b")
    refused = EncodedCharacters.from_settings("m@test", {}).on_request(asked)
    assert refused is not None and refused.status == 400
    assert EncodedCharacters.from_settings("m@test", {option: True}).on_request(asked) is None


@pytest.mark.parametrize("path", [b"/", b"/a/b", b"/%C3%A4", b"/a%20b"])
def test_other_paths_pass(path: bytes) -> None:
    assert EncodedCharacters.from_settings("m@test", {}).on_request(exchange(path=path)) is None
