"""The access log: exact lines, nothing smuggled in, batches, files that move, readers that don't read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from zope.interface.verify import verifyObject

from dynbalancer.core.exchange import Exchange
from dynbalancer.core.settings import AccessLogSettings
from dynbalancer.errors import ConfigurationError
from dynbalancer.interfaces import IExchangeObserver
from dynbalancer.proxy.accesslog import BATCH, LARGEST, MOST, AccessLog, local_offset
from dynbalancer.testing import exchange

#: 9 July 2026, 12:00:05 UTC.
WALL = 1783598405.5


def ended(**about: Any) -> Exchange:
    """An exchange that was answered, by default with 200 and 12 octets in 3 milliseconds."""
    headers = about.pop("headers", {b"User-Agent": b"curl/8", b"Referer": b"http://x.example/"})
    made = exchange(b"GET", about.pop("path", b"/a"), query=about.pop("query", None), headers=headers)
    made.status, made.bytes_out, made.bytes_in, made.outcome = 200, 12, 5, "done"
    made.started, made.finished, made.tries = 10.0, 10.0031, 1
    for name, value in about.items():
        setattr(made, name, value)
    return made


def routed(**about: Any) -> Exchange:
    """The same, by a router and a server. ``logged`` is what the router says of the access log."""
    router = SimpleNamespace(access_log=about.pop("logged", None))
    route: Any = SimpleNamespace(name="web@docker", service_name="web@docker", router=router)
    server = SimpleNamespace(server=SimpleNamespace(url="http://10.0.0.2:80"))
    return ended(route=route, server=server, **about)


class Log:
    """An access log over a file of its own."""

    def __init__(self, folder: Path, form: str = "common") -> None:
        self.clock = Clock()
        self.path = folder / "logs" / "access.log"
        self.log = AccessLog(AccessLogSettings(str(self.path), form), self.clock, wall=lambda: WALL)
        self.log.start()

    def write(self, *exchanges: Exchange) -> str:
        """The lines that these exchanges give."""
        for one in exchanges:
            self.log.exchange_ended(one)
        self.log.flush()
        return self.path.read_text("ascii")


def test_common_line_is_exactly_traefiks(tmp_path: Path) -> None:
    log = Log(tmp_path)
    assert log.write(routed(query=b"b=c")) == (
        '192.0.2.1 - - [09/Jul/2026:12:00:05 +0000] "GET /a?b=c HTTP/1.1" 200 12 "http://x.example/" "curl/8" 1 '
        '"web@docker" "http://10.0.0.2:80" 3ms\n'
    )
    assert verifyObject(IExchangeObserver, log.log)
    log.log.stop()


@pytest.mark.parametrize(
    "logged, silent, lines",
    [
        (None, False, 1),
        (True, False, 1),
        (False, False, 0),
        (None, True, 0),
        (True, True, 1),
        (False, True, 0),
    ],
)
def test_router_says_whether_it_is_logged_and_else_its_entry_point(
    tmp_path: Path, logged: bool | None, silent: bool, lines: int
) -> None:
    one = routed(logged=logged)
    names = frozenset({one.entry_point.name if silent else "other"})
    path = tmp_path / "access.log"
    log = AccessLog(AccessLogSettings(str(path)), Clock(), wall=lambda: WALL, silent=names)
    log.start()
    log.exchange_ended(one)
    log.stop()
    assert path.read_text().count("\n") == lines


def test_request_without_a_router_is_logged_as_its_entry_point_says(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    silent = frozenset({ended().entry_point.name})
    log = AccessLog(AccessLogSettings(str(path)), Clock(), wall=lambda: WALL, silent=silent)
    log.start()
    log.exchange_ended(ended())
    log.stop()
    assert path.read_text() == ""


def test_what_is_not_known_is_a_dash(tmp_path: Path) -> None:
    log = Log(tmp_path)
    missing = ended(headers={}, status=404, finished=10.0)
    assert log.write(missing, missing).splitlines()[1] == (
        '192.0.2.1 - - [09/Jul/2026:12:00:05 +0000] "GET /a HTTP/1.1" 404 12 "-" "-" 2 "-" "-" 0ms'
    )
    log.log.stop()


@pytest.mark.parametrize(
    "sent, written",
    [
        (b'a"b', 'a\\"b'),
        (b"a\\b", "a\\\\b"),
        (b"a\tb\x7f", "a\\x09b\\x7f"),
        (b"a\r\nb", "a\\x0d\\x0ab"),
        ("é".encode(), "\\xc3\\xa9"),
        (b"plain ~!", "plain ~!"),
    ],
)
def test_quotes_and_control_characters_are_escaped(tmp_path: Path, sent: bytes, written: str) -> None:
    log = Log(tmp_path)
    line = log.write(ended(headers={b"User-Agent": sent, b"Referer": sent}, user=sent, query=sent))
    assert line.count("\n") == 1
    assert f' "{written}" "{written}" 1 ' in line
    # Here it has no quotes around it.
    word = written.replace(" ", "\\x20")
    assert f" - {word} [" in line
    assert f'"GET /a?{written} HTTP/1.1"' in line
    log.log.stop()


def test_json_line_has_what_the_shell_knows(tmp_path: Path) -> None:
    """Local time and encryption; all other fields are tested where they are made."""
    log = Log(tmp_path, "json")
    tls = SimpleNamespace(
        _tlsConnection=SimpleNamespace(
            get_cipher_name=lambda: "TLS_AES_128_GCM_SHA256", get_protocol_version_name=lambda: "TLSv1.3"
        )
    )
    line = log.write(routed(client_connection=SimpleNamespace(transport=tls)))
    assert line.endswith("}\n")
    found = json.loads(line)
    assert (found["TLSVersion"], found["TLSCipher"]) == ("1.3", "TLS_AES_128_GCM_SHA256")
    start = datetime.fromisoformat(found["StartLocal"])
    assert abs(start.timestamp() - WALL) < 0.01
    assert start.utcoffset() == timedelta(seconds=local_offset(WALL))
    plain = json.loads(
        log.write(routed(client_connection=SimpleNamespace(transport=object()))).splitlines()[1]
    )
    assert "TLSVersion" not in plain and plain["RequestCount"] == 2
    log.log.stop()


def test_json_line_of_a_failure_says_why(tmp_path: Path) -> None:
    log = Log(tmp_path, "json")
    found = json.loads(log.write(ended(outcome="client-gone", status=499, tries=0)))
    assert (found["Outcome"], found["RetryAttempts"], "RouterName" in found) == ("client-gone", 0, False)
    log.log.stop()


def test_lines_are_written_together_within_a_second(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.log.exchange_ended(ended())
    assert log.path.read_text() == ""
    log.clock.advance(1)
    assert log.path.read_text().count("\n") == 1
    for _ in range(BATCH):
        log.log.exchange_ended(ended())
    assert log.path.read_text().count("\n") == 1 + BATCH
    log.log.stop()


def test_clock_that_is_set_is_followed_within_a_batch(tmp_path: Path) -> None:
    times = [WALL]
    path = tmp_path / "access.log"
    log = AccessLog(AccessLogSettings(str(path)), Clock(), wall=lambda: times[0])
    log.start()
    log.exchange_ended(ended())
    log.flush()
    times[0] += 3600
    log.exchange_ended(ended(started=20.0, finished=20.1))
    log.exchange_ended(ended(started=21.0, finished=21.1))
    log.stop()
    stamps = [line.split("[")[1].split(" ")[0] for line in path.read_text().splitlines()]
    assert stamps == ["09/Jul/2026:12:00:05", "09/Jul/2026:13:00:05", "09/Jul/2026:13:00:06"]


def test_stopping_writes_what_is_left_and_leaves_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.log.exchange_ended(ended())
    log.log.stop()
    log.log.stop()
    assert log.path.read_text().count("\n") == 1
    assert log.clock.getDelayedCalls() == []


def test_file_that_was_moved_away_is_left_and_a_new_one_begun(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.log.exchange_ended(ended())
    moved = log.path.rename(tmp_path / "old")
    log.log.reopen()
    assert moved.read_text().count("\n") == 1
    assert log.write(ended()).count(" 2 ") == 1
    assert log.path.stat().st_mode & 0o777 == 0o640
    log.log.stop()


def test_new_file_that_cannot_be_opened_leaves_the_old_one_in_use(tmp_path: Path) -> None:
    log = Log(tmp_path)
    moved = log.path.rename(tmp_path / "old")
    log.path.mkdir()
    with capturedLogs() as events:
        log.log.reopen()
    assert [event["log_format"] for event in events] == ["{error}; the access log goes on in the old file"]
    log.log.exchange_ended(ended())
    log.log.flush()
    assert moved.read_text().count("\n") == 1
    log.log.stop()


def test_file_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    log = AccessLog(AccessLogSettings(str(tmp_path)), Clock())
    with pytest.raises(ConfigurationError) as caught:
        log.start()
    assert str(caught.value) == f"--accesslog.filepath: {tmp_path}: Is a directory"


def test_lines_that_cannot_be_written_are_counted(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.log.exchange_ended(ended())
    log.log.stop()
    log.log.exchange_ended(ended())
    log.log.exchange_ended(ended())
    log.log.flush()
    assert log.log.lost == 2
    assert log.path.read_text().count("\n") == 1


def test_reader_that_does_not_read_costs_lines_and_never_waiting() -> None:
    reading, writing = os.pipe()
    log = AccessLog(AccessLogSettings(), Clock(), wall=lambda: WALL, stdout=writing)
    log.start()
    for _ in range(MOST + 16 * BATCH):
        log.exchange_ended(routed())
    assert 0 < log.lost < 16 * BATCH
    lost = log.lost
    found = os.read(reading, 1 << 20)
    with capturedLogs() as events:
        for _ in range(1000):
            log.flush()
            found += os.read(reading, 1 << 20)
            if found.count(b"\n") == MOST + 16 * BATCH - lost:
                break
        log.exchange_ended(ended())
        log.flush()
    assert [event["lost"] for event in events] == [lost]
    log.stop()
    os.close(writing)
    lines = (found + os.read(reading, 1 << 20)).decode().splitlines()
    os.close(reading)
    assert len(lines) == MOST + 16 * BATCH + 1 - log.lost and log.lost == lost
    assert all(line.startswith("192.0.2.1 - - [") and line.endswith("ms") for line in lines)


def test_lines_that_wait_are_bounded_in_size_too() -> None:
    reading, writing = os.pipe()
    log = AccessLog(AccessLogSettings(batch=1), Clock(), stdout=writing)
    log.start()
    for _ in range(2 * LARGEST // 1_000_000):
        log.exchange_ended(ended(headers={b"User-Agent": b"a" * 1_000_000}))
    assert log.lost == 2 * LARGEST // 1_000_000 - LARGEST // 1_000_000
    os.close(reading)
    log.stop()
    os.close(writing)
    assert log.lost == 2 * LARGEST // 1_000_000


def test_reader_that_left_costs_lines() -> None:
    reading, writing = os.pipe()
    log = AccessLog(AccessLogSettings(), Clock(), stdout=writing)
    log.start()
    os.close(reading)
    log.exchange_ended(ended())
    log.stop()
    os.close(writing)
    assert log.lost == 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A disk with room for as many octets as this list's one number says."""
    write = os.write
    room = [1 << 20]

    def writing(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        size = write(fd, data[: room[0]])
        room[0] -= size
        return size

    monkeypatch.setattr(os, "write", writing)
    yield room


def test_disk_that_fills_up_in_a_line_gets_the_rest_of_it_when_there_is_room(
    tmp_path: Path, disk: list[int]
) -> None:
    log = Log(tmp_path)
    disk[0] = 30
    log.log.exchange_ended(ended())
    log.log.exchange_ended(ended())
    log.log.flush()
    assert len(log.path.read_text()) == 30
    disk[0] = 1 << 20
    lines = log.write(ended()).splitlines()
    assert [line.split('"')[6] for line in lines] == [" 1 ", " 2 ", " 3 "]
    assert log.log.lost == 0
    log.log.stop()


def test_new_file_does_not_begin_in_the_middle_of_a_line(tmp_path: Path, disk: list[int]) -> None:
    log = Log(tmp_path)
    disk[0] = 30
    log.log.exchange_ended(ended())
    log.log.exchange_ended(ended())
    log.log.flush()
    log.path.rename(tmp_path / "old")
    log.log.reopen()
    disk[0] = 1 << 20
    lines = log.write(ended()).splitlines()
    assert [line.split('"')[6] for line in lines] == [" 2 ", " 3 "]
    assert log.log.lost == 1
    log.log.stop()


def test_lines_that_are_not_wanted_are_counted_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    log = AccessLog(AccessLogSettings(str(path), statuses=((500, 599),), batch=2), Clock(), wall=lambda: WALL)
    log.start()
    for status in (200, 500, 404, 503):
        log.exchange_ended(ended(status=status))
    lines = path.read_text().splitlines()
    assert [line.split('"')[2] for line in lines] == [" 500 12 ", " 503 12 "]
    assert [line.split('"')[6] for line in lines] == [" 2 ", " 4 "]
    log.stop()
