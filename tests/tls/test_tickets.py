"""Session tickets under one key: what one context issues, another takes."""

from __future__ import annotations

import os
import platform
import ssl
import sys
from datetime import timedelta

import pytest

from dynbalancer import pem
from dynbalancer.core.certificates import TICKET_KEY_SIZE
from dynbalancer.tls import tickets
from dynbalancer.tls.contexts import new_answer

CERTIFICATE = pem.self_signed("a.example", ["a.example"], life=timedelta(days=9))


def server(key: bytes = b"") -> ssl.SSLContext:
    """A server as a worker has it; with a key of tickets where one is given."""
    made = new_answer()
    pem.load(made, CERTIFICATE)
    assert not key or tickets.set_key(made, key)
    return made


def client(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that trusts everybody."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.maximum_version = version
    return made


def shaken(
    ours: ssl.SSLContext, theirs: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> ssl.SSLObject:
    """The client's side of a handshake in memory, with one octet read, so that tickets have come."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = theirs.wrap_bio(to_client, to_server, server_hostname="a.example", session=session)
    far = ours.wrap_bio(to_server, to_client, server_side=True)
    for side in (near, far, near, far):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    far.write(b"x")
    assert near.read(1) == b"x"
    return near


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_ticket_of_one_worker_is_taken_by_another(version: ssl.TLSVersion) -> None:
    key, theirs = os.urandom(TICKET_KEY_SIZE), client(version)
    first = shaken(server(key), theirs)
    assert not first.session_reused
    assert shaken(server(key), theirs, first.session).session_reused
    assert not shaken(server(os.urandom(TICKET_KEY_SIZE)), theirs, first.session).session_reused
    assert not shaken(server(), theirs, first.session).session_reused


def test_a_key_of_another_size_is_not_set() -> None:
    assert not tickets.set_key(new_answer(), b"short")


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
    assert not tickets.set_key(new_answer(), os.urandom(TICKET_KEY_SIZE))
