"""Lines of the access log: exact ones, what settings leave out, and that nothing a client sends makes a second one."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.accesslines import clf_time, keeper, line_of, without_secrets
from dynbalancer.core.exchange import Alike, Exchange, Headers, ResponseHead
from dynbalancer.core.settings import AccessLogSettings
from dynbalancer.testing import exchange

#: 9 July 2026, 12:00:05 UTC.
WALL = 1783598405.5
_QUOTED = r'"(\\.|[^"\\])*"'
CLF = re.compile(
    r'[^ "]+ - (\\"|[^ "])+ \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] '
    rf"{_QUOTED} \d+ \d+ {_QUOTED} {_QUOTED}( \d+ {_QUOTED} {_QUOTED} \d+ms)?\n"
)


def ended(**about: Any) -> Exchange:
    """An exchange that a server answered with 200 and 12 octets in 3 milliseconds."""
    headers = about.pop("headers", {b"User-Agent": b"curl/8", b"Referer": b"http://x.example/"})
    trusted = about.pop("trusted", False)
    made = exchange(
        path=about.pop("path", b"/a"), query=about.pop("query", None), headers=headers, trusted=trusted
    )
    made.status, made.bytes_out, made.bytes_in, made.outcome = 200, 12, 5, "done"
    made.started, made.finished, made.tries = 10.0, 10.003125, 1
    about.setdefault("route", SimpleNamespace(name="web@docker", service_name="shop@docker"))
    about.setdefault("server", SimpleNamespace(server=SimpleNamespace(url="http://10.0.0.2:80")))
    for name, value in about.items():
        setattr(made, name, value)
    return made


def line(one: Exchange, **settings: Any) -> str:
    """Its line, the seventh of this process."""
    return line_of(AccessLogSettings(**settings))(one, WALL, 7)


def as_json(one: Exchange, **settings: Any) -> dict[str, Any]:
    """Its line in JSON, read."""
    text = line(one, format="json", **settings)
    assert text.endswith("}\n") and text.count("\n") == 1
    found: dict[str, Any] = json.loads(text)
    return found


USUAL = (
    '192.0.2.1 - - [09/Jul/2026:12:00:05 +0000] "GET /a?b=c HTTP/1.1" 200 12 "http://x.example/" "curl/8" 7 '
    '"web@docker" "http://10.0.0.2:80" 3ms\n'
)


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, USUAL),
        ({"format": "genericclf"}, USUAL.partition(" 7 ")[0] + "\n"),
        ({"field_modes": (("RouterName", "drop"),)}, USUAL.replace("web@docker", "-")),
        ({"field_modes": (("StartUTC", "drop"),)}, USUAL.replace(":05 +0000", ":05 +0000")),
        ({"headers": "drop"}, USUAL.replace("http://x.example/", "-").replace("curl/8", "-")),
        ({"headers": "redact"}, USUAL.replace("http://x.example/", "REDACTED").replace("curl/8", "REDACTED")),
        ({"header_modes": (("user-agent", "redact"),)}, USUAL.replace("curl/8", "REDACTED")),
        ({"header_modes": (("referer", "drop"),)}, USUAL.replace("http://x.example/", "-")),
        (
            {"headers": "drop", "header_modes": (("user-agent", "keep"),)},
            USUAL.replace("http://x.example/", "-"),
        ),
        (
            {"fields": "drop", "field_modes": (("DownstreamStatus", "keep"), ("StartUTC", "keep"))},
            '- - - [09/Jul/2026:12:00:05 +0000] "- - -" 200 - "http://x.example/" "curl/8" - "-" "-" 0ms\n',
        ),
        (
            {"fields": "drop"},
            '- - - [-] "- - -" - - "http://x.example/" "curl/8" - "-" "-" 0ms\n',
        ),
    ],
)
def test_common_and_generic_lines(settings: dict[str, Any], expected: str) -> None:
    assert line(ended(query=b"b=c"), **settings) == expected


def test_chosen_fields_give_the_usual_line_where_all_are_chosen() -> None:
    one = ended(query=b"b=c", user=b"ann", headers={b"User-Agent": b'\xe9"'})
    assert line(one, field_modes=(("Duration", "keep"),)) == line(one)


def test_local_time_stands_where_only_that_is_kept() -> None:
    settings = AccessLogSettings(field_modes=(("StartUTC", "drop"),))
    found = line_of(settings, offset=lambda seconds: -19800)(ended(), WALL, 1)
    assert "[09/Jul/2026:06:30:05 -0530]" in found


def test_time_is_that_of_the_beginning() -> None:
    assert "[09/Jul/2026:11:59:55 +0000]" in line(ended(finished=20.5))
    assert clf_time(0) == "01/Jan/1970:00:00:00 +0000"


def test_request_that_comes_again_has_the_time_status_and_size_of_each() -> None:
    written, one = line_of(AccessLogSettings()), ended()
    assert written(one, WALL, 7) == USUAL.replace("?b=c", "")
    for later, second in ((0.4, 5), (0.5, 6), (0.6, 6), (-1.0, 4), (60.0, 65)):
        again = ended(status=304, bytes_out=5000, finished=12.0)
        again.head = one.head
        found = written(again, WALL + later, 8)
        minute, second = divmod(second - 2, 60)
        assert f"[09/Jul/2026:12:{minute:02d}:{second:02d} +0000]" in found
        assert ' 304 5000 "http://x.example/" "curl/8" 8 "web@docker" "http://10.0.0.2:80" 2000ms\n' in found


def test_copy_of_a_head_that_was_written_is_written_anew() -> None:
    written, one = line_of(AccessLogSettings()), ended()
    written(one, WALL, 7)
    other = ended()
    other.head = one.head.copy()
    other.head.path = b"/other"
    assert '"GET /other HTTP/1.1"' in written(other, WALL, 8)


def test_requests_with_the_same_fields_have_them_and_each_its_own_target_and_method() -> None:
    write, alike = line_of(AccessLogSettings()), Alike()
    for method, path in ((b"GET", b"/a"), (b"POST", b"/b")):
        one = ended(path=path)
        one.head.method, one.head.alike = method, alike
        expected = write(ended(path=path), WALL, 7).replace('"GET', f'"{method.decode()}')
        assert write(one, WALL, 7) == expected


def test_field_that_a_middleware_changed_is_written_though_others_had_the_same() -> None:
    write, alike = line_of(AccessLogSettings()), Alike()
    first, second = ended(), ended(asked=(b"/a", None))
    first.head.alike = second.head.alike = alike
    second.head.headers.set(b"User-Agent", b"other")
    lines = [write(one, WALL, 7) for one in (first, second, first)]
    assert ["curl/8" in text for text in lines] == [True, False, True]
    assert '"other"' in lines[1]


def test_user_that_a_middleware_found_is_written_for_his_requests_only() -> None:
    written = line_of(AccessLogSettings())
    one = ended(asked=(b"/a", None), user="anna")
    other = ended(asked=(b"/a", None))
    other.head = one.head
    assert " - anna [" in written(one, WALL, 7)
    assert " - - [" in written(other, WALL, 8)


def test_what_is_not_known_is_a_dash() -> None:
    missing = ended(headers={}, route=None, server=None, status=404, finished=10.0)
    assert line(missing) == (
        '192.0.2.1 - - [09/Jul/2026:12:00:05 +0000] "GET /a HTTP/1.1" 404 12 "-" "-" 7 "-" "-" 0ms\n'
    )


@pytest.mark.parametrize("settings", [{}, {"field_modes": (("ClientHost", "keep"),)}, {"format": "json"}])
def test_line_has_the_path_as_it_was_asked_for(settings: dict[str, Any]) -> None:
    stripped = ended(path=b"/cart", query=b"a=1", asked=(b"/shop/cart", b"b=2"))
    assert "/shop/cart?b=2" in line(stripped, **settings)


@pytest.mark.parametrize(
    "fields, route, expected",
    [
        ({b"X-Forwarded-For": b"198.51.100.7, 192.0.2.1"}, True, "198.51.100.7"),
        ({b"X-Forwarded-For": b"198.51.100.7, 10.0.0.1, 192.0.2.1"}, True, "198.51.100.7,10.0.0.1"),
        ({b"X-Forwarded-For": b"192.0.2.1"}, True, "192.0.2.1"),
        ({b"X-Forwarded-For": b"198.51.100.7"}, False, "198.51.100.7"),
        ({}, True, "192.0.2.1"),
        ({b"X-Forwarded-For": b'" \n", 192.0.2.1'}, True, '\\"\\x20\\x0a\\"'),
    ],
)
def test_client_of_a_trusted_peer_is_whom_it_names(
    fields: dict[bytes, bytes], route: bool, expected: str
) -> None:
    one = ended(headers=fields, trusted=True)
    if not route:
        one.route = None
    assert line(one).startswith(f"{expected} - - [")
    assert line(one, field_modes=(("Duration", "drop"),)).startswith(f"{expected} - - [")


# JSON.


def test_json_line_says_all_that_is_known() -> None:
    one = ended(tries=2, user=b'a"b', forwarded=10.001125, response=ResponseHead(200))
    one.head.authority, one.head.port = b"A.example:8080", 8080
    assert as_json(one) == {
        "ClientAddr": "192.0.2.1:40000",
        "ClientHost": "192.0.2.1",
        "ClientPort": "40000",
        "ClientUsername": 'a"b',
        "DownstreamContentSize": 12,
        "DownstreamStatus": 200,
        "Duration": 3_125_000,
        "OriginContentSize": 12,
        "OriginDuration": 2_000_000,
        "OriginStatus": 200,
        "Overhead": 1_125_000,
        "RequestAddr": "A.example:8080",
        "RequestContentSize": 5,
        "RequestCount": 7,
        "RequestHost": "a.example",
        "RequestMethod": "GET",
        "RequestPath": "/a",
        "RequestPort": "8080",
        "RequestProtocol": "HTTP/1.1",
        "RequestScheme": "http",
        "RetryAttempts": 1,
        "RouterName": "web@docker",
        "ServiceAddr": "10.0.0.2:80",
        "ServiceName": "shop@docker",
        "ServiceURL": "http://10.0.0.2:80",
        "StartLocal": "2026-07-09T12:00:05.496875Z",
        "StartUTC": "2026-07-09T12:00:05.496875Z",
        "entryPointName": "web",
        "level": "info",
        "msg": "",
        "time": "2026-07-09T12:00:05Z",
    }


def test_json_line_has_only_the_fields_that_are_kept() -> None:
    always = {"level": "info", "msg": "", "time": "2026-07-09T12:00:05Z"}
    kept = as_json(ended(), fields="drop", field_modes=(("RouterName", "keep"),))
    assert kept == {"RouterName": "web@docker", **always}
    assert "RouterName" not in as_json(ended(), field_modes=(("RouterName", "drop"),))


FIELDS = {b"User-Agent": b"curl/8", b"Authorization": b"Basic eA==", b"x-trace-id": b"1", b"Cookie": b"s=1"}


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, {}),
        ({"headers": "drop"}, {}),
        (
            {"headers": "keep"},
            {"User-Agent": "curl/8", "Authorization": "REDACTED", "X-Trace-Id": "1", "Cookie": "REDACTED"},
        ),
        (
            {"headers": "keep", "header_modes": (("cookie", "keep"), ("user-agent", "drop"))},
            {"Authorization": "REDACTED", "X-Trace-Id": "1", "Cookie": "s=1"},
        ),
        (
            {"headers": "redact", "header_modes": (("x-trace-id", "keep"),)},
            {"User-Agent": "REDACTED", "Authorization": "REDACTED", "X-Trace-Id": "1", "Cookie": "REDACTED"},
        ),
        ({"header_modes": (("user-agent", "keep"),)}, {"User-Agent": "curl/8"}),
        ({"header_modes": (("authorization", "redact"),)}, {"Authorization": "REDACTED"}),
    ],
)
def test_header_fields_are_kept_dropped_or_redacted(
    settings: dict[str, Any], expected: dict[str, str]
) -> None:
    found = as_json(ended(headers=FIELDS), **settings)
    assert {n.removeprefix("request_"): v for n, v in found.items() if n.startswith("request_")} == expected


def test_fields_of_the_answer_are_those_of_the_server_and_those_that_were_sent() -> None:
    changed = ResponseHead(200, headers=Headers.of((b"X-B", b"ours"), (b"Set-Cookie", b"s=1")))
    one = ended(response=changed, origin=(201, Headers.of((b"X-A", b"1"), (b"X-A", b"2")).fields))
    found = as_json(one, headers="keep")
    assert found["OriginStatus"] == 201
    assert found["origin_X-A"] == "1, 2"
    assert (found["downstream_X-B"], found["downstream_Set-Cookie"]) == ("ours", "REDACTED")
    answered = as_json(ended(sent=changed), headers="keep")
    assert answered["downstream_X-B"] == "ours"
    assert not [name for name in answered if name.startswith(("origin_", "Origin"))]


# What must not be in a log.


@pytest.mark.parametrize(
    "query, written",
    [
        (b"a=1&b=2", b"a=1&b=2"),
        (b"token=abc&b=2", b"token=REDACTED&b=2"),
        (b"b=2&access_token=abc", b"b=2&access_token=REDACTED"),
        (b"API-Key=abc;x=1", b"API-Key=REDACTED;x=1"),
        (b"X-Amz-Signature=abc&X-Amz-Credential=x", b"X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED"),
        (
            b"password=a&passwd=b&pwd=c&sig=d&jwt=e",
            b"password=REDACTED&passwd=REDACTED&pwd=REDACTED&sig=REDACTED&jwt=REDACTED",
        ),
        (b"monkey=1&design=2&author=3", b"monkey=1&design=2&author=3"),
        (b"token", b"token"),
        (b"", b""),
    ],
)
def test_secrets_in_a_query_are_redacted(query: bytes, written: bytes) -> None:
    assert without_secrets(query) == written


@pytest.mark.parametrize("form", ["common", "genericclf", "json"])
@pytest.mark.parametrize(
    "mode, path, referer",
    [
        ("", "/a?token=REDACTED&b=2", "http://x.example/?sid=REDACTED"),
        ("keep", "/a?token=t&b=2", "http://x.example/?sid=s"),
        ("redact", "/a?token=REDACTED&b=REDACTED", "http://x.example/?sid=REDACTED"),
        ("drop", "/a", "http://x.example/?sid=REDACTED"),
    ],
)
def test_queries_are_written_as_the_settings_say(form: str, mode: str, path: str, referer: str) -> None:
    one = ended(query=b"token=t&b=2", headers={b"Referer": b"http://x.example/?sid=s"})
    modes = (("referer", "keep"),)
    for settings in ({}, {"header_modes": modes}):
        text = line(one, format=form, query=mode, **settings)
        assert f'"{path}"' in text if form == "json" else f" {path} " in text
        assert (not settings and form == "json") or f'"{referer}"' in text


# One exchange, one line.

SENT = st.binary(max_size=60) | st.sampled_from(
    [b'" 200 0 "-"\n', b"\r\n", b"\x1b[2J", b"\x00", "\u2028é".encode(), b"\xff\xfe", b'\\"', b"a" * 32768]
)
NAMES = st.text(max_size=20)


@given(sent=SENT, name=NAMES, form=st.sampled_from(["common", "genericclf", "json"]), chosen=st.booleans())
def test_whatever_is_sent_one_line_comes_out(sent: bytes, name: str, form: str, chosen: bool) -> None:
    one = ended(
        path=b"/" + sent,
        query=sent,
        user=sent,
        headers={b"User-Agent": sent, b"Referer": sent, b"X-Other": sent},
        route=SimpleNamespace(name=name, service_name=name),
        server=SimpleNamespace(server=SimpleNamespace(url=name)),
        response=ResponseHead(200, headers=Headers.of((b"X-Sent", sent))),
    )
    one.head.host = one.head.authority = sent
    settings = AccessLogSettings(format=form, headers="keep" if chosen else "")
    text = line_of(settings)(one, WALL, 1)
    assert text.isascii() and text[:-1].isprintable() and text.endswith("\n")
    if form == "json":
        assert json.loads(text)["RouterName"] == name
    else:
        assert CLF.fullmatch(text)


@given(values=st.lists(st.binary(max_size=600), max_size=30))
def test_what_is_remembered_is_what_is_written_at_first(values: list[bytes]) -> None:
    write = line_of(AccessLogSettings())
    for value in values * 2:
        one = ended(headers={b"User-Agent": value})
        assert write(one, WALL, 7) == line(one)


def test_no_more_is_remembered_than_a_bounded_number_of_values() -> None:
    write = line_of(AccessLogSettings())
    lines = {
        write(ended(headers={b"User-Agent": b"agent-%d" % number}), WALL + number, 1)
        for number in range(2500)
    }
    assert len(lines) == 2500


# Which are written.


@pytest.mark.parametrize(
    "settings, about, expected",
    [
        ({"statuses": ((200, 200), (500, 599))}, {"status": 200}, True),
        ({"statuses": ((200, 200), (500, 599))}, {"status": 599}, True),
        ({"statuses": ((200, 200), (500, 599))}, {"status": 404}, False),
        ({"retried": True}, {"tries": 1}, False),
        ({"retried": True}, {"tries": 2}, True),
        ({"slower_than": 0.01}, {"finished": 10.009}, False),
        ({"slower_than": 0.01}, {"finished": 10.02}, True),
        ({"statuses": ((500, 599),), "retried": True}, {"status": 200, "tries": 2}, True),
    ],
)
def test_one_reason_to_write_a_line_is_enough(
    settings: dict[str, Any], about: dict[str, Any], expected: bool
) -> None:
    kept = keeper(AccessLogSettings(**settings))
    assert kept is not None and bool(kept(ended(**about))) is expected


def test_without_filters_every_line_is_written() -> None:
    assert keeper(AccessLogSettings()) is None
