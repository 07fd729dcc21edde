"""What a check found, in words."""

from __future__ import annotations

import pytest

from dynbalancer.core.verdicts import Verdict
from dynbalancer.errors import Problem
from dynbalancer.lint.findings import Checked, Finding, LabelVerdict, exit_code


def finding(severity: str = "error", where: str = "router a", line: int = 0) -> Finding:
    """A finding in ``d.yml``."""
    return Finding("d.yml", Problem(where, "odd", "write b", severity), line)


@pytest.mark.parametrize(
    "found, text",
    [
        (finding(), "d.yml: router a: odd; write b"),
        (finding("warning", line=3), "d.yml, line 3: router a: odd; write b [warning]"),
        (finding(where="d.yml, line 3: http.x", line=3), "d.yml, line 3: http.x: odd; write b"),
        (finding(where="d.yml: http.x"), "d.yml: http.x: odd; write b"),
        (finding(where="d.yml"), "d.yml: odd; write b"),
        (Finding("d.yml", Problem("", "odd\x1b[1m")), "d.yml: odd\\x1b[1m"),
    ],
)
def test_a_finding_is_one_line_that_says_where_once_and_how_bad(found: Finding, text: str) -> None:
    assert found.as_text() == text


def test_the_last_line_sums_up() -> None:
    labels = tuple(
        LabelVerdict("web", f"traefik.{n}", n, Verdict(verdict, "why", "hint"))
        for n, verdict in enumerate(("understood", "unknown", "understood"), 1)
    )
    checked = Checked("c.yml", (), "1 router, 1 service", labels=labels)
    assert checked.as_text() == (
        "c.yml: nothing wrong; 1 router, 1 service; 3 labels: 2 understood, 1 unknown"
    )
    lines = checked.as_text(labels=True).splitlines()
    assert lines[1] == "c.yml, line 2: service web, label traefik.2: unknown: why; hint"
    assert len(lines) == 4


def test_a_file_with_problems_is_not_said_to_be_right() -> None:
    assert Checked("d.yml", (finding(),), "1 router").as_text().splitlines()[-1] == "d.yml: 1 router"
    assert "nothing wrong" in Checked("d.yml", (finding("info"),), "1 router").as_text()
    assert Checked("d.yml", (finding(),), unreadable=True).as_text() == "d.yml: router a: odd; write b"


@pytest.mark.parametrize(
    "severities, code", [((), 0), (("info",), 0), (("warning", "info"), 1), (("warning", "error"), 1)]
)
def test_exit_codes(severities: tuple[str, ...], code: int) -> None:
    found = tuple(finding(severity) for severity in severities)
    assert exit_code([Checked("a", ()), Checked("b", found)]) == code
    assert exit_code([Checked("a", (), unreadable=True), Checked("b", found)]) == 2


def test_for_programs() -> None:
    found = finding("warning", line=3).as_dict()
    assert found == {
        "where": "router a",
        "line": 3,
        "service": None,
        "label": None,
        "rule": "definition",
        "severity": "warning",
        "why": "odd",
        "hint": "write b",
    }
