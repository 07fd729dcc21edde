"""Which containers meet which constraints."""

from __future__ import annotations

import pytest

from dynbalancer.core.labels.constraints import Constraints
from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.errors import ConfigurationError


def meets(text: str, **labels: str) -> bool:
    said = {key.replace("__", "."): value for key, value in labels.items()}
    return not Constraints.of(text).refusal(Container("id", "web-1", labels=said))


@pytest.mark.parametrize(
    ("text", "tags", "met"),
    [
        ("", "", True),
        ("tag==api", "api", True),
        ("tag==api", "web, api", True),
        ("tag==api", "apis", False),
        ("tag==api", "", False),
        ("tag==api-*", "api-1", True),
        ("tag==*-api", "my-api", True),
        ("tag==a*c", "abc", True),
        ("tag==a*c", "abcd", False),
        ("tag==a?c", "abc", False),
        ("tag==a[bc]", "ab", False),
        ("tag!=api", "", True),
        ("tag!=api", "web", True),
        ("tag!=api", "web,api", False),
        ("tag!=api-*", "api-1", False),
        ("tag==api,tag==web", "api,web", True),
        ("tag==api, tag==web", "api", False),
        (" tag == api , tag != old ", "api", True),
        ("tag==api,tag!=old", "api,old", False),
        ("tag==Api", "api", False),
    ],
)
def test_tags_of_version_1(text: str, tags: str, *, met: bool) -> None:
    assert meets(text, traefik__tags=tags) is met


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("Label(`tier`,`web`)", True),
        ("Label(`tier`, `api`)", False),
        ('Label("tier","web")', True),
        ("Label(`none`,``)", True),
        ("!Label(`tier`,`api`)", True),
        ("LabelRegex(`stage`,`^prod`)", True),
        ("LabelRegex(`stage`,`^uction`)", False),
        ("LabelRegex(`none`,`.+`)", False),
        ("Label(`tier`,`web`) && LabelRegex(`stage`,`.*`)", True),
        ("Label(`tier`,`api`) || Label(`stage`,`production`)", True),
        ("Label(`tier`,`web`) && !(Label(`stage`,`production`) || Label(`a.b`,`==`))", False),
        ("!Label(`tier`,`web`) || Label(`a.b`,`==`)", True),
    ],
)
def test_labels_of_version_3(text: str, *, met: bool) -> None:
    assert meets(text, tier="web", stage="production", a__b="==") is met


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("tier==web", "there is nothing but tags to compare, not tier", "write tag==…"),
        ("tag==", "tag== is not understood", "write tag==NAME"),
        ("tag==a,b", "b is not understood", "write tag==NAME"),
        ("tag", "expected ( after tag", ""),
        ("Label(`a`)", "got 1, expected one of [2]", ""),
        ("Labels(`a`,`b`)", "unsupported function: Labels", "did you mean Label?"),
        ("LabelRegex(`a`,`(`)", "bad regular expression", ""),
        ("Label(`a`,`b`) &&", "expected a matcher such as Label(`key`,`value`)", ""),
        ("Tag(`a`)", "unsupported function: Tag", ""),
        ("tag==" + "a" * 20000, "20005 characters", ""),
    ],
)
def test_what_is_neither_is_told(text: str, why: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Constraints.of(text)
    assert why in caught.value.why
    assert hint in caught.value.hint


def test_equal_texts_are_equal_constraints() -> None:
    assert Constraints.of(" tag==a") == Constraints.of("tag==a ") != Constraints.of("tag==b")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tag==api", "it does not meet the constraint tag==api: its tags are web, x"),
        ("Label(`tier`,`api`)", "it does not meet the constraint Label(`tier`,`api`)"),
    ],
)
def test_container_that_is_left_out_says_so_and_nothing_else(text: str, why: str) -> None:
    labels = {"traefik.frontend.rule": "Host:a.example", "traefik.tags": "web, x", "traefik.prot": "80"}
    one = Container("id", "web-1", labels=labels, networks={"x": "192.0.2.1"}, ports=(80,))
    found = configuration_of([one], Defaults(constraints=Constraints.of(text)))
    assert (found.routers, found.problems) == ({}, ())
    assert [(item.verdict, item.why) for item in found.items] == [("ignored", why)]


def test_container_that_meets_them_is_routed() -> None:
    labels = {"traefik.frontend.rule": "Host:a.example", "traefik.tags": "api"}
    one = Container("id", "web-1", labels=labels, networks={"x": "192.0.2.1"}, ports=(80,))
    found = configuration_of([one], Defaults(constraints=Constraints.of("tag==api")))
    assert len(found.routers) == 1


@pytest.mark.parametrize(
    "text", ["Label(`traefik.constraint-label`, `public`)", 'LabelRegex("traefik.constraint-label", "^p")']
)
def test_label_that_a_constraint_looks_at_is_known_whatever_it_is_called(text: str) -> None:
    labels = {
        "traefik.constraint-label": "public",
        "traefik.frontend.rule": "Host:a.example",
        "traefik.prot": "80",
    }
    one = Container("id", "web-1", labels=labels, networks={"x": "192.0.2.1"}, ports=(80,))
    found = configuration_of([one], Defaults(constraints=Constraints.of(text)))
    assert [problem.where for problem in found.problems] == ["container web-1, label traefik.prot"]
