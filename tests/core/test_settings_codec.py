"""What a worker is told of the settings comes out as it went in, and holds no secrets but its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dynbalancer.core.model import Certificate, EntryPoint
from dynbalancer.core.settings import AccessLogSettings, ApiSettings, Limits, Settings
from dynbalancer.core.settings_codec import for_worker, in_worker
from dynbalancer.errors import ConfigurationError

FULL = Settings(
    entry_points=(
        EntryPoint("web", 80, "::1", True, ("10.0.0.0/8",)),
        EntryPoint("alt", 81, trust_all=True, tls=True),
    ),
    workers=3,
    access_log=AccessLogSettings(
        "/var/log/a.log",
        "json",
        batch=9,
        statuses=((200, 200), (500, 599)),
        retried=True,
        slower_than=0.5,
        fields="drop",
        field_modes=(("Duration", "keep"),),
        headers="redact",
        header_modes=(("user-agent", "keep"),),
        query="drop",
    ),
    limits=Limits(head=1024, idle_time=0.5),
    grace=3.5,
    retries=0,
    verify_upstream_tls=False,
    upstream_ca="/ca.pem",
    log_level="debug",
    user="www:www",
    default_certificate=Certificate("own", "CHAIN", "KEY", ("own.example",), True, 9.5),
    secret="c0ffee",
)


@pytest.mark.parametrize("settings", [Settings(), FULL])
def test_round_trip_through_json(settings: Settings) -> None:
    assert in_worker(json.loads(json.dumps(for_worker(settings)))) == settings


def test_providers_and_token_stay_in_the_parent() -> None:
    settings = Settings(api=ApiSettings(token="s3cret"), providers={"docker": {"password": "s3cret"}})
    assert "s3cret" not in json.dumps(for_worker(settings))


def test_files_of_certificates_stay_in_the_parent_and_are_not_shown() -> None:
    settings = Settings(certificates=(("s3cret.pem", "s3cret.key"),))
    assert "s3cret" not in json.dumps(for_worker(settings)) + repr(settings)


@pytest.mark.parametrize(
    "change",
    [
        {"limits": {"nope": 1}},
        {"entry_points": [{"name": "web"}]},
        {"entry_points": 3},
        {"access_log": 1},
        {"access_log": {"path": ""}},
        {"default_certificate": {"nope": 1, "names": []}},
    ],
)
def test_other_shapes_are_refused_in_words(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="settings from the parent"):
        in_worker({**for_worker(Settings()), **change})


def test_missing_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="grace"):
        in_worker({k: v for k, v in for_worker(Settings()).items() if k != "grace"})
