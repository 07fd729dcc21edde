"""Settings that are read at start, as far as they decide what labels mean: files, flags, proxies in compose files."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from dynbalancer.core.labels.constraints import Constraints
from dynbalancer.core.labels.containers import Defaults
from dynbalancer.core.model import Configuration, EntryPoint
from dynbalancer.core.settings import Settings
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.lint.composefile import Part, Project
from dynbalancer.lint.findings import Finding
from dynbalancer.lint.interpolation import filled
from dynbalancer.start import commandline, options

#: Keys at the top of a file of settings.
_KEYS = """entrypoints providers api log accesslog metrics ping certificatesresolvers docker file global
    serverstransport tracing experimental loglevel defaultentrypoints workers hostresolver retry"""
KEYS = frozenset(_KEYS.split())
_PROXIES = ("traefik", "dynbalancer")
#: So many flags that can't be used are found in one command line.
_MOST = 50


@dataclass(slots=True)
class Static:
    """What is known of how the balancer is started. ``entry_points`` is empty where nothing says which there are.

    ``api``: whether there is one; it is taken to be on where nothing says that.
    """

    entry_points: tuple[EntryPoint, ...] = ()
    defaults: Defaults = field(default_factory=Defaults)
    routing: Configuration = field(default_factory=Configuration)
    api: bool = True
    findings: list[Finding] = field(default_factory=list)

    def take(self, settings: Settings) -> None:
        """Go by these settings."""
        self.entry_points = settings.entry_points
        self.routing = settings.routing
        self.api = settings.api is not None
        # Those of files are the same but for what Docker alone has.
        self.defaults = defaults_of(settings.providers.get("docker", settings.providers.get("file", {})))


def is_static(document: object) -> bool:
    """Whether a document holds settings that are read at start."""
    if not isinstance(document, Mapping) or {"http", "tcp", "udp", "services"} & document.keys():
        return False
    return any(key.lower() in KEYS for key in document)


def defaults_of(given: Mapping[str, object]) -> Defaults:
    """What the options of the Docker provider say about containers."""
    plain = Defaults()
    found = {}
    for one in fields(Defaults):
        value = given.get(one.name.replace("_", ""))
        if value is not None and type(value) is type(getattr(plain, one.name)):
            found[one.name] = value
    return Defaults(**found, constraints=_constraints(given.get("constraints")))  # type: ignore[arg-type]


def _constraints(written: object) -> Constraints | None:
    try:
        return Constraints.of(written) if isinstance(written, str) and written.strip() else None
    except ConfigurationError:
        # Whoever starts with them is told.
        return None


def read_file(static: Static, path: str, read_text: Callable[[str], str]) -> None:
    """Take the settings of a file; what is wrong with them is noted."""
    try:
        reading = options.read([f"--configfile={path}"], {}, read_text)
    except ConfigurationError as error:
        static.findings.append(_in_file(path, error.as_problem()))
        return
    static.findings += [_in_file(path, note) for note in reading.notes]
    static.take(reading.settings)


def read_flags(static: Static, argv: Sequence[str], place: Finding, severity: str = "error") -> None:
    """Take the settings of a command line. Each flag that can't be used is noted, and left out."""
    left = list(argv)
    for _ in range(_MOST):
        try:
            reading = options.read(left, {}, _no_file)
        except ConfigurationError as error:
            static.findings.append(_moved(place, error.as_problem(severity)))
            fewer = [word for word in left if not _is_about(word, error.where)]
            if len(fewer) == len(left):
                return
            left = fewer
            continue
        static.findings += [_moved(place, note) for note in reading.notes if note.severity != "info"]
        static.take(reading.settings)
        return


def read_proxies(static: Static, project: Project, environ: Mapping[str, str]) -> None:
    """Take the flags of a Traefik, or of a balancer of ours, that is itself a service of a project."""
    for name, parts in project.services.items():
        for part in parts:
            image = str(part.section.get("image", "")).rpartition("/")[2].partition(":")[0].lower()
            flags = _flags(part, environ) if image in _PROXIES else []
            if flags:
                place = Finding(part.file.path, Problem("", ""), part.line("command"), name, "", "setting")
                read_flags(static, flags, place, "error" if image == "dynbalancer" else "warning")


def _flags(part: Part, environ: Mapping[str, str]) -> list[str]:
    command = part.section.get("command")
    if isinstance(command, str):
        try:
            words = shlex.split(filled(command, environ).text)
        except ValueError:
            words = command.split()
    else:
        words = (
            [filled(str(word), environ).text for word in command if word] if isinstance(command, list) else []
        )
    if not words or not words[0].startswith("-"):
        return commandline.flags_in(words) or [word for word in words if word.startswith("--")]
    return words


def _is_about(word: str, where: str) -> bool:
    flag = where.partition(",")[0].partition("=")[0].strip().lower()
    return word.partition("=")[0].lower() == flag or word.lower() == where.lower()


def _moved(place: Finding, problem: Problem) -> Finding:
    service = f"service {place.service}, flag " if place.service else ""
    about = Problem(f"{service}{problem.where}", problem.why, problem.hint, problem.severity)
    return Finding(place.path, about, place.line, place.service, "", "setting")


def _in_file(path: str, problem: Problem) -> Finding:
    """The reader of settings writes ``traefik.yml:3: entrypoints.web``."""
    rest = problem.where.removeprefix(path)
    number, _, key = rest.removeprefix(":").partition(":")
    line = int(number) if number.strip().isdigit() else 0
    about = key.strip() if line else rest.strip(": ")
    found = Problem(about, problem.why, problem.hint, problem.severity)
    return Finding(path, found, line, rule="setting")


def _no_file(path: str) -> str:
    raise OSError(2, "it is not among the files that are checked")
