"""Counts travel and add up."""

from __future__ import annotations

import json

import pytest

from dynbalancer.core.statistics import RECENT, Tally, Totals


def totals(scale: int = 1) -> Totals:
    made = Totals()
    made.count = 3 * scale
    made.seconds = 0.5 * scale
    made.statuses = {200: 2 * scale, 404: scale}
    made.routers["web@docker"] = tally = Tally()
    tally.count = 2 * scale
    tally.statuses = {200: 2 * scale}
    made.services["web@docker"] = Tally()
    made.servers["web@docker http://10.0.0.1:80"] = Tally()
    made.refusals = {"no-host": scale}
    made.recent_errors.append({"status_code": 404, "time": float(scale), "path": "/"})
    made.open_connections = 4
    return made


def test_totals_survive_the_wire() -> None:
    before = totals()
    after = Totals.from_dict(json.loads(json.dumps(before.as_dict())))
    assert after.as_dict() == before.as_dict()
    assert after.statuses == {200: 2, 404: 1}


def test_totals_add_up() -> None:
    summed = totals()
    summed.add(totals(10))
    assert summed.count == 33
    assert summed.statuses == {200: 22, 404: 11}
    assert summed.routers["web@docker"].count == 22
    assert summed.refusals == {"no-host": 11}
    assert summed.open_connections == 8
    assert [error["time"] for error in summed.recent_errors] == [10.0, 1.0]


def test_only_the_newest_errors_are_kept() -> None:
    summed = Totals()
    for number in range(RECENT + 5):
        one = Totals()
        one.recent_errors.append({"time": float(number)})
        summed.add(one)
    assert [error["time"] for error in summed.recent_errors] == [float(n) for n in range(14, 4, -1)]


def test_what_is_gone_and_idle_is_forgotten() -> None:
    kept = totals()
    kept.services["old@docker"] = Tally()
    kept.servers["old@docker http://10.0.0.2:80"] = busy = Tally()
    busy.in_flight = 1
    kept.forget({"web@docker": None})
    assert set(kept.services) == {"web@docker"}
    assert set(kept.servers) == {"web@docker http://10.0.0.1:80", "old@docker http://10.0.0.2:80"}


@pytest.mark.parametrize("rubbish", [{}, {"count": "x"}, {**Totals().as_dict(), "routers": {"a": {}}}])
def test_rubbish_is_refused(rubbish: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Totals.from_dict(rubbish)
