"""Which settings there are, and how one that is not is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynbalancer.plugins import Option, ProviderMaker
from dynbalancer.start.flags import Given, Vocabulary

MAKERS = {
    "docker": ProviderMaker("docker", "x.y", "Containers.", (Option("network", "", "Network."),)),
    "tags": ProviderMaker(
        "tags",
        "x.y",
        "Tags.",
        (Option("names", ("a", "b"), "Names."), Option("depth", 3, "Depth."), Option("every", 1.5, "Time.")),
    ),
}


@pytest.mark.parametrize(
    "key, canonical",
    [
        ("Providers.Docker.Network", "docker.network"),
        ("providers.docker", "docker"),
        ("log.level", "loglevel"),
        ("limits.head_time", "limits.headtime"),
        ("limits.head-time", "limits.headtime"),
        ("insecureSkipVerify", "serverstransport.insecureskipverify"),
        ("providers.consul.x", "providers.consul.x"),
    ],
)
def test_one_setting_has_one_key(key: str, canonical: str) -> None:
    assert Vocabulary(MAKERS).canonical(key) == canonical


def test_options_of_providers_take_what_their_default_is() -> None:
    vocabulary = Vocabulary(MAKERS)
    names, depth, every = (vocabulary.find(f"tags.{name}") for name in ("names", "depth", "every"))
    assert names is not None and names.many and names.default == "a,b"
    assert depth is not None and depth.convert("7") == 7
    assert every is not None and every.convert("2s") == 2.0 and every.default == "1.5s"
    switch = vocabulary.find("tags")
    assert switch is not None and switch.is_bool


@pytest.mark.parametrize(
    "key, where, sentence",
    [
        ("dokcer", "--dokcer", "--dokcer: no such flag; did you mean --docker?"),
        ("docker.netwrok", "f.yml:3: docker.netwrok", "no such setting; did you mean docker.network?"),
        ("entrypoints.web.adress", "--entrypoints.web.adress", "did you mean --entrypoints.web.address?"),
        ("providers.nomad", "--providers.nomad", "Traefik has it, this version of dynbalancer has not"),
        ("entrypoints.web.tls.other", "--entrypoints, TLS.Other", "decides who gets in"),
        ("providers.swarm.network", "--providers.swarm.network", "Swarm services are not supported"),
        ("zzzzqqqq", "--zzzzqqqq", "no such flag"),
    ],
)
def test_an_unknown_setting_is_answered_in_one_sentence(key: str, where: str, sentence: str) -> None:
    said = str(Vocabulary(MAKERS).refuse(Given(key, "x", where)))
    assert sentence in said
    assert said.startswith(where)
    assert "\n" not in said


def test_the_reference_page_has_a_row_for_every_setting() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "options.md").read_text()
    vocabulary = Vocabulary({})
    rows = {*vocabulary.flags, *(f"entrypoints.NAME.{field}" for field in vocabulary.fields)}
    rows |= {f"{stem}.NAME" for stem in vocabulary.named}
    flags_without_a_row = [key for key in rows if f"\n| `{key}` | " not in page]
    assert flags_without_a_row == []
