"""Snapshots: what goes to the workers comes back exactly, through JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core import codec
from dynbalancer.core.model import (
    DIALECTS,
    SERVER_STATES,
    SERVICE_KINDS,
    Certificate,
    Configuration,
    HealthCheck,
    Member,
    Middleware,
    PassiveHealth,
    Router,
    Server,
    ServersTransport,
    Service,
    Sticky,
)
from dynbalancer.errors import ConfigurationError, Problem

_text = st.text(max_size=12)
_settings: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_names = st.lists(_text, max_size=3).map(tuple)
_dialects = st.sampled_from(DIALECTS)
_servers = st.builds(
    Server, _text, st.integers(0, 9), st.sampled_from(SERVER_STATES), _text, _text, st.booleans()
)
_routers = st.builds(
    Router, _text, _text, _text, _names, _names, st.integers(), _dialects, st.booleans(), origin=_text
)
_times = st.floats(allow_nan=False, allow_infinity=False)
_stickies = st.builds(Sticky, _text, st.booleans(), st.booleans(), _text, st.integers(), _text, _text)
_members = st.builds(Member, _text, st.integers(0, 9), st.integers(0, 100))
_pairs = st.lists(st.tuples(_text, _text), max_size=3).map(tuple)
_checks = st.builds(
    HealthCheck,
    _text,
    interval=_times,
    timeout=_times,
    follow_redirects=st.booleans(),
    headers=_pairs,
    send=_text,
)
_services = st.builds(
    Service,
    _text,
    st.lists(_servers, max_size=3).map(tuple),
    _text,
    st.booleans(),
    _dialects,
    _text,
    st.sampled_from(SERVICE_KINDS),
    st.none() | _stickies,
    st.none() | st.builds(PassiveHealth, _times, st.integers(1, 9)),
    _text,
    st.lists(_members, max_size=3).map(tuple),
    _names,
    _times,
    st.booleans(),
    st.integers(-1, 9),
    _names,
    st.booleans(),
    st.none() | _checks,
)
_transports = st.builds(
    ServersTransport,
    _text,
    _text,
    st.booleans(),
    _names,
    st.lists(st.tuples(_text, _text), max_size=2).map(tuple),
    _names,
    max_idle=st.none() | st.integers(0, 9),
    dial_time=st.none() | _times,
    peer_uri=_text,
    origin=_text,
)
_middlewares = st.builds(
    Middleware, _text, _text, st.dictionaries(_text, _settings, max_size=3), origin=_text
)
_certificates = st.builds(
    Certificate, _text, _text, _text, _names, st.booleans(), st.floats(0, 1e10), origin=_text
)


def _by_name(definitions: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(definitions, max_size=3).map(lambda found: {value.name: value for value in found})


@given(
    st.builds(
        Configuration,
        _by_name(_routers),
        _by_name(_services),
        _by_name(_middlewares),
        certificates=_by_name(_certificates),
        transports=_by_name(_transports),
    )
)
def test_snapshot_comes_back_exactly_through_json(configuration: Configuration) -> None:
    through_json = json.loads(json.dumps(codec.snapshot(configuration)))
    assert codec.from_snapshot(through_json).routing == configuration.routing


def test_snapshot_keeps_dialect_origin_state_instance_and_weight() -> None:
    server = Server("http://10.0.0.2:80", 3, "draining", "web-1", "c0ffee", True)
    service = Service("web@docker", (server,), dialect="v1", origin="container web-1")
    router = Router("web@docker", "Host:a.example", "web", ("web",), dialect="v1", origin="container web-1")
    snapshot = codec.snapshot(Configuration({router.name: router}, {service.name: service}))
    assert snapshot["services"]["web@docker"]["servers"] == [
        {
            "url": "http://10.0.0.2:80",
            "weight": 3,
            "state": "draining",
            "name": "web-1",
            "instance": "c0ffee",
            "preserve_path": True,
        }
    ]
    back = codec.from_snapshot(snapshot)
    assert back.services["web@docker"] == service
    assert back.routers["web@docker"] == router


def test_snapshot_leaves_problems_and_items_behind() -> None:
    configuration = Configuration(problems=(Problem("file dyn.yml", "broken"),))
    assert codec.snapshot(configuration) == {family: {} for family in codec.KINDS}
    assert set(codec.KINDS) == {*Configuration.__slots__} - {"problems", "items"}


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"routers": []},
        {"routers": {"web": {"rule": "x"}}},
        {"services": {"web": {"servers": [{"uri": "x"}]}}},
        {"services": {"web": {"sticky": {"flavour": "oat"}}}},
        {"services": {"web": {"members": 3}}},
        {"middlewares": {"m": {"type": "x", "settings": {"a": float("inf")}}}},
    ],
)
def test_what_is_no_snapshot_is_refused_in_words(found: dict[str, Any]) -> None:
    whole = codec.snapshot(Configuration()) | found if found else found
    with pytest.raises(ConfigurationError, match="snapshot: not readable"):
        codec.from_snapshot(whole)


def test_keys_are_in_snapshots_and_not_in_documents() -> None:
    configuration = Configuration(certificates={"a": Certificate("a", "CHAIN", "KEY", ("a.example",))})
    assert codec.snapshot(configuration)["certificates"]["a"]["key"] == "KEY"
    assert codec.to_document(configuration) == {"http": {}}


def test_documents_are_read_and_written_through_the_codec_too() -> None:
    document = {"http": {"services": {"s": {"loadBalancer": {"servers": [{"url": "http://10.0.0.2:80"}]}}}}}
    configuration = codec.from_document(document, "file dyn.yml")
    assert codec.to_document(configuration)["http"]["services"]["s"]["loadBalancer"]["servers"] == [
        {"url": "http://10.0.0.2:80"}
    ]
