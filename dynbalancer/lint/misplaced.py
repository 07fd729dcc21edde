"""Labels in a compose file that no container gets, because they are below the wrong key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from dynbalancer.core.labels.vocabulary import near
from dynbalancer.core.verdicts import Verdict
from dynbalancer.errors import Problem
from dynbalancer.lint.composefile import ComposeFile, Part, Path, Project
from dynbalancer.lint.findings import Finding, LabelVerdict

_DEPLOY = "labels below deploy are for services of a Swarm: docker-compose up gives them to no container"
_MOVE = "move them to services.{name}.labels"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where labels of ours are, and why that is wrong."""

    file: ComposeFile
    path: Path
    given: object
    why: str
    hint: str
    service: str = ""


@dataclass(frozen=True, slots=True)
class Misplaced:
    """What is said of a place, at the first label in it, and each label there with its file."""

    finding: Finding
    labels: tuple[tuple[str, LabelVerdict], ...]


def misplaced(project: Project) -> Iterator[Misplaced]:
    """Every place where labels are in vain."""
    for name, parts in project.services.items():
        for part in parts:
            here = _ours(part.section.get("labels"))
            for place in _of_service(name, part):
                keys = _ours(place.given)
                lonely = [key for key in keys if key not in here]
                if lonely:
                    yield _finding(place, lonely, keys)
    for file in project.files:
        for place in _of_file(file):
            keys = _ours(place.given)
            if keys:
                yield _finding(place, list(keys), keys)


def _finding(place: _Place, keys: list[str], steps: Mapping[str, str]) -> Misplaced:
    dotted = ".".join(place.path)
    several = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    about = f"service {place.service}, label {keys[0]}" if place.service else f"label {keys[0]}"
    why = f"below {dotted}: {place.why}" if dotted else place.why
    lines = [place.file.line((*place.path, steps[key])) for key in keys]
    problem = Problem(f"{about}{several}", why, place.hint)
    path, verdict = place.file.path, Verdict("ignored", why, place.hint)
    finding = Finding(path, problem, lines[0], place.service, keys[0], "misplaced-label")
    labels = zip(keys, lines, strict=True)
    return Misplaced(
        finding, tuple((path, LabelVerdict(place.service, key, line, verdict)) for key, line in labels)
    )


def _of_service(name: str, part: Part) -> Iterator[_Place]:
    section, hint = part.section, _MOVE.format(name=name)
    deploy = section.get("deploy")
    if isinstance(deploy, Mapping):
        yield _Place(part.file, (*part.place, "deploy", "labels"), deploy.get("labels"), _DEPLOY, hint, name)
    for key, why in (
        ("environment", "these are variables of the program, not labels"),
        ("annotations", "annotations are no labels"),
    ):
        yield _Place(part.file, (*part.place, key), section.get(key), why, hint, name)
    yield _Place(part.file, part.place, _scalars(section), "a label must be below labels", hint, name)
    for key, value in section.items():
        if key != "labels" and _is_typo(key):
            why = "compose knows no such key; did you mean labels?"
            yield _Place(part.file, (*part.place, key), value, why, f"write labels instead of {key}", name)


def _of_file(file: ComposeFile) -> Iterator[_Place]:
    document = file.document.value
    yield _Place(file, (), _scalars(document), "a label must be below services.NAME.labels", "move it there")
    for key, value in document.items():
        if _is_typo(key):
            yield _Place(
                file, (key,), value, "this is the top of the file", "move them to services.NAME.labels"
            )
    for family in ("networks", "volumes"):
        members = document.get(family)
        for name, member in members.items() if isinstance(members, Mapping) else ():
            if isinstance(member, Mapping):
                why = f"labels of {family} mean nothing here"
                path = (family, name, "labels")
                yield _Place(file, path, member.get("labels"), why, "move them to services.NAME.labels")


def _is_typo(key: str) -> bool:
    # Keys that begin so are for people: compose passes them over.
    return not key.startswith("x-") and bool(near(key, ("labels",), 0.8))


def _scalars(section: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in section.items() if not isinstance(value, (Mapping, list))}


def _ours(given: object) -> dict[str, str]:
    """The labels of ours in a list or a section, each with its step in the document."""
    if isinstance(given, Mapping):
        return {str(key): str(key) for key in given if _is_ours(key)}
    found: dict[str, str] = {}
    for number, entry in enumerate(_entries(given)):
        key = next(iter(entry), "") if isinstance(entry, Mapping) else str(entry).partition("=")[0]
        if _is_ours(key):
            found[str(key).strip()] = str(number)
    return found


def _entries(given: object) -> Collection[object]:
    return given if isinstance(given, list) else ()


def _is_ours(key: object) -> bool:
    return isinstance(key, str) and key.strip().lower().startswith("traefik.")
