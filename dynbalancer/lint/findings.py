"""What a check finds: a problem with the file, the line, the service and the label it is in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dynbalancer.core.verdicts import VERDICTS, Verdict
from dynbalancer.errors import Problem, printable

#: What ``rule`` may be: a short name for each kind of finding, for programs.
RULES: Mapping[str, str] = {
    "unreadable": "The file can't be read, or is not what it should be.",
    "unknown-label": "No label has this key.",
    "wrong-label": "The value of a label can't be used.",
    "ignored-label": "A label has no effect where it is.",
    "noted-label": "Something worth knowing about a label.",
    "misplaced-label": "A label is where no container gets it.",
    "label-type": "A label is written as something else than a text.",
    "eaten-dollar": "Compose takes a single $ for a variable.",
    "variable": "A variable of the compose file has no value.",
    "not-enabled": "A container has labels, and is not enabled.",
    "unreachable-router": "Another router takes all requests of this one.",
    "router": "A router can't be used as it is written.",
    "middleware": "A middleware can't be used as it is written.",
    "service": "A service can't be used as it is written.",
    "container": "Something about a container as a whole.",
    "definition": "A definition in a file of routes can't be used as it is written.",
    "setting": "A setting read at start can't be used as it is written.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem and its place. ``line`` counts from 1; 0: not known. ``service`` is that of a compose file."""

    path: str
    problem: Problem
    line: int = 0
    service: str = ""
    label: str = ""
    rule: str = "definition"

    def as_text(self) -> str:
        """One line: ``compose.yml, line 7: service web, label traefik.prot: why; hint [warning]``."""
        place = f"{self.path}, line {self.line}" if self.line else self.path
        about = _without_place(self.problem.where, self.path)
        text = ": ".join(filter(None, (place, about, self.problem.why)))
        text += f"; {self.problem.hint}" if self.problem.hint else ""
        severity = self.problem.severity
        return printable(text if severity == "error" else f"{text} [{severity}]")

    def as_dict(self) -> dict[str, object]:
        """For JSON; what isn't known is null."""
        problem = self.problem
        return {
            "where": problem.where,
            "line": self.line or None,
            "service": self.service or None,
            "label": self.label or None,
            "rule": self.rule,
            "severity": problem.severity,
            "why": problem.why,
            "hint": problem.hint,
        }


def _without_place(where: str, path: str) -> str:
    if not where.startswith(path):
        return where
    return re.sub(r"^(?:, line \d+)?(?:: )?", "", where.removeprefix(path))


@dataclass(frozen=True, slots=True)
class LabelVerdict:
    """A label of a compose file, and what becomes of it."""

    service: str
    label: str
    line: int
    verdict: Verdict

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        found = self.verdict
        return {
            "service": self.service,
            "label": self.label,
            "line": self.line or None,
            "verdict": found.verdict,
            "why": found.why,
            "hint": found.hint,
        }


@dataclass(frozen=True, slots=True)
class Checked:
    """One file and what was found in it.

    ``counts`` says in words what it defines; ``kind`` is ``compose``, ``routes`` or ``settings``.
    """

    path: str
    findings: tuple[Finding, ...] = ()
    counts: str = ""
    kind: str = ""
    labels: tuple[LabelVerdict, ...] = ()
    unreadable: bool = False

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems alone."""
        return tuple(finding.problem for finding in self.findings)

    def as_text(self, *, labels: bool = False) -> str:
        """A line for each finding, and one that sums up; with ``labels`` one for each label too."""
        lines = [finding.as_text() for finding in self.findings]
        if labels:
            lines += [_label_line(self.path, label) for label in self.labels]
        if not self.unreadable:
            lines.append(f"{self.path}: {self._summary()}")
        return "\n".join(lines)

    def _summary(self) -> str:
        wrong = any(problem.severity != "info" for problem in self.problems)
        said = [] if wrong else ["nothing wrong"]
        said += [self.counts] if self.counts else []
        if self.labels:
            counts = dict.fromkeys(VERDICTS, 0)
            for label in self.labels:
                counts[label.verdict.verdict] += 1
            words = ", ".join(f"{n} {verdict}" for verdict, n in reversed(counts.items()) if n)
            said.append(f"{len(self.labels)} {'label' if len(self.labels) == 1 else 'labels'}: {words}")
        return "; ".join(said)


def _label_line(path: str, found: LabelVerdict) -> str:
    place = f"{path}, line {found.line}" if found.line else path
    verdict = found.verdict
    text = f"{place}: service {found.service}, label {found.label}: {verdict.verdict}"
    text += f": {verdict.why}" if verdict.why else ""
    return printable(text + (f"; {verdict.hint}" if verdict.hint else ""))


def exit_code(checked: Sequence[Checked]) -> int:
    """0: clean (hints at most); 1: there are problems; 2: a file can't be read."""
    if any(one.unreadable for one in checked):
        return 2
    found = {problem.severity for one in checked for problem in one.problems}
    return 1 if found & {"error", "warning"} else 0
