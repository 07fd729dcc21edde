"""The paths, their content types and their errors."""

from __future__ import annotations

import json

from twisted.logger import LogLevel, globalLogPublisher

from tests.admin.fakes import AdminCase


class V1Tests(AdminCase):
    """What clients of Traefik v1 ask for."""

    def test_the_whole_and_its_parts(self) -> None:
        whole = self.json("/api")
        self.assertEqual(list(whole), ["docker", "file"])
        self.assertEqual(self.json("/api/providers"), whole)
        self.assertEqual(self.json("/api/providers/docker"), whole["docker"])
        self.assertEqual(self.json("/api/providers/docker/backends"), whole["docker"]["backends"])
        rule = self.json("/api/providers/docker/frontends/frontend-web/routes/route-frontend-web")
        self.assertEqual(rule, {"rule": "Host:web.example"})

    def test_content_type_is_spelled_as_v1_does(self) -> None:
        for path in ("/api", "/api/providers/docker", "/health"):
            response, _ = self.ask(path)
            kind = response.headers.getRawHeaders("content-type")
            self.assertEqual(kind, ["application/json; charset=UTF-8"])

    def test_unknown_ids_are_not_found_in_plain_words(self) -> None:
        for path in (
            "/api/providers/x",
            "/api/providers/docker/backends/x",
            "/api/nothing",
            "/nothing",
            "/api/",
        ):
            response, body = self.ask(path)
            self.assertEqual((response.code, body), (404, b"404 page not found\n"), path)

    def test_health_says_uptime_and_counts(self) -> None:
        found = self.json("/health")
        self.assertEqual((found["uptime_sec"], found["total_count"]), (100.0, 4))

    def test_ping_answers_until_the_end_begins(self) -> None:
        response, body = self.ask("/ping")
        self.assertEqual((response.code, body), (200, b"OK"))
        self.service.stopping = True
        response, _ = self.ask("/ping")
        self.assertEqual(response.code, 503)

    def test_head_is_get_without_a_body(self) -> None:
        response, body = self.ask("/ping", "HEAD")
        self.assertEqual((response.code, body), (200, b""))


class V3Tests(AdminCase):
    """What clients of Traefik v3 ask for."""

    def test_lists_and_their_entries(self) -> None:
        for family in ("routers", "services", "middlewares"):
            entries = self.json(f"/api/http/{family}")
            self.assertTrue(entries)
            for entry in entries:
                self.assertEqual(self.json(f"/api/http/{family}/{entry['name']}"), entry)

    def test_content_type_and_next_page(self) -> None:
        response, body = self.ask("/api/http/routers?per_page=3")
        self.assertEqual(response.headers.getRawHeaders("content-type"), ["application/json"])
        self.assertEqual(response.headers.getRawHeaders("x-next-page"), ["2"])
        self.assertEqual(len(json.loads(body)), 3)
        response, body = self.ask("/api/http/routers?per_page=3&page=2")
        self.assertEqual(response.headers.getRawHeaders("x-next-page"), ["1"])

    def test_searching_sorting_and_status(self) -> None:
        self.assertEqual(
            [e["name"] for e in self.json("/api/http/routers?search=SHOP&status=warning")], ["shop@docker"]
        )
        names = [entry["name"] for entry in self.json("/api/http/routers?sortBy=name&direction=desc")]
        self.assertEqual(names, sorted(names, reverse=True))

    def test_unknown_entries_are_named_in_the_error(self) -> None:
        for path, message in (
            ("/api/http/routers/x@file", "router not found: x@file"),
            ("/api/http/services/a%2Fb@file", "service not found: a/b@file"),
            ("/api/http/middlewares/x", "middleware not found: x"),
            ("/api/entrypoints/x", "entry point not found: x"),
        ):
            response, body = self.ask(path)
            self.assertEqual((response.code, json.loads(body)), (404, {"message": message}))
            kind = response.headers.getRawHeaders("content-type")
            self.assertEqual(kind, ["text/plain; charset=utf-8"])

    def test_a_page_that_cannot_be_is_a_bad_request(self) -> None:
        response, body = self.ask("/api/http/routers?page=x")
        self.assertEqual((response.code, json.loads(body)["message"]), (400, "invalid request: page: x"))

    def test_overview_version_rawdata_and_entry_points(self) -> None:
        self.assertEqual(self.json("/api/overview")["http"]["routers"]["total"], 4)
        self.assertEqual(self.json("/api/version")["startDate"], "1970-01-01T00:15:00Z")
        self.assertIn("web@docker", self.json("/api/rawdata")["services"])
        self.assertEqual([point["name"] for point in self.json("/api/entrypoints")], ["web", "internal"])
        self.assertEqual(self.json("/api/entrypoints/web")["address"], ":80")

    def test_there_are_no_streams(self) -> None:
        for path in ("tcp/routers", "tcp/services", "tcp/middlewares", "udp/routers", "udp/services"):
            self.assertEqual(self.json(f"/api/{path}"), [])
        response, _ = self.ask("/api/udp/middlewares")
        self.assertEqual(response.code, 404)
        response, body = self.ask("/api/tcp/routers/db@file")
        self.assertEqual((response.code, json.loads(body)["message"]), (404, "router not found: db@file"))
        self.assertEqual(self.ask("/api/udp/middlewares/x")[0].code, 404)


class OwnTests(AdminCase):
    """What only we have."""

    def test_every_view_answers(self) -> None:
        self.assertEqual(self.json("/api/problems")[0]["severity"], "error")
        self.assertEqual(self.json("/api/items")[1]["why"], "not enabled")
        self.assertEqual(self.json("/api/history")[0]["number"], 7)
        self.assertEqual(self.json("/api/workers")[0]["state"], "serving")
        self.assertEqual(self.json("/api/statistics")["statuses"], {"200": 3, "404": 1})
        self.assertEqual(self.json("/api/state")["table"]["number"], 7)

    def test_explaining(self) -> None:
        query = "url=http%3A%2F%2Fshop.example%2Fcart&header=X-A%3A%201&header=X-B%3A%202&method=GET"
        self.assertEqual(self.json(f"/api/explain?{query}")["router"], "shop@docker")
        response, body = self.ask("/api/explain?url=ftp%3A%2F%2Fx")
        self.assertEqual(response.code, 400)
        self.assertIn(b"not http or https", body)

    def test_explaining_connections(self) -> None:
        self.assertEqual(self.json("/api/explain/tcp?entryPoint=web&sni=a.example")["router"], None)
        response, body = self.ask("/api/explain/udp")
        self.assertEqual((response.code, json.loads(body)["message"]), (400, "there is no entry point"))

    def test_a_fault_of_ours_is_logged_and_not_shown(self) -> None:
        events: list[object] = []

        def observe(event: dict[str, object]) -> None:
            if event.get("log_level") is LogLevel.critical:
                events.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        del self.router.history
        response, body = self.ask("/api/history")
        self.assertEqual((response.code, len(events)), (500, 1))
        self.assertNotIn(b"AttributeError", body)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
