"""Files of users: what becomes of their lines, and that one which can't be read lets nobody in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynbalancer.core.model import Configuration, Middleware
from dynbalancer.start.userfiles import LONGEST, reading, with_users

FILES = {
    "/users": "# ours\nann:new\n\n bob:hash \n",
    "/digest": "ann:traefik:one\nann:other:two\n",
    "/bom": "\ufeffann:hash",
    "/long": "x" * (LONGEST + 1),
}


def read_text(path: str) -> str:
    if path == "/binary":
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory", path)
    return FILES[path]


def made(kind: str = "basicAuth", **settings: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Settings of a middleware with a file, and what is wrong."""
    given = Configuration(middlewares={"m": Middleware("m", kind, settings, "container web-1")})
    found = with_users(given, read_text)
    return dict(found.middlewares["m"].settings), tuple(str(problem) for problem in found.problems)


@pytest.mark.parametrize(
    ("kind", "settings", "users"),
    [
        ("basicAuth", {"usersFile": "/users"}, ("ann:new", "bob:hash")),
        ("basicAuth", {"usersfile": "/users", "Users": "ann:old, eve:x"}, ("ann:new", "eve:x", "bob:hash")),
        ("basicAuth", {"usersFile": "/users", "users": ("ann:old",)}, ("ann:new", "bob:hash")),
        ("BASICAUTH", {"usersFile": "/bom"}, ("ann:hash",)),
        (
            "digestAuth",
            {"usersFile": "/digest", "users": ["ann:other:old"]},
            ("ann:other:two", "ann:traefik:one"),
        ),
    ],
)
def test_lines_of_the_file_are_users_and_go_before_those_named(
    kind: str, settings: dict[str, Any], users: tuple[str, ...]
) -> None:
    assert made(kind, **settings) == ({"users": users}, ())


def test_other_settings_stay() -> None:
    assert made(usersFile="/bom", realm="r", headerField="X-User") == (
        {"realm": "r", "headerField": "X-User", "users": ("ann:hash",)},
        (),
    )


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/nowhere", "No such file or directory"),
        ("/binary", "not text in UTF-8, or too long"),
        ("/long", "not text in UTF-8, or too long"),
    ],
)
def test_file_that_can_not_be_read_stays_named_and_is_told(path: str, why: str) -> None:
    settings, problems = made(usersFile=path, users="ann:x")
    assert settings == {"usersFile": path, "users": "ann:x"}
    assert problems == (
        f"middleware m of container web-1: usersFile {path} can't be read: {why}; nobody is let in",
    )


@pytest.mark.parametrize(
    "middleware",
    [
        Middleware("m", "basicAuth", {"users": "a:b"}),
        Middleware("m", "basicAuth", {"usersFile": ""}),
        Middleware("m", "headers", {"usersFile": "/users"}),
    ],
)
def test_whatever_names_no_file_is_the_very_same(middleware: Middleware) -> None:
    given = Configuration(middlewares={"m": middleware})
    assert with_users(given, read_text) is given


def test_relative_paths_are_below_where_it_was_started(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("ann:hash\n")
    read: Callable[[str], str] = reading(str(tmp_path))
    assert read("users") == read(str(tmp_path / "users")) == "ann:hash\n"
