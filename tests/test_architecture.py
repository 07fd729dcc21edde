"""The shape of the tree: tests, sizes, imports, names, pages. What import-linter can't say is said here."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

from dynbalancer import plugins
from dynbalancer.core import codec
from dynbalancer.core.merge import merge
from dynbalancer.core.model import Configuration, Middleware, Router, Server, Service
from dynbalancer.start.internals import with_internals

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs" / "reference"
SOURCES = sorted((ROOT / "dynbalancer").rglob("*.py")) + sorted((ROOT / "providers").rglob("*.py"))
MODULES = [path for path in SOURCES if path.name != "__init__.py"]

#: Source files without a test file of their own, and why.
UNTESTED = {
    "dynbalancer/interfaces.py": "declares, and is verified by every test of an implementation",
}
#: Files of more than 500 lines, and why.
LONG_FILES: dict[str, str] = {}
#: Functions of more than 50 lines as "file:name", and why.
LONG_FUNCTIONS: dict[str, str] = {}

PURE = ("dynbalancer/core/", "dynbalancer/middlewares/", "dynbalancer/errors.py")
EMPTY_WORDS = {
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "misc",
    "manager",
    "handler",
    "processor",
    "context",
}


def relative(path: Path) -> str:
    """The path as the lists above write it."""
    return path.relative_to(ROOT).as_posix()


def mirror(path: Path) -> Path:
    """Where the tests of a source file are: ``tests/core/test_x.py``, ``tests/providers/docker/test_x.py``."""
    top, *folders, name = path.relative_to(ROOT).parts
    if top == "providers":
        folders = [top, folders[0].removeprefix("dynbalancer_"), *folders[1:]]
    return ROOT.joinpath("tests", *folders, f"test_{name}")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, nested ones too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_every_source_file_has_its_test_file(path: Path) -> None:
    assert mirror(path).exists() or relative(path) in UNTESTED, f"missing: {relative(mirror(path))}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_and_functions_stay_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 500 or relative(path) in LONG_FILES, f"{lines} lines"
    long = {f"{relative(path)}:{one.name}": (one.end_lineno or 0) - one.lineno + 1 for one in functions(path)}
    long = {name: length for name, length in long.items() if length > 50 and name not in LONG_FUNCTIONS}
    assert long == {}


@pytest.mark.parametrize("path", [path for path in SOURCES if relative(path).startswith(PURE)], ids=relative)
def test_pure_modules_do_no_input_and_no_output(path: Path) -> None:
    unwanted = {"twisted", "treq", "klein", "docker", "socket", "asyncio", "logging", "random", "time", "os"}
    assert imported(path) & unwanted == set()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_names_of_modules_and_classes_say_what_they_hold(path: Path) -> None:
    assert path.stem not in EMPTY_WORDS
    classes = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
    assert [name for name in classes if name.lower().endswith(tuple(EMPTY_WORDS))] == []


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_every_module_and_class_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert ast.get_docstring(tree), "the module has no docstring"
    assert [node.name for node in classes if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name == "__init__.py"], ids=relative)
def test_packages_hold_nothing_but_a_docstring(path: Path) -> None:
    assert [type(node) for node in ast.parse(path.read_text()).body] == [ast.Expr]


def test_lists_of_exceptions_name_only_what_still_needs_one() -> None:
    known = {relative(path) for path in SOURCES}
    assert set(UNTESTED) <= known and set(LONG_FILES) <= known
    assert {name.split(":")[0] for name in LONG_FUNCTIONS} <= known
    assert [path for path in UNTESTED if mirror(ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "folder, names",
    [
        ("middlewares", list(plugins.middleware_makers())),
        ("providers", list(plugins.provider_makers())),
        ("balancers", list(plugins.balancer_makers())),
    ],
    ids=["middlewares", "providers", "balancers"],
)
def test_every_built_in_has_its_page(folder: str, names: list[str]) -> None:
    assert names
    assert [name for name in names if not (DOCS / folder / f"{name}.md").exists()] == []


def test_every_page_of_a_built_in_is_of_one_that_exists() -> None:
    known = {
        "middlewares": plugins.middleware_makers(),
        "providers": plugins.provider_makers(),
        "balancers": plugins.balancer_makers(),
    }
    pages = {folder: {page.stem for page in (DOCS / folder).glob("*.md")} - {"index"} for folder in known}
    assert [sorted(pages[folder] - set(names)) for folder, names in known.items()] == [[], [], []]


def test_showing_the_options_loads_no_reactor_no_klein_and_no_docker() -> None:
    code = (
        "import sys\n"
        "from dynbalancer.start.options import Options\n"
        "str(Options())\n"
        "heavy = ('twisted.internet.reactor', 'klein', 'docker', 'treq', 'uvloop', 'twisted.web.proxy')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    path = f"{ROOT}:{ROOT / 'providers'}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env={"PYTHONPATH": path}
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


#: What serves requests needs nothing of these, and all of them together are as large as the rest of it.
HEAVY = (
    "OpenSSL",
    "cryptography",
    "docker",
    "dynbalancer.admin",
    "dynbalancer.control.supervisor",
    "dynbalancer.core.labels",
    "dynbalancer.core.translation",
    "dynbalancer.lint",
    "dynbalancer.tap",
    "dynbalancer_docker",
    "dynbalancer_file",
    "hyperlink",
    "klein",
    "re2",
    "service_identity",
    "treq",
    "twisted.internet.endpoints",
    "twisted.internet.ssl",
    "twisted.protocols.tls",
    "twisted.web",
    "yaml",
)

#: One router, and what is always there with an API.
TOLD = merge(
    [
        ("internal", with_internals(Configuration(), ("127.0.0.1", 8080))),
        (
            "file",
            Configuration(
                routers={"a": Router("a", "Host(`a.example.com`)", "a", middlewares=("gone",))},
                services={"a": Service("a", servers=(Server("http://127.0.0.1:1"),))},
                middlewares={"gone": Middleware("gone", "stripPrefix", {"prefixes": "/a"})},
            ),
        ),
    ]
)

WORKER = """
import json, sys
from dynbalancer import worker
from dynbalancer.control.counters import LocalCounters
from dynbalancer.core.codec import from_snapshot
from dynbalancer.core.settings import Settings

reactor = worker.install_reactor(worker.new_loop())
plane = worker._data_plane(reactor)(Settings(), LocalCounters())
worker._watchdog(reactor)
plane.take(from_snapshot(json.loads(sys.argv[1])), 1)
assert plane.table.routes and not plane.table.problems, plane.table.problems
"""


def in_worker(code: str) -> tuple[str, str]:
    """What code writes behind all that a worker does before its first request: to stdout, to stderr."""
    path = f"{ROOT}:{ROOT / 'providers'}"
    done = subprocess.run(
        [sys.executable, "-c", WORKER + code, json.dumps(codec.snapshot(TOLD))],
        capture_output=True,
        text=True,
        timeout=300,
        env={"PYTHONPATH": path},
    )
    return done.stdout.strip(), done.stderr


def test_a_worker_loads_nothing_that_is_large_and_of_no_use_to_it() -> None:
    found = f"print([name for name in {HEAVY!r} if name in sys.modules])"
    assert in_worker(found) == ("[]", "")


def test_a_plug_in_in_a_worker_can_load_the_tls_of_twisted() -> None:
    code = """
from twisted.internet import endpoints, ssl
plain = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", 1)
print(type(endpoints.wrapClientTLS(ssl.optionsForClientTLS("a.example.com"), plain)).__name__)
"""
    assert in_worker(code) == ("_WrapperEndpoint", "")


def test_every_package_is_in_the_wheel() -> None:
    metadata = ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    shipped = set(metadata["options"]["packages"].split())
    here = {
        ".".join(path.parent.relative_to(root).parts)
        for root, top in ((ROOT, "dynbalancer"), (ROOT / "providers", "."))
        for path in (root / top).rglob("__init__.py")
    }
    assert here <= shipped, f"not in setup.cfg: {here - shipped}"
