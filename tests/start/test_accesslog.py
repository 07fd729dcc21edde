"""The flags of the access log, as Traefik spells them, and what they make together."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.core.settings import AccessLogSettings
from dynbalancer.errors import ConfigurationError
from dynbalancer.start import accesslog
from dynbalancer.start.options import parse


def parsed(*argv: str, text: str = "", **environ: str) -> AccessLogSettings | None:
    """The settings of the access log out of flags, variables and a file of settings."""
    return parse(argv, environ, lambda path: text).access_log


@pytest.mark.parametrize(
    "argv, expected",
    [
        ([], None),
        (["--accesslog"], AccessLogSettings()),
        (["--accesslog=false", "--accesslog.filepath=/x"], None),
        (["--accessLog.filePath=/x", "--accessLog.format=JSON"], AccessLogSettings("/x", "json")),
        (["--accesslog.format=genericCLF"], AccessLogSettings(format="genericclf")),
        (["--accesslog.bufferingsize=100"], AccessLogSettings(batch=100)),
        (
            ["--accesslog.filters.statuscodes=200,300-302", "--accesslog.filters.statuscodes=500-599"],
            AccessLogSettings(statuses=((200, 200), (300, 302), (500, 599))),
        ),
        (["--accesslog.filters.retryattempts"], AccessLogSettings(retried=True)),
        (["--accesslog.filters.minduration=10ms"], AccessLogSettings(slower_than=0.01)),
        (
            ["--accesslog.fields.defaultmode=drop", "--accesslog.fields.names.FrontendName=keep"],
            AccessLogSettings(fields="drop", field_modes=(("RouterName", "keep"),)),
        ),
        (
            [
                "--accesslog.fields.headers.defaultmode=keep",
                "--accesslog.fields.headers.names.User-Agent=redact",
            ],
            AccessLogSettings(headers="keep", header_modes=(("user-agent", "redact"),)),
        ),
        (["--accesslog.fields.queryparameters.defaultmode=drop"], AccessLogSettings(query="drop")),
        (["--accesslog", "--accesslog.addinternals"], AccessLogSettings()),
    ],
)
def test_flags(argv: list[str], expected: AccessLogSettings | None) -> None:
    assert parsed(*argv) == expected


def test_a_file_nests_them() -> None:
    text = """
accessLog:
  filters: {statusCodes: ["200", "500-599"], minDuration: 1s}
  fields:
    names: {ClientUsername: drop}
    headers: {names: {User-Agent: keep}}
"""
    assert parsed("--configfile=a.yml", text=text) == AccessLogSettings(
        statuses=((200, 200), (500, 599)),
        slower_than=1.0,
        field_modes=(("ClientUsername", "drop"),),
        header_modes=(("user-agent", "keep"),),
    )


def test_variables_have_names_too() -> None:
    found = parsed(
        DYNBALANCER_ACCESSLOG_FIELDS_NAMES_ROUTERNAME="drop",
        DYNBALANCER_ACCESSLOG_FIELDS_HEADERS_NAMES_USER_AGENT="keep",
    )
    assert found == AccessLogSettings(
        field_modes=(("RouterName", "drop"),), header_modes=(("user-agent", "keep"),)
    )


@pytest.mark.parametrize(
    "flag, sentence",
    [
        (
            "--accesslog.format=xml",
            "'xml' is not a format of the access log; there is common, genericCLF, json",
        ),
        ("--accesslog.filters.statuscodes=2xx", "'2xx' is neither a status code nor a range such as 500-599"),
        ("--accesslog.filters.statuscodes=599-500", "neither a status code nor a range"),
        ("--accesslog.fields.defaultmode=redact", "'redact' is not one of keep, drop"),
        ("--accesslog.fields.headers.defaultmode=no", "'no' is not one of keep, drop, redact"),
        ("--accesslog.fields.names.RuoterName=drop", "no field ruotername; did you mean routername?"),
        ("--accesslog.fields.names.=drop", "no such flag"),
        ("--accesslog.filters.statuscode=2", "did you mean --accesslog.filters.statuscodes?"),
    ],
)
def test_mistakes_are_one_sentence(flag: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parsed(flag)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("--accesslog.")


@pytest.mark.parametrize(
    "text, expected", [("404", (404, 404)), (" 200-299 ", (200, 299)), ("0-600", (0, 600))]
)
def test_ranges_have_both_ends(text: str, expected: Any) -> None:
    assert accesslog.statuses(text) == expected
