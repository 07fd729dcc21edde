"""A proxy that runs short of memory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from dynbalancer.proxy.memory import (
    EBB_INTERVAL,
    INTERVAL,
    Ebb,
    Memory,
    give_back,
    memory_measure,
    of_control_group,
    own,
)

sys.path.insert(0, str(Path(__file__).parent))
from wires import GET, OK, ProxyCase, post


class Shortage(ProxyCase):
    """It may have a hundred bytes."""

    def setUp(self) -> None:
        super().setUp()
        self.used = 0
        self.freed = 0
        self.memory = Memory(
            self.measure, self.resource, lambda: [self.site], self.clock, give_back=self.give_back
        )
        self.memory.start()

    def tearDown(self) -> None:
        self.memory.stop()
        super().tearDown()

    def give_back(self) -> None:
        self.used -= self.freed
        self.freed = 0

    def measure(self) -> tuple[int, int]:
        if self.used < 0:
            raise OSError("gone")
        return self.used, 100

    def use_memory(self, share: int) -> None:
        self.used = share
        self.clock.advance(INTERVAL)

    def answered(self) -> bytes:
        client, server = self.asking()
        server.send(OK)
        return client.read()

    def test_with_enough_of_it_connections_are_kept(self) -> None:
        self.use_memory(79)
        client, server = self.asking()
        server.send(OK)
        assert (client.read(), client.state) == (OK, "open")

    def test_at_80_percent_connections_are_closed_after_their_answer(self) -> None:
        idle, server = self.asking()
        server.send(OK)
        busy, server = self.asking()
        self.use_memory(80)
        assert idle.state != "open"
        assert busy.state == "open"
        server.send(OK)
        assert b"\r\nConnection: close\r\n" in busy.read()
        assert busy.state != "open"
        assert b"\r\nConnection: close\r\n" in self.answered()

    def test_at_95_percent_what_was_asked_before_is_refused_as_well(self) -> None:
        for used in (0, 0, 80, 80, 95):
            self.use_memory(used)
            client = self.client()
            client.send(GET)
            if used < 95:
                self.servers.wires[-1].send(OK)
                assert client.read().startswith(b"HTTP/1.1 200 OK\r\n")
                client.reset()
        assert client.read().startswith(b"HTTP/1.1 503 ")
        assert self.resource.refusals == {"memory": 1}

    def test_what_is_free_is_given_back_before_anything_else_is_done(self) -> None:
        self.freed = 30
        self.use_memory(97)
        assert self.used == 67
        assert self.answered() == OK

    def test_at_95_percent_who_comes_is_answered_503_and_who_is_there_is_served(self) -> None:
        busy, server = self.asking()
        self.use_memory(95)
        attempts = len(self.servers.attempts)
        for request in (GET, post(b"hi")):
            client = self.client()
            client.send(request)
            refused = client.read()
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 1\r\n" in refused
            assert b"\r\nConnection: close\r\n" in refused
        assert self.resource.refusals == {"memory": 2}
        assert len(self.servers.attempts) == attempts
        server.send(OK)
        assert busy.read().startswith(b"HTTP/1.1 200 ")

    def test_when_there_is_enough_again_all_is_as_before(self) -> None:
        for shares in ((80, 60), (96, 92, 60), (96, 60)):
            for share in shares:
                self.use_memory(share)
            assert self.answered() == OK
        assert not self.site.draining

    def test_less_than_503_is_asked_below_90_percent(self) -> None:
        self.use_memory(96)
        self.use_memory(89)
        assert b"\r\nConnection: close\r\n" in self.answered()

    def test_what_can_not_be_measured_is_not_acted_on(self) -> None:
        self.use_memory(96)
        self.use_memory(-1)
        assert self.answered() == OK

    def test_an_end_that_began_stays(self) -> None:
        self.use_memory(96)
        self.memory.stop()
        self.site.drain()
        self.use_memory(0)
        assert self.site.draining


def test_what_a_crowd_held_is_given_back_once_when_it_has_gone() -> None:
    clock, here, given = Clock(), [0], []
    ebb = Ebb(lambda: here[0], clock, give_back=lambda: given.append(here[0]))
    ebb.start()
    for now in (200, 300, 250, 140, 130, 80, 60, 60, 200, 90):
        here[0] = now
        clock.advance(EBB_INTERVAL)
    assert given == [140, 60, 90]
    ebb.stop()
    assert not clock.getDelayedCalls()


def test_own_limit_is_for_what_this_process_holds(tmp_path: Path) -> None:
    status = tmp_path / "statm"
    status.write_text("9000 100 50 1 0 300 0\n")
    assert own(5_000_000, status)() == (100 * 4096, 5_000_000)
    measure = memory_measure(1 << 40)
    assert measure is not None
    used, limit = measure()
    assert 1 << 20 < used < limit == 1 << 40


def group(place: Path, limit: str, current: int = 0, cached: int = 0) -> None:
    """Make a control group."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "memory.max").write_text(f"{limit}\n")
    (place / "memory.current").write_text(f"{current}\n")
    (place / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\nactive_file 0\n")


@pytest.mark.parametrize("ours, above, found", [("1000", "max", (700, 1000)), ("max", "2000", (900, 2000))])
def test_tightest_control_group_counts(tmp_path: Path, ours: str, above: str, found: tuple[int, int]) -> None:
    member, root = tmp_path / "cgroup", tmp_path / "fs"
    member.write_text("0::/system.slice/ours\n")
    group(root, "max", 5000)
    group(root / "system.slice", above, 900)
    group(root / "system.slice" / "ours", ours, 800, 100)
    measure = of_control_group(member, root)
    assert measure is not None
    assert measure() == found


@pytest.mark.parametrize("text", ["0::/ours\n", "1:memory:/ours\n", "", "0::/nowhere\n", "0::/../..\n"])
def test_without_a_limit_there_is_nothing_to_watch(tmp_path: Path, text: str) -> None:
    member, root = tmp_path / "cgroup", tmp_path / "fs"
    member.write_text(text)
    group(root / "ours", "max", 5000)
    assert of_control_group(member, root) is None


def test_giving_back_what_is_free_does_no_harm() -> None:
    kept = bytes(range(256)) * 1000
    del kept
    give_back()
    assert bytes(3) == b"\0\0\0"


def test_group_that_can_not_be_seen_is_none(tmp_path: Path) -> None:
    assert of_control_group(tmp_path / "no", tmp_path / "fs") is None
