"""Snapshots: encoded once for each table that some worker has."""

from __future__ import annotations

from typing import Any

from dynbalancer.control.snapshots import Snapshot
from dynbalancer.core.frames import FrameDecoder
from dynbalancer.core.model import Configuration, Service
from dynbalancer.core.transfer import PART, Held


def snapshot(number: int, count: int) -> Snapshot:
    return Snapshot(number, Held(Configuration(services={f"s{n}": Service(f"s{n}") for n in range(count)})))


def messages(frames: list[bytes]) -> list[dict[str, Any]]:
    return FrameDecoder().feed(b"".join(frames))


def test_worker_without_a_table_gets_all_of_it_in_parts() -> None:
    found = messages(snapshot(7, PART + 1).frames(None))
    assert [(m["type"], m["number"], len(m["set"]["services"])) for m in found] == [
        ("part", 7, PART),
        ("table", 7, 1),
    ]
    assert found[-1]["base"] is None


def test_worker_with_a_table_gets_what_differs() -> None:
    (message,) = messages(snapshot(8, 3).frames(snapshot(7, 2)))
    assert (message["type"], message["base"], list(message["set"]["services"])) == ("table", 7, ["s2"])


def test_workers_with_the_same_table_share_the_frames_until_it_is_outdated() -> None:
    new, old = snapshot(8, 3), snapshot(7, 2)
    frames = new.frames(old)
    assert new.frames(old) is frames
    assert new.frames(None) is not frames
    new.outdated()
    assert new.frames(old) == frames
    assert new.frames(old) is not frames
