"""What a command line of ours says."""

from __future__ import annotations

import pytest

from dynbalancer.start.commandline import demo_flags, flags_in, flags_of_first_process


@pytest.mark.parametrize(
    "line, flags",
    [
        ("/opt/dynbalancer/bin/python3 /usr/local/bin/dynbalancer run --api --docker", ["--api", "--docker"]),
        ("/usr/bin/docker-init -- dynbalancer run --api.address=:8081", ["--api.address=:8081"]),
        ("python -m dynbalancer.cli run", []),
        (
            "python /usr/bin/twistd -n --pidfile= dynbalancer --docker.network global",
            ["--docker.network", "global"],
        ),
        ("dynbalancer demo --workers=1", demo_flags(["--workers=1"])),
        ("dynbalancer check routes.yml", None),
        ("python -P -m dynbalancer.worker", None),
        ("/sbin/init", None),
        ("", None),
    ],
)
def test_which_flags_a_process_runs_with(line: str, flags: list[str] | None) -> None:
    assert flags_in(line.split()) == flags


def test_process_1_is_read_word_by_word() -> None:
    lines = {"/proc/1/cmdline": b"dynbalancer\0run\0--docker.defaultrule=Host(`a b`)\0"}
    assert flags_of_first_process(lines.__getitem__) == ["--docker.defaultrule=Host(`a b`)"]


def test_a_process_1_that_nobody_may_see_has_no_flags() -> None:
    def read_bytes(path: str) -> bytes:
        raise PermissionError(path)

    assert flags_of_first_process(read_bytes) is None


def test_the_demo_keeps_its_ports_only_where_none_are_given() -> None:
    assert "--entrypoints.web.address=127.0.0.1:8000" in demo_flags([])
    assert not any("8000" in word for word in demo_flags(["--entryPoints.x.address=:9000"]))
