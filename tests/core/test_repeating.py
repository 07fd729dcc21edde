"""Which failures let a request be sent again."""

from __future__ import annotations

import pytest

from dynbalancer.core.repeating import is_safe_again
from dynbalancer.errors import (
    BadResponse,
    ConnectError,
    ConnectTimeout,
    ResponseTimeout,
    UpstreamClosed,
    UpstreamError,
)


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
