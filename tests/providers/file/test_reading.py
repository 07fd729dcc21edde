"""What is in force of files: right ones, wrong ones, and several with the same names."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynbalancer.core.model import Configuration
from dynbalancer_file.reading import Reading, gone, read, together

RIGHT = b"http:\n  routers:\n    web: {rule: Path(`/`), service: s}\n"
WRONG_KEY = (
    b"http:\n  routers:\n    web: {rule: Path(`/`), service: s}\n    api: {rule: Path(`/api`), servce: s}\n"
)
BROKEN = b"http:\n  routers:\n    web: {rule: Pa"


def first(content: bytes | str, name: str = "dyn.yml") -> Reading:
    return read(name, content, None)


def test_a_right_file_is_in_force() -> None:
    reading = first(RIGHT)
    assert (list(reading.configuration.routers), reading.problems, reading.good, reading.kept) == (
        ["web"],
        (),
        True,
        False,
    )


def test_a_wrong_key_is_told_with_file_line_and_hint() -> None:
    problem = first(WRONG_KEY).problems[0]
    assert str(problem) == (
        "file dyn.yml, line 4: http.routers.api.servce: expected one of rule, service, entryPoints, middlewares, "
        "priority, ruleSyntax, tls, observability, parentRefs; did you mean service?"
    )


def test_the_first_reading_uses_what_is_right_in_a_wrong_file() -> None:
    reading = first(WRONG_KEY)
    assert list(reading.configuration.routers) == ["web"]
    assert not reading.good


def test_a_file_that_turns_wrong_does_not_replace_its_last_good_reading() -> None:
    for content in (WRONG_KEY, BROKEN, "permission denied"):
        reading = read("dyn.yml", content, first(RIGHT))
        assert reading.configuration == first(RIGHT).configuration
        assert reading.kept
        assert reading.problems[0].severity == "error"
        assert "its last good reading stays in force" in reading.problems[-1].why


def test_the_last_good_reading_survives_one_mistake_after_another_and_then_gives_way() -> None:
    reading = first(RIGHT)
    for content in (BROKEN, WRONG_KEY, BROKEN):
        reading = read("dyn.yml", content, reading)
    assert list(reading.configuration.routers) == ["web"]
    fixed = read("dyn.yml", RIGHT.replace(b"web", b"new"), reading)
    assert list(fixed.configuration.routers) == ["new"]
    assert not fixed.kept
    assert fixed.problems == ()


def test_a_file_that_never_was_right_may_change_from_wrong_to_wrong() -> None:
    reading = read("dyn.yml", WRONG_KEY.replace(b"web", b"new"), first(WRONG_KEY))
    assert list(reading.configuration.routers) == ["new"]
    assert list(read("dyn.yml", BROKEN, reading).configuration.routers) == ["new"]


def test_an_empty_file_is_a_statement() -> None:
    reading = read("dyn.yml", b"", first(RIGHT))
    assert reading.configuration == Configuration()
    assert reading.good


def test_a_warning_does_not_make_a_file_wrong() -> None:
    reading = first(RIGHT + b"tls: {stores: {a: {}}}\n")
    assert reading.good
    assert [problem.severity for problem in reading.problems] == ["warning"]


def test_of_two_files_with_one_name_the_first_is_kept_and_both_are_named() -> None:
    found = together([first(RIGHT, "a.yml"), first(RIGHT.replace(b"/", b"/b"), "b.yml")])
    assert found.routers["web"].rule == "Path(`/`)"
    (problem,) = found.problems
    assert problem.severity == "warning"
    assert str(problem).startswith("file b.yml: router web is defined in file a.yml too; that one is used")


def test_every_file_is_shown_with_a_verdict() -> None:
    readings = [
        first(RIGHT, "a.yml"),
        first(BROKEN, "b.yml"),
        first(b"", "c.yml"),
        read("d.yml", BROKEN, first(RIGHT.replace(b"web", b"api"), "d.yml")),
    ]
    items = together(readings).items
    assert [(item.name, item.kind, item.verdict, item.gave) for item in items] == [
        ("a.yml", "file", "routed", ("web",)),
        ("b.yml", "file", "refused", ()),
        ("c.yml", "file", "ignored", ()),
        ("d.yml", "file", "routed", ("api",)),
    ]
    assert items[1].why.startswith("file b.yml, line 3: not YAML")
    assert items[2].why == "nothing is defined in it"
    assert "last good reading stays in force" in items[3].why


def test_a_file_that_is_gone_is_told_with_the_place_to_put_it_back() -> None:
    assert str(gone("/etc/x/dyn.yml")) == (
        "file dyn.yml: it is gone, and its routes with it; put it back at /etc/x/dyn.yml"
    )


@pytest.mark.parametrize("name", ["dyn.yml", "dyn.toml"])
def test_the_examples_are_right_and_say_the_same(name: str) -> None:
    folder = Path(__file__).parents[3] / "examples" / "file"
    reading = first((folder / name).read_bytes(), name)
    assert reading.problems == ()
    assert list(reading.configuration.routers) == ["app", "app-under-a-path"]
    assert [server.weight for server in reading.configuration.services["app"].servers] == [1, 2]
    assert reading.configuration.middlewares["without-app"].settings == {"prefixes": ("/app",)}
