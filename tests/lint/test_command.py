"""The arguments of ``dynbalancer check``, and its answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynbalancer.lint.command import answer

COMPOSE = "services:\n  web:\n    labels:\n      - traefik.http.routers.a.rule=Host(`a.example`)\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A compose file."""
    path = tmp_path / "compose.yml"
    path.write_text(COMPOSE)
    return path


def test_text_and_its_exit_code(shop: Path) -> None:
    found = answer([str(shop)], {}, "1")
    assert (found.text, found.code) == (
        f"{shop}: nothing wrong; 1 router, 1 service; 1 label: 1 understood",
        0,
    )
    assert answer(["no.yml"], {}, "1").code == 2


def test_a_line_for_each_label(shop: Path) -> None:
    text = answer(["--labels", str(shop)], {}, "1").text
    assert f"{shop}, line 4: service web, label traefik.http.routers.a.rule: understood" in text


def test_what_follows_two_dashes_are_flags(shop: Path) -> None:
    flags = ["--docker.exposedbydefault=false", "--entrypoints.x.address=:80", "--acme"]
    found = answer(["--format=json", str(shop), "--", *flags], {}, "1")
    files = json.loads(found.text)["files"]
    assert [problem["rule"] for problem in files[str(shop)]["problems"]] == ["not-enabled"]
    assert [problem["where"] for problem in files["flags"]["problems"]] == ["--acme"]
    assert found.code == 1


def test_options_beside_the_flags(shop: Path) -> None:
    assert answer(["--exposedbydefault=false", str(shop)], {}, "1").code == 1
    shop.write_text(COMPOSE + "      - traefik.http.routers.a.entrypoints=web\n")
    assert answer(["--entrypoints=other, more", str(shop)], {}, "1").code == 1


def test_json_has_every_label(shop: Path) -> None:
    found = json.loads(answer(["--format=json", str(shop)], {}, "1.2").text)
    assert found["version"] == "1.2"
    assert found["files"][str(shop)] == {
        "kind": "compose",
        "found": "1 router, 1 service",
        "problems": [],
        "labels": [
            {
                "service": "web",
                "label": "traefik.http.routers.a.rule",
                "line": 4,
                "verdict": "understood",
                "why": "",
                "hint": "",
            }
        ],
    }


def test_sarif(shop: Path) -> None:
    assert json.loads(answer(["--format=sarif", str(shop)], {}, "1").text)["version"] == "2.1.0"


def test_a_directory(shop: Path, tmp_path: Path) -> None:
    assert answer([str(tmp_path)], {}, "1").text.startswith(f"{shop}: nothing wrong")
    (tmp_path / "empty").mkdir()
    found = answer([str(tmp_path / "empty")], {}, "1")
    assert (found.text, found.code) == ("no compose file and no file of routes or settings was found", 0)


def test_an_unknown_option_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        answer(["--fromat=json", "x"], {}, "1")
    assert caught.value.code == 2
