"""The ``dynbalancer`` command: ``run``, ``demo``, ``check``, ``explain`` and what else :data:`HELP` lists."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dynbalancer import version as package
from dynbalancer.core.settings import Settings
from dynbalancer.errors import ConfigurationError
from dynbalancer.start import commandline, health, logs
from dynbalancer.start.options import Options, read, read_text

HELP = """Usage: dynbalancer COMMAND

  run [--flag[=value]]…    Balance. `dynbalancer run --help` lists the flags; without daemon, logs on standard output.
  demo [--flag[=value]]…   The same on ports 8000 and 8080, with a handful of servers that come and go.
  check FILE…              Say what is wrong with the labels in compose files, and with files of routes or settings.
  translate FILE           Print labels of Traefik 1 as those of Traefik 3 or as a file of routes, or the other way.
  explain URL              Ask a running one which router takes a request, and why no other.
  healthcheck [--flag…]    Ask a running one whether it is well: exit code 0 or 1.
  version                  Say which version this is.

`twistd dynbalancer` runs it as a daemon.
"""

HEALTH_HELP = """Usage: dynbalancer healthcheck [--flag[=value]]…

Asks /ping of the API; where --api=false, or the balancer runs without one, the first entry point.
The flags are those of the balancer. Without any they are taken from process 1, which is the balancer
in a container, or from the environment alone. Exit code 0: well, 1: not well, 2: a flag is wrong.
"""


class RunOptions(Options):
    """The same flags as of ``twistd dynbalancer``."""

    command = "dynbalancer run"


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    commands: dict[str, Callable[[list[str]], int]] = {
        "run": run,
        "demo": demo,
        "check": check_files,
        "translate": translate,
        "explain": explain,
        "healthcheck": healthcheck,
        "version": version,
    }
    if not arguments or arguments[0] in ("help", "--help", "-h"):
        print(HELP, end="")
        return 0
    if arguments[0] == "--version":
        return version([])
    chosen = commands.get(arguments[0])
    if chosen is None:
        known = ", ".join(commands)
        print(f"dynbalancer: there is no command {arguments[0]}; there are {known}", file=sys.stderr)
        return 2
    return chosen(arguments[1:])


def run(argv: list[str]) -> int:
    """Balance until SIGTERM or SIGINT."""
    options = RunOptions()
    options.parseOptions(argv)
    from dynbalancer import tap

    return until_the_end(options, tap.makeService, None, _begin_logging)


def demo(argv: list[str]) -> int:
    """Balance servers that come and go, to look at it."""
    return run(commandline.demo_flags(argv))


def until_the_end(
    options: Options,
    make_service: Callable[[Any], Any],
    reactor: Any,
    begin_logging: Callable[[Any], None],
) -> int:
    """Start as twistd would, and run the reactor; the exit code. ``reactor`` None: the one of this process."""
    service = make_service(options)
    reactor = _reactor() if reactor is None else reactor
    begin_logging(service.observer or logs.observer(options.settings.log_level, sys.stdout))
    try:
        service.privilegedStartService()
    except ConfigurationError as error:
        print(f"dynbalancer: {error}", file=sys.stderr)
        return 1
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    return 0


def _reactor() -> Any:
    # Not before the command is known: importing it installs it.
    from twisted.internet import reactor

    return reactor


def _begin_logging(observer: Any) -> None:
    from twisted.logger import globalLogBeginner

    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


def version(argv: list[str]) -> int:
    """Print the version."""
    print(package.version())
    return 0


def healthcheck(argv: list[str]) -> int:
    """Ask the balancer with these flags whether it is well; without any, the one that is process 1 here."""
    if argv and argv[0] in ("--help", "-h"):
        print(HEALTH_HELP, end="")
        return 0
    try:
        settings = _settings_of_running(argv)
    except ConfigurationError as error:
        print(f"dynbalancer: {error}", file=sys.stderr)
        return 2
    answer = health.ask(settings)
    print(answer)
    return 0 if answer == "OK" else 1


def _settings_of_running(flags: Sequence[str]) -> Settings:
    """Those of the balancer with these flags; without any, of the one that is process 1. Raises ConfigurationError."""
    running = None if flags else commandline.flags_of_first_process(_read_bytes)
    # Whoever gives flags, or none where nothing runs, means that there is an API; they only say where.
    return read(["--api", *flags] if running is None else running, os.environ, read_text).settings


def explain(argv: list[str]) -> int:
    """Print which router of a running balancer takes a request; 0: one does, 1: none, 2: nobody could be asked."""
    from dynbalancer.start import explaining

    if not argv or argv[0] in ("--help", "-h"):
        print(explaining.HELP, end="")
        return 0
    try:
        question = explaining.read(argv)
        found = explaining.ask(question, _settings_of_running(question.flags).api)
    except ConfigurationError as error:
        print(f"dynbalancer: {error}", file=sys.stderr)
        return 2
    _print(json.dumps(found, indent=2) if question.raw else "\n".join(explaining.lines(found)))
    return 0 if found["router"] else 1


def check_files(argv: list[str]) -> int:
    """Print what is wrong with some files; 0: nothing, 1: there are problems, 2: a file can't be read."""
    # What balances has no use for it, and it would be 3 MiB there.
    from dynbalancer.lint import command

    found = command.answer(argv, os.environ, package.version())
    _print(found.text)
    return found.code


def translate(argv: list[str]) -> int:
    """Print labels in the words of another version; 0, or 2 where they can't be read."""
    from dynbalancer.lint import translate_command

    found = translate_command.answer(
        argv,
        os.environ,
        sys.stdin.buffer.read,
        lambda name: translate_command.engine_container(name, os.environ),
    )
    _print(found.text)
    return found.code


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # `| head` has seen enough; nothing must complain when the rest is flushed at the end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _read_bytes(path: str) -> bytes:
    return Path(path).read_bytes()


if __name__ == "__main__":
    sys.exit(main())
