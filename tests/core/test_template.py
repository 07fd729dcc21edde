"""Templates of default rules: what they give, and what is said about those that can't be used."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dynbalancer.core.template import compiled, render
from dynbalancer.errors import ConfigurationError

_PLACE = re.compile(r" \(.*character \d+\)$")

VALUES = {
    "Name": "web_proj",
    "ContainerName": "proj_web_1",
    "Labels": {"site": "Shop", "com.example.tier": "b", "empty": ""},
}


@pytest.mark.parametrize(
    "template, text",
    [
        ("Host(`a.example`)", "Host(`a.example`)"),
        ("Host(`{{ normalize .Name }}`)", "Host(`web-proj`)"),
        ("Host(`{{.ContainerName}}.example`)", "Host(`proj_web_1.example`)"),
        ('{{ index .Labels "com.example.tier" }}', "b"),
        ("{{ index .Labels `site` }}", "Shop"),
        ("{{ .Labels.site }}", "Shop"),
        ('{{ index .Labels "missing" }}|', "|"),
        ('{{ trimPrefix "web_" .Name }}', "proj"),
        ('{{ trimSuffix "_1" .ContainerName }}', "proj_web"),
        ('{{ trimAll "bw" "bwob" }}', "o"),
        ('{{ trim "  a " }}', "a"),
        ("{{ lower .Labels.site }}{{ upper .Labels.site }}", "shopSHOP"),
        ('{{ replace "_" "-" .ContainerName }}', "proj-web-1"),
        ('{{ printf "%s-%v-%d-%q-%%" .Name true 3 "x" }}', 'web_proj-true-3-"x"-%'),
        ('{{ .Name | trimPrefix "web_" | upper | printf "%s!" }}', "PROJ!"),
        ('{{ (printf "%s_%s" .Name (lower .Labels.site)) | normalize }}', "web-proj-shop"),
        ('{{ default "none" .Labels.empty }}{{ default "none" .Labels.site }}', "noneShop"),
        ('{{ join "." (splitList "_" .ContainerName) }}', "proj.web.1"),
        ('{{ index (splitList "_" .ContainerName) 1 }}', "web"),
        ("{{ len .Name }}", "8"),
        ('{{ splitList "_" .ContainerName | first }}', "proj"),
        ('{{ splitList "_" .ContainerName | last }}', "1"),
        ("{{ coalesce .Labels.empty .Labels.site }}", "Shop"),
        ('{{ ternary "yes" "no" (hasKey .Labels "site") }}', "yes"),
        ('{{ ternary "yes" "no" (hasKey .Labels "none") }}', "no"),
        ('{{ get .Labels "site" }}{{ get .Labels "none" }}', "Shop"),
        ('{{ nospace "a b" }}{{ title "a bc" }}', "abA Bc"),
        ("{{ trunc 3 .Name }}{{ trunc -4 .Name }}", "webproj"),
        ("{{ substr 1 3 .Name }}{{ substr 4 -1 .Name }}", "ebproj"),
        (r'{{ "a\"b\n" }}', 'a"b\n'),
        ("a {{- /* why */ -}} b", "a {{- /* why */ -}} b".replace(" {{- /* why */ -}} ", "")),
        ("a  {{- .Labels.site -}}  b", "aShopb"),
        ("{{ `}}` }}", "}}"),
    ],
)
def test_templates_give_text(template: str, text: str) -> None:
    assert render(template, VALUES) == text


@pytest.mark.parametrize(
    "condition, branch",
    [
        (".Labels.site", "yes"),
        (".Labels.empty", "no"),
        ('index .Labels "missing"', "no"),
        ("true", "yes"),
        ("false", "no"),
        ('eq .Name "x" "web_proj"', "yes"),
        ('ne .Name "web_proj"', "no"),
        ("not .Labels.empty", "yes"),
        ('and .Name (hasPrefix "web" .Name)', "yes"),
        ('and .Name (hasSuffix "web" .Name)', "no"),
        ('or .Labels.empty (contains "_" .Name)', "yes"),
        ("or .Labels.empty false", "no"),
    ],
)
def test_conditions_choose_a_branch(condition: str, branch: str) -> None:
    assert render(f"{{{{ if {condition} }}}}yes{{{{ else }}}}no{{{{ end }}}}", VALUES) == branch


def test_else_if_and_nested_conditions() -> None:
    inner = "{{ if .Labels.empty }}2{{ else }}3{{ end }}"
    template = f'{{{{ if eq .Name "x" }}}}1{{{{ else if .Name }}}}{inner}{{{{ else }}}}4{{{{ end }}}}'
    assert render(template, VALUES) == "3"
    assert render("{{ if .Labels.empty }}never{{ end }}", VALUES) == ""


@pytest.mark.parametrize(
    "template, why, hint",
    [
        ("{{ .Nam }}", "there is no field .Nam", "did you mean .Name?"),
        ("{{ .Xyzzy }}", "there is no field .Xyzzy", "fields are .Name, .ContainerName, .Labels"),
        ("{{ . }}", "there is no field .", "fields are .Name, .ContainerName, .Labels"),
        ("{{ normalise .Name }}", "there is no function normalise", "did you mean normalize?"),
        ("{{ if true }}{{ .Name | uper }}{{ end }}", "there is no function uper", "did you mean upper?"),
        ("{{ range .Labels }}", "range without an end", ""),
        ("{{ if .Name }}", "if without an end", ""),
        ("{{ if .Name }}a{{ else x }}b{{ end }}", "else x is not understood", ""),
        ("{{ end }}", "{{ end }} without an if, range or with", ""),
        ("a {{ .Name", "{{ without }}", ""),
        ("{{ }}", "empty braces", ""),
        ("{{ .Name | }}", "something is missing beside a |", ""),
        ('{{ .Name "x" }}', ".Name is not a function", ""),
        ("{{ .Name | .Name }}", ".Name is not a function", ""),
        ("{{ (.Name }}", "( without )", ""),
        ("{{ .Name) }}", "')' is not understood", ""),
        ("{{ $x }}", "there is no variable $x", "write $x := … before it"),
        ('{{ printf "%y" 1 }}', "printf: %y is not supported", "write %s, %d, %v or %q"),
        ('{{ printf "%s" }}', "printf: no value for %s", ""),
        ('{{ printf "%d" "x" }}', "'x' is not a whole number", ""),
        ("{{ trimPrefix .Name }}", "trimPrefix takes 2 arguments, and was given 1", ""),
        ("{{ index .Labels }}", "index takes 2 to 9 arguments, and was given 1", ""),
        ("{{ len 3 }}", "len can't be used on values of this type", ""),
        ('{{ env "HOME" }}', "env is not supported", "only what is known of the container is there"),
        ("{{ .Name.x }}", "there is no .x in a text", ""),
        ("{{" + "(" * 99 + ".Name" + ")" * 99 + "}}", "nested too deeply", ""),
    ],
)
def test_unusable_templates_say_why(template: str, why: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        render(template, VALUES)
    assert (_PLACE.sub("", refusal.value.why), refusal.value.hint) == (why, hint)


@pytest.mark.parametrize(
    "template, why",
    [
        ("Host(`{{ normalise .Name }}`)", "there is no function normalise (character 10)"),
        ("{{ .Name }}\n{{ if .Name }}\n  {{ .Labels.site | atoi | len }}{{ end }}", "line 3, character 28"),
        ('{{ index (splitList "-" .Name) 4 }}', "index: nothing at '4' (character 4)"),
        ("{{ .Name }}{{ if }}", "something is missing (character 12)"),
    ],
)
def test_the_place_in_the_template_is_told(template: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        render(template, VALUES)
    assert why in refusal.value.why


@pytest.mark.parametrize(
    "template, why",
    [
        ("{{ range until 10000 }}{{ range until 10000 }}{{ end }}{{ end }}", "it takes too long"),
        ("{{ range until 2000 }}{{ $.Name | printf `%50s` }}{{ end }}", "its result is too long"),
        ('{{ repeat 2000000 "x" }}', "its result is too long"),
        ("{{ repeat 1000000000000 `x` }}", "its result is too long"),
        ("{{ $x := `ab` }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}", "it takes too long"),
        ('{{ $x := repeat 100000 "a" }}{{ len (replace "" $x $x) }}', "its result is too long"),
        ("{{ until 1000000000 }}", "more than 10000 numbers"),
        ("{{ range 9000000000000000000 }}{{ end }}", "it takes too long"),
        ("{{ mul 9000000000000000000 2 }}", "a number of more than 64 bits"),
        (
            '{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}',
            "template a is within itself too often",
        ),
        (
            '{{ define "a" }}'
            + "{{ with 1 }}" * 40
            + '{{ template "a" 1 }}'
            + "{{ end }}" * 41
            + '{{ template "a" }}',
            "nested too deeply",
        ),
    ],
)
def test_what_would_take_or_give_too_much_is_refused(template: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        render(template, VALUES)
    assert refusal.value.why.startswith(why)


def test_fields_are_not_looked_at_where_they_are_not_known() -> None:
    assert compiled("{{ .Any }}{{ $.Other }}", ())({"Any": "a", "Other": "b"}) == "ab"


@given(some.text(alphabet='{}-.()|`"\\ ifelsndNameLab$%_0', max_size=40))
def test_any_text_is_rendered_or_refused(template: str) -> None:
    try:
        assert isinstance(render(template, VALUES), str)
    except ConfigurationError as refusal:
        assert refusal.why
