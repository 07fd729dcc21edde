"""What templates are made of: variables, loops, conditions, templates within templates, and what is wrong with one."""

from __future__ import annotations

import pytest

from dynbalancer.core.gotemplates.faults import Fault
from dynbalancer.core.gotemplates.functions import FUNCTIONS
from dynbalancer.core.gotemplates.nodes import Run, write_all
from dynbalancer.core.gotemplates.parsing import parse

VALUES = {"Name": "web_shop", "Labels": {"site": "a", "tier": "b"}, "List": ["x", "y", "z"], "None": []}


def text_of(template: str) -> str:
    run = Run(VALUES, 10_000)
    write_all(parse(template, VALUES, FUNCTIONS), run, VALUES)
    return "".join(run.written)


@pytest.mark.parametrize(
    "template, text",
    [
        ("{{ $x := .Name }}{{ $x }}-{{ $x | upper }}", "web_shop-WEB_SHOP"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ("{{ $x := .Labels }}{{ $x.site }}{{ $.Labels.tier }}", "ab"),
        ('{{ $p := split "_" .Name }}{{ $p._1 }}.{{ $p._0 }}', "shop.web"),
        ('{{ (split "_" .Name)._0 }}', "web"),
        ("{{ if $x := .Labels.site }}{{ $x }}{{ end }}", "a"),
        ("{{ if $x := .Labels.none }}1{{ else }}2{{ end }}", "2"),
    ],
)
def test_variables(template: str, text: str) -> None:
    assert text_of(template) == text


@pytest.mark.parametrize(
    "template, text",
    [
        ("{{ range .List }}{{ . }},{{ end }}", "x,y,z,"),
        ("{{ range $i, $e := .List }}{{ $i }}{{ $e }} {{ end }}", "0x 1y 2z "),
        ("{{ range $e := .List }}{{ $e }}{{ end }}", "xyz"),
        ("{{ range $k, $v := .Labels }}{{ $k }}={{ $v }};{{ end }}", "site=a;tier=b;"),
        ("{{ range .None }}{{ . }}{{ else }}none{{ end }}", "none"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        ('{{ range $i, $e := splitList "_" .Name }}{{ if $i }}|{{ end }}{{ $e }}{{ end }}', "web|shop"),
        ('{{ range .List }}{{ if eq . "y" }}{{ continue }}{{ end }}{{ . }}{{ end }}', "xz"),
        ('{{ range .List }}{{ if eq . "y" }}{{ break }}{{ end }}{{ . }}{{ end }}!', "x!"),
        ("{{ range .List }}{{ $x := . }}{{ range $.List }}{{ $x }}{{ . }} {{ end }}{{ end }}",
         "xx xy xz yx yy yz zx zy zz "),
    ],
)  # fmt: skip
def test_loops(template: str, text: str) -> None:
    assert text_of(template) == text


@pytest.mark.parametrize(
    "template, text",
    [
        ("{{ with .Labels }}{{ .site }}{{ $.Name }}{{ end }}", "aweb_shop"),
        ("{{ with .Labels.none }}1{{ else }}{{ .Name }}{{ end }}", "web_shop"),
        ("{{ with $x := .Name }}{{ $x }}{{ . }}{{ end }}", "web_shopweb_shop"),
        ("{{ with .None }}1{{ else with .Name }}{{ . }}{{ end }}", "web_shop"),
        ('{{ define "s" }}<{{ . }}>{{ end }}{{ template "s" .Name }}{{ template "s" 1 }}', "<web_shop><1>"),
        ('{{ block "s" .Labels }}{{ .site }}{{ $.tier }}{{ end }}', "ab"),
        ("{{/* why */}}a{{- /* why */ -}} b", "ab"),
        ("{{ print 1 \n 2 }}", "1 2"),
        ("{{ and .None (fail `not looked at`) }}{{ or .Name (fail `not looked at`) }}", "[]web_shop"),
        ("{{ true }}{{ nil }}{{ 'a' }}{{ 0x10 }}{{ 1.5 }}{{ -3 }}", "true97161.5-3"),
    ],
)
def test_what_else_there_is(template: str, text: str) -> None:
    assert text_of(template) == text


@pytest.mark.parametrize(
    "template, why, at",
    [
        ("{{ $x, $y := .Name }}", "two variables are for range", 0),
        ("{{ $x = 1 }}", "there is no variable $x", 0),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "there is no variable $x", 38),
        ("{{ range .List }}{{ $x := . }}{{ else }}{{ $x }}{{ end }}", "there is no variable $x", 43),
        ("{{ break }}", "break is for the inside of a range", 0),
        ("{{ range .Name }}{{ end }}", "range can't go through a text", 0),
        ("{{ range .List }}{{ .Name }}{{ end }}", "there is no .Name in a text", 20),
        ("{{ with .Labels }}{{ $.Nam }}{{ end }}", "there is no field .Nam", 21),
        ('{{ template "none" }}', "there is no template none", 0),
        ("{{ template none }}", "template needs a name in quotes", 0),
        ('{{ define "a" }}', "define without an end", 0),
        ("{{ range .List }}{{ else }}", "range without an end", 0),
        ("{{ range .List }}{{ else if true }}{{ end }}", "else if true is not understood", 17),
        ("{{ print | if }}", "if is not a function", 11),
        ("{{ now }}", "now is not supported", 3),
        ("{{ printf }}", "printf takes 1 or more arguments, and was given 0", 3),
        ("{{ if }}{{ end }}", "something is missing", 0),
    ],
)
def test_what_is_wrong_and_where(template: str, why: str, at: int) -> None:
    with pytest.raises(Fault) as fault:
        text_of(template)
    assert (fault.value.why, fault.value.at) == (why, at)
