"""The services of compose files as the containers that they would become, as far as labels go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynbalancer.core.labels.containers import COMPOSE_PROJECT, COMPOSE_SERVICE, Container
from dynbalancer.errors import Problem
from dynbalancer.lint.composefile import Part, Project
from dynbalancer.lint.findings import Finding
from dynbalancer.lint.interpolation import Filled, filled, loses_a_hash

#: What an image listens on is in the image; this is the usual answer.
USUAL_PORT = 80


@dataclass(frozen=True, slots=True)
class Written:
    """A label as it arrives at a container, and where it is written."""

    key: str
    value: str
    path: str
    line: int


@dataclass(slots=True)
class Composed:
    """The containers of a project, the labels of each service by their keys, and what is wrong with them.

    ``services`` maps names of containers to those of their services; ``lost`` are the labels of services whose
    value doesn't arrive, so that nothing more needs to be said of it.
    """

    containers: list[Container] = field(default_factory=list)
    labels: dict[str, dict[str, Written]] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    lost: set[tuple[str, str]] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


Fill = Callable[[str, Mapping[str, str]], Filled]


def composed(project: Project, environ: Mapping[str, str], fill: Fill = filled) -> Composed:
    """What becomes of a project where the variables have these values. ``fill`` puts them into a text."""
    found = Composed(findings=list(project.findings))
    for number, (name, parts) in enumerate(project.services.items(), 1):
        labels = found.labels[name] = {}
        for part in parts:
            for label in _labels(name, part, lambda text: fill(text, environ), found):
                labels[label.key] = label
        container = _container(project, name, parts, number, labels, environ)
        found.containers.append(container)
        found.services[container.name] = name
    return found


def _container(
    project: Project,
    name: str,
    parts: Sequence[Part],
    number: int,
    labels: Mapping[str, Written],
    environ: Mapping[str, str],
) -> Container:
    def last(key: str, default: str) -> str:
        given = [part.section[key] for part in parts if part.section.get(key)]
        return filled(str(given[-1]), environ).text if given else default

    own = {COMPOSE_PROJECT: project.name, COMPOSE_SERVICE: name}
    mode = last("network_mode", "bridge")
    if mode.startswith("service:"):
        mode = f"container:{project.name}-{mode.removeprefix('service:')}"
    ports = _ports(parts)
    return Container(
        id=f"{project.name}-{name}",
        name=last("container_name", f"{project.name}_{name}_1"),
        image=last("image", ""),
        labels={label.key: label.value for label in labels.values()} | own,
        networks={} if mode != "bridge" else _networks(parts, project, number),
        network_mode=mode,
        ports=ports or (USUAL_PORT,),
        ports_known=bool(ports),
    )


# Labels


def _labels(service: str, part: Part, fill: Callable[[str], Filled], found: Composed) -> Iterator[Written]:
    build = part.section.get("build")
    # A container has the labels of its image too.
    from_image = build.get("labels") if isinstance(build, Mapping) else None
    for steps, given in ((("build", "labels"), from_image), (("labels",), part.section.get("labels"))):
        for step, key, value in _pairs(service, part, steps, given, found):
            line = part.line(*steps, step)
            label = _arrived(service, key, value, fill(value), Finding(part.file.path, _NONE, line), found)
            if label is not None:
                yield label


_NONE = Problem("", "")


def _pairs(
    service: str, part: Part, steps: tuple[str, ...], given: object, found: Composed
) -> Iterator[tuple[str, str, str]]:
    """Step in the document, key and value of each label as written; those of a list hold their ``=`` still."""

    def note(step: str, key: str, why: str, hint: str = "", severity: str = "error") -> None:
        where = f"service {service}, label {key}" if key else f"service {service}, {'.'.join(steps)}"
        problem = Problem(where, why, hint, severity)
        line = part.line(*steps, step) if step else part.line(*steps)
        found.findings.append(Finding(part.file.path, problem, line, service, key, "label-type"))

    if isinstance(given, Mapping):
        for key, value in given.items():
            if isinstance(value, (Mapping, list)):
                note(
                    key,
                    key,
                    "its value is a section or a list, and compose takes only a text",
                    "put it in quotes",
                )
                continue
            if isinstance(value, bool):
                why = "true or false without quotes is no text: older versions of compose refuse it"
                note(key, key, why, f'write {key}: "{_text(value)}"', "info")
            elif isinstance(value, float):
                why = f"a number with a point is no text: what arrives is {value}"
                note(key, key, why, f"write {key}: '…', with the number in the quotes", "warning")
            yield key, key, _text(value)
    elif isinstance(given, list):
        for number, entry in enumerate(given):
            step = str(number)
            if isinstance(entry, Mapping) and len(entry) == 1:
                key, value = next(iter(entry.items()))
                hint = f"write - {key}={_text(value)}, or leave out the dashes"
                note(step, key, "in a list labels are written KEY=VALUE; compose refuses KEY: VALUE", hint)
                yield step, "", f"{key}={_text(value)}"
            elif not isinstance(entry, str):
                note(step, "", "a label in a list is a text, KEY=VALUE", "put it in quotes")
            else:
                yield step, "", entry
    elif given is not None:
        note("", "", "expected a list of KEY=VALUE, or a section")


def _arrived(
    service: str, key: str, value: str, text: Filled, place: Finding, found: Composed
) -> Written | None:
    """The label with its variables replaced; what compose makes of them is noted."""
    name, arrived = key, text.text
    if not key:
        # In a list compose replaces variables in keys too.
        name, _, arrived = text.text.partition("=")
    shown = name.strip() or value.partition("=")[0]

    def note(why: str, hint: str, severity: str, rule: str) -> None:
        problem = Problem(f"service {service}, label {shown}", why, hint, severity)
        found.findings.append(Finding(place.path, problem, place.line, service, shown, rule))

    if loses_a_hash(value):
        note(EATEN, "write each $ of it twice: $$apr1$$…, $$2y$$…", "error", "eaten-dollar")
        found.lost.add((service, shown))
    elif text.bad:
        why = f"compose refuses the file: the $ of {text.bad[0]} is the beginning of no variable"
        note(why, "write $$ for a $", "error", "eaten-dollar")
    else:
        for missing, why in text.demanded:
            note(f"the variable {missing} must be set: {why}".rstrip(": "), "", "error", "variable")
        for missing in dict.fromkeys(text.unset):
            note(f"the variable {missing} is not set", _is_it_meant(missing), "warning", "variable")
    if key and "$" in key.replace("$$", ""):
        why = "compose replaces variables in keys only where labels are a list: - KEY=VALUE"
        note(why, "", "warning", "variable")
    return Written(name, arrived, place.path, place.line) if name.strip() else None


EATEN = "compose takes what follows each single $ for a variable: the hash of the password is lost on its way"


def _is_it_meant(name: str) -> str:
    return f"set it, write ${{{name}:-default}}, or $${name} where no variable is meant"


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


# Networks and ports


def _networks(parts: Sequence[Part], project: Project, number: int) -> dict[str, str]:
    names = [name for part in parts for name in part.section.get("networks") or ()] or ["default"]
    # Addresses are given by the engine; these are of the block for documents (RFC 5737).
    return {_full_name(str(name), project): f"192.0.2.{number % 250 + 1}" for name in names}


def _full_name(name: str, project: Project) -> str:
    settings = project.networks.get(name)
    if isinstance(settings, Mapping):
        if settings.get("name"):
            return str(settings["name"])
        external = settings.get("external")
        if external:
            return str(external.get("name", name)) if isinstance(external, Mapping) else name
    return f"{project.name}_{name}"


def _ports(parts: Sequence[Part]) -> tuple[int, ...]:
    return tuple(sorted({port for part in parts for port in _container_ports(part.section)}))


def _container_ports(service: Mapping[str, Any]) -> Iterator[int]:
    for entry in (*_listed(service.get("expose")), *_listed(service.get("ports"))):
        target = entry.get("target") if isinstance(entry, Mapping) else entry
        # HOST:PUBLISHED:TARGET/PROTOCOL, each but the target optional.
        word = str(target).rpartition(":")[2].partition("/")[0]
        if word.isdigit():
            yield int(word)


def _listed(found: object) -> list[Any]:
    return found if isinstance(found, list) else []
