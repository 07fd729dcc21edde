"""Which serversTransport a service means."""

from __future__ import annotations

import pytest

from dynbalancer.core.model import SHOWING_CERTIFICATES, ServersTransport, Service
from dynbalancer.core.wiring import Transports
from dynbalancer.errors import ConfigurationError

KNOWN = {name: ServersTransport(name) for name in ("mutual@x", "mutual@y", "slow@y")}


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("", ""),
        ("default@internal", ""),
        ("mutual", "mutual@x"),
        ("mutual@y", "mutual@y"),
        ("slow", "slow@y"),
    ],
)
def test_a_plain_name_is_of_the_same_provider_or_the_only_one(written: str, full: str) -> None:
    assert Transports({}, KNOWN).resolved(Service("web@x", transport=written)).transport == full


@pytest.mark.parametrize(("owner", "written"), [("web@x", "gone"), ("web@z", "mutual")])
def test_one_that_is_not_there_or_not_clear_is_refused(owner: str, written: str) -> None:
    with pytest.raises(ConfigurationError):
        Transports({}, KNOWN).resolved(Service(owner, transport=written))


def test_services_are_made_anew_where_their_transport_is_another() -> None:
    services = {
        "a@x": Service("a@x", transport="mutual"),
        "b@x": Service("b@x", transport="slow@y"),
        "c@x": Service("c@x"),
    }
    changed = KNOWN | {"mutual@x": ServersTransport("mutual@x", "a.example")}
    assert list(Transports(KNOWN, changed).users(services)) == ["a@x"]
    assert list(Transports(KNOWN, {}).users(services)) == ["a@x", "b@x"]
    assert list(Transports(KNOWN, dict(KNOWN)).users(services)) == []


def test_to_show_the_certificates_of_entry_points_they_must_have_some() -> None:
    showing = Service("web@docker", transport=SHOWING_CERTIFICATES)
    with pytest.raises(ConfigurationError) as refusal:
        Transports({}, KNOWN).resolved(showing)
    assert refusal.value.why == "passTLSCert: no entry point has a certificate of its own to show to servers"
    given = {SHOWING_CERTIFICATES: ServersTransport(SHOWING_CERTIFICATES)}
    assert Transports({}, given).resolved(showing).transport == SHOWING_CERTIFICATES
