"""From problems as the readers of labels and files say them to findings with file, line, service and label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from dynbalancer.core.subjects import Subject, label_of, subject_of
from dynbalancer.core.verdicts import UNKNOWN
from dynbalancer.errors import Problem
from dynbalancer.lint.compose import Composed, Written
from dynbalancer.lint.composefile import Project
from dynbalancer.lint.findings import Finding
from dynbalancer_file.documents import Document

_LINE = re.compile(r", line (\d+)")


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that is checked together: compose projects as containers, and documents of routes by their paths."""

    projects: tuple[tuple[Project, Composed], ...] = ()
    routes: Mapping[str, Document] | None = None

    def first_path(self) -> str:
        """Where to say what can't be said elsewhere."""
        paths = [project.files[-1].path for project, _ in self.projects] or list(self.routes or {})
        return paths[0] if paths else ""


def located(problems: Iterable[Problem], sources: Sources) -> list[Finding]:
    """A finding for each problem. Containers are called by the names of their services."""
    found = [_located(problem, sources) for problem in problems]
    names = {
        f"container {container}": f"service {service}"
        for _, composed in sources.projects
        for container, service in composed.services.items()
    }
    return [_renamed(finding, names) for finding in found]


def _located(problem: Problem, sources: Sources) -> Finding:
    subject = subject_of(problem.where)
    for project, composed in sources.projects:
        service = composed.services.get(subject.container)
        if service is not None:
            return _in_service(problem, subject, project, service, composed.labels[service])
    for path, document in (sources.routes or {}).items():
        if problem.where == path or problem.where.startswith((f"{path},", f"{path}:")):
            line = _LINE.match(problem.where, len(path))
            return Finding(path, problem, int(line[1]) if line else 0, rule="definition")
        if problem.where.endswith(f" of {path}"):
            return Finding(path, problem, _line_of(subject, document), rule=_rule(problem, subject))
    return _by_name(problem, subject, sources)


def _in_service(
    problem: Problem, subject: Subject, project: Project, service: str, labels: Mapping[str, Written]
) -> Finding:
    label = label_of(problem, labels)
    rule = _rule(problem, subject)
    if label:
        written = labels[label]
        return Finding(written.path, problem, written.line, service, label, rule)
    part = project.services[service][-1]
    return Finding(part.file.path, problem, part.line(), service, "", rule)


def _by_name(problem: Problem, subject: Subject, sources: Sources) -> Finding:
    """Something that several containers define: the first label that does."""
    prefix = f"traefik.{subject.root}.{subject.kind}s.{subject.plain_name}.".lower()
    for _, composed in sources.projects:
        for service, labels in composed.labels.items():
            for key, written in labels.items():
                if subject.kind and key.lower().startswith(prefix):
                    return Finding(written.path, problem, written.line, service, key, _rule(problem, subject))
    for path, document in (sources.routes or {}).items():
        line = _line_of(subject, document)
        if line:
            return Finding(path, problem, line, rule=_rule(problem, subject))
    return Finding(sources.first_path(), problem, rule=_rule(problem, subject))


def _line_of(subject: Subject, document: Document) -> int:
    if not subject.kind:
        return 0
    path = (subject.root, f"{subject.kind}s", subject.plain_name)
    # Without a line of its own a section is said to be where the one around it is.
    known = tuple(step.lower() for step in path) in document.lines
    return (document.line_of(path) or 0) if known else 0


def _rule(problem: Problem, subject: Subject) -> str:
    if problem.why.startswith("never gets a request"):
        return "unreachable-router"
    if problem.why.startswith("it has labels of ours"):
        return "not-enabled"
    if subject.kind:
        return subject.kind
    if subject.label:
        if problem.why.startswith(UNKNOWN):
            return "unknown-label"
        return {"error": "wrong-label", "warning": "ignored-label"}.get(problem.severity, "noted-label")
    return "container" if subject.container else "definition"


def _renamed(finding: Finding, names: Mapping[str, str]) -> Finding:
    problem = finding.problem
    where, why, hint = (_with_services(text, names) for text in (problem.where, problem.why, problem.hint))
    renamed = Problem(where, why, hint, problem.severity)
    return finding if renamed == problem else replace(finding, problem=renamed)


def _with_services(text: str, names: Mapping[str, str]) -> str:
    for container, service in names.items():
        text = re.sub(rf"{re.escape(container)}(?![\w.-]*\w)", service, text)
    return text
