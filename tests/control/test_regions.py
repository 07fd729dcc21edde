"""Shared regions: one memory for all processes, of which nothing is left over, whoever dies when."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from dynbalancer.control import regions
from dynbalancer.control.counters import Counters
from dynbalancer.control.regions import BLOCK, ENTRIES, RecordLock, SharedRegions
from dynbalancer.core.regions import cells_of
from dynbalancer.errors import ConfigurationError


@pytest.fixture
def counters() -> Iterator[Counters]:
    """Shared memory for three workers."""
    made = Counters.create(8, 3)
    yield made
    os.close(made.fd)


def worker(counters: Counters, number: int) -> SharedRegions:
    """The regions as that worker has them."""
    regions = Counters(counters.fd).regions
    regions.join(number)
    return regions


def in_child(work: Callable[[], object]) -> int:
    """The pid of a process that does this, says that it is done, and waits to be killed."""
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os.write(done, b"x")
            signal.pause()
        finally:
            os._exit(1)
    assert os.read(ready, 1) == b"x"
    for fd in (ready, done):
        os.close(fd)
    return pid


def kill(pid: int) -> None:
    """Kill -9, and wait for the end."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_one_region_in_all_workers(counters: Counters) -> None:
    one, other = (worker(counters, number).region("limit", 100, 4) for number in (1, 2))
    cells_of(one, "d")[3] = 1.5
    one.own[2] = 7
    assert cells_of(other, "d")[3] == 1.5
    assert [list(column) for column in other.columns] == [[0, 0, 7, 0], [0] * 4, [0] * 4]
    other.own[0] = 1
    assert one.columns[1][0] == 1
    assert len(one.cells) == 104


def test_regions_are_apart(counters: Counters) -> None:
    regions = worker(counters, 1)
    found = [regions.region(*key) for key in (("a", 8, 2), ("b", 8, 2), ("a", BLOCK * 3, 2), ("a", 8, 0))]
    for number, region in enumerate(found, 1):
        region.cells[:] = bytes([number]) * len(region.cells)
    for number, region in enumerate(found, 1):
        assert set(region.cells) == {number}
        assert not any(any(column) for column in region.columns)


def test_one_handle_in_one_process(counters: Counters) -> None:
    regions = worker(counters, 1)
    assert regions.region("a", 8) is regions.region("a", 8)


def test_region_goes_on_while_any_worker_holds_it(counters: Counters) -> None:
    first, second = worker(counters, 1), worker(counters, 2)
    one, other = first.region("a", 8), second.region("a", 8)
    cells_of(one, "Q")[0] = 7
    del one
    gc.collect()
    assert cells_of(first.region("a", 8), "Q")[0] == 7
    del other
    gc.collect()
    assert cells_of(second.region("a", 8), "Q")[0] == 0


def test_what_nobody_holds_goes_back_to_the_system(counters: Counters) -> None:
    regions = worker(counters, 1)
    before = os.fstat(counters.fd).st_blocks
    region = regions.region("a", BLOCK * 16)
    region.cells[:] = b"x" * len(region.cells)
    assert os.fstat(counters.fd).st_blocks - before >= BLOCK * 16 // 512
    del region
    gc.collect()
    assert os.fstat(counters.fd).st_blocks - before < BLOCK // 512


def test_worker_that_is_gone_leaves_nothing_in_flight_and_holds_nothing(counters: Counters) -> None:
    parent, second = counters.regions, worker(counters, 2)
    kept = second.region("kept", 8, 4)
    kept.own[1] = 5

    def count() -> None:
        mine = worker(counters, 1)
        for name in ("kept", "only mine"):
            region = mine.region(name, 8, 4)
            region.own[1] = 3
            cells_of(region, "Q")[0] = 9
            held.append(region)

    held: list[object] = []
    kill(in_child(count))
    assert [column[1] for column in kept.columns] == [3, 5, 0]
    parent.ended(1)
    assert [column[1] for column in kept.columns] == [0, 5, 0]
    assert cells_of(kept, "Q")[0] == 9
    assert cells_of(second.region("only mine", 8, 4), "Q")[0] == 0


def test_lock_of_a_worker_that_was_killed_is_free(counters: Counters) -> None:
    lock = worker(counters, 1).region("a", 8).lock
    assert lock is not None
    pid = in_child(RecordLock(counters.fd, (1 << 40) + 77).acquire)
    mine = RecordLock(counters.fd, (1 << 40) + 77)
    assert mine.acquire() is False
    kill(pid)
    assert mine.acquire() is True
    mine.release()


def test_lock_of_a_worker_that_was_stopped_holds_nobody_up_for_long(counters: Counters) -> None:
    region = worker(counters, 2).region("a", 8)

    def hold() -> None:
        mine = worker(counters, 1).region("a", 8)
        held.append(mine)
        assert mine.lock is not None
        mine.lock.acquire()

    held: list[object] = []
    pid = in_child(hold)
    assert region.lock is not None
    assert region.lock.acquire() is False
    region.lock.release()
    kill(pid)
    assert region.lock.acquire() is True
    region.lock.release()


def test_directory_is_waited_for_so_that_two_who_begin_find_one_region(
    counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers that began together on busy cores each made an entry, and a limit held for each of them alone."""
    pid = in_child(worker(counters, 1)._directory.acquire)
    turns: list[float] = []

    def give_way() -> None:
        turns.append(0.01)
        if len(turns) == 5:
            kill(pid)

    monkeypatch.setattr(os, "sched_yield", give_way)
    monkeypatch.setattr(regions.time, "monotonic", lambda: sum(turns))
    worker(counters, 2).region("limit", 100, 4)
    waited = len(turns)
    if waited < 5:
        kill(pid)
    assert waited == 5


def test_locks_of_two_regions_are_two(counters: Counters) -> None:
    here = worker(counters, 2)

    def hold() -> None:
        mine = worker(counters, 1).region("a", 8)
        held.append(mine)
        assert mine.lock is not None
        mine.lock.acquire()

    held: list[object] = []
    pid = in_child(hold)
    other = here.region("b", 8).lock
    assert other is not None
    assert other.acquire() is True
    other.release()
    kill(pid)


def test_one_worker_needs_no_lock() -> None:
    counters = Counters.create(8, 1)
    assert counters.regions.region("a", 8).lock is None
    os.close(counters.fd)


@pytest.mark.parametrize("number", [0, 4, -1])
def test_worker_without_a_place_can_not_join(counters: Counters, number: int) -> None:
    with pytest.raises(ValueError, match="places for 3 workers"):
        counters.regions.join(number)


def test_no_room_is_said_in_words_and_takes_nothing(counters: Counters) -> None:
    regions = worker(counters, 1)
    with pytest.raises(ConfigurationError, match="no room for more limits"):
        regions.region("limit", 1 << 40)
    assert len(regions.region("limit", 1 << 20).cells) == 1 << 20


def test_as_many_regions_as_there_are_blocks_and_room_again_when_they_are_gone(counters: Counters) -> None:
    regions = worker(counters, 1)
    size = BLOCK << 8
    found = [regions.region(f"{number}", size) for number in range(64)]
    with pytest.raises(ConfigurationError):
        regions.region("more", size)
    del found[10]
    gc.collect()
    assert len(regions.region("more", size).cells) == size


def test_rubbish_in_the_directory_is_no_harm_to_the_parent(counters: Counters) -> None:
    """A worker that was broken into may write there what it likes."""
    region = worker(counters, 1).region("a", 8, 4)
    parent = counters.regions
    for rubbish in (2**64 - 1, 2**63, 12345):
        for cell in range(len(parent._entries)):
            parent._entries[cell] = rubbish
        parent._holders[: ENTRIES * 3] = b"\x01" * ENTRIES * 3
        for number in (1, 2, 3):
            parent.ended(number)
    assert len(region.cells) == 8


def test_rows_of_counters_are_not_touched_by_regions(counters: Counters) -> None:
    counters.use({"web": 7})
    counters.slot("web")()
    region = worker(counters, 1).region("a", BLOCK)
    region.cells[:] = b"\xff" * BLOCK
    assert counters.slot("web")() == 1
    assert Counters(counters.fd).rows == 8
