"""Settings out of flags, environment and a file; flags win over the environment, that over the file.

:func:`read` is pure: it is given the arguments, the environment and a way to read a file. :class:`Options` is
the same for ``twistd dynbalancer`` and ``dynbalancer run``.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twisted.python import usage

from dynbalancer import plugins
from dynbalancer.core.settings import Settings
from dynbalancer.errors import ConfigurationError, Problem, did_you_mean
from dynbalancer.start import flags, flagvalues, staticfile, traefik_flags
from dynbalancer.start.assembly import Assembly, Chosen, content
from dynbalancer.start.flags import Flag, Given, Vocabulary
from dynbalancer.start.traefik_flags import Verdict, verdict

ENVIRONMENT = "DYNBALANCER_"
#: Traefik's own variables count too, after ours.
TRAEFIKS = "TRAEFIK_"
#: What Traefik 1 calls by one letter.
SHORT = {"c": "configfile", "d": "debug", "g": "gracetimeout", "l": "loglevel"}


@dataclass(frozen=True, slots=True)
class Reading:
    """The settings, and what to tell about the way they were written."""

    settings: Settings
    notes: tuple[Problem, ...] = ()


def parse(argv: Sequence[str], environ: Mapping[str, str], read_file: Callable[[str], str]) -> Settings:
    """The settings alone. Raises ConfigurationError: one sentence for whoever wrote it."""
    return read(argv, environ, read_file).settings


def read(
    argv: Sequence[str],
    environ: Mapping[str, str],
    read_file: Callable[[str], str],
    *,
    makers: Mapping[str, Any] | None = None,
    cpus: int = 0,
) -> Reading:
    """Settings and notes. ``makers``: the providers there are (default: all); ``cpus``: what auto means."""
    vocabulary = Vocabulary(plugins.provider_makers() if makers is None else makers)
    notes: list[Problem] = []
    passed_over = PassedOver()
    from_flags = list(in_arguments(argv, vocabulary))
    from_variables = list(in_environment(environ, vocabulary, notes))
    path = _last("configfile", from_flags) or _last("configfile", from_variables)
    from_file = staticfile.settings_in(content(read_file, path), path.text or "") if path else []
    chosen: dict[str, Chosen] = {}
    for layer in (from_file, from_variables, from_flags):
        for key, one in _converted(_expanded(layer), vocabulary, passed_over):
            # A flag in small letters does not rename what the file calls Web.
            before = chosen.get(key, one)
            chosen[key] = one if one.spelled else replace(one, spelled=before.spelled)
    settings = Assembly(chosen, vocabulary, read_file, cpus or usable_cpus(), notes).settings()
    return Reading(settings, (*passed_over.notes(), *notes))


class PassedOver:
    """Settings that have no effect here. Those of one family are one note, which names the first of them."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Verdict, list[str]]] = {}

    def add(self, verdict: Verdict, where: str) -> None:
        """One more of them."""
        places = self._found.setdefault(verdict.family + verdict.why + verdict.severity, (verdict, []))[1]
        if where not in places:
            places.append(where)

    def notes(self) -> Iterator[Problem]:
        """What there is to say of them."""
        for one, (first, *others) in self._found.values():
            also = f" (and {len(others)} more of {one.family})" if others else ""
            yield Problem(first + also, one.why, one.hint, one.severity)


def _nearest_flag(word: str, vocabulary: Vocabulary) -> str:
    named = word.lstrip("-").partition("=")[0]
    near = did_you_mean(f"--{named}", [f"--{key}" for key in vocabulary.flags])
    return near or "flags begin with two dashes: --docker"


def in_arguments(argv: Sequence[str], vocabulary: Vocabulary) -> Iterator[Given]:
    """What the command line says: ``--a.b=c``, ``--a.b c``, and ``--a.b`` alone for a switch.

    As with Traefik one dash does, and the name of the program may come first.
    """
    rest = list(argv)
    if rest[:1] == ["traefik"]:
        rest.pop(0)
    while rest:
        argument = rest.pop(0)
        name, equals, text = argument.lstrip("-").partition("=")
        dashes = len(argument) - len(argument.lstrip("-"))
        name = SHORT.get(name, name) if dashes == 1 else name
        if not 1 <= dashes <= 2 or len(name) < 2:
            raise ConfigurationError(argument, "not a flag", _nearest_flag(argument, vocabulary))
        given = Given(name.lower(), text if equals else None, f"--{name}")
        if given.text is None and rest and _takes_next(given, rest[0], vocabulary):
            given = Given(given.key, rest.pop(0), given.where)
        yield given


def _takes_next(given: Given, following: str, vocabulary: Vocabulary) -> bool:
    flag = vocabulary.find(vocabulary.canonical(given.key))
    if flag is not None and flag.is_bool:
        return flagvalues.is_boolean_word(following)
    return not following.startswith("-")


def in_environment(
    environ: Mapping[str, str], vocabulary: Vocabulary, notes: list[Problem]
) -> Iterator[Given]:
    """What the environment says, Traefik's variables first.

    An unknown one is a note only: others set some for us too.
    """
    compact = {key.replace(".", ""): key for key in (*flags.ALIASES, *vocabulary.flags)}
    compact |= {"providers" + word: key for word, key in compact.items() if _provided(key, vocabulary)}
    for prefix in (TRAEFIKS, ENVIRONMENT):
        for variable, text in sorted(environ.items()):
            if not variable.startswith(prefix) or not text.strip():
                continue
            words = variable.removeprefix(prefix).lower()
            key = compact.get(words.replace("_", "")) or _key_with_a_name(words, vocabulary)
            if key:
                yield Given(key, text, variable)
            elif prefix == TRAEFIKS and verdict(_dotted(words)) is not None:
                yield Given(_dotted(words), text, variable)
            else:
                known = [prefix + name.replace(".", "_").upper() for name in vocabulary.flags]
                severity = "warning" if prefix == ENVIRONMENT else "info"
                notes.append(Problem(variable, "unknown, ignored", did_you_mean(variable, known), severity))


def _dotted(words: str) -> str:
    """The key that a variable of Traefik stands for; it has no name with an underscore in it."""
    return words.replace("_", ".")


def _provided(key: str, vocabulary: Vocabulary) -> bool:
    return key.partition(".")[0] in vocabulary.providers


def _key_with_a_name(words: str, vocabulary: Vocabulary) -> str:
    for field in vocabulary.fields:
        suffix = "_" + field.replace(".", "_")
        if words.startswith("entrypoints_") and words.endswith(suffix):
            name = words.removeprefix("entrypoints_").removesuffix(suffix)
            return f"entrypoints.{name}.{field}" if name else ""
    for stem in vocabulary.named:
        prefix = stem.replace(".", "_") + "_"
        if words.startswith(prefix) and words != prefix:
            # No field has an underscore that anybody sets, and no variable a hyphen.
            return f"{stem}.{words.removeprefix(prefix).replace('_', '-')}"
    return ""


def _last(key: str, layer: Sequence[Given]) -> Given | None:
    return next((given for given in reversed(layer) if given.key == key and given.text), None)


def _expanded(layer: Sequence[Given]) -> Iterator[Given]:
    """The same settings, with Traefik 1's entry points (``Name:http Address::80``) spelled out."""
    for given in layer:
        if given.key == "entrypoints" and given.text:
            yield from _traefik1_entry_point(given)
        else:
            yield given


def _traefik1_entry_point(given: Given) -> Iterator[Given]:
    text = (given.text or "").strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        # In a list of YAML the quotes of a shell belong to the text.
        text = text[1:-1]
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    pairs = [(key, value) for key, _, value in (word.partition(":") for word in words)]
    name = next((value for key, value in pairs if key.lower() == "name"), "")
    if not name:
        raise ConfigurationError(given.where, "an entry point needs a name", "write 'Name:http Address::80'")
    for key, value in pairs:
        spelled = key.replace("_", ".")
        if key.lower() != "name":
            full = f"entrypoints.{name}.{spelled}"
            yield Given(full.lower(), value or None, f"{given.where}, {key}", full)


def _converted(
    layer: Iterator[Given], vocabulary: Vocabulary, passed_over: PassedOver
) -> Iterator[tuple[str, Chosen]]:
    texts: dict[str, list[str]] = {}
    for given in layer:
        key = vocabulary.canonical(given.key)
        flag = vocabulary.find(key)
        if flag is not None:
            texts.setdefault(key, []).append(_text_of(given, flag))
            several = texts[key] if flag.many or flag.repeats else texts[key][-1:]
            yield key, Chosen(_value(flag, several, given.where), given.where, given.spelled)
            continue
        found = verdict(key, given.text)
        if found is None or found.refuses:
            raise vocabulary.refuse(given)
        passed_over.add(found, given.where)
        if other := traefik_flags.implied(key):
            yield other, Chosen(True, given.where, given.spelled)


def _text_of(given: Given, flag: Flag) -> str:
    if given.text is not None:
        return given.text
    if not flag.is_bool:
        raise ConfigurationError(given.where, f"needs a value: {flag.meaning[:1].lower()}{flag.meaning[1:]}")
    return "true"


def _value(flag: Flag, texts: Sequence[str], where: str) -> Any:
    try:
        if flag.many:
            parts = (part.strip() for text in texts for part in text.split(","))
            return tuple(flag.convert(part) for part in parts if part)
        if flag.repeats:
            return flag.convert(",".join(texts))
        return flag.convert(texts[-1])
    except ValueError as error:
        raise ConfigurationError(where, str(error)) from None


def usable_cpus() -> int:
    """How many CPUs this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:
        return os.cpu_count() or 1


def read_text(path: str) -> str:
    """The content of a file."""
    return Path(path).read_text(encoding="utf-8")


class Options(usage.Options):
    """The command line of ``twistd dynbalancer``. After :meth:`parseOptions`: ``settings`` and ``notes``."""

    #: How the command is called in the first line of the help.
    command = "twistd [twistd's options] dynbalancer"

    def __init__(self) -> None:
        super().__init__()
        self.settings = Settings()
        self.notes: tuple[Problem, ...] = ()

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read flags, environment and file. A mistake is one sentence and exit code 2, never a traceback."""
        argv = sys.argv[1:] if options is None else options
        if any(word.lower() in ("--help", "-h") for word in argv):
            sys.stdout.write(str(self))
            raise SystemExit(0)
        try:
            reading = read(argv, os.environ, read_text)
        except ConfigurationError as error:
            sys.stderr.write(f"dynbalancer: {error}\n")
            raise SystemExit(2) from None
        self.settings, self.notes = reading.settings, reading.notes

    def getUsage(self, width: int | None = None) -> str:
        """The help, grouped, with defaults."""
        return help_text(self.command, Vocabulary(plugins.provider_makers()))

    __str__ = getUsage


def help_text(command: str, vocabulary: Vocabulary) -> str:
    """Every setting in its group, with its default."""
    lines = [
        f"Usage: {command} [--flag[=value]]…",
        "",
        "Each can also be a variable (DYNBALANCER_API_ADDRESS) or a nested key of --configfile; flags win.",
        "Letter case does not count. Durations: 10s, 1m30s. A switch alone means true.",
    ]
    groups: dict[str, list[Flag]] = {}
    for flag in vocabulary.flags.values():
        groups.setdefault(flag.group, []).append(flag)
    for point_flag in vocabulary.fields.values():
        groups[flags.ENTRY].append(replace(point_flag, key=f"entrypoints.NAME.{point_flag.key}", default=""))
    for named_flag in vocabulary.named.values():
        groups[named_flag.group].append(replace(named_flag, key=f"{named_flag.key}.NAME"))
    for group in sorted(groups, key=_rank):
        lines += ["", f"{group}:", *(_help_line(flag) for flag in groups[group])]
    return "\n".join(lines) + "\n"


def _rank(group: str) -> tuple[int, str]:
    order = ("Provider", flags.API, flags.ENTRY, flags.PROCESS, flags.LOGS, flags.SERVERS, flags.FILES, "")
    return next(index for index, start in enumerate(order) if group.startswith(start)), group


def _help_line(flag: Flag) -> str:
    name = f"  --{flag.key}" + ("" if flag.is_bool else "=…")
    default = f" [{flag.default}]" if flag.default else ""
    gap = " " * max(1, 40 - len(name)) if len(name) < 40 else "\n" + " " * 40
    return f"{name}{gap}{flag.meaning}{default}"
