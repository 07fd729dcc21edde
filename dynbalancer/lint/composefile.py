"""Compose files as they belong together: overrides, includes, ``extends``; and which part of which file says what."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynbalancer.errors import ConfigurationError, Problem, did_you_mean
from dynbalancer.lint.findings import Finding
from dynbalancer_file.documents import Document, parse

ReadBytes = Callable[[str], bytes]
Path = tuple[str, ...]

#: Names that compose looks for, and what an override of them ends with.
NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_DEEPEST = 10


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """One file, read."""

    path: str
    document: Document

    def line(self, place: Path) -> int:
        """The line of a place in it; 0 where it isn't known."""
        return self.document.line_of(place) or 0

    def section(self, name: str) -> Mapping[str, Any]:
        """A section at its top, empty where there is none. Raises ConfigurationError."""
        found = self.document.value.get(name) if isinstance(self.document.value, Mapping) else None
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            raise ConfigurationError(f"{self.path}: {name}", "expected a section")
        return found


@dataclass(frozen=True, slots=True)
class Part:
    """What one file says of a service."""

    file: ComposeFile
    place: Path
    section: Mapping[str, Any]

    def line(self, *steps: str) -> int:
        """The line of something in it."""
        return self.file.line((*self.place, *steps))


@dataclass(slots=True)
class Project:
    """Services with all that is said of them, the least important part first; and what is wrong with the files."""

    name: str
    files: list[ComposeFile] = field(default_factory=list)
    services: dict[str, list[Part]] = field(default_factory=dict)
    networks: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def note(self, part: Part, why: str, hint: str = "", *steps: str) -> None:
        """Something is wrong with a part of a service."""
        name = part.place[-1]
        problem = Problem(f"service {name}", why, hint)
        self.findings.append(Finding(part.file.path, problem, part.line(*steps), name, rule="unreadable"))


def is_compose(document: object) -> bool:
    """Whether a document is a compose file, and not one of routes."""
    if not isinstance(document, Mapping) or "http" in document:
        return False
    return "services" in document or (bool(document) and set(document) <= {"include", "name", "version"})


def override_of(path: str) -> str:
    """The name of the file that compose takes too where it is there: ``compose.override.yml`` of ``compose.yml``."""
    root, suffix = os.path.splitext(path)
    return f"{root}.override{suffix}"


def base_of(path: str) -> str:
    """The opposite: the name of the file that this one is for, or an empty string."""
    root, suffix = os.path.splitext(path)
    return root.removesuffix(".override") + suffix if root.endswith(".override") else ""


def read_project(paths: Sequence[str], read_bytes: ReadBytes) -> Project:
    """The services of files of which the later ones go over the earlier. Raises ConfigurationError or OSError."""
    # As compose does without -p: the name of the directory.
    directory = os.path.basename(os.path.dirname(os.path.abspath(paths[0])))
    project = Project(directory.lower() or "project")
    for path in paths:
        _add(project, path, read_bytes, _DEEPEST)
    for parts in project.services.values():
        parts[:] = [extended for part in parts for extended in _extended(project, part, read_bytes, _DEEPEST)]
    return project


def _add(project: Project, path: str, read_bytes: ReadBytes, depth: int) -> None:
    file = _read(path, read_bytes)
    for included in _included(file) if depth else ():
        _add(project, included, read_bytes, depth - 1)
    project.files.append(file)
    if depth == _DEEPEST and isinstance(file.document.value.get("name"), str):
        project.name = file.document.value["name"].lower()
    for name, network in file.section("networks").items():
        project.networks[name] = network
    for name, section in file.section("services").items():
        if not isinstance(section, Mapping):
            raise ConfigurationError(f"{path}: services.{name}", "expected a section")
        project.services.setdefault(name, []).append(Part(file, ("services", name), section))


def _read(path: str, read_bytes: ReadBytes) -> ComposeFile:
    document = parse(path, path, read_bytes(path))
    if not isinstance(document.value, Mapping):
        raise ConfigurationError(path, "expected a compose file")
    return ComposeFile(path, document)


def _included(file: ComposeFile) -> Iterator[str]:
    found = file.document.value.get("include") or ()
    for entry in found if isinstance(found, list) else ():
        paths = entry.get("path") if isinstance(entry, Mapping) else entry
        for path in paths if isinstance(paths, list) else [paths]:
            if isinstance(path, str):
                yield os.path.join(os.path.dirname(file.path), path)


def _extended(project: Project, part: Part, read_bytes: ReadBytes, depth: int) -> list[Part]:
    """What a part extends, and the part."""
    wanted = part.section.get("extends")
    name, path = wanted, ""
    if isinstance(wanted, Mapping):
        name, path = wanted.get("service"), str(wanted.get("file") or "")
    if not isinstance(name, str) or not name:
        return [part]
    if not depth:
        project.note(part, "extends goes round in a circle", "", "extends")
        return [part]
    file = part.file
    try:
        if path:
            file = _read(os.path.join(os.path.dirname(file.path), path), read_bytes)
        services = file.section("services")
    except (ConfigurationError, OSError) as error:
        why = error.strerror or str(error) if isinstance(error, OSError) else error.why
        project.note(part, f"the file {path} that it extends can't be read: {why}", "", "extends")
        return [part]
    section = services.get(name)
    if not isinstance(section, Mapping):
        hint = did_you_mean(name, services)
        project.note(part, f"the service {name} that it extends is not in {file.path}", hint, "extends")
        return [part]
    return [*_extended(project, Part(file, ("services", name), section), read_bytes, depth - 1), part]
