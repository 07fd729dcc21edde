"""Counts travel and add up, however the reports of a process are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynbalancer.core.latency import BOUNDS, bucket
from dynbalancer.core.statistics import (
    MARK_BITS,
    RECENT,
    UPGRADED,
    Pending,
    Report,
    Tally,
    Totals,
    newest,
    service_of,
    worst_standings,
)


def tally(count: int, *, in_flight: int = 0, status: int = 200) -> Tally:
    """So many exchanges of a quarter of a second, each with one octet in and two out."""
    made = Tally()
    made.count, made.seconds, made.in_flight = count, count / 4, in_flight
    made.bytes_in, made.bytes_out = count, 2 * count
    made.statuses = {status: count} if count else {}
    made.latency = {bucket(0.25): count} if count else {}
    return made


@given(st.lists(st.tuples(st.integers(0, 999), st.integers(0, len(BOUNDS)) | st.just(UPGRADED)), max_size=30))
def test_marks_say_how_many_ended_how_and_how_long_they_took(ended: list[tuple[int, int]]) -> None:
    pending, expected = Pending(), Tally()
    for status, took in ended:
        mark = status << MARK_BITS | took
        pending.marks[mark] = pending.marks.get(mark, 0) + 1
        expected.count += 1
        expected.statuses[status] = expected.statuses.get(status, 0) + 1
        if took != UPGRADED:
            expected.latency[took] = expected.latency.get(took, 0) + 1
    pending.seconds, pending.bytes_in, pending.bytes_out, pending.retries = 1.5, 2, 3, 4
    expected.seconds, expected.bytes_in, expected.bytes_out, expected.retries = 1.5, 2, 3, 4
    assert pending.tally().as_dict() == expected.as_dict()


def test_no_time_is_taken_for_that_of_an_upgraded_connection() -> None:
    assert bucket(1e9) < UPGRADED


def report(count: int = 3, *, in_flight: int = 1, **about: Any) -> Report:
    """What a process with one router, one service and one server says."""
    made = Report()
    made.statuses = {200: count}
    made.routers = {"web@docker": tally(count)}
    made.servers = {"web@docker http://10.0.0.1:80": tally(count, in_flight=in_flight)}
    made.refusals = {"no-host": count}
    made.in_flight = in_flight
    made.open_connections = 4
    made.lost_lines, made.stalls = 5, 2
    for name, value in about.items():
        setattr(made, name, value)
    return made


def test_report_survives_the_wire() -> None:
    before = report(recent_errors=[{"status_code": 404, "time": 1.0, "path": "/"}])
    after = Report.from_dict(json.loads(json.dumps(before.as_dict())))
    assert after.as_dict() == before.as_dict()
    assert after.routers["web@docker"].as_dict() == tally(3).as_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"statuses": [1]},
        {"statuses": {"ok": 1}},
        {"routers": {"a": [1]}},
        {"routers": {"a": [1, float("inf"), 0, 0, 0, 0, {}, {}]}},
        {"routers": {"a": [1, 1, 0, 0, 0, 0, {}, {"82": 1}]}},
        {"routers": {"a": [1, 1, 0, 0, 0, 0, {}, {"-1": 1}]}},
        {"routers": {"a": [1, 1, 0, 0, 0, 0, {}]}},
        {"routers": [1]},
        {"servers": {"a": {}}},
        {"refusals": {"a": "x"}},
        {"recentErrors": 3},
        {"inFlight": None},
        {"lostLines": None},
        {"stalls": "x"},
        {"flows": 3},
        {"breakers": [["cb@x", "web@x", "ajar", 1.0]]},
    ],
)
def test_rubbish_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        Report.from_dict({**report().as_dict(), **change})
    with pytest.raises(KeyError):
        Report.from_dict({})


def test_processes_add_up_and_services_are_the_sums_of_their_servers() -> None:
    whole = Totals()
    whole.take(Report(), report(3))
    whole.take(
        Report(), report(4, servers={"web@docker http://10.0.0.2:80": tally(4, in_flight=2)}, in_flight=2)
    )
    assert (whole.count, whole.statuses, whole.refusals) == (7, {200: 7}, {"no-host": 7})
    assert (whole.seconds, whole.bytes_in, whole.bytes_out) == (1.75, 7, 14)
    assert (whole.in_flight, whole.open_connections) == (3, 8)
    assert (whole.lost_lines, whole.stalls) == (10, 4)
    assert whole.routers["web@docker"].as_dict() == tally(7).as_dict()
    assert whole.services["web@docker"].as_dict() == tally(7, in_flight=3).as_dict()
    assert {key: one.count for key, one in whole.servers.items()} == {
        "web@docker http://10.0.0.1:80": 3,
        "web@docker http://10.0.0.2:80": 4,
    }


def test_tally_says_how_fast_it_was_and_how_it_ended() -> None:
    whole = Totals()
    whole.take(Report(), report(2, routers={"": tally(1, status=404), "web@docker": tally(1)}))
    for one in (whole, whole.routers["web@docker"], whole.services["web@docker"]):
        assert one.quantile(0.5) is not None and 0.2 < (one.quantile(0.5) or 0) <= 0.25
    found = whole.services["web@docker"].as_dict()
    assert (found["classes"], found["p50"] < found["p95"] < found["p99"] <= 0.25) == ({"2xx": 2}, True)
    idle = Tally().as_dict()
    assert (idle["p50"], idle["p95"], idle["p99"], idle["rate"], idle["classes"]) == (None, None, None, 0, {})
    mixed = tally(1)
    mixed.statuses = {404: 1, 200: 2, 403: 3}
    assert mixed.classes() == {"2xx": 2, "4xx": 4}


def test_newer_report_replaces_what_was_seen() -> None:
    whole, seen = Totals(), Report()
    whole.take(seen, report(3))
    whole.take(seen, report(3))
    whole.take(seen, report(5, in_flight=0))
    assert (whole.count, whole.seconds, whole.in_flight, whole.open_connections) == (5, 1.25, 0, 4)
    assert whole.services["web@docker"].as_dict() == tally(5).as_dict()


def test_exchanges_that_no_router_took_count_for_the_whole_only() -> None:
    whole = Totals()
    whole.take(Report(), report(2, routers={"": tally(2, status=404)}, servers={}))
    assert (whole.count, whole.seconds, whole.routers, whole.services) == (2, 0.5, {}, {})


def test_process_that_ended_stays_counted_and_does_nothing_now() -> None:
    whole, seen = Totals(), Report()
    whole.take(seen, report(3, recent_errors=[{"time": 1.0}]))
    whole.end(seen)
    assert (whole.count, whole.in_flight, whole.open_connections) == (3, 0, 0)
    assert (whole.lost_lines, whole.stalls) == (5, 2)
    assert whole.services["web@docker"].as_dict() == tally(3).as_dict()
    assert whole.recent_errors == [{"time": 1.0}]


names = st.sampled_from(["", "a@x", "b@x", "c@y"])
keys = st.sampled_from(["a@x http://1", "a@x http://2", "b@x http://1"])
steps = st.lists(st.tuples(st.booleans(), names, keys, st.sets(names), st.sets(keys)), max_size=12)


@given(steps)
def test_what_comes_in_pieces_is_in_the_end_what_was_done(
    steps: list[tuple[bool, str, str, set[str], set[str]]],
) -> None:
    whole, seen, done = Totals(), Report(), Report()
    for served, name, key, told_names, told_keys in steps:
        done.routers[name] = tally(done.routers.get(name, Tally()).count + 1)
        done.statuses = {200: sum(one.count for one in done.routers.values())}
        if served:
            done.servers[key] = tally(done.servers.get(key, Tally()).count + 1, in_flight=1)
        done.in_flight = len(done.servers)
        piece = report(
            statuses=done.statuses,
            in_flight=done.in_flight,
            routers={name: one for name, one in done.routers.items() if name in told_names},
            servers={key: one for key, one in done.servers.items() if key in told_keys},
        )
        whole.take(seen, piece)
        assert whole.count == sum(done.statuses.values())
    whole.take(seen, done)
    at_once = Totals()
    at_once.take(Report(), done)
    nothing = {"refusals": {}, "openConnections": 0, "lostLines": 0, "stalls": 0}
    assert whole.as_dict() | nothing == at_once.as_dict()
    assert whole.latency == at_once.latency


def test_only_the_newest_errors_are_kept() -> None:
    errors = [{"time": float(number)} for number in range(RECENT + 5)]
    assert [error["time"] for error in newest(errors)] == [float(n) for n in range(14, 4, -1)]


def test_what_is_gone_is_forgotten_unless_a_process_may_still_report_it() -> None:
    whole, seen = Totals(), Report()
    whole.take(seen, report(2))
    whole.take(Report(), report(1, servers={"old@docker http://10.0.0.2:80": tally(1)}))
    whole.take(Report(), report(1, routers={"old@docker": tally(1)}, servers={}))
    whole.forget({}, {}, [seen])
    assert set(whole.routers) == set(whole.services) == {"web@docker"}
    assert set(whole.servers) == {"web@docker http://10.0.0.1:80"}
    whole.forget({}, {"web@docker": None})
    assert (set(whole.routers), set(whole.services)) == (set(), {"web@docker"})
    assert whole.count == 4


def test_copy_has_its_own_names() -> None:
    whole = Totals()
    whole.take(Report(), report(2))
    found = whole.copy()
    whole.take(Report(), report(3, routers={"new@docker": tally(3)}))
    assert (found.count, found.statuses, set(found.routers)) == (2, {200: 2}, {"web@docker"})
    assert (found.latency, found.stalls, found.lost_lines) == ({bucket(0.25): 2}, 2, 5)


def test_key_of_a_server_begins_with_its_service() -> None:
    assert service_of("web@docker http://10.0.0.1:80") == "web@docker"


def test_breakers_stand_as_the_worst_process_says() -> None:
    key = ("cb@x", "web@x")
    reports = [Report(), Report(), Report()]
    reports[0].breakers = {key: ("half-open", 4.0), ("cb@x", "shop@x"): ("half-open", 1.0)}
    reports[1].breakers = {key: ("open", 2.0)}
    assert worst_standings(reports) == {key: ("open", 2.0), ("cb@x", "shop@x"): ("half-open", 1.0)}
    totals = Totals()
    totals.breakers = worst_standings(
        Report.from_dict(json.loads(json.dumps(one.as_dict()))) for one in reports
    )
    assert totals.as_dict()["breakers"] == {
        "cb@x": {"shop@x": {"state": "half-open", "seconds": 1.0}, "web@x": {"state": "open", "seconds": 2.0}}
    }
