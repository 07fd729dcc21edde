"""Variables that stay what they are."""

from __future__ import annotations

import pytest

from dynbalancer.lint.variables import Kept

ENVIRON = {"HOST": "a.example", "PORT": "8080"}


@pytest.mark.parametrize(
    "text",
    ["Host:${HOST}", "$HOST", "${NO:-x}", "${A:-${B:-c}}/${HOST}", "u:$$apr1$$x", "plain", "${NO:?say it}"],
)
def test_what_went_in_comes_out(text: str) -> None:
    kept = Kept()
    inside = kept.fill(text, ENVIRON).text
    assert "${" not in inside and "$HOST" not in inside
    assert kept.restored(inside, escaped=True) == text


def test_stand_ins_may_stand_in_a_host() -> None:
    kept = Kept()
    inside = kept.fill("a.${HOST}", ENVIRON).text
    assert Kept.is_in(inside)
    assert inside.replace(".", "").isalnum() and inside == inside.lower()


@pytest.mark.parametrize("text, value", [("${PORT}", "8080"), ("${NO:-81}", "81"), ("${NO:-true}", "true")])
def test_numbers_and_switches_are_put_in(text: str, value: str) -> None:
    found = Kept().fill(text, ENVIRON).text
    assert found == value
    assert not Kept.is_in(found)


def test_outside_of_compose_files_a_dollar_is_one() -> None:
    kept = Kept()
    assert kept.restored(kept.fill("u:$$apr1$$x", {}).text, escaped=False) == "u:$apr1$x"
