"""Names of cipher suites."""

from __future__ import annotations

import ssl

import pytest

from dynbalancer.core.ciphers import ALWAYS, NAMES, openssl_names
from dynbalancer.errors import ConfigurationError


def test_openssl_knows_every_one() -> None:
    context = ssl.create_default_context()
    for name in NAMES.values():
        context.set_ciphers(f"{name}:@SECLEVEL=0")
        assert name in [cipher["name"] for cipher in context.get_ciphers()]


def test_those_of_tls_1_3_are_always_there() -> None:
    assert openssl_names((*ALWAYS, "TLS_RSA_WITH_AES_128_GCM_SHA256"), "t") == ["AES128-GCM-SHA256"]


def test_an_unknown_one_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError) as caught:
        openssl_names(["TLS_RSA_WITH_AES_128_GCM_SHA25"], "serversTransport t")
    assert caught.value.hint == "did you mean TLS_RSA_WITH_AES_128_GCM_SHA256?"
