"""What authors of plugins are given for their tests: it must fail where their plugin is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from zope.interface import implementer
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from dynbalancer.core.model import Configuration
from dynbalancer.errors import ConfigurationError
from dynbalancer.interfaces import IConfigurationSink, IMiddleware, IProvider
from dynbalancer.testing import MemorySink, MiddlewareContract, ProviderContract, exchange


@implementer(IProvider)
class GoodProvider:
    """Does what the contract asks."""

    name = "good"

    def __init__(self, sink: MemorySink) -> None:
        self.sink = sink

    def startService(self) -> None: ...

    def stopService(self) -> None: ...

    def refresh(self) -> None: ...


class HastyProvider(GoodProvider):
    """Publishes before it is started."""

    def __init__(self, sink: MemorySink) -> None:
        super().__init__(sink)
        sink.publish(Configuration())


class NamelessProvider(GoodProvider):
    """Has a name that is none."""

    name = ""


@implementer(IMiddleware)
class GoodMiddleware:
    """Has one hook, and refuses what it can't use."""

    on_response = on_finish = None

    @classmethod
    def from_settings(cls, name: str, settings: Any) -> GoodMiddleware:
        if "bad" in settings:
            raise ConfigurationError(f"middleware {name}", "bad")
        return cls()

    def on_request(self, exchange: Any) -> None: ...


class IdleMiddleware(GoodMiddleware):
    """Does nothing at all."""

    on_request = None  # type: ignore[assignment]


class TestGoodProvider(ProviderContract):
    """A provider that keeps the contract passes it."""

    def make(self, sink: MemorySink, reactor: Any) -> GoodProvider:
        return GoodProvider(sink)


class TestGoodMiddleware(MiddlewareContract):
    """A middleware that keeps the contract passes it."""

    make = GoodMiddleware.from_settings
    bad = ({"bad": 1},)


def provider_contract(made: Any) -> ProviderContract:
    contract = ProviderContract()
    contract.make = lambda sink, reactor: made(sink)  # type: ignore[method-assign]
    return contract


def middleware_contract(made: Any, *bad: dict[str, int]) -> MiddlewareContract:
    contract = MiddlewareContract()
    contract.make, contract.bad = made, bad
    return contract


def test_provider_that_publishes_too_early_fails() -> None:
    with pytest.raises(AssertionError):
        provider_contract(HastyProvider).test_says_nothing_before_it_is_started()


@pytest.mark.parametrize(
    "made, wrong", [(NamelessProvider, AssertionError), (lambda sink: object(), Invalid)]
)
def test_provider_without_a_name_or_the_interface_fails(made: Any, wrong: type[Exception]) -> None:
    with pytest.raises(wrong):
        provider_contract(made).test_provides_the_interface()


def test_contract_that_makes_nothing_says_so() -> None:
    with pytest.raises(AssertionError, match="how its provider is made"):
        ProviderContract().test_provides_the_interface()


def test_middleware_without_a_hook_fails() -> None:
    with pytest.raises(AssertionError):
        middleware_contract(IdleMiddleware.from_settings).test_provides_the_interface()


def test_middleware_that_takes_anything_fails() -> None:
    contract = middleware_contract(GoodMiddleware.from_settings, {"bad": 1}, {"unknown": 1})
    with pytest.raises(AssertionError, match="was accepted"):
        contract.test_refuses_bad_settings_in_words()


def test_middleware_that_does_not_say_which_it_is_fails() -> None:
    def make(name: str, settings: Any) -> None:
        raise ConfigurationError("middleware", "bad")

    with pytest.raises(AssertionError):
        middleware_contract(make, {"bad": 1}).test_refuses_bad_settings_in_words()


def test_sink_keeps_what_it_is_told_in_order() -> None:
    sink, first, second = MemorySink(), Configuration(), Configuration()
    sink.publish(first, "a")
    sink.publish(second)
    sink.lost("gone")
    assert sink.configurations == [first, second]
    assert (sink.last, sink.causes, sink.losses) == (second, ["a", ""], ["gone"])
    assert verifyObject(IConfigurationSink, sink)


def test_sink_that_was_told_nothing_has_no_last_word() -> None:
    with pytest.raises(IndexError):
        _ = MemorySink().last


def test_exchange_has_good_defaults_and_takes_what_matters() -> None:
    made = exchange()
    assert (made.head.method, made.head.path, made.head.host) == (b"GET", b"/", b"a.example")
    assert (made.head.authority, made.client, made.entry_point.name) == (b"a.example", "192.0.2.1", "web")
    made = exchange(
        b"POST",
        b"/p",
        b"b.example",
        query=b"q",
        headers={b"X-A": b"1"},
        client="9.9.9.9",
        scheme=b"https",
        trusted=True,
        entry_point="tls",
    )
    assert (made.head.target, made.head.headers.get(b"x-a"), made.head.scheme) == (b"/p?q", b"1", b"https")
    assert (made.client, made.trusted, made.entry_point.name) == ("9.9.9.9", True, "tls")
