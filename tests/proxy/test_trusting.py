"""Whom health checks trust: as the serversTransport of the service says."""

from __future__ import annotations

import ssl
from types import SimpleNamespace

import pytest
from twisted.internet.task import Clock

from dynbalancer.core.health import Question
from dynbalancer.core.model import Configuration, ServersTransport
from dynbalancer.core.settings import Limits
from dynbalancer.core.streams import StreamServer, StreamService, StreamTransport
from dynbalancer.errors import ConfigurationError
from dynbalancer.proxy.deadlines import Deadlines
from dynbalancer.proxy.trusting import Trusting, meant
from dynbalancer.proxy.upstream import Connecting

ASKED = Question("db@file", "10.0.0.2", 5432, tls=True, mode="tcp", transport="own")


def trusting(**transports: StreamTransport) -> Trusting:
    service = StreamService("db@file", (StreamServer("10.0.0.2:5432", tls=True),), transport="own")
    known = {f"{name}@file": transport for name, transport in transports.items()}
    said = Configuration(tcp_services={"db@file": service}, tcp_transports=known)
    clock = Clock()
    return Trusting(SimpleNamespace(said=said), Connecting(clock, Limits(), Deadlines(clock), verify=False))


def test_servers_of_http_are_verified_as_the_settings_say() -> None:
    trust = trusting()(Question("web@file", "10.0.0.2", 443, tls=True))
    assert trust.context.verify_mode == ssl.CERT_NONE
    assert trust.server_name is None


def test_servers_of_http_are_verified_as_their_transport_says() -> None:
    question = Question("web@file", "10.0.0.2", 443, tls=True, transport="own")
    asker = trusting()
    with pytest.raises(ConfigurationError, match="does not exist"):
        asker(question)
    own = ServersTransport("own@file", server_name="web.example", peer_uri="spiffe://a.example/web")
    asker._router.said = Configuration(transports={"own@file": own})
    trust = asker(question)
    assert trust.context.verify_mode == ssl.CERT_REQUIRED
    assert (trust.server_name, trust.peer_uri) == ("web.example", "spiffe://a.example/web")
    assert asker(question) is trust
    asker._router.said = Configuration(transports={"own@file": ServersTransport("own@file", insecure=True)})
    trust = asker(question)
    assert (trust.context.verify_mode, trust.server_name) == (ssl.CERT_NONE, None)


def test_servers_of_tcp_are_verified_as_their_transport_says() -> None:
    trust = trusting(own=StreamTransport("own@file", server_name="db.example"))(ASKED)
    assert trust.context.verify_mode == ssl.CERT_REQUIRED
    assert trust.server_name == "db.example"
    trust = trusting(own=StreamTransport("own@file", insecure=True))(ASKED)
    assert (trust.context.verify_mode, trust.server_name) == (ssl.CERT_NONE, None)


def test_what_was_made_of_a_transport_is_kept_until_it_is_another() -> None:
    asker = trusting(own=StreamTransport("own@file"))
    first = asker(ASKED)
    assert asker(ASKED) is first
    said = asker._router.said
    asker._router.said = Configuration(
        tcp_services=said.tcp_services,
        tcp_transports={"own@file": StreamTransport("own@file", insecure=True)},
    )
    assert asker(ASKED).context.verify_mode == ssl.CERT_NONE


def test_a_transport_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        trusting()(ASKED)


@pytest.mark.parametrize(
    ("reference", "name"),
    [("", ""), ("own", "own@file"), ("own@file", "own@file"), ("other", "other@docker")],
)
def test_names_are_those_of_the_same_provider_or_of_the_only_other(reference: str, name: str) -> None:
    known = dict.fromkeys(("own@file", "own@docker", "other@docker"))
    assert meant(reference, "db@file", known) == name
