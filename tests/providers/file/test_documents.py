"""One file as a document: formats by name, lines of paths, and texts that are no document."""

from __future__ import annotations

import pytest

from dynbalancer.errors import ConfigurationError
from dynbalancer_file.documents import Document, parse


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dyn.yml", b"http: {routers: {web: {priority: 5}}}"),
        ("dyn.YAML", b'\xef\xbb\xbf{"http": {"routers": {"web": {"priority": 5}}}}'),
        ("dyn.toml", b"[http.routers.web]\npriority = 5\n"),
    ],
)
def test_the_name_decides_the_format(name: str, content: bytes) -> None:
    assert parse(f"file {name}", name, content).value == {"http": {"routers": {"web": {"priority": 5}}}}


@pytest.mark.parametrize("name", ["dyn.yml", "dyn.toml"])
def test_an_empty_file_says_nothing(name: str) -> None:
    assert not parse(f"file {name}", name, b"").value


def test_a_path_without_a_line_has_that_of_the_section_it_should_be_in() -> None:
    document = parse("file dyn.yml", "dyn.yml", b"http:\n  Routers:\n    Web:\n      rule: x\n")
    assert document.line_of(("http", "routers", "Web", "service")) == 3
    assert document.line_of(("HTTP", "ROUTERS", "web", "RULE")) == 4
    assert document.line_of(()) is None
    assert Document().line_of(("http",)) is None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("dyn.yml", b"a: 1\nb: \xff\n", "file dyn.yml, line 2: not UTF-8 text"),
        ("dyn.toml", b"a = 1\nb = \n", "file dyn.toml, line 2: not TOML: invalid value"),
        ("dyn.toml", b"a = [1,\n", "file dyn.toml: not TOML: invalid value, at the end"),
        ("dyn.toml", b"a = 1\na = 2\n", "file dyn.toml, line 2: not TOML: cannot overwrite a value"),
        ("dyn.toml", b"a = " + b"[" * 5000, "file dyn.toml"),
    ],
)
def test_what_can_not_be_parsed_is_refused_with_its_place(name: str, content: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(f"file {name}", name, content)
    assert str(caught.value).startswith(said)
