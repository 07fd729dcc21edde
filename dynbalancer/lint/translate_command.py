"""``dynbalancer translate``: its arguments, and what it prints."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.errors import ConfigurationError
from dynbalancer.lint import translating
from dynbalancer.lint.command import Answer, read_bytes
from dynbalancer.lint.compose import composed
from dynbalancer.lint.composefile import is_compose, read_project
from dynbalancer.lint.statics import Static, read_proxies
from dynbalancer.lint.variables import Kept
from dynbalancer_file.documents import parse

DESCRIPTION = """\
Prints the labels of Traefik 1 as those of Traefik 3, as a file of routes, or those of 2 and 3 as those of 1.
What can't be said in the other version's words is a comment.

FILE is a compose file, or a list of labels, one KEY=VALUE a line; - is standard input.

Exit code 0: translated (look at the comments); 2: it can't be read.
"""

TARGETS = ("v3-labels", "file", "v1-labels")
#: Where a container is that nothing says the address of.
_NOWHERE = "192.0.2.1"
_LINE = re.compile(r"""^\s*(?:-\s+|--?l(?:abel)?[ =]\s*)?(?P<quote>['"]?)(?P<label>.*?)(?P=quote),?\s*\\?$""")

_NOTHING = "# there are no labels of ours"

Inspect = Callable[[str], Container]


def answer(
    argv: Sequence[str], environ: Mapping[str, str], read_input: Callable[[], bytes], inspect: Inspect
) -> Answer:
    """Translate what the command line names. ``inspect`` gives a container of the engine by its name."""
    wanted = parser().parse_args(argv)
    kept = Kept()
    defaults = Defaults(domain=wanted.domain)
    try:
        if wanted.container:
            containers, is_file = [inspect(wanted.container)], False
        else:
            content = read_input() if wanted.file == "-" else read_bytes(wanted.file)
            containers, is_file, defaults = _containers(wanted.file, content, environ, kept, defaults)
    except ConfigurationError as error:
        return Answer(str(error), 2)
    except OSError as error:
        return Answer(f"{wanted.file}: can't be read: {error.strerror or error}", 2)
    if wanted.to == "file":
        document, comments = translating.document(containers, defaults)
        return Answer(kept.restored(_as_file(document, comments), escaped=False), 0)
    sheets = translating.sheets(containers, wanted.to.partition("-")[0], defaults)
    text = _as_compose(sheets) if is_file else _as_lines(sheets)
    return Answer(kept.restored(text, escaped=is_file), 0)


def parser() -> argparse.ArgumentParser:
    """What it takes."""
    found = argparse.ArgumentParser(
        "dynbalancer translate",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("file", nargs="?", default="-", metavar="FILE", help="a compose file, or labels (-)")
    found.add_argument("--to", choices=TARGETS, default="v3-labels")
    found.add_argument("--container", default="", metavar="NAME", help="the labels of this running container")
    found.add_argument("--domain", default="", help="the domain of v1's default rule")
    return found


def engine_container(name: str, environ: Mapping[str, str]) -> Container:
    """A container of the local engine, or of DOCKER_HOST. Raises ConfigurationError."""
    # The engine's package is slow to load, and seldom needed.
    from dynbalancer_docker.engine import Engine, endpoint_of
    from dynbalancer_docker.reading import Seen
    from dynbalancer_docker.reasons import EngineError

    try:
        engine = Engine(endpoint_of("", environ))
        found = engine.inspect([name])[name]
    except EngineError as error:
        raise ConfigurationError(f"container {name}", str(error)) from error
    if not isinstance(found, Seen):
        why = "there is no such container" if found is None else found.why
        raise ConfigurationError(f"container {name}", why)
    return found.container


# Reading


def _containers(
    path: str, content: bytes, environ: Mapping[str, str], kept: Kept, defaults: Defaults
) -> tuple[list[Container], bool, Defaults]:
    """The containers, whether they come from a compose file, and what holds where they say nothing."""
    labels = _listed(content.decode("utf-8", "replace"))
    if labels is not None:
        found = Container("id", "web", labels=labels, networks={"bridge": _NOWHERE}, ports=(80,))
        return [found], False, defaults
    document = parse(path, "labels.yml" if path == "-" else path, content)
    if not is_compose(document.value):
        raise ConfigurationError(path, "this is neither a compose file nor a list of labels")
    project = read_project([path], lambda name: content if name == path else read_bytes(name))
    static = Static(defaults=defaults)
    read_proxies(static, project, environ)
    made = composed(project, environ, kept.fill)
    # In a file a server is called as other containers call it: by the name of its service.
    placed = [
        replace(one, networks=dict.fromkeys(one.networks, made.services[one.name])) for one in made.containers
    ]
    return placed, True, static.defaults


def _listed(text: str) -> dict[str, str] | None:
    """The labels in a list of KEY=VALUE, however it is pasted; None where it is something else."""
    labels: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#") or line.strip().lower() == "labels:":
            continue
        found = _LINE.match(line)
        key, equals, value = (found["label"] if found else line).partition("=")
        if not equals or not re.fullmatch(r"[\w.@\[\]/-]+", key.strip()):
            return None
        labels[key.strip()] = value
    return labels or None


# Writing


def _as_compose(sheets: Sequence[translating.Sheet]) -> str:
    lines = ["services:"] if sheets else [_NOTHING]
    for sheet in sheets:
        if not sheet.labels and not sheet.comments:
            continue
        compose = sheet.container.compose
        lines += [f"  {compose[0] if compose else sheet.container.name}:", "    labels:"]
        lines += [f"      # {comment}" for comment in sheet.comments]
        lines += [f"      - {_quoted(f'{key}={value}')}" for key, value in sheet.labels.items()]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _as_lines(sheets: Sequence[translating.Sheet]) -> str:
    lines = [] if sheets else [_NOTHING]
    for sheet in sheets:
        lines += [f"# {comment}" for comment in sheet.comments]
        lines += [f"{key}={value}" for key, value in sheet.labels.items()]
    return "\n".join(lines)


def _as_file(document: Mapping[str, Any], comments: Iterable[str]) -> str:
    lines = [f"# {comment}" for comment in comments]
    return "\n".join([*lines, yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True).rstrip()])
