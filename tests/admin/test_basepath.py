"""The API and the dashboard below a path of their own."""

from __future__ import annotations

import pytest

from dynbalancer.admin.basepath import within
from dynbalancer.core.settings import ApiSettings
from tests.admin.fakes import AdminCase


@pytest.mark.parametrize(
    ("base", "path", "found"),
    [
        ("/traefik", [b"traefik", b"api", b"overview"], [b"api", b"overview"]),
        ("/traefik", [b"traefik"], []),
        ("/traefik", [b"traefik", b""], [b""]),
        ("/a/b", [b"a", b"b", b"ping"], [b"ping"]),
        ("/a/b", [b"a", b"ping"], None),
        ("/traefik", [b"traefikx", b"api"], None),
        ("/traefik", [b"api"], None),
        ("/t", [b"dashboard@internal", b"t", b"dashboard", b""], [b"dashboard@internal", b"dashboard", b""]),
        ("/traefik", [], None),
    ],
)
def test_what_is_below_a_path(base: str, path: list[bytes], found: list[bytes] | None) -> None:
    assert within(base, path) == found


class BelowAPath(AdminCase):
    """Asked with and without the path."""

    settings = ApiSettings(base_path="/traefik", token="sesame")

    def test_all_is_there_below_it_and_the_token_still_needed(self) -> None:
        for path in ("/traefik/api/overview", "/api/overview", "/traefik/%61pi/overview"):
            assert self.ask(path)[0].code == 401
            headers = {"Authorization": "Bearer sesame"}
            assert self.ask(path, headers=headers)[0].code == 200

    def test_the_dashboard_is_free_below_it_as_it_is_above(self) -> None:
        assert self.ask("/traefik/dashboard/")[0].code == 200
        assert self.ask("/traefik/ping")[1] == b"OK"

    def test_redirects_to_the_dashboard_stay_below_it(self) -> None:
        for path in ("/traefik", "/traefik/", "/traefik/dashboard"):
            response, _ = self.ask(path)
            assert response.headers.getRawHeaders("location")[0].endswith("/traefik/dashboard/"), path
        response, _ = self.ask("/")
        assert not response.headers.getRawHeaders("location")[0].endswith("/traefik/dashboard/")

    def test_another_path_is_not_there(self) -> None:
        headers = {"Authorization": "Bearer sesame"}
        assert self.ask("/traefikx/api/overview", headers=headers)[0].code == 404
