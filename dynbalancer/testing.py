"""Fakes and contracts for the tests of plugins: inherit a contract, implement what it asks for.

>>> class TestMine(ProviderContract, SynchronousTestCase):
...     def make(self, sink, reactor): return MyProvider({"path": "/x"}, sink, reactor)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zope.interface import implementer
from zope.interface.verify import verifyObject

from dynbalancer.core.exchange import Exchange, Headers, RequestHead
from dynbalancer.core.model import Configuration, EntryPoint
from dynbalancer.errors import ConfigurationError
from dynbalancer.interfaces import IConfigurationSink, IMiddleware, IProvider


@implementer(IConfigurationSink)
class MemorySink:
    """Keeps what a provider says: ``configurations`` and ``causes`` in order, ``losses`` the reasons given."""

    def __init__(self) -> None:
        self.configurations: list[Configuration] = []
        self.causes: list[str] = []
        self.losses: list[str] = []

    @property
    def last(self) -> Configuration:
        """The newest configuration; fails where nothing was published."""
        return self.configurations[-1]

    def publish(self, configuration: Configuration, cause: str = "") -> None:
        self.configurations.append(configuration)
        self.causes.append(cause)

    def lost(self, reason: str) -> None:
        self.losses.append(reason)


def exchange(
    method: bytes = b"GET",
    path: bytes = b"/",
    host: bytes = b"a.example",
    *,
    query: bytes | None = None,
    headers: Mapping[bytes, bytes] | None = None,
    client: str = "192.0.2.1",
    entry_point: str = "web",
    scheme: bytes = b"http",
    trusted: bool = False,
) -> Exchange:
    """An exchange that just began, with good defaults."""
    head = RequestHead(
        method, path, query, host=host, scheme=scheme, headers=Headers.of(*(headers or {}).items())
    )
    return Exchange(head, EntryPoint(entry_point, 80), client, 40000, trusted=trusted)


class ProviderContract:
    """What every provider must do. Implement ``make(sink, reactor)`` and mix it into a test case."""

    def make(self, sink: MemorySink, reactor: Any) -> Any:
        """The provider under test, not started."""
        raise AssertionError("a test case that inherits this contract says how its provider is made")

    def test_provides_the_interface(self) -> None:
        """It has a name, can be started and stopped, and can be asked to refresh."""
        provider = self.make(MemorySink(), None)
        assert verifyObject(IProvider, provider)
        assert isinstance(provider.name, str)
        assert provider.name
        assert callable(provider.startService)
        assert callable(provider.stopService)

    def test_says_nothing_before_it_is_started(self) -> None:
        """twistd forks after making it: nothing may be read, started or published before that."""
        sink = MemorySink()
        self.make(sink, None)
        assert sink.configurations == []
        assert sink.losses == []


class MiddlewareContract:
    """What every middleware must do. Set ``good`` and ``bad`` settings and ``make(name, settings)``."""

    make: Callable[..., Any]
    good: Mapping[str, Any] = {}
    bad: tuple[Mapping[str, Any], ...] = ()

    def test_provides_the_interface(self) -> None:
        """It has all three hooks, each callable or None."""
        made = self.make("m@test", self.good)
        hooks = (made.on_request, made.on_response, made.on_finish)
        # verifyObject would not allow a hook to be None.
        assert IMiddleware.providedBy(made)
        assert all(hook is None or callable(hook) for hook in hooks)
        assert any(callable(hook) for hook in hooks)

    def test_refuses_bad_settings_in_words(self) -> None:
        """Settings that can't work raise a ConfigurationError that names the middleware."""
        for settings in self.bad:
            try:
                self.make("m@test", settings)
            except ConfigurationError as error:
                assert "m@test" in error.where, error.where
            else:
                raise AssertionError(f"{settings} was accepted")
