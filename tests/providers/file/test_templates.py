"""Templates in files are worked out before the file is read; they may ask for variables of the environment."""

from __future__ import annotations

import pytest

from dynbalancer.errors import ConfigurationError
from dynbalancer_file.reading import read
from dynbalancer_file.templates import written_out

ENVIRON = {"SITE": "shop", "COUNT": "2"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a: b", "a: b"),
        ('rule: Host(`{{ env "SITE" }}.example`)', "rule: Host(`shop.example`)"),
        ('{{ env "NONE" | default "d" }}', "d"),
        ('{{ expandenv "$SITE-${COUNT}$NONE" }}', "shop-2"),
        ('{{ range until (env "COUNT" | int) }}s{{ . }},{{ end }}', "s0,s1,"),
        ("{{.Request.Host}} {{ .Request.URL.Path }}", "{{.Request.Host}} {{ .Request.URL.Path }}"),
        ('{{ .Request.Header.Get `X` }}{{ env "SITE" }}', '{{ .Request.Header.Get "X" }}shop'),
    ],
)
def test_templates_are_written_out(content: str, text: str) -> None:
    assert written_out("file d.yml", content.encode(), ENVIRON).decode() == text


def test_what_is_wrong_is_told_with_file_and_place() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        written_out("file d.yml", b"a: b\nc: {{ expandenw `X` }}\n", ENVIRON)
    assert str(refusal.value) == (
        "file d.yml: template: there is no function expandenw (line 2, character 7); did you mean expandenv?"
    )


def test_content_that_is_no_text_is_left_to_who_reads_it() -> None:
    assert written_out("file d.yml", b"{{ \xff }}", ENVIRON) == b"{{ \xff }}"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.yml", "http: {routers: {web: {rule: 'Host(`{{ env \"SITE\" }}.example`)', service: s}}}\n"),
        ("d.toml", "[http.routers.web]\nrule = 'Host(`{{ env \"SITE\" }}.example`)'\nservice = 's'\n"),
    ],
)
def test_a_file_with_templates_has_routes(name: str, content: str) -> None:
    found = read(name, content.encode(), None, environ=ENVIRON)
    assert found.problems == ()
    assert found.configuration.routers["web"].rule == "Host(`shop.example`)"


def test_a_template_that_is_wrong_leaves_the_last_good_reading_in_force() -> None:
    right = read("d.yml", b"http: {routers: {web: {rule: 'Path(`/`)', service: s}}}\n", None)
    wrong = read("d.yml", b"{{ nonsense }}", right)
    assert (wrong.kept, list(wrong.configuration.routers)) == (True, ["web"])
    assert wrong.problems[0].why.startswith("template: there is no function nonsense")
