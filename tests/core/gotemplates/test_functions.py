"""Every function there is, by what it gives; the rest is refused with its reason."""

from __future__ import annotations

import pytest

from dynbalancer.core.gotemplates import builtins, lists, sums, texts
from dynbalancer.core.gotemplates.functions import ELSEWHERE, FUNCTIONS
from dynbalancer.core.template import render
from dynbalancer.errors import ConfigurationError


def test_one_name_is_one_function_but_for_slice_which_is_the_same_twice() -> None:
    tables = (builtins.FUNCTIONS, lists.FUNCTIONS, sums.FUNCTIONS, texts.FUNCTIONS)
    assert sum(map(len, tables)) == len({name for table in tables for name in table}) + 1
    assert not set(ELSEWHERE) & set(FUNCTIONS)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_functions_that_there_are_not_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        render("{{ " + name + " }}", {})
    assert refusal.value.why == f"{name} is not supported (character 4)"


def test_normalize_is_traefik_s_own() -> None:
    assert render('{{ "web_My.Shop-" | normalize }}', {}) == "web-My-Shop"
