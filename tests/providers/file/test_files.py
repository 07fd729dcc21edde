"""Finding and reading files: which names, which links, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dynbalancer.errors import ConfigurationError
from dynbalancer_file import files
from dynbalancer_file.files import Place, in_words, is_ours, place_of, read_file


def test_every_yaml_and_toml_file_is_found_below_a_directory(tmp_path: Path) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    for name in ("b.yml", "a.YAML", "c.toml", "no.txt", "sub/deep/x.yml", ".hidden.yml", "yml"):
        (tmp_path / name).write_text(name)
    (tmp_path / "dir.yml").mkdir()
    found = Place(str(tmp_path), True).read()
    assert found == {name: name.encode() for name in ("a.YAML", "b.yml", "c.toml", "sub/deep/x.yml")}
    assert list(found) == sorted(found)


def test_a_mounted_config_map_is_read_once_through_its_links(tmp_path: Path) -> None:
    (tmp_path / "..2024").mkdir()
    (tmp_path / "..2024" / "dyn.yml").write_text("a")
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "dyn.yml").symlink_to("..data/dyn.yml")
    place = Place(str(tmp_path), True)
    assert place.read() == {"dyn.yml": b"a"}
    assert place.path_of("dyn.yml") == str((tmp_path / "..2024" / "dyn.yml").resolve())
    assert Place(str(tmp_path / "dyn.yml"), False).directories() == {
        str(tmp_path),
        str((tmp_path / "..2024").resolve()),
    }


def test_linked_directories_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.yml").write_text("x")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    place = Place(str(tmp_path), True)
    assert place.read() == {"a/x.yml": b"x"}
    assert place.directories() == {str(tmp_path), str(tmp_path / "a")}


def test_a_link_to_nothing_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.yml").symlink_to("nowhere")
    assert Place(str(tmp_path), True).read() == {}


def test_a_file_that_can_not_be_read_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("a")
    os.mkfifo(tmp_path / "b.yml")
    found = Place(str(tmp_path), True).read()
    assert found["a.yml"] == b"a"
    error = found["b.yml"]
    assert isinstance(error, OSError)
    assert in_words(error) == "it is not a regular file"


def test_a_place_that_can_not_be_read_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Place(str(tmp_path / "none"), True).read()
    with pytest.raises(FileNotFoundError):
        Place(str(tmp_path / "none.yml"), False).read()
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        Place(str(tmp_path / "file"), True).read()
    assert Place(str(tmp_path / "none"), True).directories() == {str(tmp_path / "none")}


def test_what_is_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST", 3)
    monkeypatch.setattr(files, "MOST_FILES", 1)
    (tmp_path / "a.yml").write_text("1234")
    with pytest.raises(OSError, match="longer than"):
        read_file(str(tmp_path / "a.yml"))
    (tmp_path / "b.yml").write_text("")
    with pytest.raises(OSError, match="more than 1 files"):
        Place(str(tmp_path), True).read()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "no file is given; give --file.filename=dyn.yml or --file.directory=conf.d"),
        ({"filename": "", "directory": ""}, "no file is given"),
        ({"filename": "a.yml", "directory": "b"}, "both a filename and a directory are given"),
        (
            {"filename": "a.json"},
            "can't tell the format of a.json; its name must end in .yml, .yaml or .toml",
        ),
    ],
)
def test_options_that_can_not_work_are_refused_in_words(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        place_of(settings)
    assert str(caught.value).startswith(f"provider file: {said}")


def test_a_relative_path_is_made_absolute_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_of({"filename": "a.yml"}) == Place(str(tmp_path / "a.yml"), False)
    assert place_of({"directory": "conf.d"}) == Place(str(tmp_path / "conf.d"), True)


@pytest.mark.parametrize(
    ("name", "ours"),
    [("a.yml", True), ("A.TOML", True), (".a.yml", False), ("a.yml~", False), ("\udc80.yml", False)],
)
def test_only_certain_names_are_ours(name: str, ours: bool) -> None:
    assert is_ours(name) is ours


def test_the_system_s_words_are_used() -> None:
    assert in_words(FileNotFoundError(2, "No such file or directory")) == "no such file or directory"
    assert in_words(OSError("odd.")) == "odd"
