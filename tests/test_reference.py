"""The reference says what the code does: its tables are made from it, and its examples are accepted by it."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from dynbalancer import plugins
from dynbalancer.core.gotemplates.functions import FUNCTIONS
from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.merge import merge
from dynbalancer.core.model import Configuration, EntryPoint
from dynbalancer.pem import make_own
from dynbalancer.start.compiling import compiler
from dynbalancer_file.reading import read

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted((DOCS / "reference").rglob("*.md"))
EVERY_PAGE = sorted([*DOCS.parent.glob("*.md"), *DOCS.rglob("*.md")])
BLOCKS = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = re.compile(r"^```(yaml|toml)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

#: What the entry points of the examples are called.
ENTRY_POINTS = (
    EntryPoint("web", 80),
    EntryPoint("websecure", 443, tls=True),
    EntryPoint("postgres", 5432),
    EntryPoint("smtp", 25),
    EntryPoint("dns", 53, udp=True),
)

#: What every file of authorities has in it.
AUTHORITY = make_own().chain

#: What pages say of their examples themselves.
SAID = {
    # The service with the pages is another container's.
    "middlewares/errors.md": "its pages are not shown",
    # Whether the API is on is a flag.
    "docs/operate/dashboard.md": "the API is off: add --api",
    # Labels refer to a file.
    "tls-options.md": "unknown TLS options: mtls@file",
}


def name(page: Path) -> str:
    """The page as test ids show it."""
    return page.relative_to(DOCS.parent).as_posix().removeprefix("docs/reference/")


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """The script that writes the tables."""
    found = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_tables_are_as_they_would_be_written(page: Path, tables: ModuleType) -> None:
    assert page.read_text() == tables.written(page.read_text()), "write them anew: make reference"


def test_table_that_drifted_is_written_anew(tables: ModuleType) -> None:
    page = "<!-- options of provider demo -->\nold\n<!-- end of options -->\n"
    made = tables.written(page)
    assert "| `period` | duration | `4s` |" in made and "old" not in made
    assert tables.written(made) == made


@pytest.mark.parametrize("type_", list(plugins.middleware_makers()))
def test_page_of_a_middleware_shows_each_of_its_options_once(type_: str, tables: ModuleType) -> None:
    page = (DOCS / "reference" / "middlewares" / f"{type_}.md").read_text()
    [(place, shown)] = tables.shown(page).items()
    assert place[1].lower() == type_
    assert sorted(shown) == sorted(option for option, _ in tables.SOURCES["middleware"](type_))


@pytest.mark.parametrize("provider", list(plugins.provider_makers()))
def test_page_of_a_provider_shows_each_of_its_options(provider: str, tables: ModuleType) -> None:
    page = (DOCS / "reference" / "providers" / f"{provider}.md").read_text()
    options = [option.name for option in plugins.provider_makers()[provider].options]
    assert tables.shown(page)["provider", provider] == options


@pytest.mark.parametrize("page", EVERY_PAGE, ids=name)
def test_examples_are_accepted(page: Path) -> None:
    for form, block in EXAMPLES.findall(page.read_text()):
        found = configuration(block, form)
        if found is not None:
            table = compiler(ENTRY_POINTS, lambda: 0.0)(found, 1, None)
            said = [str(one) for one in (*found.problems, *table.problems) if one.severity != "info"]
            assert [one for one in said if SAID.get(name(page), "\n") not in one] == [], block


@pytest.mark.parametrize("page", sorted((DOCS / "reference" / "middlewares").glob("*.md")), ids=name)
def test_page_of_a_middleware_has_an_example_of_each_kind_and_notes(page: Path) -> None:
    text = page.read_text()
    first, second = BLOCKS.findall(text)[:2]
    assert "labels" in yaml.safe_load(first) and "http" in yaml.safe_load(second)
    assert text.index("```yaml") < text.index("<!-- options of") < text.index("## Notes")


def test_an_example_with_a_mistake_is_not_accepted() -> None:
    for form, block in (("yaml", "http: {routers: {a: {rul: x}}}"), ("toml", '[http.routers.a]\nrul = "x"')):
        found = configuration(block, form)
        assert found is not None and any("rul" in str(problem) for problem in found.problems)


def configuration(block: str, form: str = "yaml") -> Configuration | None:
    """What the readers make of an example; None where it is no labels and no file of routes."""
    document = tomllib.loads(block) if form == "toml" else yaml.safe_load(block)
    if not isinstance(document, dict):
        return None
    if form == "toml" or document.keys() & {"http", "tcp", "udp"}:
        reading = read(f"dyn.{form}", block.encode(), None, None, lambda path: AUTHORITY)
        return merge([("file", Configuration(problems=reading.problems)), ("given", reading.configuration)])
    services = {"web": document} if "labels" in document else document.get("services", {})
    containers = [
        Container(
            f"id-{service}",
            service,
            labels=dict(map(_label, facts["labels"])),
            networks={"front": "10.0.0.2"},
            ports=(80,),
        )
        for service, facts in services.items()
        if isinstance(facts, dict) and "labels" in facts
    ]
    return merge([("docker", configuration_of(containers, Defaults()))]) if containers else None


def _label(line: str) -> tuple[str, str]:
    # Compose takes a single $ for a variable of its own.
    key, _, value = line.replace("$$", "$").partition("=")
    return key, value


def test_the_page_of_templates_names_every_function() -> None:
    page = (DOCS / "reference" / "templates.md").read_text()
    other_names = {"trimall", "tuple", "push"}
    missing = [name for name in FUNCTIONS if f"`{name}`" not in page and not name.startswith("must")]
    assert set(missing) == other_names
