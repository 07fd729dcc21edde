"""What workers write becomes lines of the parent's log, event by event."""

from __future__ import annotations

import pytest
from twisted.logger import LogEvent, capturedLogs, formatEvent

from dynbalancer.control.workerlog import LONGEST, WorkerLog

LINE = b"2026-01-02T03:04:05+0000 [warn] worker 2: one\n"
TRACE = b"2026-01-02T03:04:05+0000 [critical] worker 2: it failed\nTraceback (most recent call last):\nValueError: x\n"


def said(*pieces: bytes) -> list[tuple[str, str]]:
    """Level and text of what is logged when a worker writes these pieces and ends."""
    log = WorkerLog(2)
    with capturedLogs() as events:
        for piece in pieces:
            log.received(piece)
        log.ended()
    return [_shown(event) for event in events]


def _shown(event: LogEvent) -> tuple[str, str]:
    return event["log_level"].name, formatEvent(event)


@pytest.mark.parametrize(
    "pieces, expected",
    [
        ((LINE,), [("warn", "worker 2: one")]),
        ((LINE[:30], LINE[30:]), [("warn", "worker 2: one")]),
        ((LINE + LINE,), [("warn", "worker 2: one")] * 2),
        ((LINE + TRACE + LINE,), [("warn", "worker 2: one"), ("critical", ""), ("warn", "worker 2: one")]),
        ((LINE.replace(b"one", b"{braces} \xff"),), [("warn", "worker 2: {braces} \\xff")]),
        ((b"Fatal Python error: Aborted\n",), [("error", "worker 2: Fatal Python error: Aborted")]),
        ((b"cut sho",), [("error", "worker 2: cut sho")]),
        ((b"\n\n",), []),
        ((), []),
    ],
)
def test_each_event_keeps_its_level(pieces: tuple[bytes, ...], expected: list[tuple[str, str]]) -> None:
    found = said(*pieces)
    assert [level for level, _ in found] == [level for level, _ in expected]
    assert all(text in shown for (_, shown), (_, text) in zip(found, expected, strict=True))


def test_a_traceback_stays_with_its_event() -> None:
    assert said(TRACE) == [
        ("critical", "worker 2: it failed\nTraceback (most recent call last):\nValueError: x")
    ]


def test_a_line_without_end_is_not_kept_for_ever() -> None:
    (first, *rest) = said(b"x" * (LONGEST + 1), b"y\n")
    assert len(first[1]) > LONGEST
    assert rest == [("error", "worker 2: y")]
