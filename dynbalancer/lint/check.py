"""What is wrong with files before they are used: files of routes and of settings, and the labels in compose files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dynbalancer.core.codec import from_document
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.merge import merge
from dynbalancer.core.model import NOTHING, Configuration, EntryPoint
from dynbalancer.core.verdicts import Verdict, by_container, verdicts
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.lint import compose, statics
from dynbalancer.lint.composefile import Project, base_of, is_compose, override_of, read_project
from dynbalancer.lint.elsewhere import with_stand_ins
from dynbalancer.lint.findings import Checked, Finding, LabelVerdict
from dynbalancer.lint.interpolation import variables_in
from dynbalancer.lint.locating import Sources, located
from dynbalancer.lint.misplaced import misplaced
from dynbalancer.start.compiling import compiler
from dynbalancer.start.internals import with_internals
from dynbalancer_file.certificates import CertificateFiles
from dynbalancer_file.documents import SUFFIXES, Document, parse
from dynbalancer_file.reading import Reading, together
from dynbalancer_file.templates import written_out

ReadBytes = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Wishes:
    """How to check.

    ``entry_points`` are names of those that exist; empty: those of the settings found, or all that routers name.
    ``flags`` are those the balancer is started with. ``merged``: the compose files are one project, later ones over
    earlier ones; ``apart``: each compose project is the only one of its engine. ``environ``: variables.
    """

    entry_points: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    merged: bool = False
    apart: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: NOTHING)


#: What Traefik 1 calls its routes.
_OLDER = frozenset(("frontends", "backends"))

#: What the table adds, as Traefik does, to the names of those that don't exist.
_SAID_ALREADY = "no valid entryPoint for this router"


@dataclass(slots=True)
class _Sorted:
    """The files by what they are, and those of which nothing can be made."""

    compose: list[str] = field(default_factory=list)
    routes: dict[str, Document] = field(default_factory=dict)
    settings: list[str] = field(default_factory=list)
    unreadable: list[Checked] = field(default_factory=list)


def check(paths: Sequence[str], read_bytes: ReadBytes, wishes: Wishes | None = None) -> list[Checked]:
    """Everything that is wrong with some files, taken together as one engine and one balancer would have them."""
    wishes = wishes or Wishes()
    files = _sorted(paths, read_bytes, wishes.environ)
    static = statics.Static()
    for path in files.settings:
        statics.read_file(static, path, lambda name: read_bytes(name).decode())
    if wishes.flags:
        statics.read_flags(static, wishes.flags, Finding("flags", Problem("", ""), rule="setting"))
    projects = _projects(files, read_bytes, wishes)
    for project, environ in projects:
        statics.read_proxies(static, project, environ)
    found: dict[str, Checked] = {}
    for number, group in enumerate(_groups(projects, wishes) or [[]]):
        made = [(project, compose.composed(project, environ)) for project, environ in group]
        _look(Sources(tuple(made), files.routes), static, wishes, found, first=not number)
    for path in files.settings:
        counts = _count(len(static.entry_points), "entry point")
        routes = found.get(path, Checked(path))
        found[path] = replace(
            routes, kind="settings", counts=", ".join(filter(None, (counts, routes.counts)))
        )
    for finding in static.findings:
        one = found.get(finding.path, Checked(finding.path, kind="settings"))
        ordered = sorted((*one.findings, finding), key=lambda other: other.line)
        found[finding.path] = replace(one, findings=tuple(ordered))
    return [*files.unreadable, *found.values()]


def check_file(
    path: str,
    read_bytes: ReadBytes,
    entry_points: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Checked:
    """The same for one file alone."""
    return check([path], read_bytes, Wishes(tuple(entry_points), environ=environ or {}))[0]


def files_below(directory: str) -> Iterator[str]:
    """The files in a directory and those below it that may be meant, in the order of their names."""
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield os.path.join(folder, name)


def is_ours(path: str, read_bytes: ReadBytes) -> bool:
    """Whether a file found in a directory is a compose file, one of routes or of settings; broken ones may be."""
    try:
        document = _document(path, read_bytes(path), NOTHING).value
    except ConfigurationError:
        return "compose" in os.path.basename(path).lower()
    except OSError:
        return False
    if is_compose(document) or statics.is_static(document):
        return True
    return isinstance(document, Mapping) and bool({"http", "tcp", "udp", "tls", *_OLDER} & document.keys())


# Reading


def _document(path: str, content: bytes, environ: Mapping[str, str]) -> Document:
    """What a file says. Templates are for files of routes; in the others they are flags for a balancer, or labels."""
    try:
        document = parse(path, path, content)
        if b"{{" not in content or is_compose(document.value) or statics.is_static(document.value):
            return document
    except ConfigurationError:
        if b"{{" not in content:
            raise
    return parse(path, path, written_out(path, content, environ))


def _sorted(paths: Sequence[str], read_bytes: ReadBytes, environ: Mapping[str, str]) -> _Sorted:
    files = _Sorted()
    for path in dict.fromkeys(paths):
        try:
            document = _document(path, read_bytes(path), environ)
        except (ConfigurationError, OSError) as error:
            files.unreadable.append(_unreadable(path, error))
            continue
        if is_compose(document.value):
            files.compose.append(path)
        elif statics.is_static(document.value):
            files.settings.append(path)
            if _has_routes(document.value):
                files.routes[path] = document
        else:
            files.routes[path] = document
    return files


def _has_routes(settings: Mapping[str, Any]) -> bool:
    """Whether settings of Traefik 1 hold the routes too: their ``[file]`` names no other file."""
    found = {key.lower(): value for key, value in settings.items()}
    elsewhere = isinstance(found.get("file"), Mapping) and {"filename", "directory"} & found["file"].keys()
    return "file" in found and bool(_OLDER & found.keys()) and not elsewhere


def _unreadable(path: str, error: ConfigurationError | OSError) -> Checked:
    if isinstance(error, OSError):
        problem = Problem(path, f"can't be read: {error.strerror or error}")
    else:
        problem = error.as_problem()
    _, _, line = problem.where.rpartition(", line ")
    finding = Finding(path, problem, int(line) if line.isdigit() else 0, rule="unreadable")
    return Checked(path, (finding,), unreadable=True)


def _projects(
    files: _Sorted, read_bytes: ReadBytes, wishes: Wishes
) -> list[tuple[Project, Mapping[str, str]]]:
    found: list[tuple[Project, Mapping[str, str]]] = []
    for paths in _together(files.compose, read_bytes, wishes):
        try:
            project = read_project(paths, read_bytes)
        except (ConfigurationError, OSError) as error:
            files.unreadable.append(_unreadable(paths[-1], error))
            continue
        found.append((project, {**_variables(paths[0], read_bytes), **wishes.environ}))
    return found


def _together(paths: Sequence[str], read_bytes: ReadBytes, wishes: Wishes) -> list[list[str]]:
    """The files of each project: one with its override, or all of them."""
    if wishes.merged:
        return [list(paths)] if paths else []
    groups: dict[str, list[str]] = {}
    for path in paths:
        base = base_of(path)
        if base and (base in paths or _is_there(base, read_bytes)):
            groups.setdefault(base, [base, path])
        else:
            override = override_of(path)
            both = override in paths or _is_there(override, read_bytes)
            groups.setdefault(path, [path, override] if both else [path])
    return list(groups.values())


def _is_there(path: str, read_bytes: ReadBytes) -> bool:
    try:
        read_bytes(path)
    except OSError:
        return False
    return True


def _variables(path: str, read_bytes: ReadBytes) -> dict[str, str]:
    try:
        return variables_in(
            read_bytes(os.path.join(os.path.dirname(path), ".env")).decode("utf-8", "replace")
        )
    except OSError:
        return {}


def _groups(
    projects: Sequence[tuple[Project, Mapping[str, str]]], wishes: Wishes
) -> list[list[tuple[Project, Mapping[str, str]]]]:
    """Projects that may run side by side: those of one name are variants of each other."""
    groups: list[list[tuple[Project, Mapping[str, str]]]] = []
    for pair in projects:
        fits = (group for group in groups if all(other.name != pair[0].name for other, _ in group))
        group = None if wishes.apart else next(fits, None)
        if group is None:
            groups.append([pair])
        else:
            group.append(pair)
    return groups


# Looking


def _look(
    sources: Sources, static: statics.Static, wishes: Wishes, found: dict[str, Checked], *, first: bool
) -> None:
    """Read and compile all that belongs together, and put what there is to say into ``found``, by file."""
    containers = [container for _, composed in sources.projects for container in composed.containers]
    labelled = configuration_of(containers, static.defaults)
    given = [("docker", labelled)] if sources.projects else []
    given += (
        [("file", _routes(sources.routes or {}, static.defaults.default_rule_syntax))]
        if sources.routes
        else []
    )
    ours = static.routing if static.entry_points and not wishes.entry_points else Configuration()
    given += [("internal", with_internals(ours, ("127.0.0.1", 8080) if static.api else None))]
    merged, notes = with_stand_ins(merge(given))
    points = _entry_points(merged, wishes.entry_points, static)
    table = compiler(points, lambda: 0.0)(merged, 1, None)
    problems = list(dict.fromkeys([*merged.problems, *table.problems, *table.unreachable, *notes]))
    lost = {place for _, composed in sources.projects for place in composed.lost}
    findings = [
        finding
        for finding in located(problems, sources)
        if (finding.service, finding.label) not in lost and finding.problem.why != _SAID_ALREADY
    ]
    for project, composed in sources.projects:
        elsewhere = list(misplaced(project))
        said = [*composed.findings, *(place.finding for place in elsewhere), *findings]
        labels = _verdicts(labelled, problems, composed)
        labels += [label for place in elsewhere for label in place.labels]
        counts = _counts(merged, table, {f"container {name}" for name in composed.services})
        for file in dict.fromkeys(file.path for file in project.files):
            own = [label for path, label in labels if path == file]
            found[file] = _checked(file, said, counts, "compose", own)
    for path in sources.routes or {} if first else ():
        found[path] = _checked(path, findings, _counts(merged, table, {path}), "routes", [])


def _checked(
    path: str, findings: Sequence[Finding], counts: str, kind: str, labels: Sequence[LabelVerdict]
) -> Checked:
    own = dict.fromkeys(finding for finding in findings if finding.path == path)
    ordered = tuple(sorted(own, key=lambda finding: finding.line))
    return Checked(path, ordered, counts, kind, tuple(sorted(labels, key=lambda label: label.line)))


def _routes(documents: Mapping[str, Document], dialect: str) -> Configuration:
    readings = []
    for path, document in documents.items():
        certificates = CertificateFiles(os.path.dirname(path))
        found = from_document(
            document.value, path, document.line_of, certificates.read, certificates.pem, dialect
        )
        readings.append(Reading(path, replace(found, problems=()), found.problems))
    return together(readings)


def _verdicts(
    labelled: Configuration, problems: Sequence[Problem], composed: compose.Composed
) -> list[tuple[str, LabelVerdict]]:
    said = by_container(problems)
    refusals = {
        (finding.service, finding.label): finding.problem
        for finding in composed.findings
        if finding.problem.severity == "error"
    }
    found = []
    for item in labelled.items:
        service = composed.services.get(item.name)
        if service is None:
            continue
        for key, verdict in verdicts(item, said.get(item.name, ())).items():
            written = composed.labels[service][key]
            refused = refusals.get((service, key))
            if refused is not None:
                verdict = Verdict("wrong", refused.why, refused.hint)
            found.append((written.path, LabelVerdict(service, key, written.line, verdict)))
    return found


def _entry_points(
    found: Configuration, names: Sequence[str], static: statics.Static
) -> tuple[EntryPoint, ...]:
    if static.entry_points and not names:
        return static.entry_points
    streaming = {name for router in found.routers.values() for name in router.entry_points} | _targets(found)
    streaming |= {name for router in found.tcp_routers.values() for name in router.entry_points}
    datagrams = {name for router in found.udp_routers.values() for name in router.entry_points} - streaming
    named = names or sorted(streaming | datagrams)
    return tuple(
        EntryPoint(name, 80 + index, udp=name in datagrams) for index, name in enumerate(named or ("http",))
    )


def _targets(found: Configuration) -> set[str]:
    """The entry points to which something redirects."""
    redirects = (one for one in found.middlewares.values() if one.type == "redirectEntryPoint")
    return {str(one.settings["entryPoint"]) for one in redirects if one.settings.get("entryPoint")}


def _counts(found: Configuration, table: Any, origins: set[str]) -> str:
    routers = [route for route in table.routes if route.router.origin in origins]
    services = [service for service in found.services.values() if service.origin in origins]
    return f"{_count(len(routers), 'router')}, {_count(len(services), 'service')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
