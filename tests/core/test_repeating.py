"""Which failures let a request be sent again."""

from __future__ import annotations

import pytest

from dynbalancer.core.repeating import is_safe_again, is_taken
from dynbalancer.errors import (
    BadResponse,
    ConnectError,
    ConnectTimeout,
    ResponseTimeout,
    UpstreamClosed,
    UpstreamError,
)
from dynbalancer.testing import exchange


@pytest.mark.parametrize(
    ("error", "method", "safe"),
    [
        (ConnectError(), b"POST", True),
        (ConnectTimeout(), b"POST", True),
        (UpstreamClosed(), b"PUT", True),
        (UpstreamClosed(), b"POST", False),
        (UpstreamClosed(), b"PROPFIND", False),
        (BadResponse(), b"GET", False),
        (ResponseTimeout(), b"GET", False),
    ],
)
def test_request_goes_again_where_nobody_saw_it_or_it_does_not_matter(
    error: UpstreamError, method: bytes, safe: bool
) -> None:
    assert is_safe_again(error, method) is safe


class Tolerant:
    """Takes whatever is no error."""

    def takes(self, exchange: object, status: int) -> bool:
        return status < 500


@pytest.mark.parametrize(
    ("policy", "status", "taken"), [(Tolerant(), 200, True), (Tolerant(), 500, False), (object(), 200, False)]
)
def test_only_who_says_so_takes_an_answer_whenever_it_comes(policy: object, status: int, taken: bool) -> None:
    assert is_taken(policy, exchange(), status) is taken
