"""The dashboard's files: how they are sent, and what they may not contain."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from twisted.web.test.requesthelper import DummyRequest

from dynbalancer.admin import dashboard
from dynbalancer.core.settings import ApiSettings
from tests.admin.fakes import AdminCase

STATIC = Path(dashboard.__file__).parent / "static"
FILES = sorted(STATIC.iterdir())
PAGES = dashboard.read_pages()

#: Names of XML vocabularies, which nobody fetches.
NAMESPACES = ("http://www.w3.org/2000/svg",)
#: Examples in forms and comments.
PLACEHOLDERS = ("http://whoami.example.com/path",)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_refers_to_a_foreign_host(path: Path) -> None:
    text = path.read_text()
    for known in (*NAMESPACES, *PLACEHOLDERS):
        text = text.replace(known, "")
    assert re.findall(r"""(?:https?:|wss?:|["'(=]\s*)//[^\s/]""", text) == []
    assert "@import" not in text


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".js"], ids=lambda path: path.name)
def test_scripts_never_parse_markup_or_code(path: Path) -> None:
    banned = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|javascript:"
    )
    assert re.findall(banned, path.read_text()) == []


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".js"], ids=lambda path: path.name)
def test_scripts_are_tidy(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("// ")
    assert re.findall(r"[ \t]+$|\t|\bvar \w|[^=!]==[^=]|!=[^=]|console\.|debugger", text, re.MULTILINE) == []


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".js"], ids=lambda path: path.name)
def test_every_import_is_used_and_found(path: Path) -> None:
    text = path.read_text()
    for names, source in re.findall(r'^import (.+?) from "\./([\w.]+)";', text, re.MULTILINE):
        exported = set(
            re.findall(
                r"^export (?:async )?(?:function|class|const) (\w+)", (STATIC / source).read_text(), re.M
            )
        )
        if names.startswith("*"):
            used = set(re.findall(rf"\b{names.split()[-1]}\.(?!js\b)(\w+)", text))
            assert used and used <= exported
            continue
        for name in (part.strip() for part in names.strip("{} ").split(",")):
            assert name in exported
            assert len(re.findall(rf"\b{name}\b", text)) > 1, name


def test_the_page_has_no_inline_script_or_style() -> None:
    text = (STATIC / "index.html").read_text()
    assert re.findall(r"<style|\sstyle=|\son\w+=", text) == []
    assert re.findall(r"<script(?![^>]*\ssrc=)", text) == []


def test_every_file_that_the_page_names_is_there() -> None:
    text = (STATIC / "index.html").read_text()
    named = re.findall(r'(?:src|href)="([\w.]+)"', text)
    assert named
    assert [name for name in named if name not in PAGES] == []


def test_every_element_that_scripts_look_for_is_there() -> None:
    text = (STATIC / "index.html").read_text()
    ids = set(re.findall(r'\sid="([\w-]+)"', text))
    scripts = "".join(path.read_text() for path in FILES if path.suffix == ".js")
    wanted = set(re.findall(r"""(?:byId|getElementById)\("([\w-]+)"\)""", scripts))
    sections = set(re.findall(r'section: "(\w+)"', scripts))
    assert wanted and sections
    assert (wanted | sections) - ids == set()


def test_all_files_together_are_small() -> None:
    assert sum(path.stat().st_size for path in FILES) < 100_000


def test_a_browser_that_unpacks_gets_it_packed() -> None:
    request = DummyRequest([b""])
    request.requestHeaders.setRawHeaders("accept-encoding", ["br, gzip"])
    body = dashboard.answer(request, PAGES, "style.css")
    assert request.responseHeaders.getRawHeaders("content-encoding") == ["gzip"]
    assert request.responseHeaders.getRawHeaders("content-length") == [str(len(body))]
    assert gzip.decompress(body) == PAGES["style.css"].body


class DashboardTests(AdminCase):
    """The files over HTTP."""

    def test_the_page_and_its_files_have_their_types(self) -> None:
        for name, kind in (("", "text/html"), ("app.js", "text/javascript"), ("style.css", "text/css")):
            response, body = self.ask(f"/dashboard/{name}")
            self.assertEqual(response.code, 200)
            self.assertIn(kind, response.headers.getRawHeaders("content-type")[0])
            self.assertEqual(body, PAGES[name].body)

    def test_a_browser_that_has_the_file_gets_no_body(self) -> None:
        response, _ = self.ask("/dashboard/app.js")
        tag = response.headers.getRawHeaders("etag")[0]
        response, body = self.ask("/dashboard/app.js", headers={"If-None-Match": tag})
        self.assertEqual((response.code, body), (304, b""))

    def test_what_is_no_file_of_ours_is_not_found(self) -> None:
        for path in ("nothing.js", "..%2fapi.py", "%2e%2e/api.py", "static/app.js", "index.html/"):
            response, _ = self.ask(f"/dashboard/{path}")
            self.assertEqual(response.code, 404, path)

    def test_the_root_leads_to_the_dashboard(self) -> None:
        for path in ("/", "/dashboard", "/dashboard/status"):
            response, _ = self.ask(path)
            self.assertEqual(
                (response.code, response.headers.getRawHeaders("location")), (302, ["/dashboard/"])
            )

    def test_alone_it_shows_itself_and_any_other_path_leads_to_it(self) -> None:
        for name in ("", "app.js"):
            response, body = self.ask(f"/dashboard@internal/dashboard/{name}")
            self.assertEqual((response.code, body), (200, PAGES[name].body))
        for path in (
            "/",
            "/ping",
            "/api/state",
            "/dashboard/status",
            "/dashboard/a/b",
            "/../api/state",
            "/x//y",
        ):
            response, _ = self.ask(f"/dashboard@internal{path}")
            found = (response.code, response.headers.getRawHeaders("location"))
            self.assertEqual(found, (302, ["/dashboard/"]), path)

    def test_a_prefix_before_us_is_kept_and_a_foreign_host_is_not(self) -> None:
        for prefix, location in (
            ("/a/b/", "/a/b/dashboard/"),
            ("//evil.example", "/dashboard/"),
            ("x", "/dashboard/"),
        ):
            response, _ = self.ask("/", headers={"X-Forwarded-Prefix": prefix})
            self.assertEqual(response.headers.getRawHeaders("location"), [location])


class NoDashboardTests(AdminCase):
    """With the dashboard switched off."""

    settings = ApiSettings(dashboard=False)

    def test_there_is_no_page(self) -> None:
        for path in ("/", "/dashboard", "/dashboard/", "/dashboard/app.js"):
            response, _ = self.ask(path)
            self.assertEqual(response.code, 404)
        self.assertEqual(self.json("/api/version")["Codename"], "roundrobin")
