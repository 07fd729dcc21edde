"""References: what a plain name means, and what a wrong one may have meant."""

from __future__ import annotations

import pytest

from dynbalancer.core.layered import Layered
from dynbalancer.core.references import Missing, MissingError, Said, found, plain, with_hints
from dynbalancer.errors import ConfigurationError, Problem

NAMES = dict.fromkeys(["web@docker", "api@docker", "api@file", "db@file", "bare"])
BY_PLAIN = Layered(
    {"web": ("web@docker",), "api": ("api@docker", "api@file"), "db": ("db@file",), "bare": ("bare",)}
)


@pytest.mark.parametrize(
    ("reference", "owner", "full"),
    [
        ("web@docker", "r@file", "web@docker"),
        ("api", "r@docker", "api@docker"),
        ("api", "r@file", "api@file"),
        ("db", "r@docker", "db@file"),
        ("bare", "r@docker", "bare"),
        ("bare", "r", "bare"),
    ],
)
def test_name_is_looked_up_in_the_own_provider_and_then_in_the_others(
    reference: str, owner: str, full: str
) -> None:
    assert found("service", reference, owner, NAMES, BY_PLAIN) == full


def test_name_of_several_other_providers_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        found("service", "api", "r@consul", NAMES, BY_PLAIN)
    assert caught.value.why == 'service "api" is in several providers: api@docker, api@file'
    assert caught.value.hint == "write api@docker"


@pytest.mark.parametrize(("reference", "full"), [("wbe", "wbe@file"), ("db@docker", "db@docker")])
def test_name_that_nothing_has_is_missing(reference: str, full: str) -> None:
    with pytest.raises(MissingError) as caught:
        found("service", reference, "r@file", NAMES, BY_PLAIN)
    assert caught.value.why == f'service "{full}" does not exist'
    assert caught.value.missing == Missing("service", reference, full)


def said(reference: str, full: str) -> Said:
    return Said(Problem("router r@file", "missing"), Missing("service", reference, full))


@pytest.mark.parametrize(
    ("reference", "full", "hint"),
    [
        ("wbe", "wbe@file", "did you mean web?"),
        ("web@dokcer", "web@dokcer", "did you mean web@docker?"),
        ("nothing-like-it", "nothing-like-it@file", ""),
        ("", "@file", ""),
        ("api@internal", "api@internal", "the API is off: add --api"),
        ("ping@internal", "ping@internal", "the API is off: add --api"),
        (
            "prometheus@internal",
            "prometheus@internal",
            "of Traefik's own services there are api@internal, dashboard@internal, ping@internal and noop@internal",
        ),
    ],
)
def test_hint_names_the_nearest(reference: str, full: str, hint: str) -> None:
    (problem,) = with_hints([said(reference, full)], {"service": NAMES})
    assert problem == Problem("router r@file", "missing", hint)


def test_only_the_first_mistakes_of_a_kind_get_a_hint_and_other_problems_stay() -> None:
    other = Said(Problem("router q@file", "wrong", "as it is", "warning"))
    problems = with_hints([other, *[said("wbe", "wbe@file")] * 60], {"service": NAMES})
    assert problems[0] is other.problem
    assert [problem.hint for problem in problems[1:]] == ["did you mean web?"] * 50 + [""] * 10


def test_plain_name_is_without_its_provider() -> None:
    assert [plain(name) for name in ("web@docker", "web")] == ["web", "web"]


def test_what_is_ours_is_no_hint_for_a_plain_name() -> None:
    missing = [said("apii", "apii@docker"), said("webb", "webb@docker")]
    hints = [problem.hint for problem in with_hints(missing, {"service": ["api@internal", "web@docker"]})]
    assert hints == ["", "did you mean web?"]
