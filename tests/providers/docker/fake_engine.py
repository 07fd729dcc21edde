"""A Docker engine made of dictionaries, and means to reach it without threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, execute, succeed

from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer_docker.events import Event, read_event
from dynbalancer_docker.provider import Means
from dynbalancer_docker.reading import Row, Seen, read_container, read_row, stripped
from dynbalancer_docker.reasons import EngineError

STARTED = "2026-03-01T10:00:00.123456789Z"


def container_id(name: str) -> str:
    """A full id that begins with the name in hexadecimal."""
    return name.encode().hex().ljust(64, "0")[:64]


def description(name: str, ip: str = "172.18.0.2", **more: Any) -> dict[str, Any]:
    """An inspected container, as an engine sends it. ``more``: labels, state, health, stop_signal, stop_timeout …"""
    state: dict[str, Any] = {
        "Status": more.get("state", "running"),
        "StartedAt": more.get("started", STARTED),
    }
    if "health" in more:
        state["Health"] = {"Status": more["health"], "Log": [{"Output": "SECRET-health"}]}
    labels = more.get("labels", {"traefik.frontend.rule": f"Host:{name}.example.com"})
    return {
        "Id": container_id(name),
        "Name": f"/{name}",
        "Created": "2026-03-01T09:59:59Z",
        "Config": {
            "Image": "whoami",
            "Labels": labels,
            "Env": ["PASSWORD=SECRET-env"],
            "StopSignal": more.get("stop_signal"),
            "StopTimeout": more.get("stop_timeout"),
        },
        "HostConfig": {"NetworkMode": more.get("network_mode", "web")},
        "NetworkSettings": {
            "Networks": more.get("networks", {"web": {"IPAddress": ip, "Gateway": "172.18.0.1"}}),
            "Ports": more.get("ports", {"80/tcp": None}),
        },
        "State": state,
    }


def row_of(inspected: dict[str, Any]) -> dict[str, Any]:
    """The same container in the list of containers."""
    return {
        "Id": inspected["Id"],
        "Names": [inspected["Name"]],
        "Labels": inspected["Config"]["Labels"],
        "State": inspected["State"]["Status"],
        "Status": f"Up 3 minutes ({inspected['State'].get('Health', {}).get('Status', '')})",
        "Created": 1,
        "NetworkSettings": {"Networks": inspected["NetworkSettings"]["Networks"]},
    }


def event(name: str, action: str, at: float = 2e9, **attributes: str) -> Event:
    """An event about the container of that name."""
    document = {
        "Type": "container",
        "Action": action,
        "Actor": {"ID": container_id(name), "Attributes": {"name": name, **attributes}},
        "timeNano": int(at * 1e9),
    }
    found = read_event(document)
    assert found is not None
    return found


class FakeStream:
    """An event stream that tests drive by themselves."""

    def __init__(self) -> None:
        self.closed = False

    def __iter__(self) -> Iterator[Event]:
        return iter(())

    def close(self) -> None:
        self.closed = True


class FakeEngine:
    """Holds ``containers`` by id; ``calls`` is what was asked. While ``fails`` is set, calls raise it."""

    address = "unix:///run/docker.sock"
    api_version = "1.41"

    def __init__(self) -> None:
        self.containers: dict[str, Any] = {}
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.fails: Exception | None = None
        self.closes = 0

    def run(self, name: str, **more: Any) -> None:
        """Start a container, or change it."""
        self.containers[container_id(name)] = description(name, **more)

    def remove(self, name: str) -> None:
        """It is gone."""
        del self.containers[container_id(name)]

    def inspected(self) -> list[str]:
        """Every id that was inspected, in order."""
        return [id for call, ids in self.calls if call == "inspect" for id in ids]

    def list_containers(self) -> tuple[tuple[Row, ...], tuple[Problem, ...]]:
        self._called("list")
        return tuple(read_row(row_of(one)) for one in self.containers.values()), ()

    def inspect(self, ids: Iterable[str]) -> dict[str, Seen | Problem | None]:
        ids = tuple(ids)
        self._called("inspect", ids)
        return {id: self._inspect(id) for id in ids}

    def _inspect(self, id: str) -> Seen | Problem | None:
        if id not in self.containers:
            return None
        try:
            return read_container(stripped(self.containers[id]))
        except ConfigurationError as error:
            return error.as_problem("warning")

    def events(self) -> FakeStream:
        self._called("events")
        return FakeStream()

    def close(self) -> None:
        self.closes += 1

    def _called(self, what: str, ids: tuple[str, ...] = ()) -> None:
        self.calls.append((what, ids))
        if self.fails is not None:
            raise self.fails


class DirectCaller:
    """Calls at once; or, while ``holding``, when told to :meth:`go_on`."""

    def __init__(self) -> None:
        self.holding = False
        self._held: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []
        self.running = False

    def start(self) -> None:
        self.running = True

    def call(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        if not self.holding:
            return execute(function, *args)
        held: Deferred[Any] = Deferred()
        self._held.append((held, function, args))
        return held

    def go_on(self) -> None:
        """Make the calls that were held, and all later ones at once."""
        self.holding = False
        held, self._held = self._held, []
        for result, function, args in held:
            execute(function, *args).chainDeferred(result)

    def stop(self) -> Deferred[None]:
        self.running = False
        return succeed(None)


class FakeFollower:
    """Opens the stream at once; events come by :meth:`tell`."""

    def __init__(self, open_stream: Callable[[], Any], listener: Any) -> None:
        self._open = open_stream
        self._listener = listener
        self.stopped = False

    def start(self) -> None:
        try:
            self._open()
        except Exception as error:
            self._listener.stream_ended(error)
        else:
            self._listener.stream_opened()

    def tell(self, *events: Event) -> None:
        """These events happen, unless nobody listens any more."""
        for one in events:
            if not self.stopped:
                self._listener.stream_event(one)

    def end(self, why: Exception | None = None) -> None:
        """The stream ends."""
        if not self.stopped:
            self._listener.stream_ended(why)

    def stop(self) -> Deferred[None]:
        self.stopped = True
        return succeed(None)


class SilentFollower:
    """A follower whose stream is never opened."""

    def start(self) -> None:
        """Nothing happens."""

    def stop(self) -> Any:
        return succeed(None)


class FakeWorld:
    """All that a provider needs to run: ``engine``, ``caller``, and every ``followers`` made so far."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.caller = DirectCaller()
        self.followers: list[FakeFollower] = []
        self.connects = 0
        self.refuses = ""
        self.own_ids: tuple[str, ...] = ()

    def means(self) -> Means:
        """For DockerProvider."""
        return Means(
            self._connect, lambda: self.caller, self._follow, lambda: self.own_ids, lambda: "", lambda: 1.0
        )

    def tell(self, *events: Event) -> None:
        """Events on the newest stream."""
        self.followers[-1].tell(*events)

    def _connect(self) -> FakeEngine:
        self.connects += 1
        if self.refuses:
            raise EngineError(self.refuses)
        return self.engine

    def _follow(self, open_stream: Callable[[], Any], listener: Any) -> FakeFollower:
        self.followers.append(FakeFollower(open_stream, listener))
        return self.followers[-1]
