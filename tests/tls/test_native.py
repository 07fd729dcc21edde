"""What OpenSSL is told by itself."""

from __future__ import annotations

import platform
import ssl
import sys

import pytest

from dynbalancer.tls import native


def context() -> ssl.SSLContext:
    """A server's."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def test_groups_that_exist_are_chosen() -> None:
    assert native.set_groups(context(), ("X25519", "P-256"))


def test_groups_that_do_not_exist_are_refused() -> None:
    assert not native.set_groups(context(), ("NONE-SUCH",))


@pytest.mark.parametrize("unknown", ["PyPy", "3.99", "no library"])
def test_nothing_is_touched_in_a_python_that_was_not_tried(
    unknown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if unknown == "PyPy":
        monkeypatch.setattr(platform, "python_implementation", lambda: unknown)
    elif unknown == "3.99":
        monkeypatch.setattr(sys, "version_info", (3, 99))
    else:
        monkeypatch.setitem(sys.modules, "_ssl", type(sys)("_ssl"))
    assert native.library() is None
    assert not native.set_groups(context(), ("P-256",))
    assert not native.accept_any_certificate(context())
