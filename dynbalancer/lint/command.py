"""``dynbalancer check``: its arguments, and what it prints."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dynbalancer.lint import check
from dynbalancer.lint.findings import Checked, exit_code
from dynbalancer.lint.sarif import sarif

DESCRIPTION = """\
Says what is wrong with compose files (their labels), files of routes and files of settings, taken together
as one engine and one balancer would have them. What stands after -- are flags that the balancer is started with.

Exit code 0: nothing wrong (hints at most); 1: there are problems; 2: a file can't be read, or a flag is wrong.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to print, and the exit code."""

    text: str
    code: int


def answer(argv: Sequence[str], environ: Mapping[str, str], version: str) -> Answer:
    """Check what the command line names. ``version`` is ours. Exits with 2 where it can't be understood."""
    given, flags = _split(argv)
    wanted = parser().parse_args(given)
    names = tuple(name.strip() for name in wanted.entrypoints.split(",") if name.strip())
    if wanted.exposedbydefault is not None:
        flags = [f"--docker.exposedbydefault={wanted.exposedbydefault}", *flags]
    wishes = check.Wishes(names, tuple(flags), wanted.merge, wanted.apart, environ)
    checked = check.check(_files(wanted.files), read_bytes, wishes)
    return Answer(_text(checked, wanted.format, version, labels=wanted.labels), exit_code(checked))


def read_bytes(path: str) -> bytes:
    """The content of a file."""
    return Path(path).read_bytes()


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    words = list(argv)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def parser() -> argparse.ArgumentParser:
    """What it takes."""
    found = argparse.ArgumentParser(
        "dynbalancer check",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [options] FILE… [-- --flag[=value]…]",
    )
    found.add_argument("files", nargs="+", metavar="FILE", help="a file, or a directory with all below it")
    found.add_argument("--format", choices=("text", "json", "sarif"), default="text")
    found.add_argument("--labels", action="store_true", help="a line for each label, understood or not")
    found.add_argument(
        "--merge", action="store_true", help="compose files are one project, as with -f a -f b"
    )
    found.add_argument("--apart", action="store_true", help="each compose file has an engine of its own")
    found.add_argument(
        "--entrypoints",
        default="",
        help="names of entry points that exist, with commas between (those of the settings found, or any)",
    )
    found.add_argument(
        "--exposedbydefault",
        choices=("true", "false"),
        help="whether containers without traefik.enable are routed (as the settings found say, or true)",
    )
    return found


def _files(paths: Sequence[str]) -> list[str]:
    found: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            found += [name for name in check.files_below(path) if check.is_ours(name, read_bytes)]
        else:
            found.append(path)
    return found


def _text(checked: Sequence[Checked], form: str, version: str, *, labels: bool) -> str:
    if form == "sarif":
        return json.dumps(sarif(checked, version), indent=2)
    if form == "json":
        return json.dumps(
            {"version": version, "files": {one.path: as_dict(one) for one in checked}}, indent=2
        )
    if not checked:
        return "no compose file and no file of routes or settings was found"
    return "\n".join(one.as_text(labels=labels) for one in checked)


def as_dict(one: Checked) -> dict[str, object]:
    """A file for JSON."""
    return {
        "kind": one.kind,
        "found": one.counts,
        "problems": [finding.as_dict() for finding in one.findings],
        "labels": [label.as_dict() for label in one.labels],
    }
