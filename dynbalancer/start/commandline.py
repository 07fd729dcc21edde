"""Command lines of ours: the flags of the demo, and the flags of a process that runs already."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence

DEMO = ("--demo", "--api", "--accesslog", "--api.address=127.0.0.1:8080")
DEMO_ENTRY_POINT = "--entrypoints.web.address=127.0.0.1:8000"


def demo_flags(argv: Sequence[str]) -> list[str]:
    """All flags of ``dynbalancer demo`` with these after it."""
    own = [*DEMO]
    if not any(word.lower().startswith(("--entrypoints", "--configfile")) for word in argv):
        own.append(DEMO_ENTRY_POINT)
    return [*own, *argv]


def flags_in(words: Sequence[str]) -> list[str] | None:
    """The flags with which a command line runs the balancer; None where it runs something else."""
    names = [posixpath.basename(word) for word in words]
    for at, name in enumerate(names):
        if name not in ("dynbalancer", "dynbalancer.cli"):
            continue
        rest = list(words[at + 1 :])
        if "twistd" in names[:at]:
            return rest
        if rest[:1] == ["run"]:
            return rest[1:]
        if rest[:1] == ["demo"]:
            return demo_flags(rest[1:])
    return None


def flags_of_first_process(read_bytes: Callable[[str], bytes]) -> list[str] | None:
    """The flags of process 1, which is the balancer in a container; None where it is none, or can't be read."""
    try:
        line = read_bytes("/proc/1/cmdline")
    except OSError:
        return None
    return flags_in(line.decode("utf-8", "surrogateescape").split("\0")[:-1])
