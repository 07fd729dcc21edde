"""The settings file: nested YAML or TOML, flattened to the keys that flags have.

Every value is taken as the text that was written, so that ``on``, ``22:22`` or ``017`` mean what they say. A section
in a list has its number in its key: ``domains[0].main``.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator
from typing import Any

import yaml

from dynbalancer.errors import ConfigurationError
from dynbalancer.start.flags import Given

_DEEPEST = 20
_MOST = 10_000
#: What Traefik 1 calls its routes.
_ROUTES = ("frontends", "backends", "tls")


def settings_in(text: str, path: str) -> list[Given]:
    """Every setting in a file; ``path`` says which of the two languages it is. Raises ConfigurationError."""
    if path.lower().endswith(".toml"):
        found = _from_toml(text, path)
    elif path.lower().endswith((".yml", ".yaml")):
        found = _from_yaml(text, path)
    else:
        raise ConfigurationError(path, "the settings file must end with .yml, .yaml or .toml")
    try:
        settings = list(itertools.islice(found, _MOST + 1))
    except RecursionError:
        raise ConfigurationError(path, "nested too deeply") from None
    if len(settings) > _MOST:
        raise ConfigurationError(path, f"more than {_MOST} settings")
    return _with_routes(settings, path)


def _with_routes(settings: list[Given], path: str) -> list[Given]:
    """Where Traefik 1's ``[file]`` names no file, the settings file holds the routes too, and is that file itself."""
    roots, keys = {_root(given) for given in settings}, {given.key for given in settings}
    elsewhere = keys & {"file.filename", "file.directory"}
    if not roots & {"frontends", "backends"} or "file" not in roots or elsewhere:
        return settings
    kept = [given for given in settings if _root(given) not in _ROUTES]
    where = next(given.where for given in settings if _root(given) == "file")
    return [*kept, Given("file.filename", path, where, "file.filename")]


def _root(given: Given) -> str:
    return given.key.partition(".")[0].partition("[")[0]


def _from_yaml(text: str, path: str) -> Iterator[Given]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else path
        raise ConfigurationError(where, f"this is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(path, f"this is not YAML: {error}") from None
    if root is not None:
        yield from _from_node(root, (), path)


def _from_node(node: Any, keys: tuple[str, ...], path: str) -> Iterator[Given]:
    where = f"{path}:{node.start_mark.line + 1}: {'.'.join(keys)}".removesuffix(": ")
    if len(keys) > _DEEPEST:
        raise ConfigurationError(where, "nested too deeply")
    if isinstance(node, yaml.MappingNode):
        yield from _from_mapping(node, keys, path, where)
    elif not keys:
        raise ConfigurationError(where, "expected settings as KEY: VALUE")
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            if isinstance(item, yaml.MappingNode) and keys:
                yield from _from_node(item, (*keys[:-1], f"{keys[-1]}[{number}]"), path)
                continue
            if not isinstance(item, yaml.ScalarNode):
                raise ConfigurationError(where, "expected a list of plain values")
            yield _given(keys, item.value, where)
    else:
        yield _given(keys, None if node.tag == "tag:yaml.org,2002:null" else node.value, where)


def _from_mapping(node: Any, keys: tuple[str, ...], path: str, where: str) -> Iterator[Given]:
    seen = set()
    if keys and not node.value:
        yield _given(keys, None, where)
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigurationError(where, "a key must be a word")
        if key.value.lower() in seen:
            raise ConfigurationError(f"{path}:{key.start_mark.line + 1}", f"{key.value} is there twice")
        seen.add(key.value.lower())
        yield from _from_node(value, (*keys, key.value), path)


def _from_toml(text: str, path: str) -> Iterator[Given]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(path, f"this is not TOML: {error}") from None
    yield from _from_value(document, (), path)


def _from_value(value: Any, keys: tuple[str, ...], path: str) -> Iterator[Given]:
    where = f"{path}: {'.'.join(keys)}"
    if len(keys) > _DEEPEST:
        raise ConfigurationError(where, "nested too deeply")
    if isinstance(value, dict):
        if keys and not value:
            yield _given(keys, None, where)
        for key, inner in value.items():
            yield from _from_value(inner, (*keys, key), path)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            if isinstance(item, list):
                raise ConfigurationError(where, "expected a list of plain values")
            if isinstance(item, dict):
                yield from _from_value(item, (*keys[:-1], f"{keys[-1]}[{number}]"), path)
            else:
                yield _given(keys, _text(item), where)
    else:
        yield _given(keys, _text(value), where)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _given(keys: tuple[str, ...], text: str | None, where: str) -> Given:
    spelled = ".".join(keys)
    return Given(spelled.lower(), text, where, spelled)
