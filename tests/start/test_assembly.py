"""What settings imply of each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynbalancer.core.settings import ApiSettings, Limits, Settings
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.start.assembly import Assembly, Chosen, content
from dynbalancer.start.flags import Given, Vocabulary


def assembled(
    notes: list[Problem] | None = None, read_file: Callable[[str], str] = str, **values: Any
) -> Settings:
    """The settings of values by key (``api__address`` is ``api.address``), each from its flag."""
    chosen = {
        key.replace("__", "."): Chosen(value, f"--{key.replace('__', '.')}") for key, value in values.items()
    }
    return Assembly(chosen, Vocabulary({}), read_file, 3, [] if notes is None else notes).settings()


@pytest.mark.parametrize(
    "values, expected",
    [
        ({}, None),
        ({"api": True}, ApiSettings()),
        ({"api__address": ("", 9)}, ApiSettings("", 9)),
        ({"api__insecure": True}, ApiSettings("", 8080)),
        ({"api__insecure": True, "api__address": ("::1", 9)}, ApiSettings("::1", 9)),
        ({"api__dashboard": True}, ApiSettings()),
        ({"api__dashboard": False}, None),
        ({"api": True, "api__dashboard": False}, ApiSettings(dashboard=False)),
        ({"api__token": "secret"}, ApiSettings(token="secret")),
        ({"api": False, "api__token": "secret"}, None),
    ],
)
def test_when_there_is_an_api_and_where(values: dict[str, Any], expected: ApiSettings | None) -> None:
    assert assembled(**values).api == expected


def test_an_address_from_elsewhere_than_a_flag_says_where_but_not_whether() -> None:
    chosen = {"api.address": Chosen(("", 8080), "DYNBALANCER_API_ADDRESS")}
    assert Assembly(chosen, Vocabulary({}), str, 1, []).settings().api is None


def test_a_token_comes_from_a_file_without_its_line_end() -> None:
    found = assembled(read_file={"/run/token": "secret\n"}.__getitem__, api__tokenfile="/run/token")
    assert found.api == ApiSettings(token="secret")


def test_an_empty_token_file_does_not_leave_the_api_open() -> None:
    with pytest.raises(ConfigurationError, match="is empty"):
        assembled(read_file=lambda path: "\n", api__tokenfile="/run/token")


def test_a_file_that_can_not_be_read_is_one_sentence() -> None:
    def unreadable(path: str) -> str:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(ConfigurationError) as caught:
        content(unreadable, Given("configfile", "d.yml", "--configfile"))
    assert str(caught.value) == "--configfile: d.yml can't be read: Permission denied"


@pytest.mark.parametrize(
    "values, expected",
    [
        ({}, 2),
        ({"retry__attempts": 1}, 0),
        ({"retry__attempts": 5}, 4),
        ({"retry": False}, 0),
        ({"retry": False, "retry__attempts": 5}, 0),
    ],
)
def test_attempts_count_the_first_one(values: dict[str, Any], expected: int) -> None:
    assert assembled(**values).retries == expected


def test_the_rest_is_taken_over() -> None:
    found = assembled(
        workers=-1,
        gracetimeout=1.0,
        providersthrottleduration=2.0,
        serverstransport__insecureskipverify=True,
        serverstransport__rootcas="/ca.pem",
        limits__headtime=3.0,
        loglevel="error",
        user="a:b",
        workeruser="c",
    )
    assert found == Settings(
        workers=3,
        grace=1.0,
        throttle=2.0,
        verify_upstream_tls=False,
        upstream_ca="/ca.pem",
        limits=Limits(head_time=3.0),
        log_level="error",
        user="a:b",
        worker_user="c",
        providers=found.providers,
    )
    assert assembled(workers=0).workers == 0
    assert assembled(debug=True, loglevel="error").log_level == "debug"
