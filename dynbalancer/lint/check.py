"""What is wrong with a file, before it is used: files of routes, and the labels in compose files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynbalancer.core.codec import from_document
from dynbalancer.core.labels.containers import Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.merge import merge
from dynbalancer.core.model import Configuration, EntryPoint
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.lint import compose
from dynbalancer.start.compiling import compiler
from dynbalancer_file.certificates import CertificateFiles
from dynbalancer_file.documents import parse


@dataclass(frozen=True, slots=True)
class Checked:
    """One file and its problems. ``counts`` says in words what was found in it."""

    path: str
    problems: tuple[Problem, ...]
    counts: str = ""

    def as_text(self) -> str:
        """A line for each problem, or one that says that there is none."""
        if not self.problems:
            return f"{self.path}: nothing wrong; {self.counts}"
        return "\n".join(self._line(problem) for problem in self.problems)

    def _line(self, problem: Problem) -> str:
        text = str(problem) if problem.where.startswith(self.path) else f"{self.path}: {problem}"
        return text if problem.severity == "error" else f"{text} [{problem.severity}]"


def exit_code(checked: Sequence[Checked]) -> int:
    """0 without problems, 1 with warnings only, 2 with errors."""
    found = {problem.severity for one in checked for problem in one.problems}
    return 2 if "error" in found else 1 if "warning" in found else 0


def check_file(
    path: str,
    read_bytes: Callable[[str], bytes],
    entry_points: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Checked:
    """Everything that is wrong with one file. ``entry_points`` empty: those that its routers name exist."""
    try:
        document = parse(path, path, read_bytes(path))
        if compose.is_compose(document.value):
            containers, problems = compose.containers_of(document.value, path, environ or {})
            found, provider = configuration_of(containers, Defaults()), "docker"
        else:
            problems = ()
            certificates = CertificateFiles(os.path.dirname(path))
            found = from_document(document.value, path, document.line_of, certificates.read, certificates.pem)
            provider = "file"
    except ConfigurationError as error:
        return Checked(path, (error.as_problem(),))
    except OSError as error:
        return Checked(path, (Problem(path, f"can't be read: {error.strerror or error}"),))
    merged = merge([(provider, found)])
    table = compiler(_entry_points(merged, entry_points), lambda: 0.0, _no_fetch)(merged, 1, None)
    everything = dict.fromkeys([*problems, *merged.problems, *table.problems])
    counts = f"{_count(len(table.routes), 'router')}, {_count(len(table.services), 'service')}"
    return Checked(path, tuple(everything), counts)


def _entry_points(found: Configuration, names: Sequence[str]) -> tuple[EntryPoint, ...]:
    named = names or sorted({name for router in found.routers.values() for name in router.entry_points})
    return tuple(EntryPoint(name, 80 + index) for index, name in enumerate(named or ("http",)))


def _no_fetch(*arguments: object, **options: object) -> Any:
    raise AssertionError("a check makes middlewares, it doesn't run them")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
