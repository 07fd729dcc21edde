"""What the pages say is so: links lead somewhere, flags exist, the article's files are the article's."""

from __future__ import annotations

import hashlib
import re
import shlex
from pathlib import Path

import pytest

from dynbalancer import plugins
from dynbalancer.lint import command, translate_command
from dynbalancer.pem import make_own
from dynbalancer.start import explaining
from dynbalancer.start.flags import Vocabulary
from dynbalancer.start.options import read
from dynbalancer.testing import MemorySink

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TARGETS = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")
#: A flag at the start of a code span, as in `--docker.network=` or ``--api``.
FLAGS = re.compile(r"`(--[a-z][\w.]*[a-z])", re.IGNORECASE)
#: Flags of other programs that the pages mention.
FOREIGN = {"--help", "--syslog", "--logger"}

#: What starts a balancer in a command, a unit or a compose file, with its arguments.
STARTS = re.compile(
    r"^ *(?:\$ |ExecStart=)?(?:\S*/)?(?:(?:twistd(?: -n)? dynbalancer|dynbalancer run)|command:) +(--.*)",
    re.MULTILINE,
)
#: Options that only a provider of the page's own has.
OF_EXAMPLES = "--lines."

#: SHA-256 of the compose files.
ARTICLE = {
    "traefik": "ab733c0ef6422deb839b5fddeb378d86e124529a11c0a4b3175be14a02e2f555",
    "whoami": "3f72ddd04038cf224c088f15e1d0ba33b3103855661405188d23244ffe96556a",
}


def name(path: Path) -> str:
    """The path as test ids show it."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = TARGETS.findall(page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_flags_that_pages_name_exist(page: Path) -> None:
    vocabulary = Vocabulary(plugins.provider_makers())
    helps = command.parser().format_help() + translate_command.parser().format_help() + explaining.HELP
    others = FOREIGN | set(re.findall(r"--[a-z-]+", helps))
    named = {flag.lower() for flag in FLAGS.findall(page.read_text()) if "NAME" not in flag} - others
    keys = {flag: vocabulary.canonical(flag.removeprefix("--")) for flag in named}
    assert [flag for flag, key in keys.items() if vocabulary.find(key) is None] == []


def commands(page: Path) -> list[list[str]]:
    """The arguments of each balancer that a page starts."""
    text = page.read_text().replace("\\\n", "")
    found = [shlex.split(line, comments=True) for line in STARTS.findall(text)]
    return [words for words in found if "--help" not in words and OF_EXAMPLES not in " ".join(words)]


def test_commands_are_found_in_pages() -> None:
    assert sum(len(commands(page)) for page in PAGES) >= 20
    [_, mutual] = commands(ROOT / "docs/operate/https.md")
    assert mutual == ["--docker", "--entryPoints=Name:https Address::443 TLS:a.pem,a.key;b.pem,b.key"]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_in_pages_start_a_balancer(page: Path) -> None:
    text = make_own().chain
    for words in commands(page):
        reading = read(words, {}, lambda path: text, cpus=2)
        for provider, options in reading.settings.providers.items():
            plugins.provider_makers()[provider].make_provider(options, MemorySink(), None)
        assert [str(note) for note in reading.notes if note.severity != "info"] == [], words


@pytest.mark.parametrize("folder, digest", ARTICLE.items())
def test_the_articles_files_are_as_they_were_published(folder: str, digest: str) -> None:
    published = (ROOT / "examples" / "article" / folder / "docker-compose.yml").read_bytes()
    assert hashlib.sha256(published).hexdigest() == digest
