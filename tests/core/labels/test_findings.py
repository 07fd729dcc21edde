"""How problems of labels are written down."""

from __future__ import annotations

from dynbalancer.core.labels.findings import Findings
from dynbalancer.errors import Problem


def test_problems_name_container_and_label() -> None:
    findings = Findings("web-1")
    findings.label("traefik.prot", "unknown", "did you mean traefik.port?")
    findings.whole("no port exposed", severity="info")
    assert findings.problems == [
        Problem("container web-1, label traefik.prot", "unknown", "did you mean traefik.port?", "error"),
        Problem("container web-1", "no port exposed", "", "info"),
    ]


def test_only_marked_problems_are_about_being_meant_at_all() -> None:
    findings = Findings("web-1")
    findings.label("traefik.prot", "unknown")
    findings.label("traefk.enable", "unknown", root=True)
    assert [problem.where for problem in findings.roots] == ["container web-1, label traefk.enable"]


def test_a_note_is_kept_once() -> None:
    findings = Findings("web-1")
    findings.note("it is paused")
    findings.note("it is paused")
    assert findings.notes == ["it is paused"]


def test_what_moves_a_cursor_is_shown_as_text() -> None:
    findings = Findings("web-1")
    findings.label("traefik.a\x1b[2J", "line\nbreak", "\x07")
    assert findings.problems == [Problem("container web-1, label traefik.a\\x1b[2J", "line\\nbreak", "\\x07")]
