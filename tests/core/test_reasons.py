"""Reason phrases."""

from __future__ import annotations

from http import HTTPStatus

from dynbalancer.core.reasons import REASONS

#: The library of Python 3.11 still has RFC 7231's words for two, and knows nothing of nginx's.
OTHERS = {413: "Content Too Large", 414: "URI Too Long", 499: "Client Closed Request"}


def test_phrases_are_those_of_the_rfc() -> None:
    for status, phrase in REASONS.items():
        expected = OTHERS[status] if status in OTHERS else HTTPStatus(status).phrase
        assert phrase.decode() == expected
