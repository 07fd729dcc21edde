"""What becomes of the givens of a case: settings, one configuration, and a table as the proxy compiles it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from cases import Case, Place

from dynbalancer.core.codec import to_document
from dynbalancer.core.labels.containers import Binding, Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.merge import merge
from dynbalancer.core.model import Configuration, Service
from dynbalancer.core.settings import Settings
from dynbalancer.core.table import RoutingTable
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer.start import options
from dynbalancer.start.compiling import compiler
from dynbalancer_docker.provider import make_provider
from dynbalancer_file.reading import read, together

#: Entry points that a case has where it names none.
USUAL = ("--entrypoints.web.address=:80", "--entrypoints.websecure.address=:443")

COMPOSE = ("com.docker.compose.service", "com.docker.compose.project")


@dataclass(frozen=True, slots=True)
class Model:
    """What was made of a case's givens."""

    settings: Settings
    configuration: Configuration
    table: RoutingTable
    problems: tuple[Problem, ...]


@cache
def settings_of(flags: tuple[str, ...]) -> Settings:
    """The settings for these flags, after the usual entry points. Raises ConfigurationError."""
    named = any(flag.lower().startswith("--entrypoints") for flag in flags)
    return options.read((*(() if named else USUAL), *flags), {}, _no_file, cpus=1).settings


def _no_file(path: str) -> str:
    raise FileNotFoundError(path)


def model_of(case: Case) -> Model:
    """What the readers and the compiler make of it. Raises ConfigurationError for flags that can't be used."""
    settings = settings_of(case.flags)
    found = [("internal", settings.routing)]
    if case.places:
        containers = [_container(place, number) for number, place in enumerate(case.places)]
        found.append(("docker", configuration_of(containers, _defaults(settings))))
    if case.files:
        readings = [read(name, _content(value), None) for name, value in case.files.items()]
        found.append(("file", together(readings)))
    configuration = merge(found)
    table = compiler(settings.entry_points, lambda: 0.0)(configuration, 1, None)
    return Model(settings, configuration, table, (*configuration.problems, *table.problems))


def _content(value: object) -> bytes:
    return (value if isinstance(value, str) else yaml.safe_dump(value, sort_keys=False)).encode()


def _defaults(settings: Settings) -> Defaults:
    """What the Docker provider makes of its options; nothing of it is started."""
    found = make_provider(settings.providers.get("docker", {}), None, None)
    return found._defaults


def _container(place: Place, number: int) -> Container:
    facts = dict(place.facts)
    facts.pop("labels", None)
    labels = dict(place.labels)
    if "compose" in facts:
        labels |= dict(zip(COMPOSE, facts.pop("compose").split("/"), strict=True))
    if "ports" in facts:
        facts["ports"] = tuple(facts["ports"])
    facts["bindings"] = tuple(Binding(**one) for one in facts.get("bindings", ()))
    given = {"networks": {"front": place.address}, "ports": (80,), "created": float(number), **facts}
    return Container(f"id-{place.name}", place.name, "image", labels, **given)


# What is compared.


def differences(case: Case, model: Model) -> list[str]:
    """Where the model is not as the case says, in sentences; none where it is."""
    found = list(lacking(case.model, view(model), "model"))
    for wanted in case.problems:
        if not any(wanted in str(one) for one in model.problems):
            found.append(f"no problem says {wanted!r}, but {[*map(str, model.problems)]}")
    said = [str(problem) for problem in model.problems if problem.severity != "info"]
    if not case.problems and said:
        found.append(f"there are problems: {said}")
    return found


def view(model: Model) -> dict[str, Any]:
    """A model as the tables write it: names without their provider where no other provider has the same."""
    whole = to_document(model.configuration)
    document = whole.get("http", {})
    routers = document.get("routers", {})
    for route in model.table.routes:
        routers[route.router.name]["priority"] = route.priority
    for router in model.configuration.routers.values():
        routers[router.name]["dialect"] = router.dialect
    services = document.get("services", {})
    for service in model.configuration.services.values():
        services[service.name] = _service(service, services[service.name])
    return {
        "routers": _plainly(routers),
        "services": _plainly(services),
        "middlewares": _plainly(document.get("middlewares", {})),
        "tcp": {family: _plainly(found) for family, found in whole.get("tcp", {}).items()},
        "udp": {family: _plainly(found) for family, found in whole.get("udp", {}).items()},
        "disabled": _plainly({name: "; ".join(why) for name, why in model.table.disabled.items()}),
        "items": {item.name: f"{item.verdict}: {item.why}" for item in model.configuration.items},
    }


def _service(service: Service, document: Mapping[str, Any]) -> dict[str, Any]:
    kind = service.kind
    found = {**document, **document[kind], "kind": kind}
    if kind == "loadBalancer":
        found["servers"] = [server.url for server in service.servers]
        found["weights"] = [server.weight for server in service.servers]
        found["states"] = [server.state for server in service.servers]
    return found


def _plainly(found: Mapping[str, Any]) -> dict[str, Any]:
    plain = [name.partition("@")[0] for name in found]
    both = {
        name.partition("@")[0]: value
        for name, value in found.items()
        if plain.count(name.partition("@")[0]) == 1
    }
    return {**both, **found}


def lacking(wanted: Any, found: Any, where: str) -> Iterator[str]:
    """Sentences about what of ``wanted`` is not in ``found``. A text after ``~`` is a pattern, null is absence."""
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            yield f"{where}: expected a section, got {found!r}"
            return
        spelled = {str(key).lower(): key for key in found}
        for key, value in wanted.items():
            actual = spelled.get(str(key).lower())
            if value is None:
                if actual is not None and found[actual] not in (None, {}, [], ()):
                    yield f"{where}: {key} is there: {found[actual]!r}"
            elif actual is None:
                yield f"{where}: no {key}; there is {', '.join(map(str, found)) or 'nothing'}"
            else:
                yield from lacking(value, found[actual], f"{where}.{key}")
    elif isinstance(wanted, list) and isinstance(found, (list, tuple)):
        if len(wanted) != len(found):
            yield f"{where}: expected {wanted!r}, got {list(found)!r}"
            return
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from lacking(one, other, f"{where}[{number}]")
    elif not fits(wanted, found):
        yield f"{where}: expected {wanted!r}, got {found!r}"


def fits(wanted: object, found: object) -> bool:
    """Whether a value is the one wanted, or fits its pattern."""
    text = _as_text(found)
    if isinstance(wanted, str) and wanted.startswith("~"):
        return re.search(wanted[1:], text) is not None
    return _as_text(wanted) == text


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(map(_as_text, value))
    return "" if value is None else str(value)


def readable(case: Case) -> Model | ConfigurationError:
    """The model, or why its flags can't be used."""
    try:
        return model_of(case)
    except ConfigurationError as error:
        return error
