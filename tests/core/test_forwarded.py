"""X-Forwarded-* and who may set them."""

from __future__ import annotations

import pytest

from dynbalancer.core.exchange import Headers, RequestHead
from dynbalancer.core.forwarded import TrustedPeers, forwarded_fields, merge_forwarded, with_host
from dynbalancer.errors import ConfigurationError


def fields(**about: object) -> dict[bytes, bytes]:
    head = RequestHead(host=b"a.test", authority=b"a.test", **about)  # type: ignore[arg-type]
    return dict(Headers(forwarded_fields(head, b"192.0.2.1", b"proxy")))


def test_all_fields_are_set() -> None:
    assert fields() == {
        b"X-Forwarded-For": b"192.0.2.1",
        b"X-Forwarded-Host": b"a.test",
        b"X-Forwarded-Port": b"80",
        b"X-Forwarded-Proto": b"http",
        b"X-Forwarded-Server": b"proxy",
        b"X-Real-Ip": b"192.0.2.1",
    }


@pytest.mark.parametrize(
    "about, proto, port",
    [
        ({"scheme": b"https"}, b"https", b"443"),
        ({"port": 8000}, b"http", b"8000"),
        ({"upgrade": b"WebSocket"}, b"ws", b"80"),
        ({"upgrade": b"websocket", "scheme": b"https"}, b"wss", b"443"),
        ({"upgrade": b"echo"}, b"http", b"80"),
    ],
)
def test_scheme_and_port(about: dict[str, object], proto: bytes, port: bytes) -> None:
    found = fields(**about)
    assert (found[b"X-Forwarded-Proto"], found[b"X-Forwarded-Port"]) == (proto, port)


def test_fields_for_another_host_are_as_if_made_for_it() -> None:
    one, other = (RequestHead(host=host, authority=host) for host in (b"a.example", b"b.example"))
    made = forwarded_fields(one, b"192.0.2.1", b"proxy")
    assert with_host(made, b"b.example") == forwarded_fields(other, b"192.0.2.1", b"proxy")
    assert made == forwarded_fields(one, b"192.0.2.1", b"proxy")


def test_what_a_trusted_peer_said_stays_and_the_client_joins_the_list() -> None:
    headers = Headers.of(
        (b"X-Forwarded-For", b"198.51.100.7"),
        (b"x-forwarded-for", b"198.51.100.8"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Server", b"other"),
    )
    head = RequestHead(authority=b"a.test", headers=headers)
    merge_forwarded(headers, forwarded_fields(head, b"192.0.2.1", b"proxy"))
    assert headers.all(b"x-forwarded-for") == [b"198.51.100.7, 198.51.100.8, 192.0.2.1"]
    assert headers.get(b"x-forwarded-proto") == b"https"
    assert headers.get(b"x-forwarded-server") == b"proxy"
    assert headers.get(b"x-real-ip") == b"192.0.2.1"


@pytest.mark.parametrize(
    "said, authority, port",
    [
        (b"https", b"a.test", b"443"),
        (b"wss", b"a.test", b"443"),
        (b"http", b"a.test", b"80"),
        (b"https", b"a.test:80", b"80"),
        (b"https", b"a.test:8000", b"8000"),
    ],
)
def test_port_that_nobody_named_follows_the_scheme_a_trusted_peer_said(
    said: bytes, authority: bytes, port: bytes
) -> None:
    headers = Headers.of((b"X-Forwarded-Proto", said))
    _, _, named = authority.partition(b":")
    head = RequestHead(authority=authority, port=int(named) if named else None, headers=headers)
    merge_forwarded(headers, forwarded_fields(head, b"192.0.2.1", b"proxy"))
    assert headers.get(b"x-forwarded-port") == port


@pytest.mark.parametrize(
    "ranges, peer, trusted",
    [
        ((), "192.0.2.1", False),
        (("192.0.2.0/24",), "192.0.2.255", True),
        (("192.0.2.0/24",), "192.0.3.0", False),
        (("192.0.2.1",), "::ffff:192.0.2.1", True),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("2001:db8::/32",), "2001:db9::1", False),
        (("0.0.0.0/0",), "rubbish", False),
    ],
)
def test_trust(ranges: tuple[str, ...], peer: str, trusted: bool) -> None:
    peers = TrustedPeers(ranges)
    assert (peer in peers) is trusted
    assert (peer in peers) is trusted


def test_everybody_may_be_trusted() -> None:
    assert "192.0.2.1" in TrustedPeers((), everybody=True)


def test_bad_range_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="trustedIPs"):
        TrustedPeers(("10.0.0.0/99",))
